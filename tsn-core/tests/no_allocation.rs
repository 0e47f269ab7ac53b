//! After construction the scheduler neither allocates nor frees, a change of schedule included.

// A global allocator can only be written with `unsafe`.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tsn_core::*;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Counts the calls of this thread and passes them on.
struct Counting;

// SAFETY: every call is passed on to `System` unchanged, which keeps the contract of `GlobalAlloc`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps the contract of `dealloc`, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`, and `pointer` came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that is ending has no counter any more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

fn calls() -> u64 {
    CALLS.with(Cell::get)
}

const CAPACITY: u32 = 100;

fn schedule(base_ns: u64) -> Box<Schedule> {
    let entry = |states, ns| GateControlEntry {
        gate_states: GateStates(states),
        time_interval: Nanoseconds::from_nanos(ns),
    };
    let parameters = ScheduleParameters {
        base_time: TaiTime::from_nanos(base_ns),
        cycle_time: None,
        cycle_time_extension: Nanoseconds::ZERO,
        entries: vec![
            entry(0x01, 20_000),
            entry(0x02, 20_000),
            entry(0xfc, 10_000),
        ],
    };
    Box::new(Schedule::new(parameters).expect("a good schedule"))
}

fn arrival(number: u32, now: TaiTime) -> Arrival<u32> {
    let time = now + Nanoseconds::from_nanos(u64::from(number * 7919 % 50_000));
    let launch = match number % 3 {
        0 => Launch::None,
        1 => Launch::At(time),
        _ => Launch::By(time),
    };
    let action = if number.is_multiple_of(2) {
        LateAction::Drop
    } else {
        LateAction::Send
    };
    Arrival {
        frame: number,
        length_bytes: 60 + number % 1_400,
        sdu_bytes: 46 + number % 1_400,
        class: TrafficClass::ALL[(number % 8) as usize],
        launch,
        late: LatePolicy {
            tolerance: Nanoseconds::from_nanos(5_000),
            action,
        },
        stream: 0,
    }
}

#[test]
fn the_steady_state_and_a_change_of_schedule_neither_allocate_nor_free() {
    let class = ClassParameters {
        capacity: CAPACITY,
        queue_max_sdu_bytes: None,
        launch_time_required: false,
    };
    let mut scheduler = Scheduler::new(SchedulerParameters {
        link_speed: LinkSpeed::from_mbps(1_000).expect("not zero"),
        per_frame_overhead_bytes: ETHERNET_OVERHEAD_BYTES,
        admin_gate_states: GateStates::ALL_OPEN,
        classes: [class; 8],
    });
    let mut now = TaiTime::from_nanos(0);
    let (first, second, third) = (schedule(100_000), schedule(1_000_000), schedule(1_500_000));

    let before = calls();
    let mut changes = [Some(scheduler.configure(now, first)), None, None];
    let mut waiting = [Some((500_000, second)), Some((1_200_000, third))];
    let mut retired = [None, None];
    let mut departures = 0_u32;
    for number in 0..20_000_u32 {
        // Some are refused because a queue is full, which gives the frame back.
        let _ = scheduler.enqueue(now, arrival(number, now));
        for _ in 0..3 {
            departures += u32::from(scheduler.dequeue(now).is_some());
            let pause = now + Nanoseconds::from_nanos(100);
            now = scheduler
                .next_event(now)
                .map_or(pause, |event| event.min(pause));
        }
        for (index, slot) in waiting.iter_mut().enumerate() {
            if let Some((_, schedule)) = slot.take_if(|(from, _)| *from <= now.as_nanos()) {
                changes[index + 1] = Some(scheduler.configure(now, schedule));
            }
            if let Some(schedule) = scheduler.take_retired() {
                retired[usize::from(retired[0].is_some())] = Some(schedule);
            }
        }
    }
    scheduler.set_enabled(now, false);
    scheduler.drain(drop);
    let after = calls();

    assert_eq!(after, before, "calls of the allocator");
    assert!(departures > 1_000, "{departures} departures");
    assert!(changes.iter().all(Option::is_some) && retired.iter().all(Option::is_some));
    let total = |count: fn(&ClassCounters) -> u64| {
        TrafficClass::ALL
            .map(|class| count(scheduler.counters(class)))
            .iter()
            .sum::<u64>()
    };
    assert!(total(|counters| counters.drops(DropCause::QueueFull)) > 0);
    assert!(total(|counters| counters.drops(DropCause::Late)) > 0);
    assert!(
        TrafficClass::ALL
            .into_iter()
            .all(|class| scheduler.counters(class).is_conserved())
    );
}
