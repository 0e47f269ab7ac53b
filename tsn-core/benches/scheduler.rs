//! The cost of one frame, by the number of frames queued and by the length of the gate control
//! list.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tsn_core::*;

const CLASS: TrafficClass = TrafficClass::ALL[5];
/// The cycle of every gate control list; all have an open and a closed half of it.
const CYCLE_NS: u64 = 2_097_152;
const START_NS: u64 = 1_795_290_000_000_000_000;

fn scheduler(capacity: u32, list: Vec<GateControlEntry>) -> Scheduler<u64> {
    let class = ClassParameters {
        capacity,
        queue_max_sdu_bytes: None,
        launch_time_required: false,
    };
    let mut scheduler = Scheduler::new(SchedulerParameters {
        link_speed: LinkSpeed::from_mbps(400_000).expect("not zero"),
        per_frame_overhead_bytes: ETHERNET_OVERHEAD_BYTES,
        admin_gate_states: GateStates::ALL_OPEN,
        classes: [class; 8],
    });
    let parameters = ScheduleParameters {
        base_time: TaiTime::from_nanos(START_NS),
        cycle_time: None,
        cycle_time_extension: Nanoseconds::ZERO,
        entries: list,
    };
    let schedule = Box::new(Schedule::new(parameters).expect("a good schedule"));
    drop(scheduler.configure(TaiTime::from_nanos(START_NS), schedule));
    scheduler
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

fn arrival(number: u64, launch: Launch) -> Arrival<u64> {
    let late = LatePolicy {
        tolerance: Nanoseconds::MAX,
        action: LateAction::Send,
    };
    Arrival {
        frame: number,
        length_bytes: 60,
        class: CLASS,
        launch,
        late,
        stream: 0,
    }
}

/// One frame in, then on to the next departure: the number of queued frames stays as it is.
fn step(scheduler: &mut Scheduler<u64>, now: &mut TaiTime, launch: Launch) {
    let accepted = scheduler.enqueue(*now, arrival(0, launch));
    assert!(accepted.is_ok());
    loop {
        *now = scheduler.next_event(*now).expect("frames are queued");
        if let Some(departure) = scheduler.dequeue(*now) {
            black_box(departure);
            return;
        }
    }
}

fn by_queued_frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("enqueue+dequeue, queued frames");
    for queued in [1, 100, 10_000, 100_000_u64] {
        group.bench_function(BenchmarkId::new("fifo", queued), |bencher| {
            let mut scheduler = scheduler(queued as u32 + 1, list(1));
            let mut now = TaiTime::from_nanos(START_NS);
            for number in 1..queued {
                assert!(
                    scheduler
                        .enqueue(now, arrival(number, Launch::None))
                        .is_ok()
                );
            }
            bencher.iter(|| step(&mut scheduler, &mut now, Launch::None));
        });
        group.bench_function(BenchmarkId::new("launch time", queued), |bencher| {
            let mut scheduler = scheduler(queued as u32 + 1, list(1));
            let mut now = TaiTime::from_nanos(START_NS);
            // Launch times are spread over as many slots as frames are queued, in a scattered
            // order.
            let mut number = 0_u64;
            let mut launch = |now: TaiTime| {
                number += 1;
                let slot = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                Launch::At(now + Nanoseconds::from_nanos((slot % queued + 1) * 10))
            };
            for _ in 1..queued {
                assert!(scheduler.enqueue(now, arrival(0, launch(now))).is_ok());
            }
            bencher.iter(|| {
                let launch = launch(now);
                step(&mut scheduler, &mut now, launch);
            });
        });
    }
    group.finish();
}

fn by_list_entries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("enqueue+dequeue, list entries");
    for entries in [1, 8, 64, 1_024] {
        // Every step ends in another window: the launch time lies a window further on.
        group.bench_function(BenchmarkId::new("next window", entries), |bencher| {
            let mut scheduler = scheduler(16, list(entries));
            let mut now = TaiTime::from_nanos(START_NS);
            let window = Nanoseconds::from_nanos(CYCLE_NS / entries);
            bencher.iter(|| {
                let launch = Launch::At(now + window);
                step(&mut scheduler, &mut now, launch);
            });
        });
        // Every step lies somewhere else in the cycle.
        group.bench_function(BenchmarkId::new("far ahead", entries), |bencher| {
            let mut scheduler = scheduler(16, list(entries));
            let mut now = TaiTime::from_nanos(START_NS);
            bencher.iter(|| {
                let launch = Launch::At(now + Nanoseconds::from_nanos(CYCLE_NS * 618 / 1_000));
                step(&mut scheduler, &mut now, launch);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, by_queued_frames, by_list_entries);
criterion_main!(benches);
