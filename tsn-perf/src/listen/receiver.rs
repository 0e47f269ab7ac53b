//! The listener's loop.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;

use super::csv::CsvFile;
use super::stream::{Frame, StreamAccount};
use super::{ListenOptions, ListenSummary};
use crate::clock;
use crate::ethernet::{self, HEADER_BYTES, IPV4_BYTES, IPV6_BYTES, TAG_BYTES, UDP_BYTES};
use crate::process::Stop;
use crate::socket::receive::{Received, Receiver};
use crate::socket::{open, options};
use crate::stream::Stream;
use crate::wire::Header;

/// How long a wait may take before the loop looks whether it is to stop: a signal that comes just before
/// the wait does not end it.
const WAIT: Duration = Duration::from_millis(100);
/// How long, at the end, frames are still taken that already wait in the sockets.
const DRAIN: Duration = Duration::from_millis(200);

/// Receives until the count, the duration, the idle time or `stop` ends it.
///
/// # Errors
///
/// When a socket cannot be made as asked, or the CSV file cannot be written.
pub fn run(options: &ListenOptions, stop: &Stop) -> anyhow::Result<ListenSummary> {
    options.process.apply()?;
    let mut listener = Listener::new(options)?;
    let sockets = open_sockets(options)?;
    announce(options)?;
    listener.receive(&sockets, stop)?;
    listener.finish(&sockets)
}

fn open_sockets(options: &ListenOptions) -> anyhow::Result<Vec<Socket>> {
    match options.capture.as_ref().or(options.raw.as_ref()) {
        Some(interface) => Ok(vec![open::capture(interface)?]),
        None => options
            .udp
            .iter()
            .map(|port| open::udp_listener(*port))
            .collect(),
    }
}

fn announce(options: &ListenOptions) -> anyhow::Result<()> {
    if let Some(path) = &options.ready_file {
        fs::write(path, "ready\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    say("ready");
    Ok(())
}

/// Whether anybody still reads stderr makes no difference to the run.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

struct Listener<'a> {
    options: &'a ListenOptions,
    csv: Option<CsvFile>,
    streams: BTreeMap<u16, StreamAccount>,
    /// Frames of ours.
    received: u64,
    foreign: u64,
    tai_minus_realtime_ns: i64,
}

impl<'a> Listener<'a> {
    fn new(options: &'a ListenOptions) -> anyhow::Result<Self> {
        let csv = options.csv.as_deref().map(|path| {
            CsvFile::create(path).with_context(|| format!("cannot create {}", path.display()))
        });
        Ok(Self {
            options,
            csv: csv.transpose()?,
            streams: BTreeMap::new(),
            received: 0,
            foreign: 0,
            tai_minus_realtime_ns: clock::tai_minus_realtime_ns()?,
        })
    }

    fn receive(&mut self, sockets: &[Socket], stop: &Stop) -> anyhow::Result<()> {
        let mut receiver = Receiver::new();
        let mut polled: Vec<PollFd> = sockets
            .iter()
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
            .collect();
        let start = Instant::now();
        let end = self
            .options
            .duration
            .map(|limit| start + Duration::from_nanos(limit));
        let idle = self.options.idle.map(Duration::from_nanos);
        let mut last_frame = start;
        while !stop.is_asked() && !self.is_full() {
            let now = Instant::now();
            let idle_end = idle.map(|limit| last_frame + limit);
            let next_end = end.into_iter().chain(idle_end).min();
            let remaining = next_end.map_or(WAIT, |end| end.saturating_duration_since(now));
            if remaining.is_zero() {
                break;
            }
            // Rounded up to the milliseconds of poll, so that the last one is not spent spinning.
            let wait = remaining.min(WAIT) + Duration::from_micros(999);
            let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
            match poll(&mut polled, timeout) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error).context("cannot wait for frames"),
            }
            let before = self.received;
            self.take(sockets, &mut receiver)?;
            if self.received > before {
                last_frame = Instant::now();
            }
        }
        let drain_end = Instant::now() + DRAIN;
        while !self.is_full()
            && Instant::now() < drain_end
            && self.take(sockets, &mut receiver)? > 0
        {}
        Ok(())
    }

    /// Takes one batch from each socket; returns how many frames, ours or not, that were.
    fn take(&mut self, sockets: &[Socket], receiver: &mut Receiver) -> anyhow::Result<usize> {
        self.tai_minus_realtime_ns = clock::tai_minus_realtime_ns()?;
        let mut taken = 0;
        for socket in sockets {
            match receiver.receive(socket.as_fd(), |received| self.note(&received)) {
                Ok(frames) => taken += frames,
                // An interface that goes down says so once and may come up again.
                Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {
                    say("the interface went down");
                }
                Err(error) => return Err(error).context("cannot receive or write frames"),
            }
        }
        Ok(taken)
    }

    fn note(&mut self, received: &Received<'_>) -> io::Result<()> {
        if self.is_full() {
            return Ok(());
        }
        let Some(frame) = self.recognise(received)? else {
            self.foreign += 1;
            return Ok(());
        };
        let id = frame.header.stream_id;
        let account = self.streams.entry(id).or_insert_with(|| {
            let named = self.options.stream.iter().find(|stream| stream.id == id);
            StreamAccount::new(named.cloned().unwrap_or(Stream::from(id)))
        });
        account.note(&frame);
        if let Some(csv) = &mut self.csv {
            csv.write(account.name(), &frame, self.received)?;
        }
        self.received += 1;
        Ok(())
    }

    fn recognise(&self, received: &Received<'_>) -> io::Result<Option<Frame>> {
        let is_udp = !self.options.udp.is_empty();
        let (header, size_bytes, payload_bytes, inline_tag) = if is_udp {
            let ip_bytes = if received.is_ipv4 {
                IPV4_BYTES
            } else {
                IPV6_BYTES
            };
            let size_bytes = HEADER_BYTES + ip_bytes + UDP_BYTES + received.length;
            (
                Header::decode(received.captured),
                size_bytes,
                received.length,
                None,
            )
        } else {
            let Some(payload) = ethernet::payload(received.captured, received.length) else {
                return Ok(None);
            };
            if self.options.raw.is_some() && payload.ethertype != self.options.ethertype {
                return Ok(None);
            }
            let tag_bytes = if received.tag.is_some() { TAG_BYTES } else { 0 };
            let size_bytes = received.length + tag_bytes;
            (
                Header::decode(payload.bytes),
                size_bytes,
                payload.length,
                payload.tag,
            )
        };
        let Some(header) = header else {
            return Ok(None);
        };
        let arrival_ns = match received.arrival_realtime_ns {
            Some(realtime_ns) => realtime_ns.wrapping_add_signed(self.tai_minus_realtime_ns),
            None => clock::tai_now_ns()?,
        };
        let tag = received.tag.or(inline_tag);
        Ok(Some(Frame {
            header,
            arrival_ns,
            size_bytes,
            payload_bytes,
            tag,
        }))
    }

    fn is_full(&self) -> bool {
        self.options
            .count
            .is_some_and(|count| self.received >= count)
    }

    fn finish(self, sockets: &[Socket]) -> anyhow::Result<ListenSummary> {
        if let Some(csv) = self.csv {
            csv.finish().context("cannot write the CSV file")?;
        }
        let drops = |socket: &Socket| {
            let socket: BorrowedFd<'_> = socket.as_fd();
            options::receive_drops(socket).context("cannot ask for the socket's drops")
        };
        let tai_offset_s = self.tai_minus_realtime_ns / 1_000_000_000;
        Ok(ListenSummary {
            clock: format!(
                "TAI: the kernel's receive time stamp (SO_TIMESTAMPNS, CLOCK_REALTIME) plus the kernel's \
                 TAI offset of {tai_offset_s} s"
            ),
            tai_offset_s,
            streams: self.streams.values().map(StreamAccount::summary).collect(),
            foreign: self.foreign,
            socket_drops: sockets.iter().map(drops).sum::<anyhow::Result<u64>>()?,
        })
    }
}
