//! The highest rate without loss, as RFC 2544 section 26.1 asks for: a binary search over trials.
//!
//! A trial that loses frames is repeated once, and counts as lossless if its repetition is: the binary search with loss
//! verification of ETSI GS NFV-TST 009, section 12.3.3. On a machine that others share, one stall would otherwise
//! decide a whole search.

use anyhow::Result;

/// What a trial found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Frames handed over.
    pub sent: u64,
    /// Frames that arrived.
    pub arrived: u64,
    /// Frames handed over in a second.
    pub offered_rate: f64,
}

impl Trial {
    /// The part of the frames that did not arrive.
    pub fn loss(self) -> f64 {
        if self.sent == 0 {
            return 0.0;
        }
        self.sent.saturating_sub(self.arrived) as f64 / self.sent as f64
    }

    /// Frames that arrived in a second.
    pub fn forwarded_rate(self) -> f64 {
        self.offered_rate * (1.0 - self.loss())
    }
}

/// The highest rate without loss, in frames a second; 0 if there is none. `flood` is the trial at full speed;
/// `trial` makes one at a rate. The result is a rate that was offered, and at most `resolution` of the flood's rate
/// below one that was not passed.
///
/// # Errors
///
/// Those of `trial`.
pub fn throughput(
    flood: Trial,
    resolution: f64,
    mut trial: impl FnMut(f64) -> Result<Trial>,
) -> Result<f64> {
    if flood.loss() == 0.0 {
        return Ok(flood.offered_rate);
    }
    let mut passed = 0.0;
    let mut failed = flood.offered_rate;
    while failed - passed > resolution * flood.offered_rate {
        let rate = (passed + failed) / 2.0;
        let mut outcome = trial(rate)?;
        if outcome.loss() > 0.0 {
            outcome = trial(rate)?;
        }
        if outcome.loss() > 0.0 {
            failed = rate;
        } else {
            // The generator may have fallen behind; what it has not offered was not passed.
            passed = outcome.offered_rate.min(rate);
            if passed < rate * 0.95 {
                break;
            }
        }
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(capacity: f64) -> impl FnMut(f64) -> Result<Trial> {
        move |rate| {
            Ok(Trial {
                sent: rate as u64,
                arrived: rate.min(capacity) as u64,
                offered_rate: rate,
            })
        }
    }

    #[test]
    fn it_finds_the_capacity_to_its_resolution() {
        let flood = device(400_000.0)(1_000_000.0).unwrap();
        let found = throughput(flood, 0.01, device(400_000.0)).unwrap();
        assert!((390_000.0..=400_000.0).contains(&found), "{found}");
        assert_eq!(flood.forwarded_rate(), 400_000.0);
    }

    #[test]
    fn a_device_that_passes_everything_is_as_fast_as_the_generator() {
        let flood = device(2e6)(1e6).unwrap();
        let no_trial = |_| unreachable!("nothing is to be searched for");
        assert_eq!(throughput(flood, 0.01, no_trial).unwrap(), 1e6);
    }

    #[test]
    fn a_loss_that_does_not_repeat_itself_is_forgiven_once() {
        let flood = device(500_000.0)(1_000_000.0).unwrap();
        let mut trials = 0;
        let mut good = device(500_000.0);
        let found = throughput(flood, 0.05, |rate| {
            trials += 1;
            let mut outcome = good(rate)?;
            outcome.arrived -= u64::from(trials == 1);
            Ok(outcome)
        })
        .unwrap();
        assert!(found > 450_000.0, "{found}");
    }
}
