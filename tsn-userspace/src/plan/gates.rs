//! What the scheduler's gates say about a stretch of time.

use tsn_core::{Close, Gates, TaiTime, TrafficClass};

/// A window in TAI nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaiWindow {
    /// `None` if the gate was open already where the look began.
    pub open: Option<u64>,
    /// `None` if it never closes.
    pub close: Option<u64>,
}

/// The windows of `class` that begin in `[from, to)`, or are open at `from`.
pub fn windows(gates: &Gates, class: TrafficClass, from: u64, to: u64) -> Vec<TaiWindow> {
    let mut windows = Vec::new();
    let mut t = from;
    while t < to {
        let Some(open) = gates.next_open(class, TaiTime::from_nanos(t)) else {
            break;
        };
        if open.as_nanos() >= to {
            break;
        }
        let close = match gates.close_time(class, open) {
            Close::Never => None,
            Close::At(close) => Some(close.as_nanos()),
        };
        windows.push(TaiWindow {
            open: Some(open.as_nanos()).filter(|open| *open > from),
            close,
        });
        match close {
            Some(close) => t = close,
            None => break,
        }
    }
    windows
}

/// The windows of two stretches that meet at `boundary`, as one sequence. What `before` says of the time from the
/// boundary on does not come to pass.
pub fn join(mut before: Vec<TaiWindow>, boundary: u64, after: Vec<TaiWindow>) -> Vec<TaiWindow> {
    let mut after = after.into_iter().peekable();
    if let Some(last) = before.last_mut()
        && last.close.is_none_or(|close| close >= boundary)
    {
        last.close = match after.next_if(|window| window.open.is_none()) {
            Some(goes_on) => goes_on.close,
            None => Some(boundary),
        };
    }
    before.extend(after.map(|window| TaiWindow {
        // Closed up to the boundary, or it would have been joined.
        open: window.open.or(Some(boundary)),
        ..window
    }));
    before
}

/// The start of the cycle after the one that starts at `start`, if the list runs on as it does now.
pub fn next_cycle(gates: &Gates, start: u64, cycle_ns: u64) -> Option<u64> {
    // A cycle of a fractional number of nanoseconds is sometimes one longer than the whole ones.
    [0, 1].into_iter().find_map(|more| {
        let t = TaiTime::from_nanos(start.saturating_add(cycle_ns).saturating_add(more));
        let next = gates.cycle_start(t)?.as_nanos();
        (next > start).then_some(next)
    })
}
