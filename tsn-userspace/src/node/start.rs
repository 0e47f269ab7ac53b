//! From a configuration to a running node.

use std::time::{Duration, SystemTime};

use tsn_common::{ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES};
use tsn_core::{LinkSpeed, Nanoseconds, SchedulerParameters};
use tsn_port::{Backend, Port};

use super::gates::warn_of_what_never_runs;
use super::pods::with_sources;
use super::watch::clock_action;
use super::{Node, WorkerHandle};
use crate::clock::ClockMonitor;
use crate::config::{
    Configuration, ConfigurationError, Pod, WorkerSettings, compile_gates, compile_uplink,
};
use crate::device::{has_carrier, link_speed_mbps};
use crate::state::StateFile;
use crate::worker::sleep::Waker;
use crate::worker::thread::{self, ThreadError};
use crate::worker::{Worker, WorkerParts};

/// Commands that may wait for the worker.
const COMMANDS: usize = 64;
/// Schedules and pods that may wait to be freed.
const RETIRED: usize = 64;
/// Signs of life for each heartbeat timeout.
const BEATS_PER_TIMEOUT: u64 = 5;

/// What is not in the configuration file.
#[derive(Debug)]
pub struct NodeOptions {
    /// The backend's name, for people.
    pub backend_name: &'static str,
    /// The worker's core; `None` leaves it to the kernel.
    pub cpu: Option<usize>,
    /// Where pods and gates that were set at run time are kept.
    pub state_file: Option<StateFile>,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The uplink could not be opened.
    #[error("uplink {device}: {reason}")]
    Uplink {
        /// The device.
        device: String,
        /// Why.
        reason: String,
    },
    /// The device does not tell its speed.
    #[error("uplink {device}: its link speed cannot be read ({cause}); give `link-speed` in Mb/s")]
    LinkSpeed {
        /// The device.
        device: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The worker's thread.
    #[error(transparent)]
    Thread(#[from] ThreadError),
    /// No thread or descriptor left.
    #[error("the worker cannot be started: {0}")]
    Resources(std::io::Error),
}

impl<B: Backend> Node<B> {
    /// Opens the uplink, starts the worker and attaches the pods. A pod that cannot be attached now is tried again.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing runs then.
    pub async fn start(
        configuration: Configuration,
        mut backend: B,
        options: NodeOptions,
    ) -> Result<Self, StartError> {
        configuration.check()?;
        let Configuration {
            uplinks,
            pods: configured_pods,
            worker: settings,
            clock,
        } = configuration;
        let Some(uplink) = uplinks.into_iter().next() else {
            return Err(ConfigurationError {
                place: "uplinks".to_owned(),
                reason: "there is none".to_owned(),
            }
            .into());
        };
        let mut compiled = compile_uplink("uplinks[0]", &uplink)?;
        let mut gates = uplink.gate_parameters.clone();
        let mut run_time_pods = Vec::new();
        match options.state_file.as_ref().map(StateFile::load).transpose() {
            Ok(Some(Some(state))) => {
                match compile_gates("gate-parameters", &state.gates, &compiled.names) {
                    // A file that has changed since takes precedence.
                    Ok(_) if state.configured_gates == uplink.gate_parameters => {
                        gates = state.gates
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the last run's gates do not fit the file; using the file's")
                    }
                }
                let is_new = |pod: &Pod| configured_pods.iter().all(|known| known.name != pod.name);
                run_time_pods.extend(state.pods.into_iter().filter(is_new));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the state of the last run cannot be used; starting without it")
            }
        }
        let link_speed_mbps = match uplink.link_speed {
            Some(mbps) => mbps,
            None => link_speed_mbps(&uplink.device).map_err(|cause| StartError::LinkSpeed {
                device: uplink.device.clone(),
                cause,
            })?,
        };
        let no_uplink = |reason: String| StartError::Uplink {
            device: uplink.device.clone(),
            reason,
        };
        let link_speed = LinkSpeed::from_mbps(link_speed_mbps)
            .ok_or_else(|| no_uplink("its link speed is 0".to_owned()))?;
        let uplink_port = backend
            .open_uplink(&uplink.device)
            .map_err(|error| no_uplink(with_sources(&error)))?;

        let capabilities = uplink_port.capabilities();
        // A longer frame, if it has a tag, would be lost without a cause behind the uplink's back.
        let longest_sdu_bytes = capabilities
            .max_frame_bytes
            .saturating_sub(ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES)
            as u32;
        for class in &mut compiled.classes {
            class.queue_max_sdu_bytes.get_or_insert(longest_sdu_bytes);
        }
        let carrier = has_carrier(&uplink.device).unwrap_or(true);
        let mut clock_monitor = ClockMonitor::new(clock.holdover.as_duration());
        let clock_status = clock_monitor.sample();
        let compiled_gates = compile_gates("gate-parameters", &gates, &compiled.names)?;
        warn_of_what_never_runs(&compiled_gates);
        let (commands, command_receiver) = crossbeam_channel::bounded(COMMANDS);
        let (retired_sender, retired) = crossbeam_channel::bounded(RETIRED);
        let waker = Waker::new().map_err(|cause| StartError::Resources(cause.into()))?;
        let parts = WorkerParts {
            uplink: uplink_port,
            scheduler: SchedulerParameters {
                link_speed,
                per_frame_overhead_bytes: uplink.per_frame_overhead,
                admin_gate_states: compiled_gates.admin_gate_states,
                classes: compiled.classes,
            },
            gates: compiled_gates,
            carrier,
            lead_probes: uplink.lead_probes,
            poll_mode: settings.poll_mode,
            spin_before: settings.spin_before.into(),
            stall_threshold: settings.stall_threshold.into(),
            clock_action: clock_action(clock_status, clock.on_sync_loss, compiled.critical.0),
            heartbeat: backend.heartbeat(),
            heartbeat_interval: Nanoseconds::from_nanos(
                settings.heartbeat_timeout.ns / BEATS_PER_TIMEOUT,
            ),
            commands: command_receiver,
            retired: retired_sender,
            waker: waker.clone(),
        };
        let thread = spawn_worker(parts, options.cpu, &settings)?;

        if clock_status.tai_utc_offset_s == 0 {
            tracing::warn!(
                "the kernel's TAI offset is 0: CLOCK_TAI equals UTC. Let ptp4l/phc2sys or chrony set it, or launch \
                 times will be 37 s off against other nodes"
            );
        }
        let mut node = Self {
            backend,
            backend_name: options.backend_name,
            started_at_unix_ns: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
            worker: WorkerHandle {
                commands,
                retired,
                waker,
                thread: Some(thread),
            },
            configured_gates: uplink.gate_parameters.clone(),
            uplink,
            link_speed_mbps,
            buffers_per_port: capabilities.transmit_slots as u32,
            carrier,
            class_names: compiled.names,
            critical_classes: compiled.critical.0,
            gates,
            pods: Default::default(),
            clock: clock_monitor,
            clock_status,
            worker_settings: settings,
            clock_settings: clock,
            state_file: options.state_file,
            capture: Default::default(),
            capture_is_on: false,
        };
        let configured = configured_pods.into_iter().map(|pod| (pod, true));
        let added = run_time_pods.into_iter().map(|pod| (pod, false));
        for (pod, configured) in configured.chain(added) {
            if let Err(error) = node.attach(pod.clone(), configured).await {
                node.wait_for(pod, configured, error.to_string());
            }
        }
        node.sweep_leftovers();
        if let Err(error) = node.keep_state() {
            tracing::warn!(%error, "pods and gates that are set at run time will not survive a restart");
        }
        Ok(node)
    }

    /// Removes what an earlier run left attached and nobody wants any more.
    fn sweep_leftovers(&mut self) {
        let leftovers = match self.backend.leftovers() {
            Ok(leftovers) => leftovers,
            Err(error) => {
                tracing::warn!(%error, "cannot list what an earlier run left attached");
                return;
            }
        };
        for name in leftovers
            .into_iter()
            .filter(|name| !self.pods.contains_key(name))
        {
            match self.backend.detach_pod(&name) {
                Ok(()) => tracing::info!(pod = name, "left by an earlier run; detached"),
                Err(error) => {
                    tracing::warn!(pod = name, %error, "left by an earlier run; not detached")
                }
            }
        }
    }
}

fn spawn_worker<P: tsn_port::Port + 'static>(
    parts: WorkerParts<P>,
    cpu: Option<usize>,
    settings: &WorkerSettings,
) -> Result<std::thread::JoinHandle<()>, StartError> {
    let realtime_priority = settings.realtime_priority;
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
