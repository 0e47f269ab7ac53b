//! The YANG module for scheduled traffic, `ieee802-dot1dc-sched-if` (IEEE Std 802.1DC-2024), as JSON (RFC 7951).
//!
//! | YANG, in `gate-parameter-table` | `tsnd` |
//! |---|---|
//! | name of the interface | `device` |
//! | `gate-enabled` (by default false) | the same (by default true) |
//! | `admin-gate-states`, `admin-base-time` | the same |
//! | `admin-cycle-time`; a numerator of 0 stands for none | the same; absent: the sum of the intervals |
//! | `admin-cycle-time-extension`, up to 4.29 s | the same |
//! | `admin-control-list`, in the order of its `index` | the same; an interval of more than 4.29 s is split |
//! | `queue-max-sdu-table` | `traffic-classes`: `number`, `queue-max-sdu` |
//!
//! The table is also read where Bridges have it, in `ieee802-dot1q-bridge:bridge-port` (`ieee802-dot1q-sched-bridge`).

mod read;
mod shape;
mod write;

pub(super) use read::read;
pub(super) use write::write;

/// Where the fields of an uplink stand in the module, one after the other.
pub(super) const WORDS: [(&str, &str); 6] = [
    ("uplinks[0].device", "interface/name"),
    (
        "uplinks[0].traffic-classes",
        "gate-parameter-table/queue-max-sdu-table",
    ),
    ("].number", "]/traffic-class"),
    ("uplinks[0].gate-parameters", "gate-parameter-table"),
    ("gate-parameter-table.", "gate-parameter-table/"),
    (
        "admin-control-list[",
        "admin-control-list/gate-control-entry[",
    ),
];
