//! DPDK ports on one mempool.
//!
//! The EAL is initialised once in a process ([`Eal`]), which makes one [`Mempool`]. Every port receives into it and
//! transmits from it, so that a frame is one mbuf from receipt to transmission ([`DpdkFrame`]).
//!
//! Works with DPDK 22.11 and later. What DPDK logs reaches `tracing` under the target `dpdk`.

mod backend;
mod eal;
mod error;
mod ethdev;
mod frame;
mod hugepages;
mod interface;
mod launch;
mod log;
mod mempool;
mod pods;
mod port;
mod reason;
mod socket;
mod uplink;
mod xsk;

pub use backend::{DpdkBackend, DpdkConfig};
pub use eal::{Eal, EalConfig};
pub use error::{BackendError, DeviceError, EalError, LaunchError, PoolError, WakeError};
pub use ethdev::{EthDevice, EthLink, EthOptions, EthPort};
pub use frame::DpdkFrame;
pub use hugepages::Hugepages;
pub use mempool::{Mempool, PoolConfig, PoolLayout};
pub use port::{DpdkPort, PortError};
pub use reason::DpdkReason;
pub use xsk::{XskError, XskWakeError};
