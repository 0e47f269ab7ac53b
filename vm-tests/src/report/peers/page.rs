//! The page.

use std::fmt::Write;

use super::{Distribution, Measured, Row};
use crate::Kernel;

/// What people call a subject.
pub(super) fn subject(name: &str) -> &str {
    match name {
        "taprio-etf" => "taprio + ETF",
        "etf" => "ETF",
        "fq" => "mqprio + fq",
        other => other,
    }
}

/// What happens in a case.
pub(super) fn case(name: &str) -> &str {
    match name {
        "rest" => "At rest",
        "flood" => "Under a best-effort flood",
        "mid-cycle" => "Change of schedule in mid-cycle",
        "extension" => "Change by cycle-time extension",
        "past-base" => "Change with a base time in the past",
        "long-cycle" => "Change to a cycle longer than its entries",
        other => other,
    }
}

const HEAD: &str = "\
# tsnd beside taprio, ETF and fq

The same schedule and the same talker, in one virtual machine, for `tsnd` (AF_XDP) and for the kernel's software queueing
disciplines. This page is made by `cargo xtask vm-test --write-docs` of what `cargo xtask vm-test --test peers` measured.

![Deviation from the launch time](peers.svg)

";

const HOW: &str = "\
## How it was made

- **Time is virtual**: a guest's clock counts its instructions, one nanosecond each, on one virtual CPU. What else the host
  does has next to no part in it: medians of two runs lie within some 50 ns of each other. Tails depend on what else the
  guest's kernel just does. A nanosecond here is an instruction, so these are no figures of any real machine.
- **Departure** is, for all alike, when the kernel at the far end of the uplink's veth received the frame (SO_TIMESTAMPNS).
  The way there is in it.
- **Talker**: `tsn-perf talk` over UDP, with real-time priority 40. The stream in class 2 has a launch time each period and
  is handed over 500 µs before. taprio alone knows no launch times, so that there the talker itself waits for the time and
  then sends. fq knows those of CLOCK_MONOTONIC only.
- **Place**: for `tsnd` the talker is in a pod, the flood in another. A socket's priority is lost on the kernel's way out of
  a pod, so that for the kernel's disciplines all talkers are in the node itself, directly at the uplink.
- **taprio + ETF** is the kernel's own way to have both: `txtime-assist`, with ETF below each class.
- **ETF's delta** is 20 µs. ETF sends that much before the launch time and drops what it comes to after it. With 20 µs it
  already loses single frames in some runs; with less it would lose more, with more it would be farther from the time.
- **Lost** is counted from the talkers' first frame on, before the measurement begins. A flood's frames do not count.
- **Outside its gate** is a frame that arrived before its gate opened, or that was not through (at 10 Gb/s) when it closed;
  what a bare spin loop's frame needs to the far end is granted to all at the close. ETF and fq have no gates: their figures
  say what the schedule would have been worth to them.
- **Kernel settings**, for all alike: `preempt=full threadirqs rcutree.use_softirq=0`, and no real-time throttling. Without
  the first three, Linux 7.3 had taprio's frames at the far end 2.7 µs after the opening and not 5.9, while the flood's
  interrupts took the one processor away from tsnd's worker for up to 50 µs: a launch under the flood was then up to 19 µs
  late, and still none was outside its gate.
- In the cases with a change each class has frames waiting all the time, and the launch times are possible under the old
  schedule and under the new one.

- **tsnd's −2.3 µs**: its lead is the time until the wake-up of the uplink's ring is over, and the way back from there, which
  is longer in instructions than in time, is part of it.
- **The flood is weaker for tsnd** on a guest's one processor: the worker spins there before each moment with a real-time
  priority, and the flood's program gets what is left, so that the flood reaches the wire with fewer frames.

What a subject lost, or said against a schedule, stands in the last columns. All times are in µs; p99 and max are of the
deviation without its sign.
";

/// The page.
pub fn page(all: &[(Kernel, Measured)]) -> String {
    let mut out = HEAD.to_owned();
    for (kernel, measured) in all {
        let _ = writeln!(out, "## {kernel}: Linux {}\n", measured.release);
        let mut last = "";
        for row in &measured.rows {
            if row.case != last {
                let end = if last.is_empty() { "" } else { "\n" };
                let _ = write!(
                    out,
                    "{end}### {}\n\n\
                     | | launch: median | deviation: p99 | max | after the opening: median | max | outside (worst) | lost | refused |\n\
                     |---|---|---|---|---|---|---|---|---|\n",
                    case(&row.case)
                );
                last = &row.case;
            }
            line(&mut out, row);
        }
        let _ = writeln!(
            out,
            "\nBare spin loop, from the look at the clock to the far end: {}. ETF's delta: {}.\n",
            micros(measured.path_ns.cast_signed()),
            micros(measured.etf_delta_ns.cast_signed())
        );
    }
    out + HOW
}

fn line(out: &mut String, row: &Row) {
    let of = |what: Option<Distribution>, pick: fn(Distribution) -> i64| {
        what.map_or_else(|| "–".to_owned(), |found| micros(pick(found)))
    };
    let outside = match row.outside.frames {
        0 => "0".to_owned(),
        frames => format!(
            "**{frames}** ({})",
            micros(row.outside.worst_ns.cast_signed())
        ),
    };
    let _ = writeln!(
        out,
        "| {} | {} | {} | {} | {} | {} | {outside} | {} | {} |",
        subject(&row.subject),
        of(row.launch, |found| found.p50_ns),
        of(row.deviation, |found| found.p99_ns),
        of(row.deviation, |found| found.max_ns),
        of(row.opening, |found| found.p50_ns),
        of(row.opening, |found| found.max_ns),
        row.sent.saturating_sub(row.arrived),
        row.refused
            .as_deref()
            .unwrap_or("")
            .replace(['\n', '|'], " ")
            .trim(),
    );
}

/// Microseconds with one digit, and a true minus.
pub(super) fn micros(ns: i64) -> String {
    let sign = if ns < -49 { "−" } else { "" };
    format!("{sign}{:.1}", ns.unsigned_abs() as f64 / 1e3)
}
