//! Finds or installs what the build and the tests need beside Rust itself.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use tsn_vm_tests::{packages::Lists, qemu::Qemu};

use crate::{
    ebpf,
    step::root,
    unpack::{CONTAINERS, OPEN_VSWITCH, PROMETHEUS},
};

/// Debian packages that serve one purpose.
struct Group {
    reason: &'static str,
    packages: &'static [&'static str],
}

const AFXDP: Group = Group {
    reason: "AF_XDP sockets: xsk-rs builds libbpf and libxdp from C",
    packages: &[
        "m4",
        "gcc-multilib",
        "clang",
        "libelf-dev",
        "libpcap-dev",
        "zlib1g-dev",
        "pkg-config",
        "make",
    ],
};
const DPDK: Group = Group {
    // A libclang, which reads its headers, comes with the clang of AF_XDP.
    reason: "DPDK: its library, and testpmd",
    packages: &["libdpdk-dev", "dpdk-dev"],
};
const BPF_COMPILER: Group = Group {
    reason: "kernel programs: a compiler with a prebuilt core for the BPF target",
    packages: &["rustc-web", "libstd-rust-web-dev-bpf"],
};
const BPF_LINKER: Group = Group {
    reason: "kernel programs: bpf-linker is built against LLVM",
    packages: &[
        "llvm-22-dev",
        "libpolly-22-dev",
        "libzstd-dev",
        "zlib1g-dev",
    ],
};
const TESTS: Group = Group {
    reason: "end-to-end tests: namespaces, unmodified programs as clients, captures",
    packages: &[
        "iproute2",
        "ethtool",
        "isochron",
        "netsniff-ng",
        "python3",
        "python3-prometheus-client",
        "systemd",
        "tshark",
    ],
};
const CNI: Group = Group {
    reason: "tests of the CNI plugin: what portmap calls, runc's library, the compiler of containerd's interface",
    packages: &["iptables", "libseccomp2", "protobuf-compiler"],
};
const OVERLAY: Group = Group {
    reason: "tests of the overlay: libraries of Open vSwitch, which is unpacked below",
    packages: &[
        "libbpf1",
        "libcap-ng0",
        "libnuma1",
        "libssl3",
        "libunbound8",
        "libxdp1",
    ],
};
const BROWSER: Group = Group {
    reason: "tests of pages: a browser that takes a screenshot",
    packages: &["chromium", "fonts-dejavu-core"],
};
const INSTRUCTIONS: Group = Group {
    reason: "counting instructions: callgrind",
    packages: &["valgrind"],
};
const FUZZING: Group = Group {
    reason: "fuzzing: libFuzzer is C++",
    packages: &["g++"],
};

/// Beside QEMU itself, which [`vm`] installs.
const VIRTUAL_MACHINES: Group = Group {
    reason: "tests in virtual machines: unpacking kernels, and clocks that follow each other",
    packages: &["linuxptp", "lz4", "util-linux", "xz-utils", "zstd"],
};
const QEMU: &str = "qemu-system-x86";
const QEMU_RELEASES: [&str; 2] = ["bookworm", "bookworm-backports"];

const LLVM_BIN: &str = "/usr/lib/llvm-22/bin";
const BPF_LINKER_INSTALL: [&str; 7] = [
    "install",
    "bpf-linker",
    "--version",
    "^0.13",
    "--no-default-features",
    "--features",
    "llvm-22",
];

/// Options of `cargo xtask setup`.
#[derive(clap::Args)]
pub struct Options {
    /// Also what tests in virtual machines need: QEMU.
    #[arg(long)]
    vm: bool,
}

/// Does [`run`], and [`vm`] if asked for.
///
/// # Errors
///
/// Theirs.
pub fn run_all(options: &Options) -> anyhow::Result<()> {
    run()?;
    if options.vm { vm() } else { Ok(()) }
}

/// Finds or installs what tests in virtual machines need. A QEMU that is missing or too old comes from Debian's backports, by
/// lists of their own: the machine's stay as they are, and no other package of there is taken.
///
/// # Errors
///
/// When it cannot be installed.
pub fn vm() -> anyhow::Result<()> {
    provide(&[VIRTUAL_MACHINES])?;
    let missing = match Qemu::find() {
        Ok(qemu) => {
            println!("present     virtual machines: {}", qemu.version);
            return Ok(());
        }
        Err(missing) => missing,
    };
    println!("missing     virtual machines: {missing}");
    ensure!(
        is_root(),
        "QEMU is missing, and only root may install it; run: sudo -E cargo xtask setup --vm"
    );
    let directory = root().join("target/vm/apt/qemu");
    let lists = Lists::new(&directory, &QEMU_RELEASES)?;
    lists.update()?;
    println!("installing  {QEMU} from {}", QEMU_RELEASES[1]);
    let done = lists
        .apt("apt-get")
        .args(["install", "--yes", "--no-install-recommends"])
        .args(["--target-release", QEMU_RELEASES[1], QEMU])
        .status()
        .context("start apt-get")?;
    ensure!(
        done.success(),
        "cannot install {QEMU}; see what apt-get says above"
    );
    let qemu = Qemu::find()?;
    println!("present     virtual machines: {}", qemu.version);
    Ok(())
}

/// Says for each item whether it is present, and installs what is missing where it can. Without DPDK, the work goes on.
///
/// # Errors
///
/// When something else is missing that cannot be installed here; the message has the commands that would.
pub fn run() -> anyhow::Result<()> {
    let mut groups = vec![AFXDP];
    match ebpf::Toolchain::find() {
        Ok(ebpf::Toolchain::Nightly) => {
            println!("present     kernel programs: rustup's nightly with rust-src");
        }
        Ok(ebpf::Toolchain::Debian) | Err(_) => groups.push(BPF_COMPILER),
    }
    let linker = ebpf::find_linker();
    if linker.is_none() {
        groups.push(BPF_LINKER);
    }
    groups.extend([TESTS, CNI, BROWSER, INSTRUCTIONS, FUZZING]);

    provide(&groups)?;
    PROMETHEUS.provide()?;
    CONTAINERS.provide()?;
    match linker {
        Some(linker) => println!("present     bpf-linker ({})", linker.display()),
        None => install_linker()?,
    }
    if let Err(error) = provide(&[DPDK, OVERLAY]).and_then(|()| OPEN_VSWITCH.provide()) {
        println!("without     DPDK or tests with it: {error:#}");
    }
    Ok(())
}

/// Installs what is missing of the groups.
fn provide(groups: &[Group]) -> anyhow::Result<()> {
    let installed = installed_packages(groups)?;
    let mut missing = Vec::new();
    for group in groups {
        let lacking: Vec<_> = group
            .packages
            .iter()
            .copied()
            .filter(|name| !installed.contains(*name))
            .collect();
        if lacking.is_empty() {
            println!(
                "present     {} ({})",
                group.reason,
                group.packages.join(" ")
            );
        } else {
            println!("missing     {} ({})", group.reason, lacking.join(" "));
            missing.extend(lacking);
        }
    }
    install_packages(&missing)
}

/// Which of the packages are installed, by one query.
fn installed_packages(groups: &[Group]) -> anyhow::Result<HashSet<String>> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"])
        .args(groups.iter().flat_map(|group| group.packages))
        .stderr(Stdio::null()) // it complains of what it does not know, which is what is missing
        .output()
        .with_context(|| {
            let names: Vec<_> = groups
                .iter()
                .flat_map(|group| group.packages)
                .copied()
                .collect();
            format!(
                "no dpkg-query: on this system install what Debian calls {}",
                names.join(" ")
            )
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .map(String::from)
        .collect())
}

fn install_packages(packages: &[&str]) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install {}", packages.join(" "));
    if !is_root() {
        bail!("packages are missing, and only root may install them; run: sudo {command}");
    }
    println!(
        "installing  {} packages; this may take minutes: {command}",
        packages.len()
    );
    if apt_get(
        &[
            ["install", "--yes", "--no-install-recommends"].as_slice(),
            packages,
        ]
        .concat(),
    )? {
        return Ok(());
    }
    println!("installing  the package lists may be old: apt-get update, and once more");
    apt_get(&["update"])?;
    let done = apt_get(
        &[
            ["install", "--yes", "--no-install-recommends"].as_slice(),
            packages,
        ]
        .concat(),
    )?;
    ensure!(
        done,
        "cannot install the packages; see what apt-get says above, and try: {command}"
    );
    Ok(())
}

/// Runs apt-get without questions and tells whether it succeeded.
///
/// # Errors
///
/// When it cannot be started.
pub fn apt_get(arguments: &[&str]) -> anyhow::Result<bool> {
    let mut apt = Command::new("apt-get");
    apt.arg("--quiet=2")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    Ok(apt.status().context("cannot start apt-get")?.success())
}

/// Builds bpf-linker against Debian's LLVM, whose tools must be the first that its build finds.
fn install_linker() -> anyhow::Result<()> {
    let command = format!(
        "PATH={LLVM_BIN}:$PATH cargo {}",
        BPF_LINKER_INSTALL.join(" ")
    );
    ensure!(
        Path::new(LLVM_BIN).is_dir(),
        "no LLVM in {LLVM_BIN}; once it is there, run: {command}"
    );
    println!("installing  bpf-linker; this takes about 80 s: {command}");
    let path = std::env::var("PATH").unwrap_or_default();
    let status = Command::new("cargo")
        .args(BPF_LINKER_INSTALL)
        .arg("--quiet")
        .env("PATH", format!("{LLVM_BIN}:{path}"))
        .status()
        .context("cannot start cargo")?;
    ensure!(
        status.success(),
        "bpf-linker does not build; try: {command}"
    );
    Ok(())
}

/// Whether the process may install packages: the effective user of its own `/proc` entry.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
