//! What is pinned, read without changing anything: for a diagnosis beside a running daemon.

use std::fs;
use std::path::Path;

use aya::programs::loaded_programs;

use super::ProgramError;
use super::kernel::PinnedLink;
use super::pins::{PodPins, decode, list, read_value};
use super::stamp_hook::attached;

/// What is pinned under a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pinned {
    /// Version of the records that the maps hold; `None` when nothing is pinned.
    pub layout: Option<u32>,
    /// The programs that pinned links attach.
    pub programs: Vec<PinnedProgram>,
}

/// A program that a pinned link attaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedProgram {
    /// `receive`, `redirect` or `stamp`.
    pub name: &'static str,
    /// The uplink's device of `receive`, else the pod's name.
    pub owner: String,
    /// The kernel's number of the program.
    pub id: u32,
    /// Index of the device, in the device's own network namespace; `None` if it is gone.
    pub ifindex: Option<u32>,
}

impl Pinned {
    /// Reads the directory of pins. One that does not exist holds nothing.
    ///
    /// # Errors
    ///
    /// When the caller may not look: that takes root.
    pub fn read(pin_dir: &Path) -> Result<Self, ProgramError> {
        match fs::read_dir(pin_dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => {
                return Err(ProgramError::Pin {
                    action: "list",
                    path: pin_dir.to_owned(),
                    source,
                });
            }
            Ok(_) => {}
        }
        let mut pinned = Self {
            layout: read_value(&pin_dir.join("layout")),
            programs: Vec::new(),
        };
        for device in list(&pin_dir.join("uplinks"))? {
            pinned.add("receive", &device, &pin_dir.join("uplinks").join(&device));
        }
        for pod in list(&pin_dir.join("pods"))? {
            for name in ["redirect", "stamp"] {
                pinned.add(name, &pod, &pin_dir.join("pods").join(&pod).join(name));
            }
        }
        Ok(pinned)
    }

    fn add(&mut self, name: &'static str, encoded_owner: &str, path: &Path) {
        // One that is gone, or goes right now, is not pinned.
        let info = match name {
            "stamp" => path.parent().and_then(|pod| attached(&PodPins::at(pod))),
            _ => PinnedLink::open(path).and_then(|link| link.info()).ok(),
        };
        let Some(info) = info else {
            return;
        };
        self.programs.push(PinnedProgram {
            name,
            owner: decode(encoded_owner),
            id: info.program_id,
            ifindex: info.ifindex,
        });
    }
}

/// The name of a loaded program by its number; `None` when there is none, or the caller may not look.
pub fn program_name(id: u32) -> Option<String> {
    loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
        .map(|program| String::from_utf8_lossy(program.name()).into_owned())
}
