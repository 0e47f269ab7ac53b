//! Many small marks as one SVG path each kind, so that a page of a hundred thousand dots stays small.

use std::fmt;

/// Marks at positions, kept to a fifth of a unit; those that coincide are drawn once.
#[derive(Default)]
pub struct Marks(Vec<(i32, i32)>);

const STEPS_PER_UNIT: f64 = 5.0;

impl Marks {
    /// Adds a mark.
    pub fn add(&mut self, x: f64, y: f64) {
        self.0.push((
            (x * STEPS_PER_UNIT).round() as i32,
            (y * STEPS_PER_UNIT).round() as i32,
        ));
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Dots: a path of zero-length lines, which round caps turn into discs as wide as the stroke.
    pub fn dots(mut self) -> Path {
        Path(
            self.distinct()
                .map(|(x, y)| format!("M{x} {y}h0"))
                .collect(),
        )
    }

    /// Crosses.
    pub fn crosses(mut self) -> Path {
        Path(
            self.distinct()
                .map(|(x, y)| format!("M{} {}l5 5m0-5l-5 5", x - 2.5, y - 2.5))
                .collect(),
        )
    }

    fn distinct(&mut self) -> impl Iterator<Item = (f64, f64)> {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.iter().map(|(x, y)| {
            (
                f64::from(*x) / STEPS_PER_UNIT,
                f64::from(*y) / STEPS_PER_UNIT,
            )
        })
    }
}

/// The `d` attribute of a path.
pub struct Path(String);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Marks;

    #[test]
    fn marks_that_coincide_are_drawn_once() {
        let mut marks = Marks::default();
        for (x, y) in [(10.0, 5.0), (10.01, 5.0), (10.2, 5.0)] {
            marks.add(x, y);
        }
        assert_eq!(marks.dots().to_string(), "M10 5h0M10.2 5h0");
    }
}
