//! Linux's qdisc taprio, as a `tc` command (tc-taprio(8)).
//!
//! | taprio | `tsnd` |
//! |---|---|
//! | `dev` | `device` |
//! | traffic class i of `num_tc`; bit i of a gate mask | traffic class i |
//! | `base-time`, in CLOCK_TAI | `admin-base-time` |
//! | `cycle-time`; absent: the sum of the intervals | `admin-cycle-time`; likewise |
//! | `cycle-time-extension` | `admin-cycle-time-extension` |
//! | `sched-entry S` | `admin-control-list`; an interval of more than 4.29 s is split |
//! | `max-sdu` | `queue-max-sdu` |
//!
//! What is written has one queue for each class, `queues 1@0 1@1 …`, and priority i of a socket in class i, `map 0 1 …`.
//! The same is taken for granted when reading; another map or other queues are a [`Loss`](super::Loss). `num_tc` reaches
//! up to the highest class that is configured or whose gate ever opens. Where the cycle is longer or shorter than its
//! entries, the written list is filled up with the last entry's states or cut off, which 802.1Q means by it: kernels
//! differ in what they do then.

mod command;
mod read;
mod words;
mod write;

pub(super) use read::read;
pub(super) use write::write;

/// What a socket's priority is mapped to: class i for priority i, as far as there are classes.
fn identity_map(classes: u8) -> Vec<u8> {
    (0..16)
        .map(|priority| if priority < classes { priority } else { 0 })
        .collect()
}

/// One queue for each class.
fn identity_queues(classes: u8) -> Vec<String> {
    (0..classes).map(|class| format!("1@{class}")).collect()
}

/// The handle that is written, after the manual's example.
const HANDLE: &str = "100";

/// Which arguments say what the fields of an uplink say, one after the other.
pub(super) const WORDS: [(&str, &str); 4] = [
    ("uplinks[0].device", "dev"),
    (
        "uplinks[0].gate-parameters.admin-control-list",
        "sched-entry",
    ),
    ("uplinks[0].gate-parameters.admin-", ""),
    ("].time-interval-value", "] interval"),
];
