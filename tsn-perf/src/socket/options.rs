//! Socket options that no crate in use here covers.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The clock that a socket's launch times are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaunchClock {
    /// CLOCK_TAI; needs CAP_NET_ADMIN.
    Tai,
    /// CLOCK_MONOTONIC; anybody may use it.
    Monotonic,
}

/// Sets SO_TXTIME, so that each frame may carry a launch time, and with `report_errors` asks for the
/// launch times that a queueing discipline refused.
///
/// # Errors
///
/// When the kernel refuses it, with the way out.
pub fn set_txtime(
    socket: BorrowedFd<'_>,
    clock: LaunchClock,
    report_errors: bool,
) -> anyhow::Result<()> {
    let (clockid, name) = match clock {
        LaunchClock::Tai => (libc::CLOCK_TAI, "CLOCK_TAI"),
        LaunchClock::Monotonic => (libc::CLOCK_MONOTONIC, "CLOCK_MONOTONIC"),
    };
    let flags = if report_errors {
        libc::SOF_TXTIME_REPORT_ERRORS
    } else {
        0
    };
    let value = libc::sock_txtime { clockid, flags };
    set(socket, libc::SOL_SOCKET, libc::SO_TXTIME, &value).map_err(|error| {
        let way_out = match (error.raw_os_error(), clock) {
            (Some(libc::EPERM), LaunchClock::Tai) => {
                ": it needs CAP_NET_ADMIN in this network namespace's owner; \
                 give it, or use --launch-time monotonic, which needs nothing"
            }
            _ => "",
        };
        anyhow::Error::new(error).context(format!("cannot set SO_TXTIME with {name}{way_out}"))
    })
}

/// Sets SO_PRIORITY.
///
/// # Errors
///
/// When the kernel refuses it, with the way out.
pub fn set_priority(socket: BorrowedFd<'_>, priority: u32) -> anyhow::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_PRIORITY, &priority).with_context(|| {
        let way_out = if priority > 6 {
            ": above 6 it needs CAP_NET_ADMIN or CAP_NET_RAW"
        } else {
            ""
        };
        format!("cannot set SO_PRIORITY to {priority}{way_out}")
    })
}

/// Sets SO_TIMESTAMPNS: the kernel notes when each frame arrived, in CLOCK_REALTIME.
///
/// # Errors
///
/// When the kernel refuses it.
pub fn set_receive_timestamps(socket: BorrowedFd<'_>) -> anyhow::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1_i32).context("cannot set SO_TIMESTAMPNS")
}

/// Gives the socket room for `bytes`, beyond net.core.rmem_max if the process may (CAP_NET_ADMIN), else
/// as much of it as the limit allows.
///
/// # Errors
///
/// When the kernel refuses even that.
pub fn set_receive_buffer(socket: BorrowedFd<'_>, bytes: i32) -> anyhow::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
        .or_else(|_| set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes))
        .context("cannot set SO_RCVBUF")
}

/// Makes a packet socket see all that arrives at the interface, whomever it is for, nothing that leaves
/// it, and the VLAN tags that were taken out of the frames.
///
/// # Errors
///
/// When the kernel refuses one of these.
pub fn set_capture(socket: BorrowedFd<'_>, interface_index: u32) -> anyhow::Result<()> {
    set(socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, &1_i32)
        .context("cannot set PACKET_AUXDATA")?;
    set(
        socket,
        libc::SOL_PACKET,
        libc::PACKET_IGNORE_OUTGOING,
        &1_i32,
    )
    .context("cannot set PACKET_IGNORE_OUTGOING (Linux 4.20 and later have it)")?;
    let membership = libc::packet_mreq {
        mr_ifindex: interface_index as i32,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set(
        socket,
        libc::SOL_PACKET,
        libc::PACKET_ADD_MEMBERSHIP,
        &membership,
    )
    .context("cannot make the interface promiscuous")
}

/// How many frames the kernel dropped because the socket's receive buffer was full.
///
/// # Errors
///
/// When the kernel has no SO_MEMINFO (before Linux 4.12).
pub fn receive_drops(socket: BorrowedFd<'_>) -> io::Result<u64> {
    // SK_MEMINFO_DROPS is the last of the values up to it.
    let mut values = [0_u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut length = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `values`, and both outlive
    // the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &mut length,
        )
    };
    match result {
        0 => Ok(u64::from(values[libc::SK_MEMINFO_DROPS as usize])),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `Copy` keeps anything with a destructor or a heap out; the callers pass integers and C structs.
fn set<T: Copy>(socket: BorrowedFd<'_>, level: i32, name: i32, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes at `value`, a live reference to just that many.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
