//! Pods that the CNI plugin attaches: each has a record, and is attached for as long as the record is there.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use tsn_cni::record::{Directory, Key, Record};
use tsn_port::Backend;

use super::recorded_pod::{Namespace, look_for_namespace, pod_name, pod_of, without_streams};
use super::{Node, NodeError, Origin};
use crate::config::{Pod, Profile};
use crate::control::api::{Applied, PodStatus};

/// How long a record stays whose network namespace is gone. Whoever takes a pod down removes its namespace and its record
/// one after the other; a record that outlives that was left by a runtime that never came back.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(5);

/// The records, and those of them that nobody may come for.
pub(super) struct Records {
    directory: Directory,
    /// Since when the namespace of a record has been gone.
    gone_since: HashMap<Key, Instant>,
}

impl Records {
    pub fn in_directory(directory: Directory) -> Self {
        Self {
            directory,
            gone_since: HashMap::new(),
        }
    }

    /// Notes that the record's namespace is gone, and tells whether it has been for long.
    fn is_left_behind(&mut self, key: &Key) -> bool {
        let since = self.gone_since.entry(key.clone());
        since.or_insert_with(Instant::now).elapsed() >= LEFT_BEHIND_AFTER
    }
}

impl<B: Backend> Node<B> {
    /// Reads a record and makes it so. A pod that cannot be attached now is no error: its status says what it waits for,
    /// and it is tried again every second.
    ///
    /// # Errors
    ///
    /// [`NodeError::NoRecord`], a record that cannot be read or asks for what the configuration does not allow, or a
    /// worker that does not answer.
    pub async fn attach_recorded(&mut self, key: &Key) -> Result<PodStatus, NodeError> {
        let record = self.record(key)?;
        self.obey_record(record).await?;
        self.pod(&pod_name(key)).await
    }

    /// A pod that has a record, with its counters.
    ///
    /// # Errors
    ///
    /// [`NodeError::NoRecord`] while there is no such pod, or a worker that does not answer.
    pub async fn recorded(&mut self, key: &Key) -> Result<PodStatus, NodeError> {
        let name = self.pod_of_record(key).ok_or_else(|| self.no_record(key))?;
        if !self.backend.is_attached(&name) {
            self.take_out_lost().await;
        }
        self.pod(&name).await
    }

    /// Gives a pod back to the kernel path and removes its record. One that is not there is no error.
    ///
    /// # Errors
    ///
    /// A record that cannot be removed: the pod stays attached then. A worker that does not answer.
    pub async fn detach_recorded(&mut self, key: &Key) -> Result<(), NodeError> {
        // First the record: should the daemon end before the pod is detached, its next start knows that nobody wants it.
        self.records.directory.remove(key)?;
        self.forget(key).await
    }

    /// Makes the pods agree with the records: attaches, detaches, and removes records that were left behind.
    ///
    /// Gives the names of all pods that have a record, also of those that cannot be attached; `None` where the records
    /// cannot be listed, and then nothing is done.
    pub(super) async fn reconcile_records(&mut self) -> Option<BTreeSet<String>> {
        let entries = match self.records.directory.list() {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "cannot list the records of the CNI plugin; pods that it attaches stay as they are");
                return None;
            }
        };
        let keys: BTreeSet<Key> = entries.iter().map(|(key, _)| key.clone()).collect();
        for (key, record) in entries {
            match record {
                Ok(record) => self.reconcile_record(key, record).await,
                Err(error) => {
                    tracing::warn!(pod = pod_name(&key), record = %key, %error, "cannot read a record; what is attached for it stays");
                }
            }
        }
        self.records.gone_since.retain(|key, _| keys.contains(key));
        let unwanted = self.recorded_keys();
        // By key, as two networks may have the same interface of the same container, and so the same name.
        for key in unwanted.filter(|key| !keys.contains(key)) {
            // One that was being replaced may have been hidden from the list.
            if matches!(self.records.directory.load(&key), Ok(None)) {
                tracing::info!(pod = pod_name(&key), record = %key, "the record is gone");
                self.forget_or_tell(&key).await;
            }
        }
        Some(keys.iter().map(pod_name).collect())
    }

    /// Takes other profiles, and attaches those pods anew that have something else by them.
    pub(super) async fn apply_profiles(&mut self, profiles: Vec<Profile>, applied: &mut Applied) {
        self.profiles = profiles;
        let records = self.pods.values().filter_map(|entry| match &entry.origin {
            Origin::Record(record) => Some(record.as_ref().clone()),
            _ => None,
        });
        for record in records.collect::<Vec<_>>() {
            let name = pod_name(&record.key());
            let before = self.attached(&name).cloned();
            let obeyed = self.obey_record(record).await;
            match (obeyed, self.attached(&name)) {
                (Ok(()), Some(now)) if before.as_ref() == Some(now) => {}
                (Ok(()), Some(_)) => applied.pods_changed.push(name),
                _ => applied.pods_waiting.push(name),
            }
        }
    }

    async fn reconcile_record(&mut self, key: Key, record: Record) {
        let name = pod_name(&key);
        // A pod that is attached is known by its devices: its namespace may live on without a path.
        if self.attached(&name).is_none() && look_for_namespace(&record) == Namespace::Gone {
            if self.records.is_left_behind(&key) {
                tracing::warn!(
                    pod = name,
                    record = %key,
                    "its network namespace is gone and nobody came for it; removing the record"
                );
                if let Err(error) = self.records.directory.remove(&key) {
                    tracing::warn!(pod = name, record = %key, %error, "not removed");
                }
                return self.forget_or_tell(&key).await;
            }
        } else {
            self.records.gone_since.remove(&key);
        }
        // What it waits for is kept in its status.
        if let Err(error) = self.obey_record(record).await {
            tracing::debug!(pod = name, %error, "not attached");
        }
    }

    /// Attaches a record's pod, or attaches it anew if it is attached as something else. One that cannot be attached
    /// now waits.
    ///
    /// # Errors
    ///
    /// When the configuration does not allow what the record asks for (it waits then, too), or another pod has its name.
    async fn obey_record(&mut self, record: Record) -> Result<(), NodeError> {
        let key = record.key();
        let name = pod_name(&key);
        if let Some(entry) = self.pods.get(&name)
            && self.pod_of_record(&key).is_none()
        {
            return Err(NodeError::PodExists(entry.pod.name.clone()));
        }
        let wanted = pod_of(&record, &self.profiles, &self.class_names);
        let origin = Origin::Record(Box::new(record.clone()));
        if let Some(entry) = self.pods.get_mut(&name)
            && entry.place.is_some()
        {
            let is_same = entry.origin.is_like(&record);
            let is_as_wanted = is_same && wanted.as_ref() == Ok(&entry.pod);
            if is_as_wanted && self.backend.is_attached(&name) {
                entry.origin = origin;
                return Ok(());
            }
            if let Err(error) = self.detach(&name).await {
                tracing::error!(pod = name, %error, "not detached cleanly");
            }
        }
        let pod = match wanted {
            Ok(pod) => pod,
            Err(error) => {
                // What an earlier run may have left, which was allowed then.
                self.detach_from_backend(&name);
                self.wait_for(without_streams(&record), origin, error.to_string());
                return Err(error.into());
            }
        };
        let attached = match look_for_namespace(&record) {
            Namespace::Gone => Err(NodeError::NamespaceGone(record.netns)),
            Namespace::Hidden => Err(NodeError::NamespaceHidden(record.netns)),
            Namespace::Here => self.attach(pod.clone(), origin.clone()).await,
        };
        match attached {
            Ok(()) => Ok(()),
            Err(error) => {
                self.wait_for(pod, origin, error.to_string());
                match error {
                    NodeError::Invalid(_) => Err(error),
                    _ => Ok(()),
                }
            }
        }
    }

    async fn forget(&mut self, key: &Key) -> Result<(), NodeError> {
        self.records.gone_since.remove(key);
        match self.pod_of_record(key) {
            Some(name) => self.detach(&name).await,
            None => Ok(()),
        }
    }

    async fn forget_or_tell(&mut self, key: &Key) {
        if let Err(error) = self.forget(key).await {
            tracing::error!(pod = pod_name(key), record = %key, %error, "not detached cleanly");
        }
    }

    fn record(&self, key: &Key) -> Result<Record, NodeError> {
        let record = self.records.directory.load(key)?;
        record.ok_or_else(|| self.no_record(key))
    }

    fn no_record(&self, key: &Key) -> NodeError {
        NodeError::NoRecord {
            key: key.clone(),
            directory: self.records.directory.path().to_owned(),
        }
    }

    /// The name of the pod that is there for this record.
    fn pod_of_record(&self, key: &Key) -> Option<String> {
        let name = pod_name(key);
        let entry = self.pods.get(&name)?;
        matches!(&entry.origin, Origin::Record(record) if record.key() == *key).then_some(name)
    }

    fn recorded_keys(&self) -> impl Iterator<Item = Key> + use<B> {
        let keys = self.pods.values().filter_map(|entry| match &entry.origin {
            Origin::Record(record) => Some(record.key()),
            _ => None,
        });
        keys.collect::<Vec<_>>().into_iter()
    }

    /// The settings of a pod that is attached.
    fn attached(&self, name: &str) -> Option<&Pod> {
        let entry = self.pods.get(name).filter(|entry| entry.place.is_some());
        entry.map(|entry| &entry.pod)
    }
}
