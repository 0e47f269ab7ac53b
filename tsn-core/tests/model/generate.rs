//! Random schedules, arrivals and changes, dense enough that they get in each other's way.

use proptest::prelude::*;
use tsn_core::*;

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Frame {
    pub class: TrafficClass,
    pub length: u32,
    /// Of `length`, what is in front of the SDU.
    pub header: u32,
    pub launch: Launch,
    pub tolerance: Nanoseconds,
    pub action: LateAction,
}

#[derive(Clone, Debug)]
pub enum Action {
    Configure(ScheduleParameters),
    SetEnabled(bool),
    SetAdmin(u8),
    /// Time is set back to this instant, at which all that follows then goes on.
    SetBack(u64),
    /// The link is occupied for so many nanoseconds.
    Occupy(u64),
    SetLinkSpeed(u32),
    SetMargins(GateMargins),
    Arrive(Frame),
}

/// One run of a port.
#[derive(Clone, Debug)]
pub struct Run {
    pub start: u64,
    /// The last instant at which anything is compared.
    pub horizon: u64,
    /// How far ahead the model must look for what happens at the horizon.
    pub query_horizon: u64,
    pub admin: u8,
    pub mbps: u32,
    pub overhead: u32,
    pub classes: [ClassParameters; 8],
    /// In the order in which they are done, and of their time where it is not set back.
    pub actions: Vec<(u64, Action)>,
    /// Instants to ask the gates about.
    pub queries: Vec<u64>,
}

const RUN_NS: u64 = 40_000;
const MARGIN_NS: u64 = 600;
/// Beyond the horizon: a base time in the future, an extension and two cycles.
const LOOK_AHEAD_NS: u64 = 60_000;

/// The longest gate margin after the epoch, today, and near the end of all time.
fn start() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(MARGIN_NS),
        Just(1_795_290_000_123_456_789),
        Just(u64::MAX - 1_000_000)
    ]
}

fn interval() -> impl Strategy<Value = u64> {
    prop_oneof![1 => 0_u64..3, 3 => 3_u64..400, 3 => 400_u64..3_000]
}

fn states() -> impl Strategy<Value = u8> {
    prop_oneof![
        Just(0xff),
        Just(0),
        any::<u8>(),
        any::<u8>().prop_map(|mask| mask & 7)
    ]
}

/// Half of them with a cycle time of its own, in quarters or thirds of a nanosecond.
fn cycle_time() -> impl Strategy<Value = Option<CycleTime>> {
    prop::option::of(
        (1_u32..=4, 150_u32..8_000, 0_u32..4).prop_map(|(divisor, whole, part)| CycleTime {
            numerator: whole * divisor + part,
            denominator: divisor * 1_000_000_000,
        }),
    )
}

fn schedule(start: u64) -> impl Strategy<Value = ScheduleParameters> {
    let entry = (states(), interval()).prop_map(|(states, interval)| GateControlEntry {
        gate_states: GateStates(states),
        time_interval: Nanoseconds::from_nanos(interval),
    });
    let base = prop_oneof![
        1 => Just(0),
        6 => (0..50_000_u64).prop_map(move |offset| (start + offset).saturating_sub(15_000)),
    ];
    let extension = prop_oneof![Just(0), 0..12_000_u64];
    // The last entry is long enough that the model need not walk thousands of cycles.
    let entries = prop::collection::vec(entry, 1..7).prop_map(|mut entries| {
        if let Some(last) = entries.last_mut() {
            last.time_interval = last.time_interval + Nanoseconds::from_nanos(150);
        }
        entries
    });
    (base, cycle_time(), extension, entries).prop_map(|(base, cycle_time, extension, entries)| {
        ScheduleParameters {
            base_time: TaiTime::from_nanos(base),
            cycle_time,
            cycle_time_extension: Nanoseconds::from_nanos(extension),
            entries,
        }
    })
}

fn frame(start: u64) -> impl Strategy<Value = Frame> {
    // Every other time lies on a grid, so that equal ones occur.
    let offset = prop_oneof![0..45_000_u64, (0..20_u64).prop_map(|step| step * 2_000)];
    let time =
        offset.prop_map(move |offset| TaiTime::from_nanos((start + offset).saturating_sub(3_000)));
    let launch = (0..3, time).prop_map(|(kind, time)| match kind {
        0 => Launch::None,
        1 => Launch::At(time),
        _ => Launch::By(time),
    });
    let tolerance = prop_oneof![Just(0), 0..1_000_u64, 0..5_000_u64, Just(u64::MAX)];
    let action = prop_oneof![3 => Just(LateAction::Drop), 1 => Just(LateAction::Send)];
    let length = prop_oneof![20_u32..1_600, 50_u32..150, 1_300_u32..1_600];
    // Few classes, so that they are contended for.
    let class = prop_oneof![4 => Just(0), 2 => Just(1), 1 => 0..8_usize];
    // Without or with a tag.
    let header = prop_oneof![3 => Just(14), 1 => Just(18)];
    (class, length, header, launch, tolerance, action).prop_map(
        |(class, length, header, launch, tolerance, action)| Frame {
            class: TrafficClass::ALL[class],
            length,
            header,
            launch,
            tolerance: Nanoseconds::from_nanos(tolerance),
            action,
        },
    )
}

fn control(start: u64) -> impl Strategy<Value = (u64, Action)> {
    let action = prop_oneof![
        5 => schedule(start).prop_map(Action::Configure),
        1 => any::<bool>().prop_map(Action::SetEnabled),
        1 => states().prop_map(Action::SetAdmin),
        2 => (0..15_000_u64).prop_map(Action::SetBack),
        1 => (0..3_000_u64).prop_map(Action::Occupy),
        1 => speed().prop_map(Action::SetLinkSpeed),
        1 => (0..=MARGIN_NS, 0..=MARGIN_NS).prop_map(|(open, close)| Action::SetMargins(GateMargins {
            after_open: Nanoseconds::from_nanos(open),
            before_close: Nanoseconds::from_nanos(close),
        })),
    ];
    (start..start + RUN_NS, action)
}

fn speed() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1_000), Just(10_000), Just(2_500), Just(100_000)]
}

/// Puts actions in the order of their time, and moves what follows a set-back of the clock by so
/// many nanoseconds back with it.
fn in_order(start: u64, mut actions: Vec<(u64, Action)>) -> Vec<(u64, Action)> {
    actions.sort_by_key(|(t, _)| *t);
    let mut back = 0;
    for (t, action) in &mut actions {
        *t -= back;
        if let Action::SetBack(to) = action {
            *to = t.saturating_sub(*to).max(start);
            back += *t - *to;
        }
    }
    actions
}

fn classes() -> impl Strategy<Value = [ClassParameters; 8]> {
    let class = (
        1_u32..40,
        prop::option::weighted(0.2, 200_u32..1_500),
        prop::bool::weighted(0.1),
    );
    prop::array::uniform8(class.prop_map(
        |(capacity, queue_max_sdu_bytes, launch_time_required)| ClassParameters {
            capacity,
            queue_max_sdu_bytes,
            launch_time_required,
        },
    ))
}

pub fn run() -> impl Strategy<Value = Run> {
    start().prop_flat_map(|start| {
        let controls = prop::collection::vec(control(start), 1..9);
        let arrival = (start..start + RUN_NS, frame(start).prop_map(Action::Arrive));
        let arrivals = prop::collection::vec(arrival, 0..100);
        let queries = prop::collection::vec(start..start + RUN_NS, 24);
        (
            states(),
            speed(),
            prop_oneof![Just(24_u32), Just(0)],
            classes(),
            controls,
            arrivals,
            queries,
        )
            .prop_map(
                move |(admin, mbps, overhead, classes, mut actions, arrivals, mut queries)| {
                    actions.extend(arrivals);
                    let actions = in_order(start, actions);
                    queries.sort();
                    let horizon = start + RUN_NS;
                    let query_horizon = horizon + LOOK_AHEAD_NS;
                    Run {
                        start,
                        horizon,
                        query_horizon,
                        admin,
                        mbps,
                        overhead,
                        classes,
                        actions,
                        queries,
                    }
                },
            )
    })
}

/// The arrival that offers frame `number`.
pub fn arrival(number: usize, frame: &Frame) -> Arrival<usize> {
    Arrival {
        frame: number,
        length_bytes: frame.length,
        sdu_bytes: frame.length.saturating_sub(frame.header),
        class: frame.class,
        launch: frame.launch,
        late: LatePolicy {
            tolerance: frame.tolerance,
            action: frame.action,
        },
        stream: number as u32,
    }
}

pub fn build(parameters: &ScheduleParameters) -> Box<Schedule> {
    Box::new(Schedule::new(parameters.clone()).expect("the generator makes good schedules"))
}
