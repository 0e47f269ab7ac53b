//! Kind `gate`: gate states and openings after changes of schedule.

use serde::Deserialize;
use serde_json::Value;
use tsn_core::*;

use crate::vector_file::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GateCase {
    admin_gate_states: Option<u8>,
    steps: Vec<Step>,
    queries: Vec<Query>,
    #[serde(default)]
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    t: u64,
    action: String,
    schedule: Option<ScheduleCase>,
    admin_gate_states: Option<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    t: u64,
    gates: Option<u8>,
    #[serde(default)]
    next_open: ByClass<Option<u64>>,
    #[serde(
        default,
        alias = "next_close",
        alias = "close_time",
        alias = "gate_close"
    )]
    close: ByClass<Option<u64>>,
    config_pending: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    config_change_time: Option<u64>,
    config_change_error: Option<u64>,
}

pub fn check(body: Value) -> Outcome {
    let case: GateCase = parse(body)?;
    // With and without moving the gates on before a query: the answers must be the same.
    for advance in [false, true] {
        replay(&case, advance).map_err(|message| format!("{message} (advance: {advance})"))?;
    }
    Ok(())
}

fn replay(case: &GateCase, advance: bool) -> Outcome {
    let mut gates = Gates::new(GateStates(case.admin_gate_states.unwrap_or(0xff)));
    let mut steps: Vec<&Step> = case.steps.iter().collect();
    let mut queries: Vec<&Query> = case.queries.iter().collect();
    steps.sort_by_key(|step| step.t);
    queries.sort_by_key(|query| query.t);

    let mut steps = steps.into_iter().peekable();
    for query in queries {
        while let Some(step) = steps.next_if(|step| step.t <= query.t) {
            take(&mut gates, step)?;
        }
        if advance {
            gates.advance(at(query.t));
        }
        answer(&gates, query).map_err(|message| format!("at {}: {message}", query.t))?;
    }
    steps.try_for_each(|step| take(&mut gates, step))?;

    if let Some(expected) = case.expect.config_change_time {
        expect_equal(
            "config_change_time",
            gates.config_change_time(),
            Some(at(expected)),
        )?;
    }
    if let Some(expected) = case.expect.config_change_error {
        expect_equal("config_change_error", gates.config_change_error(), expected)?;
    }
    Ok(())
}

fn take(gates: &mut Gates, step: &Step) -> Outcome {
    if let Some(states) = step.admin_gate_states {
        gates.set_admin_gate_states(GateStates(states));
    }
    match (step.action.as_str(), &step.schedule) {
        ("config", Some(schedule)) => {
            let change = gates.configure(at(step.t), schedule.build()?);
            expect_equal(
                "returned ConfigChangeTime",
                Some(change.config_change_time),
                gates.config_change_time(),
            )
        }
        ("enable", None) => {
            gates.set_enabled(at(step.t), true);
            Ok(())
        }
        ("disable", None) => {
            gates.set_enabled(at(step.t), false);
            Ok(())
        }
        ("admin_gate_states", None) if step.admin_gate_states.is_some() => Ok(()),
        (action, schedule) => Err(format!(
            "unknown step: action {action}, with a schedule: {}",
            schedule.is_some()
        )),
    }
}

fn answer(gates: &Gates, query: &Query) -> Outcome {
    let t = at(query.t);
    if query.gates.is_none()
        && query.next_open.is_empty()
        && query.close.is_empty()
        && query.config_pending.is_none()
    {
        return Err("the query asks for nothing".to_owned());
    }
    if let Some(expected) = query.gates {
        expect_equal("gates", gates.states(t), GateStates(expected))?;
    }
    for (key, expected) in &query.next_open {
        let what = format!("next_open of class {key}");
        expect_equal(&what, gates.next_open(class_key(key)?, t), expected.map(at))?;
    }
    for (key, expected) in &query.close {
        let what = format!("close of class {key}");
        let expected = expected.map_or(Close::Never, |ns| Close::At(at(ns)));
        expect_equal(&what, gates.close_time(class_key(key)?, t), expected)?;
    }
    if let Some(expected) = query.config_pending {
        expect_equal("config_pending", gates.config_pending(t), expected)?;
    }
    Ok(())
}
