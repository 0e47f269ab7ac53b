//! What this kernel has of what `tsnd` uses or could use: by asking it, not by its release. What `tsnd` itself takes the
//! kernel to be must agree.

use tsn_programs::{KernelRelease, StampHook};
use tsn_tests::{namespace::Namespace, process::Process};
use tsn_vm_tests::{
    guest,
    report::kernels::{FEATURES, Features, Without},
};

const PROBE: &str = include_str!("features/probe.py");
const BOUND: std::time::Duration = std::time::Duration::from_secs(120);

#[test]
fn what_this_kernel_has() {
    let namespace = Namespace::new("features").unwrap();
    let mut command = namespace.command("python3");
    command.args(["-c", PROBE]);
    let process = Process::spawn("probe", command).unwrap();
    let told = process.finish(BOUND).unwrap();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let found = Features {
        release: release.trim().to_owned(),
        has: serde_json::from_str(&told).unwrap(),
    };
    println!("{found:#?}");

    let mut asked: Vec<_> = FEATURES.iter().map(|feature| feature.key).collect();
    asked.sort_unstable();
    assert!(found.has.keys().eq(asked), "each is asked for");
    for feature in &FEATURES {
        if matches!(feature.without, Without::Refuses) {
            assert!(found.has[feature.key], "tsnd needs {}", feature.key);
        }
    }
    let hook = StampHook::of_this_kernel();
    assert_eq!(found.has["tcx-link"], hook == StampHook::Tcx, "{hook}");
    let names_clocks = KernelRelease::of_this_machine().unwrap().names_clocks();
    assert_eq!(found.has["launch-time-clock-named"], names_clocks);
    // Last, since the page is made of it.
    guest::write_figures(&found).unwrap();
}
