//! What the tests of overlay mode share: the nodes, a daemon's configuration, and what pods say to each other.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
};

use tsn_tests::{
    capture::{Capture, CapturedFrame},
    clients::python,
    daemon::{Daemon, Home},
    overlay::{Family, Kind, Network, Node, POD_NETWORKS, unwrapped},
    topology::Pod,
    wait::wait_until,
};

use super::{
    BEST_EFFORT, BOUND, CONTROL, Settings, VIDEO, configuration_without_pods,
    counters::{Counters, number},
    wait_at_rest,
};

/// Two nodes that Flannel connects, and the place where the near node's daemon lives.
pub struct OverlayBed {
    /// The nodes.
    pub network: Network,
    /// Of the near node's daemon.
    pub home: Home,
}

impl OverlayBed {
    /// With so many pods on each node.
    pub fn new(kind: Kind, pods_per_node: u8) -> Self {
        Self {
            network: Network::new(kind, pods_per_node).unwrap(),
            home: Home::new().unwrap(),
        }
    }

    /// A pod of the near node, by its number from 1 on.
    pub fn near(&self, number: usize) -> &Pod {
        &self.network.near.pods[number - 1]
    }

    /// A pod of the far node, by its number from 1 on.
    pub fn far(&self, number: usize) -> &Pod {
        &self.network.far.pods[number - 1]
    }

    /// A configuration with all pods of the near node in overlay mode.
    pub fn configuration(&self, settings: &Settings<'_>) -> String {
        node_configuration(&self.network.near, settings)
    }

    /// Starts the near node's daemon with all its pods in overlay mode.
    pub fn start(&self, settings: &Settings<'_>) -> Daemon {
        self.start_with(&self.configuration(settings))
    }

    /// Starts the near node's daemon.
    pub fn start_with(&self, configuration: &str) -> Daemon {
        let near = &self.network.near.namespace;
        Daemon::start(near, &self.home, configuration, &["--cpu", "1"]).unwrap()
    }

    /// Sees what leaves the near node, whole.
    pub fn capture(&self) -> Capture {
        self.network.capture().unwrap()
    }
}

/// A configuration with all pods of a node in overlay mode.
pub fn node_configuration(node: &Node, settings: &Settings<'_>) -> String {
    let pods: Vec<String> = node
        .pods
        .iter()
        .map(|pod| pod_settings(pod, settings))
        .collect();
    format!(
        "{}overlay: {{ pod-networks: [ '{}', '{}' ] }}\npods: [ {} ]\n",
        configuration_without_pods(settings),
        POD_NETWORKS[0],
        POD_NETWORKS[1],
        pods.join(", ")
    )
}

/// A pod in overlay mode as an element of `pods`: as [`pod_settings`](super::pod_settings) otherwise.
pub fn pod_settings(pod: &Pod, settings: &Settings<'_>) -> String {
    let l2 = super::pod_settings(pod, settings);
    l2.replacen('{', r#"{ "mode": "overlay", "#, 1)
}

/// A pod's address.
pub fn address(pod: &Pod, family: Family) -> IpAddr {
    match family {
        Family::V4 => pod.ipv4.into(),
        Family::V6 => pod.ipv6.into(),
    }
}

/// A UDP socket in a pod; port 0 is any.
pub fn udp_socket(pod: &Pod, family: Family, port: u16) -> UdpSocket {
    let at = SocketAddr::from((address(pod, family), port));
    let socket = pod
        .namespace
        .enter(|| UdpSocket::bind(at))
        .unwrap()
        .unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    socket
}

/// Asks for an echo as `ping` does, so many times, and fails unless all are answered.
const PING: &str = r#"
import socket, struct, sys
family, request, reply, protocol = (socket.AF_INET6, 128, 129, 58) if ":" in sys.argv[1] else (socket.AF_INET, 8, 0, 1)
s = socket.socket(family, socket.SOCK_RAW, protocol)
s.settimeout(10)
for number in range(int(sys.argv[2])):
    packet = struct.pack("!BBHHH", request, 0, 0, 77, number) + b"echo" * 10
    total = sum(struct.unpack("!24H", packet))
    total = (total & 0xffff) + (total >> 16)
    checksum = ~((total & 0xffff) + (total >> 16)) & 0xffff
    s.sendto(packet[:2] + struct.pack("!H", checksum) + packet[4:], (sys.argv[1], 0))
    while True:
        answer = s.recv(2000)
        answer = answer[20:] if family == socket.AF_INET else answer
        if answer[0] == reply and answer[4:] == packet[4:]:
            break
"#;

/// Pings an address from a pod.
pub fn ping(from: &Pod, to: IpAddr, times: u32) {
    let arguments = [to.to_string(), times.to_string()];
    let ping = python(&from.namespace, PING, &arguments).unwrap();
    ping.finish(BOUND).unwrap();
}

/// Sends so many bytes by TCP, whose destination port is not that of any stream. They come back byte by byte the same.
pub fn tcp_there_and_back(from: &Pod, to: &Pod, family: Family, bytes: usize) {
    let at = SocketAddr::from((address(to, family), 0));
    let listener = to
        .namespace
        .enter(|| TcpListener::bind(at))
        .unwrap()
        .unwrap();
    let server = listener.local_addr().unwrap();
    let sent: Vec<u8> = (0..bytes).map(|index| (index / 7) as u8).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(BOUND)).unwrap();
            let mut received = vec![0; bytes];
            stream.read_exact(&mut received).unwrap();
            stream.write_all(&received).unwrap();
        });
        let mut stream = from
            .namespace
            .enter(|| TcpStream::connect_timeout(&server, BOUND))
            .unwrap()
            .unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.write_all(&sent).unwrap();
        let mut back = vec![0; bytes];
        stream.read_exact(&mut back).unwrap();
        assert!(back == sent, "what came back differs");
    });
}

/// A datagram there, and one back.
pub fn exchange(from: &Pod, to: &Pod, family: Family, port: u16) {
    let (asking, answering) = (udp_socket(from, family, 0), udp_socket(to, family, port));
    asking
        .send_to(b"ask", answering.local_addr().unwrap())
        .unwrap();
    let mut buffer = [0; 16];
    let (length, back) = answering.recv_from(&mut buffer).unwrap();
    assert_eq!(
        (&buffer[..length], back),
        (&b"ask"[..], asking.local_addr().unwrap())
    );
    answering.send_to(b"reply", back).unwrap();
    let (length, _) = asking.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"reply");
}

/// Those of the frames that carry a UDP datagram of one of our streams, without a tunnel around them.
pub fn datagrams(frames: &[CapturedFrame]) -> Vec<CapturedFrame> {
    let ours = [CONTROL, VIDEO, BEST_EFFORT];
    let is_ours = |frame: &CapturedFrame| {
        frame
            .udp_destination()
            .is_some_and(|port| ours.contains(&port))
    };
    frames.iter().map(unwrapped).filter(is_ours).collect()
}

/// Waits until what near pod 1 sends to far pod 1 leaves by the daemon.
pub fn wait_for_fast_path(bed: &OverlayBed, daemon: &Daemon, family: Family) {
    let socket = udp_socket(bed.near(1), family, 0);
    let to = (address(bed.far(1), family), CONTROL);
    let received = || number(&Counters::of(daemon).stream("pod1", "timed")["received"]);
    let before = received();
    wait_until("the daemon to take the pod's datagrams", BOUND, || {
        socket.send_to(b"probe", to).unwrap();
        received() > before
    })
    .unwrap();
    wait_at_rest(daemon);
}
