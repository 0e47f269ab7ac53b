//! Pairs of connected ports, for the conformance suite and the tests of faults.

#![allow(dead_code)] // each test file uses its own part

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use tsn_dpdk::{Eal, EthDevice, EthOptions, EthPort, Mempool, PoolConfig};
use tsn_port::conformance::TestBed;
use tsn_tests::wait::wait_until;

/// Long enough for two devices on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Buffers of each pool: rings of two virtual devices and much more than the suite holds.
pub const FRAMES: u32 = 4096;

/// Two connected ports that receive into one pool.
pub struct Bed {
    pub sender: EthPort,
    pub receiver: EthPort,
    pub pool: Mempool,
    /// By how many the drivers' buffers may differ at rest.
    pub kept_by_driver: usize,
    /// Buffers that the receiver's driver takes for each frame when it is received.
    pub needed_to_receive: usize,
}

impl Bed {
    /// Opens both, the sender last, and waits until both links are up.
    pub fn new(eal: Eal, receiver: &str, sender: &str) -> Self {
        let pool = pool(eal);
        let receiver = port(eal, pool, receiver);
        let sender = port(eal, pool, sender);
        let bed = Self {
            sender,
            receiver,
            pool,
            kept_by_driver: 0,
            needed_to_receive: 0,
        };
        wait_until("both links", PATIENCE, || {
            [&bed.sender, &bed.receiver]
                .iter()
                .all(|port| port.device().link().is_some_and(|link| link.up))
        })
        .unwrap();
        bed
    }

    /// The same pair, used in the other direction.
    pub fn turned(self) -> Self {
        Self {
            sender: self.receiver,
            receiver: self.sender,
            ..self
        }
    }

    /// Closes both, and demands all buffers back.
    pub fn close(self) {
        let pool = self.pool;
        drop(self);
        assert_eq!(
            pool.frames_in_use(),
            0,
            "closing the ports leaves buffers behind"
        );
    }
}

impl TestBed for Bed {
    type Port = EthPort;

    fn ports(&mut self) -> (&mut EthPort, &mut EthPort) {
        (&mut self.sender, &mut self.receiver)
    }

    fn free_buffers(&mut self) -> usize {
        self.pool.free_frames() as usize
    }

    fn kept_by_driver(&self) -> usize {
        self.kept_by_driver
    }

    fn needed_to_receive(&self) -> usize {
        self.needed_to_receive
    }
}

/// A pool of its own for each bed, since pools last as long as the process.
pub fn pool(eal: Eal) -> Mempool {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let config = PoolConfig {
        name: format!("frames{}", NUMBER.fetch_add(1, Ordering::Relaxed)),
        frames: FRAMES,
        frame_bytes: 2048,
        numa_node: None,
    };
    Mempool::new(eal, &config).unwrap()
}

pub fn port(eal: Eal, pool: Mempool, device: &str) -> EthPort {
    let options = EthOptions {
        receive_slots: 512,
        promiscuous: true,
    };
    let device = EthDevice::open(eal, pool, &device.parse().unwrap(), options).unwrap();
    EthPort::new(device, pool)
}

/// Moves this thread into a network namespace of its own with a veth pair `near` and `far`.
pub fn veth_pair() {
    unshare(CloneFlags::CLONE_NEWNET).expect("cannot make a namespace: this test needs root");
    ip("link add near type veth peer name far");
    // The suite sends frames of the length that a tag makes, without a tag, which a packet socket wants an MTU for.
    for end in ["near", "far"] {
        ip(&format!("link set {end} mtu 1504"));
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1").unwrap();
        ip(&format!("link set {end} up"));
    }
}

/// Runs `ip` in this thread's namespace.
pub fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
}
