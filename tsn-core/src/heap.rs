//! The waiting frames of a class in the order of their times.

use crate::time::TaiTime;

/// Children of a node. With four instead of two a frame moves half as often, and the children lie
/// side by side.
const ARITY: usize = 4;

/// A priority queue of slots, earliest time first, equal times in the order of their arrival: a heap
/// in which each node comes before its four children.
#[derive(Debug)]
pub(crate) struct TimeHeap {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    time: TaiTime,
    arrival: u64,
    slot: u32,
}

impl Node {
    fn key(&self) -> u128 {
        u128::from(self.time.as_nanos()) << 64 | u128::from(self.arrival)
    }
}

impl TimeHeap {
    /// A heap that never allocates again as long as it holds no more than `capacity` slots.
    pub fn with_capacity(capacity: usize) -> Self {
        TimeHeap {
            nodes: Vec::with_capacity(capacity),
        }
    }

    /// The earliest time and its slot.
    #[inline]
    pub fn first(&self) -> Option<(TaiTime, u32)> {
        self.nodes.first().map(|node| (node.time, node.slot))
    }

    /// Puts a slot in; `arrival` is higher than that of all before.
    pub fn push(&mut self, time: TaiTime, arrival: u64, slot: u32) {
        let node = Node {
            time,
            arrival,
            slot,
        };
        let mut hole = self.nodes.len();
        self.nodes.push(node);
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if self.nodes[parent].key() < node.key() {
                break;
            }
            self.nodes[hole] = self.nodes[parent];
            hole = parent;
        }
        self.nodes[hole] = node;
    }

    /// Takes the earliest time's slot out.
    pub fn pop(&mut self) -> Option<u32> {
        let last = self.nodes.pop()?;
        let Some(first) = self.nodes.first() else {
            return Some(last.slot);
        };
        let slot = first.slot;
        let mut hole = 0;
        let last_key = last.key();
        while let Some((child, key)) = self.first_child(hole) {
            if last_key < key {
                break;
            }
            self.nodes[hole] = self.nodes[child];
            hole = child;
        }
        self.nodes[hole] = last;
        Some(slot)
    }

    /// The child of `parent` that comes before its other children, and its key.
    #[inline]
    fn first_child(&self, parent: usize) -> Option<(usize, u128)> {
        let start = parent * ARITY + 1;
        if let Some([a, b, c, d]) = self.nodes.get(start..start + ARITY) {
            let left = earlier((start, a.key()), (start + 1, b.key()));
            let right = earlier((start + 2, c.key()), (start + 3, d.key()));
            return Some(earlier(left, right));
        }
        let children = start..self.nodes.len();
        children
            .map(|child| (child, self.nodes[child].key()))
            .min_by_key(|(_, key)| *key)
    }
}

/// Which of two children it is cannot be predicted, so this is to become no branch.
#[inline]
fn earlier(one: (usize, u128), other: (usize, u128)) -> (usize, u128) {
    let is_other = other.1 < one.1;
    (
        if is_other { other.0 } else { one.0 },
        if is_other { other.1 } else { one.1 },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_out_by_time_and_then_by_arrival() {
        for count in [0_u64, 1, 2, 4, 5, 6, 21, 500] {
            let mut heap = TimeHeap::with_capacity(count as usize);
            let mut expected = Vec::new();
            for arrival in 0..count {
                let time = arrival * 7919 % 97;
                heap.push(TaiTime::from_nanos(time), arrival, arrival as u32);
                expected.push((time, arrival as u32));
            }
            expected.sort_unstable();
            for (time, slot) in expected {
                assert_eq!(heap.first(), Some((TaiTime::from_nanos(time), slot)));
                assert_eq!(heap.pop(), Some(slot));
            }
            assert_eq!(heap.pop(), None);
        }
    }
}
