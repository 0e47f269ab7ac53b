//! Pods behind a vhost-user socket, with `dpdk-testpmd` as the program at its other end and as the switch behind the
//! uplink: frames go both ways, also after either side was restarted, and no frame buffer is lost over it.

mod common;

use std::path::PathBuf;

use common::{
    BOUND,
    counters::{Counters, number},
};
use tsn_tests::{
    backend::Backend,
    daemon::{Daemon, Home},
    namespace::Namespace,
    process::Signal,
    testpmd::{BURST_FRAMES, Testpmd},
    wait::wait_until,
};

const GUEST_MAC: &str = "02:00:00:00:01:02";
const STATION_MAC: &str = "02:00:00:00:02:01";
const RESTARTS: u32 = 10;
const BURSTS: u64 = 2;

/// Who makes a socket, and so can be the one that stays while the other is restarted: DPDK's virtio device connects once.
#[derive(Clone, Copy, PartialEq)]
enum Listener {
    Tsnd,
    Peer,
}

/// A node whose uplink is a virtio device of a switch, and where a guest's socket is.
struct Bed {
    node: Namespace,
    home: Home,
    switch: Testpmd,
    at_switch: Listener,
    at_guest: Listener,
}

impl Bed {
    fn new(at_switch: Listener, at_guest: Listener) -> Self {
        let (node, home) = (
            Namespace::new("node").unwrap(),
            Home::with_backend(Backend::Dpdk).unwrap(),
        );
        Self {
            switch: start_switch(&node, &home, at_switch),
            node,
            home,
            at_switch,
            at_guest,
        }
    }

    fn guest_socket(&self) -> PathBuf {
        self.home.file("guest.sock")
    }

    /// Starts a guest; if it makes the socket it is ready only when the daemon has connected.
    fn spawn_guest(&self) -> Testpmd {
        let device = format!(
            "net_virtio_user0,path={},mac={GUEST_MAC}{}",
            self.guest_socket().display(),
            server(self.at_guest, Listener::Peer)
        );
        let to_station = format!("--eth-peer=0,{STATION_MAC}");
        Testpmd::spawn(&self.node, &device, &[&to_station]).unwrap()
    }

    /// Starts a guest in the place of one that was killed, and waits until it takes commands.
    fn start_guest(&self) -> Testpmd {
        if self.at_guest == Listener::Peer {
            let _ = std::fs::remove_file(self.guest_socket()); // DPDK does not
        }
        let mut guest = self.spawn_guest();
        guest.wait_ready().unwrap();
        guest
    }

    /// Starts the daemon, and waits until the frames by which it measures its lead are through.
    fn start_daemon(&mut self) -> Daemon {
        let received = self.received();
        let configuration = format!(
            r#"
worker: {{ heartbeat-timeout: 10s }}
{}uplinks:
  - device: net_virtio_user0,path={}{}
    link-speed: 10000
pods:
  - name: guest
    vhost-user: {{ socket: {}, peer-listens: {}, address: "{GUEST_MAC}" }}
    streams: [{{ name: all, match: {{}}, traffic-class: 0 }}]
"#,
            Backend::Dpdk.settings(),
            self.home.file("switch.sock").display(),
            server(self.at_switch, Listener::Tsnd),
            self.guest_socket().display(),
            self.at_guest == Listener::Peer
        );
        let options = ["--cpu", "1"];
        let daemon = Daemon::start(&self.node, &self.home, &configuration, &options).unwrap();
        let probes = number(&Counters::of(&daemon).status["uplink"]["lead-probes"]);
        wait_until("the probes at the switch", BOUND, || {
            self.received() - received == probes
        })
        .unwrap();
        daemon
    }

    /// Starts the daemon and a guest; who makes the socket is first.
    fn start(&mut self) -> (Daemon, Testpmd) {
        let early = (self.at_guest == Listener::Peer).then(|| self.spawn_guest());
        let daemon = self.start_daemon();
        let mut guest = early.unwrap_or_else(|| self.spawn_guest());
        guest.wait_ready().unwrap();
        (daemon, guest)
    }

    /// Sends from the guest to the switch and back; every frame arrives. The guest first: what it sends waits in its
    /// ring until the daemon sees it, what is sent to it before that is dropped.
    fn exchange(&mut self, guest: &mut Testpmd) {
        let (received, sent) = (self.received(), guest.stats().unwrap().sent);
        guest.send(BURSTS).unwrap();
        assert_eq!(guest.stats().unwrap().sent - sent, BURSTS * BURST_FRAMES);
        wait_until("the guest's frames at the switch", BOUND, || {
            self.received() - received == BURSTS * BURST_FRAMES
        })
        .unwrap();

        let (received, sent) = (guest.stats().unwrap().received, self.sent());
        self.switch.send(BURSTS).unwrap();
        assert_eq!(self.sent() - sent, BURSTS * BURST_FRAMES);
        wait_until("the switch's frames at the guest", BOUND, || {
            guest.stats().unwrap().received - received == BURSTS * BURST_FRAMES
        })
        .unwrap();
    }

    /// How many frame buffers are free at rest. The uplink's driver keeps the buffers of the last few frames until the
    /// next ones leave, so frames leave one by one until it has been seen at all that it does.
    fn free_buffers(&mut self, guest: &mut Testpmd, daemon: &Daemon) -> u64 {
        const FRAMES: u64 = 8;
        guest.command("set burst 1").unwrap();
        let one_by_one = (0..FRAMES).map(|_| {
            let received = self.received();
            guest.send(1).unwrap();
            wait_until("a frame at the switch", BOUND, || {
                self.received() == received + 1
            })
            .unwrap();
            number(&Counters::of(daemon).status["uplink"]["free-frame-buffers"])
        });
        let most = one_by_one.max().unwrap_or_default();
        guest.command(&format!("set burst {BURST_FRAMES}")).unwrap();
        most
    }

    fn received(&mut self) -> u64 {
        self.switch.stats().unwrap().received
    }

    fn sent(&mut self) -> u64 {
        self.switch.stats().unwrap().sent
    }
}

/// The argument of a virtio device that `own` has.
fn server(listener: Listener, own: Listener) -> &'static str {
    if listener == own { ",server=1" } else { "" }
}

fn start_switch(node: &Namespace, home: &Home, listener: Listener) -> Testpmd {
    let client = u8::from(listener == Listener::Tsnd);
    let socket = home.file("switch.sock");
    let device = format!("net_vhost0,iface={},client={client}", socket.display());
    let to_guest = format!("--eth-peer=0,{GUEST_MAC}");
    let mut switch = Testpmd::start(node, &device, &[&to_guest]).unwrap();
    switch.receive().unwrap();
    switch
}

fn assert_nothing_dropped(daemon: &Daemon) {
    let counters = Counters::of(daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
}

/// Restarts the guest again and again, by turns with its port closed and killed in the middle.
fn guest_restarts(at_guest: Listener) {
    let mut bed = Bed::new(Listener::Peer, at_guest);
    let (daemon, mut guest) = bed.start();
    bed.exchange(&mut guest);
    let free_before = bed.free_buffers(&mut guest, &daemon);
    for restart in 0..RESTARTS {
        if restart % 2 == 0 {
            guest.quit().unwrap();
        } else {
            drop(guest);
        }
        guest = bed.start_guest();
        bed.exchange(&mut guest);
    }
    assert_eq!(bed.free_buffers(&mut guest, &daemon), free_before);
    assert_nothing_dropped(&daemon);
    println!("{RESTARTS} restarts of the guest; {free_before} frame buffers free before and after");
    guest.quit().unwrap();
    daemon.terminate().unwrap();
}

#[test]
fn a_guest_that_connects_to_tsnd_is_restarted_ten_times_without_a_leak() {
    guest_restarts(Listener::Tsnd);
}

#[test]
fn a_guest_that_tsnd_connects_to_is_restarted_ten_times_without_a_leak() {
    guest_restarts(Listener::Peer);
}

#[test]
fn tsnd_is_restarted_ten_times_under_a_guest_without_a_leak() {
    let mut bed = Bed::new(Listener::Peer, Listener::Peer);
    let (mut daemon, mut guest) = bed.start();
    bed.exchange(&mut guest);
    let free_before = bed.free_buffers(&mut guest, &daemon);
    for restart in 0..RESTARTS {
        if restart % 2 == 0 {
            daemon.terminate().unwrap();
        } else {
            daemon.process.signal(Signal::SIGKILL).unwrap();
            daemon.process.wait(BOUND).unwrap();
        }
        daemon = bed.start_daemon();
        bed.exchange(&mut guest);
        assert_eq!(bed.free_buffers(&mut guest, &daemon), free_before);
        assert_nothing_dropped(&daemon);
    }
    println!("{RESTARTS} restarts of tsnd; {free_before} frame buffers free each time");
    guest.quit().unwrap();
    daemon.terminate().unwrap();
}

#[test]
fn the_switch_is_restarted_ten_times_under_tsnd_without_a_leak() {
    let mut bed = Bed::new(Listener::Tsnd, Listener::Tsnd);
    let (daemon, mut guest) = bed.start();
    bed.exchange(&mut guest);
    let free_before = bed.free_buffers(&mut guest, &daemon);
    for _ in 0..RESTARTS {
        bed.switch.kill().unwrap();
        wait_for_uplink(&daemon, false);
        bed.switch = start_switch(&bed.node, &bed.home, bed.at_switch);
        wait_for_uplink(&daemon, true);
        bed.exchange(&mut guest);
    }
    assert_eq!(bed.free_buffers(&mut guest, &daemon), free_before);
    assert_nothing_dropped(&daemon);
    println!(
        "{RESTARTS} restarts of the switch; {free_before} frame buffers free before and after"
    );
    guest.quit().unwrap();
    daemon.terminate().unwrap();
}

fn wait_for_uplink(daemon: &Daemon, up: bool) {
    wait_until(&format!("the uplink's up to be {up}"), BOUND, || {
        Counters::of(daemon).status["uplink"]["up"] == up
    })
    .unwrap();
}
