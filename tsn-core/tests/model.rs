//! The core against a slow, obvious model of IEEE 802.1Q 8.6.8.4 and 8.6.9, on random input.
//!
//! `PROPTEST_CASES=N` sets the number of cases.

#[path = "model/drive.rs"]
mod drive;
#[path = "model/gates.rs"]
mod gates;
#[path = "model/generate.rs"]
mod generate;
#[path = "model/port.rs"]
mod port;

use proptest::prelude::*;
use tsn_core::*;

use gates::{ModelGates, Phase, Timeline, next_change, states_at};
use generate::{Action, Run, build, run};
use port::{Departures, ModelPort, simulate};

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default().cases
    } else {
        500
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
        check_gates(&run, |_| false)?;
        check_gates(&run, |_| true)?;
        check_gates(&run, |number| number % 3 == 0)?;
    }

    #[test]
    fn departures_agree_with_the_model(run in run()) {
        let model = simulate(&run);
        let (scheduler, departures) = drive::by_events(&run);
        check_departures(&model, &scheduler, &departures)?;
        for class in TrafficClass::ALL {
            // Windows that are too short may have been skipped.
            let counters = scheduler.counters(class);
            let all = model.guard_bands(class);
            prop_assert!(counters.guard_band_holds <= all.holds, "{}: {:?}", class, counters);
            prop_assert!(counters.guard_band_ns <= all.ns, "{}: {:?}", class, counters);
        }
    }

    #[test]
    fn a_caller_who_looks_all_the_time_sends_the_same(run in run()) {
        let model = simulate(&run);
        let (scheduler, departures) = drive::by_polling(&run, &model.looks, |_| false);
        check_departures(&model, &scheduler, &departures)?;
        for class in TrafficClass::ALL {
            let counters = scheduler.counters(class);
            let all = model.guard_bands(class);
            prop_assert_eq!(counters.guard_band_holds, all.holds, "{}", class);
            prop_assert_eq!(counters.guard_band_ns, all.ns, "{}", class);
        }
        let (scheduler, departures) = drive::by_polling(&run, &model.looks, |t| t % 3 == 0);
        check_departures(&model, &scheduler, &departures)?;
    }
}

fn check_departures(
    model: &ModelPort<'_>,
    scheduler: &Scheduler<usize>,
    departures: &Departures,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(departures, &model.departures);
    for class in TrafficClass::ALL {
        let counters = scheduler.counters(class);
        let agrees = model.agrees_with(class, counters);
        prop_assert!(agrees, "{}: {:?} {:?}", class, counters, model.drops);
    }
    Ok(())
}

/// Asks about random instants, boundaries and the instants around them, after every change, and
/// moves on to some of them before.
fn check_gates(run: &Run, advances: impl Fn(usize) -> bool) -> Result<(), TestCaseError> {
    let mut gates = Gates::new(GateStates(run.admin));
    let mut model = ModelGates::new(run.admin);
    let mut controls = run
        .actions
        .iter()
        .filter(|(_, action)| {
            matches!(
                action,
                Action::Configure(_)
                    | Action::SetEnabled(_)
                    | Action::SetAdmin(_)
                    | Action::SetBack(_)
            )
        })
        .peekable();
    while let Some((t, action)) = controls.next() {
        let now = act(&mut gates, &mut model, *t, action)?;
        prop_assert_eq!(gates.config_change_error(), model.config_change_error);
        prop_assert_eq!(
            gates.config_change_time().map(TaiTime::as_nanos),
            model.config_change_time
        );

        let until = controls.peek().map_or(run.horizon, |(t, _)| *t);
        let phases = model.phases(now);
        let timeline = model.timeline(now, run.query_horizon);
        let boundaries = timeline.iter().map(|(t, _)| *t).take(50);
        let starts = phases.iter().map(|phase| phase.from);
        let mut instants: Vec<u64> = boundaries
            .chain(starts)
            .flat_map(|t| [t.saturating_sub(1), t, t.saturating_add(1)])
            .chain(run.queries.iter().copied())
            .filter(|t| (now..=until).contains(t))
            .collect();
        instants.sort();
        // The gates know nothing of what was before the phase that they have moved on to.
        let mut known_from = now;
        for (number, t) in instants.iter().enumerate() {
            if advances(number) {
                gates.advance(TaiTime::from_nanos(*t));
                known_from = phases[phase_at(&phases, *t)].from;
            }
            let around = &instants[number.saturating_sub(1)..instants.len().min(number + 2)];
            let anywhere = run.queries[number * 7 % run.queries.len()];
            for t in around.iter().chain([&anywhere]) {
                if (known_from..=run.horizon).contains(t) {
                    check_instant(&gates, &timeline, &phases, *t)?;
                }
            }
        }
    }
    Ok(())
}

fn check_instant(
    gates: &Gates,
    timeline: &Timeline,
    phases: &[Phase],
    t: u64,
) -> Result<(), TestCaseError> {
    let at = TaiTime::from_nanos(t);
    let states = states_at(timeline, t);
    prop_assert_eq!(gates.states(at), states, "states at {}", t);
    let phase = phase_at(phases, t);
    prop_assert_eq!(
        gates.next_phase(at).map(TaiTime::as_nanos),
        phases.get(phase + 1).map(|next| next.from),
        "phase after {}",
        t
    );
    for class in TrafficClass::ALL {
        let window = gates.longest_window(class, at);
        let model = phases[phase].windows[class.index()];
        prop_assert_eq!(window, model, "{} at {}", class, t);
        let change = next_change(timeline, class, t).map(TaiTime::from_nanos);
        let (open, close) = if states.is_open(class) {
            (Some(at), change.map_or(Close::Never, Close::At))
        } else {
            (change, Close::At(at))
        };
        prop_assert_eq!(
            gates.next_change(class, at),
            change,
            "{} after {}",
            class,
            t
        );
        prop_assert_eq!(
            gates.next_open(class, at),
            open,
            "{} opens after {}",
            class,
            t
        );
        prop_assert_eq!(
            gates.close_time(class, at),
            close,
            "{} closes after {}",
            class,
            t
        );
    }
    Ok(())
}

/// The index of the phase at `t`.
fn phase_at(phases: &[Phase], t: u64) -> usize {
    phases.partition_point(|phase| phase.from <= t) - 1
}

/// Does `action`, and tells what time it is then.
fn act(
    gates: &mut Gates,
    model: &mut ModelGates,
    now: u64,
    action: &Action,
) -> Result<u64, TestCaseError> {
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
        Action::SetBack(to) => {
            gates.advance(at);
            model.advance(now);
            gates.set_back(TaiTime::from_nanos(*to));
            model.set_back(*to);
            return Ok(*to);
        }
        Action::Occupy(_) | Action::SetLinkSpeed(_) | Action::SetMargins(_) | Action::Arrive(_) => {
        }
    }
    model.advance(now);
    Ok(now)
}
