//! The directories that plugins are found in: Debian's plugins, ours, and some of the test's own.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use super::plugin::Execution;
use crate::{
    clients::{binary, unpacked},
    namespace::Namespace,
    scratch,
};

/// Debian's plugins that are put in front of ours, and the one that containerd calls for each pod.
const OTHERS: [&str; 4] = ["bridge", "host-local", "loopback", "portmap"];

/// Fails at ADD, and at nothing else.
const FAILING: &str = r#"#!/bin/sh
cat >/dev/null
[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{ "cniVersion": "1.0.0", "code": 100, "msg": "fails as it should" }'
exit 1
"#;

/// Makes no interface, as the one that Multus puts in front of an auxiliary chain.
const PASSTHRU: &str = r#"#!/bin/sh
version=$(grep -o '"cniVersion": *"[^"]*"' | head -n 1)
[ "$CNI_COMMAND" = ADD ] && echo "{ $version, \"dns\": {} }"
exit 0
"#;

/// Speaks 1.1.0 for a plugin that speaks 1.0.0; see the head of [`cni`](super).
const SPEAKS_1_1_0: &str = r#"#!/usr/bin/python3
import json, os, subprocess, sys
command = os.environ["CNI_COMMAND"]
configuration = json.load(sys.stdin)
if command == "VERSION":
    print(json.dumps({"cniVersion": "1.1.0", "supportedVersions": ["1.0.0", "1.1.0"]}))
if command in ("VERSION", "STATUS", "GC"):
    sys.exit()
version = configuration["cniVersion"]
configuration["cniVersion"] = "1.0.0"
if "prevResult" in configuration:
    configuration["prevResult"]["cniVersion"] = "1.0.0"
plugin = subprocess.run(["PROGRAM"], input=json.dumps(configuration).encode(), stdout=subprocess.PIPE)
if plugin.stdout.strip():
    print(json.dumps(json.loads(plugin.stdout) | {"cniVersion": version}))
sys.exit(plugin.returncode)
"#;

/// A directory with all plugins.
#[derive(Debug)]
pub struct Plugins {
    directory: TempDir,
}

impl Plugins {
    /// Our plugin, and those of the test's own: `failing`, and `passthru`, which Multus has; then Debian's.
    ///
    /// # Errors
    ///
    /// When `tsn-cni` has not been built (`cargo xtask build`), or Debian's plugins are not there (`cargo xtask setup`).
    pub fn new() -> Result<Self> {
        let plugins = Self {
            directory: scratch::directory("cni-bin")?,
        };
        plugins.write("failing", FAILING)?;
        plugins.write("passthru", PASSTHRU)?;
        symlink(binary("tsn-cni")?, plugins.find("tsn-cni"))?;
        for name in OTHERS {
            symlink(debian()?.join(name), plugins.find(name))?;
        }
        fs::create_dir(plugins.find("sbin"))?;
        symlink("/usr/sbin/iptables", plugins.find("sbin/iptables"))?;
        Ok(plugins)
    }

    /// As [`new`](Self::new), with every other plugin speaking 1.1.0, by itself or with one of the test's own in front.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn that_speak_1_1_0(node: &Namespace) -> Result<Self> {
        let plugins = Self::new()?;
        for name in OTHERS {
            if !plugins.versions(node, name)?.contains(&"1.1.0".to_owned()) {
                fs::remove_file(plugins.find(name))?;
                let program = debian()?.join(name);
                plugins.write(
                    name,
                    &SPEAKS_1_1_0.replace("PROGRAM", &program.to_string_lossy()),
                )?;
            }
        }
        Ok(plugins)
    }

    /// The directory that has them all.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// As `CNI_PATH` has it.
    pub fn path(&self) -> OsString {
        self.directory().into()
    }

    /// A plugin by its `type`.
    pub fn find(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// The search path of plugins. It has an iptables but no ip6tables: portmap 1.1.1 makes rules for the versions of IP
    /// that a pod has addresses of, but looks for them in all that it has a program for, so that its CHECK of a pod with
    /// IPv4 alone would fail.
    pub fn search_path(&self) -> OsString {
        let sbin = self.find("sbin");
        format!("{}:/usr/bin:/bin", sbin.display()).into()
    }

    /// The versions of the specification that a plugin speaks.
    ///
    /// # Errors
    ///
    /// As [`Execution::run`]; when it names none.
    pub fn versions(&self, node: &Namespace, name: &str) -> Result<Vec<String>> {
        let version = Execution {
            program: self.find(name),
            environment: [("CNI_COMMAND", OsString::from("VERSION"))].into(),
            configuration: json!({ "cniVersion": "1.0.0" }),
            search_path: self.search_path(),
        };
        let answer = version.run(node)?;
        serde_json::from_value(answer["supportedVersions"].clone())
            .with_context(|| format!("{name} names no versions: {answer}"))
    }

    fn write(&self, name: &str, program: &str) -> Result<()> {
        let path = self.find(name);
        fs::write(&path, program).with_context(|| format!("write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }
}

fn debian() -> Result<PathBuf> {
    unpacked("containers/usr/lib/cni")
}
