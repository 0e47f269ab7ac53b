//! How precisely the real worker starts its wake-ups, beside a bare spin loop on the same core, turn by turn.
//!
//! `cargo bench -p tsn-userspace --bench worker` prints JSON: for each subject the start of the uplink's wake-up less
//! the launch time, frame by frame, in nanoseconds. `cargo xtask bench` makes tables of it. The ports have no device
//! behind them, or with the feature `dpdk` DPDK's null device, so that there is no lead and nothing but the worker is
//! measured.

mod no_device;
#[cfg(feature = "dpdk")]
mod null_device;
mod port;
mod spin;
mod turn;

use std::time::Duration;

use clap::Parser;
use serde::Serialize;
use tsn_userspace::worker::thread::{make_realtime, pin, sharpen_timers};

use turn::Turn;

/// How often the subjects take turns, for how long, and where.
#[derive(Parser)]
struct Arguments {
    /// The core of worker and spin loop; this process's other threads stay on core 0.
    #[arg(long, default_value_t = 1)]
    cpu: usize,
    /// SCHED_FIFO priority of worker and spin loop.
    #[arg(long, default_value_t = 50)]
    realtime_priority: u8,
    /// How often each subject has its turn.
    #[arg(long, default_value_t = 4)]
    rounds: u32,
    /// Length of a turn in milliseconds; one frame is due in each.
    #[arg(long, default_value_t = 1_000)]
    turn_ms: u32,
    /// Measure the worker over DPDK's null device.
    #[cfg(feature = "dpdk")]
    #[arg(long)]
    dpdk: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Who is measured.
#[derive(Clone, Copy)]
enum Subject {
    BareSpinLoop,
    Worker {
        pods: usize,
        queued: usize,
    },
    #[cfg(feature = "dpdk")]
    WorkerOverDpdk {
        pods: usize,
    },
}

/// Without a device.
const WORKER_ALONE: &[Subject] = &[
    Subject::BareSpinLoop,
    Subject::Worker { pods: 1, queued: 0 },
    Subject::Worker {
        pods: 16,
        queued: 0,
    },
    Subject::Worker {
        pods: 128,
        queued: 0,
    },
    Subject::Worker {
        pods: 128,
        queued: 100_000,
    },
];
/// With `--dpdk`.
#[cfg(feature = "dpdk")]
const OVER_DPDK: &[Subject] = &[
    Subject::BareSpinLoop,
    Subject::Worker { pods: 1, queued: 0 },
    Subject::WorkerOverDpdk { pods: 1 },
    // With the uplink, half of what DPDK can have.
    Subject::WorkerOverDpdk { pods: 15 },
];

/// What was found of a subject.
#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Found {
    /// `None` for the bare spin loop.
    pods: Option<usize>,
    /// Frames that waited all the time.
    queued: usize,
    /// What is below the ports, if anything is.
    device: Option<&'static str>,
    /// Start of the wake-up less launch time, of all frames that no stall touched.
    errors_ns: Vec<i64>,
    /// Frames that a stall touched.
    stalled: usize,
    /// Frames that this process handed over too late to say anything.
    handed_over_late: usize,
}

fn main() {
    let arguments = Arguments::parse();
    pin(0).expect("core 0");
    #[cfg(not(feature = "dpdk"))]
    let subjects = WORKER_ALONE;
    #[cfg(feature = "dpdk")]
    let (subjects, devices) = match arguments.dpdk {
        false => (WORKER_ALONE, None),
        true => (OVER_DPDK, Some(null_device::NullDevices::new())),
    };
    let settle = move || {
        pin(arguments.cpu).expect("the worker's core");
        make_realtime(arguments.realtime_priority).expect("SCHED_FIFO needs root");
        sharpen_timers();
    };
    let length = Duration::from_millis(arguments.turn_ms.into());
    let mut found: Vec<Found> = subjects.iter().map(|_| Found::default()).collect();
    for _ in 0..arguments.rounds {
        for (found, subject) in found.iter_mut().zip(subjects) {
            let turn = match *subject {
                Subject::BareSpinLoop => spin::measure(length, settle),
                Subject::Worker { pods, queued } => {
                    found.pods = Some(pods);
                    found.queued = queued;
                    turn::measure(length, pods, queued, |_| no_device::NoDevice, settle)
                }
                #[cfg(feature = "dpdk")]
                Subject::WorkerOverDpdk { pods } => {
                    found.pods = Some(pods);
                    found.device = Some("net_null");
                    let devices = devices.expect("--dpdk was given");
                    let settle = || {
                        settle();
                        devices.enter_thread();
                    };
                    turn::measure(length, pods, 0, |number| devices.port(number), settle)
                }
            };
            found.add(&turn);
        }
    }
    println!("{}", serde_json::to_string(&found).expect("plain numbers"));
}

impl Found {
    fn add(&mut self, turn: &Turn) {
        self.handed_over_late += turn.handed_over_late;
        for departure in &turn.departures {
            if turn.is_stalled(departure) {
                self.stalled += 1;
            } else {
                self.errors_ns.push(departure.error_ns());
            }
        }
    }
}
