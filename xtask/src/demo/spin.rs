//! The bare spin loop, measured in the same way and minutes as the runs.

use std::time::Duration;

use anyhow::{Context, Result};
use tsn_perf::{distribution::Distribution, process::ProcessOptions, wire::Header};
use tsn_tests::{
    capture::Capture,
    clock::tai_now_ns,
    namespace::Namespace,
    spin::{self, Instants},
    topology::{Network, UPLINK},
    wait::wait_until,
};

use super::plan::CYCLE_NS;

const FRAMES: u32 = 2_000;
const FRAME_BYTES: usize = 128;
const HEADER_BYTES: usize = 14;

/// A group address that no bridge forwards (IEEE 802.1Q, nearest bridge), and a local experimental EtherType.
const HEADER: [u8; HEADER_BYTES] = [0x01, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];

/// What is still under way when the loop has ended is there within this.
pub const ARRIVAL_BOUND: Duration = Duration::from_secs(5);

/// Arrival less the instant that the loop spun for, in ns, over a wire without other traffic.
///
/// # Errors
///
/// When the wire cannot be built or no frame comes through.
pub fn measure(options: &ProcessOptions) -> Result<Distribution> {
    let network = Network::new(0)?;
    let wire = Capture::start(&network.far.namespace, UPLINK)?;
    let errors_ns = send(&network.near.namespace, wire, FRAMES, options)?;
    Distribution::of(errors_ns).context("no frame of the spin loop came through")
}

/// Sends so many frames by the uplink of `near`, and sees by `wire` when they arrive: arrival less the instant that the
/// loop spun for, in ns.
///
/// # Errors
///
/// When a frame cannot be sent, or does not arrive.
pub fn send(
    near: &Namespace,
    wire: Capture,
    frames: u32,
    options: &ProcessOptions,
) -> Result<Vec<i64>> {
    let first_ns = (tai_now_ns() / CYCLE_NS + 20) * CYCLE_NS + CYCLE_NS / 2;
    let instants = Instants {
        first_ns,
        period_ns: CYCLE_NS,
        count: frames,
    };
    let mut frame = [0; FRAME_BYTES];
    frame[..HEADER_BYTES].copy_from_slice(&HEADER);
    spin::run(
        near,
        UPLINK,
        || options.apply(),
        instants,
        &mut frame,
        |sequence, instant_ns, frame| {
            let header = Header {
                stream_id: 0,
                sequence,
                launch_time_ns: Some(instant_ns),
                sent: None,
            };
            header.encode(&mut frame[HEADER_BYTES..]);
        },
    )?;
    wait_until("the spin loop's frames", ARRIVAL_BOUND, || {
        wire.len() >= frames as usize
    })?;
    let errors_ns = wire.finish()?.into_iter().filter_map(|frame| {
        let header = Header::decode(frame.bytes.get(HEADER_BYTES..)?)?;
        Some(frame.arrival_ns.cast_signed() - header.launch_time_ns?.cast_signed())
    });
    Ok(errors_ns.collect())
}
