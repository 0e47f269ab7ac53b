//! The daemon, its worker, its clock and its gates.

use super::Kind::{Counter, Gauge, Histogram, Info};
use super::{Family, family, one, seconds};
use crate::clock::SyncState;
use crate::worker::stall::LENGTH_BOUNDS_NS;

pub(super) const FAMILIES: &[Family] = &[
    // The daemon
    family(
        "tsnd_build",
        Info,
        &["version", "backend"],
        "What runs.",
        |m, to| {
            to.put(&[&m.status.version, &m.status.backend], 1.0);
        },
    ),
    one(
        "process_start_time_seconds",
        Gauge,
        "When the daemon started, in seconds since 1970 (UTC).",
        |status| seconds(status.started_at_unix_ns),
    ),
    one(
        "tsnd_sleeps",
        Counter,
        "How often the worker slept.",
        |status| status.sleeps as f64,
    ),
    family(
        "tsnd_stall_seconds",
        Histogram,
        &[],
        "Lengths of the times in which the worker's core was taken away.",
        |m, to| {
            let stalls = &m.status.stalls;
            let bounds = LENGTH_BOUNDS_NS.iter().map(|ns| *ns as i64);
            to.histogram(&[], bounds, &stalls.lengths, stalls.total_ns as f64);
        },
    ),
    one(
        "tsnd_stall_longest_seconds",
        Gauge,
        "The longest of them since the start.",
        |status| seconds(status.stalls.longest_ns),
    ),
    one(
        "tsnd_stalled_frames",
        Counter,
        "Frames that a stall touched.",
        |status| status.stalls.frames as f64,
    ),
    // The clock
    family(
        "tsnd_clock_state",
        Gauge,
        &["state"],
        "1 for the state that the clock is in, 0 for the others.",
        |m, to| {
            for state in SyncState::ALL {
                to.put(&[state.name()], f64::from(state == m.status.clock.state));
            }
        },
    ),
    one(
        "tsnd_clock_offset_seconds",
        Gauge,
        "How far the kernel still has to slew the clock; 0 under a source that steers its frequency.",
        |status| status.clock.offset_ns as f64 / 1e9,
    ),
    one(
        "tsnd_clock_estimated_error_seconds",
        Gauge,
        "The kernel's estimate of the clock's error.",
        |status| status.clock.estimated_error_us as f64 / 1e6,
    ),
    one(
        "tsnd_clock_max_error_seconds",
        Gauge,
        "The kernel's bound on the clock's error.",
        |status| status.clock.max_error_us as f64 / 1e6,
    ),
    one(
        "tsnd_clock_tai_offset_seconds",
        Gauge,
        "TAI - UTC as the kernel knows it; 0 means that nobody told it.",
        |status| status.clock.tai_utc_offset_s.into(),
    ),
    one(
        "tsnd_clock_steps",
        Counter,
        "How often the worker saw that the clock had been set.",
        |status| status.clock_steps as f64,
    ),
    // The gates
    one(
        "tsnd_config_pending",
        Gauge,
        "1 while a gate control list waits for its start.",
        |status| f64::from(status.gates.config_pending),
    ),
    one(
        "tsnd_config_change_errors",
        Counter,
        "Gate control lists that were asked to start in the past while another ran.",
        |status| status.gates.config_change_error as f64,
    ),
];
