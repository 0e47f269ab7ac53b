//! The lines of `GET /v1/capture`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tsn_core::Launch;

use crate::worker::capture::CaptureRecord;

/// One line. The first is `start`; then `frame`s as they leave, and a `count` each second and before the first frame
/// that follows on missed ones. `end` is the last, if it is the daemon that ends the capture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureLine<'a> {
    /// What all frames have in common.
    Start(CaptureStart),
    /// A frame that left.
    Frame(CapturedFrame<'a>),
    /// How many there were.
    Count(CaptureCount),
    /// Why no more follow.
    End(CaptureEnd),
}

/// Why the daemon ended a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CaptureEnd {
    /// For people.
    pub reason: String,
}

/// What all frames have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CaptureStart {
    /// The device that they left by.
    pub device: String,
    /// The daemon's version.
    pub version: String,
    /// Its speed in Mb/s.
    pub link_speed: u32,
    /// CLOCK_TAI − CLOCK_REALTIME in seconds: to be subtracted from all times here to make them UTC.
    pub tai_utc_offset_s: i32,
    /// How many bytes of each frame are kept.
    pub snap_length: usize,
    /// Names of the classes 0 to 7.
    pub class_names: [Option<String>; 8],
}

/// A frame that left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CapturedFrame<'a> {
    /// The end of the wake-up that sent it, TAI nanoseconds.
    pub departure_ns: u64,
    /// When its socket wanted it to leave, TAI nanoseconds.
    pub launch_time_ns: Option<u64>,
    /// Or when its socket wanted it to have left, TAI nanoseconds.
    pub deadline_ns: Option<u64>,
    /// Its traffic class.
    pub class: u8,
    /// Its pod; absent if the pod has been removed since.
    pub pod: Option<Cow<'a, str>>,
    /// Its stream.
    pub stream: Option<Cow<'a, str>>,
    /// Whether a stall of the worker touched it.
    pub stalled: bool,
    /// Bytes of the whole frame, without FCS.
    pub length_bytes: usize,
    /// Its first bytes, two hexadecimal digits each.
    pub bytes: String,
}

/// How many frames there were since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CaptureCount {
    /// Those that were told.
    pub frames: u64,
    /// Those that were not, because the reader was too slow.
    pub missed: u64,
}

impl<'a> From<&'a CaptureRecord> for CapturedFrame<'a> {
    fn from(record: &'a CaptureRecord) -> Self {
        let (launch_time, deadline) = match record.launch {
            Launch::At(time) => (Some(time), None),
            Launch::By(time) => (None, Some(time)),
            Launch::None => (None, None),
        };
        let source = record.source.as_ref();
        Self {
            departure_ns: record.departure.as_nanos(),
            launch_time_ns: launch_time.map(|time| time.as_nanos()),
            deadline_ns: deadline.map(|time| time.as_nanos()),
            class: record.class.as_u8(),
            pod: source.map(|(names, _)| Cow::from(&names.pod)),
            stream: source.and_then(|(names, stream)| names.streams.get(*stream).map(Cow::from)),
            stalled: record.stalled,
            length_bytes: record.length_bytes,
            bytes: to_hex(&record.bytes),
        }
    }
}

/// Two hexadecimal digits for each byte.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

/// The bytes of [`to_hex`]; `None` if the text is something else.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|nibble| nibble as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_there_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = to_hex(&bytes);
        assert!(text.starts_with("000102") && text.ends_with("feff"));
        assert_eq!(from_hex(&text), Some(bytes));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("0g"), None);
    }
}
