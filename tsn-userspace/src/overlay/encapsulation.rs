//! The headers that bring a routed packet to its next hop.

use tsn_port::NextHopId;

use super::next_hop::NextHop;

/// All next hops, by the number that the kernel program gives with a frame.
#[derive(Debug, Default)]
pub struct NextHops(Vec<Option<NextHop>>);

impl NextHops {
    /// Of these; of two with the same number the last one counts. As much memory as the highest number needs.
    pub fn new(next_hops: impl IntoIterator<Item = (NextHopId, NextHop)>) -> Self {
        let mut table = Vec::new();
        for (id, next_hop) in next_hops {
            let index = usize::from(id.0.get());
            if table.len() <= index {
                table.resize(index + 1, None);
            }
            table[index] = Some(next_hop);
        }
        Self(table)
    }

    /// The one with this number.
    pub fn get(&self, id: NextHopId) -> Option<&NextHop> {
        self.0.get(usize::from(id.0.get()))?.as_ref()
    }
}
