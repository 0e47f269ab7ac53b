//! From a test's guest to a machine that can be booted.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use tsn_tests::evidence;
use tsn_vm_init::{Command, OUTPUT, Spec};

use super::Context;
use crate::{
    Device, Guest, Kernel, Machine, Program, Test, Wire,
    accelerator::Accelerator,
    guest::{KERNEL_VARIABLE, NUMBER_VARIABLE, OUTPUT_VARIABLE},
    initramfs, places,
    spec::MODULES_OF_ALL,
};

const BINARIES_VARIABLE: &str = "TSN_BIN_DIR";
/// The guest has its own file systems there; what of the host is needed must be made visible.
const COVERED: [&str; 3] = ["/tmp", "/run", "/dev"];
const TRIAL_LIMIT: Duration = Duration::from_secs(30);

impl Context {
    /// The machine of one of a test's guests, with all its files in `directory`.
    pub fn machine(
        &self,
        kernel: Kernel,
        test: &Test,
        number: usize,
        directory: &Path,
    ) -> Result<Machine> {
        let guest = &test.guests[number];
        let provided = self
            .kernels
            .get(&kernel)
            .context("a kernel that was asked for")?;
        let unpacked = provided.as_ref().map_err(|reason| anyhow!("{reason}"))?;
        let names: Vec<_> = MODULES_OF_ALL
            .iter()
            .chain(&guest.modules)
            .copied()
            .collect();
        let modules = unpacked
            .modules()?
            .in_order(&names)
            .with_context(|| format!("kernel {kernel}, {}", unpacked.about.release))?;
        let spec = Spec {
            modules: Vec::new(),
            visible: self.visible(test)?,
            hugepages: guest.hugepages,
            commands: self.commands(kernel, guest, number)?,
        };
        let suffix = if number == 0 {
            String::new()
        } else {
            format!("-{number}")
        };
        let initramfs = directory.join(format!("initramfs{suffix}"));
        let archive = initramfs::build(&self.init, &modules, spec)?;
        fs::write(&initramfs, archive).with_context(|| initramfs.display().to_string())?;
        let owned = |words: &[&str]| words.iter().map(|word| String::from(*word)).collect();
        Ok(Machine {
            name: format!("{kernel}/{}{suffix}", test.name),
            qemu: self.qemu.program.clone(),
            kernel: unpacked.image.clone(),
            initramfs,
            cpus: guest.cpus,
            memory_mib: guest.memory_mib,
            accelerator: self.accelerator,
            time: test.time,
            machine_options: owned(&guest.machine_options),
            kernel_arguments: owned(&guest.kernel_arguments),
            arguments: device_arguments(guest, number, directory),
            output: directory.to_owned(),
            log: directory.join(format!("console{suffix}.log")),
            limit: test.limit,
        })
    }

    fn commands(&self, kernel: Kernel, guest: &Guest, number: usize) -> Result<Vec<Command>> {
        let mut environment: BTreeMap<String, String> = [
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            ("HOME", "/root"),
            ("LANG", "C.UTF-8"),
            (OUTPUT_VARIABLE, OUTPUT),
            (evidence::VARIABLE, OUTPUT),
            (KERNEL_VARIABLE, kernel.name()),
            (NUMBER_VARIABLE, &number.to_string()),
            (BINARIES_VARIABLE, &binaries().to_string_lossy()),
        ]
        .into_iter()
        .chain(
            guest
                .environment
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        )
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        environment
            .entry("TSN_BACKEND".into())
            .or_insert_with(|| "afxdp".into());
        let command = |program: &Program| {
            let (words, directory) = match program {
                Program::Shell(command) => {
                    let words = ["/bin/sh", "-c", command].map(String::from).to_vec();
                    (words, PathBuf::from("/"))
                }
                Program::Tests(file) => {
                    let built = self.programs.get(file)?;
                    let mut words = vec![built.program.to_string_lossy().into_owned()];
                    words.extend(["--test-threads", "1", "--nocapture"].map(String::from));
                    words.extend(file.arguments.iter().copied().map(String::from));
                    (words, built.directory.clone())
                }
            };
            Ok(Command {
                words,
                directory,
                environment: environment.clone(),
            })
        };
        guest.programs.iter().map(command).collect()
    }

    /// What the guest would not see, since it has its own in these places.
    fn visible(&self, test: &Test) -> Result<Vec<PathBuf>> {
        let mut wanted = vec![places::repository(), binaries()];
        for program in test.guests.iter().flat_map(|guest| &guest.programs) {
            if let Program::Tests(file) = program {
                let directory = self.programs.get(file)?.program.parent();
                wanted.extend(directory.map(Path::to_owned));
            }
        }
        Ok(hidden(wanted))
    }

    /// Whether a guest runs from its beginning to its end by KVM.
    pub fn try_kvm(&self) -> Result<(), String> {
        let kernel = *self.kernels.keys().last().ok_or("no kernel")?;
        let guest = Guest::running(Program::Shell("true"));
        let test = Test::new("trial-of-kvm", "", guest).on(&[kernel]);
        let directory = places::runs().join(kernel.name()).join(&test.name);
        let boot = || {
            fs::create_dir_all(&directory)?;
            let machine = Machine {
                accelerator: Accelerator::Kvm,
                limit: TRIAL_LIMIT,
                ..self.machine(kernel, &test, 0, &directory)?
            };
            let outcome = machine.boot()?;
            anyhow::ensure!(outcome.is_good(), "{outcome}");
            Ok(())
        };
        boot().map_err(|error: anyhow::Error| format!("{error:#}"))
    }
}

/// Where the workspace's programs are.
fn binaries() -> PathBuf {
    let directory = std::env::var_os(BINARIES_VARIABLE).map(PathBuf::from);
    directory.unwrap_or_else(|| places::repository().join("target/release"))
}

/// Of these directories, those that lie in a covered place and not below another of them.
fn hidden(mut wanted: Vec<PathBuf>) -> Vec<PathBuf> {
    wanted.retain(|path| COVERED.iter().any(|covered| path.starts_with(covered)));
    wanted.sort();
    let mut hidden: Vec<PathBuf> = Vec::new();
    for path in wanted {
        if !hidden.last().is_some_and(|above| path.starts_with(above)) {
            hidden.push(path);
        }
    }
    hidden
}

/// QEMU's arguments for the devices of a guest. The ends of a wire between two guests are sockets in their directory.
fn device_arguments(guest: &Guest, number: usize, directory: &Path) -> Vec<String> {
    let mut arguments = Vec::new();
    for (index, device) in guest.devices.iter().enumerate() {
        match device {
            Device::Arguments(words) => arguments.extend_from_slice(words),
            Device::Nic {
                model,
                properties,
                wire,
            } => {
                let id = format!("nic{index}");
                let backend = match wire {
                    Wire::Hub(hub) => format!("hubport,id={id},hubid={hub}"),
                    Wire::BetweenGuests => {
                        let end = |number| directory.join(format!("wire-{number}"));
                        format!(
                            "dgram,id={id},local.type=unix,local.path={},remote.type=unix,remote.path={}",
                            end(number).display(),
                            end(1 - number).display()
                        )
                    }
                };
                let mut card = format!("{model},netdev={id},mac={}", address(number, index));
                if !properties.is_empty() {
                    card = format!("{card},{properties}");
                }
                arguments.extend(["-netdev".into(), backend, "-device".into(), card]);
            }
        }
    }
    arguments
}

/// The MAC address of a device: locally administered, with the guest's and the device's number.
fn address(number: usize, index: usize) -> String {
    format!("02:00:00:00:{number:02x}:{index:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_covers_is_made_visible_once() {
        let paths = ["/home/x", "/tmp/a/target", "/tmp/a", "/tmp/b", "/tmpfiles"];
        let hidden = hidden(paths.map(PathBuf::from).to_vec());
        assert_eq!(hidden, [Path::new("/tmp/a"), Path::new("/tmp/b")]);
    }

    #[test]
    fn two_guests_meet_at_a_wire() {
        let card = |wire| Device::Nic {
            model: "igb",
            properties: "mq=on",
            wire,
        };
        let guest = Guest::running(Program::Shell("true"))
            .device(card(Wire::BetweenGuests))
            .device(card(Wire::Hub(3)));
        let of = |number| device_arguments(&guest, number, Path::new("/d")).join(" ");
        let (first, second) = (of(0), of(1));
        assert!(first.contains("local.path=/d/wire-0,remote.type=unix,remote.path=/d/wire-1"));
        assert!(second.contains("local.path=/d/wire-1,remote.type=unix,remote.path=/d/wire-0"));
        assert!(
            first.contains("-device igb,netdev=nic0,mac=02:00:00:00:00:00,mq=on"),
            "{first}"
        );
        assert!(first.contains("-netdev hubport,id=nic1,hubid=3"), "{first}");
        assert!(second.contains("mac=02:00:00:00:01:01"), "{second}");
    }
}
