//! The first process of a guest: mounts, loads modules, runs the commands of its spec, ends the machine.

#![forbid(unsafe_code)]

mod commands;
mod files;

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use nix::kmod::{ModuleInitFlags, finit_module};
use tsn_vm_init::{EXIT_PORT, End, FAILURE_PREFIX, MODULES, SPEC, STATUS_PREFIX, Spec};

fn main() {
    let end = match begin() {
        Ok(spec) => {
            let status = commands::run_all(&spec.commands);
            println!("{STATUS_PREFIX}{status}");
            if status == 0 {
                End::Success
            } else {
                End::Failure
            }
        }
        Err(error) => {
            println!("{FAILURE_PREFIX}{error:#}");
            End::NotBegun
        }
    };
    nix::unistd::sync();
    // What is printed has not been sent yet, and would end with the machine. A console that cannot wait has sent it.
    let _ = nix::sys::termios::tcdrain(std::io::stdout());
    match power_off(end) {
        // QEMU ends a moment later: a first process that returns until then would be told as a panic.
        Ok(()) => loop {
            nix::unistd::pause();
        },
        // The end of the first process is a panic, which also ends a machine without the device.
        Err(error) => println!("tsn-vm-init: cannot end the machine: {error:#}"),
    }
}

fn begin() -> Result<Spec> {
    files::mount_own()?;
    let spec = fs::read(SPEC).with_context(|| format!("read {SPEC}"))?;
    let spec: Spec = serde_json::from_slice(&spec).with_context(|| format!("parse {SPEC}"))?;
    for name in &spec.modules {
        load(name)?;
    }
    files::enter_root(&spec.visible)?;
    if spec.hugepages > 0 {
        files::reserve_hugepages(spec.hugepages)?;
    }
    let status = Command::new("/usr/sbin/ip")
        .args(["link", "set", "lo", "up"])
        .status()
        .context("start /usr/sbin/ip")?;
    ensure!(status.success(), "set lo up: {status}");
    Ok(spec)
}

fn load(name: &str) -> Result<()> {
    let path = Path::new(MODULES).join(name);
    let file = fs::File::open(&path).with_context(|| format!("open module {name}"))?;
    finit_module(&file, c"", ModuleInitFlags::empty())
        .with_context(|| format!("load module {name}"))
}

/// Writes to the port of `isa-debug-exit` by way of the device that stands for all ports.
fn power_off(end: End) -> Result<()> {
    let ports = OpenOptions::new()
        .write(true)
        .open("/dev/port")
        .context("open /dev/port")?;
    ports
        .write_all_at(&[end.port_value()], u64::from(EXIT_PORT))
        .context("write to /dev/port")
}
