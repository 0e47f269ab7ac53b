//! Callers of the scheduler: one who looks only when it is told to, and one who looks all the time.

use tsn_core::*;

use crate::generate::{Action, Run, arrival, build};
use crate::port::Departures;

/// Looks only when `next_event` says so.
pub fn by_events(run: &Run) -> (Scheduler<usize>, Departures) {
    let mut scheduler = scheduler(run);
    let mut departures = Vec::new();
    let mut actions = run.actions.iter().enumerate().peekable();
    let mut now = TaiTime::from_nanos(run.start);
    loop {
        let event = scheduler.next_event(now);
        if let Some(event) = event {
            assert!(event >= now, "next_event {event:?} lies before {now:?}");
        }
        let next_action = actions.peek().map(|(_, (t, _))| TaiTime::from_nanos(*t));
        let Some(next) = event.into_iter().chain(next_action).min() else {
            break;
        };
        if next.as_nanos() > run.horizon {
            break;
        }
        let again = next == now && next_action != Some(next);
        now = next;
        while let Some((number, (_, action))) = actions.next_if(|(_, (t, _))| *t <= now.as_nanos())
        {
            if matches!(action, Action::SetBack(_)) {
                look(&mut scheduler, now, &mut departures);
            }
            now = apply(&mut scheduler, now, number, action);
        }
        if event != Some(now) && scheduler.next_event(now) != Some(now) {
            continue;
        }
        let moved = look(&mut scheduler, now, &mut departures);
        assert!(
            !again || moved,
            "next_event says {now:?} again, but nothing was to be done"
        );
    }
    (scheduler, departures)
}

/// Looks whenever the model does, and at some other instant before each of its looks. Only now and
/// then, as `asks` says, it asks `next_event` as well, which is then remembered.
pub fn by_polling(
    run: &Run,
    looks: &[(u64, usize)],
    asks: impl Fn(u64) -> bool,
) -> (Scheduler<usize>, Departures) {
    let mut scheduler = scheduler(run);
    let mut departures = Vec::new();
    let mut done = 0;
    let mut last = run.start;
    for &(now, actions) in looks {
        if last < now && done < run.actions.len() {
            let between = TaiTime::from_nanos(last + (now - last) / 2);
            assert!(scheduler.dequeue(between).is_none(), "at {between:?}");
        }
        for (number, (t, action)) in run.actions.iter().enumerate().take(actions).skip(done) {
            apply(&mut scheduler, TaiTime::from_nanos(*t), number, action);
        }
        done = actions;
        let at = TaiTime::from_nanos(now);
        if asks(now) {
            let event = scheduler.next_event(at);
            assert!(event.is_none_or(|event| event >= at), "{event:?} at {at:?}");
        }
        while look(&mut scheduler, at, &mut departures) {}
        if asks(now / 2) {
            scheduler.next_event(at);
        }
        last = now;
    }
    (scheduler, departures)
}

fn scheduler(run: &Run) -> Scheduler<usize> {
    Scheduler::new(SchedulerParameters {
        link_speed: speed(run.mbps),
        per_frame_overhead_bytes: run.overhead,
        admin_gate_states: GateStates(run.admin),
        classes: run.classes,
    })
}

fn speed(mbps: u32) -> LinkSpeed {
    LinkSpeed::from_mbps(mbps).expect("the generator makes no zero")
}

/// Whether a frame was sent or dropped.
fn look(scheduler: &mut Scheduler<usize>, now: TaiTime, departures: &mut Departures) -> bool {
    let before = queued(scheduler);
    if let Some(departure) = scheduler.dequeue(now) {
        assert_eq!(departure.start, now);
        assert!(departure.gate_close >= Close::At(departure.end));
        departures.push((departure.frame, departure.start.as_nanos()));
    }
    queued(scheduler) < before
}

fn queued(scheduler: &Scheduler<usize>) -> usize {
    TrafficClass::ALL
        .map(|class| scheduler.queued(class))
        .iter()
        .sum()
}

/// Does `action`, and tells what time it is then.
fn apply(
    scheduler: &mut Scheduler<usize>,
    now: TaiTime,
    number: usize,
    action: &Action,
) -> TaiTime {
    match action {
        Action::Configure(parameters) => drop(scheduler.configure(now, build(parameters))),
        Action::SetEnabled(enabled) => scheduler.set_enabled(now, *enabled),
        Action::SetAdmin(states) => scheduler.set_admin_gate_states(GateStates(*states)),
        Action::SetBack(to) => {
            let to = TaiTime::from_nanos(*to);
            scheduler.set_back(to);
            return to;
        }
        Action::Occupy(ns) => scheduler.occupy(now + Nanoseconds::from_nanos(*ns)),
        Action::SetLinkSpeed(mbps) => scheduler.set_link_speed(speed(*mbps)),
        Action::SetMargins(margins) => scheduler.set_gate_margins(*margins),
        Action::Arrive(frame) => {
            let outcome = scheduler.enqueue(now, arrival(number, frame));
            assert!(outcome.is_ok() || scheduler.counters(frame.class).total_drops() > 0);
        }
    }
    now
}
