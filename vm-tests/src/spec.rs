//! What a test is: the guests that it needs, what runs in them, where, and for how long.

use std::time::Duration;

use crate::{Kernel, Outcome};

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

/// A test of the suite.
#[derive(Debug, Clone)]
pub struct Test {
    /// Its name, in lower case with hyphens.
    pub name: String,
    /// What it shows, in one line.
    pub shows: String,
    /// Its guests, which start together.
    pub guests: Vec<Guest>,
    /// A test that runs on the host and boots the one guest itself, as [`crate::companion`] lets it.
    pub host: Option<TestFile>,
    /// The kernels that it runs on.
    pub kernels: Vec<Kernel>,
    /// Those of them that it runs on also in the quick matrix.
    pub quick: Vec<Kernel>,
    /// What the guests' clocks follow.
    pub time: TimeMode,
    /// How often it runs. More than once, it must leave the same `figures.json` each time.
    pub runs: u32,
    /// A guest that has not ended by then is killed: of the host's time, each time it is run.
    pub limit: Duration,
    /// What it must come to.
    pub expected: Expected,
}

impl Test {
    /// A test with one guest, on all kernels with all drivers, in wall-clock time, of at most 300 s.
    pub fn new(name: &str, shows: &str, guest: Guest) -> Self {
        Self {
            name: name.into(),
            shows: shows.into(),
            guests: vec![guest],
            host: None,
            kernels: Kernel::WITH_NICS.to_vec(),
            quick: Vec::new(),
            time: TimeMode::Wall,
            runs: 1,
            limit: Duration::from_secs(300),
            expected: Expected::Passed,
        }
    }

    /// With one more guest.
    #[must_use]
    pub fn and_guest(mut self, guest: Guest) -> Self {
        self.guests.push(guest);
        self
    }

    /// Run by a test on the host, which boots the guest.
    #[must_use]
    pub fn from_host(mut self, host: TestFile) -> Self {
        self.host = Some(host);
        self
    }

    /// On these kernels.
    #[must_use]
    pub fn on(mut self, kernels: &[Kernel]) -> Self {
        self.kernels = kernels.to_vec();
        self
    }

    /// On these also in the quick matrix.
    #[must_use]
    pub fn quick_on(mut self, kernels: &[Kernel]) -> Self {
        self.quick = kernels.to_vec();
        self
    }

    /// In virtual time, twice, with the same figures.
    #[must_use]
    pub fn in_virtual_time(mut self) -> Self {
        self.time = TimeMode::Virtual;
        self.runs = 2;
        self
    }

    /// Once, also in virtual time: for a test without figures, or whose figures depend on what the host answers and when.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.runs = 1;
        self
    }

    /// With this limit.
    #[must_use]
    pub fn limit_seconds(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// With another expectation than that it passes.
    #[must_use]
    pub fn expecting(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }
}

/// What a guest's clock follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeMode {
    /// The host's clock. Says nothing about precision.
    Wall,
    /// The guest's instructions: one nanosecond for each, on one virtual CPU at a time; when all are idle, the clock goes on
    /// to what they wait for. What the host does meanwhile is nothing to it.
    Virtual,
}

/// What a test must come to; most must pass, and those of the runner itself must fail in their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// All passes.
    Passed,
    /// The guest's kernel panics, with this in its message.
    Panicked(&'static str),
    /// It is killed at its limit, and this was the last line.
    Hung(&'static str),
    /// It cannot be run, for a reason that contains this.
    Refused(&'static str),
}

impl Expected {
    /// Whether this is what was expected.
    pub fn is_met_by(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Passed, Outcome::Passed | Outcome::Lacks { .. }) => true,
            (Self::Panicked(part), Outcome::Panicked { reason })
            | (Self::Refused(part), Outcome::Refused { reason }) => reason.contains(part),
            (Self::Hung(part), Outcome::Hung { last_line, .. }) => last_line.contains(part),
            _ => false,
        }
    }
}

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

/// What runs in a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// Tests of one file.
    Tests(TestFile),
    /// A command for `sh`.
    Shell(&'static str),
}

impl From<TestFile> for Program {
    fn from(file: TestFile) -> Self {
        Self::Tests(file)
    }
}

/// A file of tests, built on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TestFile {
    /// The package.
    pub package: &'static str,
    /// The file's name without its ending.
    pub file: String,
    /// Arguments of the test program, such as a test's name.
    pub arguments: Vec<&'static str>,
}

impl TestFile {
    /// A file of `vm-tests/tests`.
    pub fn of_vm_tests(file: &str) -> Self {
        Self {
            package: "tsn-vm-tests",
            file: file.into(),
            arguments: Vec::new(),
        }
    }

    /// A file of `tests/tests`.
    pub fn end_to_end(file: &str) -> Self {
        Self {
            package: "tsn-tests",
            ..Self::of_vm_tests(file)
        }
    }

    /// Only tests whose name contains this.
    #[must_use]
    pub fn only(mut self, part: &'static str) -> Self {
        self.arguments.push(part);
        self
    }

    /// Without tests whose name contains this.
    #[must_use]
    pub fn without(mut self, part: &'static str) -> Self {
        self.arguments.extend(["--skip", part]);
        self
    }
}
