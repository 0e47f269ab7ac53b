//! Sockets over a mempool on a real veth pair. Needs root.

use std::time::Duration;

use tsn_common::Rule;
use tsn_port::conformance::{self, TestBed};
use tsn_port::{PodAddresses, VethEnd};
use tsn_programs::{Device, ProgramError, Programs, VethPod, VethPods, within_netns};
use tsn_tests::bpffs::Bpffs;
use tsn_tests::namespace::Namespace;

use super::*;
use crate::{Eal, EalConfig, Hugepages, PoolConfig};

const POD_END: &str = "eth0";
const HOST_END: &str = "host0";

#[derive(Debug, thiserror::Error)]
enum AttachError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Xsk(#[from] XskError),
}

/// A port on the pod's end that transmits, and the one on the host end, which receives.
struct Bed {
    sender: XskPort,
    receiver: XskPort,
    pool: Mempool,
    _pods: VethPods,
}

impl TestBed for Bed {
    type Port = XskPort;

    fn ports(&mut self) -> (&mut XskPort, &mut XskPort) {
        (&mut self.sender, &mut self.receiver)
    }

    fn free_buffers(&mut self) -> usize {
        self.pool.free_frames() as usize
    }
}

fn pool() -> Mempool {
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::None,
        memory_mib: 64,
        file_prefix: "tsn-dpdk-xsk".into(),
        pci_devices: Vec::new(),
    });
    let config = PoolConfig {
        name: "frames".into(),
        frames: 4096,
        frame_bytes: 2048,
        numa_node: None,
    };
    Mempool::new(eal.expect("an EAL"), &config).expect("a pool")
}

/// Ports on both ends; for the pod's end no program is needed, since it only sends.
fn open(pod: &Namespace, bpffs: &Bpffs, pool: Mempool) -> Bed {
    let attachment = VethPod {
        name: "pod".into(),
        end: VethEnd {
            netns: pod.path().to_owned(),
            interface: POD_END.into(),
            addresses: PodAddresses::default(),
        },
        mode: tsn_port::PodMode::L2,
        rules: vec![Rule::default()],
    };
    let programs = Programs::open(&bpffs.path().join("tsnd"), Duration::from_secs(3600));
    let mut pods = VethPods::new(programs.expect("programs"));
    pods.programs.heartbeat().beat();
    let receiver = pods
        .attach(&attachment, |pod| {
            XskPort::open(pool, pod, Finisher::Software).map_err(AttachError::from)
        })
        .expect("attached");
    let sender = within_netns(pod.path(), || {
        Ok(XskPort::open_to_send(pool, &Device::by_name(POD_END)?).expect("the pod's end"))
    });
    Bed {
        sender: sender.expect("entered"),
        receiver,
        pool,
        _pods: pods,
    }
}

/// A frame whose checksum was left to the uplink's device has it when headers are put in front of it, where no device
/// would look for it.
fn a_frame_grows_with_a_whole_checksum(pool: Mempool) {
    let mut bytes = [&[2; 12][..], &[0x08, 0]].concat();
    bytes.extend([
        0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    // Source and destination, protocol and length: what a pod's kernel leaves of the sum.
    let pseudo_header = 0x0a00u16 + 0x0001 + 0x0a00 + 0x0002 + 17 + 12;
    bytes.extend([0x1e, 0x6c, 0x1e, 0x6c, 0, 12]);
    bytes.extend(pseudo_header.to_be_bytes());
    bytes.extend([1, 2, 3, 4]);
    let mut whole = bytes.clone();
    assert!(tsn_port::checksum::complete(&mut whole), "one to complete");

    let mut frame = pool.allocate(bytes.len()).expect("a free mbuf");
    frame.bytes_mut().copy_from_slice(&bytes);
    frame.finish(Finisher::Uplink);
    assert_eq!(frame.bytes(), bytes, "left to the device");
    assert!(!frame.prepend(1 << 15) && frame.bytes() == bytes, "no room");
    assert!(frame.prepend(50), "room for a tunnel");
    assert_eq!(frame.bytes()[50..], whole);
}

#[test]
fn a_socket_over_a_mempool_conforms_and_gives_everything_back() {
    let pool = pool();
    let node = Namespace::new("node").expect("a namespace");
    let pod = Namespace::new("pod").expect("a namespace");
    let bpffs = Bpffs::mount().expect("a bpffs");
    let veth = format!(
        "link add {HOST_END} type veth peer name {POD_END} netns {}\nlink set {HOST_END} up\n",
        pod.name()
    );
    node.batch("ip", &veth).expect("a veth pair");
    pod.batch("ip", &format!("link set {POD_END} up\n"))
        .expect("up");
    // In a thread that DPDK keeps no buffers for.
    node.enter(|| {
        a_frame_grows_with_a_whole_checksum(pool);
        let mut bed = open(&pod, &bpffs, pool);
        conformance::run(&mut bed);
        let counters = bed.receiver.counters();
        assert!(
            counters.receive_no_buffer > 0,
            "the suite has exhausted the fill ring: {counters:?}"
        );
        // With frames in every ring.
        for _ in 0..10 {
            let frame = bed.sender.allocate(100).expect("a free mbuf");
            bed.sender.transmit(frame).expect("room");
        }
        drop(bed);
        assert_eq!(pool.frames_in_use(), 0, "closing frees every mbuf");
    })
    .expect("entered");
}
