//! A node and a pod in network namespaces without a name, joined by a veth pair, with the kernel programs and real
//! AF_XDP ports on it. They live in the test's thread alone, so nothing is left behind however the test ends.

#![allow(dead_code)] // each test file uses its own part

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use tsn_afxdp::{AfxdpBackend, AfxdpConfig, AfxdpPort};
use tsn_common::Rule;
use tsn_port::conformance::TestBed;
use tsn_port::{Backend, PodAddresses, PodAttachment, PodEnd, VethEnd};

/// The pod's end of the veth pair, and the node's.
pub const POD_END: &str = "pod0";
pub const HOST_END: &str = "host0";
pub const POD: &str = "pod";

/// Rings are small, so that they fill up.
pub const RING_SLOTS: u32 = 256;
pub const CHUNKS: u32 = 4096;

/// The two namespaces. The thread that makes them is in the node's.
pub struct Namespaces {
    node: File,
    pod: File,
}

impl Namespaces {
    pub fn new() -> Self {
        let enter_new = || {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
                .expect("cannot make namespaces: this test needs root");
            File::open("/proc/thread-self/ns/net").expect("own namespace")
        };
        let pod = enter_new();
        let node = enter_new();
        // A bpffs of our own, in a mount namespace of our own.
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .expect("private mounts");
        mount(
            Some("bpf"),
            "/sys/fs/bpf",
            Some("bpf"),
            MsFlags::empty(),
            none,
        )
        .expect("a bpffs");
        let namespaces = Self { node, pod };
        namespaces.add_pod_veth();
        namespaces
    }

    /// Joins node and pod (anew, if the last veth pair was deleted).
    pub fn add_pod_veth(&self) {
        let pod = self.pod_path();
        let peer = format!("peer name {POD_END} netns {}", pod.display());
        run(&format!("ip link add {HOST_END} type veth {peer}"));
        run(&format!("ip link set {HOST_END} up"));
        self.in_pod(|| {
            run("ip link set lo up");
            run(&format!("ip link set {POD_END} up"));
        });
    }

    fn pod_path(&self) -> PathBuf {
        // Not "self": `ip` is another process.
        PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.pod.as_raw_fd()
        ))
    }

    /// Runs `action` in the pod's network namespace.
    pub fn in_pod<T>(&self, action: impl FnOnce() -> T) -> T {
        setns(&self.pod, CloneFlags::CLONE_NEWNET).expect("the pod's namespace");
        let result = action();
        setns(&self.node, CloneFlags::CLONE_NEWNET).expect("the node's namespace");
        result
    }

    /// The pod, of which everything is time-sensitive.
    pub fn attachment(&self) -> PodAttachment {
        PodAttachment {
            name: POD.into(),
            end: PodEnd::Veth(VethEnd {
                netns: self.pod_path(),
                interface: POD_END.into(),
                addresses: PodAddresses::default(),
            }),
            mode: tsn_port::PodMode::L2,
            rules: vec![Rule::default()],
        }
    }

    /// Frames that the pod's end could not hand to the node's end.
    pub fn lost(&self) -> u64 {
        self.in_pod(|| {
            let devices =
                std::fs::read_to_string("/proc/thread-self/net/dev").expect("device counters");
            let line = devices
                .lines()
                .find(|line| line.trim_start().starts_with(POD_END));
            // After the name: eight counters of reception, then bytes, packets, errors and drops of transmission.
            let drops = line.and_then(|line| line.split_once(':')?.1.split_whitespace().nth(11));
            drops.expect("a drop counter").parse().expect("a number")
        })
    }
}

/// Settings for a test: a heartbeat that need not be repeated.
pub fn config() -> AfxdpConfig {
    AfxdpConfig {
        pin_dir: "/sys/fs/bpf/tsnd".into(),
        heartbeat_timeout: Duration::from_secs(3600),
        chunks: CHUNKS,
        chunk_bytes: 2048,
        ring_slots: RING_SLOTS,
        zero_copy: false,
    }
}

/// Runs a command and demands success.
pub fn run(command: &str) {
    let output = Command::new("sh")
        .args(["-c", command])
        .output()
        .expect("sh");
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A port on the pod's end that transmits, and the pod's port on the node's end, which receives.
pub struct Bed {
    pub sender: AfxdpPort,
    pub receiver: AfxdpPort,
    pub backend: AfxdpBackend,
    pub namespaces: Namespaces,
}

impl Bed {
    pub fn new() -> Self {
        let namespaces = Namespaces::new();
        let mut backend = AfxdpBackend::open(&config()).expect("backend");
        backend.heartbeat().beat();
        let receiver = backend
            .attach_pod(&namespaces.attachment())
            .expect("pod port");
        let sender = namespaces
            .in_pod(|| backend.open_uplink(POD_END))
            .expect("uplink port");
        Self {
            sender,
            receiver,
            backend,
            namespaces,
        }
    }
}

impl TestBed for Bed {
    type Port = AfxdpPort;

    fn ports(&mut self) -> (&mut AfxdpPort, &mut AfxdpPort) {
        (&mut self.sender, &mut self.receiver)
    }

    fn free_buffers(&mut self) -> usize {
        self.backend.free_chunks()
    }

    fn lost_on_the_way(&mut self) -> u64 {
        self.namespaces.lost()
    }
}
