//! Changes of the gates and of the whole configuration at run time.

use tsn_core::TaiTime;
use tsn_port::Backend;

use super::{Node, NodeError, Origin};
use crate::config::{BaseTime, CompiledGates, Configuration, GateParameters, Pod, compile_gates};
use crate::control::api::Applied;
use crate::worker::command::GateChange;

impl<B: Backend> Node<B> {
    /// The gate parameters that were set last.
    pub fn gates(&self) -> &GateParameters {
        &self.gates
    }

    /// Sets the gate parameters; a list that runs stays in force until the new one's ConfigChangeTime.
    ///
    /// # Errors
    ///
    /// A value that cannot be used, or a worker that does not answer.
    pub async fn change_gates(&mut self, gates: GateParameters) -> Result<Applied, NodeError> {
        let compiled = compile_gates("gate-parameters", &gates, &self.class_names)?;
        let config_change_time = self.put_gates(gates, compiled).await?;
        self.keep_state()?;
        Ok(Applied {
            config_change_time_ns: config_change_time.map(TaiTime::as_nanos),
            ..Applied::default()
        })
    }

    async fn put_gates(
        &mut self,
        gates: GateParameters,
        compiled: CompiledGates,
    ) -> Result<Option<TaiTime>, NodeError> {
        warn_of_what_never_runs(&compiled);
        let change = GateChange {
            admin_gate_states: compiled.admin_gate_states,
            enabled: compiled.enabled,
            schedule: compiled.schedule,
        };
        let change = self.worker.change_gates(change).await?;
        self.gates = gates;
        let at = change.map(|change| change.config_change_time);
        if let Some(at) = at {
            tracing::info!(
                config_change_time_ns = at.as_nanos(),
                "new gate control list"
            );
        }
        Ok(at)
    }

    /// Applies a configuration to the running daemon: the pods that it names, the profiles, then the gates. Other pods
    /// stay; those that have a record are attached anew if their profile gives them something else. All of it is checked before any of it takes effect. `at` takes the place of `admin-base-time`.
    ///
    /// # Errors
    ///
    /// A value that cannot be used, or a setting that only a restart can change: nothing has changed then. A worker that
    /// does not answer: what was done before stays. A pod that cannot be attached now is no error; it waits.
    pub async fn apply(
        &mut self,
        configuration: Configuration,
        at: Option<u64>,
    ) -> Result<Applied, NodeError> {
        configuration.check()?;
        let mut gates = self.what_can_change(&configuration)?.clone();
        if let Some(at) = at {
            gates.admin_base_time = BaseTime::from_ns(at);
        }
        let compiled = compile_gates("gate-parameters", &gates, &self.class_names)?;
        for pod in &configuration.pods {
            self.check_not_recorded(&pod.name)?;
        }
        let is_named = |name: &str| configuration.pods.iter().any(|pod| pod.name == name);
        let mut applied = Applied {
            pods_kept: self
                .pods
                .iter()
                .filter(|(_, entry)| !matches!(entry.origin, Origin::Record(_)))
                .map(|(name, _)| name.clone())
                .filter(|name| !is_named(name))
                .collect(),
            ..Applied::default()
        };
        self.apply_pods(configuration.pods, &mut applied).await;
        self.apply_profiles(configuration.profiles, &mut applied)
            .await;
        if at.is_some() || gates != self.gates {
            let change = self.put_gates(gates, compiled).await?;
            applied.config_change_time_ns = change.map(TaiTime::as_nanos);
        }
        self.keep_state()?;
        Ok(applied)
    }

    /// The gate parameters of a configuration that otherwise, but for its pods, is the one that runs.
    fn what_can_change<'a>(
        &self,
        configuration: &'a Configuration,
    ) -> Result<&'a GateParameters, NodeError> {
        let [uplink] = configuration.uplinks.as_slice() else {
            return Err(NodeError::NeedsRestart("uplinks"));
        };
        let running = &self.uplink;
        let same = [
            ("uplinks[0].device", uplink.device == running.device),
            (
                "uplinks[0].link-speed",
                uplink.link_speed == running.link_speed,
            ),
            (
                "uplinks[0].per-frame-overhead",
                uplink.per_frame_overhead == running.per_frame_overhead,
            ),
            (
                "uplinks[0].lead-probes",
                uplink.lead_probes == running.lead_probes,
            ),
            (
                "uplinks[0].traffic-classes",
                uplink.traffic_classes == running.traffic_classes,
            ),
            ("worker", configuration.worker == self.worker_settings),
            ("clock", configuration.clock == self.clock_settings),
            ("dpdk", configuration.dpdk == self.dpdk_settings),
            ("overlay", configuration.overlay == *self.ways.settings()),
        ];
        match same.iter().find(|(_, same)| !same) {
            Some((field, _)) => Err(NodeError::NeedsRestart(field)),
            None => Ok(&uplink.gate_parameters),
        }
    }

    async fn apply_pods(&mut self, pods: Vec<Pod>, applied: &mut Applied) {
        for pod in pods {
            let name = pod.name.clone();
            let known = self.pods.get(&name);
            if known.is_some_and(|entry| entry.pod == pod && entry.place.is_some()) {
                continue;
            }
            let is_known = known.is_some();
            let origin = known.map_or(Origin::Request, |entry| entry.origin.clone());
            if is_known && let Err(error) = self.detach(&name).await {
                tracing::error!(pod = name, %error, "not detached cleanly");
            }
            match self.attach(pod.clone(), origin.clone()).await {
                Ok(()) if is_known => applied.pods_changed.push(name),
                Ok(()) => applied.pods_added.push(name),
                Err(error) => {
                    self.wait_for(pod, origin, error.to_string());
                    applied.pods_waiting.push(name);
                }
            }
        }
    }
}

/// A list may be longer than its cycle (8.6.9.2); it is hardly what was meant.
pub(super) fn warn_of_what_never_runs(gates: &CompiledGates) {
    let entries = gates
        .schedule
        .as_ref()
        .map_or(0, |schedule| schedule.entries_never_run());
    if entries > 0 {
        tracing::warn!(
            entries,
            "admin-cycle-time is shorter than the list: so many entries at its end never run; lengthen the cycle or \
             shorten the intervals"
        );
    }
}
