//! Traffic classes and the states of their gates.

use std::fmt;

/// A traffic class, 0 to 7; 7 has the highest priority (IEEE 802.1Q 8.6.8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrafficClass(u8);

impl TrafficClass {
    /// The number of traffic classes.
    pub const COUNT: usize = 8;

    /// All classes, lowest first.
    pub const ALL: [TrafficClass; Self::COUNT] = {
        let mut all = [TrafficClass(0); Self::COUNT];
        let mut class = 0;
        while class < Self::COUNT {
            all[class] = TrafficClass(class as u8);
            class += 1;
        }
        all
    };

    /// Class `class`, or `None` above 7.
    pub const fn new(class: u8) -> Option<Self> {
        if (class as usize) < Self::COUNT {
            Some(TrafficClass(class))
        } else {
            None
        }
    }

    /// The class as a number, 0 to 7.
    pub const fn as_u8(self) -> u8 {
        self.0
    }

    /// The class as an index into an array of [`TrafficClass::COUNT`] elements.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for TrafficClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TC{}", self.0)
    }
}

/// The states of the eight gates: bit `i` set means that the gate of class `i` is open
/// (IEEE 802.1Q 8.6.8.4, `GateStatesValue`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GateStates(pub u8);

impl GateStates {
    /// Every gate open.
    pub const ALL_OPEN: GateStates = GateStates(0xff);
    /// Every gate closed.
    pub const ALL_CLOSED: GateStates = GateStates(0);

    /// Whether the gate of `class` is open.
    #[inline]
    pub const fn is_open(self, class: TrafficClass) -> bool {
        self.0 & (1 << class.0) != 0
    }
}

impl fmt::Debug for GateStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GateStates({:#04x})", self.0)
    }
}
