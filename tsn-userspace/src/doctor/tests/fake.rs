//! A machine that is as it should be, to break.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;
use tsn_common::LAYOUT;
use tsn_core::{ClassCounters, Nanoseconds};
use tsn_port::MacAddress;
use tsn_programs::{Channels, Coalescing, Device, Ethtool, Pinned, PinnedProgram, XdpAttachment};

use super::super::{
    Answers, ClockFacts, Daemon, DeviceKey, Kernel, Machine, Report, Subject, examine,
};
use super::files::{DPDK_FILES, DPDK_LINKS, FILES};
use crate::clock::ClockMonitor;
use crate::config::{Configuration, Pod, VhostUser};
use crate::control::api::{ClassStatus, GatesStatus, PodStatus, Status, UplinkStatus};
use crate::worker::snapshot::{PodSnapshot, Snapshot};
use crate::worker::stall::StallTotals;

/// Process of the fake daemon.
pub const DAEMON: u32 = 4_000_001;
/// Thread of its worker.
pub const WORKER: u32 = 4_000_002;

const CONFIGURATION: &str = "
uplinks:
  - { device: eth1, traffic-classes: [ { number: 7 } ] }
pods:
  - name: pod1
    netns: /run/netns/pod1
    streams: [ { name: all, match: {}, traffic-class: 7 } ]
";

type Devices = HashMap<(Option<PathBuf>, String), (Device, Ethtool)>;

/// Answers of a kernel.
pub struct FakeKernel {
    pub af_xdp: Option<io::ErrorKind>,
    pub clock: ClockFacts,
    pub devices: Devices,
    pub pinned: Result<Pinned, io::ErrorKind>,
    /// Done between the two looks at the threads.
    pub meanwhile: Rc<dyn Fn()>,
}

impl Kernel for FakeKernel {
    fn af_xdp(&self) -> io::Result<()> {
        self.af_xdp.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn clock(&self) -> ClockFacts {
        self.clock
    }

    fn device(&self, netns: Option<&Path>, key: DeviceKey<'_>) -> io::Result<(Device, Ethtool)> {
        let found = self.devices.iter().find(|((of, name), (device, _))| {
            of.as_deref() == netns
                && match key {
                    DeviceKey::Name(wanted) => name == wanted,
                    DeviceKey::Index(wanted) => device.index == wanted,
                }
        });
        found
            .map(|(_, answer)| answer.clone())
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such device"))
    }

    fn pinned(&self, _: &Path) -> io::Result<Pinned> {
        self.pinned.clone().map_err(Into::into)
    }

    fn program_name(&self, _: u32) -> Option<String> {
        Some("stranger".to_owned())
    }

    fn wait(&self, _: Duration) {
        (self.meanwhile)();
    }
}

/// A machine, and what is asked about it.
pub struct Scenario {
    pub root: Rc<TempDir>,
    pub kernel: FakeKernel,
    pub subject: Subject,
}

impl Scenario {
    /// One in which all is well.
    pub fn healthy() -> Self {
        let scenario = Self {
            // In memory where that is to be had: there are many of them, with many small files.
            root: Rc::new(
                TempDir::new_in("/dev/shm")
                    .or_else(|_| TempDir::new())
                    .unwrap(),
            ),
            kernel: FakeKernel {
                af_xdp: None,
                clock: ClockFacts {
                    synchronised: true,
                    tai_utc_offset_s: 37,
                    max_error_us: 500,
                    read_ns: 29,
                },
                devices: devices(),
                pinned: Ok(pinned()),
                meanwhile: Rc::new(|| {}),
            },
            subject: Subject {
                configuration: Some(Ok(Configuration::from_yaml(CONFIGURATION).unwrap())),
                device: None,
                cpu: None,
                pin_dir: "/sys/fs/bpf/tsnd".into(),
                control: "/run/tsnd/control.sock".into(),
                daemon: Daemon::Answers(Box::new(answers())),
            },
        };
        for (path, text) in FILES {
            scenario.write(path, text);
        }
        scenario.write(&format!("/proc/{DAEMON}/comm"), "tsnd\n");
        scenario.write(&format!("/proc/{DAEMON}/status"), "VmLck:\t   65536 kB\n");
        scenario.thread(DAEMON, WORKER, "tsnd-worker", 3, 1_000);
        scenario
    }

    /// One in which all is well for an uplink that DPDK drives, before the daemon is started.
    pub fn before_dpdk(uplink: &str) -> Self {
        let mut scenario = Self::healthy();
        scenario.silence(false);
        scenario.configuration().uplinks[0].device = uplink.to_owned();
        for (path, text) in DPDK_FILES {
            scenario.write(path, text);
        }
        for (path, target) in DPDK_LINKS {
            scenario.link(path, target);
        }
        scenario
    }

    pub fn write(&self, path: &str, text: &str) {
        write(self.root.path(), path, text);
    }

    /// The pod has a vhost-user socket instead of a namespace, in the file and at the daemon.
    pub fn vhost_user(&mut self, peer_listens: bool) {
        let socket = VhostUser {
            socket: "/run/tsnd/pod1.sock".into(),
            peer_listens,
            address: MacAddress([2, 0, 0, 0, 0, 1]),
            stamp_secret: None,
        };
        let change = |pod: &mut Pod| (pod.netns, pod.vhost_user) = (None, Some(socket.clone()));
        change(&mut self.answers().pods[0].pod);
        change(&mut self.configuration().pods[0]);
    }

    /// Files that change between the two looks.
    pub fn meanwhile(&mut self, files: &'static [(&str, &str)]) {
        let root = Rc::clone(&self.root);
        self.kernel.meanwhile = Rc::new(move || {
            for (path, text) in files {
                write(root.path(), path, text);
            }
        });
    }

    /// A symbolic link, in the place of one that is there.
    pub fn link(&self, path: &str, target: &str) {
        let path = self.root.path().join(&path[1..]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.is_symlink() {
            std::fs::remove_file(&path).unwrap();
        }
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.root.path().join(&path[1..])).unwrap();
    }

    /// A thread of real-time policy that is bound to a core.
    pub fn thread(&self, process: u32, thread: u32, name: &str, cpu: usize, ran_ns: u64) {
        let directory = format!("/proc/{process}/task/{thread}");
        self.write(
            &format!("{directory}/stat"),
            &format!(
                "{thread} ({name}) S {} {cpu} 50 1 0\n",
                "0 ".repeat(35).trim()
            ),
        );
        self.write(
            &format!("{directory}/status"),
            &format!("Name:\t{name}\nCpus_allowed_list:\t{cpu}\n"),
        );
        self.write(
            &format!("{directory}/schedstat"),
            &format!("{ran_ns} 0 1\n"),
        );
    }

    pub fn uplink(&mut self) -> &mut (Device, Ethtool) {
        self.device(None, "eth1")
    }

    pub fn pod_end(&mut self) -> &mut (Device, Ethtool) {
        self.device(Some("/run/netns/pod1"), "eth0")
    }

    pub fn host_end(&mut self) -> &mut (Device, Ethtool) {
        self.device(None, "veth1")
    }

    fn device(&mut self, netns: Option<&str>, name: &str) -> &mut (Device, Ethtool) {
        let key = (netns.map(PathBuf::from), name.to_owned());
        self.kernel.devices.get_mut(&key).unwrap()
    }

    pub fn answers(&mut self) -> &mut Answers {
        match &mut self.subject.daemon {
            Daemon::Answers(answers) => answers,
            Daemon::Silent { .. } | Daemon::NotAllowed => panic!("the daemon is silent"),
        }
    }

    pub fn configuration(&mut self) -> &mut Configuration {
        self.subject
            .configuration
            .as_mut()
            .unwrap()
            .as_mut()
            .unwrap()
    }

    /// The daemon ends; with it its process.
    pub fn silence(&mut self, socket_exists: bool) {
        self.subject.daemon = Daemon::Silent {
            reason: "no tsnd listens".to_owned(),
            socket_exists,
        };
        self.subject.cpu = Some(3);
        std::fs::remove_dir_all(self.root.path().join(format!("proc/{DAEMON}"))).unwrap();
    }

    pub fn examine(self) -> Report {
        let Self {
            root,
            kernel,
            subject,
        } = self;
        examine(&Machine::new(root.path(), Box::new(kernel)), &subject)
    }
}

/// Writes a file of the fake machine, with its directories.
pub fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(&path[1..]);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn devices() -> Devices {
    let xdp = |program_id| {
        Some(XdpAttachment {
            program_id,
            generic: false,
        })
    };
    let channels = |queues| {
        Some(Channels {
            receive: queues,
            transmit: queues,
            transmit_limit: queues,
        })
    };
    let uplink = Device {
        index: 5,
        name: "eth1".to_owned(),
        mtu: 1_500,
        running: true,
        xdp: xdp(11),
        ..Device::default()
    };
    let uplink_driver = Ethtool {
        driver: Some("igb".to_owned()),
        bus: Some("0000:01:00.0".to_owned()),
        speed_mbps: Some(1_000),
        channels: channels(4),
        gro: Some(true),
        lro: Some(false),
        tso: Some(false),
        receive_vlan: Some(false),
        coalescing: Some(Coalescing {
            receive_us: 0,
            adaptive: false,
        }),
        eee_active: Some(false),
        obeys_pause: Some(false),
        hardware_clock: Some(Some(0)),
    };
    let veth = |index, name: &str, mtu, peer, xdp| Device {
        index,
        name: name.to_owned(),
        kind: "veth".to_owned(),
        mtu,
        peer: Some(peer),
        running: true,
        xdp,
        ..Device::default()
    };
    let veth_driver = Ethtool {
        gro: Some(true),
        channels: channels(1),
        ..Ethtool::default()
    };
    HashMap::from([
        ((None, "eth1".to_owned()), (uplink, uplink_driver)),
        (
            (None, "veth1".to_owned()),
            (veth(7, "veth1", 1_524, 2, xdp(12)), veth_driver.clone()),
        ),
        (
            (Some("/run/netns/pod1".into()), "eth0".to_owned()),
            (veth(2, "eth0", 1_500, 7, None), veth_driver),
        ),
    ])
}

fn pinned() -> Pinned {
    let program = |name, owner: &str, id, ifindex| PinnedProgram {
        name,
        owner: owner.to_owned(),
        id,
        ifindex: Some(ifindex),
    };
    Pinned {
        layout: Some(LAYOUT),
        programs: vec![
            program("receive", "eth1", 11, 5),
            program("redirect", "pod1", 12, 7),
            program("stamp", "pod1", 13, 2),
        ],
    }
}

fn answers() -> Answers {
    let configuration = Configuration::from_yaml(CONFIGURATION).unwrap();
    let pod = PodSnapshot::default();
    let snapshot = Snapshot {
        lead: Nanoseconds::from_nanos(2_800),
        lead_observations: 64,
        ..Snapshot::default()
    };
    Answers {
        status: Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backend: "afxdp".to_owned(),
            at_ns: 1,
            started_at_unix_ns: 1,
            clock: ClockMonitor::new(Duration::ZERO, Duration::ZERO).sample(),
            uplink: UplinkStatus::new("eth1", 1_000, &snapshot),
            gates: GatesStatus {
                oper_gate_states: 0xff,
                config_change_time_ns: None,
                config_change_error: 0,
                config_pending: false,
                parameters: Default::default(),
            },
            classes: vec![ClassStatus::new(7, None, &ClassCounters::default())],
            stalls: StallTotals::default(),
            sleeps: 0,
            clock_steps: 0,
            pods: 1,
            cni_pods: 0,
        },
        pods: vec![PodStatus::new(
            &configuration.pods[0],
            Some(&pod),
            None,
            Default::default(),
        )],
        process_id: Some(DAEMON),
    }
}
