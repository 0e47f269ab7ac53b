//! Network cards as the kernel's PCI bus has them, and who drives them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use tsn_tests::wait::wait_for;

const INTERFACES: &str = "/sys/class/net";
const PCI: &str = "/sys/bus/pci";

/// A driver is asked by the kernel, and answers when it has reset its card.
const BOUND: Duration = Duration::from_secs(60);

/// The first interface of the caller's namespace whose card has this driver.
pub fn interface_with(driver: &str) -> Result<String> {
    let mut names: Vec<_> = fs::read_dir(INTERFACES)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
        .into_iter()
        .find(|name| {
            let link = Path::new(INTERFACES).join(name).join("device/driver");
            name_at(&link).as_deref() == Some(driver)
        })
        .with_context(|| format!("the guest has no interface of {driver}"))
}

/// A function of a PCI card.
#[derive(Debug)]
pub struct Card {
    /// In full, such as `0000:01:10.0`.
    pub address: String,
}

impl Card {
    /// That of an interface.
    pub fn of_interface(interface: &str) -> Result<Self> {
        Self::at(&Path::new(INTERFACES).join(interface).join("device"))
    }

    /// Makes a virtual function of the card behind an interface.
    pub fn new_function_of(interface: &str) -> Result<Self> {
        let device = Path::new(INTERFACES).join(interface).join("device");
        write(&device.join("sriov_numvfs"), "1")?;
        Self::at(&device.join("virtfn0"))
    }

    fn at(link: &Path) -> Result<Self> {
        let address = name_at(link).with_context(|| format!("no card at {}", link.display()))?;
        Ok(Self { address })
    }

    /// The kernel's driver that has it.
    pub fn driver(&self) -> Option<String> {
        name_at(&self.file("driver"))
    }

    /// The file by which a program has its IOMMU group.
    pub fn group_file(&self) -> Result<PathBuf> {
        let group = name_at(&self.file("iommu_group")).context("there is no IOMMU")?;
        Ok(Path::new("/dev/vfio").join(group))
    }

    /// How many devices one has to give away with it.
    pub fn group_size(&self) -> Result<usize> {
        Ok(fs::read_dir(self.file("iommu_group/devices"))?.count())
    }

    /// Takes it from its driver and gives it to this one, as `driverctl set-override` does.
    pub fn give_to(&self, driver: &str) -> Result<()> {
        self.bind_anew(driver)?;
        wait_for(&format!("{driver} to have the card"), BOUND, || {
            (self.driver().as_deref() == Some(driver)).then_some(())
        })
    }

    /// Gives it back to the driver that it had by itself, as `driverctl unset-override` does. Its interface.
    pub fn give_back(&self) -> Result<String> {
        self.bind_anew("\n")?;
        wait_for("the card to be an interface again", BOUND, || {
            let mut names = fs::read_dir(self.file("net")).ok()?;
            names.next()?.ok()?.file_name().into_string().ok()
        })
    }

    fn bind_anew(&self, driver: &str) -> Result<()> {
        write(&self.file("driver_override"), driver)?;
        if self.driver().is_some() {
            write(&self.file("driver/unbind"), &self.address)?;
        }
        write(&Path::new(PCI).join("drivers_probe"), &self.address)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(PCI)
            .join("devices")
            .join(&self.address)
            .join(name)
    }
}

/// The last part of what a symbolic link points to.
fn name_at(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let written: io::Result<()> = fs::write(path, text);
    written.with_context(|| format!("write {:?} to {}", text.trim(), path.display()))
}
