//! What the keys and the signs mean.

use ratatui::text::Line;

const TEXT: &str = "\
tsnctl watch: what leaves this node, and how exactly

q        quit
p        pause, and go on
s, S     sort by the next column; the other way around
↑ ↓      select a stream
Enter    its pod alone, with a large histogram
Esc      back

gates    o open, C closed; as a picture █ open, ▒ partly,
         · closed, ▼ where it was when the daemon was asked
late     left later than launch time plus tolerance
stalled  touched by a time in which the worker had no core
lost     refused or dropped by the scheduler
p50 p99  of departure - launch time since the start, as far
         as the histogram tells; without stalled frames
worst    the largest in the last minute; with stalled frames
guard    part of the time spent in guard bands with a frame
overrun  ended after its gate's close";

/// The page.
pub fn lines() -> Vec<Line<'static>> {
    TEXT.lines().map(Line::from).collect()
}
