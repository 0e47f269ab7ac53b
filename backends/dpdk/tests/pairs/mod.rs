//! The pairs of devices that the suite runs over.

use tsn_dpdk::Eal;
use tsn_port::conformance;

use crate::bed::{Bed, veth_pair};

/// Slots of virtio_user's queues unless told otherwise.
const VIRTIO_SLOTS: usize = 256;

/// Runs the suite over every pair, one after the other.
pub fn all(eal: Eal) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket").display().to_string();
    let vhost = format!("net_vhost0,iface={path},linear-buffer=1");
    let virtio = format!("net_virtio_user0,path={path}");
    let mut bed = Bed::new(eal, &vhost, &virtio);
    bed.kept_by_driver = VIRTIO_SLOTS;
    bed.needed_to_receive = 1;
    over("virtio_user to vhost", bed);
    over(
        "vhost to virtio_user",
        Bed::new(eal, &vhost, &virtio).turned(),
    );

    veth_pair();
    let packet = |number: u32, end: &str| {
        format!("net_af_packet{number},iface={end},framecnt=4096,qdisc_bypass=1")
    };
    let mut bed = Bed::new(eal, &packet(0, "far"), &packet(1, "near"));
    bed.needed_to_receive = 1;
    over("af_packet over a veth pair", bed);
}

fn over(pair: &str, mut bed: Bed) {
    println!("{pair}");
    conformance::run(&mut bed);
    bed.close();
}
