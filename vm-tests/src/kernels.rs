//! Kernels as Debian packages them: fetched once, unpacked, never installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{Kernel, modules::Modules, packages, packages::Lists, places, vmlinux};

/// The last file to be written: with it, the directory is whole.
const MARKER: &str = "kernel.json";

/// A kernel that is here.
#[derive(Debug)]
pub struct Unpacked {
    /// Its image, which QEMU boots.
    pub image: PathBuf,
    /// What its package says.
    pub about: About,
    modules: PathBuf,
}

/// What is known of an unpacked kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// As `uname -r` tells it.
    pub release: String,
    /// The version of the package that it was found by.
    pub package_version: String,
    /// The packages that were unpacked.
    pub packages: Vec<String>,
}

/// Where kernels come from.
#[derive(Debug, Default)]
pub struct Source {
    /// Releases whose lists are those of this moment.
    updated: Vec<&'static str>,
}

impl Source {
    /// A kernel from the cache, or from Debian's archive: when it is not in the cache, or when `update` asks for it.
    ///
    /// # Errors
    ///
    /// When it cannot be fetched or is not what is expected of a kernel.
    pub fn provide(&mut self, kernel: Kernel, update: bool) -> Result<Unpacked> {
        let directory = places::kept().join("kernels").join(kernel.name());
        if update || !directory.join(MARKER).is_file() {
            self.lists(kernel)
                .and_then(|lists| fetch(kernel, &lists, &directory))
                .with_context(|| format!("fetch kernel {kernel}"))?;
        }
        let about = fs::read(directory.join(MARKER))?;
        let about: About = serde_json::from_slice(&about)
            .with_context(|| format!("read {MARKER}; remove {}", directory.display()))?;
        Ok(Unpacked {
            image: directory.join("vmlinux"),
            modules: modules_directory(&directory.join("root"))?,
            about,
        })
    }

    /// The lists of a release, as the archive has them now.
    fn lists(&mut self, kernel: Kernel) -> Result<Lists> {
        let release = kernel.release();
        let lists = Lists::new(&places::kept().join("apt").join(release), &[release])?;
        if !self.updated.contains(&release) {
            eprintln!("==> kernel {kernel}: lists of {release}");
            lists.update()?;
            self.updated.push(release);
        }
        Ok(lists)
    }
}

impl Unpacked {
    /// Its modules.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub(crate) fn modules(&self) -> Result<Modules> {
        Modules::find(&self.modules)
    }
}

/// Fetches into a directory beside the final one, which then takes its place.
fn fetch(kernel: Kernel, lists: &Lists, directory: &Path) -> Result<()> {
    let (names, package_version) = lists.of_kernel(kernel.metapackage())?;
    let new = places::kept().join("kernels").join(format!("{kernel}.new"));
    remove(&new)?;
    let archives = new.join("packages");
    fs::create_dir_all(&archives).with_context(|| format!("make {}", archives.display()))?;
    eprintln!("==> kernel {kernel}: download {}", names.join(" "));
    lists.download(&names, &archives)?;
    eprintln!("==> kernel {kernel}: unpack");
    let root = new.join("root");
    for archive in fs::read_dir(&archives)? {
        packages::unpack(&archive?.path(), &root)?;
    }
    fs::remove_dir_all(&archives)?;
    let modules = modules_directory(&root)?;
    let version = modules.file_name().unwrap_or_default();
    let version = version.to_string_lossy().into_owned();
    let boot_images = [
        root.join("boot").join(format!("vmlinuz-{version}")),
        modules.join("vmlinuz"),
    ];
    let boot_image = boot_images.iter().find(|image| image.is_file());
    let boot_image = boot_image.with_context(|| format!("none of {boot_images:?} is there"))?;
    fs::write(
        new.join("vmlinux"),
        vmlinux::cut_out(&fs::read(boot_image)?)?,
    )?;
    let about = About {
        release: version,
        package_version,
        packages: names,
    };
    fs::write(new.join(MARKER), serde_json::to_vec_pretty(&about)?)?;
    remove(directory)?;
    fs::rename(&new, directory).with_context(|| format!("rename {}", new.display()))
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// The one `lib/modules/VERSION` of a root directory.
fn modules_directory(root: &Path) -> Result<PathBuf> {
    for parent in ["usr/lib/modules", "lib/modules"] {
        let Ok(mut entries) = fs::read_dir(root.join(parent)) else {
            continue;
        };
        if let Some(entry) = entries.next() {
            return Ok(entry?.path());
        }
    }
    anyhow::bail!("no modules of a kernel below {}", root.display())
}
