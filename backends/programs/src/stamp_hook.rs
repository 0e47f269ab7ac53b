//! Where the stamp program sits at a pod's end of its veth pair: by a link to tcx, or where the kernel has none (before 6.6)
//! in a filter of `clsact`.
//!
//! Either outlives the daemon. A link is the daemon's alone. A filter is the pod's network namespace's: a pod with
//! CAP_NET_ADMIN can remove or change it, which [`attached`] notices. So its program does nothing once the pod's slot has
//! another secret than the one it was loaded with, wherever the filter is by then.

use std::error::Error;
use std::os::fd::AsFd;
use std::{fmt, io};

use aya::programs::{SchedClassifier, TcAttachType};

use super::attach;
use super::clsact::{self, Discipline};
use super::device::Device;
use super::kernel::LinkInfo;
use super::pins::{Before, PodPins};
use super::{ProgramError, netns, pod::pinned_pair};

/// How a pod's stamp program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampHook {
    /// By a link to tcx (Linux 6.6).
    Tcx,
    /// By a filter of `clsact`.
    Clsact,
}

impl StampHook {
    /// The one that this kernel has.
    pub fn of_this_kernel() -> Self {
        match SchedClassifier::query_tcx("lo", TcAttachType::Egress) {
            Err(error) if is_unknown_to_the_kernel(&error) => Self::Clsact,
            // Whatever else is wrong, a filter that a pod can remove is no way out.
            _ => Self::Tcx,
        }
    }

    /// Whether the pod's end has a `clsact` already, where it is needed. The device is one of the current thread's network
    /// namespace.
    pub(super) fn look(self, device: &Device) -> Result<Option<bool>, ProgramError> {
        if self == Self::Tcx {
            return Ok(None);
        }
        match clsact::discipline(device.index).map_err(not_filtered(device))? {
            Discipline::None => Ok(Some(false)),
            Discipline::Clsact => Ok(Some(true)),
            Discipline::Other => Err(ProgramError::IngressDiscipline {
                device: device.name.clone(),
            }),
        }
    }

    /// Attaches the program to a pod's end. The device is one of the current thread's network namespace.
    pub(super) fn attach(
        self,
        program: &mut SchedClassifier,
        device: &Device,
        pins: &PodPins,
    ) -> Result<(), ProgramError> {
        match self {
            Self::Tcx => attach::attach_tcx(program, "stamp", device, &pins.stamp()),
            Self::Clsact => set_filter(program, device, pins),
        }
    }

    /// Puts the program in the place of the one that is attached, without a moment between.
    pub(super) fn replace(
        self,
        program: &mut SchedClassifier,
        device: &Device,
        pins: &PodPins,
    ) -> Result<(), ProgramError> {
        match self {
            Self::Tcx => attach::replace_tcx(program, &pins.stamp()),
            Self::Clsact => set_filter(program, device, pins),
        }
    }
}

impl fmt::Display for StampHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcx => "tcx link",
            Self::Clsact => "clsact filter",
        })
    }
}

fn is_unknown_to_the_kernel(error: &(dyn Error + 'static)) -> bool {
    let of_the_system = |error: &(dyn Error + 'static)| {
        let error = error.downcast_ref::<io::Error>();
        error.and_then(io::Error::raw_os_error)
    };
    let mut cause = Some(error);
    while let Some(error) = cause {
        if of_the_system(error) == Some(libc::EINVAL) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn set_filter(
    program: &SchedClassifier,
    device: &Device,
    pins: &PodPins,
) -> Result<(), ProgramError> {
    let refused = |source| ProgramError::Refused {
        program: "stamp",
        source: Box::new(source),
    };
    let number = program.info().map_err(refused)?.id();
    let fd = program.fd().map_err(refused)?;
    clsact::set_program(device.index, fd.as_fd()).map_err(not_filtered(device))?;
    pins.set_filter(number)
}

/// The stamp program of a pod and the index of the pod's end; `None` if it is not attached.
pub fn attached(pins: &PodPins) -> Option<LinkInfo> {
    let Some(program_id) = pins.filter() else {
        return super::kernel::PinnedLink::open(&pins.stamp())
            .ok()?
            .info()
            .ok();
    };
    let before = pins.before()?;
    let look = || {
        let pair = pinned_pair(&before.netns, &before)?;
        program_at(&before, &pair.inside)
            .inspect_err(|error| tracing::warn!(%error, "cannot look for the stamp program"))
            .ok()
    };
    // Nobody can look when the namespace has lost its path, or the node lacks something: nothing says that the pod has
    // removed it then. What the node sees of the pod tells whether that is there.
    let in_force = look().unwrap_or(Some(program_id));
    (in_force == Some(program_id)).then_some(LinkInfo {
        program_id,
        ifindex: Some(before.inside_ifindex),
    })
}

/// Whether it is attached to this device of the pod.
pub fn is_attached_to(pins: &PodPins, inside_ifindex: u32) -> bool {
    attached(pins).is_some_and(|link| link.ifindex == Some(inside_ifindex))
}

fn program_at(before: &Before, inside: &Device) -> Result<Option<u32>, ProgramError> {
    let look = || clsact::program(inside.index).map_err(not_filtered(inside));
    netns::within(&before.netns, look)
}

/// Removes the filter and what was made for it. A pod's end that is gone, or that can no longer be found, is no error.
pub fn remove_filter(before: &Before) -> Result<(), ProgramError> {
    let Some(was_there) = before.clsact else {
        return Ok(());
    };
    let Some(pair) = pinned_pair(&before.netns, before) else {
        return Ok(());
    };
    let inside = pair.inside;
    netns::within(&before.netns, || {
        clsact::remove(inside.index, !was_there).map_err(not_filtered(&inside))
    })
}

fn not_filtered(device: &Device) -> impl Fn(std::io::Error) -> ProgramError {
    move |source| ProgramError::Filter {
        device: device.name.clone(),
        source,
    }
}
