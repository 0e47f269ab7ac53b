//! Where a part of a file is mapped into this process, by `/proc/self/maps`.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use nix::sys::stat::fstat;

/// Where `file` is mapped from `offset` on; `None` if it is not.
pub(crate) fn mapped_at(file: BorrowedFd<'_>, offset: u64) -> io::Result<Option<NonNull<u8>>> {
    let inode = fstat(file)?.st_ino;
    let start = find(&fs::read_to_string("/proc/self/maps")?, inode, offset);
    Ok(start.and_then(|start| NonNull::new(start as *mut u8)))
}

/// Finds the line: `start-end permissions offset device inode path`, numbers in hexadecimal but for the inode.
fn find(maps: &str, inode: u64, offset: u64) -> Option<usize> {
    let start = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (start, _) = fields.next()?.split_once('-')?;
        let at = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
        let of: u64 = fields.nth(1)?.parse().ok()?;
        (at == offset && of == inode).then(|| usize::from_str_radix(start, 16).ok())?
    };
    maps.lines().find_map(start)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    const MAPS: &str = "\
7ff0a000-7ff0c000 rw-s 80000000 00:08 4711 socket:[4711]
7ff0c000-7ff0e000 rw-s 00000000 00:08 4712 socket:[4712]
7ff0e000-7ff10000 rw-s 80000000 00:08 4712 socket:[4712]
7ff20000-7ff30000 rw-p 00000000 00:00 0";

    #[test]
    fn inode_and_offset_must_both_be_right() {
        assert_eq!(find(MAPS, 4712, 0x8000_0000), Some(0x7ff0_e000));
        assert_eq!(find(MAPS, 4712, 0), Some(0x7ff0_c000));
        assert_eq!(find(MAPS, 4711, 0), None);
        assert_eq!(find("7ff0a000-7ff0c000 rw-s", 4711, 0), None);
    }

    #[test]
    fn this_program_is_mapped_and_a_pipe_is_not() {
        let program = fs::File::open("/proc/self/exe").unwrap();
        assert!(mapped_at(program.as_fd(), 0).unwrap().is_some());
        let (pipe, _other_end) = io::pipe().unwrap();
        assert!(mapped_at(pipe.as_fd(), 0).unwrap().is_none());
    }
}
