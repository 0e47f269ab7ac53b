//! What runs in guests: test programs as cargo builds them for the host, and the first process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{TestFile, places};

/// A built file of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The program.
    pub program: PathBuf,
    /// Its package's directory, in which cargo would run it.
    pub directory: PathBuf,
}

/// The built files of tests, by package and file.
#[derive(Debug, Default)]
pub struct Programs(BTreeMap<(String, String), Built>);

impl Programs {
    /// Builds these files, by a command that names these packages: all those that the other tests are built with, else cargo
    /// builds what they depend on once more.
    ///
    /// # Errors
    ///
    /// When cargo cannot.
    pub fn build(files: &BTreeSet<TestFile>, packages: &[&str]) -> Result<Self> {
        if files.is_empty() {
            return Ok(Self::default());
        }
        let mut command = cargo();
        command.args([
            "test",
            "--no-run",
            "--message-format",
            "json-render-diagnostics",
        ]);
        let names: BTreeSet<_> = files.iter().map(|file| file.file.as_str()).collect();
        command.args(packages);
        command.args(names.iter().flat_map(|name| ["--test", name]));
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .context("start cargo")?;
        ensure!(
            output.status.success(),
            "the tests for the guests do not build"
        );
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    fn parse(messages: &str) -> Result<Self> {
        let mut programs = BTreeMap::new();
        for line in messages.lines().filter(|line| line.starts_with('{')) {
            let message: Message = serde_json::from_str(line).context("read cargo's messages")?;
            let (Some(program), Some(target)) = (message.executable, message.target) else {
                continue;
            };
            let manifest = message.manifest_path.unwrap_or_default();
            let directory = manifest.parent().unwrap_or(Path::new("")).to_owned();
            let package = package_of(&directory)?;
            programs.insert((package, target.name), Built { program, directory });
        }
        Ok(Self(programs))
    }

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

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    target: Option<Target>,
    manifest_path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// A package's name is that of its folder in this repository, with `tsn-` before it.
fn package_of(directory: &Path) -> Result<String> {
    let folder = directory
        .file_name()
        .context("a package without a folder")?;
    Ok(format!("tsn-{}", folder.to_string_lossy()))
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
    let status = cargo()
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

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(places::repository());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"launch"},"executable":"/t/launch-1","manifest_path":"/r/tests/Cargo.toml"}
{"reason":"compiler-artifact","target":{"name":"lib"},"executable":null}
{"reason":"build-finished","success":true}"#;
        let programs = Programs::parse(messages).unwrap();
        let built = programs.get(&TestFile::end_to_end("launch")).unwrap();
        assert_eq!(built.program, Path::new("/t/launch-1"));
        assert_eq!(built.directory, Path::new("/r/tests"));
        let error = programs.get(&TestFile::of_vm_tests("launch")).unwrap_err();
        assert_eq!(error.to_string(), "tsn-vm-tests has no tests/launch.rs");
    }
}
