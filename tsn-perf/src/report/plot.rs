//! Scales and ticks of the page's figures.

/// Width of a figure in its own units; it is scaled to the page.
pub const WIDTH: f64 = 1160.0;
/// Where the plots start, right of the labels.
pub const LEFT: f64 = 171.0;
/// Where the plots end.
pub const RIGHT: f64 = 1140.0;

/// Maps values to positions.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Least and greatest value.
    pub domain: (f64, f64),
    /// The positions that they map to.
    pub range: (f64, f64),
}

impl Scale {
    /// The position of a value. An empty domain maps to the start of the range.
    pub fn at(&self, value: f64) -> f64 {
        let span = self.domain.1 - self.domain.0;
        if span == 0.0 {
            return self.range.0;
        }
        self.range.0 + (value - self.domain.0) / span * (self.range.1 - self.range.0)
    }
}

/// Round values from `low` to `high`, about `wanted` of them.
pub fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let span = high - low;
    if span.is_nan() || span <= 0.0 || !span.is_finite() {
        return vec![low];
    }
    let rough = span / wanted as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last)
        .map(|multiple| multiple as f64 * step)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(
            ticks(0.0, 1000.0, 10),
            (0..=10).map(|t| t as f64 * 100.0).collect::<Vec<_>>()
        );
        assert_eq!(
            ticks(-3.0, 4.0, 8),
            [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
        );
        assert_eq!(ticks(5.0, 5.0, 8), [5.0]);
        assert_eq!(ticks(0.0, f64::INFINITY, 8), [0.0]);
    }

    #[test]
    fn a_scale_maps_its_ends_to_its_ends() {
        let scale = Scale {
            domain: (-1.0, 1.0),
            range: (100.0, 200.0),
        };
        assert_eq!(
            [-1.0, 0.0, 1.0].map(|value| scale.at(value)),
            [100.0, 150.0, 200.0]
        );
        let empty = Scale {
            domain: (1.0, 1.0),
            range: (100.0, 200.0),
        };
        assert_eq!(empty.at(1.0), 100.0);
    }
}
