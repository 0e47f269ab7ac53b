//! Whatever configuration the daemon accepts can be drawn, or is refused with a reason.

use proptest::prelude::*;
use tsn_core::{TaiTime, TrafficClass, Window};
use tsn_userspace::config::{
    BaseTime, Configuration, CycleTimeSetting, GateControlEntry, GateParameters, GateStatesValue,
    Interval, compile_uplink,
};
use tsn_userspace::plan::{Command, Plan, svg, terminal};

use crate::{ASSUMPTIONS, NOW, configuration};

fn ns() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => 0_u64..50,
        6 => 50_u64..2_000_000,
        1 => 1_000_000_000_u64..10_000_000_000_000,
        1 => any::<u64>(),
    ]
}

fn gates() -> impl Strategy<Value = GateParameters> {
    let states = || any::<u8>().prop_map(GateStatesValue::Mask);
    let entry = (states(), ns()).prop_map(|(gate_states_value, ns)| GateControlEntry {
        gate_states_value,
        time_interval_value: Interval::from_ns(ns),
    });
    let cycle_time =
        (1_u32.., 1_u32..=4_000_000_000).prop_map(|(numerator, denominator)| CycleTimeSetting {
            numerator: numerator % 1_000 + 1,
            denominator,
        });
    (
        any::<bool>(),
        states(),
        ns().prop_map(|ns| BaseTime::from_ns(ns.min(u64::MAX - 2_000_000_000))),
        prop::option::of(cycle_time),
        ns().prop_map(Interval::from_ns),
        prop::collection::vec(entry, 0..40),
    )
        .prop_map(
            |(some, states, base_time, cycle_time, extension, list)| GateParameters {
                gate_enabled: some || list.len() % 4 != 0,
                admin_gate_states: states,
                admin_base_time: base_time,
                admin_cycle_time: cycle_time,
                admin_cycle_time_extension: extension,
                admin_control_list: list,
            },
        )
}

/// A configuration that the daemon accepts.
fn accepted() -> impl Strategy<Value = Configuration> {
    (gates(), any::<u32>(), 1_u32.., prop::option::of(".{1,20}")).prop_filter_map(
        "refused",
        |(gates, sdu, speed, name)| {
            let mut configuration = configuration(&["{ number: 7 }"], "admin-gate-states: 0");
            let uplink = &mut configuration.uplinks[0];
            uplink.gate_parameters = gates;
            uplink.link_speed = Some(speed);
            uplink.traffic_classes[0].queue_max_sdu = sdu;
            uplink.traffic_classes[0].name = name;
            configuration.check().is_ok().then_some(configuration)
        },
    )
}

fn draw(plan: &Plan, width: usize) {
    for neighbours in plan.spans.windows(2) {
        assert_eq!(neighbours[0].end_ns, neighbours[1].start_ns);
    }
    assert!(plan.spans.iter().all(|span| span.start_ns < span.end_ns));
    for row in &plan.rows {
        assert!((0.0..=1.0).contains(&row.figures.open_share), "{row:?}");
        for neighbours in row.windows.windows(2) {
            assert!(
                neighbours[0].close_ns.unwrap() < neighbours[1].open_ns.unwrap(),
                "{row:?}"
            );
        }
    }
    terminal::render(plan, width, width.is_multiple_of(2));
    let text = svg::render(plan);
    roxmltree::Document::parse(&text).unwrap();
}

/// The scheduler's own idea of the longest window.
fn check_longest_windows(configuration: &Configuration, plan: &Plan) {
    let compiled = compile_uplink("", &configuration.uplinks[0]).unwrap();
    let Some(schedule) = compiled.gates.schedule.filter(|_| compiled.gates.enabled) else {
        return;
    };
    for row in &plan.rows {
        for class in &row.classes {
            let longest = schedule.longest_window(TrafficClass::new(*class).unwrap());
            match (longest, row.figures.longest_window_ns) {
                // A cycle of a fractional number of nanoseconds is sometimes one longer.
                (Window::Longest(core), Some(drawn)) => {
                    assert!(core.as_nanos().abs_diff(drawn) <= 1, "{row:?}")
                }
                (Window::Always | Window::Never, None) => {}
                different => panic!("{different:?}: {row:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_list_is_drawn(configuration in accepted(), cycles in 1_u32..=4, width in 0_usize..220) {
        if let Ok(plan) = Plan::of(&configuration, cycles, NOW, &ASSUMPTIONS) {
            draw(&plan, width);
            check_longest_windows(&configuration, &plan);
        }
    }

    #[test]
    fn any_change_is_drawn(
        old in accepted(),
        new in accepted(),
        now in any::<u64>(),
        at in prop::option::of(any::<u64>()),
        near in prop::option::of(ns()),
        cycles in 1_u32..=4,
        width in 0_usize..220,
    ) {
        let at = near.map(|near| now.saturating_add(near)).or(at);
        let command = Command { now: TaiTime::from_nanos(now), at: at.map(TaiTime::from_nanos) };
        if let Ok(plan) = Plan::of_change(&old, &new, command, cycles, &ASSUMPTIONS) {
            draw(&plan, width);
        }
    }
}
