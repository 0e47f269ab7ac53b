//! What a device tells of its driver, queues, offloads and time stamping (`SIOCETHTOOL`, linux/ethtool.h).
//!
//! All of it concerns the network namespace of the calling thread.

use std::io;

use super::device::{ioctl, request_of};

const GET_LINK: u32 = 0x01;
const GET_DRIVER: u32 = 0x03;
const GET_COALESCE: u32 = 0x0e;
const GET_PAUSE: u32 = 0x12;
const GET_TSO: u32 = 0x1e;
const GET_FLAGS: u32 = 0x25;
const SET_FLAGS: u32 = 0x26;
const GET_GRO: u32 = 0x2b;
const SET_GRO: u32 = 0x2c;
const GET_CHANNELS: u32 = 0x3c;
const GET_TIME_STAMPING: u32 = 0x41;
const GET_EEE: u32 = 0x44;

const FLAG_RECEIVE_VLAN: u32 = 1 << 8;
const FLAG_LRO: u32 = 1 << 15;

/// What a device tells; `None` where it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ethtool {
    /// The driver's name.
    pub driver: Option<String>,
    /// Where the device sits, such as the PCI address `0000:00:03.0`.
    pub bus: Option<String>,
    /// Its speed in Mb/s.
    pub speed_mbps: Option<u32>,
    /// Its queues.
    pub channels: Option<Channels>,
    /// Generic receive offload; on a veth also its receive polling (NAPI).
    pub gro: Option<bool>,
    /// Large receive offload.
    pub lro: Option<bool>,
    /// TCP segmentation offload.
    pub tso: Option<bool>,
    /// Whether the device takes VLAN tags out of received frames.
    pub receive_vlan: Option<bool>,
    /// Interrupt coalescing of reception.
    pub coalescing: Option<Coalescing>,
    /// Whether Energy-Efficient Ethernet is in force on the link.
    pub eee_active: Option<bool>,
    /// Whether the device obeys pause frames (IEEE 802.3 annex 31B).
    pub obeys_pause: Option<bool>,
    /// Number of its PTP hardware clock; `Some(None)` when it has none.
    pub hardware_clock: Option<Option<u32>>,
}

/// Queues in use and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// Receive queues in use, combined ones included.
    pub receive: u32,
    /// Transmit queues in use, combined ones included.
    pub transmit: u32,
    /// Transmit queues that the device can have.
    pub transmit_limit: u32,
}

/// Interrupt coalescing of reception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coalescing {
    /// How long a received frame may wait for its interrupt, in microseconds.
    pub receive_us: u32,
    /// Whether the device chooses that time itself.
    pub adaptive: bool,
}

impl Ethtool {
    /// Asks a device of the calling thread's network namespace.
    pub fn read(device: &str) -> Self {
        let flags = value(device, GET_FLAGS);
        let driver = words::<49>(device, GET_DRIVER).ok();
        Self {
            driver: driver.as_ref().and_then(|words| text(words, 4)),
            bus: driver.as_ref().and_then(|words| text(words, 100)),
            speed_mbps: link_speed_mbps(device),
            channels: channels(device).ok(),
            gro: value(device, GET_GRO).map(|on| on != 0),
            lro: flags.map(|flags| flags & FLAG_LRO != 0),
            tso: value(device, GET_TSO).map(|on| on != 0),
            receive_vlan: flags.map(|flags| flags & FLAG_RECEIVE_VLAN != 0),
            coalescing: words::<23>(device, GET_COALESCE)
                .ok()
                .map(|words| Coalescing {
                    receive_us: words[1],
                    adaptive: words[10] != 0,
                }),
            eee_active: words::<10>(device, GET_EEE).ok().map(|words| words[4] != 0),
            obeys_pause: words::<4>(device, GET_PAUSE)
                .ok()
                .map(|words| words[2] != 0),
            hardware_clock: words::<10>(device, GET_TIME_STAMPING)
                .ok()
                .map(|words| u32::try_from(words[2].cast_signed()).ok()),
        }
    }
}

/// The speed of a device's link in Mb/s (`struct ethtool_cmd`: the halves of its words 3 and 7).
pub(super) fn link_speed_mbps(device: &str) -> Option<u32> {
    const UNKNOWN: u32 = u32::MAX;
    let words = words::<11>(device, GET_LINK).ok()?;
    let first_half = |word: u32| {
        let [a, b, ..] = word.to_ne_bytes();
        u32::from(u16::from_ne_bytes([a, b]))
    };
    match first_half(words[3]) | first_half(words[7]) << 16 {
        0 | 0xffff | UNKNOWN => None,
        speed => Some(speed),
    }
}

pub(super) fn channels(device: &str) -> io::Result<Channels> {
    let [
        _,
        _,
        max_transmit,
        _,
        max_combined,
        receive,
        transmit,
        _,
        combined,
    ] = words::<9>(device, GET_CHANNELS)?;
    Ok(Channels {
        receive: receive + combined,
        transmit: transmit + combined,
        transmit_limit: max_transmit + max_combined,
    })
}

/// Generic receive offload; on a veth also its receive polling (NAPI).
pub(super) fn gro(device: &str) -> io::Result<bool> {
    let [_, on] = words::<2>(device, GET_GRO)?;
    Ok(on != 0)
}

pub(super) fn set_gro(device: &str, on: bool) -> io::Result<()> {
    exchange(device, &mut [SET_GRO, u32::from(on)])
}

/// Switches the taking of VLAN tags out of received frames off.
pub(super) fn keep_vlan_tags(device: &str) -> io::Result<()> {
    let [_, flags] = words::<2>(device, GET_FLAGS)?;
    if flags & FLAG_RECEIVE_VLAN == 0 {
        return Ok(());
    }
    exchange(device, &mut [SET_FLAGS, flags & !FLAG_RECEIVE_VLAN])
}

/// A `struct ethtool_value`.
fn value(device: &str, command: u32) -> Option<u32> {
    words::<2>(device, command).ok().map(|words| words[1])
}

/// A command's answer.
fn words<const N: usize>(device: &str, command: u32) -> io::Result<[u32; N]> {
    let mut record = [0; N];
    record[0] = command;
    exchange(device, &mut record)?;
    Ok(record)
}

/// Hands over a command's record as words, of which the first is the command, and takes the answer in its place. `N` is
/// the length of that record in linux/ethtool.h.
fn exchange<const N: usize>(device: &str, record: &mut [u32; N]) -> io::Result<()> {
    let mut request = request_of(device)?;
    request.ifr_ifru.ifru_data = record.as_mut_ptr().cast();
    // SAFETY: every call in this file gives `N` the length of the record that its command takes (the kernel reads and
    // fills no more than that), and the record lives through the call.
    unsafe { ioctl(libc::SIOCETHTOOL, &mut request) }
}

/// The text of 32 bytes at an offset of the record; `None` if it is empty.
fn text(words: &[u32], offset: usize) -> Option<String> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let field = bytes.get(offset..offset + 32)?;
    let text = field.split(|byte| *byte == 0).next()?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_does_not_exist_tells_nothing() {
        assert_eq!(Ethtool::read("no-such-device"), Ethtool::default());
        let too_long = "lo-and-a-name-that-no-device-can-have";
        assert_eq!(Ethtool::read(too_long), Ethtool::default());
    }

    #[test]
    fn the_loopback_has_offloads_and_no_bus() {
        let lo = Ethtool::read("lo");
        assert_eq!((&lo.bus, lo.lro), (&None, Some(false)));
        assert!(lo.tso.is_some() && lo.gro.is_some(), "{lo:?}");
        assert_eq!(lo.speed_mbps, None);
    }
}
