//! Two looks at the daemon become rates; counters become what people compare.

use serde::Deserialize;
use tsn_userspace::control::api::{ClassStatus, PodStatus, Status, StreamStatus};
use tsn_userspace::worker::histogram::{BOUNDS_NS, LaunchErrors};

/// One look at the daemon.
#[derive(Debug, Clone, Deserialize)]
pub struct Sample {
    /// `GET /v1/status`.
    pub status: Status,
    /// `GET /v1/pods`.
    pub pods: Vec<PodStatus>,
}

/// What is known of the daemon.
#[derive(Debug, Default)]
pub struct Model {
    before: Option<Sample>,
    /// The latest look.
    pub latest: Option<Sample>,
    /// Why the last attempt gave nothing.
    pub failure: Option<String>,
}

/// A class with its rates.
#[derive(Debug)]
pub struct ClassRow<'a> {
    pub class: &'a ClassStatus,
    pub received_per_s: Option<f64>,
    pub sent_per_s: Option<f64>,
    pub sent_bits_per_s: Option<f64>,
    /// Of the time, what it was held back before its gate closed.
    pub guard_band_share: Option<f64>,
}

/// A stream with its rate and the quantiles of its error.
#[derive(Debug)]
pub struct StreamRow<'a> {
    pub pod: &'a str,
    pub class: String,
    pub stream: &'a StreamStatus,
    pub sent_per_s: Option<f64>,
    pub p50: Option<Estimate>,
    pub p99: Option<Estimate>,
}

/// A quantile, as far as a histogram tells it. In nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Estimate {
    /// In the lowest bucket, which has only this upper bound.
    AtMost(i64),
    /// About this.
    About(i64),
    /// In the highest bucket, which has only this lower bound.
    MoreThan(i64),
}

impl ClassRow<'_> {
    /// Frames that the class dropped, whatever the cause.
    pub fn dropped(&self) -> u64 {
        self.class.drops.values().sum()
    }
}

impl Model {
    /// The daemon has answered.
    pub fn add(&mut self, sample: Sample) {
        self.failure = None;
        self.before = self.latest.replace(sample);
    }

    /// It has not.
    pub fn fail(&mut self, reason: String) {
        self.failure = Some(reason);
    }

    /// Stalls since the look before.
    pub fn new_stalls(&self) -> u64 {
        let count = |sample: &Sample| sample.status.stalls.count;
        match (&self.before, &self.latest) {
            (Some(before), Some(latest)) => count(latest).saturating_sub(count(before)),
            _ => 0,
        }
    }

    /// The classes, highest first.
    pub fn classes(&self) -> Vec<ClassRow<'_>> {
        let Some(latest) = &self.latest else {
            return Vec::new();
        };
        let before = |number| {
            let classes = &self.before.as_ref()?.status.classes;
            classes.iter().find(|class| class.number == number)
        };
        let rows = latest.status.classes.iter().rev().map(|class| {
            let before = before(class.number);
            let bytes_per_s = self.rate(before.map(|c| c.sent_bytes), class.sent_bytes);
            let guard_ns_per_s = self.rate(before.map(|c| c.guard_band_ns), class.guard_band_ns);
            ClassRow {
                class,
                sent_bits_per_s: bytes_per_s.map(|bytes| bytes * 8.0),
                guard_band_share: guard_ns_per_s.map(|ns| ns / 1e9),
                received_per_s: self.rate(before.map(|c| c.received), class.received),
                sent_per_s: self.rate(before.map(|c| c.sent), class.sent),
            }
        });
        rows.collect()
    }

    /// The streams of all pods, or of one.
    pub fn streams(&self, pod: Option<&str>) -> Vec<StreamRow<'_>> {
        let pods = self.latest.iter().flat_map(|sample| &sample.pods);
        let wanted = pods.filter(|status| pod.is_none_or(|pod| status.pod.name == pod));
        wanted
            .flat_map(|status| {
                let selections = status.pod.streams.iter();
                status
                    .streams
                    .iter()
                    .zip(selections)
                    .map(|(stream, selection)| StreamRow {
                        pod: &status.pod.name,
                        class: selection.traffic_class.to_string(),
                        stream,
                        sent_per_s: self.rate(
                            self.stream_before(&status.pod.name, &stream.name)
                                .map(|s| s.sent),
                            stream.sent,
                        ),
                        p50: quantile(&stream.launch_errors, 50),
                        p99: quantile(&stream.launch_errors, 99),
                    })
            })
            .collect()
    }

    /// A pod and how many frames come from it each second.
    pub fn pod(&self, name: &str) -> Option<(&PodStatus, Option<f64>)> {
        let find = |sample: &'_ Sample| sample.pods.iter().position(|pod| pod.pod.name == name);
        let latest = self.latest.as_ref()?;
        let status = &latest.pods[find(latest)?];
        let before = self.before.as_ref();
        let before = before.and_then(|sample| Some(sample.pods[find(sample)?].received));
        Some((status, self.rate(before, status.received)))
    }

    fn stream_before(&self, pod: &str, stream: &str) -> Option<&StreamStatus> {
        let pods = &self.before.as_ref()?.pods;
        let pod = pods.iter().find(|status| status.pod.name == pod)?;
        pod.streams.iter().find(|status| status.name == stream)
    }

    /// Events a second between the two looks; `None` when they do not compare: another daemon, or a clock set back.
    fn rate(&self, before: Option<u64>, now: u64) -> Option<f64> {
        let at_ns = |sample: &Sample| sample.status.at_ns;
        let time_ns = at_ns(self.latest.as_ref()?).checked_sub(at_ns(self.before.as_ref()?))?;
        let events = now.checked_sub(before?)?;
        (time_ns > 0).then(|| events as f64 * 1e9 / time_ns as f64)
    }
}

/// The quantile of so many percent, by a straight line through its bucket; `None` without frames.
pub fn quantile(errors: &LaunchErrors, percent: u64) -> Option<Estimate> {
    let wanted = (errors.count() * percent).div_ceil(100).max(1);
    let mut below = 0;
    for (bucket, frames) in errors.buckets.iter().enumerate() {
        if below + frames < wanted {
            below += frames;
            continue;
        }
        let estimate = match (bucket.checked_sub(1), BOUNDS_NS.get(bucket)) {
            (None, Some(upper)) => Estimate::AtMost(*upper),
            (Some(lower), None) => Estimate::MoreThan(BOUNDS_NS[lower]),
            (Some(lower), Some(upper)) => {
                let lower = BOUNDS_NS[lower];
                let part = (wanted - below) as f64 / *frames as f64;
                Estimate::About(lower + ((upper - lower) as f64 * part).round() as i64)
            }
            (None, None) => return None,
        };
        return Some(estimate);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::samples::{after, before};

    #[test]
    fn a_quantile_lies_in_its_bucket() {
        let mut errors = LaunchErrors::default();
        assert_eq!(quantile(&errors, 50), None);
        for _ in 0..98 {
            errors.record(300); // 200 to 500
        }
        errors.record(-1_000_000);
        errors.record(20_000_000);
        assert_eq!(quantile(&errors, 1), Some(Estimate::AtMost(-10_000)));
        assert_eq!(quantile(&errors, 50), Some(Estimate::About(350)));
        assert_eq!(quantile(&errors, 99), Some(Estimate::About(500)));
        assert_eq!(quantile(&errors, 100), Some(Estimate::MoreThan(10_000_000)));
        assert!(
            Estimate::AtMost(5) < Estimate::About(-9) && Estimate::About(9) < Estimate::MoreThan(0)
        );
    }

    #[test]
    fn two_looks_make_rates_and_a_restart_makes_none() {
        let mut model = Model::default();
        model.add(before());
        assert_eq!(model.classes()[0].sent_per_s, None);
        model.add(after());
        let classes = model.classes();
        assert_eq!(classes[0].class.number, 7);
        assert_eq!(classes[0].sent_per_s, Some(1_000.0));
        assert_eq!(model.new_stalls(), 3);
        assert_eq!(model.pod("camera").unwrap().1, Some(1_100.0));
        // The clock goes back and the counters begin anew.
        model.add(before());
        assert_eq!(model.classes()[0].sent_per_s, None);
        assert_eq!(model.new_stalls(), 0);
        // A failure keeps what was known, and an answer ends it.
        model.fail("gone".to_owned());
        assert!(model.latest.is_some() && model.failure.is_some());
        model.add(after());
        assert!(model.failure.is_none());
    }
}
