//! The figure of a run: the gates of one cycle, and below them each frame at its phase of arrival.

use std::fmt::{self, Write};

use super::data::{Dot, GateRow, Report, Run, StreamResult};
use super::density::Density;
use super::figure::Figure;
use super::marks::Marks;
use super::plot::{LEFT, RIGHT, Scale, ticks};
use super::text::{Count, Escaped, Microseconds, Shortened};

const GATE_HEIGHT: f64 = 22.0;
const LANE_HEIGHT: f64 = 78.0;
const LANE_GAP: f64 = 12.0;
const TOP: f64 = 26.0;
/// Streams without launch times are drawn as a density strip from so many frames on.
const DENSE_FRAMES: usize = 2_000;
/// More launch phases than this are no lines that help.
const LAUNCH_LINES: usize = 8;
/// Without gates, phases are taken in a millisecond.
const DEFAULT_CYCLE_NS: u64 = 1_000_000;

impl Report {
    /// The cycle that phases are taken in, in ns.
    pub(super) fn phase_cycle_ns(&self) -> u64 {
        if self.cycle_ns == 0 {
            DEFAULT_CYCLE_NS
        } else {
            self.cycle_ns
        }
    }

    /// Where in the cycle an instant lies, in ns.
    pub(super) fn phase_ns(&self, time_ns: u64) -> u64 {
        let since = i128::from(time_ns) - i128::from(self.base_time_ns);
        since.rem_euclid(i128::from(self.phase_cycle_ns())) as u64
    }

    /// Whether a frame of this class arrived while its gate was closed.
    pub(super) fn is_outside_gate(&self, class: u8, dot: &Dot) -> bool {
        let phase_ns = self.phase_ns(dot.arrival_ns);
        self.gate(class).is_some_and(|gate| !gate.is_open(phase_ns))
    }

    fn gate(&self, class: u8) -> Option<&GateRow> {
        self.gates.iter().find(|gate| gate.class == class)
    }
}

impl StreamResult {
    pub(super) fn is_timed(&self) -> bool {
        self.frames.iter().any(|dot| dot.launch_time_ns.is_some())
    }

    /// Whether the figure shows it as a density strip.
    pub(super) fn is_dense(&self) -> bool {
        !self.is_timed() && self.frames.len() > DENSE_FRAMES
    }
}

impl GateRow {
    fn is_open(&self, phase_ns: u64) -> bool {
        self.windows
            .iter()
            .any(|(start, end)| (*start..*end).contains(&phase_ns))
    }
}

/// Draws the figure. `colour_of` names the CSS class of a stream's colour.
pub fn draw(
    report: &Report,
    run: &Run,
    colour_of: impl Fn(&str) -> String,
) -> Result<Figure, fmt::Error> {
    let lanes_top = TOP + report.gates.len() as f64 * GATE_HEIGHT + LANE_GAP;
    let bottom = lanes_top + run.streams.len() as f64 * (LANE_HEIGHT + LANE_GAP);
    let x = Scale {
        domain: (0.0, report.phase_cycle_ns() as f64),
        range: (LEFT, RIGHT),
    };
    let arrivals = || {
        run.streams
            .iter()
            .flat_map(|stream| &stream.frames)
            .map(|dot| dot.arrival_ns)
    };
    let time = Scale {
        domain: (
            arrivals().min().unwrap_or(0) as f64,
            arrivals().max().unwrap_or(0) as f64,
        ),
        range: (4.0, LANE_HEIGHT - 4.0),
    };
    Figure::new("Gates and arrivals by phase of the cycle", |out| {
        axis(out, &x, bottom)?;
        for (index, gate) in report.gates.iter().enumerate() {
            gate_row(out, gate, &x, TOP + index as f64 * GATE_HEIGHT)?;
        }
        for (index, stream) in run.streams.iter().enumerate() {
            let top = lanes_top + index as f64 * (LANE_HEIGHT + LANE_GAP);
            let lane = Lane {
                report,
                stream,
                x,
                time,
                top,
            };
            lane.draw(out, &colour_of(&stream.name))?;
        }
        Ok(bottom + 44.0)
    })
}

fn axis(out: &mut impl Write, x: &Scale, bottom: f64) -> fmt::Result {
    for tick in ticks(0.0, x.domain.1 / 1e3, 10) {
        let at = x.at(tick * 1e3);
        writeln!(
            out,
            "<path class=\"grid\" d=\"M{at:.1} {}V{bottom}\"/>",
            TOP - 6.0
        )?;
        let below = bottom + 16.0;
        writeln!(
            out,
            "<text class=\"tick\" x=\"{at:.1}\" y=\"{below}\">{tick}</text>"
        )?;
    }
    let middle = (LEFT + RIGHT) / 2.0;
    let below = bottom + 36.0;
    writeln!(
        out,
        "<text class=\"axis\" x=\"{middle}\" y=\"{below}\">phase of the cycle, µs</text>"
    )
}

fn gate_row(out: &mut impl Write, gate: &GateRow, x: &Scale, top: f64) -> fmt::Result {
    let name = Escaped(&gate.name);
    let baseline = top + 14.0;
    let label = LEFT - 10.0;
    writeln!(
        out,
        "<text class=\"label\" x=\"{label}\" y=\"{baseline}\">gate {} {}</text>",
        gate.class,
        Shortened(&gate.name)
    )?;
    let closed = RIGHT - LEFT;
    let line = top + 9.0;
    writeln!(
        out,
        "<path class=\"closed\" d=\"M{LEFT} {line}h{closed}\"/>"
    )?;
    for &(start, end) in &gate.windows {
        let (from, to) = (x.at(start as f64), x.at(end as f64));
        let (start, end) = (Microseconds(start), Microseconds(end));
        writeln!(
            out,
            "<rect class=\"open\" x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"14\">\
             <title>{name} open from {start} to {end} µs</title></rect>",
            top + 2.0,
            (to - from).max(1.0),
        )?;
    }
    Ok(())
}

/// The strip of one stream: across, the phase; down, the time of the run.
struct Lane<'a> {
    report: &'a Report,
    stream: &'a StreamResult,
    x: Scale,
    time: Scale,
    top: f64,
}

impl Lane<'_> {
    fn draw(&self, out: &mut impl Write, colour: &str) -> fmt::Result {
        self.background(out)?;
        self.labels(out)?;
        if self.stream.is_dense() {
            self.density().draw(out, self.top, colour)
        } else {
            self.launch_lines(out)?;
            self.dots(out, colour)
        }
    }

    fn background(&self, out: &mut impl Write) -> fmt::Result {
        let (top, width) = (self.top, RIGHT - LEFT);
        writeln!(
            out,
            "<rect class=\"lane\" x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{LANE_HEIGHT}\"/>"
        )?;
        let windows = self
            .report
            .gate(self.stream.class)
            .map_or(&[][..], |gate| &gate.windows);
        for &(start, end) in windows {
            let (from, to) = (self.x.at(start as f64), self.x.at(end as f64));
            writeln!(
                out,
                "<rect class=\"window\" x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{LANE_HEIGHT}\"/>",
                to - from
            )?;
        }
        Ok(())
    }

    fn labels(&self, out: &mut impl Write) -> fmt::Result {
        let seconds = (self.time.domain.1 - self.time.domain.0) / 1e9;
        let lines = [
            ("label strong", Shortened(&self.stream.name).to_string()),
            ("label", format!("class {}", self.stream.class)),
            (
                "label",
                format!("{} frames", Count(self.stream.frames.len() as u64)),
            ),
            ("label", format!("run of {seconds:.2} s ↓")),
        ];
        for (index, (class, text)) in lines.into_iter().enumerate() {
            let (x, y) = (LEFT - 10.0, self.top + 15.0 + index as f64 * 18.0);
            writeln!(
                out,
                "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>"
            )?;
        }
        Ok(())
    }

    /// Where the launch times lie, if they all lie at a few phases.
    fn launch_lines(&self, out: &mut impl Write) -> fmt::Result {
        let launch_times = self
            .stream
            .frames
            .iter()
            .filter_map(|dot| dot.launch_time_ns);
        let mut phases: Vec<u64> = launch_times
            .map(|time| self.report.phase_ns(time))
            .collect();
        phases.sort_unstable();
        phases.dedup();
        if phases.len() > LAUNCH_LINES {
            return Ok(());
        }
        for phase in phases {
            let x = self.x.at(phase as f64);
            writeln!(
                out,
                "<path class=\"launch\" d=\"M{x:.1} {}v{LANE_HEIGHT}\"/>",
                self.top
            )?;
        }
        Ok(())
    }

    fn dots(&self, out: &mut impl Write, colour: &str) -> fmt::Result {
        let (mut inside, mut outside, mut stalled) =
            (Marks::default(), Marks::default(), Marks::default());
        for dot in &self.stream.frames {
            let (x, y) = self.position(dot);
            let marks = if dot.stalled {
                &mut stalled
            } else if self.is_outside(dot) {
                &mut outside
            } else {
                &mut inside
            };
            marks.add(x, self.top + y);
        }
        writeln!(
            out,
            "<path class=\"dot {colour}\" d=\"{}\"/>",
            inside.dots()
        )?;
        if !stalled.is_empty() {
            let path = stalled.dots();
            writeln!(out, "<path class=\"ring {colour}\" d=\"{path}\"/>")?;
            writeln!(out, "<path class=\"hole\" d=\"{path}\"/>")?;
        }
        if !outside.is_empty() {
            writeln!(
                out,
                "<path class=\"cross alarm\" d=\"{}\"/>",
                outside.crosses()
            )?;
        }
        Ok(())
    }

    fn density(&self) -> Density {
        let mut density = Density::default();
        for dot in &self.stream.frames {
            let (x, y) = self.position(dot);
            density.add(x, y, !dot.stalled && self.is_outside(dot));
        }
        density
    }

    fn position(&self, dot: &Dot) -> (f64, f64) {
        let phase_ns = self.report.phase_ns(dot.arrival_ns);
        (
            self.x.at(phase_ns as f64),
            self.time.at(dot.arrival_ns as f64),
        )
    }

    fn is_outside(&self, dot: &Dot) -> bool {
        self.report.is_outside_gate(self.stream.class, dot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_never_negative() {
        let report = Report {
            cycle_ns: 1000,
            base_time_ns: 5_300,
            ..Report::default()
        };
        assert_eq!(report.phase_ns(5_300), 0);
        assert_eq!(report.phase_ns(7_400), 100);
        assert_eq!(report.phase_ns(5_200), 900);
    }

    #[test]
    fn a_window_ends_before_its_end() {
        let gate = GateRow {
            class: 7,
            name: String::new(),
            windows: vec![(100, 200)],
        };
        let open: Vec<bool> = [99, 100, 199, 200].map(|phase| gate.is_open(phase)).into();
        assert_eq!(open, [false, true, true, false]);
    }
}
