//! A daemon that was built without DPDK says how to get one that has it.
#![cfg(not(feature = "dpdk"))]

use std::path::Path;
use std::process::Command;

#[test]
fn the_way_to_the_backend_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/tsnd.yaml");
    let mut tsnd = Command::new(env!("CARGO_BIN_EXE_tsnd"));
    tsnd.args(["--backend", "dpdk", "--config"]).arg(example);
    tsnd.arg("--control")
        .arg(directory.path().join("control.sock"));
    tsnd.env_remove("RUST_BACKTRACE");
    let output = tsnd.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    for part in [
        "built without DPDK",
        "libdpdk-dev clang",
        "cargo xtask build",
        "--features dpdk",
    ] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}
