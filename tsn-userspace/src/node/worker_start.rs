//! From an open uplink to a worker that runs.

use std::time::Duration;

use tsn_common::{ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES};
use tsn_core::{ClassParameters, LinkSpeed, Nanoseconds, SchedulerParameters};
use tsn_port::{Backend, Link, Port};

use super::WorkerHandle;
use super::start::StartError;
use crate::config::{CompiledGates, Marking, Uplink, WorkerSettings};
use crate::worker::command::ClockAction;
use crate::worker::sleep::Waker;
use crate::worker::thread::{self, ThreadError};
use crate::worker::{Worker, WorkerParts};

/// Commands that may wait for the worker.
const COMMANDS: usize = 64;
/// Schedules and pods that may wait to be freed.
const RETIRED: usize = 64;
/// Signs of life for each heartbeat timeout.
const BEATS_PER_TIMEOUT: u64 = 5;

/// What the worker is to do.
pub(super) struct WorkerJob<'a> {
    pub uplink: &'a Uplink,
    pub classes: [ClassParameters; 8],
    pub gates: CompiledGates,
    pub markings: [Marking; 8],
    pub settings: &'a WorkerSettings,
    /// What the clock's state does to the frames now.
    pub clock_action: ClockAction,
    pub cpu: Option<usize>,
}

/// A worker that runs, and what the uplink's device told on the way there.
pub(super) struct StartedWorker<P: Port> {
    pub worker: WorkerHandle<P>,
    pub link_speed_mbps: u32,
    pub carrier: bool,
    /// Buffers that the uplink keeps ready to receive into.
    pub receive_slots: u32,
}

/// Starts the worker in a thread of its own.
pub(super) fn start_worker<B: Backend>(
    backend: &B,
    mut uplink_port: B::Port,
    job: WorkerJob<'_>,
) -> Result<StartedWorker<B::Port>, StartError> {
    let WorkerJob {
        uplink,
        mut classes,
        gates,
        markings,
        settings,
        clock_action,
        cpu,
    } = job;
    let link = backend.uplink_link(&uplink.device);
    let (link_speed_mbps, link_speed) = link_speed(uplink, link)?;
    let carrier = matches!(link, Link::Up { .. });
    let capabilities = uplink_port.capabilities();
    let receive_slots = uplink_port.levels().receive_slots;
    // A longer frame, if it has a tag, would be lost without a cause behind the uplink's back.
    let longest_sdu_bytes = capabilities
        .max_frame_bytes
        .saturating_sub(ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES) as u32;
    for class in &mut classes {
        class.queue_max_sdu_bytes.get_or_insert(longest_sdu_bytes);
    }
    let (commands, command_receiver) = crossbeam_channel::bounded(COMMANDS);
    let (retired_sender, retired) = crossbeam_channel::bounded(RETIRED);
    let waker = Waker::new().map_err(|cause| StartError::Resources(cause.into()))?;
    let parts = WorkerParts {
        uplink: uplink_port,
        scheduler: SchedulerParameters {
            link_speed,
            per_frame_overhead_bytes: uplink.per_frame_overhead,
            admin_gate_states: gates.admin_gate_states,
            classes,
        },
        gates,
        markings,
        carrier,
        lead_probes: uplink.lead_probes,
        poll_mode: settings.poll_mode,
        spin_before: settings.spin_before.into(),
        stall_threshold: settings.stall_threshold.into(),
        clock_action,
        heartbeat: backend.heartbeat(),
        heartbeat_interval: Nanoseconds::from_nanos(
            settings.heartbeat_timeout.ns / BEATS_PER_TIMEOUT,
        ),
        commands: command_receiver,
        retired: retired_sender,
        waker: waker.clone(),
    };
    let thread = spawn(
        parts,
        backend.worker_entry(),
        cpu,
        settings.realtime_priority,
    )?;
    Ok(StartedWorker {
        worker: WorkerHandle {
            commands,
            retired,
            waker,
            thread: Some(thread),
        },
        link_speed_mbps,
        carrier,
        receive_slots,
    })
}

/// The speed of the link as configured, or else as the device tells it.
fn link_speed(uplink: &Uplink, link: Link) -> Result<(u32, LinkSpeed), StartError> {
    let unknown = |reason| StartError::LinkSpeed {
        device: uplink.device.clone(),
        reason,
    };
    let told = match link {
        Link::Up {
            speed_mbps: Some(mbps),
        } => Ok(mbps),
        Link::Up { speed_mbps: None } => Err("the device does not tell its speed"),
        Link::Down => Err("it is down or has no carrier, and so no speed"),
        Link::Gone => {
            return Err(StartError::Uplink {
                device: uplink.device.clone(),
                reason: "it was removed while it was opened".to_owned(),
            });
        }
    };
    let mbps = uplink.link_speed.map_or(told, Ok).map_err(unknown)?;
    let speed = LinkSpeed::from_mbps(mbps).ok_or_else(|| unknown("its speed is 0"))?;
    Ok((mbps, speed))
}

fn spawn<P: Port + 'static>(
    parts: WorkerParts<P>,
    entry: Box<dyn FnOnce() + Send>,
    cpu: Option<usize>,
    realtime_priority: Option<u8>,
) -> Result<std::thread::JoinHandle<()>, StartError> {
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("tsnd-worker".to_owned())
        .spawn(move || {
            let set_up = || -> Result<(), ThreadError> {
                if let Some(cpu) = cpu {
                    thread::pin(cpu)?;
                }
                thread::sharpen_timers();
                realtime_priority.map_or(Ok(()), thread::make_realtime)
            };
            match set_up() {
                Ok(()) => {
                    entry();
                    // Told when it has measured its lead, which other work on the machine disturbs.
                    let worker = Worker::new(parts);
                    let _ = ready.send(Ok(()));
                    worker.run();
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        })
        .map_err(StartError::Resources)?;
    match is_ready.recv_timeout(Duration::from_secs(5)) {
        Ok(result) => result?,
        Err(error) => return Err(StartError::Resources(std::io::Error::other(error))),
    }
    Ok(thread)
}
