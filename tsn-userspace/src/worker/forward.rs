//! Frames of overlay pods: from the pod's router, which they are addressed to, to the next hop.

use tsn_core::TrafficClass;
use tsn_port::Frame;

use crate::config::Marking;
use crate::overlay::encapsulation::NextHops;

/// What forwards packets in the kernel's stead.
#[derive(Debug)]
pub struct Forwarder {
    next_hops: Box<NextHops>,
    markings: [Marking; 8],
    /// Of the next outer IPv4 header.
    identification: u16,
}

impl Forwarder {
    /// Without a next hop yet.
    pub fn new(markings: [Marking; 8]) -> Self {
        Self {
            next_hops: Box::default(),
            markings,
            identification: 0,
        }
    }

    /// Takes these next hops from now on. Those it had.
    pub fn replace(&mut self, next_hops: Box<NextHops>) -> Box<NextHops> {
        std::mem::replace(&mut self.next_hops, next_hops)
    }

    /// Makes of a frame that a pod sent to its router the one that leaves the node. How many bytes are then in front of
    /// its service data unit; `None` if it came without a next hop or with one that is there no longer, if it holds no
    /// packet to forward, or if its buffer has no room for the headers. It is to be dropped then.
    pub fn forward(&mut self, frame: &mut impl Frame, class: TrafficClass) -> Option<u32> {
        let next_hop = self.next_hops.get(frame.next_hop()?)?;
        frame.complete();
        let marking = self.markings[usize::from(class.as_u8())];
        self.identification = self.identification.wrapping_add(1);
        next_hop.apply(frame, marking, self.identification).ok()
    }
}
