//! The core against a slow, obvious model of IEEE 802.1Q 8.6.8.4 and 8.6.9, on random input.
//!
//! `PROPTEST_CASES=N` sets the number of cases.

#[path = "model/gates.rs"]
mod gates;
#[path = "model/generate.rs"]
mod generate;
#[path = "model/port.rs"]
mod port;

use proptest::prelude::*;
use tsn_core::*;

use gates::{ModelGates, next_change, states_at};
use generate::{Action, Run, arrival, run};
use port::{Departures, simulate};

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default().cases
    } else {
        1_000
    };
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn gates_agree_with_the_model(run in run()) {
        check_gates(&run, false)?;
        check_gates(&run, true)?;
    }

    #[test]
    fn departures_agree_with_the_model(run in run()) {
        let model = simulate(&run);
        let (scheduler, departures) = drive(&run);
        prop_assert_eq!(departures, &model.departures[..]);
        for class in TrafficClass::ALL {
            let counters = scheduler.counters(class);
            let agrees = model.agrees_with(class, counters);
            prop_assert!(agrees, "{}: {:?} {:?}", class, counters, model.drops);
        }
    }
}

/// Asks about random instants, boundaries and the instants around them, after every change.
fn check_gates(run: &Run, advance: bool) -> Result<(), TestCaseError> {
    let mut gates = Gates::new(GateStates(run.admin));
    let mut model = ModelGates::new(run.admin);
    let mut controls = run
        .actions
        .iter()
        .filter(|(_, action)| !matches!(action, Action::Arrive(_)))
        .peekable();
    let mut now = run.start;
    while let Some((t, action)) = controls.next() {
        now = now.max(*t);
        act(&mut gates, &mut model, now, action)?;
        prop_assert_eq!(gates.config_change_error(), model.config_change_error);
        prop_assert_eq!(
            gates.config_change_time().map(TaiTime::as_nanos),
            model.config_change_time
        );

        let until = controls.peek().map_or(run.horizon, |(t, _)| *t);
        let timeline = model.timeline(now, run.query_horizon);
        let boundaries = timeline
            .iter()
            .flat_map(|(t, _)| [t.saturating_sub(1), *t, t.saturating_add(1)]);
        let mut instants: Vec<u64> = run
            .queries
            .iter()
            .copied()
            .chain(boundaries.take(150))
            .collect();
        instants.sort();
        for t in instants.into_iter().filter(|t| (now..=until).contains(t)) {
            if advance {
                gates.advance(TaiTime::from_nanos(t));
            }
            prop_assert_eq!(
                gates.states(TaiTime::from_nanos(t)),
                states_at(&timeline, t),
                "states at {}",
                t
            );
            let class = TrafficClass::ALL[(t % 8) as usize];
            let change = next_change(&timeline, class, t);
            let is_open = states_at(&timeline, t).is_open(class);
            let open = if is_open { Some(t) } else { change };
            let close = if is_open { change } else { Some(t) };
            let close = close.map_or(Close::Never, |t| Close::At(TaiTime::from_nanos(t)));
            let t = TaiTime::from_nanos(t);
            prop_assert_eq!(
                gates.next_open(class, t).map(TaiTime::as_nanos),
                open,
                "{} opens after {:?}",
                class,
                t
            );
            prop_assert_eq!(
                gates.close_time(class, t),
                close,
                "{} closes after {:?}",
                class,
                t
            );
        }
    }
    Ok(())
}

fn act(
    gates: &mut Gates,
    model: &mut ModelGates,
    now: u64,
    action: &Action,
) -> Result<(), TestCaseError> {
    let at = TaiTime::from_nanos(now);
    match action {
        Action::Configure(parameters) => {
            let change = gates.configure(at, build(parameters));
            model.configure(now, parameters.clone());
            prop_assert_eq!(Some(change.config_change_time), gates.config_change_time());
        }
        Action::SetEnabled(enabled) => {
            gates.set_enabled(at, *enabled);
            model.set_enabled(now, *enabled);
        }
        Action::SetAdmin(states) => {
            gates.set_admin_gate_states(GateStates(*states));
            model.admin = *states;
        }
        Action::Arrive(_) => {}
    }
    model.advance(now);
    for class in TrafficClass::ALL {
        prop_assert_eq!(
            gates.longest_window(class, at),
            model.longest_window(class, now),
            "{} at {}",
            class,
            now
        );
    }
    Ok(())
}

fn build(parameters: &ScheduleParameters) -> Box<Schedule> {
    Box::new(Schedule::new(parameters.clone()).expect("the generator makes good schedules"))
}

/// Runs the scheduler as a caller would who looks only when `next_event` says so.
fn drive(run: &Run) -> (Scheduler<usize>, Departures) {
    let mut scheduler = Scheduler::new(SchedulerParameters {
        link_speed: LinkSpeed::from_mbps(run.mbps).expect("the generator makes no zero"),
        per_frame_overhead_bytes: run.overhead,
        admin_gate_states: GateStates(run.admin),
        classes: run.classes,
    });
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
            apply(&mut scheduler, now, number, action);
        }
        if event != Some(now) && scheduler.next_event(now) != Some(now) {
            continue;
        }
        let before = queued(&scheduler);
        if let Some(departure) = scheduler.dequeue(now) {
            assert_eq!(departure.start, now);
            assert!(departure.gate_close >= Close::At(departure.end));
            departures.push((departure.frame, departure.start.as_nanos()));
        }
        assert!(
            !again || queued(&scheduler) < before,
            "next_event says {now:?} again, but nothing was to be done"
        );
    }
    (scheduler, departures)
}

fn queued(scheduler: &Scheduler<usize>) -> usize {
    TrafficClass::ALL
        .map(|class| scheduler.queued(class))
        .iter()
        .sum()
}

fn apply(scheduler: &mut Scheduler<usize>, now: TaiTime, number: usize, action: &Action) {
    match action {
        Action::Configure(parameters) => drop(scheduler.configure(now, build(parameters))),
        Action::SetEnabled(enabled) => scheduler.set_enabled(now, *enabled),
        Action::SetAdmin(states) => scheduler.set_admin_gate_states(GateStates(*states)),
        Action::Arrive(frame) => {
            let outcome = scheduler.enqueue(now, arrival(number, frame));
            assert!(
                outcome.is_ok_and(|()| true) || scheduler.counters(frame.class).total_drops() > 0
            );
        }
    }
}
