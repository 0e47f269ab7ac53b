//! The parts of a window: where a frame may start, and where it no longer may.

use super::model::{Plan, Window};

/// What may happen in a window, from its opening on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    /// The longest frame may start.
    Usable,
    /// It may not, since it would not end in time.
    Guard,
    /// None may start, or be on the wire.
    Margin,
}

/// A window from left to right; parts may be empty.
pub fn parts(plan: &Plan, window: &Window) -> [(i64, i64, Part); 4] {
    let open = window.open_ns.unwrap_or(i64::MIN);
    let close = window.close_ns.unwrap_or(i64::MAX);
    let lead = i64::try_from(plan.lead_ns).unwrap_or(i64::MAX);
    let threshold = i64::try_from(plan.stall_threshold_ns).unwrap_or(i64::MAX);
    let starts = match window.open_ns {
        Some(open) => open.saturating_add(lead).min(close),
        None => open,
    };
    let (guard, ends) = match window.latest_start_ns {
        Some(latest) => {
            let ends = close.saturating_sub(threshold).max(starts);
            (latest.clamp(starts, ends), ends)
        }
        None => (close, close),
    };
    [
        (open, starts, Part::Margin),
        (starts, guard, Part::Usable),
        (guard, ends, Part::Guard),
        (ends, close, Part::Margin),
    ]
}
