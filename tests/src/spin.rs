//! The bare spin loop: what the machine can do at best. A pinned thread spins on the clock and then sends one frame.
//! Measurements are reported beside it, since both suffer alike from what else the machine does.

use std::{ffi::CString, time::Duration};

use anyhow::{Context, Result};

use crate::{clock::tai_now_ns, namespace::Namespace, packet::PacketSocket};

/// A thread that never sleeps is robbed of its core; this one sleeps until so long before each instant.
const SPIN_BEFORE_NS: u64 = 250_000;

/// When frames are sent.
#[derive(Debug, Clone, Copy)]
pub struct Instants {
    /// The first one, TAI ns.
    pub first_ns: u64,
    /// From one to the next.
    pub period_ns: u64,
    /// How many.
    pub count: u32,
}

/// Sends a frame by `interface` of `namespace` at each instant. `settle` gives the thread its core and priority;
/// `prepare` writes number and instant into the frame beforehand.
///
/// # Errors
///
/// Those of `settle`; when there is no such device, or a frame is refused.
pub fn run(
    namespace: &Namespace,
    interface: &str,
    settle: impl FnOnce() -> Result<()> + Send,
    instants: Instants,
    frame: &mut [u8],
    prepare: impl Fn(u32, u64, &mut [u8]) + Send,
) -> Result<()> {
    let name = CString::new(interface)?;
    namespace.enter(move || {
        settle()?;
        let socket = PacketSocket::open(&name).with_context(|| format!("open {interface}"))?;
        for number in 0..instants.count {
            let instant_ns = instants.first_ns + u64::from(number) * instants.period_ns;
            prepare(number, instant_ns, frame);
            let early_ns = instant_ns.saturating_sub(tai_now_ns() + SPIN_BEFORE_NS);
            std::thread::sleep(Duration::from_nanos(early_ns));
            while tai_now_ns() < instant_ns {
                std::hint::spin_loop();
            }
            socket.send(frame).context("send")?;
        }
        Ok(())
    })?
}
