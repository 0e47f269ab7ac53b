//! A report with all that a report can have.

use tsn_perf::distribution::Distribution;
use tsn_perf::report::{Dot, GateRow, Report, Run, StreamResult};

const CYCLE_NS: u64 = 1_000_000;

/// Two runs of three streams: a punctual one and one that is as late as the kernel's path.
pub fn report() -> Report {
    let gate = |class, name: &str, window| GateRow {
        class,
        name: name.to_owned(),
        windows: vec![window],
    };
    Report {
        title: "Two runs".to_owned(),
        cycle_ns: CYCLE_NS,
        base_time_ns: 0,
        gates: vec![
            gate(6, "udp", (0, 200_000)),
            gate(5, "vlan", (200_000, 400_000)),
            gate(0, "flood", (400_000, CYCLE_NS)),
        ],
        runs: vec![run("tsnd", 1), run("kernel", 40)],
        notes: vec!["The same frames twice.".to_owned()],
    }
}

fn run(name: &str, spread: u64) -> Run {
    Run {
        name: name.to_owned(),
        note: "A note.".to_owned(),
        streams: vec![
            timed("udp", 6, 100_000, spread),
            timed("vlan", 5, 300_000, spread),
            flood(),
        ],
    }
}

fn timed(name: &str, class: u8, offset_ns: u64, spread: u64) -> StreamResult {
    let frames: Vec<Dot> = (0..1_000)
        .map(|index| {
            let launch_time_ns = (index + 10) * CYCLE_NS + offset_ns;
            Dot {
                // Spread without chance: steps that do not repeat within the cycle.
                arrival_ns: launch_time_ns - 500 * spread + index * 7_919 % (2_000 * spread),
                launch_time_ns: Some(launch_time_ns),
                stalled: index % 100 == 7,
            }
        })
        .collect();
    StreamResult {
        name: name.to_owned(),
        class,
        sent: 1_000,
        received: 1_000,
        on_time: 990,
        stalled: 10,
        error_ns: Distribution::of(frames.iter().filter_map(Dot::error_ns)),
        frames,
        ..StreamResult::default()
    }
}

fn flood() -> StreamResult {
    let dot = |index: u64| Dot {
        arrival_ns: index / 6 * CYCLE_NS + 410_000 + index % 6 * 95_000,
        launch_time_ns: None,
        stalled: false,
    };
    StreamResult {
        name: "flood".to_owned(),
        sent: 6_000,
        received: 6_000,
        frames: (60..6_060).map(dot).collect(),
        ..StreamResult::default()
    }
}
