//! A pod as the CNI plugin records it, for what needs its attachment but no chain of plugins.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    control::Control,
    daemon::Home,
    topology::{POD_INTERFACE, Pod},
};

/// Name of the network in the records.
const NETWORK: &str = "tests";

const BOUND: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// An interface of a pod that a plugin has been asked to add.
#[derive(Debug)]
pub struct Recorded {
    home: PathBuf,
    record: Value,
    file: PathBuf,
    control: Control,
    path: String,
}

impl Recorded {
    /// The interface of a pod, by a container ID that is its alone, with a profile of the daemon's.
    ///
    /// # Errors
    ///
    /// When the pod's namespace is gone.
    pub fn of(home: &Home, pod: &Pod, container_id: &str, profile: &str) -> Result<Self> {
        let netns = pod.namespace.path();
        let inode = fs::metadata(netns)
            .with_context(|| netns.display().to_string())?
            .ino();
        let directory = home.record_directory();
        Ok(Self {
            record: json!({
                "network": NETWORK,
                "container-id": container_id,
                "interface": POD_INTERFACE,
                "netns": netns,
                "netns-inode": inode,
                "request": { "profile": profile },
            }),
            file: directory.join(format!("{NETWORK}:{container_id}:{POD_INTERFACE}.json")),
            home: directory,
            control: home.control(),
            path: format!("/v1/attachments/{NETWORK}/{container_id}/{POD_INTERFACE}"),
        })
    }

    /// As ADD: writes the record and asks the daemon to attach it, which must succeed. What the daemon says of the pod.
    ///
    /// # Errors
    ///
    /// When the record cannot be written, or the daemon refuses it or has not attached the pod in ten seconds.
    pub fn attach(&self) -> Result<Value> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.home)?;
        let unfinished = self.file.with_extension("json.new");
        fs::write(&unfinished, self.record.to_string())?;
        fs::rename(&unfinished, &self.file)?;
        let mut status = self.control.request("PUT", &self.path, "")?.json()?;
        let start = Instant::now();
        // On a loaded machine the kernel may take long to let go of the last socket; the daemon tries again.
        while status["attached"] != true {
            if start.elapsed() > BOUND {
                bail!("not attached in {BOUND:?}: {status}");
            }
            std::thread::sleep(PAUSE);
            status = self.control.request("GET", &self.path, "")?.json()?;
        }
        Ok(status)
    }

    /// As DEL: asks the daemon to detach it, which removes the record.
    ///
    /// # Errors
    ///
    /// When the daemon refuses, or leaves the record.
    pub fn detach(&self) -> Result<()> {
        let answer = self.control.request("DELETE", &self.path, "")?;
        if answer.status != 204 {
            bail!("the daemon answered {}: {}", answer.status, answer.body);
        }
        if self.file.exists() {
            bail!("{} is still there", self.file.display());
        }
        Ok(())
    }
}
