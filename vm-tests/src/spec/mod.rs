//! What a test is: the guests that it needs, what runs in them, where, and for how long.

mod guest;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use guest::MODULES_OF_ALL;
pub use guest::{Device, Guest, Wire};

use crate::{Kernel, Outcome};

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

    /// In time that goes on with the guest's work, so that a busy host makes it late for nothing.
    #[must_use]
    pub fn in_time_of_work(mut self) -> Self {
        self.time = TimeMode::Work;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeMode {
    /// The host's clock. Says nothing about precision.
    Wall,
    /// The guest's instructions, one nanosecond for each, on one virtual CPU at a time; while all are idle, the host's clock.
    /// For tests that wait with limits for what the host answers, such as the start of a program.
    Work,
    /// The guest's instructions, one nanosecond for each, on one virtual CPU at a time; when all are idle, the clock goes on
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

    /// The tests of the kernel programs, `backends/programs/tests`.
    pub fn of_programs() -> Self {
        Self {
            package: "tsn-programs",
            ..Self::of_vm_tests("programs")
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
