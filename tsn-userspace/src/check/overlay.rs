//! Whether pods of the overlay mode will know where their frames may go.

use super::{Findings, Inspection};
use crate::config::Mode;

pub(super) fn look(inspection: &Inspection<'_>, findings: &mut Findings) {
    let overlay = &inspection.configuration.overlay;
    if overlay.pod_networks.is_some() {
        return;
    }
    let pods = inspection.pods.iter().map(|pod| pod.mode);
    let pods = pods
        .enumerate()
        .map(|(index, mode)| (format!("pods[{index}].mode"), mode));
    let profiles = inspection
        .configuration
        .profiles
        .iter()
        .map(|profile| profile.mode);
    let profiles = profiles.enumerate();
    let profiles = profiles.map(|(index, mode)| (format!("profiles[{index}].mode"), mode));
    let mut modes = pods.chain(profiles);
    if let Some((place, _)) = modes.find(|(_, mode)| *mode == Mode::Overlay) {
        findings.note(
            "pod-networks-from-file",
            place,
            format!(
                "where its frames may go is read from {} when tsnd runs; until that is there, no pod of this mode is \
                 attached",
                overlay.subnet_file.display()
            ),
            Some("give overlay.pod-networks where no flanneld writes that file".to_owned()),
        );
    }
}
