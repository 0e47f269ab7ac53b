//! Overlay mode: frames leave the node as the kernel would have routed them, through the same tunnels.

pub mod changes;
pub mod encapsulation;
pub mod follow;
pub mod ids;
pub mod kernel;
pub mod networks;
pub mod next_hop;
mod packet;
pub mod resolve;
