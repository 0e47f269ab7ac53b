//! What more pods and more queued frames cost in launch precision.

use tsn_perf::distribution::Distribution;

use super::{
    figures::column,
    precision::Found,
    table::{Row, Table},
};

/// The worker's median and p99 by pods, and how many times the bare spin loop's they are.
pub fn table(found: &[Found]) -> Table {
    let quantiles = |found: &Found| {
        let distribution = Distribution::of(found.errors_ns.iter().copied())?;
        Some((distribution.p50 as f64, distribution.p99 as f64))
    };
    let bare = found
        .iter()
        .find(|found| found.pods.is_none())
        .and_then(quantiles);
    let row = |found: &Found| {
        let own = quantiles(found);
        let times = |of: fn((f64, f64)) -> f64| Some(of(own?) / of(bare?));
        Row {
            subject: found.subject(),
            figures: vec![
                own.map(|own| own.0),
                times(|pair| pair.0),
                own.map(|own| own.1),
                times(|pair| pair.1),
            ],
        }
    };
    Table {
        id: "growth",
        title: "Growth with pods".to_owned(),
        explanation: "The median and the 99th percentile of the same launch errors, and how many times the bare spin \
                      loop's they are."
            .to_owned(),
        columns: vec![
            column("p50", "ns"),
            column("p50 / bare", "times"),
            column("p99", "ns"),
            column("p99 / bare", "times"),
        ],
        rows: found.iter().map(row).collect(),
    }
}
