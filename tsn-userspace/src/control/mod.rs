//! The control API: HTTP and JSON over a unix socket, version 1.

pub mod api;
pub mod client;
pub mod metrics_server;
pub mod server;
