//! The metrics: documented as they are told, and each of them made to happen, by this suite or, with a real daemon, by
//! `tests/tests/metrics.rs` (see [`tsn_tests::coverage`]). On the same bench: what the node does about records of the CNI
//! plugin.

#[path = "metrics/attachments.rs"]
mod attachments;
#[path = "metrics/bench.rs"]
mod bench;
#[path = "metrics/delivery.rs"]
mod delivery;
#[path = "metrics/device.rs"]
mod device;
#[path = "metrics/documents.rs"]
mod documents;
#[path = "metrics/provoked.rs"]
mod provoked;
#[path = "metrics/serving.rs"]
mod serving;
