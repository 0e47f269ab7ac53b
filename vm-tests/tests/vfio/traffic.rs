//! What the pod sends and is sent, and what must be true of it.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tsn_tests::{
    capture::{Capture, CapturedFrame},
    clients::python,
    namespace::Namespace,
    process::Process,
    topology::{POD_INTERFACE, UPLINK},
    wait::wait_until,
};

use crate::bed::{Bed, TIMED, UNTIMED};

/// Cycles of the talker; it sends three datagrams in each.
pub const CYCLES: usize = 200;

const CLIENT_BOUND: Duration = Duration::from_secs(120);
const GATES_CYCLE_NS: u64 = 1_000_000;
const UNTIMED_OPENS_NS: u64 = 500_000;
const UNTIMED_OPEN_FOR_NS: u64 = 500_000;
/// From the card's DMA to the time stamp of the far card's kernel, with its interrupt.
const WIRE_NS: u64 = 50_000;

/// As anybody would write it: standard library, `SO_PRIORITY`, `SO_TXTIME`. In each cycle of 2 ms it gives the frame that
/// is to leave last first, then the one before, then one that has no time. They are farther apart than the far card's
/// interrupts ever are, which QEMU has come 128 µs after each other at least.
const TALKER: &str = r#"
import socket, struct, sys, time
SO_TXTIME, CLOCK_TAI = 61, 11
destination, timed, untimed, cycles = sys.argv[1], *map(int, sys.argv[2:])
def opened(priority):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, priority)
    return s
late, plain = opened(5), opened(0)
late.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", CLOCK_TAI, 0))
period = 2_000_000
tai = lambda: time.clock_gettime_ns(CLOCK_TAI)
first = (tai() // period + 20) * period
for cycle in range(cycles):
    begin = first + cycle * period
    while tai() < begin - 1_500_000:
        time.sleep(0.0001)
    for launch in (begin + 240_000, begin + 60_000):
        late.sendmsg([struct.pack("!Q", launch)],
                     [(socket.SOL_SOCKET, SO_TXTIME, struct.pack("Q", launch))], 0, (destination, timed))
    plain.sendto(struct.pack("!Q", 0), (destination, untimed))
"#;

/// Sends one frame that no program expects.
const RAW_SENDER: &str = r#"
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
s.send(bytes.fromhex(sys.argv[2].replace(":", "")) + bytes.fromhex("02000000020188b5") + bytes(50))
"#;

/// Lets the pod's talker send all that it has to.
pub fn talk(bed: &Bed) -> Result<()> {
    let destination = bed.network.far.pods[0].ipv4.to_string();
    let numbers = [TIMED, UNTIMED, CYCLES as u16].map(|number| number.to_string());
    let arguments = [&[destination][..], &numbers].concat();
    let talker = python(&bed.pod().namespace, TALKER, &arguments)?;
    talker.finish(CLIENT_BOUND).map(drop)
}

/// Sends one frame from an interface, of a namespace or of the guest's first one.
pub fn send_raw(namespace: Option<&Namespace>, interface: &str, to: &str) -> Result<()> {
    let arguments = [interface, to];
    let sender = match namespace {
        Some(namespace) => python(namespace, RAW_SENDER, &arguments)?,
        None => {
            let mut command = std::process::Command::new("python3");
            command.args(["-c", RAW_SENDER]).args(arguments);
            Process::spawn("python3", command)?
        }
    };
    sender.finish(CLIENT_BOUND).map(drop)
}

/// Whether it is a frame of [`send_raw`].
pub fn is_raw(frame: &CapturedFrame) -> bool {
    frame.bytes[12..14] == [0x88, 0xb5]
}

/// Asserts that a frame that the far end sends to this address arrives in the pod.
pub fn assert_delivered(bed: &Bed, to: &str) {
    let pod = Capture::start(&bed.pod().namespace, POD_INTERFACE).unwrap();
    send_raw(Some(&bed.network.far.namespace), UPLINK, to).unwrap();
    wait_until("the far end's frame in the pod", CLIENT_BOUND, || {
        pod.count(is_raw) == 1
    })
    .unwrap();
}

/// The talker's frames at the far end, in the order of their arrival.
pub struct Seen {
    /// Launch time and arrival.
    timed: Vec<(u64, u64)>,
    /// Arrivals.
    untimed: Vec<u64>,
}

impl Seen {
    /// Those among everything that arrived.
    pub fn of(frames: &[CapturedFrame]) -> Self {
        let to = |port: u16| {
            let of_port = move |frame: &&CapturedFrame| frame.udp_destination() == Some(port);
            frames.iter().filter(of_port)
        };
        let launch_ns = |frame: &CapturedFrame| {
            let payload = frame.bytes[42..50].try_into();
            payload.map_or(0, u64::from_be_bytes)
        };
        Self {
            timed: to(TIMED)
                .map(|frame| (launch_ns(frame), frame.arrival_ns))
                .collect(),
            untimed: to(UNTIMED).map(|frame| frame.arrival_ns).collect(),
        }
    }

    /// Asserts that all arrived, those with a launch time in its order and not before it, the others while their gate was
    /// open or on the wire.
    pub fn assert_in_time(&self) {
        assert_eq!(self.timed.len(), 2 * CYCLES);
        assert_eq!(self.untimed.len(), CYCLES);
        assert!(
            self.timed.is_sorted(),
            "they arrive in the order of launch times"
        );
        for (launch_ns, arrival_ns) in &self.timed {
            assert!(
                arrival_ns >= launch_ns,
                "{arrival_ns} is before {launch_ns}"
            );
            let late_ns = arrival_ns - launch_ns;
            assert!(late_ns < WIRE_NS, "{late_ns} ns after {launch_ns}");
        }
        for arrival_ns in &self.untimed {
            let open_ns = (arrival_ns - UNTIMED_OPENS_NS) % GATES_CYCLE_NS;
            let in_window = open_ns < UNTIMED_OPEN_FOR_NS + WIRE_NS;
            assert!(
                in_window,
                "a frame of class 0 {open_ns} ns after its gate opened"
            );
        }
    }

    /// How long after their launch times they came, as coarse as two runs have it the same: interrupts of timers are not
    /// at the same instants, since the guest's virtual time goes on while it waits for its files.
    pub fn figures(&self) -> Value {
        let quantiles = self.quantiles();
        let whole_us = |name: &str| quantiles[name].as_u64().map(|ns| ns / 1_000);
        json!({
            "frames": self.timed.len(),
            "min-us": whole_us("min-ns"),
            "median-us": whole_us("median-ns"),
            "p90-us": whole_us("p90-ns"),
        })
    }

    /// How long after their launch times they came.
    pub fn quantiles(&self) -> Value {
        let errors = self.timed.iter().map(|(launch, arrival)| arrival - launch);
        let mut errors_ns: Vec<u64> = errors.collect();
        errors_ns.sort_unstable();
        let part = |part: f64| errors_ns[((errors_ns.len() - 1) as f64 * part) as usize];
        json!({
            "min-ns": part(0.0),
            "median-ns": part(0.5),
            "p90-ns": part(0.9),
            "p99-ns": part(0.99),
            "max-ns": part(1.0),
        })
    }
}
