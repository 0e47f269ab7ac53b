//! The daemon's log: text or JSON, and never more lines than somebody can read.
//!
//! A pod or the network can make the same thing happen a million times. Each place in the code may log a burst of
//! lines about each pod, device and stream, and then one now and then; how many were left out is told. Who asks for the
//! levels debug or trace wants all of it, so those are not limited.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, fmt::MakeWriter};

/// Lines that one place may log about one thing at once.
pub const BURST: u32 = 10;
/// How long it takes until it may log one more.
const REFILL: Duration = Duration::from_secs(10);
/// How often [`Limiter::report`] is to be called.
pub const REPORT_INTERVAL: Duration = REFILL;
/// Target of the reports, which are not limited themselves.
const REPORT_TARGET: &str = "tsnd::log";

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, with the fields of an event under `fields`.
    Json,
}

/// Sends what passes `filter` to standard error from now on.
pub fn init(filter: EnvFilter, format: Format) -> Limiter {
    let limiter = Limiter::default();
    subscriber(filter, format, &limiter, std::io::stderr).init();
    limiter
}

fn subscriber<W>(
    filter: EnvFilter,
    format: Format,
    limiter: &Limiter,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    use tracing_subscriber::filter::FilterExt;
    let lines = fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter.and(limiter.clone())))
}

/// Lets each place in the code log so much about each thing, and remembers what it left out.
#[derive(Debug, Clone, Default)]
pub struct Limiter(Arc<State>);

#[derive(Debug, Default)]
struct State {
    hasher: RandomState,
    buckets: Mutex<HashMap<u64, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: u32,
    refilled_at: Instant,
    left_out: Option<LeftOut>,
}

/// Lines of one place about one thing.
#[derive(Debug)]
struct LeftOut {
    lines: u64,
    level: Level,
    target: String,
    about: String,
    message: String,
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let refills = (now - self.refilled_at).as_millis() / REFILL.as_millis();
        let refills = u32::try_from(refills).unwrap_or(u32::MAX);
        self.tokens = self.tokens.saturating_add(refills).min(BURST);
        self.refilled_at += REFILL.saturating_mul(refills);
    }
}

impl Limiter {
    /// Says how many lines have been left out since the last call, and forgets who has been quiet.
    pub fn report(&self) {
        let mut left_out = Vec::new();
        let now = Instant::now();
        let mut buckets = self
            .0
            .buckets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        buckets.retain(|_, bucket| {
            left_out.extend(bucket.left_out.take());
            bucket.refill(now);
            bucket.tokens < BURST
        });
        // Logging asks the limiter.
        drop(buckets);
        for left_out in left_out {
            tracing::warn!(
                target: REPORT_TARGET,
                suppressed = left_out.lines,
                like = left_out.message,
                about = left_out.about,
                from = left_out.target,
                level = %left_out.level,
                "lines like this one were left out"
            );
        }
    }

    fn admit(&self, event: &Event<'_>) -> bool {
        // Lines of the crate `log`, such as the kernel programs', share a callsite; their own place is normalised.
        let normalised = event.normalized_metadata();
        let metadata = normalised.as_ref().unwrap_or_else(|| event.metadata());
        if metadata.target() == REPORT_TARGET || *metadata.level() > Level::INFO {
            return true;
        }
        let mut about = About::default();
        event.record(&mut about);
        let place = (
            event.metadata().callsite(),
            metadata.target(),
            metadata.line(),
        );
        let key = self.0.hasher.hash_one((place, &about.what));
        let now = Instant::now();
        let mut buckets = self
            .0
            .buckets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key).or_insert_with(|| Bucket {
            tokens: BURST,
            refilled_at: now,
            left_out: None,
        });
        bucket.refill(now);
        if bucket.tokens > 0 {
            bucket.tokens -= 1;
            return true;
        }
        let left_out = bucket.left_out.get_or_insert_with(|| LeftOut {
            lines: 0,
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            about: about.what,
            message: String::new(),
        });
        left_out.lines += 1;
        left_out.message = about.message;
        false
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for Limiter {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.admit(event)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

/// What an event is about.
#[derive(Debug, Default)]
struct About {
    /// Such as `pod=pod1 stream=video`.
    what: String,
    message: String,
}

/// Fields that tell what a line is about.
const ABOUT: [&str; 3] = ["pod", "device", "stream"];

impl Visit for About {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            name if ABOUT.contains(&name) => {
                let separator = if self.what.is_empty() { "" } else { " " };
                self.what += &format!("{separator}{name}={value}");
            }
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" || ABOUT.contains(&field.name()) {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, log: impl Fn(&Limiter)) -> String {
        let (limiter, lines) = (Limiter::default(), Lines::default());
        let writer = lines.clone();
        let filter = EnvFilter::new("info,wanted=debug");
        let subscriber = subscriber(filter, format, &limiter, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || log(&limiter));
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_flood_about_one_pod_is_bounded_told_and_hides_no_other() {
        const FLOOD: u64 = 10_000;
        let text = logged(Format::Json, |limiter| {
            for n in 0..FLOOD {
                tracing::debug!(n, "not even asked for");
                for pod in ["loud", "quiet"] {
                    if pod == "loud" || n == 5_000 {
                        tracing::warn!(pod, cause = "late", n, "again");
                    }
                }
            }
            limiter.report();
            limiter.report();
        });
        let records: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(records.len() as u32, BURST + 2);
        let about = |pod: &str| {
            records
                .iter()
                .filter(|record| record["fields"]["pod"] == pod)
                .count()
        };
        assert_eq!((about("loud") as u32, about("quiet")), (BURST, 1));
        assert_eq!(records[0]["level"], "WARN");
        assert_eq!(records[0]["fields"]["cause"], "late");
        let report = &records.last().unwrap()["fields"];
        assert_eq!(report["suppressed"], FLOOD - u64::from(BURST));
        assert_eq!(report["like"], "again");
        assert_eq!(report["about"], "pod=loud");
        assert_eq!(report["from"], module_path!());
        assert_eq!(report["level"], "WARN");
    }

    #[test]
    fn each_device_and_stream_has_its_own_burst() {
        let text = logged(Format::Text, |_| {
            for _ in 0..100 {
                for stream in ["first", "second"] {
                    tracing::info!(pod = "pod", stream, "a stream");
                }
                for device in ["eth1", "eth2"] {
                    tracing::info!(device, "a device");
                }
            }
        });
        for message in ["a stream", "a device"] {
            assert_eq!(text.matches(message).count() as u32, 2 * BURST);
        }
    }

    #[test]
    fn who_asks_for_debug_gets_all_of_it() {
        const LINES: usize = 100;
        let text = logged(Format::Text, |limiter| {
            for _ in 0..LINES {
                tracing::debug!(target: "wanted", "detail");
            }
            limiter.report();
        });
        assert_eq!(text.matches("detail").count(), LINES);
        assert!(!text.contains("left out"), "{text}");
    }

    #[test]
    fn a_refill_keeps_the_time_that_is_over() {
        let start = Instant::now();
        let mut bucket = Bucket {
            tokens: 0,
            refilled_at: start,
            left_out: None,
        };
        // Looked at every 15 s, each refill of 10 s leaves 5 s over.
        for look in 1..=4 {
            bucket.refill(start + REFILL * look * 3 / 2);
        }
        assert_eq!(bucket.tokens, 6);
    }

    #[test]
    fn another_place_has_its_own_burst() {
        let text = logged(Format::Text, |_| {
            for _ in 0..100 {
                tracing::info!("first");
                tracing::info!("second");
            }
        });
        for message in ["first", "second"] {
            assert_eq!(text.matches(message).count() as u32, BURST);
        }
    }
}
