//! Names of the devices that frames leave by.

use std::fmt;
use std::str::FromStr;

/// What a name of a virtual device begins with.
const VIRTUAL: &str = "net_";
/// Bytes of an interface's name, without the 0 at its end (`IFNAMSIZ` of the kernel is 16).
const MAX_INTERFACE_BYTES: usize = 15;
/// Bytes of a DPDK device's name, without the 0 at its end (`RTE_DEV_NAME_MAX_LEN` is 64).
const MAX_DPDK_NAME_BYTES: usize = 63;
/// Bytes of a whole name with its arguments. Of these a path of a socket takes 107 at most.
const MAX_BYTES: usize = 511;
/// Characters of a wrong name that are shown.
const SHOWN: usize = 63;

/// The name of an uplink, as it is written in the configuration:
///
/// | kind | example |
/// |---|---|
/// | an interface of the kernel | `eth1` |
/// | a PCI device | `0000:03:00.0`, `0000:03:00.0,tx_pp=500` |
/// | a virtual device of DPDK | `net_virtio_user0,path=/run/switch.sock,server=1` |
///
/// A name that begins with `net_` is a virtual device; another with a `:` is a PCI device. [`Display`](fmt::Display)
/// writes it as DPDK takes it.
///
/// ```
/// use tsn_port::{DeviceKind, DeviceName};
/// let name: DeviceName = "net_af_packet0,iface=eth1".parse()?;
/// assert_eq!(name.kind(), DeviceKind::Virtual);
/// assert_eq!((name.name(), name.driver()), ("net_af_packet0", Some("net_af_packet")));
/// assert_eq!(name.argument("iface"), Some("eth1"));
/// # Ok::<(), tsn_port::DeviceNameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName {
    kind: DeviceKind,
    name: String,
    arguments: Vec<(String, String)>,
}

/// What sort of device a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A network interface of the kernel.
    Interface,
    /// A PCI device, which a poll-mode driver has instead of the kernel.
    Pci,
    /// A virtual device of DPDK.
    Virtual,
}

/// A text that is no name of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceNameError {
    /// Neither a PCI device nor a virtual one by its look, and the kernel takes it for no interface.
    #[error(
        "`{0}` is no device name; 1 to {MAX_INTERFACE_BYTES} characters without `/`, `:`, `,` and spaces, such as eth0"
    )]
    Interface(String),
    /// It has a `:` as a PCI address has.
    #[error("`{0}` is no PCI address; write domain, bus, device and function such as 0000:03:00.0")]
    Pci(String),
    /// It begins as a virtual device does.
    #[error(
        "`{0}` is no virtual device; such as net_tap0, of at most {MAX_DPDK_NAME_BYTES} letters, digits and `_`"
    )]
    Virtual(String),
    /// What follows the name.
    #[error(
        "`{0}` is no argument of a device; write KEY=VALUE, without spaces and control characters"
    )]
    Argument(String),
    /// All of it.
    #[error("{0} bytes; a device with its arguments has at most {MAX_BYTES}")]
    TooLong(usize),
}

impl DeviceNameError {
    /// Of a text that is no interface's name.
    pub fn interface(text: &str) -> Self {
        Self::Interface(shown(text))
    }
}

impl DeviceName {
    /// What sort of device it is.
    pub fn kind(&self) -> DeviceKind {
        self.kind
    }

    /// The name without arguments: one device of a node has it at a time. Holds no `/`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A virtual device's driver, such as `net_virtio_user`.
    pub fn driver(&self) -> Option<&str> {
        let driver = || self.name.trim_end_matches(|c: char| c.is_ascii_digit());
        (self.kind == DeviceKind::Virtual).then(driver)
    }

    /// The value of an argument; of the last one if it is there several times, as DPDK's drivers do.
    pub fn argument(&self, key: &str) -> Option<&str> {
        let mut arguments = self.arguments.iter().rev();
        arguments
            .find(|(name, _)| name == key)
            .map(|(_, value)| &**value)
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (key, value) in &self.arguments {
            write!(f, ",{key}={value}")?;
        }
        Ok(())
    }
}

impl FromStr for DeviceName {
    type Err = DeviceNameError;

    fn from_str(text: &str) -> Result<Self, DeviceNameError> {
        if !text.starts_with(VIRTUAL) && !text.contains(':') {
            return if is_interface_name(text) {
                Ok(Self {
                    kind: DeviceKind::Interface,
                    name: text.to_owned(),
                    arguments: Vec::new(),
                })
            } else {
                Err(DeviceNameError::interface(text))
            };
        }
        if text.len() > MAX_BYTES {
            return Err(DeviceNameError::TooLong(text.len()));
        }
        let mut parts = split(text);
        let first = parts.next().unwrap_or_default();
        let (kind, name) = if first.starts_with(VIRTUAL) {
            (DeviceKind::Virtual, virtual_name(first)?)
        } else {
            (DeviceKind::Pci, pci_address(first)?)
        };
        Ok(Self {
            kind,
            name,
            arguments: parts.map(argument).collect::<Result<_, _>>()?,
        })
    }
}

/// Whether the kernel takes this name for a network interface (`dev_valid_name`), and so does DPDK as an argument: that
/// has no comma.
pub fn is_interface_name(name: &str) -> bool {
    (1..=MAX_INTERFACE_BYTES).contains(&name.len())
        && ![".", ".."].contains(&name)
        && !name.contains(|c: char| c.is_whitespace() || "/:,".contains(c))
}

/// At the commas that are in no brackets: `a=[1,2]` is one argument.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    text.split(move |c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

fn virtual_name(text: &str) -> Result<String, DeviceNameError> {
    let fits = (VIRTUAL.len() + 1..=MAX_DPDK_NAME_BYTES).contains(&text.len());
    let is_name = text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    (fits && is_name)
        .then(|| text.to_owned())
        .ok_or_else(|| DeviceNameError::Virtual(shown(text)))
}

/// A PCI address as sysfs writes it: lower case, with its domain.
fn pci_address(text: &str) -> Result<String, DeviceNameError> {
    let hex = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let is_hex = text.bytes().all(|c| c.is_ascii_hexdigit());
        (digits.contains(&text.len()) && is_hex)
            .then(|| u32::from_str_radix(text, 16).ok())
            .flatten()
    };
    let read = || {
        let (rest, function) = text.split_once('.')?;
        let mut parts = rest.split(':');
        // Devices behind a controller of their own (VMD) have a domain of five digits.
        hex(parts.next()?, 4..=8)?;
        hex(parts.next()?, 2..=2)?;
        let device = hex(parts.next()?, 2..=2)?;
        let function = hex(function, 1..=1)?;
        (parts.next().is_none() && device < 32 && function < 8).then(|| text.to_ascii_lowercase())
    };
    read().ok_or_else(|| DeviceNameError::Pci(shown(text)))
}

fn argument(text: &str) -> Result<(String, String), DeviceNameError> {
    match text.split_once('=') {
        Some((key, value))
            if !key.is_empty()
                && !value.is_empty()
                && text.bytes().all(|c| c.is_ascii_graphic()) =>
        {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(DeviceNameError::Argument(shown(text))),
    }
}

fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN).collect();
    start.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DeviceName {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn each_kind_is_recognised_by_its_look() {
        for (text, kind, name) in [
            ("eth1", DeviceKind::Interface, "eth1"),
            ("netA", DeviceKind::Interface, "netA"),
            ("eth0.5", DeviceKind::Interface, "eth0.5"),
            ("0000:03:00.0", DeviceKind::Pci, "0000:03:00.0"),
            ("10000:E1:1f.7", DeviceKind::Pci, "10000:e1:1f.7"),
            ("0000:03:00.0,tx_pp=500", DeviceKind::Pci, "0000:03:00.0"),
            ("net_null0", DeviceKind::Virtual, "net_null0"),
            ("net_af_xdp0,iface=eth1", DeviceKind::Virtual, "net_af_xdp0"),
            (
                // A path may hold a `:`.
                "net_virtio_user0,path=/run/a:b.sock,server=1",
                DeviceKind::Virtual,
                "net_virtio_user0",
            ),
        ] {
            let device = read(text);
            assert_eq!((device.kind(), device.name()), (kind, name), "{text}");
            let is_virtual = kind == DeviceKind::Virtual;
            assert_eq!(device.driver().is_some(), is_virtual, "{text}");
        }
    }

    #[test]
    fn arguments_are_read_and_written_again() {
        let text = "net_virtio_user12,path=/run/x=y.sock,server=0,cores=[0,2],server=1";
        let device = read(text);
        assert_eq!(device.driver(), Some("net_virtio_user"));
        assert_eq!(device.argument("path"), Some("/run/x=y.sock"));
        assert_eq!(device.argument("cores"), Some("[0,2]"));
        assert_eq!(device.argument("server"), Some("1"), "the last one counts");
        assert_eq!(device.argument("iface"), None);
        assert_eq!(device.to_string(), text);
    }

    #[test]
    fn what_is_none_is_refused_in_words_for_what_it_looks_like() {
        let refused = |text: &str| text.parse::<DeviceName>().expect_err(text);
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "eth1,mtu=9000",
            "0123456789abcdef",
            "virtio_user0,path=/x",
        ] {
            assert!(
                matches!(refused(text), DeviceNameError::Interface(_)),
                "{text}"
            );
        }
        for text in [
            "03:00.0",
            "0000:03:00",
            "0000:03:20.0",
            "0000:03:00.8",
            "0000:03:00.0.0",
            "0000:3:00.0",
            "+000:03:00.0",
            "0000:03:00:00.0",
            "a:b",
        ] {
            assert!(matches!(refused(text), DeviceNameError::Pci(_)), "{text}");
        }
        for text in [
            "net_",
            "net_a-b",
            "net_tap 0",
            &format!("net_{}", "x".repeat(60)),
        ] {
            assert!(
                matches!(refused(text), DeviceNameError::Virtual(_)),
                "{text}"
            );
        }
        for text in [
            "net_tap0,",
            "net_tap0,iface",
            "net_tap0,=x",
            "net_tap0,iface=",
            "net_tap0,iface=a b",
            "0000:03:00.0,\u{1b}=1",
        ] {
            assert!(
                matches!(refused(text), DeviceNameError::Argument(_)),
                "{text}"
            );
        }
        let long = format!("net_tap0,iface={}", "x".repeat(500));
        assert_eq!(refused(&long), DeviceNameError::TooLong(long.len()));
    }

    #[test]
    fn a_refusal_is_short_and_plays_no_tricks() {
        for text in ["\u{1b}[2 J", "net_\u{1b}[2J", ":\n", &"y".repeat(100_000)] {
            let said = text.parse::<DeviceName>().expect_err(text).to_string();
            assert!(
                said.len() < 200 && !said.contains(char::is_control),
                "{said:?}"
            );
        }
    }
}
