//! From a configuration to a running node.

use std::collections::BTreeSet;
use std::time::SystemTime;

use tsn_cni::record::Directory;
use tsn_port::Backend;

use super::attachments::Records;
use super::gates::warn_of_what_never_runs;
use super::overlay::Ways;
use super::watch::clock_action;
use super::worker_start::{WorkerJob, start_worker};
use super::{Node, Origin};
use crate::clock::ClockMonitor;
use crate::config::{Configuration, ConfigurationError, Pod, compile_gates, compile_uplink};
use crate::sources::with_sources;
use crate::state::StateFile;
use crate::worker::thread::ThreadError;

/// What is not in the configuration file.
#[derive(Debug)]
pub struct NodeOptions {
    /// The backend's name, for people.
    pub backend_name: &'static str,
    /// The worker's core; `None` leaves it to the kernel.
    pub cpu: Option<usize>,
    /// Where pods and gates that were set at run time are kept.
    pub state_file: Option<StateFile>,
    /// Where the CNI plugin writes what it wants attached.
    pub records: Directory,
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
    #[error("uplink {device}: {reason}; give `link-speed` in Mb/s")]
    LinkSpeed {
        /// The device.
        device: String,
        /// Why.
        reason: &'static str,
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
            profiles,
            worker: settings,
            clock,
            dpdk,
            overlay,
        } = configuration;
        let Some(uplink) = uplinks.into_iter().next() else {
            return Err(ConfigurationError {
                place: "uplinks".to_owned(),
                reason: "there is none".to_owned(),
            }
            .into());
        };
        let compiled = compile_uplink("uplinks[0]", &uplink)?;
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
        let compiled_gates = compile_gates("gate-parameters", &gates, &compiled.names)?;
        warn_of_what_never_runs(&compiled_gates);
        let mut clock_monitor =
            ClockMonitor::new(clock.max_error.as_duration(), clock.holdover.as_duration());
        let clock_status = clock_monitor.sample();
        let uplink_port =
            backend
                .open_uplink(&uplink.device)
                .map_err(|error| StartError::Uplink {
                    device: uplink.device.clone(),
                    reason: with_sources(&error),
                })?;
        let job = WorkerJob {
            uplink: &uplink,
            classes: compiled.classes,
            gates: compiled_gates,
            markings: compiled.markings,
            settings: &settings,
            clock_action: clock_action(clock_status, clock.on_sync_loss, compiled.critical.0),
            cpu: options.cpu,
        };
        let started = start_worker(&backend, uplink_port, job).inspect_err(|_| {
            // The error of the start is the one to tell.
            let _ = backend.close_uplink(&uplink.device);
        })?;

        if clock_status.tai_utc_offset_s == 0 {
            tracing::warn!(
                "the kernel's TAI offset is 0: CLOCK_TAI equals UTC. Let ptp4l/phc2sys or chrony set it, or launch \
                 times will be 37 s off against other nodes"
            );
        }
        let ways = Ways::new(&uplink.device, overlay);
        let mut node = Self {
            backend,
            backend_name: options.backend_name,
            started_at_unix_ns: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
            worker: started.worker,
            configured_gates: uplink.gate_parameters.clone(),
            uplink,
            link_speed_mbps: started.link_speed_mbps,
            uplink_receive_slots: started.receive_slots,
            carrier: started.carrier,
            uplink_fails: false,
            class_names: compiled.names,
            critical_classes: compiled.critical.0,
            gates,
            pods: Default::default(),
            profiles,
            records: Records::in_directory(options.records),
            ways,
            clock: clock_monitor,
            clock_status,
            worker_settings: settings,
            clock_settings: clock,
            dpdk_settings: dpdk,
            state_file: options.state_file,
            capture: Default::default(),
            capture_is_on: false,
        };
        // What an earlier run has left must lead no frame to a next hop of this one.
        node.look_at_overlay().await;
        let configured = configured_pods.into_iter().map(|pod| (pod, Origin::File));
        let added = run_time_pods.into_iter().map(|pod| (pod, Origin::Request));
        for (pod, origin) in configured.chain(added) {
            if let Err(error) = node.attach(pod.clone(), origin.clone()).await {
                node.wait_for(pod, origin, error.to_string());
            }
        }
        // Where nobody knows who is wanted, nobody is swept away.
        if let Some(recorded) = node.reconcile_records().await {
            node.sweep_leftovers(&recorded);
        }
        if let Err(error) = node.keep_state() {
            tracing::warn!(%error, "pods and gates that are set at run time will not survive a restart");
        }
        Ok(node)
    }

    /// Detaches what nobody wants any more, no pod of the node and none of `recorded`: what an earlier run left, and what this
    /// one could not detach.
    pub(super) fn sweep_leftovers(&mut self, recorded: &BTreeSet<String>) {
        let leftovers = match self.backend.leftovers() {
            Ok(leftovers) => leftovers,
            Err(error) => {
                tracing::warn!(%error, "cannot list what is left attached");
                return;
            }
        };
        for name in leftovers
            .into_iter()
            .filter(|name| !self.pods.contains_key(name) && !recorded.contains(name))
        {
            match self.backend.detach_pod(&name) {
                Ok(()) => tracing::info!(pod = name, "left attached; detached"),
                Err(error) => {
                    tracing::warn!(pod = name, %error, "left attached; not detached")
                }
            }
        }
    }
}
