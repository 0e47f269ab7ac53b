//! The ticks of a time axis.

const UNITS: [(u64, &str); 4] = [
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "µs"),
    (1, "ns"),
];

/// A time axis with ticks at round times.
#[derive(Debug, PartialEq)]
pub struct Axis {
    /// The unit of the labels.
    pub unit: &'static str,
    /// Where the ticks are, in nanoseconds, and what they are called.
    pub ticks: Vec<(i64, String)>,
}

impl Axis {
    /// Ticks over `[start, end]`, as close as possible but no more than `most`, which is at least 2.
    pub fn new(start_ns: i64, end_ns: i64, most: usize) -> Self {
        let length_ns = end_ns.abs_diff(start_ns);
        let steps = [1, 2, 5];
        let step_ns = (0..19_u32)
            .flat_map(|power| steps.map(|step| step * 10_u64.pow(power)))
            .find(|step_ns| length_ns / step_ns < most as u64)
            .unwrap_or(u64::MAX / 2);
        let (scale, unit) = UNITS
            .into_iter()
            .find(|(scale, _)| step_ns >= *scale)
            .unwrap_or(UNITS[3]);
        let step = i128::from(step_ns);
        let first = i128::from(start_ns).div_euclid(step) * step;
        let ticks = (0..)
            .map(|n| first + n * step)
            .skip_while(|t| *t < i128::from(start_ns))
            .take_while(|t| *t <= i128::from(end_ns))
            .map(|t| {
                (
                    t as i64,
                    (t / i128::from(scale)).to_string().replace('-', "−"),
                )
            })
            .collect();
        Self { unit, ticks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(start_ns: i64, end_ns: i64, most: usize) -> (String, &'static str) {
        let axis = Axis::new(start_ns, end_ns, most);
        let labels: Vec<String> = axis.ticks.into_iter().map(|(_, label)| label).collect();
        (labels.join(" "), axis.unit)
    }

    #[test]
    fn ticks_are_round_and_no_more_than_asked_for() {
        assert_eq!(
            labels(0, 1_000_000, 11).0,
            "0 100 200 300 400 500 600 700 800 900 1000"
        );
        assert_eq!(
            labels(0, 1_000_000, 10),
            ("0 200 400 600 800 1000".to_owned(), "µs")
        );
        assert_eq!(labels(0, 10_000_000, 6), ("0 2 4 6 8 10".to_owned(), "ms"));
        assert_eq!(labels(-700, 1_300, 5), ("−500 0 500 1000".to_owned(), "ns"));
        assert_eq!(labels(0, 3, 9), ("0 1 2 3".to_owned(), "ns"));
        assert_eq!(labels(i64::MIN, i64::MAX, 8).1, "s");
    }
}
