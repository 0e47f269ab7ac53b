//! The first file system of a guest, as a cpio archive in the format "newc" of the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`.

use std::path::Path;

use anyhow::Result;
use tsn_vm_init::{MODULES, SPEC, Spec};

use crate::modules::Module;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CONSOLE: u32 = 0o020_600;

/// An archive of the first process, modules and what it shall do. The modules of the spec are these.
pub fn build(init: &[u8], modules: &[Module], mut spec: Spec) -> Result<Vec<u8>> {
    let file_name = |module: &Module| format!("{}.ko", module.name);
    spec.modules = modules.iter().map(file_name).collect();
    let mut archive = Archive::default();
    archive.entry("dev", DIRECTORY, (0, 0), &[])?;
    archive.entry("dev/console", CONSOLE, (5, 1), &[])?; // without it the first process has no output
    archive.entry("init", PROGRAM, (0, 0), init)?;
    archive.entry(relative(SPEC), FILE, (0, 0), &serde_json::to_vec(&spec)?)?;
    archive.entry(relative(MODULES), DIRECTORY, (0, 0), &[])?;
    for module in modules {
        let path = Path::new(relative(MODULES)).join(file_name(module));
        archive.entry(&path.to_string_lossy(), FILE, (0, 0), &module.bytes)?;
    }
    archive.finish()
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: usize,
}

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), data: &[u8]) -> Result<()> {
        self.entries += 1;
        let fields = [
            u32::try_from(self.entries)?, // inode
            mode,
            0, // user
            0, // group
            1, // links
            0, // time
            u32::try_from(data.len())?,
            0,
            0, // device of the file
            device.0,
            device.1,
            u32::try_from(name.len() + 1)?,
            0, // checksum
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode and data of each entry.
    fn entries(mut archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        while !archive.is_empty() {
            assert!(archive.starts_with(b"070701"));
            let field = |index: usize| {
                let digits = &archive[6 + index * 8..][..8];
                u32::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let name = String::from_utf8(archive[110..110 + name_size - 1].to_vec()).unwrap();
            let data = (110 + name_size).next_multiple_of(4);
            entries.push((name, mode, archive[data..data + size].to_vec()));
            archive = &archive[(data + size).next_multiple_of(4)..];
        }
        entries
    }

    #[test]
    fn the_archive_has_all_in_the_order_of_loading() {
        let module = |name: &str| Module {
            name: name.into(),
            bytes: name.as_bytes().to_vec(),
        };
        let spec = Spec {
            modules: Vec::new(),
            visible: vec!["/a".into()],
            hugepages: 3,
            commands: Vec::new(),
        };
        let archive = build(b"program", &[module("b"), module("a")], spec).unwrap();
        let entries = entries(&archive);
        let names: Vec<_> = entries.iter().map(|entry| entry.0.as_str()).collect();
        let expected = [
            "dev",
            "dev/console",
            "init",
            "spec.json",
            "modules",
            "modules/b.ko",
            "modules/a.ko",
            "TRAILER!!!",
        ];
        assert_eq!(names, expected);
        assert_eq!(entries[2].1, PROGRAM);
        assert_eq!(entries[2].2, b"program");
        let spec: Spec = serde_json::from_slice(&entries[3].2).unwrap();
        assert_eq!(spec.modules, ["b.ko", "a.ko"]);
        assert_eq!(spec.hugepages, 3);
        assert_eq!(entries[6].2, b"a");
    }
}
