//! What a caller of the scheduler relies on, case by case.

use tsn_core::*;

const CLASS: TrafficClass = TrafficClass::ALL[3];

fn at(ns: u64) -> TaiTime {
    TaiTime::from_nanos(ns)
}

fn speed(mbps: u32) -> LinkSpeed {
    LinkSpeed::from_mbps(mbps).unwrap()
}

fn scheduler(capacity: u32) -> Scheduler<u32> {
    Scheduler::new(SchedulerParameters {
        link_speed: speed(1_000),
        per_frame_overhead_bytes: ETHERNET_OVERHEAD_BYTES,
        admin_gate_states: GateStates::ALL_OPEN,
        classes: [ClassParameters {
            capacity,
            queue_max_sdu_bytes: None,
            launch_time_required: false,
        }; 8],
    })
}

fn schedule(base_ns: u64, list: &[(u8, u64)]) -> Box<Schedule> {
    let entry = |&(states, ns)| GateControlEntry {
        gate_states: GateStates(states),
        time_interval: Nanoseconds::from_nanos(ns),
    };
    let parameters = ScheduleParameters {
        base_time: at(base_ns),
        cycle_time: None,
        cycle_time_extension: Nanoseconds::ZERO,
        entries: list.iter().map(entry).collect(),
    };
    Box::new(Schedule::new(parameters).unwrap())
}

fn arrival(frame: u32, length_bytes: u32, launch: Launch) -> Arrival<u32> {
    let late = LatePolicy {
        tolerance: Nanoseconds::ZERO,
        action: LateAction::Drop,
    };
    Arrival {
        frame,
        length_bytes,
        sdu_bytes: length_bytes.saturating_sub(14),
        class: CLASS,
        launch,
        late,
        stream: 7,
    }
}

fn base_ns(schedule: Option<Box<Schedule>>) -> Option<u64> {
    schedule.map(|schedule| schedule.parameters().base_time.as_nanos())
}

#[test]
fn frames_are_paced_by_the_link() {
    let mut port = scheduler(4);
    for frame in 0..3 {
        port.enqueue(at(0), arrival(frame, 1_514, Launch::None))
            .unwrap();
    }
    assert_eq!(port.dequeue(at(0)).unwrap().end, at(12_304));
    assert_eq!(port.next_event(at(0)), Some(at(12_304)));
    assert!(port.dequeue(at(12_303)).is_none());
    // A slower link holds for what has not started.
    port.set_link_speed(speed(100));
    assert_eq!(port.dequeue(at(12_304)).unwrap().end, at(12_304 + 123_040));
}

#[test]
fn the_next_launch_is_the_earliest_of_all_classes() {
    let mut scheduler = scheduler(4);
    assert_eq!(scheduler.next_launch(), None);
    for (frame, class, launch) in [
        (0, 1, Launch::None),
        (1, 2, Launch::By(at(500))),
        (2, 3, Launch::At(at(9_000))),
        (3, 4, Launch::At(at(8_000))),
    ] {
        let class = TrafficClass::ALL[class];
        let arrival = Arrival {
            class,
            ..arrival(frame, 60, launch)
        };
        assert!(scheduler.enqueue(at(0), arrival).is_ok());
    }
    assert_eq!(scheduler.next_launch(), Some(at(8_000)));
}

#[test]
fn an_overrun_is_an_end_after_the_close() {
    let mut port = scheduler(1);
    port.departed(CLASS, at(100), Close::At(at(100)));
    port.departed(CLASS, at(100), Close::Never);
    assert_eq!(port.counters(CLASS).transmission_overruns, 0);
    port.departed(CLASS, at(101), Close::At(at(100)));
    assert_eq!(port.counters(CLASS).transmission_overruns, 1);
}

#[test]
fn a_guard_band_is_counted_once_for_each_window_and_only_if_it_holds_a_frame_back() {
    let mut port = scheduler(4);
    let list = [(0xff, 20_000), (0xf7, 20_000)];
    assert!(
        port.configure(at(0), schedule(0, &list))
            .superseded
            .is_none()
    );
    let held = |port: &Scheduler<u32>| {
        let counters = port.counters(CLASS);
        (counters.guard_band_holds, counters.guard_band_ns)
    };
    // 12,304 ns on the wire: it fits until 7,696.
    assert!(port.dequeue(at(5_000)).is_none());
    port.enqueue(at(9_000), arrival(0, 1_514, Launch::None))
        .unwrap();
    // The launch time of this one comes while the gate is closed, which is no guard band.
    port.enqueue(at(9_000), arrival(1, 60, Launch::At(at(30_000))))
        .unwrap();
    for now in [9_000, 9_500, 19_000] {
        assert!(port.dequeue(at(now)).is_none());
        assert_eq!(held(&port), (1, 11_000));
    }
    assert!(port.dequeue(at(25_000)).is_none());
    assert!(port.dequeue(at(35_000)).is_none());
    assert_eq!(held(&port), (1, 11_000));
    assert_eq!(port.next_event(at(35_000)), Some(at(40_000)));
    // The next window, of which somebody else takes a part.
    port.occupy(at(55_000));
    assert!(port.dequeue(at(41_000)).is_none());
    assert_eq!(held(&port), (1, 11_000));
    assert!(port.dequeue(at(55_000)).is_none());
    assert_eq!(held(&port), (2, 16_000));
    assert!(port.dequeue(at(80_000)).is_some());
    assert_eq!(held(&port), (2, 16_000));
    // Behind one that leaves until 92,304 a frame is held back from then on, not before.
    port.enqueue(at(81_000), arrival(2, 1_514, Launch::None))
        .unwrap();
    assert_eq!(port.next_event(at(81_000)), Some(at(92_304)));
    assert_eq!(held(&port), (2, 16_000));
    assert_eq!(port.next_event(at(92_304)), Some(at(120_000)));
    assert_eq!(held(&port), (3, 16_000 + 7_696));
    // A change that moves the close 2 µs later lengthens the guard band, and begins no other.
    let longer = [(0xff, 7_000), (0xf7, 20_000), (0xff, 13_000)];
    port.set_enabled(at(95_000), false);
    port.set_enabled(at(95_000), true);
    let change = port.configure(at(95_000), schedule(95_000, &longer));
    assert!(change.superseded.is_none());
    assert!(port.dequeue(at(95_000)).is_none());
    assert_eq!(held(&port), (3, 16_000 + 7_696 + 2_000));
}

#[test]
fn after_a_stall_late_frames_are_dropped_a_few_at_a_time() {
    let mut port = scheduler(1_000);
    for frame in 0..999 {
        port.enqueue(at(0), arrival(frame, 60, Launch::At(at(u64::from(frame)))))
            .unwrap();
    }
    port.enqueue(at(0), arrival(999, 60, Launch::None)).unwrap();
    let now = at(50_000_000);
    let mut calls = 0;
    let departure = loop {
        assert_eq!(port.next_event(now), Some(now));
        calls += 1;
        if let Some(departure) = port.dequeue(now) {
            break departure;
        }
    };
    assert_eq!(departure.frame, 999);
    assert_eq!(port.counters(CLASS).drops(DropCause::Late), 999);
    assert!((2..100).contains(&calls), "{calls} calls");
    assert!(port.counters(CLASS).is_conserved());
}

#[test]
fn a_frame_that_a_new_schedule_leaves_no_room_for_is_dropped_at_the_change() {
    let mut port = scheduler(4);
    let change = port.configure(at(0), schedule(0, &[(0xf7, 20_000), (0xff, 20_000)]));
    assert!(change.superseded.is_none());
    let before = port.dynamic_max_sdu(CLASS, at(0));
    let change = port.configure(at(10), schedule(20_000, &[(0xff, 5_000), (0xf7, 5_000)]));
    assert_eq!(change.config_change_time, at(20_000));
    port.enqueue(at(10), arrival(0, 1_514, Launch::None))
        .unwrap();
    port.enqueue(at(10), arrival(1, 601, Launch::None)).unwrap();
    assert_eq!(port.next_event(at(10)), Some(at(20_000)));
    let departure = port.dequeue(at(20_000)).unwrap();
    assert_eq!(
        (departure.frame, departure.stream, departure.end),
        (1, 7, at(25_000))
    );
    assert_eq!(departure.gate_close, Close::At(at(25_000)));
    assert_eq!(port.counters(CLASS).drops(DropCause::NeverFits), 1);
    assert_eq!(
        (before, port.dynamic_max_sdu(CLASS, at(20_000))),
        (Some(2_462), Some(587))
    );
}

#[test]
fn frames_of_a_class_that_never_opens_any_more_are_dropped() {
    let mut port = scheduler(4);
    port.enqueue(at(0), arrival(0, 60, Launch::At(at(1_000_000))))
        .unwrap();
    drop(port.configure(at(0), schedule(500, &[(0x01, 1_000)])));
    assert_eq!(port.next_event(at(0)), Some(at(500)));
    assert!(port.dequeue(at(500)).is_none());
    assert_eq!(port.counters(CLASS).drops(DropCause::GateNeverOpens), 1);
    assert_eq!(port.next_event(at(500)), None);
    let refused = port
        .enqueue(at(500), arrival(1, 60, Launch::None))
        .unwrap_err();
    assert_eq!(
        (refused.frame, refused.cause),
        (1, DropCause::GateNeverOpens)
    );
}

#[test]
fn superseded_schedules_come_back_to_the_caller() {
    let mut port = scheduler(1);
    let list = [(0xff, 1_000)];
    assert_eq!(
        base_ns(port.configure(at(0), schedule(100, &list)).superseded),
        None
    );
    assert_eq!(
        base_ns(port.configure(at(1), schedule(200, &list)).superseded),
        Some(100)
    );
    port.next_event(at(200));
    assert_eq!(base_ns(port.take_retired()), None);
    assert_eq!(
        base_ns(port.configure(at(201), schedule(5_000, &list)).superseded),
        None
    );
    port.next_event(at(5_000));
    assert_eq!(
        base_ns(port.configure(at(5_001), schedule(9_000, &list)).superseded),
        Some(200)
    );
    port.set_enabled(at(5_002), false);
    assert_eq!(base_ns(port.take_retired()), Some(9_000));
    assert!(!port.gates().config_pending(at(5_002)));
}

#[test]
fn the_start_of_a_cycle_is_known_also_when_a_change_cuts_or_holds_it() {
    let list = [(0x08, 600), (0xf7, 400)];
    let mut parameters = schedule(1_000, &list).parameters().clone();
    parameters.cycle_time_extension = Nanoseconds::from_nanos(100);
    let mut gates = Gates::new(GateStates::ALL_OPEN);
    let old = Schedule::new(parameters).unwrap();
    assert!(gates.configure(at(0), Box::new(old)).superseded.is_none());
    assert_eq!(
        gates.cycle_start(at(999)),
        None,
        "the admin gate states are in force"
    );
    assert_eq!(gates.cycle_start(at(1_000)), Some(at(1_000)));
    assert_eq!(gates.cycle_start(at(2_999)), Some(at(2_000)));
    // 80 ns after a start: the cycle before it is held until then.
    let held = gates.configure(at(1_500), schedule(4_080, &list));
    assert_eq!(held.config_change_time, at(4_080));
    assert_eq!(gates.cycle_start(at(4_079)), Some(at(3_000)));
    assert_eq!(gates.cycle_start(at(4_080)), Some(at(4_080)));
    // 300 ns after a start: its cycle is cut.
    assert!(
        gates
            .configure(at(1_500), schedule(4_300, &list))
            .superseded
            .is_some()
    );
    assert_eq!(gates.cycle_start(at(4_299)), Some(at(4_000)));
    assert_eq!(gates.cycle_start(at(4_300)), Some(at(4_300)));
}

#[test]
fn a_schedule_configured_while_disabled_starts_after_enabling() {
    let mut port = scheduler(1);
    port.set_enabled(at(0), false);
    drop(port.configure(at(0), schedule(100, &[(0x01, 1_000)])));
    assert_eq!(port.gates().states(at(5_500)), GateStates::ALL_OPEN);
    assert!(port.gates().config_pending(at(5_500)));
    port.set_enabled(at(5_500), true);
    assert_eq!(port.gates().config_change_time(), Some(at(6_100)));
    assert_eq!(port.gates().config_change_error(), 0);
    assert_eq!(port.gates().states(at(6_099)), GateStates::ALL_OPEN);
    assert_eq!(port.gates().states(at(6_100)), GateStates(0x01));
}

#[test]
fn draining_hands_every_frame_out() {
    let mut port = scheduler(8);
    port.enqueue(at(0), arrival(0, 60, Launch::None)).unwrap();
    port.enqueue(at(0), arrival(1, 60, Launch::At(at(99))))
        .unwrap();
    port.enqueue(at(0), arrival(2, 60, Launch::By(at(99))))
        .unwrap();
    let mut frames = Vec::new();
    port.drain(|dropped| frames.push((dropped.class, dropped.stream, dropped.frame)));
    frames.sort();
    assert_eq!(frames, [(CLASS, 7, 0), (CLASS, 7, 1), (CLASS, 7, 2)]);
    assert_eq!(port.counters(CLASS).drops(DropCause::Flushed), 3);
    assert_eq!((port.queued(CLASS), port.next_event(at(0))), (0, None));
}

#[test]
fn a_list_of_tiny_windows_costs_few_looks() {
    // 1023 windows of 1 ns, then one that holds the frame.
    let mut list: Vec<(u8, u64)> = (0..2_046)
        .map(|index| (if index % 2 == 0 { 0x08 } else { 0 }, 1))
        .collect();
    list.push((0x08, 1_000));
    list.push((0x00, 1_000));
    let mut port = scheduler(1);
    drop(port.configure(at(0), schedule(0, &list)));
    port.enqueue(at(0), arrival(0, 60, Launch::None)).unwrap();
    let (mut now, mut looks) = (at(0), 0);
    let departure = loop {
        now = port.next_event(now).unwrap();
        looks += 1;
        if let Some(departure) = port.dequeue(now) {
            break departure;
        }
    };
    assert_eq!(departure.start, at(2_046));
    assert!(looks < 300, "{looks} looks");
}

#[test]
fn margins_keep_a_frame_inside_its_window() {
    let mut scheduler = scheduler(8);
    let margins = GateMargins {
        after_open: Nanoseconds::from_nanos(3_000),
        before_close: Nanoseconds::from_nanos(10_000),
    };
    scheduler.set_gate_margins(margins);
    // Class 3 is open from 50 to 100 µs of each 100 µs.
    let _ = scheduler.configure(at(0), schedule(0, &[(0, 50_000), (8, 50_000)]));

    // The longest frame takes 37 µs on the wire: 50 - 3 - 10.
    let longest = 37_000 / 8 - ETHERNET_OVERHEAD_BYTES;
    assert_eq!(
        scheduler.dynamic_max_sdu(CLASS, at(0)),
        Some(longest - 14),
        "SDU"
    );
    let refused = scheduler
        .enqueue(at(0), arrival(0, longest + 1, Launch::None))
        .unwrap_err();
    assert_eq!(refused.cause, DropCause::NeverFits);

    scheduler
        .enqueue(at(0), arrival(1, longest, Launch::None))
        .unwrap();
    scheduler
        .enqueue(at(0), arrival(2, 60, Launch::None))
        .unwrap();
    assert_eq!(scheduler.next_event(at(0)), Some(at(53_000)));
    assert!(scheduler.dequeue(at(52_999)).is_none());
    let first = scheduler.dequeue(at(53_000)).unwrap();
    assert_eq!((first.frame, first.end), (1, at(90_000)));
    // 90 µs is the last instant at which something may end, so the second waits for the next window.
    assert!(scheduler.dequeue(at(90_000)).is_none());
    assert_eq!(scheduler.next_event(at(90_000)), Some(at(153_000)));
    assert_eq!(scheduler.dequeue(at(153_000)).unwrap().frame, 2);
}

#[test]
fn a_clock_that_is_set_back_leaves_link_and_schedule_usable() {
    let mut scheduler = scheduler(8);
    // Class 3 is open for the first half of each 100 µs, from 1 s on.
    let list = schedule(0, &[(8, 50_000), (0, 50_000)]);
    let _ = scheduler.configure(at(1_000_000_000), list);
    let frame = |number| arrival(number, 1_000, Launch::None);
    scheduler.enqueue(at(2_000_000_000), frame(1)).unwrap();
    assert!(scheduler.dequeue(at(2_000_000_000)).is_some());

    // Back by more than the schedule has run.
    let now = at(500_060_000);
    scheduler.set_back(now);
    scheduler.enqueue(now, frame(2)).unwrap();
    assert!(scheduler.dequeue(now).is_none(), "the gate is closed");
    assert_eq!(scheduler.next_event(now), Some(at(500_100_000)));
    assert!(scheduler.dequeue(at(500_100_000)).is_some());
}

#[test]
fn a_faster_link_lets_a_frame_go_that_was_held_back() {
    let mut port = scheduler(4);
    let change = port.configure(at(0), schedule(0, &[(0xff, 20_000), (0xf7, 20_000)]));
    assert!(change.superseded.is_none());
    port.enqueue(at(10_000), arrival(0, 1_514, Launch::None))
        .unwrap();
    assert_eq!(port.next_event(at(10_000)), Some(at(40_000)));
    port.set_link_speed(LinkSpeed::from_mbps(10_000).unwrap());
    assert_eq!(port.next_event(at(10_000)), Some(at(10_000)));
}

#[test]
fn gates_that_are_set_back_forget_what_they_have_noted() {
    let mut gates = Gates::new(GateStates(0xff));
    let _ = gates.configure(at(0), schedule(0, &[(0, 20_000), (8, 20_000)]));
    gates.set_enabled(at(5_000), false);
    gates.set_enabled(at(5_000), true);
    gates.advance(at(6_000));
    assert_eq!(gates.states(at(8_000)), GateStates(0xff));
    gates.set_back(at(7_000));
    gates.advance(at(7_000));
    assert_eq!(gates.states(at(7_000)), GateStates(0));
}

#[test]
fn a_tag_is_no_part_of_the_sdu() {
    let mut port = scheduler(4);
    port.set_queue_max_sdu(CLASS, Some(1_500));
    let mut offer = |length_bytes, sdu_bytes| {
        let arrival = Arrival {
            sdu_bytes,
            ..arrival(1, length_bytes, Launch::None)
        };
        port.enqueue(at(0), arrival)
            .err()
            .map(|refused| refused.cause)
    };
    assert_eq!(offer(1_514, 1_500), None);
    assert_eq!(offer(1_518, 1_500), None);
    assert_eq!(offer(1_519, 1_501), Some(DropCause::SduTooLarge));
}
