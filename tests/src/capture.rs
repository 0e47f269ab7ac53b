//! Every frame that arrives at a device, in the order of its arrival.

use std::{
    ffi::CString,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    clock::tai_minus_realtime_ns,
    evidence::{self, Frames},
    namespace::Namespace,
    packet::PacketSocket,
};

/// How often the reader looks whether it is to end.
const TICK: Duration = Duration::from_millis(20);

/// The longest frame that a veth passes whole.
const MAX_FRAME_BYTES: usize = 65_536 + 18;

/// A frame as it was on the wire, without FCS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedFrame {
    /// When the kernel received it, in nanoseconds of CLOCK_TAI.
    pub arrival_ns: u64,
    /// From the destination address on, VLAN tags included; cut to [`CapturedFrame::MAX_BYTES`] unless the capture keeps
    /// [whole](Capture::start_whole) frames.
    pub bytes: Vec<u8>,
    /// How long it was before it was cut.
    pub length: usize,
}

impl CapturedFrame {
    /// How much of a frame is kept if nothing else is said.
    pub const MAX_BYTES: usize = 128;

    /// The PCP of its outer VLAN tag, if it has one.
    pub fn pcp(&self) -> Option<u8> {
        (self.bytes.get(12..14)? == [0x81, 0x00])
            .then(|| self.bytes.get(14).map(|byte| byte >> 5))?
    }

    /// The destination port of an untagged IPv4 UDP datagram.
    pub fn udp_destination(&self) -> Option<u16> {
        let bytes = &self.bytes;
        let is_udp = bytes.get(12..14)? == [0x08, 0x00] && *bytes.get(23)? == 17;
        let at = 14 + usize::from(bytes.get(14)? & 0x0f) * 4 + 2;
        is_udp.then(|| {
            bytes
                .get(at..at + 2)
                .map(|port| u16::from_be_bytes([port[0], port[1]]))
        })?
    }
}

/// Reads a device's arriving frames in a thread of its own.
#[derive(Debug)]
pub struct Capture {
    frames: Frames,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Capture {
    /// Starts at a device of a namespace; frames that arrive after this has returned are seen.
    ///
    /// # Errors
    ///
    /// When there is no such device or the caller is not root.
    pub fn start(namespace: &Namespace, interface: &str) -> Result<Self> {
        Self::keeping(CapturedFrame::MAX_BYTES, namespace, interface)
    }

    /// As [`start`](Self::start), and no frame is cut. Not for floods.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_whole(namespace: &Namespace, interface: &str) -> Result<Self> {
        Self::keeping(MAX_FRAME_BYTES, namespace, interface)
    }

    fn keeping(max_bytes: usize, namespace: &Namespace, interface: &str) -> Result<Self> {
        let name = CString::new(interface)?;
        let socket = namespace
            .enter(|| PacketSocket::open(&name))?
            .with_context(|| format!("capture at {interface}"))?;
        let frames = Frames::default();
        evidence::keep(format!("{}-{interface}", namespace.name()), &frames);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (frames, stop) = (Arc::clone(&frames), Arc::clone(&stop));
            move || read(&socket, max_bytes, &frames, &stop)
        });
        Ok(Self {
            frames,
            stop,
            thread: Some(thread),
        })
    }

    /// How many frames have arrived so far.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many that `is_wanted` likes have arrived so far.
    pub fn count(&self, is_wanted: impl Fn(&CapturedFrame) -> bool) -> usize {
        self.lock().iter().filter(|frame| is_wanted(frame)).count()
    }

    /// Ends it and gives all frames.
    ///
    /// # Errors
    ///
    /// When the reader could not follow and frames went unseen: what was captured would prove nothing.
    pub fn finish(mut self) -> Result<Vec<CapturedFrame>> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread
                .join()
                .map_err(|_| anyhow!("the capture thread panicked"))??;
        }
        let mut frames = self.lock();
        let is_kept = Arc::strong_count(&self.frames) > 1;
        Ok(if is_kept {
            frames.clone()
        } else {
            std::mem::take(&mut *frames)
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<CapturedFrame>> {
        self.frames
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(
    socket: &PacketSocket,
    max_bytes: usize,
    frames: &Mutex<Vec<CapturedFrame>>,
    stop: &AtomicBool,
) -> Result<()> {
    let offset_ns = tai_minus_realtime_ns();
    let mut buffer = vec![0; MAX_FRAME_BYTES];
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        // Once told to stop, what already waits is still read.
        let bound = if stopping { Duration::ZERO } else { TICK };
        match socket
            .receive(&mut buffer, bound)
            .context("read a captured frame")?
        {
            Some(seen) => {
                let frame = CapturedFrame {
                    arrival_ns: seen.realtime_ns.wrapping_add_signed(offset_ns),
                    bytes: buffer[..seen.length.min(max_bytes)].to_vec(),
                    length: seen.length,
                };
                frames
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .push(frame);
            }
            None if stopping => break,
            None => {}
        }
    }
    match socket.dropped()? {
        0 => Ok(()),
        dropped => bail!("the capture missed {dropped} frames"),
    }
}
