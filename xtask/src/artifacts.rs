//! What cargo has built, as its messages tell.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The part of cargo's messages about a target that says where its program is.
#[derive(Deserialize)]
pub struct Artifact {
    /// Of its package.
    pub manifest_path: PathBuf,
    /// What was built.
    pub target: Target,
    /// How.
    pub profile: Profile,
    /// The program, of a target that is one.
    pub executable: Option<PathBuf>,
}

/// A target of a package.
#[derive(Deserialize)]
pub struct Target {
    /// Of a file of `tests/`, the file's.
    pub name: String,
    /// Such as `test`.
    pub kind: Vec<String>,
}

/// The profile that a target was built with.
#[derive(Deserialize)]
pub struct Profile {
    /// Whether it has the target's tests.
    pub test: bool,
}

/// Runs a build of cargo, and gives back what was built.
///
/// # Errors
///
/// When it cannot be started or fails.
pub fn build(command: &mut Command) -> Result<Vec<Artifact>> {
    let output = command
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    let arguments: Vec<_> = command
        .get_args()
        .map(|argument| argument.to_string_lossy())
        .collect();
    ensure!(
        output.status.success(),
        "cargo {}: {}",
        arguments.join(" "),
        output.status
    );
    Ok(artifacts(&String::from_utf8_lossy(&output.stdout)))
}

fn artifacts(messages: &str) -> Vec<Artifact> {
    let lines = messages.lines();
    // Other messages have other parts.
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_among_cargos_messages() {
        let messages = r#"{"reason":"build-script-executed","package_id":"a"}
{"reason":"compiler-artifact","manifest_path":"/r/tests/Cargo.toml","target":{"name":"launch","kind":["test"]},"profile":{"test":true},"executable":"/t/launch-1"}
{"reason":"compiler-artifact","manifest_path":"/r/Cargo.toml","target":{"name":"lib","kind":["lib"]},"profile":{"test":false},"executable":null}
{"reason":"build-finished","success":true}"#;
        let [launch, library] = &artifacts(messages)[..] else {
            panic!("two targets");
        };
        assert_eq!(launch.target.name, "launch");
        assert_eq!(launch.executable, Some("/t/launch-1".into()));
        assert!(launch.profile.test && !library.profile.test);
        assert_eq!(library.executable, None);
    }
}
