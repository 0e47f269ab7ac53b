//! Which pod's port a frame is delivered to: by its destination address.

use tsn_port::MacAddress;

/// The stations behind the pods' ports, in the order of their addresses. Finding one among a thousand takes ten
/// comparisons in two lines of the cache; only a command of the control plane changes it.
#[derive(Debug)]
pub struct Stations {
    sorted: Vec<(Key, u32)>,
}

/// An address as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    /// Before all addresses.
    pub const FIRST: Self = Self(0);

    fn of(address: MacAddress) -> Self {
        let [a, b, c, d, e, f] = address.0;
        Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

impl Stations {
    /// None, with room for so many.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            sorted: Vec::with_capacity(capacity),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// A pod's place is at this address from now on; `false` if another's is.
    pub fn insert(&mut self, address: MacAddress, place: usize) -> bool {
        let key = Key::of(address);
        match self.sorted.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(_) => false,
            Err(index) => {
                self.sorted.insert(index, (key, place as u32));
                true
            }
        }
    }

    /// The pod at this place has gone.
    pub fn remove(&mut self, place: usize) {
        self.sorted.retain(|(_, at)| *at as usize != place);
    }

    /// The place of the pod at this address.
    pub fn find(&self, address: MacAddress) -> Option<usize> {
        let key = Key::of(address);
        let index = self
            .sorted
            .binary_search_by_key(&key, |(key, _)| *key)
            .ok()?;
        Some(self.sorted[index].1 as usize)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The stations from `key` on: where to go on after each, and its place. Who goes on from there later misses none, and
    /// meets none twice, whatever has been inserted and removed meanwhile.
    pub fn from(&self, key: Key) -> impl Iterator<Item = (Key, usize)> {
        let first = self.sorted.partition_point(|(at, _)| *at < key);
        self.sorted[first..]
            .iter()
            .map(|(key, place)| (Key(key.0 + 1), *place as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u16) -> MacAddress {
        let [high, low] = number.to_be_bytes();
        MacAddress([2, low, 0, 0, high, 0])
    }

    #[test]
    fn each_of_a_thousand_stations_is_found_and_no_other() {
        let mut stations = Stations::with_capacity(1_024);
        for number in 0..1_024 {
            assert!(stations.insert(address(number), number.into()));
        }
        assert!(!stations.insert(address(17), 9_999), "it is taken");
        for number in 0..1_024 {
            assert_eq!(stations.find(address(number)), Some(number.into()));
        }
        assert_eq!(stations.find(address(1_024)), None);
        stations.remove(17);
        assert_eq!(stations.find(address(17)), None);
        assert!(stations.insert(address(17), 5));
    }

    #[test]
    fn who_goes_on_later_meets_each_station_once() {
        let mut stations = Stations::with_capacity(8);
        for number in [1, 3, 5, 7] {
            stations.insert(address(number), number.into());
        }
        let met: Vec<_> = stations.from(Key::FIRST).take(2).collect();
        assert_eq!(
            met.iter().map(|(_, place)| *place).collect::<Vec<_>>(),
            [1, 3]
        );
        // One that was met goes, another comes behind those that were met.
        stations.remove(1);
        stations.insert(address(4), 4);
        let rest: Vec<usize> = stations.from(met[1].0).map(|(_, place)| place).collect();
        assert_eq!(rest, [4, 5, 7]);
        assert!(
            stations
                .from(Key::of(MacAddress([0xff; 6])))
                .next()
                .is_none()
        );
    }
}
