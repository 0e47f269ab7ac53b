//! Overlay mode: frames leave the node as the kernel would have routed them, through the same tunnels.

pub mod encapsulation;
pub mod next_hop;
mod packet;
