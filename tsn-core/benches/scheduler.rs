//! What a frame costs in the scheduler (enqueue, next_event until its time, dequeue), by the number
//! of frames queued and by the length of the gate control list.
//!
//! Prints one JSON object for each case: its name and the nanoseconds of a frame, the median of
//! batches. Under callgrind with `--toggle-collect='*measured_batch*'` the instructions of a batch
//! are counted; `frames` says of how many frames.

use std::env::args;
use std::hint::black_box;
use std::time::Instant;

use tsn_core::*;

const CLASS: TrafficClass = TrafficClass::ALL[5];
/// The cycle of every gate control list; all have an open and a closed half of it.
const CYCLE_NS: u64 = 2_097_152;
const START_NS: u64 = 1_795_290_000_000_000_000;
const BATCH_FRAMES: u64 = 1_000;
/// Batches that are measured; the first of them also warms up.
const BATCHES: usize = 301;

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

/// Measures what callers asked for: the cases whose name is an argument, or all.
struct Selection {
    wanted: Vec<String>,
}

impl Selection {
    fn case(&self, name: &str, mut step: impl FnMut()) {
        if !self.wanted.is_empty() && !self.wanted.iter().any(|wanted| wanted == name) {
            return;
        }
        let mut batches_ns: Vec<u128> = (0..BATCHES)
            .map(|_| {
                let start = Instant::now();
                measured_batch(&mut step);
                start.elapsed().as_nanos()
            })
            .collect();
        batches_ns.sort_unstable();
        let ns = batches_ns[BATCHES / 2] as f64 / BATCH_FRAMES as f64;
        let frames = BATCHES as u64 * BATCH_FRAMES;
        println!(r#"{{"case":"{name}","ns":{ns},"frames":{frames}}}"#);
    }
}

fn main() {
    let wanted = args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let selection = Selection { wanted };
    for queued in [1, 100, 10_000, 100_000] {
        let mut bed = Bed::new(queued + 1, 1);
        (1..queued).for_each(|_| bed.enqueue(Launch::None));
        selection.case(&format!("fifo/{queued}"), || bed.step(Launch::None));

        let mut bed = Bed::new(queued + 1, 1);
        for _ in 1..queued {
            let launch = bed.scattered_launch(queued);
            bed.enqueue(launch);
        }
        selection.case(&format!("launch-time/{queued}"), || {
            let launch = bed.scattered_launch(queued);
            bed.step(launch);
        });
    }
    for entries in [1, 8, 64, 1_024] {
        // Every step ends in another window: the launch time lies a window further on.
        let mut bed = Bed::new(16, entries);
        selection.case(&format!("next-window/{entries}"), || {
            let launch = bed.launch_after(CYCLE_NS / entries);
            bed.step(launch);
        });
        // Every step lies somewhere else in the cycle.
        let mut bed = Bed::new(16, entries);
        selection.case(&format!("far-ahead/{entries}"), || {
            let launch = bed.launch_after(CYCLE_NS * 618 / 1_000);
            bed.step(launch);
        });
    }
}
