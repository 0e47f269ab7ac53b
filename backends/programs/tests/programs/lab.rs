//! A node with a pod and a peer on its wire, made of network namespaces that go when the test ends, however it ends.
//!
//! ```text
//! pod: eth0 10.77.0.1 ── host ┐ node ┌ up0 ── eth0 10.77.0.2 :peer
//!                             └ br0 ─┘
//! ```

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use tsn_common::{Rule, RuleFields};
use tsn_port::{PodAddresses, VethEnd};
use tsn_programs::VethPod;

/// The port that [`Lab::pod`]'s rule selects.
pub const PORT: u16 = 7788;
/// The EtherType that its other rule selects (IEEE 802 local experimental).
pub const ETHERTYPE: u16 = 0x88b5;
pub const POD: &str = "10.77.0.1";
pub const PEER: &str = "10.77.0.2";

pub struct Lab {
    prefix: String,
    pub bpffs: PathBuf,
}

impl Lab {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("tsnp{}-{number}", std::process::id());
        let bpffs = std::env::temp_dir().join(format!("{prefix}-bpf"));
        let lab = Self { prefix, bpffs };
        std::fs::create_dir(&lab.bpffs).unwrap();
        run(&format!("mount -t bpf bpf {}", lab.bpffs.display()));
        for name in ["node", "peer"] {
            run(&format!("ip netns add {}", lab.name(name)));
        }
        lab.ip("node", "link add br0 type bridge");
        lab.ip(
            "node",
            &format!(
                "link add up0 type veth peer name eth0 netns {}",
                lab.name("peer")
            ),
        );
        lab.ip("node", "link set up0 master br0 up");
        lab.ip("node", "link set br0 up");
        lab.ip("peer", "link set eth0 up");
        lab.ip("peer", &format!("addr add {PEER}/24 dev eth0"));
        lab.add_pod("");
        lab
    }

    /// Makes the pod's namespace and veth pair, with further properties of the host end.
    pub fn add_pod(&self, properties: &str) {
        run(&format!("ip netns add {}", self.name("pod")));
        let peer = format!("peer name eth0 netns {}", self.name("pod"));
        self.ip(
            "node",
            &format!("link add host {properties} type veth {peer}"),
        );
        self.ip("node", "link set host master br0 up");
        self.ip("pod", "link set eth0 up");
        self.ip("pod", &format!("addr add {POD}/24 dev eth0"));
    }

    /// Deletes the pod's namespace, and waits for nothing.
    pub fn delete_pod_only(&self) {
        run(&format!("ip netns del {}", self.name("pod")));
    }

    /// Deletes the pod's namespace, and its veth pair with it.
    pub fn delete_pod(&self) {
        self.delete_pod_only();
        until("the host end is gone", || {
            !self.within("node", || if_nametoindex("host").is_ok())
        });
    }

    pub fn name(&self, namespace: &str) -> String {
        format!("{}-{namespace}", self.prefix)
    }

    pub fn ip(&self, namespace: &str, arguments: &str) -> String {
        run(&format!("ip -n {} {arguments}", self.name(namespace)))
    }

    fn path(&self, namespace: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.name(namespace))
    }

    /// Runs `work` in a thread inside the namespace.
    pub fn within<T: Send>(&self, namespace: &str, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let handle = scope.spawn(|| {
                setns(
                    File::open(self.path(namespace)).unwrap(),
                    CloneFlags::CLONE_NEWNET,
                )
                .unwrap();
                work()
            });
            handle
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The pod's attachment: UDP to [`PORT`] and frames of [`ETHERTYPE`].
    pub fn pod(&self, name: &str) -> VethPod {
        VethPod {
            name: name.to_owned(),
            end: VethEnd {
                netns: self.path("pod"),
                interface: "eth0".to_owned(),
                addresses: PodAddresses::default(),
            },
            mode: tsn_port::PodMode::L2,
            rules: vec![
                Rule {
                    fields: RuleFields::UDP_PORT,
                    udp_port_first: PORT,
                    udp_port_last: PORT,
                    ..Rule::default()
                },
                Rule {
                    fields: RuleFields::ETHERTYPE,
                    ethertype: ETHERTYPE,
                    ..Rule::default()
                },
            ],
        }
    }

    /// A UDP socket with a bounded receive.
    pub fn udp(&self, namespace: &str, address: &str, port: u16) -> UdpSocket {
        let socket = self.within(namespace, || UdpSocket::bind((address, port)).unwrap());
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        socket
    }

    /// A raw packet socket on a device.
    pub fn raw(&self, namespace: &str, device: &str) -> RawSocket {
        self.within(namespace, || RawSocket::open(device).unwrap())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in ["pod", "peer", "node"] {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.name(name)])
                .output();
        }
        let _ = Command::new("umount").arg(&self.bpffs).output();
        let _ = std::fs::remove_dir(&self.bpffs);
    }
}

/// An `AF_PACKET` socket that sends and receives whole frames.
pub struct RawSocket(OwnedFd);

impl RawSocket {
    fn open(device: &str) -> io::Result<Self> {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: plain system calls; the descriptor is new and ours.
        unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(protocol));
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            let socket = Self(OwnedFd::from_raw_fd(fd));
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = protocol;
            address.sll_ifindex = if_nametoindex(device)? as i32;
            let length = size_of_val(&address) as u32;
            if libc::bind(fd, (&raw const address).cast(), length) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(socket)
        }
    }

    pub fn send(&self, frame: &[u8]) {
        nix::unistd::write(&self.0, frame).unwrap();
    }

    /// The first frame that `wanted` likes, or `None` after a bounded wait.
    pub fn receive(&self, wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let deadline = Instant::now() + Duration::from_secs(3);
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let timeout = left.as_millis() as i32;
            let mut poll = libc::pollfd {
                fd: self.0.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one record, which outlives the call.
            if unsafe { libc::poll(&raw mut poll, 1, timeout) } <= 0 {
                return None;
            }
            let mut frame = vec![0; 4096];
            let length = nix::unistd::read(&self.0, &mut frame).unwrap();
            frame.truncate(length);
            if wanted(&frame) {
                return Some(frame);
            }
        }
        None
    }
}

/// Waits for a condition, for so long and no longer.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
