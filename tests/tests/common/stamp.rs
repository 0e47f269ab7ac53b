//! How a pod's stamp program is attached: by a link to tcx, which is pinned, or before Linux 6.6 by a filter in the pod's
//! network namespace.

use std::{fs, path::PathBuf};

use tsn_tests::{process::Process, topology::POD_INTERFACE};

use super::{BOUND, Bed};

/// The program's number, where it is attached by a filter.
pub fn filter(bed: &Bed, pod: usize) -> Option<u64> {
    let number = fs::read_link(pin(bed, pod, "filter")).ok()?;
    number.to_str()?.parse().ok()
}

/// Whether that filter is where the daemon has put it.
pub fn filter_is_there(bed: &Bed, pod: usize) -> bool {
    let number = filter(bed, pod);
    let filters = tc(bed, pod, "show");
    number.is_some_and(|number| filters.contains(&format!(" id {number} ")))
}

/// Takes the program away without the daemon.
pub fn take_away(bed: &Bed, pod: usize) {
    match filter(bed, pod) {
        // Without its pin, a link goes with its last descriptor.
        None => fs::remove_file(pin(bed, pod, "stamp")).unwrap(),
        Some(_) => drop(tc(bed, pod, "del")),
    }
}

fn pin(bed: &Bed, pod: usize, name: &str) -> PathBuf {
    let pods = bed.home.pin_directory().join("pods");
    pods.join(format!("pod{pod}")).join(name)
}

fn tc(bed: &Bed, pod: usize, what: &str) -> String {
    let mut command = bed.near(pod).namespace.command("tc");
    command.args(["filter", what, "dev", POD_INTERFACE, "egress"]);
    let process = Process::spawn("tc", command).unwrap();
    process.finish(BOUND).unwrap()
}
