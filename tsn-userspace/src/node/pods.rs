//! Pods that come and go while traffic runs.

use std::collections::BTreeMap;

use tsn_port::{Backend, PodEnd, Port};

use super::buffers::{self, PodNeed};
use super::recorded_pod::addresses_of;
use super::{Node, NodeError, Origin, PodEntry};
use crate::config::{CompiledPod, Pod, compile_pod};
use crate::control::api::{Attachment, PodStatus};
use crate::sources::with_sources;
use crate::worker::command::Refusal;
use crate::worker::pod::PodPort;
use crate::worker::snapshot::Snapshot;

impl<B: Backend> Node<B> {
    /// All pods with their counters.
    ///
    /// # Errors
    ///
    /// [`NodeError::WorkerSilent`].
    pub async fn pods(&mut self) -> Result<Vec<PodStatus>, NodeError> {
        let snapshot = self.snapshot(false).await?;
        Ok(self.pods_of(&snapshot))
    }

    pub(super) fn pods_of(&self, snapshot: &Snapshot) -> Vec<PodStatus> {
        let entries = self.pods.values();
        entries
            .map(|entry| self.pod_status(entry, snapshot))
            .collect()
    }

    /// One pod with its counters.
    ///
    /// # Errors
    ///
    /// [`NodeError::NoPod`], [`NodeError::WorkerSilent`].
    pub async fn pod(&mut self, name: &str) -> Result<PodStatus, NodeError> {
        let snapshot = self.snapshot(false).await?;
        let entry = self
            .pods
            .get(name)
            .ok_or_else(|| NodeError::NoPod(name.to_owned()))?;
        Ok(self.pod_status(entry, &snapshot))
    }

    pub(super) fn pod_status(&self, entry: &PodEntry, snapshot: &Snapshot) -> PodStatus {
        let counters = entry
            .place
            .and_then(|place| snapshot.pods.iter().find(|pod| pod.place as usize == place));
        let kernel: BTreeMap<String, u64> = self
            .backend
            .pod_counters(&entry.pod.name)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let attachment = match &entry.origin {
            Origin::Record(record) => Some(Attachment::of(record)),
            Origin::File | Origin::Request => None,
        };
        PodStatus {
            attachment,
            ..PodStatus::new(&entry.pod, counters, entry.waits_for.clone(), kernel)
        }
    }

    /// Steers a pod's frames into the worker. The same pod a second time is no error.
    ///
    /// # Errors
    ///
    /// A value that cannot be used, a pod of that name with other settings, or a backend or worker that refuses.
    pub async fn add_pod(&mut self, pod: Pod) -> Result<PodStatus, NodeError> {
        compile_pod("pod", &pod, &self.class_names)?;
        let name = pod.name.clone();
        match self.pods.get(&name) {
            Some(entry) if entry.pod != pod => return Err(NodeError::PodExists(name)),
            Some(entry) if entry.place.is_some() => {}
            _ => {
                self.attach(pod, Origin::Request).await?;
                self.keep_state()?;
            }
        }
        self.pod(&name).await
    }

    /// Gives a pod's frames back to the kernel path; what it has queued still leaves in its time.
    ///
    /// # Errors
    ///
    /// [`NodeError::NoPod`], [`NodeError::PodOfRecord`], or a backend or worker that refuses.
    pub async fn remove_pod(&mut self, name: &str) -> Result<(), NodeError> {
        self.check_not_recorded(name)?;
        self.detach(name).await?;
        self.keep_state()
    }

    /// A pod that has a record would be back a second later, and the other way round.
    pub(super) fn check_not_recorded(&self, name: &str) -> Result<(), NodeError> {
        match self.pods.get(name).map(|entry| &entry.origin) {
            Some(Origin::Record(_)) => Err(NodeError::PodOfRecord(name.to_owned())),
            _ => Ok(()),
        }
    }

    pub(super) async fn attach(&mut self, pod: Pod, origin: Origin) -> Result<(), NodeError> {
        let mut compiled = compile_pod("pod", &pod, &self.class_names)?;
        if let (PodEnd::Veth(end), Origin::Record(record)) = (&mut compiled.attachment.end, &origin)
        {
            end.addresses = addresses_of(record)?;
        }
        self.prepare_overlay(&pod).await?;
        self.check_station(&compiled)?;
        self.check_buffers(&pod, self.likely_receive_slots(&compiled))?;
        let mut port = self
            .backend
            .attach_pod(&compiled.attachment)
            .map_err(|error| NodeError::Backend(with_sources(&error)))?;
        let receive_slots = port.levels().receive_slots;
        let station = port.station();
        if let Err(error) = self.check_buffers(&pod, receive_slots) {
            self.detach_from_backend(&pod.name);
            return Err(error);
        }
        let port = PodPort::new(port, &compiled, pod.frame_quota);
        let added = self.worker.add_pod(port).await;
        if let Err(error) = &added {
            tracing::error!(pod = pod.name, %error, "the worker does not take the pod; detaching it");
            self.detach_from_backend(&pod.name);
        }
        let entry = PodEntry {
            classes: classes_of(&compiled),
            place: Some(added?),
            station,
            receive_slots,
            waits_for: None,
            origin,
            pod,
        };
        tracing::info!(pod = entry.pod.name, "attached");
        self.pods.insert(entry.pod.name.clone(), entry);
        Ok(())
    }

    pub(super) async fn detach(&mut self, name: &str) -> Result<(), NodeError> {
        let entry = self
            .pods
            .remove(name)
            .ok_or_else(|| NodeError::NoPod(name.to_owned()))?;
        // First the kernel programs, so that nothing more arrives; then the worker takes what has.
        self.detach_from_backend(name);
        if let Some(place) = entry.place {
            self.worker.remove_pod(place).await?;
        }
        tracing::info!(pod = name, "detached");
        Ok(())
    }

    /// The worker would refuse the pod, but only after its socket and its device have been made, each second anew.
    fn check_station(&self, pod: &CompiledPod) -> Result<(), NodeError> {
        let PodEnd::VhostUser(end) = &pod.attachment.end else {
            return Ok(());
        };
        let mut stations = self.pods.values().filter_map(|entry| entry.station);
        match stations.any(|station| station == end.address) {
            true => Err(Refusal::StationTaken(end.address).into()),
            false => Ok(()),
        }
    }

    fn check_buffers(&self, pod: &Pod, receive_slots: u32) -> Result<(), NodeError> {
        let need = |pod: &Pod, receive_slots| PodNeed {
            quota: pod.frame_quota,
            receive_slots,
        };
        let attached = self.pods.values().filter(|entry| entry.place.is_some());
        let pods = attached.map(|entry| need(&entry.pod, entry.receive_slots));
        buffers::check(
            self.worker_settings.frame_buffers,
            self.uplink_receive_slots,
            pods.chain([need(pod, receive_slots)]),
        )
    }

    /// What the port of a pod that is not attached will keep to receive into, as far as one like it has told: so that
    /// nothing is made, each second anew, only to be refused.
    fn likely_receive_slots(&self, pod: &CompiledPod) -> u32 {
        match pod.attachment.end {
            PodEnd::Veth(_) => {
                let known = self.pods.values().map(|entry| entry.receive_slots);
                known.max().unwrap_or(0)
            }
            PodEnd::VhostUser(_) => 0,
        }
    }

    pub(super) fn detach_from_backend(&mut self, name: &str) {
        if let Err(error) = self.backend.detach_pod(name) {
            tracing::warn!(
                pod = name,
                error = with_sources(&error),
                "not detached cleanly"
            );
        }
    }

    /// Takes out pods whose device is gone, and tries again to attach those that wait.
    pub(super) async fn reconcile_pods(&mut self) {
        self.take_out_lost().await;
        // Those that have a record are tried again with it.
        let has_none = |entry: &&PodEntry| !matches!(entry.origin, Origin::Record(_));
        let waiting: Vec<(Pod, Origin)> = self
            .pods
            .values()
            .filter(|entry| entry.place.is_none())
            .filter(has_none)
            .map(|entry| (entry.pod.clone(), entry.origin.clone()))
            .collect();
        for (pod, origin) in waiting {
            if let Err(error) = self.attach(pod.clone(), origin.clone()).await {
                self.wait_for(pod, origin, error.to_string());
            }
        }
    }

    /// Takes out pods whose device is gone, or whose stamp program is where a pod can remove it (before Linux 6.6). They wait
    /// until they can be attached anew.
    pub(super) async fn take_out_lost(&mut self) {
        let gone: Vec<String> = self
            .pods
            .iter()
            .filter(|(name, entry)| entry.place.is_some() && !self.backend.is_attached(name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            let Some((pod, origin)) = self
                .pods
                .get(&name)
                .map(|entry| (entry.pod.clone(), entry.origin.clone()))
            else {
                continue;
            };
            tracing::warn!(
                pod = name,
                "its device or a kernel program of it is gone; it is attached anew as soon as that can be done"
            );
            if let Err(error) = self.detach(&name).await {
                tracing::error!(pod = name, %error, "cannot take it out");
            }
            self.wait_for(
                pod,
                origin,
                "the pod's device or a kernel program of it is gone".to_owned(),
            );
        }
    }

    /// Keeps a pod that cannot be attached now. Says so once for each reason.
    pub(super) fn wait_for(&mut self, pod: Pod, origin: Origin, reason: String) {
        let known = self
            .pods
            .get(&pod.name)
            .and_then(|entry| entry.waits_for.as_deref());
        if known != Some(&reason) {
            tracing::warn!(
                pod = pod.name,
                reason,
                "not attached; trying again every second"
            );
        }
        let compiled = compile_pod("pod", &pod, &self.class_names);
        let entry = PodEntry {
            classes: compiled.as_ref().map_or(0, classes_of),
            place: None,
            station: None,
            receive_slots: 0,
            waits_for: Some(reason),
            origin,
            pod,
        };
        self.pods.insert(entry.pod.name.clone(), entry);
    }
}

/// The classes of a pod's streams; bit i is class i.
fn classes_of(pod: &CompiledPod) -> u8 {
    let classes = pod.treatments.iter().map(|treatment| treatment.class);
    classes.fold(0, |all, class| all | 1 << class.as_u8())
}
