//! Ports over DPDK's null device, which takes every frame and gets none: frames are mbufs, and a wake-up is a burst.

use tsn_dpdk::{Eal, EalConfig, EthDevice, EthOptions, EthPort, Hugepages, Mempool, PoolConfig};

/// More than are under way in a turn.
const BUFFERS: u32 = 4_096;
const FRAME_BYTES: u32 = 2_048;
const MEMORY_MIB: u32 = 64;

/// What ports are made of.
#[derive(Clone, Copy)]
pub struct NullDevices {
    eal: Eal,
    pool: Mempool,
}

impl NullDevices {
    /// Initialises DPDK, which can be done once.
    pub fn new() -> Self {
        let config = EalConfig {
            hugepages: Hugepages::Auto,
            memory_mib: MEMORY_MIB,
            file_prefix: format!("tsn-bench-{}", std::process::id()),
            pci_devices: Vec::new(),
        };
        let eal = Eal::init(&config).expect("DPDK starts");
        let config = PoolConfig {
            name: "frames".to_owned(),
            frames: BUFFERS,
            frame_bytes: FRAME_BYTES,
            numa_node: None,
        };
        let pool = Mempool::new(eal, &config).expect("memory for frames");
        Self { eal, pool }
    }

    /// A port over a device of its own, by its number among those that are there at a time.
    pub fn port(self, number: usize) -> EthPort {
        let name = format!("net_null{number},no-rx=1")
            .parse()
            .expect("a device's name");
        let options = EthOptions {
            receive_slots: 64,
            promiscuous: false,
        };
        let device = EthDevice::open(self.eal, self.pool, &name, options).expect("a null device");
        EthPort::new(device, self.pool)
    }

    /// Lets the calling thread have buffers in a cache of its own.
    pub fn enter_thread(self) {
        self.eal.register_thread();
    }
}
