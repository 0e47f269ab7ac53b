//! In which modes the daemon uses a card: as it tells, and as it is.

use std::{
    fs, io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use tsn_tests::daemon::Daemon;
use tsn_vm_tests::{Kernel, guest};

use crate::bed::Bed;

const ZERO_COPY: &str = "AF_XDP, zero-copy, queue 0";
const COPY: &str = "AF_XDP, copy mode, queue 0";

/// `XDP_ATTACHED_DRV` and `XDP_ATTACHED_SKB` of linux/if_link.h.
const NATIVE: u64 = 1;
const GENERIC: u64 = 2;

/// The modes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Modes {
    /// Where the receive program runs: `native` or `generic`.
    pub xdp: String,
    /// How the socket sends.
    pub socket: String,
}

impl Modes {
    fn new(is_native: bool, is_zero_copy: bool) -> Self {
        Self {
            xdp: if is_native { "native" } else { "generic" }.to_owned(),
            socket: if is_zero_copy { ZERO_COPY } else { COPY }.to_owned(),
        }
    }

    /// Whether the socket is in zero-copy mode.
    pub fn is_zero_copy(&self) -> bool {
        self.socket == ZERO_COPY
    }

    /// As the daemon tells.
    pub fn told(daemon: &Daemon) -> Result<Self> {
        let status = daemon.control.get("/v1/status")?;
        let facts = &status["uplink"]["device-facts"];
        let fact = |name: &str| {
            let fact = facts[name].as_str().map(ToOwned::to_owned);
            fact.with_context(|| format!("no {name} in {facts}"))
        };
        Ok(Self {
            xdp: fact("xdp")?,
            socket: fact("socket")?,
        })
    }

    /// As the kernel has it. A veth has no zero-copy mode, so a socket in it is the uplink's.
    pub fn of_kernel(bed: &Bed, daemon: &Daemon) -> Result<Self> {
        let link = bed.link(&bed.node)?;
        let is_native = match link["xdp"]["mode"].as_u64() {
            Some(NATIVE) => true,
            Some(GENERIC) => false,
            _ => bail!("no XDP program: {link}"),
        };
        match zero_copy_sockets(daemon.process.id())? {
            0 => Ok(Self::new(is_native, false)),
            1 => Ok(Self::new(is_native, true)),
            more => bail!("{more} sockets in zero-copy mode, of one uplink and two veths"),
        }
    }

    /// What driver and kernel can do. Zero-copy came to igb with Linux 6.14, and to virtio-net not much before.
    pub fn expected(driver: &str, zero_copy_wanted: bool) -> Result<Self> {
        let is_new = [Kernel::Newest, Kernel::NewestRt].contains(&guest::kernel()?);
        let is_native = ["igb", "virtio_net"].contains(&driver);
        Ok(Self::new(
            is_native,
            is_native && is_new && zero_copy_wanted,
        ))
    }
}

/// How many AF_XDP sockets of a process are in zero-copy mode.
fn zero_copy_sockets(process: u32) -> Result<usize> {
    // SAFETY: makes a descriptor of a process.
    let handle = descriptor(unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) })?;
    let mut of_xdp = 0;
    let mut zero_copy = 0;
    for entry in fs::read_dir(format!("/proc/{process}/fd"))? {
        let entry = entry?;
        let is_socket = fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        if !is_socket {
            continue;
        }
        let number: libc::c_int = entry.file_name().to_string_lossy().parse()?;
        // SAFETY: makes a descriptor of that process's socket, which both then have open.
        let socket = descriptor(unsafe {
            libc::syscall(libc::SYS_pidfd_getfd, handle.as_raw_fd(), number, 0)
        })?;
        if option(&socket, libc::SOL_SOCKET, libc::SO_DOMAIN)? == libc::AF_XDP {
            let options = option(&socket, libc::SOL_XDP, libc::XDP_OPTIONS)?;
            of_xdp += 1;
            zero_copy += usize::from(options & libc::XDP_OPTIONS_ZEROCOPY as i32 != 0);
        }
    }
    ensure!(of_xdp >= 3, "{of_xdp} sockets of uplink and two pods");
    Ok(zero_copy)
}

fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system call has just made it, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(result as i32) })
}

/// An option of a socket that is a number.
fn option(socket: &OwnedFd, level: libc::c_int, name: libc::c_int) -> io::Result<i32> {
    let mut value = 0_i32;
    let mut length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: passes a pointer to a live number and its size, which the kernel does not exceed.
    let result = unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(socket.as_raw_fd(), level, name, value, &raw mut length)
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value)
}
