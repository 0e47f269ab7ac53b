//! The axis of arrival − launch time that figures share: linear up to a microsecond on both sides of the launch time,
//! logarithmic beyond.

use std::fmt::{self, Write};

use super::plot::Scale;

const LINEAR_NS: f64 = 1e3;

/// The axis over a range of errors.
pub struct ErrorAxis(Scale);

impl ErrorAxis {
    /// An axis that holds errors from `low_ns` to `high_ns`, and the launch time, between two positions.
    pub fn new(low_ns: i64, high_ns: i64, range: (f64, f64)) -> Self {
        Self(Scale {
            domain: (place(low_ns.min(0)) - 0.2, place(high_ns.max(0)) + 0.2),
            range,
        })
    }

    /// The position of an error.
    pub fn at(&self, error_ns: i64) -> f64 {
        self.0.at(place(error_ns))
    }

    /// Draws grid lines from `top` to `bottom`, and ticks and the axis' name below.
    pub fn draw(&self, out: &mut impl Write, top: f64, bottom: f64) -> fmt::Result {
        let (low, high) = self.0.domain;
        // An i64 of nanoseconds ends in the 17th decade.
        let decades = |end: f64| 1..=(end.abs().ceil() as u32).min(16);
        let size = |decade: u32| 10_i64.pow(decade + 2);
        let ticks = decades(low).map(|decade| -size(decade));
        let ticks = ticks.chain([0]).chain(decades(high).map(size));
        for tick in ticks.filter(|tick| (low..=high).contains(&place(*tick))) {
            let (at, below) = (self.at(tick), bottom + 16.0);
            let class = if tick == 0 { "launch" } else { "grid" };
            let label = (tick / 1000).to_string().replace('-', "\u{2212}");
            writeln!(
                out,
                "<path class=\"{class}\" d=\"M{at:.1} {top}V{bottom}\"/>\n\
                 <text class=\"tick\" x=\"{at:.1}\" y=\"{below}\">{label}</text>"
            )?;
        }
        let (middle, below) = ((self.0.range.0 + self.0.range.1) / 2.0, bottom + 36.0);
        writeln!(
            out,
            "<text class=\"axis\" x=\"{middle}\" y=\"{below}\">arrival − launch time, µs</text>"
        )
    }
}

/// Where a value lies on the axis: 1 at a microsecond, and one more with each power of ten.
fn place(value_ns: i64) -> f64 {
    let size = value_ns.unsigned_abs() as f64 / LINEAR_NS;
    let place = if size <= 1.0 {
        size
    } else {
        1.0 + size.log10()
    };
    place.copysign(value_ns as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keep_the_sign_and_grow_by_one_each_decade() {
        let places = [-100_000, -1_000, 0, 500, 1_000, 10_000].map(place);
        assert_eq!(places, [-3.0, -1.0, 0.0, 0.5, 1.0, 2.0]);
    }

    #[test]
    fn the_longest_errors_have_an_axis_too() {
        let mut svg = String::new();
        let axis = ErrorAxis::new(i64::MIN, i64::MAX, (0.0, 100.0));
        axis.draw(&mut svg, 0.0, 50.0).unwrap();
        assert!(svg.contains(">1000000000000000<"), "{svg}");
    }

    #[test]
    fn the_launch_time_is_on_every_axis() {
        let mut svg = String::new();
        let axis = ErrorAxis::new(5_000, 9_000, (0.0, 100.0));
        axis.draw(&mut svg, 0.0, 50.0).unwrap();
        assert_eq!(svg.matches("class=\"launch\"").count(), 1, "{svg}");
        assert!(axis.at(0) > 0.0 && axis.at(9_000) < 100.0);
    }
}
