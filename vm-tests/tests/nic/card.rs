//! The guest's network cards.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// A network card.
#[derive(Debug, Clone)]
pub struct Card {
    name: String,
    driver: String,
    /// Of its PCI function.
    directory: PathBuf,
}

/// The first two on the bus.
pub fn two() -> Result<[Card; 2]> {
    let mut cards = Vec::new();
    for entry in fs::read_dir("/sys/class/net")? {
        cards.extend(Card::at(&entry?.path())?);
    }
    cards.sort_by(|a, b| a.directory.cmp(&b.directory));
    let found = cards.len();
    cards
        .try_into()
        .ok()
        .with_context(|| format!("{found} network cards in the guest; the test needs 2"))
}

impl Card {
    /// The card behind a directory of `/sys/class/net`, if there is one.
    pub fn at(interface: &Path) -> Result<Option<Self>> {
        let Ok(directory) = interface.join("device").canonicalize() else {
            return Ok(None);
        };
        let driver = directory.join("driver").canonicalize()?;
        let text = |path: &Path| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        Ok(Some(Self {
            name: text(interface).context("a name")?,
            driver: text(&driver).context("a driver")?,
            directory,
        }))
    }

    /// Its interface in the guest's first namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether what the driver has handed over is on the wire, in virtual time. The device of virtio-net is served by another
    /// thread of the emulator, which takes the host's time.
    pub fn sends_in_the_wake_up(&self) -> bool {
        self.driver != "virtio_net"
    }

    /// Of its PCI function, in sysfs.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The kernel's driver.
    pub fn driver(&self) -> &str {
        &self.driver
    }
}

/// Runs `ip` in the guest's first namespace.
pub fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {arguments:?}: {errors}");
    Ok(())
}
