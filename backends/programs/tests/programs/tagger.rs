//! A program that tags frames before the stamp program sees them, the way a VLAN interface of the pod would: with the outer
//! tag beside the frame. It stands in for one, since not every kernel has VLAN interfaces.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;

use aya::programs::tc::TcAttachOptions;
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};
use tsn_programs::StampHook;

use crate::lab::run;

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const BPF_FUNC_SKB_VLAN_PUSH: i32 = 18;
const TCX_NEXT: i32 = -1;

/// Attaches it to egress of a device of this thread's namespace: by tcx until the value is dropped, or where the kernel has
/// none in a filter.
pub fn attach(device: &str, vlan_ids: &[u16], pin: &Path) -> Option<SchedClassifier> {
    let mut instructions = vec![move_register(6, 1)];
    for &id in vlan_ids {
        instructions.extend([
            move_register(1, 6),
            move_value(2, i32::from(0x8100u16.to_be())),
            move_value(3, i32::from(id)),
            instruction(0x85, 0, 0, BPF_FUNC_SKB_VLAN_PUSH),
        ]);
    }
    instructions.extend([move_value(0, TCX_NEXT), instruction(0x95, 0, 0, 0)]);
    let _program = load(&instructions, pin).unwrap();
    if StampHook::of_this_kernel() == StampHook::Clsact {
        run(&format!("tc qdisc add dev {device} clsact"));
        run(&format!(
            "tc filter add dev {device} egress pref 1 bpf direct-action object-pinned {}",
            pin.display()
        ));
        return None;
    }
    let mut program = SchedClassifier::from_pin(pin).unwrap();
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    program
        .attach_with_options(device, TcAttachType::Egress, options)
        .unwrap();
    Some(program)
}

fn move_register(to: u8, from: u8) -> u64 {
    instruction(0xbf, to, from, 0)
}

fn move_value(to: u8, value: i32) -> u64 {
    instruction(0xb7, to, 0, value)
}

/// `struct bpf_insn` without an offset.
fn instruction(code: u8, to: u8, from: u8, value: i32) -> u64 {
    let [v0, v1, v2, v3] = value.to_ne_bytes();
    u64::from_ne_bytes([code, to | from << 4, 0, 0, v0, v1, v2, v3])
}

fn load(instructions: &[u64], pin: &Path) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Load {
        kind: u32,
        instruction_count: u32,
        instructions: u64,
        licence: u64,
    }
    #[repr(C)]
    struct Pin {
        path: u64,
        fd: u32,
        flags: u32,
    }
    let load = Load {
        kind: BPF_PROG_TYPE_SCHED_CLS,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        licence: c"GPL".as_ptr() as u64,
    };
    // SAFETY: the kernel has just opened it for us.
    let program = unsafe { OwnedFd::from_raw_fd(bpf(BPF_PROG_LOAD, &load)?) };
    let path = std::ffi::CString::new(pin.as_os_str().as_encoded_bytes())?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&program) as u32;
    bpf(
        BPF_OBJ_PIN,
        &Pin {
            path: path.as_ptr() as u64,
            fd,
            flags: 0,
        },
    )?;
    Ok(program)
}

fn bpf<T>(command: libc::c_long, arguments: &T) -> io::Result<i32> {
    // SAFETY: `arguments` is the beginning of `union bpf_attr` for the command; what it points to outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            &raw const *arguments,
            size_of::<T>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as i32)
    }
}
