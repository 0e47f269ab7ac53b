//! There and back again, for any valid gate parameters: nothing changes but what was named.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tsn_userspace::config::{
    BaseTime, CycleTimeSetting, GateControlEntry, GateParameters, GateStatesValue, Interval, Uplink,
};
use tsn_userspace::formats::{Converted, Format, Loss, Selection, read, write};

use crate::behaviour::{Behaviour, behaviour, class};
use crate::shape;

const SECOND_NS: u64 = 1_000_000_000;

fn cycle_time() -> impl Strategy<Value = CycleTimeSetting> {
    let usual = (1..5_000_000_000u64).prop_filter_map("no fraction of 32 bits", |ns| {
        CycleTimeSetting::from_interval(Interval::from_ns(ns)).ok()
    });
    let odd = (1..=u32::MAX, 1..=u32::MAX)
        .prop_filter("shorter than 1 ns", |(numerator, denominator)| {
            u64::from(*numerator) * SECOND_NS >= u64::from(*denominator)
        })
        .prop_map(|(numerator, denominator)| CycleTimeSetting {
            numerator,
            denominator,
        });
    prop_oneof![usual, odd]
}

fn interval(limit_ns: u64) -> impl Strategy<Value = Interval> {
    prop_oneof![0..10u64, 0..2_000_000u64, 0..limit_ns].prop_map(Interval::from_ns)
}

fn entry() -> impl Strategy<Value = GateControlEntry> {
    (any::<u8>(), interval(20 * SECOND_NS)).prop_map(|(mask, time_interval_value)| {
        GateControlEntry {
            gate_states_value: GateStatesValue::Mask(mask),
            time_interval_value,
        }
    })
}

fn gate_parameters() -> impl Strategy<Value = GateParameters> {
    (
        prop::bool::weighted(0.9),
        prop_oneof![Just(0xff), any::<u8>()],
        0..i64::MAX as u64,
        option::of(cycle_time()),
        interval(10 * SECOND_NS),
        vec(entry(), 0..12),
    )
        .prop_map(
            |(gate_enabled, states, base_ns, cycle, extension, list)| GateParameters {
                gate_enabled,
                admin_gate_states: GateStatesValue::Mask(states),
                admin_base_time: BaseTime::from_ns(base_ns),
                admin_cycle_time: cycle,
                admin_cycle_time_extension: extension,
                admin_control_list: list,
            },
        )
}

fn uplink() -> impl Strategy<Value = Uplink> {
    let limit = prop_oneof![Just(0), any::<u32>()];
    let classes = prop::collection::btree_map(0..8u8, limit, 0..8);
    (classes, gate_parameters()).prop_map(|(classes, gate_parameters)| Uplink {
        traffic_classes: classes
            .into_iter()
            .map(|(number, limit)| class(number, limit))
            .collect(),
        gate_parameters,
        ..Uplink::on_device("eth0")
    })
}

fn names(losses: &[Loss]) -> BTreeSet<&str> {
    let names: BTreeSet<&str> = losses
        .iter()
        .map(|loss| loss.field.rsplit('.').next().unwrap())
        .collect();
    assert_eq!(names.len(), losses.len(), "named twice: {losses:?}");
    names
}

/// The fields in which two uplinks behave differently.
fn differences(a: &Behaviour, b: &Behaviour) -> BTreeSet<&'static str> {
    [
        ("gate-enabled", a.enabled == b.enabled),
        ("admin-gate-states", a.before_start == b.before_start),
        ("admin-base-time", a.base_time_ns == b.base_time_ns),
        ("admin-cycle-time", a.cycle == b.cycle),
        (
            "admin-cycle-time-extension",
            a.extension_ns == b.extension_ns,
        ),
        ("admin-control-list", a.list == b.list),
        ("queue-max-sdu", a.max_sdu_bytes == b.max_sdu_bytes),
    ]
    .into_iter()
    .filter(|(_, equal)| !equal)
    .map(|(name, _)| name)
    .collect()
}

/// A sum of intervals or a cycle of these nanoseconds cannot be said as a fraction of 32-bit numbers.
fn is_no_fraction(ns: u128) -> bool {
    CycleTimeSetting::from_interval(Interval::from_ns(ns as u64)).is_err()
}

fn there_and_back(format: Format, uplink: &Uplink, written: &Converted<String>) -> Uplink {
    let read = read(format, &written.document, Selection::default()).unwrap();
    assert_eq!(read.losses, [], "{}", written.document);
    let before = behaviour(uplink);
    let after = behaviour(&read.document);
    // What tc or the kernel refuses is written all the same, so it makes no difference here.
    let refused = |loss: &Loss| {
        format == Format::Taprio
            && ["admin-control-list", "time-interval-value"]
                .iter()
                .any(|name| loss.field.ends_with(name))
    };
    let (refused, named): (Vec<_>, Vec<_>) = written.losses.iter().cloned().partition(refused);
    if format == Format::Taprio {
        let intervals = &read.document.gate_parameters.admin_control_list;
        let is_long = intervals.len() > 24;
        let is_short = intervals
            .iter()
            .any(|entry| entry.time_interval_value.ns < 480);
        assert_eq!(
            refused.len(),
            usize::from(is_long) + usize::from(is_short),
            "{refused:?}\n{}",
            written.document
        );
    }
    assert_eq!(
        differences(&before, &after),
        names(&named),
        "{before:?}\n{after:?}\n{}",
        written.document
    );
    read.document
}

proptest! {
    #[test]
    fn yang(uplink in uplink()) {
        match write(Format::Yang, &uplink) {
            Ok(written) => {
                shape::check(&written.document);
                let again = there_and_back(Format::Yang, &uplink, &written);
                prop_assert_eq!(again.traffic_classes, uplink.traffic_classes);
            }
            Err(error) => {
                prop_assert!(error.to_string().contains("admin-cycle-time"), "{}", error);
                prop_assert!(uplink.gate_parameters.admin_cycle_time.is_none());
                let sum = behaviour(&uplink).cycle.unwrap();
                prop_assert!(is_no_fraction(sum.0 / sum.1));
            }
        }
    }

    #[test]
    fn taprio(uplink in uplink()) {
        let gates = &uplink.gate_parameters;
        let runs = gates.gate_enabled && !gates.admin_control_list.is_empty();
        match write(Format::Taprio, &uplink) {
            Ok(written) => {
                prop_assert!(runs);
                // Rounded to whole nanoseconds, a cycle may be none that tsnd can say.
                let rounded = behaviour(&uplink).cycle.map_or(0, |(ns, per)| ns / per);
                if gates.admin_cycle_time.is_none() || !is_no_fraction(rounded) {
                    there_and_back(Format::Taprio, &uplink, &written);
                }
            }
            Err(error) => prop_assert!(!runs, "{}", error),
        }
    }

    #[test]
    fn tsnd(uplink in uplink()) {
        let written = write(Format::Tsnd, &uplink).unwrap();
        there_and_back_by_masks(&uplink, &written)?;
    }
}

/// `tsnd` writes classes, not masks; written as YANG, both are masks again.
fn there_and_back_by_masks(
    uplink: &Uplink,
    written: &Converted<String>,
) -> Result<(), TestCaseError> {
    let again = read(Format::Tsnd, &written.document, Selection::default()).unwrap();
    prop_assert_eq!(&again.losses, &[]);
    let as_yang = |uplink: &Uplink| write(Format::Yang, uplink).ok().map(|yang| yang.document);
    prop_assert_eq!(as_yang(&again.document), as_yang(uplink));
    prop_assert_eq!(&again.document.traffic_classes, &uplink.traffic_classes);
    Ok(())
}
