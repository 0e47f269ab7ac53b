//! A node whose pods come by CNI: Debian's plugins make the veth, ours hands it to the daemon.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tsn_tests::{
    clients::python,
    cni::{
        plugins::Plugins,
        runtime::{Attachment, NetworkList, Runtime},
        snapshot::{Places, Snapshot},
    },
    daemon::{Daemon, Home},
    namespace::Namespace,
    scratch,
    topology::BRIDGE,
    wait::wait_until,
};

use super::{
    BEST_EFFORT, BOUND, Bed, CONTROL, Settings, VIDEO, configuration_without_pods,
    counters::number, launch::PYTHON_CLIENT,
};

/// The specification's versions that are in use.
pub const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// Name of the network that pods have as `eth0`.
pub const PRIMARY: &str = "pods";
/// Name of the network that pods have as `net1`.
pub const SECONDARY: &str = "motion-net";

/// The near node of a [`Bed`], with a runtime's plugins and directories.
pub struct CniBed {
    /// The nodes.
    pub bed: Bed,
    /// At any version but 1.1.0.
    plugins: Plugins,
    plugins_1_1_0: Plugins,
    directory: TempDir,
    next_port: AtomicU16,
}

impl CniBed {
    /// A node on which pods of other plugins have come and gone: `bridge` and `portmap` leave what they keep for the
    /// next pod, such as empty chains of the packet filter.
    pub fn new() -> Self {
        let bed = Bed::new(1);
        let node = &bed.network.near.namespace;
        // Else it is that of some port, and bridge's CHECK finds another one than ADD did.
        let address = format!("link set {BRIDGE} address 02:00:00:00:01:ff\n");
        node.batch("ip", &address).unwrap();
        let this = Self {
            plugins: Plugins::new().unwrap(),
            plugins_1_1_0: Plugins::that_speak_1_1_0(node).unwrap(),
            directory: scratch::directory("cni").unwrap(),
            next_port: AtomicU16::new(8000),
            bed,
        };
        for mut list in [this.primary("1.0.0"), this.secondary("1.0.0")] {
            list.plugins.pop();
            let (pod, runtime) = (Namespace::new("earlier").unwrap(), this.runtime("1.0.0"));
            let attachment = this.attachment(&pod, "eth0");
            runtime.add(&list, &attachment).unwrap();
            runtime.delete(&list, &attachment).unwrap();
        }
        this
    }

    /// The near node.
    pub fn node(&self) -> &Namespace {
        &self.bed.network.near.namespace
    }

    /// The plugins for a version of the specification.
    pub fn plugins(&self, version: &str) -> &Plugins {
        match version {
            "1.1.0" => &self.plugins_1_1_0,
            _ => &self.plugins,
        }
    }

    /// A runtime with an empty cache, for networks of one version.
    pub fn runtime(&self, version: &str) -> Runtime<'_> {
        Runtime::new(self.node(), self.plugins(version))
    }

    /// Starts the daemon with the profiles `motion` (classes 7 and 5) and `bulk` (class 0), and no pods.
    pub fn start(&self) -> Daemon {
        self.bed.start(&self.configuration())
    }

    /// The daemon's configuration.
    pub fn configuration(&self) -> String {
        let settings = Settings::default();
        format!(
            r#"{}profiles:
  - name: motion
    frame-quota: 64
    streams:
      - {{ name: timed, match: {{ udp-destination-port: {CONTROL} }}, traffic-class: 7, late: send }}
      - {{ name: video, match: {{ udp-destination-port: {VIDEO} }}, traffic-class: 5 }}
  - name: bulk
    frame-quota: 64
    streams:
      - {{ name: rest, match: {{ udp-destination-port: {BEST_EFFORT} }}, traffic-class: 0 }}
"#,
            configuration_without_pods(&settings)
        )
    }

    /// Where the plugin leaves its records.
    pub fn records(&self) -> PathBuf {
        self.bed.home.record_directory()
    }

    /// `bridge` with `host-local`, `portmap`, and ours at the end. Pods are in the layer-2 network of the far node's.
    pub fn primary(&self, version: &'static str) -> NetworkList {
        let portmap = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
        let plugins = vec![self.bridge("10.71.0"), portmap, self.ours()];
        NetworkList::new(PRIMARY, version, plugins)
    }

    /// `bridge` with `host-local`, and ours: the second interface that Multus gives a pod.
    pub fn secondary(&self, version: &'static str) -> NetworkList {
        NetworkList::new(
            SECONDARY,
            version,
            vec![self.bridge("10.72.0"), self.ours()],
        )
    }

    /// Ours alone.
    pub fn only_ours(&self, version: &'static str) -> NetworkList {
        NetworkList::new(PRIMARY, version, vec![self.ours()])
    }

    /// Our entry in a list.
    pub fn ours(&self) -> Value {
        ours(&self.bed.home)
    }

    fn bridge(&self, subnet: &str) -> Value {
        let range = json!({
            "subnet": format!("{subnet}.0/24"),
            "rangeStart": format!("{subnet}.100"),
            "rangeEnd": format!("{subnet}.200"),
        });
        json!({
            "type": "bridge",
            "bridge": BRIDGE,
            "ipam": { "type": "host-local", "dataDir": self.leases(), "ranges": [[range]] },
        })
    }

    fn leases(&self) -> PathBuf {
        self.directory.path().join("leases")
    }

    /// An interface of a pod, with a port of the node mapped to it. The container has the name of the pod's namespace.
    pub fn attachment(&self, pod: &Namespace, interface: &str) -> Attachment {
        let port = self.next_port.fetch_add(1, Ordering::Relaxed);
        let mapping = json!({ "hostPort": port, "containerPort": 80, "protocol": "tcp" });
        Attachment::new(pod.name(), pod.path(), interface).with("portMappings", json!([mapping]))
    }

    /// Lets an ordinary program in a pod send datagrams with launch times to the far node's pod, and asserts that the
    /// daemon sent them all.
    pub fn assert_served(&self, daemon: &Daemon, pod: &Namespace, attachment: &Attachment) {
        const DATAGRAMS: u64 = 20;
        let sent = || {
            let status = status(daemon, PRIMARY, attachment).unwrap();
            let streams = status["streams"].as_array().unwrap();
            let timed = streams.iter().find(|stream| stream["name"] == "timed");
            number(&timed.unwrap()["sent"])
        };
        let before = sent();
        let (to, port) = (self.bed.far(1).ipv4.to_string(), CONTROL.to_string());
        let arguments = [&*to, &port, &DATAGRAMS.to_string(), "11"];
        let client = python(pod, PYTHON_CLIENT, &arguments).unwrap();
        client.finish(BOUND).unwrap();
        wait_until("the datagrams to leave by tsnd", BOUND, || {
            sent() == before + DATAGRAMS
        })
        .unwrap();
    }

    /// What the node has now.
    pub fn snapshot(&self, daemon: Option<&Daemon>) -> Snapshot {
        Snapshot::of(&self.places(daemon)).unwrap()
    }

    /// Asserts that the node has again what it had, soon.
    pub fn assert_as_before(&self, before: &Snapshot, daemon: Option<&Daemon>) {
        before.wait_again(&self.places(daemon)).unwrap();
    }

    fn places<'a>(&'a self, daemon: Option<&'a Daemon>) -> Places<'a> {
        Places {
            node: self.node(),
            home: &self.bed.home,
            daemon,
            leases: self.leases(),
        }
    }
}

/// Our entry in a list, for the daemon of a home.
pub fn ours(home: &Home) -> Value {
    json!({
        "type": "tsn-cni",
        "profile": "motion",
        "selectableProfiles": ["bulk"],
        "socket": home.control().socket(),
        "recordDirectory": home.record_directory(),
        "capabilities": { "io.kubernetes.cri.pod-annotations": true },
    })
}

/// What the daemon says of an interface; `None` if it does not know it.
pub fn status(daemon: &Daemon, network: &str, attachment: &Attachment) -> Option<Value> {
    let (container, interface) = (&attachment.container_id, &attachment.interface);
    let path = format!("/v1/attachments/{network}/{container}/{interface}");
    let answer = daemon.control.request("GET", &path, "").unwrap();
    (answer.status != 404).then(|| answer.json().unwrap())
}

/// Whether the daemon serves an interface.
pub fn is_attached(daemon: &Daemon, network: &str, attachment: &Attachment) -> bool {
    status(daemon, network, attachment).is_some_and(|status| status["attached"] == true)
}

/// Waits until the daemon serves an interface, or does not know it any more.
pub fn wait_attached(daemon: &Daemon, network: &str, attachment: &Attachment, wanted: bool) {
    let what = format!("{attachment:?} to be attached: {wanted}");
    wait_until(&what, BOUND, || match wanted {
        true => is_attached(daemon, network, attachment),
        false => status(daemon, network, attachment).is_none(),
    })
    .unwrap();
}
