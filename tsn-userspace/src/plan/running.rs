//! The old list of a change as the daemon runs it.

use super::words::instant;
use crate::config::{Configuration, GateParameters};

/// Gives `old` the base time by which a daemon runs its list: `tsnctl apply --at` may have set another than the file's,
/// and the cycles before the change lie by it. What the reader should know of that is returned.
pub fn take_running_base_time(old: &mut Configuration, running: &GateParameters) -> Option<String> {
    let gates = &mut old.uplinks.first_mut()?.gate_parameters;
    let of_file = std::mem::replace(&mut gates.admin_base_time, running.admin_base_time);
    if *gates != *running {
        gates.admin_base_time = of_file;
        return Some(
            "the daemon was given other gate parameters than those of the old file: before the change it does not do what \
             is drawn"
                .to_owned(),
        );
    }
    (of_file != running.admin_base_time).then(|| {
        format!(
            "the old list is drawn by the base time that the daemon was given, {}, not by that of the old file",
            instant(running.admin_base_time.instant().as_nanos())
        )
    })
}
