//! Numbers of next hops, by which kernel programs and worker mean the same.
//!
//! A number stands for one next hop, unchanged; a next hop that changes gets another. A frame with a number may still be
//! on its way when the number is given up, so it keeps its meaning for [`KEPT_FOR`] and is given again no sooner.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use tsn_port::NextHopId;

use super::next_hop::NextHop;

/// How long a number keeps its meaning after nobody is given it any more. A frame that waits longer in a ring is one
/// that nobody takes.
pub const KEPT_FOR: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Number {
    id: NextHopId,
    /// Since when nothing leads to it.
    unused_since: Option<Instant>,
}

/// All numbers that have a meaning.
#[derive(Debug, Default)]
pub struct NextHopIds(HashMap<NextHop, Number>);

impl NextHopIds {
    /// Gives a number to each of these that has none, as far as there are any. Whether any has got one.
    pub fn assign<'a>(&mut self, used: impl Iterator<Item = &'a NextHop>) -> bool {
        let mut new = Vec::new();
        for next_hop in used {
            match self.0.get_mut(next_hop) {
                Some(number) => number.unused_since = None,
                None => new.push(next_hop),
            }
        }
        let mut taken: Vec<u16> = self.0.values().map(|number| number.id.0.get()).collect();
        taken.sort_unstable();
        let mut taken = taken.into_iter().peekable();
        let mut free = (1..=u16::MAX).filter_map(|id| match taken.next_if_eq(&id) {
            Some(_) => None,
            None => NonZeroU16::new(id).map(NextHopId),
        });
        let mut is_any_new = false;
        for next_hop in new {
            if self.0.contains_key(next_hop) {
                continue; // twice among those in use
            }
            let Some(id) = free.next() else { break };
            let number = Number {
                id,
                unused_since: None,
            };
            self.0.insert(next_hop.clone(), number);
            is_any_new = true;
        }
        is_any_new
    }

    /// Notes that from now on nobody is given another number than those of these.
    pub fn release_others<'a>(&mut self, used: impl Iterator<Item = &'a NextHop>, now: Instant) {
        let used: HashSet<&NextHop> = used.collect();
        for (next_hop, number) in &mut self.0 {
            if !used.contains(next_hop) {
                number.unused_since.get_or_insert(now);
            }
        }
    }

    /// Forgets those that have been out of use for long enough. Whether there were any.
    pub fn forget_unused(&mut self, now: Instant) -> bool {
        let before = self.0.len();
        self.0.retain(|_, number| {
            let unused_for = number
                .unused_since
                .map(|since| now.saturating_duration_since(since));
            unused_for.is_none_or(|unused_for| unused_for < KEPT_FOR)
        });
        self.0.len() < before
    }

    /// The number of a next hop that is in use.
    pub fn get(&self, next_hop: &NextHop) -> Option<NextHopId> {
        self.0.get(next_hop).map(|number| number.id)
    }

    /// All that have a meaning, also those that are in use no more.
    pub fn iter(&self) -> impl Iterator<Item = (NextHopId, &NextHop)> {
        self.0
            .iter()
            .map(|(next_hop, number)| (number.id, next_hop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::next_hop::LinkAddresses;
    use tsn_port::MacAddress;

    fn next_hop(number: u32) -> NextHop {
        let [a, b, c, d] = number.to_be_bytes();
        NextHop {
            link: LinkAddresses {
                destination: MacAddress([2, 0, a, b, c, d]),
                source: MacAddress([2, 1, 0, 0, 0, 0]),
            },
            vlan_id: None,
            tunnel: None,
        }
    }

    fn number(ids: &NextHopIds, of: &NextHop) -> Option<u16> {
        ids.get(of).map(|id| id.0.get())
    }

    #[test]
    fn a_number_keeps_its_meaning_for_a_while_and_is_then_given_again() {
        let (a, b, c) = (next_hop(1), next_hop(2), next_hop(3));
        let start = Instant::now();
        let mut ids = NextHopIds::default();
        assert!(ids.assign([&a, &b, &a].into_iter()));
        assert_eq!((number(&ids, &a), number(&ids, &b)), (Some(1), Some(2)));
        assert!(!ids.assign([&b].into_iter()), "nothing new");
        ids.release_others([&b].into_iter(), start);
        assert!(!ids.forget_unused(start + KEPT_FOR / 2));
        assert!(ids.assign([&b, &c].into_iter()));
        ids.release_others([&b, &c].into_iter(), start + KEPT_FOR / 2);
        assert_eq!(number(&ids, &c), Some(3), "1 has a meaning yet");
        assert_eq!(ids.iter().count(), 3);
        assert!(ids.forget_unused(start + KEPT_FOR));
        assert_eq!(number(&ids, &a), None);
        assert!(ids.assign([&a, &b, &c].into_iter()));
        assert_eq!(number(&ids, &a), Some(1));
    }

    #[test]
    fn what_comes_back_in_time_has_its_number_still() {
        let (a, b) = (next_hop(1), next_hop(2));
        let start = Instant::now();
        let mut ids = NextHopIds::default();
        ids.assign([&a, &b].into_iter());
        ids.release_others([&b].into_iter(), start);
        assert!(!ids.assign([&a, &b].into_iter()));
        assert!(!ids.forget_unused(start + KEPT_FOR * 4));
        assert_eq!(number(&ids, &a), Some(1));
    }

    #[test]
    fn beyond_the_last_number_there_is_none() {
        let all: Vec<NextHop> = (0..70_000).map(next_hop).collect();
        let mut ids = NextHopIds::default();
        ids.assign(all.iter());
        assert_eq!(ids.iter().count(), 65_535);
        assert_eq!(number(&ids, &all[65_534]), Some(65_535));
        assert_eq!(number(&ids, &all[65_535]), None);
    }
}
