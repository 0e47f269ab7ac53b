//! Waiting for a condition, with a bound; nothing in the tests sleeps for luck.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Polls until `condition` gives a value.
///
/// # Errors
///
/// Says `what` was waited for when `bound` has passed.
pub fn wait_for<T>(
    what: &str,
    bound: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if start.elapsed() >= bound {
            bail!("waited {bound:?} in vain for {what}");
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Polls until `condition` holds.
///
/// # Errors
///
/// As [`wait_for`].
pub fn wait_until(what: &str, bound: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    wait_for(what, bound, || condition().then_some(()))
}
