//! The directory of pins: what outlives the daemon, and how its parts are named.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aya::maps::MapInfo;
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use tsn_common::{
    Beat, LAYOUT, MAX_POD_IPS, MAX_PODS, MAX_ROUTES, MAX_TUNNELS, MAX_WORKERS, PodCounter,
    PodPolicy, RouteEntry,
};

use super::ProgramError;
use super::kernel::PinnedLink;

/// The directory of pins. See the module's page for what is in it.
pub struct Pins(PathBuf);

impl Pins {
    /// Makes the directory where it is missing.
    pub fn open(path: &Path) -> Result<Self, ProgramError> {
        let existing = path.ancestors().find(|ancestor| ancestor.exists());
        if !existing
            .is_some_and(|path| statfs(path).is_ok_and(|s| s.filesystem_type() == BPF_FS_MAGIC))
        {
            return Err(ProgramError::NotBpffs {
                path: path.to_owned(),
            });
        }
        let pins = Self(path.to_owned());
        for directory in [pins.maps(), pins.uplinks(), pins.pods()] {
            make_directory(&directory)?;
        }
        Ok(pins)
    }

    /// Where the maps are pinned.
    pub fn maps(&self) -> PathBuf {
        self.0.join("maps")
    }

    fn uplinks(&self) -> PathBuf {
        self.0.join("uplinks")
    }

    fn pods(&self) -> PathBuf {
        self.0.join("pods")
    }

    /// The link of the receive program.
    pub fn uplink(&self, device: &str) -> Result<PathBuf, ProgramError> {
        Ok(self.uplinks().join(encode(device)?))
    }

    /// What is pinned for a pod, whether there is anything or not.
    pub fn pod(&self, name: &str) -> Result<PodPins, ProgramError> {
        Ok(PodPins(self.pods().join(encode(name)?)))
    }

    /// The names of the pods for which something is pinned.
    pub fn pod_names(&self) -> Result<Vec<String>, ProgramError> {
        Ok(list(&self.pods())?
            .iter()
            .map(|name| decode(name))
            .collect())
    }

    /// The devices to which the receive program is attached.
    pub fn uplink_names(&self) -> Result<Vec<String>, ProgramError> {
        Ok(list(&self.uplinks())?
            .iter()
            .map(|name| decode(name))
            .collect())
    }

    /// Whether the maps hold records of this version: it says so, and the sizes agree.
    pub fn layout_is_ours(&self) -> bool {
        let sized = |name: &str, value_bytes: usize, entries: u32| {
            MapInfo::from_pin(self.maps().join(name)).is_ok_and(|map| {
                map.value_size() as usize == value_bytes && map.max_entries() == entries
            })
        };
        read_value(&self.0.join("layout")) == Some(LAYOUT)
            && sized("POLICIES", size_of::<PodPolicy>(), MAX_PODS)
            && sized("HEARTBEATS", size_of::<Beat>(), MAX_WORKERS)
            && sized("ROUTES", size_of::<RouteEntry>(), MAX_ROUTES)
            && sized("TUNNELS", size_of::<[u8; 6]>(), MAX_TUNNELS)
            && sized("POD_IPS", size_of::<u32>(), MAX_POD_IPS)
            && sized("COUNTERS", size_of::<u64>(), MAX_PODS * PodCounter::COUNT)
    }

    /// Removes the maps, so that new ones are made, and notes their version.
    pub fn renew_maps(&self) -> Result<(), ProgramError> {
        for name in list(&self.maps())? {
            unlink(&self.maps().join(name))?;
        }
        unlink(&self.0.join("layout"))?;
        write_value(&self.0.join("layout"), LAYOUT)
    }
}

/// What is pinned for a pod.
pub struct PodPins(PathBuf);

impl PodPins {
    /// Those in a directory.
    pub(super) fn at(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    /// The link of the redirect program.
    pub fn redirect(&self) -> PathBuf {
        self.0.join("redirect")
    }

    /// The link of the stamp program.
    pub fn stamp(&self) -> PathBuf {
        self.0.join("stamp")
    }

    /// The kernel's number of the stamp program, where that is attached by a filter.
    pub fn filter(&self) -> Option<u32> {
        read_value(&self.0.join("filter"))
    }

    /// Notes it.
    pub fn set_filter(&self, program: u32) -> Result<(), ProgramError> {
        unlink(&self.0.join("filter"))?;
        write_value(&self.0.join("filter"), program)
    }

    /// The pod's index into the maps.
    pub fn slot(&self) -> Option<u32> {
        read_value(&self.0.join("slot"))
    }

    /// How the pair was before the pod was attached; `None` if nothing is pinned, or by a build that did not note it.
    pub fn before(&self) -> Option<Before> {
        Some(Before {
            netns: fs::read_link(self.0.join("netns")).ok()?,
            interface: read_value(&self.0.join("interface"))?,
            inside_ifindex: read_value(&self.0.join("inside-ifindex"))?,
            host_ifindex: read_value(&self.0.join("host-ifindex"))?,
            host_mtu: self.host_mtu()?,
            gro: read_value(&self.0.join("gro"))?,
            clsact: read_value(&self.0.join("clsact")),
        })
    }

    /// The host end's MTU before the pod was attached, which every version has noted.
    pub fn host_mtu(&self) -> Option<u32> {
        read_value(&self.0.join("mtu"))
    }

    /// Which object the pod's programs come from; `None` while they are being replaced.
    pub fn object(&self) -> Option<u64> {
        read_value(&self.0.join("object"))
    }

    /// Notes which object the pod's programs come from.
    pub fn set_object(&self, object: Option<u64>) -> Result<(), ProgramError> {
        unlink(&self.0.join("object"))?;
        object.map_or(Ok(()), |object| write_value(&self.0.join("object"), object))
    }

    /// Whether anything is there.
    pub fn exist(&self) -> bool {
        self.0.exists()
    }

    /// Makes the directory with its plain values.
    pub fn create(&self, slot: u32, before: &Before) -> Result<(), ProgramError> {
        make_directory(&self.0)?;
        let netns = self.0.join("netns");
        symlink(&before.netns, &netns).map_err(failed("make", &netns))?;
        write_value(&self.0.join("interface"), &before.interface)?;
        write_value(&self.0.join("inside-ifindex"), before.inside_ifindex)?;
        write_value(&self.0.join("host-ifindex"), before.host_ifindex)?;
        write_value(&self.0.join("mtu"), before.host_mtu)?;
        write_value(&self.0.join("gro"), before.gro)?;
        if let Some(was_there) = before.clsact {
            write_value(&self.0.join("clsact"), was_there)?;
        }
        write_value(&self.0.join("slot"), slot)
    }

    /// Removes the directory, in which no link is left.
    pub fn remove(&self) -> Result<(), ProgramError> {
        for value in list(&self.0)? {
            unlink(&self.0.join(value))?;
        }
        fs::remove_dir(&self.0).map_err(failed("remove", &self.0))
    }
}

/// A pod's veth pair as it was found: where it is, and what attaching changes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Path of the pod's network namespace.
    pub netns: PathBuf,
    /// Name that the pod's end had.
    pub interface: String,
    /// Index of the pod's end, in the pod's network namespace.
    pub inside_ifindex: u32,
    /// Index of the host end.
    pub host_ifindex: u32,
    /// The host end's MTU.
    pub host_mtu: u32,
    /// Whether GRO was on at the pod's end.
    pub gro: bool,
    /// Whether the pod's end had a `clsact`; `None` where the stamp program is attached by a link.
    pub clsact: Option<bool>,
}

/// The index of the device to which the link pinned at `path` is attached, if there are such a link and device.
pub fn attached_to(path: &Path) -> Option<u32> {
    PinnedLink::open(path).ok()?.info().ok()?.ifindex
}

/// Detaches and removes a pinned link; one that is not there is no error.
pub fn detach(path: &Path) -> Result<(), ProgramError> {
    match PinnedLink::open(path) {
        Ok(link) => link.detach().map_err(failed("detach", path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("open", path)(error)),
    }
    unlink(path)
}

/// A plain value is the target of a symbolic link.
pub(super) fn read_value<T: FromStr>(path: &Path) -> Option<T> {
    fs::read_link(path).ok()?.to_str()?.parse().ok()
}

fn write_value(path: &Path, value: impl ToString) -> Result<(), ProgramError> {
    symlink(value.to_string(), path).map_err(failed("make", path))
}

fn unlink(path: &Path) -> Result<(), ProgramError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn make_directory(path: &Path) -> Result<(), ProgramError> {
    fs::create_dir_all(path).map_err(failed("make", path))
}

pub(super) fn list(path: &Path) -> Result<Vec<String>, ProgramError> {
    let entries = fs::read_dir(path).map_err(failed("list", path))?;
    entries
        .map(|entry| {
            Ok(entry
                .map_err(failed("list", path))?
                .file_name()
                .to_string_lossy()
                .into_owned())
        })
        .collect()
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> ProgramError {
    move |source| ProgramError::Pin {
        action,
        path: path.to_owned(),
        source,
    }
}

/// A bpffs takes no dot in a name; `%` begins the two hexadecimal digits of a byte that is no letter, digit, `-` or `_`.
fn encode(name: &str) -> Result<String, ProgramError> {
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02x}")),
        }
    }
    if (1..=255).contains(&encoded.len()) {
        Ok(encoded)
    } else {
        Err(ProgramError::Name {
            name: name.to_owned(),
        })
    }
}

pub(super) fn decode(encoded: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = encoded.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| u8::from_str_radix(encoded_digits(after)?, 16).ok())
            .flatten();
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded_digits(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes.get(..2)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_encoding() {
        for name in [
            "pod1",
            "default/pod-1/eth0",
            "eth0.5",
            "100%",
            "%2",
            "ä",
            "..",
        ] {
            let encoded = encode(name).unwrap();
            assert!(!encoded.contains(['.', '/']), "{encoded}");
            assert_eq!(decode(&encoded), name);
        }
    }

    #[test]
    fn impossible_names_are_refused() {
        assert!(encode("").is_err());
        assert!(encode(&"a".repeat(256)).is_err());
        assert!(encode(&"/".repeat(86)).is_err());
        assert!(encode(&"/".repeat(85)).is_ok());
    }
}
