//! A guest's virtual machine: QEMU's command line, and running it to its end or to its limit.

use std::{
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tsn_vm_init::{EXIT_PORT, OUTPUT_TAG, ROOT_TAG};

use crate::{
    TimeMode,
    accelerator::Accelerator,
    console,
    outcome::{Evidence, Outcome},
};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The kernel's command line: all goes to the console; the mitigations cost time and protect nobody here; the check of the
/// timer fails when the host is busy; a panic ends the machine at once.
const KERNEL_ARGUMENTS: &str =
    "console=ttyS0 quiet mitigations=off no_timer_check panic=-1 net.ifnames=0";

/// All that the emulation has, but for what tells the kernel to copy and clear memory byte by byte (`rep movsb`, `rep stosb`):
/// quick in a processor's microcode, and eight times as slow as by words where each byte is an instruction.
const PROCESSOR: &str = "max,erms=off,fsrm=off,fzrm=off,fsrs=off";

/// Where the clock counts instructions. What else could differ from run to run is fixed too: the date, and random numbers.
const COUNTED: [&str; 6] = [
    "-accel",
    "tcg,thread=single",
    "-rtc",
    "base=2026-01-01T00:00:00,clock=vm",
    "-seed",
    "1",
];

/// A virtual machine that can be booted. It can be changed before that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// What its console's lines begin with.
    pub name: String,
    /// QEMU's program.
    pub qemu: PathBuf,
    /// The kernel's image.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initramfs: PathBuf,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// What runs its instructions.
    pub accelerator: Accelerator,
    /// What its clock follows.
    pub time: TimeMode,
    /// Options of QEMU's machine, beside its type.
    pub machine_options: Vec<String>,
    /// Additions to the kernel's command line.
    pub kernel_arguments: Vec<String>,
    /// QEMU's other arguments: the devices.
    pub arguments: Vec<String>,
    /// The host's side of the directory that it shares with the guest.
    pub output: PathBuf,
    /// Where its console is kept.
    pub log: PathBuf,
    /// When it is killed.
    pub limit: Duration,
}

impl Machine {
    /// Boots it and waits for its end, or kills it at its limit.
    ///
    /// # Errors
    ///
    /// When QEMU cannot be started or its output not be read. What the guest does wrong is an [`Outcome`].
    pub fn boot(&self) -> Result<Outcome> {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start QEMU by setpriv")?;
        let console = child.stdout.take().context("QEMU's output")?;
        let errors = child.stderr.take().context("QEMU's errors")?;
        let errors_log = self.log.with_extension("qemu");
        let errors_prefix = format!("{} QEMU", self.name);
        thread::scope(|scope| {
            let console = scope.spawn(|| console::follow(console, &self.name, &self.log));
            let errors = scope.spawn(|| console::follow(errors, &errors_prefix, &errors_log));
            let ended = wait_or_kill(&mut child, self.limit);
            let console = console.join().expect("it does not panic")?;
            let qemu = errors.join().expect("it does not panic")?;
            let ended = ended?;
            let evidence = Evidence {
                console: &console,
                qemu: &qemu,
                status: ended.and_then(|status| status.code()),
                killed_at: ended.is_none().then_some(self.limit),
            };
            Ok(evidence.outcome())
        })
    }

    /// QEMU with all its arguments; it is killed when the thread that starts it goes.
    pub fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.qemu);
        command.args(["-no-user-config", "-nodefaults", "-no-reboot"]);
        command.args(["-display", "none", "-serial", "stdio", "-monitor", "none"]);
        let options = self.machine_options.iter();
        let machine = options.fold(String::from("q35"), |all, one| format!("{all},{one}"));
        command.args(["-machine", &machine, "-cpu", PROCESSOR]);
        command.args(["-smp", &self.cpus.to_string()]);
        command.args(["-m", &self.memory_mib.to_string()]);
        match (self.time, self.accelerator) {
            (TimeMode::Wall, Accelerator::Kvm) => command.args(["-accel", "kvm"]),
            (TimeMode::Wall, Accelerator::Tcg) => command.args(["-accel", "tcg,thread=multi"]),
            (TimeMode::Work, _) => command.args(COUNTED).args(["-icount", "shift=0,sleep=on"]),
            (TimeMode::Virtual, _) => command.args(COUNTED).args(["-icount", "shift=0,sleep=off"]),
        };
        command.arg("-kernel").arg(&self.kernel);
        command.arg("-initrd").arg(&self.initramfs);
        let additions = self.kernel_arguments.iter();
        let kernel = additions.fold(KERNEL_ARGUMENTS.to_owned(), |all, one| {
            format!("{all} {one}")
        });
        command.args(["-append", &kernel]);
        let exit = format!("isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1");
        command.args(["-device", &exit]);
        command.args([
            "-virtfs",
            &format!(
                "local,path=/,mount_tag={ROOT_TAG},security_model=none,readonly=on,multidevs=remap"
            ),
        ]);
        command.args([
            "-virtfs",
            &format!(
                "local,path={},mount_tag={OUTPUT_TAG},security_model=none",
                self.output.display()
            ),
        ]);
        command.args(&self.arguments);
        command
    }
}

/// The exit status of a child, or none if it was killed at its limit.
pub(crate) fn wait_or_kill(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().context("wait for a child")? {
            return Ok(Some(status));
        }
        thread::sleep(POLL_INTERVAL);
    }
    child.kill().context("kill a child")?;
    child.wait().context("wait for a killed child")?;
    Ok(None)
}
