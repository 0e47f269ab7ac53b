//! What a frame costs in the scheduler (enqueue, next_event until its time, dequeue), by the number
//! of frames queued and by the length of the gate control list.
//!
//! Prints one JSON object: for each case the nanoseconds of a frame, the median of batches. Under
//! callgrind with `--toggle-collect='*measured_batch*'` the instructions of batches × batch-frames
//! frames are counted; ask for one case then.

use std::hint::black_box;
use std::time::Instant;

use clap::Parser;
use serde_json::{Value, json};
use tsn_core::*;

/// What a frame costs in the scheduler.
#[derive(Parser)]
struct Options {
    /// Only this case, such as `fifo/10000`.
    #[arg(long)]
    case: Option<String>,
    /// Batches that are measured.
    #[arg(long, default_value_t = 301)]
    batches: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

const CLASS: TrafficClass = TrafficClass::ALL[5];
/// The cycle of every gate control list; all have an open and a closed half of it.
const CYCLE_NS: u64 = 2_097_152;
const START_NS: u64 = 1_795_290_000_000_000_000;
const BATCH_FRAMES: u64 = 1_000;

/// As large as the frame of a backend with its place in a pod's quota.
type Handle = [u64; 10];

/// A scheduler with frames in its queues, and the time.
struct Bed {
    scheduler: Scheduler<Handle>,
    now: TaiTime,
    number: u64,
}

impl Bed {
    fn new(capacity: u64, entries: u64) -> Self {
        let class = ClassParameters {
            capacity: capacity as u32,
            queue_max_sdu_bytes: None,
            launch_time_required: false,
        };
        let mut scheduler = Scheduler::new(SchedulerParameters {
            link_speed: LinkSpeed::from_mbps(400_000).expect("not zero"),
            per_frame_overhead_bytes: ETHERNET_OVERHEAD_BYTES,
            admin_gate_states: GateStates::ALL_OPEN,
            classes: [class; 8],
        });
        let now = TaiTime::from_nanos(START_NS);
        let parameters = ScheduleParameters {
            base_time: now,
            cycle_time: None,
            cycle_time_extension: Nanoseconds::ZERO,
            entries: list(entries),
        };
        let schedule = Box::new(Schedule::new(parameters).expect("a good schedule"));
        drop(scheduler.configure(now, schedule));
        Bed {
            scheduler,
            now,
            number: 0,
        }
    }

    fn enqueue(&mut self, launch: Launch) {
        let late = LatePolicy {
            tolerance: Nanoseconds::MAX,
            action: LateAction::Send,
        };
        self.number += 1;
        let arrival = Arrival {
            frame: [self.number; 10],
            length_bytes: 60,
            sdu_bytes: 46,
            class: CLASS,
            launch,
            late,
            stream: 0,
        };
        assert!(self.scheduler.enqueue(self.now, arrival).is_ok());
    }

    /// One frame in, then on to the next departure: the number of queued frames stays as it is.
    fn step(&mut self, launch: Launch) {
        self.enqueue(launch);
        loop {
            self.now = self
                .scheduler
                .next_event(self.now)
                .expect("frames are queued");
            if let Some(departure) = self.scheduler.dequeue(self.now) {
                black_box(departure);
                return;
            }
        }
    }

    fn launch_after(&self, nanoseconds: u64) -> Launch {
        Launch::At(self.now + Nanoseconds::from_nanos(nanoseconds))
    }

    /// Launch times spread over as many slots as frames are queued, in a scattered order.
    fn scattered_launch(&self, queued: u64) -> Launch {
        let slot = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.launch_after((slot % queued + 1) * 10)
    }
}

/// `entries` entries of equal length; the class is open in every other one, and always with one
/// entry.
fn list(entries: u64) -> Vec<GateControlEntry> {
    let entry = |index: u64| GateControlEntry {
        gate_states: GateStates(if index.is_multiple_of(2) { 0xff } else { 0x01 }),
        time_interval: Nanoseconds::from_nanos(CYCLE_NS / entries),
    };
    (0..entries).map(entry).collect()
}

#[inline(never)]
fn measured_batch(step: &mut dyn FnMut()) {
    for _ in 0..BATCH_FRAMES {
        step();
    }
}

/// Measures the cases that were asked for.
struct Measurement {
    options: Options,
    ns: serde_json::Map<String, Value>,
}

impl Measurement {
    /// Measures a case: `step` handles one frame on what `prepare` has made.
    fn case(&mut self, name: String, prepare: impl FnOnce() -> Bed, step: impl Fn(&mut Bed)) {
        if self.options.case.as_ref().is_some_and(|case| *case != name) {
            return;
        }
        let mut bed = prepare();
        let mut batches_ns: Vec<u128> = (0..self.options.batches)
            .map(|_| {
                let start = Instant::now();
                measured_batch(&mut || step(&mut bed));
                start.elapsed().as_nanos()
            })
            .collect();
        batches_ns.sort_unstable();
        let median_ns = batches_ns[batches_ns.len() / 2];
        let ns = median_ns as f64 / BATCH_FRAMES as f64;
        self.ns.insert(name, ns.into());
    }
}

fn main() {
    let mut measurement = Measurement {
        options: Options::parse(),
        ns: serde_json::Map::new(),
    };
    for queued in [1, 100, 10_000, 100_000] {
        let prepare = || {
            let mut bed = Bed::new(queued + 1, 1);
            (1..queued).for_each(|_| bed.enqueue(Launch::None));
            bed
        };
        measurement.case(format!("fifo/{queued}"), prepare, |bed| {
            bed.step(Launch::None);
        });
        let prepare = || {
            let mut bed = Bed::new(queued + 1, 1);
            (1..queued).for_each(|_| bed.enqueue(bed.scattered_launch(queued)));
            bed
        };
        measurement.case(format!("launch-time/{queued}"), prepare, |bed| {
            bed.step(bed.scattered_launch(queued));
        });
    }
    for entries in [1, 8, 64, 1_024] {
        // Every step ends in another window: the launch time lies a window further on.
        let prepare = || Bed::new(16, entries);
        measurement.case(format!("next-window/{entries}"), prepare, |bed| {
            bed.step(bed.launch_after(CYCLE_NS / entries));
        });
        // Every step lies somewhere else in the cycle.
        measurement.case(format!("far-ahead/{entries}"), prepare, |bed| {
            bed.step(bed.launch_after(CYCLE_NS * 618 / 1_000));
        });
    }
    let Measurement { options, ns } = measurement;
    println!(
        "{}",
        json!({ "batches": options.batches, "batch-frames": BATCH_FRAMES, "ns": ns })
    );
}
