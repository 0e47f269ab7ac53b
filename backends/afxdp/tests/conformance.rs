//! The suite of every backend on real AF_XDP ports over a veth pair. Needs root.

mod bed;

use tsn_port::{Port, conformance};

#[test]
fn afxdp_conforms() {
    let mut bed = bed::Bed::new();
    conformance::run(&mut bed);
    let counters = bed.receiver.counters();
    assert!(
        counters.receive_no_buffer > 0,
        "the suite has exhausted the fill ring: {counters:?}"
    );
}
