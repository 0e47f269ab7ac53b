//! Changes of the gates and of the whole configuration at run time.

use tsn_core::TaiTime;
use tsn_port::Backend;

use super::{Node, NodeError};
use crate::config::{
    BaseTime, CompiledGates, Configuration, GateParameters, compile_gates, compile_pod,
};
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

    /// Applies a configuration to the running daemon: gates, and the pods that it names. Other pods stay. All of it is
    /// checked before any of it takes effect. `at` takes the place of `admin-base-time`.
    ///
    /// # Errors
    ///
    /// A value that cannot be used, a setting that only a restart can change, or a backend or worker that refuses.
    pub async fn apply(
        &mut self,
        mut configuration: Configuration,
        at: Option<u64>,
    ) -> Result<Applied, NodeError> {
        configuration.check()?;
        let Some(mut uplink) = configuration.uplinks.pop() else {
            return Err(NodeError::NeedsRestart("uplinks"));
        };
        if uplink.device != self.uplink.device {
            return Err(NodeError::NeedsRestart("uplinks[0].device"));
        }
        if uplink.traffic_classes != self.uplink.traffic_classes {
            return Err(NodeError::NeedsRestart("uplinks[0].traffic-classes"));
        }
        if let Some(at) = at {
            uplink.gate_parameters.admin_base_time = BaseTime::from_ns(at);
        }
        for (index, pod) in configuration.pods.iter().enumerate() {
            compile_pod(&format!("pods[{index}]"), pod, &self.class_names)?;
        }

        let mut applied = Applied {
            pods_kept: self
                .pods
                .keys()
                .filter(|name| configuration.pods.iter().all(|pod| pod.name != **name))
                .cloned()
                .collect(),
            ..Applied::default()
        };
        if at.is_some() || uplink.gate_parameters != self.gates {
            let compiled = compile_gates(
                "gate-parameters",
                &uplink.gate_parameters,
                &self.class_names,
            )?;
            let change = self.put_gates(uplink.gate_parameters, compiled).await?;
            applied.config_change_time_ns = change.map(TaiTime::as_nanos);
        }
        for pod in configuration.pods {
            let name = pod.name.clone();
            match self.pods.get(&name) {
                Some(entry) if entry.pod == pod => {}
                Some(_) => {
                    self.detach(&name).await?;
                    self.attach(pod).await?;
                    applied.pods_changed.push(name);
                }
                None => {
                    self.attach(pod).await?;
                    applied.pods_added.push(name);
                }
            }
        }
        self.keep_state()?;
        Ok(applied)
    }
}
