//! One turn of the worker: a new one is made, its queues are filled, and one frame a millisecond is due.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tsn_core::{LinkSpeed, Nanoseconds, SchedulerParameters, TaiTime};
use tsn_port::{Heartbeat, Port};
use tsn_userspace::clock::tai_now;
use tsn_userspace::config::{Configuration, PollMode, compile_pod, compile_uplink};
use tsn_userspace::worker::command::{ClockAction, Command};
use tsn_userspace::worker::pod::PodPort;
use tsn_userspace::worker::sleep::Waker;
use tsn_userspace::worker::snapshot::Snapshot;
use tsn_userspace::worker::stall::{Stall, StallLog};
use tsn_userspace::worker::{Worker, WorkerParts};

use crate::port::{Feed, Log, QueuePort};

/// From one launch time to the next.
pub const PERIOD: Nanoseconds = Nanoseconds::from_nanos(1_000_000);
/// Adaptive mode's spinning before each, as is the daemon's default.
pub const SPIN_BEFORE: Nanoseconds = Nanoseconds::from_nanos(250_000);
/// What counts as a stall, as is the daemon's default.
pub const STALL_THRESHOLD: Nanoseconds = Nanoseconds::from_nanos(10_000);
/// How long before its launch time a frame is handed over.
const NOTICE: Nanoseconds = Nanoseconds::from_nanos(5_000_000);
/// A frame that is handed over later than this before its launch time says nothing of the worker.
const LEAST_NOTICE: Nanoseconds = Nanoseconds::from_nanos(1_000_000);
/// Where in the gates' cycle the launch times are.
const PHASE_NS: u64 = 500_000;
/// The queued frames are due so long after the turn.
const QUEUED_AHEAD: Nanoseconds = Nanoseconds::from_nanos(5_000_000_000);

const CONFIGURATION: &str = "
uplinks:
  - device: none
    traffic-classes: [ { number: 7 }, { number: 0 } ]
    gate-parameters:
      admin-control-list:
        - { gate-states-value: [7, 0], time-interval-value: 900us }
        - { gate-states-value: [0], time-interval-value: 100us }
pods:
  - name: pod
    netns: /nowhere
    frame-quota: 65536
    streams: [ { name: timed, match: {}, traffic-class: 7, late: send } ]
";

/// A frame that left.
pub struct Departure {
    /// Its launch time.
    pub due: TaiTime,
    /// When the uplink's wake-up was started.
    pub woken: TaiTime,
}

impl Departure {
    /// How much too late that was.
    pub fn error_ns(&self) -> i64 {
        self.woken.as_nanos() as i64 - self.due.as_nanos() as i64
    }
}

/// What a turn has shown.
#[derive(Default)]
pub struct Turn {
    pub departures: Vec<Departure>,
    pub stalls: Vec<Stall>,
    pub handed_over_late: usize,
}

impl Turn {
    /// Whether the core was away when the frame was due.
    pub fn is_stalled(&self, departure: &Departure) -> bool {
        let (due_ns, woken_ns) = (departure.due.as_nanos(), departure.woken.as_nanos());
        self.stalls
            .iter()
            .any(|stall| stall.begin_ns <= woken_ns && due_ns <= stall.end_ns)
    }
}

struct NoKernelPrograms;

impl Heartbeat for NoKernelPrograms {
    fn beat(&self) {}
}

/// The first launch time of a turn that starts now.
pub fn first_launch() -> TaiTime {
    let soon = (tai_now() + NOTICE + PERIOD).as_nanos();
    TaiTime::from_nanos(soon.div_ceil(PERIOD.as_nanos()) * PERIOD.as_nanos() + PHASE_NS)
}

/// Runs a worker with so many pods and so many frames that wait beyond the turn's end. `port` makes what is below each
/// port, by its number.
pub fn measure<P: Port>(
    length: Duration,
    pods: usize,
    queued: usize,
    port: impl Fn(usize) -> P,
    settle: impl FnOnce() + Send,
) -> Turn {
    let count = length.as_nanos() as u64 / PERIOD.as_nanos();
    let log: Log = Arc::new(Mutex::new(Vec::with_capacity(count as usize)));
    let (commands, command_receiver) = crossbeam_channel::bounded(64);
    // Nothing is retired in a turn.
    let (retired, _retired) = crossbeam_channel::bounded(1);
    let waker = Waker::new().expect("a descriptor");
    let configuration = Configuration::from_yaml(CONFIGURATION).expect("a configuration");
    let uplink = compile_uplink("uplink", &configuration.uplinks[0]).expect("an uplink");
    let pod = compile_pod("pod", &configuration.pods[0], &uplink.names).expect("a pod");
    let mut classes = uplink.classes;
    classes[7].capacity = queued as u32 + 1_024;
    let parts = WorkerParts {
        uplink: QueuePort::new(port(0), 1, &log).0,
        scheduler: SchedulerParameters {
            link_speed: LinkSpeed::from_mbps(1_000).expect("not zero"),
            per_frame_overhead_bytes: 24,
            admin_gate_states: uplink.gates.admin_gate_states,
            classes,
        },
        gates: uplink.gates,
        markings: uplink.markings,
        carrier: true,
        lead_probes: 0,
        poll_mode: PollMode::Adaptive,
        spin_before: SPIN_BEFORE,
        stall_threshold: STALL_THRESHOLD,
        clock_action: ClockAction {
            open_gates: false,
            dropped_classes: 0,
            tai_minus_utc_ns: 37_000_000_000,
        },
        heartbeat: Box::new(NoKernelPrograms),
        heartbeat_interval: PERIOD,
        commands: command_receiver,
        retired,
        waker: waker.clone(),
    };
    let mut turn = Turn::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            settle();
            Worker::new(parts).run();
        });
        let ask = |command| {
            commands.send(command).expect("the worker runs");
            waker.wake();
        };
        let feeds: Vec<Feed> = (0..pods)
            .map(|number| {
                let (port, feed) = QueuePort::new(port(number + 1), 1_024, &log);
                let port = PodPort::new(port, &pod, configuration.pods[0].frame_quota);
                let (answer, added) = oneshot::channel();
                ask(Command::AddPod(Box::new(port), answer));
                added.blocking_recv().expect("an answer").expect("a place");
                feed
            })
            .collect();
        for number in 0..queued {
            let due = tai_now() + QUEUED_AHEAD + Nanoseconds::from_nanos(length.as_nanos() as u64);
            feeds[number % pods].give(due);
        }
        let first = first_launch();
        for number in 0..count {
            let due = first + Nanoseconds::from_nanos(number * PERIOD.as_nanos());
            sleep_until(due - NOTICE);
            if tai_now() < due - LEAST_NOTICE {
                feeds[number as usize % pods].give(due);
            } else {
                turn.handed_over_late += 1;
            }
        }
        sleep_until(first + Nanoseconds::from_nanos(count * PERIOD.as_nanos()));
        let (answer, snapshot) = oneshot::channel();
        let empty = Snapshot {
            recent_stalls: Vec::with_capacity(StallLog::capacity()),
            ..Snapshot::default()
        };
        ask(Command::Snapshot(Box::new(empty), answer));
        turn.stalls = snapshot.blocking_recv().expect("an answer").recent_stalls;
        drop(commands);
        waker.wake();
    });
    turn.departures = std::mem::take(&mut *log.lock().expect("the log"));
    turn
}

fn sleep_until(instant: TaiTime) {
    let early_ns = instant.as_nanos().saturating_sub(tai_now().as_nanos());
    std::thread::sleep(Duration::from_nanos(early_ns));
}
