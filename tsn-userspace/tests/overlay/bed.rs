//! A node that Flannel has connected to another one.

use ipnet::IpNet;
use tsn_port::MacAddress;
use tsn_tests::namespace::Namespace;

/// A router with an uplink, a bridge of pods, and the pods of a second node behind the VXLAN device.
const DEVICES: &str = "
    link add eth0 address 02:00:00:00:00:11 type veth peer name wire0
    link set wire0 up
    link set eth0 up
    addr add 192.168.0.1/24 dev eth0
    addr add fd00:168::1/64 dev eth0 nodad
    link add cni0 mtu 1450 type bridge
    link set cni0 up
    addr add 10.244.1.1/24 dev cni0
    link add flannel.1 address 02:00:00:00:00:13 mtu 1450 type vxlan id 1 local 192.168.0.1 dev eth0 dstport 8472 nolearning
    addr add 10.244.1.0/32 dev flannel.1
    link set flannel.1 up
    route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink
    neigh add 10.244.2.0 lladdr 02:00:00:00:00:32 dev flannel.1 nud permanent
    neigh add 192.168.0.2 lladdr 02:00:00:00:00:22 dev eth0 nud reachable
";
const FORWARDING_ENTRIES: &str = "fdb append 02:00:00:00:00:32 dev flannel.1 dst 192.168.0.2\n";

pub fn mac(last: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, last])
}

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub fn router() -> Namespace {
    let node = Namespace::new("mirror").unwrap();
    node.batch("ip", DEVICES).unwrap();
    node.batch("bridge", FORWARDING_ENTRIES).unwrap();
    for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        node.set_sysctl(key, "1").unwrap();
    }
    node
}

/// Runs in the namespace, on a runtime of its own.
pub fn inside<T: Send>(node: &Namespace, work: impl AsyncFnOnce() -> T + Send) -> T {
    let run = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async { work().await })
    };
    node.enter(run).unwrap()
}
