//! What a failing test leaves for whoever looks into it: its captures.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{BufWriter, Write},
    panic,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Once, TryLockError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use pcap_file::{
    DataLink, TsResolution,
    pcap::{PcapHeader, PcapPacket, PcapWriter},
};

use crate::capture::CapturedFrame;

/// The environment variable that names the directory where a test that panics leaves its captures, as pcap files with
/// CLOCK_TAI. Without it they are lost.
pub const VARIABLE: &str = "TSN_CAPTURES";

/// Longer than any frame.
const LONGEST_BYTES: u32 = 1 << 18;

/// Frames that a capture has seen so far.
pub(crate) type Frames = Arc<Mutex<Vec<CapturedFrame>>>;

thread_local! {
    /// The captures that this thread began. A test has a thread of its own.
    static CAPTURES: RefCell<Vec<(String, Frames)>> = const { RefCell::new(Vec::new()) };
}

/// Remembers a capture of this name until its thread ends, if anybody wants it.
pub(crate) fn keep(name: String, frames: &Frames) {
    static HOOK: Once = Once::new();
    let Some(directory) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        return;
    };
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            before(what);
            leave(&directory);
        }));
    });
    CAPTURES.with_borrow_mut(|captures| captures.push((name, Arc::clone(frames))));
}

/// Writes what this thread has captured.
fn leave(directory: &Path) {
    let captures = CAPTURES.with_borrow(Clone::clone);
    let current = thread::current();
    let test = current.name().unwrap_or("test").replace("::", "-");
    for (place, (name, frames)) in captures.into_iter().enumerate() {
        let path = directory.join(format!("{test}-{}-{name}.pcap", place + 1));
        // The one that panics may be looking at the frames just now.
        let frames = match frames.try_lock() {
            Ok(frames) => frames,
            Err(TryLockError::Poisoned(frames)) => frames.into_inner(),
            Err(TryLockError::WouldBlock) => {
                eprintln!("{} is not kept: its frames are in use", path.display());
                continue;
            }
        };
        match write(&path, &frames) {
            Ok(()) => eprintln!("{} captured frames are in {}", frames.len(), path.display()),
            Err(error) => eprintln!("cannot keep a capture: {error:#}"),
        }
    }
}

fn write(path: &Path, frames: &[CapturedFrame]) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
    let header = PcapHeader {
        datalink: DataLink::ETHERNET,
        ts_resolution: TsResolution::NanoSecond,
        snaplen: LONGEST_BYTES,
        ..PcapHeader::default()
    };
    let mut pcap = PcapWriter::with_header(BufWriter::new(file), header)?;
    for frame in frames {
        let at = Duration::from_nanos(frame.arrival_ns);
        pcap.write_packet(&PcapPacket::new(at, frame.length as u32, &frame.bytes))?;
    }
    pcap.into_writer().flush().context("write captured frames")
}

#[cfg(test)]
mod tests {
    use pcap_file::pcap::PcapReader;

    use super::*;

    #[test]
    fn a_file_has_every_frame_with_its_time_and_its_whole_length() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below/one.pcap");
        let frame = |number: u8| CapturedFrame {
            arrival_ns: 1_700_000_000_000_000_000 + u64::from(number),
            bytes: vec![number; 64],
            length: 1_514,
        };
        write(&path, &[frame(1), frame(2)]).unwrap();
        let mut reader = PcapReader::new(File::open(&path).unwrap()).unwrap();
        for number in [1, 2] {
            let packet = reader.next_packet().unwrap().unwrap();
            assert_eq!(
                packet.timestamp,
                Duration::from_nanos(frame(number).arrival_ns)
            );
            assert_eq!(packet.orig_len, 1_514);
            assert_eq!(packet.data, frame(number).bytes);
        }
        assert!(reader.next_packet().is_none());
    }
}
