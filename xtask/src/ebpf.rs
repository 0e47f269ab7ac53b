//! Builds the kernel programs into `target/bpf/tsn-ebpf.o`.
//!
//! Two toolchains can do it, and what is there is used: Debian's compiler with its prebuilt `core` for the BPF target,
//! or a nightly of rustup that builds `core` itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

const TARGET: &str = "bpfel-unknown-none";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Builds the kernel programs.
///
/// # Errors
///
/// When no toolchain can build them, or they do not compile.
pub fn run() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the workspace")?;
    let target_dir = root.join("target/bpf");
    let toolchain = Toolchain::find().context(
        "no toolchain for kernel programs: neither rustc-web with libstd-rust-web-dev-bpf, nor a nightly with rust-src; \
         run: cargo xtask setup",
    )?;
    let linker = find_linker().context("bpf-linker is missing; run: cargo xtask setup")?;

    let mut flags = OsString::from(format!(
        "--cfg=bpf_target_arch=\"{}\"",
        std::env::consts::ARCH
    ));
    flags.push("\x1f-Cdebuginfo=2\x1f-Clink-arg=--btf\x1f-Clinker=");
    flags.push(&linker);
    let status = toolchain
        .cargo()
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--package",
            "tsn-ebpf",
            "--release",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        // bpf-linker optimises the whole program itself; the profile is that of the programs of user space.
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the kernel programs do not compile");

    let built = std::fs::read(target_dir.join(TARGET).join("release/tsn-ebpf"))
        .context("cargo left no object")?;
    let object = target_dir.join("tsn-ebpf.o");
    // An object that is the same keeps its time, so that nothing that includes it is built again.
    if std::fs::read(&object).is_ok_and(|old| old == built) {
        return Ok(());
    }
    std::fs::write(&object, built).with_context(|| format!("cannot write {}", object.display()))
}

/// What compiles for the BPF target.
pub enum Toolchain {
    /// Debian's `rustc-web` with `libstd-rust-web-dev-bpf`.
    Debian,
    /// rustup's nightly with `rust-src`.
    Nightly,
}

impl Toolchain {
    /// The first one that is there.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn find() -> anyhow::Result<Self> {
        if sysroot(&mut Command::new(DEBIAN_RUSTC))
            .is_some_and(|root| root.join("lib/rustlib").join(TARGET).is_dir())
        {
            return Ok(Self::Debian);
        }
        if sysroot(Command::new("rustup").args(["run", "nightly", "rustc"]))
            .is_some_and(|root| root.join("lib/rustlib/src/rust/library").is_dir())
        {
            return Ok(Self::Nightly);
        }
        bail!("no compiler for {TARGET}")
    }

    fn cargo(&self) -> Command {
        match self {
            Self::Debian => {
                let mut cargo = Command::new("cargo");
                // The target is known to the compiler of a release, yet not stable in it.
                cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
            Self::Nightly => {
                let mut cargo = Command::new("rustup");
                cargo
                    .args(["run", "nightly", "cargo"])
                    .env_remove("RUSTC")
                    .env_remove("CARGO");
                cargo.env("CARGO_UNSTABLE_BUILD_STD", "core");
                cargo
            }
        }
    }
}

/// Where `bpf-linker` lies: on the path, or where `cargo install` puts it.
pub fn find_linker() -> Option<PathBuf> {
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))?;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain([cargo_home.join("bin")])
        .map(|directory| directory.join("bpf-linker"))
        .find(|file| file.is_file())
}

fn sysroot(rustc: &mut Command) -> Option<PathBuf> {
    let output = rustc
        .args(["--print", "sysroot"])
        .env_remove("RUSTUP_TOOLCHAIN")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}
