//! A guest: its machine, and what runs in it.

use super::Program;

/// Modules that every guest loads: its files, and what namespaces, pods and the daemon use.
pub(crate) const MODULES_OF_ALL: [&str; 11] = [
    "virtio_pci",
    "9pnet_virtio",
    "9p",
    "overlay",
    "veth",
    "bridge",
    "vxlan",
    "tun",
    "sch_ingress",
    "cls_bpf",
    "8021q",
];

/// A guest.
#[derive(Debug, Clone)]
pub struct Guest {
    /// What it runs.
    pub programs: Vec<Program>,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Hugepages of 2 MiB that are reserved before the programs run.
    pub hugepages: u32,
    /// Modules to load, with those that they depend on, after those that every guest loads.
    pub modules: Vec<&'static str>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Options of QEMU's machine, beside its type, such as `kernel-irqchip=split`.
    pub machine_options: Vec<&'static str>,
    /// Additions to the kernel's command line.
    pub kernel_arguments: Vec<&'static str>,
    /// Additions to the programs' environment.
    pub environment: Vec<(&'static str, String)>,
}

impl Guest {
    /// With two CPUs, 2 GiB of memory and no device.
    pub fn running(program: impl Into<Program>) -> Self {
        Self {
            programs: vec![program.into()],
            cpus: 2,
            memory_mib: 2048,
            hugepages: 0,
            modules: Vec::new(),
            devices: Vec::new(),
            machine_options: Vec::new(),
            kernel_arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Runs this too, after the others.
    #[must_use]
    pub fn then(mut self, program: impl Into<Program>) -> Self {
        self.programs.push(program.into());
        self
    }

    /// With so many virtual CPUs.
    #[must_use]
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// With so much memory.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// With so many hugepages of 2 MiB.
    #[must_use]
    pub fn hugepages(mut self, hugepages: u32) -> Self {
        self.hugepages = hugepages;
        self
    }

    /// With these modules too.
    #[must_use]
    pub fn modules(mut self, modules: &[&'static str]) -> Self {
        self.modules.extend_from_slice(modules);
        self
    }

    /// With this device too. On the PCI bus they stand in this order.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.devices.push(device);
        self
    }

    /// With these arguments of QEMU too, as they are.
    #[must_use]
    pub fn qemu(self, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|word| String::from(*word)).collect();
        self.device(Device::Arguments(arguments))
    }

    /// With an option of QEMU's machine.
    #[must_use]
    pub fn machine_option(mut self, option: &'static str) -> Self {
        self.machine_options.push(option);
        self
    }

    /// With an addition to the kernel's command line.
    #[must_use]
    pub fn kernel_argument(mut self, argument: &'static str) -> Self {
        self.kernel_arguments.push(argument);
        self
    }

    /// With a variable in the programs' environment.
    #[must_use]
    pub fn environment(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }
}

/// A device of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A network card at one end of a wire.
    Nic {
        /// QEMU's name of the model, such as `igb`.
        model: &'static str,
        /// More properties of the device, such as `mq=on,vectors=8`; may be empty.
        properties: &'static str,
        /// What its frames go to.
        wire: Wire,
    },
    /// Arguments of QEMU, as they are.
    Arguments(Vec<String>),
}

/// What connects network cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// All cards of one guest with the same number hear each other.
    Hub(u32),
    /// Joins a test's two guests; each has one card at it.
    BetweenGuests,
}
