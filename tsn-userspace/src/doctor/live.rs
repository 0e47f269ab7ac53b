//! The answers of the kernel that this program runs on.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tsn_programs::{Device, Ethtool, Pinned, ProgramError, program_name, within_netns};

use super::machine::{ClockFacts, DeviceKey, Kernel};
use crate::clock::{ClockMonitor, SyncState, tai_now};

/// Clock reads that are timed together.
const CLOCK_READS: u32 = 1_000;

/// The kernel that this program runs on.
#[derive(Debug, Clone, Copy)]
pub struct Live;

impl Kernel for Live {
    fn af_xdp(&self) -> io::Result<()> {
        Socket::new(Domain::from(libc::AF_XDP), Type::RAW, None).map(drop)
    }

    fn clock(&self) -> ClockFacts {
        // The flag and the bound are told apart.
        let status = ClockMonitor::new(Duration::MAX, Duration::ZERO).sample();
        let start = Instant::now();
        for _ in 0..CLOCK_READS {
            std::hint::black_box(tai_now());
        }
        ClockFacts {
            synchronised: status.state == SyncState::Locked,
            tai_utc_offset_s: status.tai_utc_offset_s,
            max_error_us: status.max_error_us,
            read_ns: (start.elapsed() / CLOCK_READS).as_nanos() as u64,
        }
    }

    fn device(&self, netns: Option<&Path>, key: DeviceKey<'_>) -> io::Result<(Device, Ethtool)> {
        let read = || {
            let device = match key {
                DeviceKey::Name(name) => Device::by_name(name)?,
                DeviceKey::Index(index) => Device::by_index(index)?,
            };
            let ethtool = Ethtool::read(&device.name);
            Ok((device, ethtool))
        };
        match netns {
            Some(path) => within_netns(path, read),
            None => read(),
        }
        .map_err(as_io)
    }

    fn pinned(&self, pin_dir: &Path) -> io::Result<Pinned> {
        Pinned::read(pin_dir).map_err(as_io)
    }

    fn program_name(&self, id: u32) -> Option<String> {
        program_name(id)
    }

    fn wait(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// Keeps the kind of the kernel's answer, which tells a missing right from a missing thing.
fn as_io(error: ProgramError) -> io::Error {
    let kind = match &error {
        ProgramError::Netns { source, .. }
        | ProgramError::Device { source, .. }
        | ProgramError::Pin { source, .. } => source.kind(),
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string())
}
