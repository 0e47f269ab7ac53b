//! Calls the built plugin as a container runtime does: with an environment and on standard input.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tsn_cni::record::{Directory, Key};

use crate::daemon::{Daemon, Reply};

/// All versions that the plugin speaks.
pub const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// The pod's container.
pub const CONTAINER: &str = "0a1b2c";
/// The network.
pub const NETWORK: &str = "plant";

/// A node with a directory of records and, perhaps, a daemon.
pub struct Node {
    scratch: TempDir,
    daemon: Option<Daemon>,
}

impl Node {
    /// Without a daemon.
    pub fn without_daemon() -> Self {
        Self {
            scratch: tempfile::tempdir().unwrap(),
            daemon: None,
        }
    }

    /// With a daemon that answers a request, of this method and path, so.
    pub fn with_daemon(reply: impl FnMut(&str, &str) -> Reply + Send + 'static) -> Self {
        let mut node = Self::without_daemon();
        node.daemon = Some(Daemon::start(&node.socket(), reply));
        node
    }

    /// With a daemon that does everything.
    pub fn with_obliging_daemon() -> Self {
        Self::with_daemon(|method, _| match method {
            "DELETE" => Reply::answer(204, &Value::Null),
            _ => Reply::answer(200, &json!({"name": "pod", "attached": true})),
        })
    }

    /// What the daemon was asked, in order.
    pub fn requests(&self) -> Vec<String> {
        self.daemon
            .as_ref()
            .map(Daemon::requests)
            .unwrap_or_default()
    }

    /// A place for a test's own files.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// The records.
    pub fn records(&self) -> Directory {
        Directory::at(self.path().join("records"))
    }

    /// The keys of all records.
    pub fn keys(&self) -> Vec<String> {
        self.records()
            .keys()
            .unwrap()
            .iter()
            .map(Key::to_string)
            .collect()
    }

    fn socket(&self) -> PathBuf {
        self.path().join("control.sock")
    }

    /// A call for `eth0` of the container, with this network configuration.
    pub fn call(&self, command: &str, version: &str) -> Call {
        let configuration = json!({
            "cniVersion": version,
            "name": NETWORK,
            "type": "tsn-cni",
            "profile": "motion",
            "socket": self.socket(),
            "recordDirectory": self.path().join("records"),
            "prevResult": previous_result(version),
        });
        let call = Call {
            environment: Vec::new(),
            configuration,
            input: None,
        };
        call.set("CNI_COMMAND", command)
            .set("CNI_CONTAINERID", CONTAINER)
            .set("CNI_IFNAME", "eth0")
            .set("CNI_NETNS", &netns())
            .set("CNI_NETNS_OVERRIDE", "1")
            .set("CNI_PATH", "/opt/cni/bin")
            .set(
                "CNI_ARGS",
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=plant-7;K8S_POD_NAME=drive;K8S_POD_UID=u-1",
            )
    }
}

/// A network namespace that is there without root: the test's own.
pub fn netns() -> String {
    format!("/proc/{}/ns/net", std::process::id())
}

/// What bridge and host-local leave, with fields that nobody knows.
pub fn previous_result(version: &str) -> Value {
    let mut address = json!({"address": "10.1.2.3/24", "gateway": "10.1.2.1", "interface": 2});
    if version < "1.0.0" {
        address["version"] = "4".into();
    }
    json!({
        "cniVersion": version,
        "interfaces": [
            {"name": "cni0", "mac": "02:00:00:00:00:99"},
            {"name": "veth12345678", "mac": "02:00:00:00:00:98"},
            {"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/var/run/netns/pod"},
        ],
        "ips": [address],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dns": {},
        "x-unknown": {"b": [1.50, null], "a": 18446744073709551615_u64},
    })
}

/// A call of the plugin.
pub struct Call {
    environment: Vec<(String, String)>,
    configuration: Value,
    input: Option<Vec<u8>>,
}

impl Call {
    /// With this variable.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this field of the network configuration; `null` takes it away.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        let fields = self.configuration.as_object_mut().unwrap();
        match value {
            Value::Null => fields.remove(field),
            value => fields.insert(field.to_owned(), value),
        };
        self
    }

    /// With these bytes on standard input instead of the network configuration.
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = Some(bytes.to_owned());
        self
    }

    /// With the network configuration cut off half way.
    pub fn cut(self) -> Self {
        let text = self.configuration.to_string();
        self.input(&text.as_bytes()[..text.len() / 2])
    }

    /// Starts the plugin, with all its input.
    pub fn start(&self) -> Child {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tsn-cni"))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let text = self.configuration.to_string();
        let input = self.input.as_deref().unwrap_or(text.as_bytes());
        // A plugin that needs no input, or that had enough, is gone by now.
        let _ = child.stdin.take().unwrap().write_all(input);
        child
    }

    /// Runs the plugin to its end.
    pub fn run(&self) -> Outcome {
        Outcome::of(self.start().wait_with_output().unwrap())
    }
}

/// How a call ended.
#[derive(Debug)]
pub struct Outcome {
    pub output: String,
    pub log: String,
    pub success: bool,
}

impl Outcome {
    fn of(output: Output) -> Self {
        let outcome = Self {
            output: String::from_utf8(output.stdout).unwrap(),
            log: String::from_utf8(output.stderr).unwrap(),
            success: output.status.success(),
        };
        assert!(!outcome.log.contains("panicked"), "{}", outcome.log);
        outcome
    }

    /// Asserts success, without a result.
    #[track_caller]
    pub fn nothing(&self) {
        assert!(self.success && self.output.is_empty(), "{self:?}");
    }

    /// Asserts success, and gives the result.
    #[track_caller]
    pub fn result(&self) -> Value {
        assert!(self.success, "{self:?}");
        serde_json::from_str(&self.output).unwrap()
    }

    /// Asserts an error with this code in this version, and gives its message.
    #[track_caller]
    pub fn error(&self, version: &str, code: u32) -> String {
        assert!(!self.success, "{self:?}");
        let error: Value = serde_json::from_str(&self.output).unwrap();
        assert_eq!(error["cniVersion"], version, "{error}");
        assert_eq!(error["code"], code, "{error}");
        error["msg"].as_str().unwrap().to_owned()
    }
}
