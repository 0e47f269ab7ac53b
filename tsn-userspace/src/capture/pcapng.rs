//! Captured frames as a pcapng file, which Wireshark reads.
//!
//! Each packet's time is its departure; the interface's `if_tsoffset` turns TAI into the UTC that readers show. What else
//! is known of a frame is its comment (`opt_comment`): class, pod, stream, launch time, error.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::interface_statistics::{
    InterfaceStatisticsBlock, InterfaceStatisticsOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};

use super::line::{CaptureCount, CaptureStart, CapturedFrame, from_hex};

/// `if_tsresol`: times are in units of 10⁻⁹ s.
const NANOSECONDS: u8 = 9;
/// The only interface.
const INTERFACE: u32 = 0;

/// Writes a capture.
pub struct CaptureFile<W: Write> {
    writer: PcapNgWriter<W>,
    class_names: [Option<String>; 8],
    last_departure_ns: u64,
}

impl<W: Write> CaptureFile<W> {
    /// Begins the file.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn new(writer: W, start: CaptureStart) -> Result<Self> {
        let application = format!("tsnctl, with tsnd {}", start.version);
        let section = SectionHeaderBlock {
            // pcap-file writes 64-bit times as one number; only in this order are its halves where readers want them.
            endianness: Endianness::Big,
            options: vec![SectionHeaderOption::UserApplication(application.into())],
            ..SectionHeaderBlock::default()
        };
        let description = format!(
            "tsnd uplink {}, frames as they left; times are the end of the wake-up that sent them",
            start.device
        );
        let interface = InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: start.snap_length as u32,
            options: vec![
                InterfaceDescriptionOption::IfName(start.device.into()),
                InterfaceDescriptionOption::IfDescription(description.into()),
                InterfaceDescriptionOption::IfSpeed(u64::from(start.link_speed) * 1_000_000),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                // Signed in the format, not in the crate.
                InterfaceDescriptionOption::IfTsOffset(
                    (-i64::from(start.tai_utc_offset_s)).cast_unsigned(),
                ),
            ],
        };
        let mut writer = PcapNgWriter::with_section_header(writer, section).map_err(cause)?;
        writer.write_pcapng_block(interface).map_err(cause)?;
        Ok(Self {
            writer,
            class_names: start.class_names,
            last_departure_ns: 0,
        })
    }

    /// Adds a frame.
    ///
    /// # Errors
    ///
    /// What the writer says, or that the frame's bytes are no hexadecimal digits.
    pub fn write(&mut self, frame: &CapturedFrame<'_>) -> Result<()> {
        let bytes = from_hex(&frame.bytes)
            .with_context(|| format!("bytes `{}`: no pairs of hex digits", frame.bytes))?;
        let class_name = self.class_names.get(usize::from(frame.class));
        let class_name = class_name.and_then(Option::as_deref);
        let packet = EnhancedPacketBlock {
            interface_id: INTERFACE,
            timestamp: Duration::from_nanos(frame.departure_ns),
            original_len: frame.length_bytes as u32,
            data: Cow::from(bytes),
            options: vec![EnhancedPacketOption::Comment(
                comment(frame, class_name).into(),
            )],
        };
        self.last_departure_ns = frame.departure_ns;
        self.writer.write_pcapng_block(packet).map_err(cause)?;
        Ok(())
    }

    /// Hands on what has been written, for those who read along.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn flush(&mut self) -> Result<()> {
        Ok(self.writer.get_mut().flush()?)
    }

    /// Ends the file with how many frames there were.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn finish(mut self, count: CaptureCount) -> Result<()> {
        let statistics = InterfaceStatisticsBlock {
            interface_id: INTERFACE,
            timestamp: self.last_departure_ns,
            options: vec![
                InterfaceStatisticsOption::IsbIfRecv(count.frames + count.missed),
                InterfaceStatisticsOption::IsbIfDrop(count.missed),
            ],
        };
        self.writer.write_pcapng_block(statistics).map_err(cause)?;
        self.flush()
    }
}

/// The writer's own error where there is one, so that a reader that is gone is recognised.
fn cause(error: PcapError) -> anyhow::Error {
    match error {
        PcapError::IoError(error) => error.into(),
        other => other.into(),
    }
}

/// What a packet's comment says: `class 6 control, pod x, stream y, launch time … ns TAI, departure − launch time
/// +340 ns, stalled`.
fn comment(frame: &CapturedFrame<'_>, class_name: Option<&str>) -> String {
    let mut text = format!("class {}", frame.class);
    let mut add = |arguments: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = text.write_fmt(arguments);
    };
    if let Some(name) = class_name {
        add(format_args!(" {name}"));
    }
    if let Some(pod) = &frame.pod {
        add(format_args!(", pod {pod}"));
    }
    if let Some(stream) = &frame.stream {
        add(format_args!(", stream {stream}"));
    }
    for (what, wanted_ns) in [
        ("launch time", frame.launch_time_ns),
        ("deadline", frame.deadline_ns),
    ] {
        if let Some(wanted_ns) = wanted_ns {
            let error_ns = i128::from(frame.departure_ns) - i128::from(wanted_ns);
            add(format_args!(
                ", {what} {wanted_ns} ns TAI, departure − {what} {error_ns:+} ns"
            ));
        }
    }
    if frame.stalled {
        add(format_args!(", stalled"));
    }
    text
}

#[cfg(test)]
mod tests {
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::*;
    use crate::capture::line::to_hex;

    const DEPARTURE_NS: u64 = 1_800_000_037_123_456_789;

    fn start() -> CaptureStart {
        let mut class_names: [Option<String>; 8] = Default::default();
        class_names[6] = Some("control".to_owned());
        CaptureStart {
            device: "uplink0".to_owned(),
            version: "1.2.3".to_owned(),
            link_speed: 1_000,
            tai_utc_offset_s: 37,
            snap_length: 128,
            class_names,
        }
    }

    fn frame() -> CapturedFrame<'static> {
        CapturedFrame {
            departure_ns: DEPARTURE_NS,
            launch_time_ns: Some(DEPARTURE_NS - 340),
            deadline_ns: None,
            class: 6,
            pod: Some("x".into()),
            stream: Some("y".into()),
            stalled: true,
            length_bytes: 1_500,
            bytes: to_hex(&[0xab; 127]),
        }
    }

    #[test]
    fn a_comment_says_all_that_is_known() {
        assert_eq!(
            comment(&frame(), Some("control")),
            "class 6 control, pod x, stream y, launch time 1800000037123456449 ns TAI, departure − launch time +340 ns, \
             stalled"
        );
        let untimed = CapturedFrame {
            launch_time_ns: None,
            pod: None,
            stream: None,
            stalled: false,
            ..frame()
        };
        assert_eq!(comment(&untimed, None), "class 6");
        let by = CapturedFrame {
            deadline_ns: Some(DEPARTURE_NS + 7),
            ..untimed
        };
        assert_eq!(
            comment(&by, None),
            "class 6, deadline 1800000037123456796 ns TAI, departure − deadline -7 ns"
        );
    }

    #[test]
    fn another_reader_finds_everything_again() {
        let mut bytes = Vec::new();
        let mut file = CaptureFile::new(&mut bytes, start()).unwrap();
        file.write(&frame()).unwrap();
        let count = CaptureCount {
            frames: 1,
            missed: 5,
        };
        file.finish(count).unwrap();

        let mut reader = PcapNgReader::new(&*bytes).unwrap();
        let mut blocks = Vec::new();
        while let Some(block) = reader.next_block() {
            blocks.push(block.unwrap().into_owned());
        }
        let [
            Block::InterfaceDescription(interface),
            Block::EnhancedPacket(packet),
            Block::InterfaceStatistics(statistics),
        ] = &blocks[..]
        else {
            panic!("{blocks:?}");
        };
        assert_eq!(interface.linktype, DataLink::ETHERNET);
        assert_eq!(interface.snaplen, 128);
        for option in [
            InterfaceDescriptionOption::IfName("uplink0".into()),
            InterfaceDescriptionOption::IfTsResol(9),
            InterfaceDescriptionOption::IfTsOffset((-37i64).cast_unsigned()),
        ] {
            assert!(interface.options.contains(&option), "{option:?}");
        }
        assert_eq!(packet.timestamp, Duration::from_nanos(DEPARTURE_NS));
        assert_eq!(packet.original_len, 1_500);
        assert_eq!(*packet.data, [0xab; 127]);
        let expected = EnhancedPacketOption::Comment(comment(&frame(), Some("control")).into());
        assert_eq!(packet.options, [expected]);
        assert_eq!(
            statistics.options,
            [
                InterfaceStatisticsOption::IsbIfRecv(6),
                InterfaceStatisticsOption::IsbIfDrop(5)
            ]
        );
        // High half first, whatever the machine's order.
        let times = [
            (DEPARTURE_NS >> 32) as u32,
            (DEPARTURE_NS & 0xffff_ffff) as u32,
        ];
        let times: Vec<u8> = times.iter().flat_map(|half| half.to_be_bytes()).collect();
        let places = bytes.windows(8).filter(|window| *window == times).count();
        assert_eq!(places, 2, "of the packet and of the statistics");
    }
}
