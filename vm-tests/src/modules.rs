//! A kernel's modules: where they are, and what each depends on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

use crate::vmlinux::decompress;

/// A module, ready to be loaded.
#[derive(Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name, with underscores.
    pub name: String,
    /// Its file, decompressed.
    pub bytes: Vec<u8>,
}

/// The modules of one kernel.
#[derive(Debug, Default)]
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
}

impl Modules {
    /// Those below `lib/modules/VERSION`.
    pub fn find(directory: &Path) -> Result<Self> {
        let mut modules = Self::default();
        modules.collect(directory)?;
        let list = directory.join("modules.builtin");
        let list = fs::read_to_string(&list).with_context(|| format!("read {}", list.display()))?;
        modules.built_in = list
            .lines()
            .filter_map(|line| name_of(Path::new(line)))
            .collect();
        Ok(modules)
    }

    fn collect(&mut self, directory: &Path) -> Result<()> {
        let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.collect(&path)?;
            } else if let Some(name) = name_of(&path) {
                self.files.insert(name, path);
            }
        }
        Ok(())
    }

    /// These and all that they depend on, each after what it depends on, without those that are built in.
    ///
    /// # Errors
    ///
    /// When the kernel lacks one; the message has its name.
    pub fn in_order(&self, names: &[&str]) -> Result<Vec<Module>> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for name in names {
            self.add(&name.replace('-', "_"), &mut seen, &mut order)?;
        }
        Ok(order)
    }

    fn add(&self, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<Module>) -> Result<()> {
        if self.built_in.contains(name) || !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(path) = self.files.get(name) else {
            bail!("no module {name}");
        };
        let bytes = read(path)?;
        let information = information(&bytes).with_context(|| path.display().to_string())?;
        for dependency in depends(&information) {
            self.add(&dependency, seen, order)?;
        }
        for wanted in soft_dependencies(&information) {
            // The name of an algorithm stands for its implementations; `_generic` runs on every processor.
            let generic = format!("{wanted}_generic");
            if let Some(found) = [wanted, generic]
                .iter()
                .find(|name| self.files.contains_key(*name))
            {
                self.add(found, seen, order)?;
            }
        }
        order.push(Module {
            name: name.to_owned(),
            bytes,
        });
        Ok(())
    }
}

/// The module's name, if the file is one: `net/8021q/8021q.ko.xz` is `8021q`.
fn name_of(path: &Path) -> Option<String> {
    let (name, ending) = path.file_name()?.to_str()?.split_once(".ko")?;
    matches!(ending, "" | ".xz" | ".zst").then(|| name.replace('-', "_"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("xz") => decompress(&["xz", "--decompress", "--stdout"], &bytes),
        Some("zst") => decompress(&["zstd", "--decompress", "--stdout", "--quiet"], &bytes),
        _ => Ok(bytes),
    }
    .with_context(|| path.display().to_string())
}

/// What `modinfo` reads: `key=value`, each ended by a zero byte.
fn information(module: &[u8]) -> Result<Vec<u8>> {
    let file = object::File::parse(module)?;
    let section = file.section_by_name(".modinfo").context("no .modinfo")?;
    Ok(section.data()?.to_vec())
}

/// The modules without which this one cannot be loaded.
fn depends(information: &[u8]) -> Vec<String> {
    let lists = values(information, b"depends=");
    lists.flat_map(|names| names_in(names, b',')).collect()
}

/// Those that it asks for while it is loaded, and which may be missing: `pre: a b post: c`.
fn soft_dependencies(information: &[u8]) -> Vec<String> {
    let lists = values(information, b"softdep=pre: ");
    lists
        .flat_map(|names| names_in(names, b' ').take_while(|name| !name.ends_with(':')))
        .collect()
}

fn values<'a>(information: &'a [u8], key: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let entries = information.split(|byte| *byte == 0);
    entries.filter_map(move |entry| entry.strip_prefix(key))
}

fn names_in(list: &[u8], separator: u8) -> impl Iterator<Item = String> {
    let names = list.split(move |byte| *byte == separator);
    names
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_kernel() {
        let name = |path| name_of(Path::new(path));
        assert_eq!(name("kernel/net/8021q/8021q.ko").as_deref(), Some("8021q"));
        assert_eq!(name("kernel/a/vfio-pci.ko.xz").as_deref(), Some("vfio_pci"));
        assert_eq!(name("modules.builtin"), None);
        assert_eq!(name("a.konfig"), None);
    }

    #[test]
    fn dependencies_are_read_also_from_the_first_entry() {
        assert_eq!(depends(b"depends=a,b-c\0license=GPL\0"), ["a", "b_c"]);
        assert_eq!(depends(b"license=GPL\0depends=\0"), [""; 0]);
        assert_eq!(depends(b"softdep=depends=x\0"), [""; 0]);
        assert!(information(b"no module").is_err());
    }

    #[test]
    fn of_soft_dependencies_those_count_that_come_before() {
        let softdep = b"depends=x\0softdep=pre: crc32c a-b post: c\0";
        assert_eq!(soft_dependencies(softdep), ["crc32c", "a_b"]);
        assert_eq!(soft_dependencies(b"softdep=post: c\0"), [""; 0]);
    }

    #[test]
    fn a_missing_module_is_told_by_name_and_a_built_in_one_is_not_missing() {
        let modules = Modules {
            built_in: ["virtio_pci".into()].into(),
            ..Modules::default()
        };
        assert_eq!(modules.in_order(&["virtio-pci"]).unwrap(), []);
        let error = modules.in_order(&["virtio-pci", "igb"]).unwrap_err();
        assert_eq!(error.to_string(), "no module igb");
    }
}
