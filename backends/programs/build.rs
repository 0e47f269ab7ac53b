//! Finds the object with the kernel programs, which `cargo xtask ebpf` builds.

use std::path::Path;

fn main() {
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bpf/tsn-ebpf.o");
    println!("cargo::rerun-if-changed={}", object.display());
    match object.canonicalize() {
        Ok(object) => println!("cargo::rustc-env=TSN_EBPF_OBJECT={}", object.display()),
        Err(_) => println!("cargo::error=the kernel programs are not built; run: cargo xtask ebpf"),
    }
}
