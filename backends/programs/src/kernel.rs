//! The three commands of bpf(2) on pinned links that aya does not offer.

use std::ffi::CString;
use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_DETACH: libc::c_long = 34;

/// What a link attaches, and to what.
#[derive(Debug, Clone, Copy)]
pub struct LinkInfo {
    /// The kernel's number of the program.
    pub program_id: u32,
    /// Index of the device, in the device's own network namespace; `None` if it is gone.
    pub ifindex: Option<u32>,
}

/// A link that is pinned.
pub struct PinnedLink(OwnedFd);

impl PinnedLink {
    /// Opens the link pinned at `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        #[repr(C)]
        struct Arguments {
            pathname: u64,
            bpf_fd: u32,
            file_flags: u32,
        }
        let path = CString::new(path.as_os_str().as_bytes())?;
        let mut arguments = Arguments {
            pathname: path.as_ptr() as u64,
            bpf_fd: 0,
            file_flags: 0,
        };
        let fd = bpf(BPF_OBJ_GET, &mut arguments)?;
        // SAFETY: the kernel just opened it for us, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// What the link attaches, and to what.
    pub fn info(&self) -> io::Result<LinkInfo> {
        /// The beginning of `struct bpf_link_info`; both for XDP and tcx the first variable field is the index.
        #[repr(C)]
        #[derive(Default)]
        struct Info {
            kind: u32,
            id: u32,
            program_id: u32,
            padding: u32,
            ifindex: u32,
            attach_type: u32,
        }
        #[repr(C)]
        struct Arguments {
            bpf_fd: u32,
            info_len: u32,
            info: u64,
        }
        let mut info = Info::default();
        let mut arguments = Arguments {
            bpf_fd: self.0.as_raw_fd() as u32,
            info_len: size_of_val(&info) as u32,
            info: &raw mut info as u64,
        };
        bpf(BPF_OBJ_GET_INFO_BY_FD, &mut arguments)?;
        Ok(LinkInfo {
            program_id: info.program_id,
            ifindex: (info.ifindex != 0).then_some(info.ifindex),
        })
    }

    /// Detaches the program at once; removing the pin alone does so only some time later.
    pub fn detach(&self) -> io::Result<()> {
        let mut link_fd = self.0.as_raw_fd() as u32;
        bpf(BPF_LINK_DETACH, &mut link_fd).map(drop)
    }
}

fn bpf<T>(command: libc::c_long, arguments: &mut T) -> io::Result<i32> {
    // SAFETY: `arguments` is the beginning of `union bpf_attr` for this command, `repr(C)` and of the size given; the
    // memory it points to lives until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            &raw mut *arguments,
            size_of::<T>() as libc::c_long,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as i32)
    }
}
