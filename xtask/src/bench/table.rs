//! What every benchmark gives: tables of figures that say their unit.

use serde::Serialize;

/// One table of results.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Table {
    /// Short and stable, for machines: `launch-precision`.
    pub id: &'static str,
    /// What is measured.
    pub title: String,
    /// How to read it, in a sentence or two.
    pub explanation: String,
    /// What the columns are.
    pub columns: Vec<Column>,
    /// The subjects, the baseline first.
    pub rows: Vec<Row>,
}

/// A column of figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Column {
    /// Such as `p99`.
    pub name: String,
    /// Such as `ns` or `frames/s`.
    pub unit: &'static str,
}

/// A subject and its figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// Such as `bare spin loop`.
    pub subject: String,
    /// One for each column; `None` where there is nothing to measure.
    pub figures: Vec<Option<f64>>,
}
