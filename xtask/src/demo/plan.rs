//! What the demo sends, and the gates that it sends through.

use tsn_perf::report::GateRow;
use tsn_tests::{
    backend::Backend,
    topology::{Network, Node, POD_INTERFACE, UPLINK},
};

/// The cycle; it begins with each millisecond of CLOCK_TAI.
pub const CYCLE_NS: u64 = 1_000_000;

/// Frames of the time-triggered streams in a second.
pub const FRAMES_PER_SECOND: u64 = 1_000;

/// UDP ports of the far pods.
pub const UDP_PORTS: [u16; 2] = [5000, 5001];

/// `SCHED_FIFO` priority of the worker, and of the bare spin loop beside it.
pub const WORKER_PRIORITY: i32 = 50;

/// `SCHED_FIFO` priority of the time-triggered talkers: a control application has one.
const TALKER_PRIORITY: &str = "40";

/// A rate that two cores shared by nodes, pods, talkers and capture can bear.
const FLOOD_MBIT_PER_SECOND: &str = "30";

/// One stream of the demo.
pub struct Stream {
    /// What it is called in all results.
    pub name: &'static str,
    /// What its frames carry.
    pub id: u16,
    /// Its traffic class.
    pub class: u8,
    /// When its gate is open, in ns of the cycle.
    pub window: (u64, u64),
    /// Which pod of the near node sends it.
    pub pod: usize,
    /// `tsn-perf talk`'s options that are its own.
    talk: &'static [&'static str],
}

/// The streams, in the order of their windows.
pub const STREAMS: [Stream; 3] = [
    Stream {
        name: "udp",
        id: 1,
        class: 6,
        window: (0, 200_000),
        pod: 0,
        talk: &[
            "--priority",
            "6",
            "--offset",
            "100us",
            "--notice",
            "500us",
            "--size",
            "128",
        ],
    },
    Stream {
        name: "vlan",
        id: 2,
        class: 5,
        window: (200_000, 400_000),
        pod: 1,
        talk: &[
            "--vlan", "5", "--pcp", "5", "--offset", "300us", "--notice", "500us", "--size", "128",
        ],
    },
    Stream {
        name: "flood",
        id: 3,
        class: 0,
        window: (400_000, CYCLE_NS),
        pod: 1,
        talk: &["--rate", FLOOD_MBIT_PER_SECOND, "--size", "1514"],
    },
];

impl Stream {
    /// The options of `tsn-perf talk` for a run of so many seconds.
    pub fn talk_options(&self, network: &Network, seconds: u64) -> Vec<String> {
        let far = &network.far.pods[self.pod];
        let destination = if self.name == "vlan" {
            vec![
                "--raw".into(),
                POD_INTERFACE.into(),
                "--destination".into(),
                far.mac.clone(),
            ]
        } else {
            vec![
                "--udp".into(),
                format!("{}:{}", far.ipv4, UDP_PORTS[self.pod]),
            ]
        };
        let end = if self.is_timed() {
            let count = (seconds * FRAMES_PER_SECOND).to_string();
            vec![
                "--count".into(),
                count,
                "--realtime".into(),
                TALKER_PRIORITY.into(),
            ]
        } else {
            vec!["--duration".into(), format!("{seconds}s")]
        };
        let name = ["--stream".into(), format!("{}/{}", self.name, self.id)];
        let own = self.talk.iter().map(|option| (*option).to_owned());
        destination
            .into_iter()
            .chain(end)
            .chain(name)
            .chain(own)
            .collect()
    }

    /// Whether its frames have launch times.
    pub fn is_timed(&self) -> bool {
        self.talk.contains(&"--notice")
    }

    /// Whether its gate is open at this instant or within `tolerance_ns` of it.
    pub fn gate_is_open(&self, at_ns: u64, tolerance_ns: u64) -> bool {
        let phase_ns = (at_ns + CYCLE_NS - self.window.0 + tolerance_ns) % CYCLE_NS;
        phase_ns < self.window.1 - self.window.0 + 2 * tolerance_ns
    }
}

/// The gates as the report draws them.
pub fn gates() -> Vec<GateRow> {
    let row = |stream: &Stream| GateRow {
        class: stream.class,
        name: stream.name.to_owned(),
        windows: vec![stream.window],
    };
    STREAMS.iter().map(row).collect()
}

/// The near node's configuration: an exclusive window for each of the time-critical streams, the rest of the cycle for
/// all others.
pub fn configuration(near: &Node, backend: Backend) -> String {
    let [first, second] = [&near.pods[0], &near.pods[1]].map(|pod| pod.namespace.path().display());
    let [udp_port, flood_port] = UDP_PORTS;
    format!(
        "uplinks:
  - device: {UPLINK}
    link-speed: 1000
    traffic-classes:
      - {{ number: 6, name: udp, critical: true }}
      - {{ number: 5, name: vlan, critical: true }}
      - {{ number: 0, name: flood }}
    gate-parameters:
      admin-cycle-time: 1ms
      admin-control-list:
        - {{ gate-states-value: [udp], time-interval-value: 200us }}
        - {{ gate-states-value: [vlan], time-interval-value: 200us }}
        - {{ gate-states-value: [flood, 1, 2, 3, 4, 7], time-interval-value: 600us }}
pods:
  - name: pod1
    netns: {first}
    streams:
      - {{ name: udp, match: {{ udp-destination-port: {udp_port} }}, traffic-class: udp, late: send }}
  - name: pod2
    netns: {second}
    streams:
      - {{ name: vlan, match: {{ pcp: 5 }}, traffic-class: vlan, late: send }}
      - {{ name: flood, match: {{ udp-destination-port: {flood_port} }}, traffic-class: flood }}
worker:
  realtime-priority: {WORKER_PRIORITY}
{}",
        backend.settings()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_open_in_its_window_and_a_tolerance_around_it() {
        let [udp, vlan, flood] = &STREAMS;
        assert!(udp.gate_is_open(7 * CYCLE_NS, 0) && !udp.gate_is_open(7 * CYCLE_NS - 1, 0));
        assert!(
            udp.gate_is_open(7 * CYCLE_NS - 1, 1) && udp.gate_is_open(7 * CYCLE_NS + 200_000, 1)
        );
        assert!(
            !vlan.gate_is_open(199_999, 0)
                && vlan.gate_is_open(399_999, 0)
                && !vlan.gate_is_open(400_000, 0)
        );
        assert!(flood.gate_is_open(CYCLE_NS - 1, 0) && !flood.gate_is_open(CYCLE_NS, 0));
        assert!(flood.gate_is_open(CYCLE_NS, 1));
    }

    #[test]
    fn windows_fill_the_cycle_without_overlap() {
        let ends = STREAMS.iter().map(|stream| stream.window.1);
        let starts = STREAMS
            .iter()
            .skip(1)
            .map(|stream| stream.window.0)
            .chain([CYCLE_NS]);
        assert!(ends.eq(starts) && STREAMS[0].window.0 == 0);
    }
}
