//! Peers that are killed, that do not listen, and a second process with the same prefix. One EAL in a process, so one
//! test in this file; the peers are this program again.

mod bed;

use std::env;
use std::process::{Child, Command, Stdio};

use tsn_dpdk::{Eal, EalConfig, EthPort, Hugepages, Mempool, WakeError};
use tsn_port::Port;
use tsn_tests::wait::{wait_for, wait_until};

use bed::{PATIENCE, port};

/// The device that the program is to send and receive by, when it is a peer.
const PEER: &str = "TSN_DPDK_TEST_PEER";

#[test]
fn faults_are_survived() {
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::None,
        memory_mib: 128,
        // The same in parent and children, all at the same time.
        file_prefix: "tsn-dpdk-faults".into(),
        pci_devices: Vec::new(),
    })
    .unwrap();
    let pool = bed::pool(eal);
    if let Ok(device) = env::var(PEER) {
        echo(&mut port(eal, pool, &device));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket").display().to_string();

    let mut server = port(
        eal,
        pool,
        &format!("net_vhost0,iface={path},linear-buffer=1"),
    );
    let peer = format!("net_virtio_user0,path={path}");
    let first = Killed::start(&peer);
    a_peer_is_killed(&mut server, pool, first, &peer, 0);
    drop(server);

    let peer = format!("net_vhost0,iface={path},client=1");
    let first = Killed::start(&peer); // DPDK waits for it
    let mut switch_end = port(eal, pool, &format!("net_virtio_user0,path={path},server=1"));
    // The driver keeps sent frames until their slots are needed, whatever became of the switch.
    let transmit_slots = 256;
    a_peer_is_killed(&mut switch_end, pool, first, &peer, transmit_slots);
    drop(switch_end);
    assert_eq!(pool.frames_in_use(), 0, "buffers are left behind");
    a_peer_that_does_not_listen_is_told(eal, pool, &path);
    assert_eq!(pool.frames_in_use(), 0, "buffers are left behind");
}

/// Kills the peer ten times with frames on the way both ways, and starts it again.
fn a_peer_is_killed(
    port: &mut EthPort,
    pool: Mempool,
    first: Killed,
    peer: &str,
    kept_by_driver: u32,
) {
    let at_rest = pool.frames_in_use();
    let mut next = Some(first);
    for round in 0..10 {
        let mut child = next.take().unwrap_or_else(|| Killed::start(peer));
        wait_until("the link to come up", PATIENCE, || port.wake().is_ok()).unwrap();
        let mut back = 0;
        wait_until("frames to go there and back", PATIENCE, || {
            send(port);
            while port.receive().is_some() {
                back += 1;
            }
            child.lives() && back >= 200
        })
        .unwrap();
        drop(child);
        let down = wait_for("the link to go down", PATIENCE, || {
            send(port);
            port.wake().err()
        });
        assert!(matches!(down, Ok(WakeError::LinkDown { .. })), "{down:?}");
        while port.receive().is_some() {}
        let waiting = port.levels().transmit_used;
        let held = pool.frames_in_use() - waiting;
        assert!(
            held.abs_diff(at_rest) <= kept_by_driver,
            "round {round}: {at_rest} buffers were held before, and {held} after"
        );
    }
}

fn a_peer_that_does_not_listen_is_told(eal: Eal, pool: Mempool, path: &str) {
    let mut deaf = port(eal, pool, &format!("net_vhost0,iface={path}"));
    let mut sender = port(eal, pool, &format!("net_virtio_user0,path={path}"));
    wait_until("the links", PATIENCE, || {
        sender.wake().is_ok() && deaf.wake().is_ok()
    })
    .unwrap();
    let stuck = wait_for("the sender to be stuck", PATIENCE, || {
        send(&mut sender);
        sender.wake().err()
    });
    assert!(matches!(stuck, Ok(WakeError::Stuck { .. })), "{stuck:?}");
    wait_until(
        "the frames to leave once the peer listens",
        PATIENCE,
        || {
            while deaf.receive().is_some() {}
            sender.wake().is_ok() && sender.levels().transmit_used == 0
        },
    )
    .unwrap();
}

fn send(port: &mut EthPort) {
    if let Some(frame) = port.allocate(60) {
        // A full port gives it back, which is freed.
        let _ = port.transmit(frame);
    }
    let _ = port.wake();
}

/// Sends back what it receives until it is killed.
fn echo(port: &mut EthPort) {
    loop {
        for _ in 0..32 {
            let Some(frame) = port.receive() else { break };
            let _ = port.transmit(frame);
        }
        let _ = port.wake();
        std::thread::yield_now();
    }
}

/// This program as a peer; killed when dropped.
struct Killed(Child);

impl Killed {
    fn start(device: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(PEER, device).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
