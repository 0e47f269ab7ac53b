//! A worker without a device, whose passes a test makes itself.

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;
use tsn_core::{LinkSpeed, Nanoseconds, SchedulerParameters};
use tsn_port::loopback::{self, LoopbackPort};
use tsn_port::{Heartbeat, MacAddress, Port};

use super::command::{ClockAction, Command, Refusal, Retired};
use super::pod::PodPort;
use super::sleep::Waker;
use super::{Worker, WorkerParts};
use crate::clock::tai_now;
use crate::config::{Configuration, PollMode, compile_pod, compile_uplink};

const CONFIGURATION: &str = "
uplinks:
  - device: none
pods:
  - name: pod
    netns: /nowhere
    streams:
      - { name: timed, match: { priority: 5 }, traffic-class: 7, late: send }
      - { name: rest, match: { ethertype: 0x88b5 }, traffic-class: 0 }
";

/// A worker, and what is at the other ends.
pub struct Bed<P: Port> {
    pub worker: Worker<P>,
    pub retired: Receiver<Retired<P>>,
    configuration: Configuration,
    /// Keeps the worker's channel open.
    _commands: Sender<Command<P>>,
}

struct NoKernelPrograms;

impl Heartbeat for NoKernelPrograms {
    fn beat(&self) {}
}

impl<P: Port> Bed<P> {
    /// With these uplink settings in YAML, each line indented by four.
    pub fn new(uplink: P, settings: &str) -> Self {
        let text = CONFIGURATION.replace("none\n", &format!("none\n{settings}"));
        let configuration = Configuration::from_yaml(&text).unwrap();
        let compiled = compile_uplink("uplink", &configuration.uplinks[0]).unwrap();
        let (commands, command_receiver) = crossbeam_channel::bounded(1);
        let (retired, retired_receiver) = crossbeam_channel::bounded(64);
        let worker = Worker::new(WorkerParts {
            uplink,
            scheduler: SchedulerParameters {
                link_speed: LinkSpeed::from_mbps(1_000).unwrap(),
                per_frame_overhead_bytes: 24,
                admin_gate_states: compiled.gates.admin_gate_states,
                classes: compiled.classes,
            },
            gates: compiled.gates,
            markings: compiled.markings,
            carrier: true,
            lead_probes: 8,
            poll_mode: PollMode::Busy,
            spin_before: Nanoseconds::ZERO,
            stall_threshold: Nanoseconds::from_nanos(10_000),
            clock_action: ClockAction {
                open_gates: false,
                dropped_classes: 0,
                tai_minus_utc_ns: 37_000_000_000,
            },
            heartbeat: Box::new(NoKernelPrograms),
            heartbeat_interval: Nanoseconds::from_nanos(1_000_000),
            commands: command_receiver,
            retired,
            waker: Waker::new().unwrap(),
        });
        Self {
            worker,
            retired: retired_receiver,
            configuration,
            _commands: commands,
        }
    }

    /// A pod with this port.
    pub fn add(&mut self, port: P) -> Result<usize, Refusal> {
        let uplink = compile_uplink("uplink", &self.configuration.uplinks[0]).unwrap();
        let pod = compile_pod("pod", &self.configuration.pods[0], &uplink.names).unwrap();
        let (answer, added) = oneshot::channel();
        let pod = Box::new(PodPort::new(port, &pod, 512));
        self.worker.obey(Command::AddPod(pod, answer), tai_now());
        added.blocking_recv().unwrap()
    }

    /// Takes the pod out.
    pub fn remove(&mut self, place: usize) {
        let (answer, removed) = oneshot::channel();
        self.worker
            .obey(Command::RemovePod(place, answer), tai_now());
        removed.blocking_recv().unwrap().unwrap();
    }
}

impl Bed<LoopbackPort> {
    /// A pod with a station at its other end, which is given.
    pub fn add_station(&mut self, address: MacAddress, slots: usize) -> (usize, LoopbackPort) {
        let (port, station) = loopback::pair(slots);
        (self.add(port.with_station(address)).unwrap(), station)
    }
}
