//! The pods of one run of the daemon that have a veth pair.

use std::collections::HashMap;
use std::os::fd::AsFd;

use super::{AttachedPod, COUNTER_NAMES, ProgramError, Programs, VethPod};

/// What a backend does with its veth pods, whatever the sockets are that their frames are redirected into.
pub struct VethPods {
    /// The kernel programs, of which those of the pods are to be left to this type.
    pub programs: Programs,
    attached: HashMap<String, AttachedPod>,
}

impl VethPods {
    /// No pod is attached yet.
    pub fn new(programs: Programs) -> Self {
        Self {
            programs,
            attached: HashMap::new(),
        }
    }

    /// Attaches the kernel programs, opens a socket on the host end, and has the pod's frames redirected into it.
    ///
    /// # Errors
    ///
    /// When the pod is attached already, when the kernel refuses, or `open_socket`'s own error; nothing is left attached
    /// then.
    pub fn attach<S: AsFd, E: From<ProgramError>>(
        &mut self,
        pod: &VethPod,
        open_socket: impl FnOnce(&AttachedPod) -> Result<S, E>,
    ) -> Result<S, E> {
        if self.attached.contains_key(&pod.name) {
            let name = pod.name.clone();
            return Err(ProgramError::PodAttached { name }.into());
        }
        let attached = self.programs.attach_pod(pod)?;
        let socket = open_socket(&attached).and_then(|socket| {
            self.programs.set_socket(attached.slot, socket.as_fd())?;
            Ok(socket)
        });
        match socket {
            Ok(socket) => {
                self.attached.insert(pod.name.clone(), attached);
                Ok(socket)
            }
            Err(error) => {
                if let Err(detach) = self.programs.detach_pod(&pod.name) {
                    tracing::warn!(pod = pod.name, %detach, "the pod stays attached without a socket");
                }
                Err(error)
            }
        }
    }

    /// As [`Programs::detach_pod`].
    ///
    /// # Errors
    ///
    /// When the kernel refuses; a pod that is gone is no error.
    pub fn detach(&mut self, name: &str) -> Result<(), ProgramError> {
        self.attached.remove(name);
        self.programs.detach_pod(name)
    }

    /// Whether the pod is attached and its devices still exist, under whatever name.
    pub fn is_attached(&self, name: &str) -> bool {
        self.attached.contains_key(name) && self.programs.is_attached(name)
    }

    /// What the kernel programs count for a pod; zeros while it is not attached.
    pub fn counters(&self, name: &str) -> Vec<(&'static str, u64)> {
        let Some(pod) = self.attached.get(name) else {
            return COUNTER_NAMES.map(|name| (name, 0)).into();
        };
        match self.programs.pod_counters(pod.slot) {
            Ok(counts) => COUNTER_NAMES.into_iter().zip(counts).collect(),
            Err(error) => {
                tracing::warn!(pod = name, %error, "the kernel gives no counters");
                Vec::new()
            }
        }
    }

    /// Pods that an earlier run left pinned and this one has not attached.
    ///
    /// # Errors
    ///
    /// When the pins cannot be listed.
    pub fn leftovers(&self) -> Result<Vec<String>, ProgramError> {
        let mut pinned = self.programs.pinned_pods()?;
        pinned.retain(|name| !self.attached.contains_key(name));
        Ok(pinned)
    }
}
