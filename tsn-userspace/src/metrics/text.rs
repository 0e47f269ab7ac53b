//! OpenMetrics 1.0 text. Written here because a histogram with buckets below zero, as the launch errors are, must have
//! neither `_sum` nor `_count`, and the encoders at hand always write both.

use std::fmt::{self, Write};

use super::Family;

/// Units that a family's name may end in (OpenMetrics, "Units and Base Units").
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// What kind of values a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the daemon's start, or when its pod was attached last.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of values by size.
    Histogram,
    /// Always 1; the labels tell.
    Info,
    /// Some are counters and some are gauges.
    Unknown,
}

impl Kind {
    /// Its name in a `TYPE` line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
            Self::Unknown => "unknown",
        }
    }

    /// What the name of a sample has beyond that of its family; a histogram's differ.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram | Self::Unknown => "",
        }
    }
}

/// Takes the samples of one family.
#[derive(Debug)]
pub struct Samples<'a> {
    text: &'a mut String,
    family: &'a Family,
}

// Writing into a `String` cannot fail, so the results of `write!` are let go.
impl<'a> Samples<'a> {
    pub(super) fn begin(text: &'a mut String, family: &'a Family) -> Self {
        let Family {
            name, kind, help, ..
        } = family;
        let _ = writeln!(text, "# HELP {name} {help}");
        let _ = writeln!(text, "# TYPE {name} {}", kind.name());
        let unit = UNITS.iter().find(|unit| {
            let rest = name.strip_suffix(**unit);
            rest.is_some_and(|rest| rest.ends_with('_'))
        });
        if let Some(unit) = unit {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        Self { text, family }
    }

    /// One sample, with the values of the family's labels in their order.
    pub(super) fn put(&mut self, labels: &[&str], value: f64) {
        self.sample(self.family.kind.suffix(), labels, None, value);
    }

    /// One histogram: `counts` by upper bound in nanoseconds, the last one without a bound. `sum_ns` is only told if
    /// no bound is below zero.
    pub(super) fn histogram(
        &mut self,
        labels: &[&str],
        bounds_ns: impl Iterator<Item = i64>,
        counts: &[u64],
        sum_ns: f64,
    ) {
        let mut cumulative = 0;
        let mut has_negative = false;
        let bounds = bounds_ns.map(|ns| Bound(ns as f64 / 1e9));
        for (bound, count) in bounds.chain([Bound(f64::INFINITY)]).zip(counts) {
            has_negative |= bound.0 < 0.0;
            cumulative += count;
            self.sample("_bucket", labels, Some(bound), cumulative as f64);
        }
        if !has_negative {
            self.sample("_count", labels, None, cumulative as f64);
            self.sample("_sum", labels, None, sum_ns / 1e9);
        }
    }

    fn sample(&mut self, suffix: &str, values: &[&str], bound: Option<Bound>, value: f64) {
        debug_assert_eq!(
            values.len(),
            self.family.labels.len(),
            "{}",
            self.family.name
        );
        let _ = write!(self.text, "{}{suffix}", self.family.name);
        let mut separator = '{';
        for (label, value) in self.family.labels.iter().zip(values) {
            let _ = write!(self.text, "{separator}{label}=\"{}\"", Escaped(value));
            separator = ',';
        }
        if let Some(bound) = bound {
            let _ = write!(self.text, "{separator}le=\"{bound}\"");
            separator = ',';
        }
        let close = if separator == '{' { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

/// A label's value, with what would end it escaped.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

/// A bucket's upper bound as OpenMetrics wants it: `0.001`, `5e-06`, `1.0`, `+Inf`.
struct Bound(f64);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_infinite() {
            return f.write_str("+Inf");
        }
        if value != 0.0 && value.abs() < 1e-4 {
            let text = format!("{value:e}");
            return match text.split_once("e-") {
                Some((mantissa, exponent)) => write!(f, "{mantissa}e-{exponent:0>2}"),
                None => f.write_str(&text),
            };
        }
        write!(f, "{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(kind: Kind, labels: &'static [&'static str]) -> Family {
        Family {
            name: "tsnd_test_seconds",
            kind,
            labels,
            help: "Of a test.",
            source: super::super::Source::Status(|_| 0.0),
        }
    }

    #[test]
    fn a_counter_has_its_suffix_and_its_labels_escaped() {
        let mut text = String::new();
        let family = family(Kind::Counter, &["pod"]);
        Samples::begin(&mut text, &family).put(&["a\"b\\c\nd"], 1.5);
        let expected = "# HELP tsnd_test_seconds Of a test.\n# TYPE tsnd_test_seconds counter\n\
                        # UNIT tsnd_test_seconds seconds\n\
                        tsnd_test_seconds_total{pod=\"a\\\"b\\\\c\\nd\"} 1.5\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_histogram_is_cumulative_and_has_a_sum_unless_it_goes_below_zero() {
        let family = family(Kind::Histogram, &[]);
        let of = |bounds: [i64; 3]| {
            let mut text = String::new();
            let mut samples = Samples::begin(&mut text, &family);
            samples.histogram(&[], bounds.into_iter(), &[1, 2, 0, 4], 3e9);
            let lines = text
                .lines()
                .filter_map(|line| line.strip_prefix("tsnd_test_seconds_"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            of([5_000, 1_000_000, 1_000_000_000]),
            [
                "bucket{le=\"5e-06\"} 1",
                "bucket{le=\"0.001\"} 3",
                "bucket{le=\"1.0\"} 3",
                "bucket{le=\"+Inf\"} 7",
                "count 7",
                "sum 3",
            ]
        );
        assert_eq!(
            of([-10_000, 0, 100_000]),
            [
                "bucket{le=\"-1e-05\"} 1",
                "bucket{le=\"0.0\"} 3",
                "bucket{le=\"0.0001\"} 3",
                "bucket{le=\"+Inf\"} 7",
            ]
        );
    }
}
