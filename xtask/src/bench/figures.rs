//! Distributions and medians as columns of tables.

use tsn_perf::distribution::Distribution;

use super::table::{Column, Row};

/// A column.
pub fn column(name: &str, unit: &'static str) -> Column {
    Column {
        name: name.to_owned(),
        unit,
    }
}

/// The columns of [`distribution_row`], with `counts` after them.
pub fn distribution_columns(counts: &[&str]) -> Vec<Column> {
    let quantiles = ["p50", "p90", "p99", "p99.9", "max"];
    let quantiles = quantiles.into_iter().map(|name| column(name, "ns"));
    let counts = counts.iter().map(|name| column(name, "frames"));
    quantiles.chain(counts).collect()
}

/// A row of quantiles, with `counts` after them.
pub fn distribution_row(subject: String, values_ns: &[i64], counts: &[u64]) -> Row {
    let quantiles = match Distribution::of(values_ns.iter().copied()) {
        // Nothing was found: the counts would hide that.
        None => {
            return Row {
                subject,
                figures: vec![None; 5 + counts.len()],
            };
        }
        Some(found) => {
            [found.p50, found.p90, found.p99, found.p999, found.max].map(|value| Some(value as f64))
        }
    };
    let counts = counts.iter().map(|count| Some(*count as f64));
    Row {
        subject,
        figures: quantiles.into_iter().chain(counts).collect(),
    }
}

/// The values in rising order.
pub fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle one of sorted values.
pub fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}
