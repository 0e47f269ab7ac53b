//! A set of traffic classes.

use crate::class::TrafficClass;

/// A set of traffic classes; iterates from the highest to the lowest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClassSet(u8);

impl ClassSet {
    pub const EMPTY: ClassSet = ClassSet(0);

    pub fn insert(&mut self, class: TrafficClass) {
        self.0 |= 1 << class.as_u8();
    }

    pub fn remove(&mut self, class: TrafficClass) {
        self.0 &= !(1 << class.as_u8());
    }
}

impl Iterator for ClassSet {
    type Item = TrafficClass;

    fn next(&mut self) -> Option<TrafficClass> {
        let class = TrafficClass::new(self.0.checked_ilog2()? as u8)?;
        self.remove(class);
        Some(class)
    }
}
