//! Numbered datagrams: who sends them, and which of them came out of the wire.

use std::{
    collections::BTreeSet,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tsn_tests::{
    capture::{Capture, CapturedFrame},
    clock::tai_now_ns,
    topology::Pod,
    wait::wait_until,
};

use super::BOUND;

/// Begins the payload of every datagram of ours.
const MARK: [u8; 4] = *b"mark";
/// Where the payload of an untagged UDP datagram begins in its frame.
const PAYLOAD_AT: usize = 42;

/// Sends numbered datagrams from a pod in a thread of its own.
pub struct Talker {
    port: u16,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

impl Talker {
    /// A datagram every `gap`, each of `frame_bytes` with all headers. A talker that was kept waiting catches up.
    pub fn start(from: &Pod, to: &Pod, port: u16, frame_bytes: usize, gap: Duration) -> Self {
        let socket = from.namespace.enter(|| UdpSocket::bind((from.ipv4, 0)));
        let socket = socket.unwrap().unwrap();
        let to = SocketAddr::from((to.ipv4, port));
        let (stop, sent) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let thread = std::thread::spawn({
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            move || {
                let mut due = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    let number = sent.load(Ordering::Relaxed);
                    send(&socket, to, number, frame_bytes);
                    sent.store(number + 1, Ordering::Relaxed);
                    due += gap;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            }
        });
        Self {
            port,
            stop,
            sent,
            thread: Some(thread),
        }
    }

    /// How many it has sent so far.
    pub fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until it has sent so many more.
    pub fn wait_more(&self, datagrams: u32) {
        let wanted = self.sent() + datagrams;
        wait_until("a talker to send", BOUND, || self.sent() >= wanted).unwrap();
    }

    /// Waits until a datagram that is sent from now on has come out of the wire.
    pub fn wait_through(&self, wire: &Capture) {
        let from = self.sent();
        wait_until("a new datagram on the wire", BOUND, || {
            wire.count(|frame| mark(frame).is_some_and(|(port, n)| port == self.port && n >= from))
                > 0
        })
        .unwrap();
    }

    /// Ends it. How many it has sent.
    pub fn finish(mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.sent()
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends one numbered datagram.
pub fn send(socket: &UdpSocket, to: SocketAddr, number: u32, frame_bytes: usize) {
    let mut payload = vec![0; frame_bytes - PAYLOAD_AT];
    payload[..4].copy_from_slice(&MARK);
    payload[4..8].copy_from_slice(&number.to_be_bytes());
    payload[8..16].copy_from_slice(&tai_now_ns().to_be_bytes());
    socket.send_to(&payload, to).unwrap();
}

/// When a datagram of ours was given to its socket, in nanoseconds of CLOCK_TAI.
pub fn sent_ns(frame: &CapturedFrame) -> Option<u64> {
    mark(frame)?;
    let time = frame.bytes.get(PAYLOAD_AT + 8..PAYLOAD_AT + 16)?;
    time.try_into().ok().map(u64::from_be_bytes)
}

/// Port and number of a datagram of ours.
pub fn mark(frame: &CapturedFrame) -> Option<(u16, u32)> {
    let payload = frame.bytes.get(PAYLOAD_AT..PAYLOAD_AT + 8)?;
    let number = u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]);
    (payload[..4] == MARK).then(|| Some((frame.udp_destination()?, number)))?
}

/// The numbers of one port's datagrams in the order of their arrival.
pub fn numbers(frames: &[CapturedFrame], port: u16) -> Vec<u32> {
    let marks = frames.iter().filter_map(mark);
    marks
        .filter(|(of, _)| *of == port)
        .map(|(_, number)| number)
        .collect()
}

/// The numbers from 0 to `sent` that did not arrive. Panics if one came twice or one was never sent.
pub fn lost(arrived: &[u32], sent: u32) -> Vec<u32> {
    let unique: BTreeSet<u32> = arrived.iter().copied().collect();
    assert_eq!(unique.len(), arrived.len(), "no datagram arrives twice");
    assert!(unique.last().is_none_or(|last| *last < sent));
    (0..sent)
        .filter(|number| !unique.contains(number))
        .collect()
}

/// Asserts that all of them arrived once and in their order.
pub fn assert_complete(arrived: &[u32], sent: u32) {
    let lost = lost(arrived, sent);
    assert!(lost.is_empty(), "{} of {sent} lost: {lost:?}", lost.len());
    assert!(
        arrived.is_sorted(),
        "datagrams of a stream keep their order"
    );
}

/// The numbers that did not come out of the wire.
pub fn lost_of(wire: Capture, port: u16, sent: u32) -> Vec<u32> {
    lost(&numbers(&wire.finish().unwrap(), port), sent)
}

/// Prints what a fault cost.
pub fn report(fault: &str, sent: u32, lost: usize, causes: &str) {
    println!("{fault}: {sent} sent, {lost} lost ({causes})");
}
