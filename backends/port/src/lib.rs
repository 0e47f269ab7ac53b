//! What a backend is: ports that receive and transmit frames.
//!
//! A backend (AF_XDP, DPDK, …) opens [`Port`]s. A port hands over received [`Frame`]s and takes frames to transmit.
//! Nothing here knows of gates, classes or time; nothing above knows of rings or descriptors.
//!
//! ```
//! # use tsn_port::{Frame, Port, loopback};
//! // Forward everything that `a` receives to `b`: this is all that a user of the trait has to do.
//! fn forward<P: Port>(a: &mut P, b: &mut P) -> Result<usize, P::Error> {
//!     let mut forwarded = 0;
//!     while let Some(frame) = a.receive() {
//!         match b.transmit(frame) {
//!             Ok(()) => forwarded += 1,
//!             Err(refused) => drop(refused), // the ring is full; dropping a frame frees its buffer
//!         }
//!     }
//!     b.wake()?; // a system call for the burst, not for each frame
//!     Ok(forwarded)
//! }
//! # let (mut a, mut b) = loopback::pair(64);
//! # forward(&mut a, &mut b).unwrap();
//! ```
//!
//! [`loopback`] and [`fault`] are ports without a device, for tests; [`conformance`] is the suite that every backend
//! must pass, and [`checksum`] what each of them has to do to a pod's frames.

pub mod checksum;
pub mod conformance;
mod device_name;
pub mod fault;
pub mod loopback;
mod mac;
mod overlay;
mod rng;

use std::fmt;
use std::os::fd::RawFd;

pub use device_name::{DeviceKind, DeviceName, DeviceNameError, is_interface_name};
pub use mac::{MacAddress, MacAddressError};
pub use overlay::{NextHopId, Overlay, PodMode, Route, Tunnel};

pub use tsn_common::{Stamp, TimeBase};

/// Room in front of every frame: for the headers of a tunnel (Ethernet, one VLAN tag, IPv6, UDP, VXLAN), in bytes.
pub const PREPEND_BYTES: usize = 14 + 4 + 40 + 8 + 8;

/// A frame whose buffer the holder owns. Dropping it gives the buffer back to where it came from.
///
/// The bytes begin with the Ethernet destination address and end before the frame check sequence.
pub trait Frame: Send {
    /// The frame as it is on the wire, without preamble and FCS.
    fn bytes(&self) -> &[u8];

    /// The same, to be changed in place (the length stays).
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Completes in the bytes what was left to the device that will send the frame, such as a checksum, since only the
    /// bytes are about to be copied. Does nothing where nothing is left so.
    fn complete(&mut self) {}

    /// What the sender's socket asked for, as carried by the kernel program or [`Stamp::NONE`].
    fn stamp(&self) -> Stamp;

    /// The next hop that the kernel program has found for a frame of an overlay pod ([`Backend::set_overlay`]).
    fn next_hop(&self) -> Option<NextHopId>;

    /// Puts so many bytes of unspecified content in front of the frame, without moving the others; what was left to a
    /// device is [completed](Self::complete), since it would no longer be where the device looks for it. `false` where
    /// there is no room; the frame is unchanged then. A frame that was received or allocated has room for
    /// [`PREPEND_BYTES`], and may grow beyond [`Capabilities::max_frame_bytes`] by it.
    #[must_use]
    fn prepend(&mut self, bytes: usize) -> bool;
}

/// One end at which frames enter and leave: a queue of a network device, a virtio ring, a test's loopback.
///
/// No method blocks, allocates, or copies a payload. Frames leave in the order in which [`transmit`](Self::transmit)
/// took them.
pub trait Port: Send {
    /// The frames of this backend. All ports that a worker joins share one type, so a received frame of any port can
    /// be transmitted on any other without a copy.
    type Frame: Frame;

    /// Why [`wake`](Self::wake) failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes the next received frame, or `None` when nothing waits.
    ///
    /// Also gives the device free buffers to receive into, as far as there are any.
    fn receive(&mut self) -> Option<Self::Frame>;

    /// Queues a frame for transmission; it may leave at once or at the next [`wake`](Self::wake).
    ///
    /// # Errors
    ///
    /// Gives the frame back when the transmit ring is full, so that the caller decides what becomes of it.
    fn transmit(&mut self, frame: Self::Frame) -> Result<(), Self::Frame>;

    /// As [`transmit`](Self::transmit), and the device holds the frame until CLOCK_TAI is `launch_time_ns`, where
    /// [`Capabilities::hardware_launch`] says that it can; elsewhere the frame leaves as any other. Launch times must not
    /// decrease from one frame to the next, and a frame that comes to the device later than its lead before its launch
    /// time may leave late.
    ///
    /// # Errors
    ///
    /// As [`transmit`](Self::transmit).
    fn transmit_at(&mut self, frame: Self::Frame, launch_time_ns: u64) -> Result<(), Self::Frame> {
        let _ = launch_time_ns;
        self.transmit(frame)
    }

    /// Tells the device of what was queued, and takes back the buffers of what has left.
    ///
    /// # Errors
    ///
    /// When the device is gone or down. Frames that were queued stay queued, or are dropped without being counted where
    /// they would be out of their time; a later call may succeed.
    fn wake(&mut self) -> Result<(), Self::Error>;

    /// A free buffer as a frame of `length_bytes` with unspecified content, for frames that the caller makes itself;
    /// `None` when no buffer is free or the length is beyond the longest frame.
    fn allocate(&mut self, length_bytes: usize) -> Option<Self::Frame>;

    /// A descriptor that becomes readable when a frame arrives; `None` where the port can only be polled, which costs a
    /// caller that would like to sleep its longer sleeps.
    fn readable(&self) -> Option<RawFd>;

    /// What went through this port since it was opened.
    fn counters(&self) -> PortCounters;

    /// How full its rings and its memory are now.
    fn levels(&mut self) -> PortLevels;

    /// What this port can do.
    fn capabilities(&self) -> Capabilities;

    /// The one station at the other end of the port, when it is the caller who has to deliver frames to it: what
    /// arrives elsewhere for this address is to be transmitted here. `None` where the kernel delivers, or where a whole
    /// network is at the other end.
    fn station(&self) -> Option<MacAddress>;
}

/// Opens the ports of one worker. Lives with the control plane and may block; the ports it opens move to the worker.
pub trait Backend: Send {
    /// The ports that this backend opens.
    type Port: Port + 'static;

    /// Why a port could not be opened or prepared.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Opens the device that frames leave by.
    ///
    /// # Errors
    ///
    /// When the device does not exist, is in use, or the kernel refuses it.
    fn open_uplink(&mut self, device: &str) -> Result<Self::Port, Self::Error>;

    /// Gives what arrives at the uplink back to the kernel path. The port stays open for transmission.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; an uplink that is already gone is no error.
    fn close_uplink(&mut self, device: &str) -> Result<(), Self::Error>;

    /// Steers a pod's frames into a new port; until [`detach_pod`](Self::detach_pod) the kernel path is only used for
    /// pods of the same node, and when the daemon is gone.
    ///
    /// # Errors
    ///
    /// When the pod's network namespace or interface does not exist or the kernel refuses; nothing is left attached
    /// then.
    fn attach_pod(&mut self, pod: &PodAttachment) -> Result<Self::Port, Self::Error>;

    /// Gives the pod's frames back to the kernel path. What the port has received by then can still be taken from it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; a pod that is already gone is no error.
    fn detach_pod(&mut self, name: &str) -> Result<(), Self::Error>;

    /// Whether the pod is attached and its device still exists.
    fn is_attached(&self, name: &str) -> bool;

    /// What was counted for a pod before its frames reached the port, by name; empty where nothing is. The names are the
    /// same at all times: while a pod is not attached, its counters are 0.
    fn pod_counters(&self, name: &str) -> Vec<(&'static str, u64)>;

    /// Pods that an earlier run of the daemon left attached and this one has not taken over (yet). Their frames take
    /// the kernel path; `attach_pod` adopts them, `detach_pod` removes what is left.
    ///
    /// # Errors
    ///
    /// When the leftovers cannot be listed.
    fn leftovers(&self) -> Result<Vec<String>, Self::Error>;

    /// Has the frames of overlay pods take these ways from now on, each destination at once: none is without a way in
    /// between if it has one before and after.
    ///
    /// # Errors
    ///
    /// When the backend has no overlay mode on its uplink, or the kernel refuses.
    fn set_overlay(&mut self, overlay: &Overlay) -> Result<(), Self::Error>;

    /// Whether frames can leave by an uplink that was opened. A device that cannot be asked just now counts as up: that
    /// it takes nothing is seen by [`Port::wake`].
    fn uplink_link(&self, device: &str) -> Link;

    /// What the uplink's device itself counts, by the names that it has for that; empty where it counts nothing beside
    /// [`PortCounters`].
    fn uplink_counters(&self, device: &str) -> Vec<(String, u64)>;

    /// What there is to know of an uplink that was opened, for people: its driver, where it sits, its memory.
    fn uplink_facts(&self, device: &str) -> Vec<(&'static str, String)>;

    /// What the worker's thread has to do once, when it has its core and before it touches a port.
    fn worker_entry(&self) -> Box<dyn FnOnce() + Send>;

    /// From now on the kernel programs keep new frames on the kernel path; what has been received can be drained.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    fn divert(&mut self) -> Result<(), Self::Error>;

    /// The sign of life that the worker must give more often than the backend's heartbeat timeout.
    fn heartbeat(&self) -> Box<dyn Heartbeat>;
}

/// Whether frames can leave by an uplink, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// They can.
    Up {
        /// In Mb/s; `None` where the device does not tell.
        speed_mbps: Option<u32>,
    },
    /// The device is down or has no carrier. It may come up again.
    Down,
    /// The device has been removed. The open port will never send again, also when a device of that name comes back.
    Gone,
}

/// A worker's sign of life towards the kernel programs; without it they fall back to the kernel path.
pub trait Heartbeat: Send {
    /// Says "alive now". Costs a look at the clock and one store.
    fn beat(&self);
}

/// A pod and the traffic of it that is time-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodAttachment {
    /// The name by which the pod is known to the daemon; unique.
    pub name: String,
    /// Where its frames come from.
    pub end: PodEnd,
    /// How they leave the node. Only a pod with a veth can have the overlay mode.
    pub mode: PodMode,
    /// What is steered into the port, first match wins. At most [`tsn_common::MAX_RULES`].
    pub rules: Vec<tsn_common::Rule>,
}

/// How a pod is connected to the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodEnd {
    /// By a veth pair whose other end is in the node's namespace.
    Veth(VethEnd),
    /// By a vhost-user socket, at whose other end a virtual machine or a DPDK program has a virtio device.
    VhostUser(VhostUserEnd),
}

/// For people: `eth0 in /var/run/netns/pod1`, or `vhost-user /run/tsnd/vm1.sock`.
impl fmt::Display for PodEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Veth(end) => write!(f, "{} in {}", end.interface, end.netns.display()),
            Self::VhostUser(end) => write!(f, "vhost-user {}", end.socket.display()),
        }
    }
}

/// A pod's end of a veth pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VethEnd {
    /// Path of the pod's network namespace, such as `/var/run/netns/pod1`.
    pub netns: std::path::PathBuf,
    /// The interface inside the pod, such as `eth0`.
    pub interface: String,
    /// What it was given.
    pub addresses: PodAddresses,
}

/// The addresses that a pod's interface was given by whoever made it. What is not told is read from the interface, where the
/// pod itself may have set it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodAddresses {
    /// Its Ethernet address; `None` if not told.
    pub mac: Option<MacAddress>,
    /// Its IP addresses; none if not told.
    pub ips: Vec<std::net::IpAddr>,
}

/// A vhost-user socket. All that is sent by it is the pod's time-sensitive traffic or dropped: no kernel is beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VhostUserEnd {
    /// Path of the socket.
    pub socket: std::path::PathBuf,
    /// Whether the other end makes the socket and listens; otherwise the backend does.
    pub peer_listens: bool,
    /// The address of the virtio device, under which the pod is delivered to.
    pub address: MacAddress,
    /// What the secret of a genuine [`tsn_common::StampHeader`] in front of a frame is made of
    /// ([`tsn_common::StampHeader::secret`]); `None`: a frame that has one is a forgery.
    pub stamp_secret: Option<u64>,
}

/// What went through a port since it was opened. Frames are conserved: what was taken for transmission either is
/// `transmitted`, waits in the ring, was refused, or was dropped by a `wake` that failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames handed to the caller by `receive`.
    pub received: u64,
    /// Frames that `transmit` took.
    pub transmit_queued: u64,
    /// Frames whose buffers the device has given back after transmission.
    pub transmitted: u64,
    /// Of these, frames that were not sent: the device took and dropped them, as it does while it goes down, or did not take
    /// them in their time.
    pub transmit_dropped: u64,
    /// Frames that `transmit` gave back because the ring was full.
    pub transmit_refused: u64,
    /// Frames that the device dropped because no free buffer waited for them.
    pub receive_no_buffer: u64,
    /// Frames that the device dropped because the receive ring was full.
    pub receive_ring_full: u64,
    /// Frames that were dropped for their length: shorter than an Ethernet header, or longer than a buffer.
    pub receive_length_errors: u64,
    /// System calls made to wake the device.
    pub wakes: u64,
    /// Payload bytes copied by this port between receive and transmit (0 on a copy-free way). What the kernel or a driver
    /// copies is not among them ([`Capabilities::zero_copy`]).
    pub copied_bytes: u64,
}

/// How full a port's rings and its memory are at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PortLevels {
    /// Frames in the transmit ring that the device has not taken yet.
    pub transmit_used: u32,
    /// Slots of the transmit ring.
    pub transmit_slots: u32,
    /// Frames that arrived and have not been taken by `receive`.
    pub receive_waiting: u32,
    /// The most frames that can wait so; 0 where nothing is received.
    pub receive_slots: u32,
    /// Frame buffers that nobody holds, of all ports that share this port's memory together.
    pub free_buffers: u32,
    /// All frame buffers of that memory.
    pub buffers: u32,
}

/// What a port can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The longest frame, in bytes without FCS.
    pub max_frame_bytes: usize,
    /// Slots of the transmit ring.
    pub transmit_slots: usize,
    /// Whether the device moves frames without a copy by the kernel or the driver (AF_XDP zero-copy, a network card with a
    /// poll-mode driver).
    pub zero_copy: bool,
    /// Whether the device itself can hold a frame until its launch time ([`Port::transmit_at`]), and what it needs for
    /// that.
    pub hardware_launch: Option<HardwareLaunch>,
    /// Whether a frame that `transmit` took stays until the next `wake`. Otherwise it may leave at once.
    pub waits_for_wake: bool,
}

/// What a device needs to hold frames until their launch times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardwareLaunch {
    /// How long before its launch time a frame must have been handed to the device by [`Port::wake`], in nanoseconds.
    pub lead_ns: u64,
}
