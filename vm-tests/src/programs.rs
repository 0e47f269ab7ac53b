//! What runs in guests: test programs as cargo builds them for the host, and the first process.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{TestFile, places};

/// A built file of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The file's name, without `.rs`.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its package's directory, in which cargo would run it.
    pub directory: PathBuf,
}

/// The built files of tests, by package and file.
#[derive(Debug, Default)]
pub struct Programs(BTreeMap<(String, String), Built>);

impl FromIterator<Built> for Programs {
    fn from_iter<T: IntoIterator<Item = Built>>(all: T) -> Self {
        let keyed = all.into_iter().map(|built| {
            let folder = built.directory.file_name().unwrap_or_default();
            // A package's name is that of its folder in this repository, with `tsn-` before it.
            let package = format!("tsn-{}", folder.to_string_lossy());
            ((package, built.name.clone()), built)
        });
        Self(keyed.collect())
    }
}

impl Programs {
    /// One of them.
    ///
    /// # Errors
    ///
    /// When it has not been built, since there is no such file.
    pub fn get(&self, file: &TestFile) -> Result<&Built> {
        let key = (file.package.to_owned(), file.file.clone());
        let built = self.0.get(&key);
        built.with_context(|| format!("{} has no tests/{}.rs", file.package, file.file))
    }
}

/// Builds the first process of the guests, which needs no library, and gives back its bytes.
///
/// # Errors
///
/// When it cannot be built.
pub fn build_init() -> Result<Vec<u8>> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("start rustc")?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = output.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not tell the host's target")?;
    let target_directory = places::kept().join("init");
    // With a target that is named, the flags are not those of procedural macros, which must be dynamic.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(places::repository())
        .args(["build", "--quiet", "--release", "--package", "tsn-vm-init"])
        .args(["--target", host, "--target-dir"])
        .arg(&target_directory)
        .env(
            "RUSTFLAGS",
            "-C target-feature=+crt-static -C strip=symbols",
        )
        .status()
        .context("start cargo")?;
    ensure!(status.success(), "the guests' first process does not build");
    let program = target_directory.join(host).join("release/tsn-vm-init");
    fs::read(&program).with_context(|| format!("read {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_package_and_file() {
        let built = Built {
            name: "launch".into(),
            program: "/t/launch-1".into(),
            directory: "/r/tests".into(),
        };
        let programs: Programs = [built.clone()].into_iter().collect();
        let file = TestFile::end_to_end("launch");
        assert_eq!(*programs.get(&file).unwrap(), built);
        let error = programs.get(&TestFile::of_vm_tests("launch")).unwrap_err();
        assert_eq!(error.to_string(), "tsn-vm-tests has no tests/launch.rs");
    }
}
