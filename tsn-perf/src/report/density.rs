//! A strip that shows how many frames arrived where, for streams with too many to draw each.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// Size of a cell in units of the figure.
const CELL_WIDTH: f64 = 3.0;
const CELL_HEIGHT: f64 = 6.0;
/// Steps of opacity.
const LEVELS: u32 = 5;

/// Counts of frames in cells, apart for those inside and outside their gate.
#[derive(Default)]
pub struct Density(BTreeMap<(bool, i32, i32), u32>);

impl Density {
    /// Counts a frame at this position.
    pub fn add(&mut self, x: f64, y: f64, is_outside: bool) {
        let cell = (
            (x / CELL_WIDTH).floor() as i32,
            (y / CELL_HEIGHT).floor() as i32,
        );
        *self.0.entry((is_outside, cell.0, cell.1)).or_default() += 1;
    }

    /// Draws the cells at `top`: the more frames, the less transparent. Cells outside the gate are drawn
    /// in the alarm colour and in full, so that a single frame is seen.
    pub fn draw(&self, out: &mut impl Write, top: f64, colour: &str) -> fmt::Result {
        let most = self.0.values().copied().max().unwrap_or(1);
        let mut paths: BTreeMap<(bool, u32), String> = BTreeMap::new();
        for (&(is_outside, column, row), &count) in &self.0 {
            let share = (f64::from(count) / f64::from(most)).sqrt();
            let level = if is_outside {
                LEVELS
            } else {
                (share * f64::from(LEVELS)).ceil() as u32
            };
            let x = f64::from(column) * CELL_WIDTH;
            let y = top + (f64::from(row) + 0.5) * CELL_HEIGHT;
            write!(
                paths.entry((is_outside, level)).or_default(),
                "M{x} {y}h{CELL_WIDTH}"
            )?;
        }
        for ((is_outside, level), path) in paths {
            let class = if is_outside { "alarm" } else { colour };
            let opacity = f64::from(level) / f64::from(LEVELS);
            writeln!(
                out,
                "<path class=\"cell {class}\" stroke-opacity=\"{opacity}\" \
                 stroke-width=\"{CELL_HEIGHT}\" d=\"{path}\"/>"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Density;

    #[test]
    fn one_frame_outside_among_many_is_drawn_in_full() {
        let mut density = Density::default();
        (0..1000).for_each(|_| density.add(10.0, 5.0, false));
        density.add(40.0, 5.0, true);
        let mut svg = String::new();
        density.draw(&mut svg, 0.0, "s0").unwrap();
        assert!(
            svg.contains("class=\"cell alarm\" stroke-opacity=\"1\""),
            "{svg}"
        );
        assert_eq!(svg.lines().count(), 2);
    }
}
