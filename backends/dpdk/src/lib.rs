//! DPDK ports on one mempool.
//!
//! The EAL is initialised once in a process ([`Eal`]), which makes one [`Mempool`]. Every port receives into it and
//! transmits from it, so that a frame is one mbuf from receipt to transmission ([`DpdkFrame`]).
//!
//! Works with DPDK 22.11 and later. What DPDK logs reaches `tracing` under the target `dpdk`.

#![allow(dead_code)] // what the ports will use

mod eal;
mod error;
mod frame;
mod hugepages;
mod log;
mod mempool;
mod xsk;

pub use eal::{Eal, EalConfig};
pub use error::{DpdkReason, EalError, PoolError};
pub use frame::DpdkFrame;
pub use hugepages::Hugepages;
pub use mempool::{Mempool, PoolConfig, PoolLayout};
pub use xsk::{XskError, XskWakeError};
