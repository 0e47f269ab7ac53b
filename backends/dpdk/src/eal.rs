//! DPDK's environment abstraction layer: memory, drivers, and buses of this process.

use std::ffi::{CString, c_char};
use std::sync::atomic::{AtomicBool, Ordering};

use dpdk_sys as sys;
use tsn_port::DeviceName;

use crate::ethdev::numa_node;
use crate::{DpdkReason, EalError, Hugepages, log};

/// What the EAL is initialised with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EalConfig {
    /// Where the memory lies.
    pub hugepages: Hugepages,
    /// The memory that DPDK takes at the start, in MiB. With hugepages it takes more when it needs more; without, this is
    /// all there will be.
    pub memory_mib: u32,
    /// Tells the files of this process from those of other DPDK programs on the node.
    pub file_prefix: String,
    /// The PCI devices that it may touch, with the arguments for their drivers. It looks at no other.
    pub pci_devices: Vec<DeviceName>,
}

impl EalConfig {
    /// The NUMA node of the first PCI device that is connected to one.
    pub(crate) fn numa_node(&self) -> Option<u32> {
        self.pci_devices
            .iter()
            .find_map(|device| numa_node(device.name()))
    }
}

/// The initialised EAL: proof of it, and the way to devices and memory. It lasts as long as the process.
#[derive(Debug, Clone, Copy)]
pub struct Eal {
    hugepages: bool,
}

static TRIED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Initialises the EAL: reserves the memory and loads the drivers, which takes some 0.3 s.
    ///
    /// The calling thread becomes DPDK's main thread, but keeps its CPUs. Nothing is left in a file system: memory is
    /// anonymous, so that two processes never get into each other's way, and a killed one leaves nothing.
    ///
    /// # Errors
    ///
    /// When this process has called it before, when there are too few hugepages, or when DPDK refuses.
    pub fn init(config: &EalConfig) -> Result<Self, EalError> {
        let memory_mib = config.hugepages.whole(config.memory_mib);
        let hugepages = config
            .hugepages
            .choose(memory_mib, !config.pci_devices.is_empty())?;
        if config.hugepages == Hugepages::Auto && !hugepages {
            tracing::warn!(
                memory_mib,
                "too few hugepages are free: DPDK uses ordinary pages"
            );
        }
        let arguments = arguments(config, memory_mib, hugepages, &own_cpus());
        let mut terminated = Vec::new();
        for argument in &arguments {
            terminated.push(
                CString::new(argument.as_str()).map_err(|_| EalError::Argument {
                    argument: argument.clone(),
                })?,
            );
        }
        if TRIED.swap(true, Ordering::SeqCst) {
            return Err(EalError::Again);
        }
        if let Err(error) = log::redirect() {
            tracing::warn!(%error, "DPDK's log goes to standard error");
        }
        let mut pointers: Vec<*mut c_char> = terminated
            .into_iter()
            .map(CString::into_raw) // for ever: the EAL keeps pointers to some
            .chain([std::ptr::null_mut()])
            .collect();
        let count = arguments.len() as i32;
        // SAFETY: as many strings as it says, which live for ever, with a null pointer behind them.
        let result =
            DpdkReason::check(|| unsafe { sys::rte_eal_init(count, pointers.as_mut_ptr()) });
        match result {
            Ok(_) => Ok(Self { hugepages }),
            Err(reason) => Err(EalError::Init { arguments, reason }),
        }
    }
}

impl Eal {
    /// Where its memory lies, for people.
    pub fn memory(self) -> &'static str {
        if self.hugepages {
            "hugepages"
        } else {
            "ordinary pages"
        }
    }

    /// Makes the calling thread known to DPDK, so that it keeps free frame buffers at hand for itself.
    pub fn register_thread(self) {
        if let Err(reason) = DpdkReason::check(|| {
            // SAFETY: the EAL is initialised; a thread that is registered already stays so.
            unsafe { sys::rte_thread_register() }
        }) {
            tracing::warn!(%reason, "DPDK does not take the worker's thread; its frame buffers cost more");
        }
    }
}

/// The EAL's command line.
fn arguments(config: &EalConfig, memory_mib: u32, hugepages: bool, cpus: &str) -> Vec<String> {
    let mut arguments = vec!["tsnd".to_owned()];
    let mut add = |parts: &[&str]| arguments.extend(parts.iter().map(|&part| part.to_owned()));
    add(&["--lcores", &format!("0@({cpus})")]);
    add(&["--file-prefix", &config.file_prefix, "--no-telemetry"]);
    match config.numa_node().filter(|_| hugepages) {
        // On the devices' node. Otherwise it is that of this thread.
        Some(node) => {
            let of_others = "0,".repeat(node as usize);
            add(&["--socket-mem", &format!("{of_others}{memory_mib}")]);
        }
        None => add(&["-m", &memory_mib.to_string()]),
    }
    if hugepages {
        // One file, so one memory region: vhost-user takes at most eight.
        add(&["--in-memory", "--single-file-segments"]);
    } else {
        add(&["--no-huge", "--no-shconf"]);
    }
    if config.pci_devices.is_empty() {
        add(&["--no-pci"]);
    }
    for device in &config.pci_devices {
        add(&["--allow", &device.to_string()]);
    }
    arguments
}

/// The CPUs that this thread may run on, as a list that the EAL reads.
fn own_cpus() -> String {
    // SAFETY: an all-zero set is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the set's size.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    let cpus: Vec<String> = (0..libc::CPU_SETSIZE as usize)
        // SAFETY: the index is within the set.
        .filter(|&cpu| result == 0 && unsafe { libc::CPU_ISSET(cpu, &set) })
        .map(|cpu| cpu.to_string())
        .collect();
    if cpus.is_empty() {
        "0".to_owned()
    } else {
        cpus.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pci_device_is_allowed_with_its_arguments() {
        let mut config = EalConfig {
            hugepages: Hugepages::None,
            memory_mib: 64,
            file_prefix: "x".into(),
            pci_devices: Vec::new(),
        };
        let without = arguments(&config, 64, false, "0");
        assert!(without.contains(&"--no-pci".to_owned()), "{without:?}");
        config.pci_devices = vec!["0000:ff:1f.7,tx_pp=500".parse().unwrap()];
        let with = arguments(&config, 64, false, "0");
        let allow = with.iter().position(|argument| argument == "--allow");
        assert_eq!(with[allow.unwrap() + 1], "0000:ff:1f.7,tx_pp=500");
        assert!(!with.contains(&"--no-pci".to_owned()), "{with:?}");
    }
}
