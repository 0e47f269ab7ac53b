//! The figure of one timed stream: how many frames arrived how long after their launch time.

use std::fmt::{self, Write};

use super::data::{Dot, StreamResult};
use super::figure::Figure;
use super::plot::{LEFT, RIGHT, Scale, ticks};
use super::text::{Count, SignedMicroseconds};

const BINS: usize = 120;
const TOP: f64 = 42.0;
const BOTTOM: f64 = 168.0;
/// The rows of text above.
const LAUNCH_ROW: f64 = 10.0;
const BEYOND_ROW: f64 = 32.0;
/// One in so many frames at each end may lie beyond the axis; how many do is said there.
const BEYOND: usize = 200;
/// The axis covers at least this, so that a precise stream does not look like a wide one.
const LEAST_SPAN_NS: i64 = 2_000;

/// Draws the figure; `None` for a stream without launch times.
pub fn draw(stream: &StreamResult, colour: &str) -> Result<Option<Figure>, fmt::Error> {
    let mut errors_ns: Vec<i64> = stream.frames.iter().filter_map(Dot::error_ns).collect();
    if errors_ns.is_empty() {
        return Ok(None);
    }
    errors_ns.sort_unstable();
    let (low, high) = axis_of(&errors_ns);
    let mut counts = [0_u64; BINS];
    let (mut before, mut after) = (0, 0);
    for &error_ns in &errors_ns {
        match error_ns {
            _ if error_ns < low => before += 1,
            _ if error_ns >= high => after += 1,
            _ => counts[bin_of(error_ns, low, high)] += 1,
        }
    }

    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let x = Scale {
        domain: (low as f64 / 1e3, high as f64 / 1e3),
        range: (LEFT, RIGHT),
    };
    // From half a frame, so that a single one has a height.
    let y = Scale {
        domain: (0.5_f64.log10(), (most as f64).log10()),
        range: (BOTTOM, TOP),
    };
    Figure::new("Arrival less launch time", |out| {
        axes(out, &x, &y, most)?;
        bars(out, &counts, &y, colour)?;
        if (low..high).contains(&0) {
            launch_time(out, x.at(0.0))?;
        }
        beyond(
            out,
            (before, errors_ns[0]),
            (after, errors_ns[errors_ns.len() - 1]),
        )?;
        Ok(BOTTOM + 44.0)
    })
    .map(Some)
}

fn launch_time(out: &mut impl Write, at: f64) -> fmt::Result {
    let (class, beside) = if at < RIGHT - 100.0 {
        ("", 6.0)
    } else {
        ("end", -6.0)
    };
    let (beside, baseline) = (at + beside, LAUNCH_ROW + 4.0);
    writeln!(
        out,
        "<path class=\"launch\" d=\"M{at:.1} {LAUNCH_ROW}V{BOTTOM}\"/>\n\
         <text class=\"{class}\" x=\"{beside:.1}\" y=\"{baseline}\">launch time</text>"
    )
}

/// Says how many frames lie beyond each end of the axis, and how far.
fn beyond(out: &mut impl Write, before: (u64, i64), after: (u64, i64)) -> fmt::Result {
    if before.0 > 0 {
        let (count, end) = (Count(before.0), SignedMicroseconds(before.1));
        write!(
            out,
            "<text class=\"beyond\" x=\"{LEFT}\" y=\"{BEYOND_ROW}\">"
        )?;
        writeln!(out, "◂ {count} earlier, down to {end} µs</text>")?;
    }
    if after.0 > 0 {
        let (count, end) = (Count(after.0), SignedMicroseconds(after.1));
        write!(
            out,
            "<text class=\"beyond end\" x=\"{RIGHT}\" y=\"{BEYOND_ROW}\">"
        )?;
        writeln!(out, "{count} later, up to {end} µs ▸</text>")?;
    }
    Ok(())
}

/// The ends of the axis: all but the most extreme frames, the launch time itself if it is near, and a
/// little air.
fn axis_of(sorted_ns: &[i64]) -> (i64, i64) {
    let beyond = sorted_ns.len() / BEYOND;
    let (mut low, mut high) = (sorted_ns[beyond], sorted_ns[sorted_ns.len() - 1 - beyond]);
    let span = high.saturating_sub(low).max(LEAST_SPAN_NS);
    if low > 0 && low < 2 * span {
        low = 0;
    }
    if high < 0 && high > -2 * span {
        high = 0;
    }
    let missing = (LEAST_SPAN_NS - (high - low)).max(0) / 2;
    let air = (high - low) / 25 + missing + 1;
    (low.saturating_sub(air), high.saturating_add(air))
}

fn bin_of(error_ns: i64, low: i64, high: i64) -> usize {
    let share = (i128::from(error_ns) - i128::from(low)) * BINS as i128
        / (i128::from(high) - i128::from(low));
    share as usize
}

fn axes(out: &mut impl Write, x: &Scale, y: &Scale, most: u64) -> fmt::Result {
    for power in 0..=most.ilog10() {
        let count = 10_u64.pow(power);
        let at = y.at(f64::from(power));
        writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>")?;
        let (beside, baseline) = (LEFT - 8.0, at + 4.0);
        writeln!(
            out,
            "<text class=\"label\" x=\"{beside}\" y=\"{baseline:.1}\">{}</text>",
            Count(count)
        )?;
    }
    let middle = (TOP + BOTTOM) / 2.0;
    writeln!(
        out,
        "<text class=\"axis\" transform=\"translate(96 {middle}) rotate(-90)\">frames (log)</text>"
    )?;
    writeln!(
        out,
        "<path class=\"baseline\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>"
    )?;
    for tick in ticks(x.domain.0, x.domain.1, 10) {
        let at = x.at(tick);
        let below = BOTTOM + 16.0;
        // Rounded to a nanosecond: sums of steps such as 0.2 carry digits that mean nothing.
        let tick = (tick * 1e3).round() / 1e3;
        let tick = tick.to_string().replace('-', "\u{2212}");
        writeln!(out, "<path class=\"baseline\" d=\"M{at:.1} {BOTTOM}v4\"/>")?;
        writeln!(
            out,
            "<text class=\"tick\" x=\"{at:.1}\" y=\"{below}\">{tick}</text>"
        )?;
    }
    let (middle, below) = ((LEFT + RIGHT) / 2.0, BOTTOM + 36.0);
    writeln!(
        out,
        "<text class=\"axis\" x=\"{middle}\" y=\"{below}\">arrival − launch time, µs</text>"
    )
}

fn bars(out: &mut impl Write, counts: &[u64], y: &Scale, colour: &str) -> fmt::Result {
    let width = (RIGHT - LEFT) / BINS as f64;
    let mut path = String::new();
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let left = LEFT + index as f64 * width;
        let height = BOTTOM - y.at((*count as f64).log10());
        write!(
            path,
            "M{left:.1} {BOTTOM}v-{height:.1}h{:.1}v{height:.1}z",
            width - 1.0
        )?;
    }
    writeln!(out, "<path class=\"bar {colour}\" d=\"{path}\"/>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_holds_all_but_the_extremes_and_the_launch_time() {
        let mut errors_ns: Vec<i64> = (1_000..2_000).collect();
        errors_ns.extend([50_000_000; 2]);
        let (low, high) = axis_of(&errors_ns);
        assert!(
            low < 0 && (2_000..10_000).contains(&high),
            "{low} to {high}"
        );
    }

    #[test]
    fn extremes_are_no_overflow() {
        let (low, high) = axis_of(&[i64::MIN / 4, 0, i64::MAX / 4]);
        assert!(low < high);
        assert_eq!(bin_of(low, low, high), 0);
        assert_eq!(bin_of(high - 1, low, high), BINS - 1);
    }

    #[test]
    fn a_stream_without_launch_times_has_no_figure() {
        let figure = draw(&StreamResult::default(), "s0").unwrap();
        assert!(figure.is_none());
    }
}
