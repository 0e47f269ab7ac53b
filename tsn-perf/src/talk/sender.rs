//! The talker's loop.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::Context;
use nix::errno::Errno;

use super::{TalkOptions, TalkSummary};
use crate::clock;
use crate::distribution::SignedHistogram;
use crate::ethernet;
use crate::process::Stop;
use crate::socket::error_queue::{Refusal, next_refusal};
use crate::socket::open;
use crate::socket::options::{LaunchClock, set_priority, set_txtime};
use crate::socket::transmit::Transmitter;
use crate::wire::{Header, Sent};

/// The first launch time is at least so far ahead, beyond the notice.
const START_NS: u64 = 2_000_000;
/// How long a send may wait for room in the socket before the loop looks whether it is to stop.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);
/// How long past the last launch time a queueing discipline's reports may take.
const REPORT_GRACE_NS: u64 = 20_000_000;

/// Sends until the count, the duration or `stop` ends it.
///
/// # Errors
///
/// When the socket cannot be made as asked. What happens to frames is counted instead.
pub fn run(options: &TalkOptions, stop: &Stop) -> anyhow::Result<TalkSummary> {
    options.check()?;
    options.process.apply()?;
    let mut talker = Talker::new(options)?;
    match options.rate {
        _ if options.flood => talker.best_effort(0.0, stop)?,
        Some(rate) => talker.best_effort(options.size as f64 * 8.0 * 1e3 / rate, stop)?,
        None => talker.periodic(stop)?,
    }
    Ok(talker.summary)
}

struct Talker<'a> {
    options: &'a TalkOptions,
    transmitter: Transmitter,
    /// What is handed to the socket: all of a raw frame, the payload of a UDP one.
    frame: Vec<u8>,
    /// Where in it our header starts.
    payload_at: usize,
    /// CLOCK_TAI minus the clock of the socket's launch times, in ns.
    tai_minus_launch_clock_ns: i64,
    summary: TalkSummary,
}

impl<'a> Talker<'a> {
    fn new(options: &'a TalkOptions) -> anyhow::Result<Self> {
        let (socket, destination, header) = if let Some(address) = options.udp {
            let socket = open::udp_talker(address, options.bind_device.as_deref())?;
            (socket, Some(address.into()), Vec::new())
        } else {
            let interface = options.raw.as_deref().context("give --udp or --raw")?;
            let destination = options.destination.context("--raw needs --destination")?;
            let socket = open::raw_talker(interface)?;
            let source = open::hardware_address(interface)?;
            let header = ethernet::header(destination, source, options.tag(), options.ethertype);
            (socket, None, header)
        };
        socket
            .set_write_timeout(Some(SEND_TIMEOUT))
            .context("cannot set SO_SNDTIMEO")?;
        if let Some(priority) = options.priority {
            set_priority(socket.as_fd(), priority)?;
        }
        if let Some(clock) = options.launch_clock() {
            set_txtime(socket.as_fd(), clock, options.report_errors)?;
        }
        let tai_minus_launch_clock_ns = match options.launch_clock() {
            Some(LaunchClock::Monotonic) => clock::tai_minus_monotonic_ns()?,
            _ => 0,
        };
        let payload_at = header.len();
        let mut frame = header;
        frame.resize(payload_at + options.size - options.overhead_bytes(), 0);
        let summary = TalkSummary {
            stream: options.stream.clone(),
            size_bytes: options.size,
            sent: 0,
            errors: BTreeMap::new(),
            first_time_ns: None,
            last_time_ns: None,
            tardiness_ns: None,
            handed_over_late: 0,
        };
        let transmitter = Transmitter::new(socket, destination);
        Ok(Self {
            options,
            transmitter,
            frame,
            payload_at,
            tai_minus_launch_clock_ns,
            summary,
        })
    }

    /// One frame a period: handed over its notice before its launch time, or at its time if it has none.
    fn periodic(&mut self, stop: &Stop) -> anyhow::Result<()> {
        let notice_ns = self.options.notice_ns();
        let period_ns = self.options.period;
        let is_timed = self.options.launch_clock().is_some();
        let earliest_ns = clock::tai_now_ns()? + notice_ns + START_NS;
        let first_ns = next_multiple(earliest_ns, period_ns, self.options.offset);
        let mut tardiness = SignedHistogram::new();
        for sequence in 0..self.options.count.unwrap_or(u32::MAX) {
            let launch_time_ns = first_ns + u64::from(sequence) * period_ns;
            if self
                .options
                .duration
                .is_some_and(|limit| launch_time_ns - first_ns >= limit)
            {
                break;
            }
            let hand_over_ns = launch_time_ns - notice_ns;
            let mut now_ns = clock::tai_now_ns()?;
            while now_ns < hand_over_ns && !stop.is_asked() {
                clock::sleep_until_tai(hand_over_ns)?;
                now_ns = clock::tai_now_ns()?;
            }
            if stop.is_asked() {
                break;
            }
            tardiness.record(now_ns as i64 - hand_over_ns as i64);
            if is_timed && now_ns > launch_time_ns {
                self.summary.handed_over_late += 1;
            }
            self.send(sequence, is_timed.then_some(launch_time_ns), now_ns, stop);
            self.summary.first_time_ns.get_or_insert(launch_time_ns);
            self.summary.last_time_ns = Some(launch_time_ns);
        }
        self.summary.tardiness_ns = tardiness.distribution();
        if self.options.report_errors
            && let Some(last_ns) = self.summary.last_time_ns
        {
            clock::sleep_until_tai(last_ns + REPORT_GRACE_NS)?;
            self.count_refusals();
        }
        Ok(())
    }

    /// Frames without launch times, `interval_ns` apart on average; 0: as fast as it goes.
    fn best_effort(&mut self, interval_ns: f64, stop: &Stop) -> anyhow::Result<()> {
        let start_ns = clock::tai_now_ns()?;
        let mut sequence = 0;
        while !stop.is_asked() && self.options.count.is_none_or(|count| sequence < count) {
            let due_ns = start_ns + (f64::from(sequence) * interval_ns) as u64;
            let mut now_ns = clock::tai_now_ns()?;
            if now_ns < due_ns {
                clock::sleep_until_tai(due_ns)?;
                now_ns = clock::tai_now_ns()?;
            }
            if self
                .options
                .duration
                .is_some_and(|limit| now_ns - start_ns >= limit)
            {
                break;
            }
            self.send(sequence, None, now_ns, stop);
            self.summary.first_time_ns.get_or_insert(now_ns);
            self.summary.last_time_ns = Some(now_ns);
            sequence = sequence.wrapping_add(1);
        }
        Ok(())
    }

    /// Hands one frame over; a failure is counted, and the stream goes on.
    fn send(&mut self, sequence: u32, launch_time_ns: Option<u64>, now_ns: u64, stop: &Stop) {
        let payload = &mut self.frame[self.payload_at..];
        let payload_bytes = payload.len() as u16;
        let stream_id = self.options.stream.id;
        let sent = Some(Sent {
            time_ns: now_ns,
            payload_bytes,
        });
        Header {
            stream_id,
            sequence,
            launch_time_ns,
            sent,
        }
        .encode(payload);
        let launch_clock_ns =
            launch_time_ns.map(|time| time.wrapping_add_signed(-self.tai_minus_launch_clock_ns));
        loop {
            let Err(error) = self.transmitter.send(&self.frame, launch_clock_ns) else {
                self.summary.sent += 1;
                break;
            };
            // No room for as long as SO_SNDTIMEO: only a request to stop ends the wait.
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) {
                if stop.is_asked() {
                    break;
                }
                continue;
            }
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
            self.count_error(&format!("{errno:?}"));
            break;
        }
        if self.options.report_errors {
            self.count_refusals();
        }
    }

    fn count_refusals(&mut self) {
        while let Some(refusal) = next_refusal(self.transmitter.as_fd()) {
            self.count_error(match refusal {
                Refusal::InvalidLaunchTime => "TXTIME_INVALID_PARAM",
                Refusal::Missed => "TXTIME_MISSED",
            });
        }
    }

    fn count_error(&mut self, cause: &str) {
        match self.summary.errors.get_mut(cause) {
            Some(count) => *count += 1,
            None => drop(self.summary.errors.insert(cause.to_owned(), 1)),
        }
    }
}

/// The least N·period + offset that is not before `earliest_ns`.
fn next_multiple(earliest_ns: u64, period_ns: u64, offset_ns: u64) -> u64 {
    earliest_ns.saturating_sub(offset_ns).div_ceil(period_ns) * period_ns + offset_ns
}

#[cfg(test)]
mod tests {
    use super::next_multiple;

    #[test]
    fn launch_times_fall_on_multiples_plus_the_offset() {
        assert_eq!(next_multiple(10_000, 1_000, 0), 10_000);
        assert_eq!(next_multiple(10_001, 1_000, 0), 11_000);
        assert_eq!(next_multiple(10_000, 1_000, 200), 10_200);
        assert_eq!(next_multiple(10_200, 1_000, 200), 10_200);
        assert_eq!(next_multiple(10_201, 1_000, 200), 11_200);
        assert_eq!(next_multiple(0, 1_000, 999), 999);
    }
}
