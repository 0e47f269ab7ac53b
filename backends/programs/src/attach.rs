//! Attaching a program to a device by a pinned link.

use std::io;
use std::path::Path;

use aya::Ebpf;
use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::xdp::XdpLink;
use aya::programs::{
    LinkOrder, ProgramError as AyaError, SchedClassifier, TcAttachType, Xdp, XdpMode,
};

use super::ProgramError;
use super::device::Device;

/// Loads an XDP program of the object into the kernel.
pub fn load_xdp<'a>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, ProgramError> {
    let program = object.program_mut(name).ok_or(ProgramError::Object(name))?;
    let program: &mut Xdp = program.try_into().map_err(refused(name))?;
    program.load().map_err(refused(name))?;
    Ok(program)
}

/// Loads a traffic control program of the object into the kernel.
pub fn load_classifier<'a>(
    object: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut SchedClassifier, ProgramError> {
    let program = object.program_mut(name).ok_or(ProgramError::Object(name))?;
    let program: &mut SchedClassifier = program.try_into().map_err(refused(name))?;
    program.load().map_err(refused(name))?;
    Ok(program)
}

/// Attaches an XDP program and pins its link.
pub fn attach_xdp(
    program: &mut Xdp,
    name: &'static str,
    device: &Device,
    mode: XdpMode,
    pin: &Path,
) -> Result<(), ProgramError> {
    let id = program
        .attach_to_if_index(device.index, mode)
        .map_err(not_attached(name, device))?;
    let link = program.take_link(id).map_err(not_attached(name, device))?;
    pin_link(link.try_into(), pin)
}

/// Attaches a program to tcx egress and pins its link. The device is one of the current thread's namespace.
pub fn attach_tcx(
    program: &mut SchedClassifier,
    name: &'static str,
    device: &Device,
    pin: &Path,
) -> Result<(), ProgramError> {
    let options = TcAttachOptions::TcxOrder(LinkOrder::default());
    let id = program
        .attach_with_options(&device.name, TcAttachType::Egress, options)
        .map_err(not_attached(name, device))?;
    let link = program.take_link(id).map_err(not_attached(name, device))?;
    pin_link(link.try_into(), pin)
}

/// Puts an XDP program in the place of the one that a pinned link attaches, without a moment between.
pub fn replace_xdp(program: &mut Xdp, pin: &Path) -> Result<(), ProgramError> {
    let link: XdpLink = pinned(pin)?.try_into().map_err(link_error(pin))?;
    let id = program.attach_to_link(link).map_err(refused("redirect"))?;
    drop(program.take_link(id).map_err(refused("redirect"))?); // closes the descriptor; the pin holds the link
    Ok(())
}

/// The same of a tcx program.
pub fn replace_tcx(program: &mut SchedClassifier, pin: &Path) -> Result<(), ProgramError> {
    let link: SchedClassifierLink = pinned(pin)?.try_into().map_err(link_error(pin))?;
    let id = program.attach_to_link(link).map_err(refused("stamp"))?;
    drop(program.take_link(id).map_err(refused("stamp"))?);
    Ok(())
}

fn pinned(pin: &Path) -> Result<FdLink, ProgramError> {
    Ok(PinnedLink::from_pin(pin).map_err(link_error(pin))?.into())
}

fn pin_link(link: Result<FdLink, LinkError>, pin: &Path) -> Result<(), ProgramError> {
    link.map_err(link_error(pin))?
        .pin(pin)
        .map(drop)
        .map_err(|error| ProgramError::Pin {
            action: "pin a link at",
            path: pin.to_owned(),
            source: io::Error::other(error),
        })
}

fn refused(program: &'static str) -> impl Fn(AyaError) -> ProgramError {
    move |source| ProgramError::Refused {
        program,
        source: Box::new(source),
    }
}

fn link_error(pin: &Path) -> impl Fn(LinkError) -> ProgramError {
    move |source| ProgramError::Link {
        path: pin.to_owned(),
        source: Box::new(source),
    }
}

fn not_attached(program: &'static str, device: &Device) -> impl Fn(AyaError) -> ProgramError {
    move |source| {
        let errno = match &source {
            AyaError::SyscallError(error) => error.io_error.raw_os_error(),
            _ => None,
        };
        let name = device.name.clone();
        match errno {
            Some(libc::EBUSY | libc::EEXIST) => ProgramError::Busy { device: name },
            Some(libc::ERANGE) => ProgramError::MtuTooLarge {
                device: name,
                mtu: device.mtu,
            },
            _ => ProgramError::Attach {
                program,
                device: name,
                source: Box::new(source),
            },
        }
    }
}
