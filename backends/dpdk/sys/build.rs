//! Makes the bindings to the installed DPDK, compiles the shim, and links what both need.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest release that the shim is written for. 23.11 and 24.11 only add to it.
const OLDEST_DPDK: &str = "22.11";

/// The libraries whose functions are called. `rte_log` is one of its own since 23.11. Drivers are no part of it: the EAL
/// loads them at run time, and one that is linked as well would register itself twice.
const LIBRARIES: [&str; 5] = [
    "rte_eal",
    "rte_ethdev",
    "rte_log",
    "rte_mbuf",
    "rte_mempool",
];

/// Functions, types and constants that the bindings have; whatever the functions' signatures mention comes with them.
const ALLOWED_FUNCTIONS: &str = "shim_.*\
    |rte_(strerror|eal_init|eal_hotplug_(add|remove)|thread_register|log_cur_msg_loglevel)\
    |rte_(pktmbuf_pool_create_by_ops|mempool_avail_count|mempool_free)\
    |rte_eth_dev_(adjust_nb_rx_tx_desc|close|configure|get_mtu|get_port_by_name|info_get|is_removed|socket_id|start|stop)\
    |rte_mbuf_dyn_tx_timestamp_register|rte_eth_read_clock\
    |rte_eth_(macaddr_get|promiscuous_enable|allmulticast_enable|[rt]x_queue_setup)\
    |rte_eth_(stats_get|xstats_get|xstats_get_names)";
const ALLOWED_CONSTANTS: &str = "SHIM_.*|RTE_PKTMBUF_HEADROOM";

/// Types whose fields only the shim touches: packed, aligned and full of unions in ways that change between releases.
const OPAQUE_TYPES: &str = "rte_(mbuf|mempool|eth_link|device|eth_switch_info|ether_hdr|arp_.*)";

fn main() {
    println!("cargo::rerun-if-changed=src/shim.c");
    println!("cargo::rerun-if-changed=src/shim.h");
    let library = pkg_config::Config::new()
        .atleast_version(OLDEST_DPDK)
        .cargo_metadata(false)
        .probe("libdpdk")
        .unwrap_or_else(|error| {
            panic!(
                "no DPDK {OLDEST_DPDK} or newer: {error}\n\
                 Install it (Debian: apt-get install libdpdk-dev), or build without the DPDK backend."
            )
        });
    // Raw, since `-include rte_config.h` and `-march` are among them, which the crate does not hand out.
    let flags = compiler_flags();

    let mut shim = cc::Build::new();
    shim.file("src/shim.c").warnings(false);
    for flag in &flags {
        shim.flag(flag);
    }
    shim.compile("tsn_dpdk_shim");

    // After the shim, which needs them.
    for path in &library.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }
    for name in library
        .libs
        .iter()
        .filter(|name| LIBRARIES.contains(&name.as_str()))
    {
        println!("cargo::rustc-link-lib=dylib={name}");
    }

    find_libclang();
    let bindings = bindgen::Builder::default()
        .header("src/shim.h")
        .clang_args(&flags)
        .allowlist_function(ALLOWED_FUNCTIONS)
        .allowlist_var(ALLOWED_CONSTANTS)
        .opaque_type(OPAQUE_TYPES)
        .derive_default(true)
        .generate_comments(false) // Doxygen is not rustdoc
        .layout_tests(false)
        .generate()
        .expect("bindgen reads DPDK's headers; see clang's messages above");
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindings
        .write_to_file(output.join("bindings.rs"))
        .expect("the output directory is writable");
}

fn compiler_flags() -> Vec<String> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = Command::new(&program)
        .args(["--cflags", "libdpdk"])
        .output()
        .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    assert!(
        output.status.success(),
        "{program} has libdpdk, but no flags for it"
    );
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Points bindgen at a libclang if Debian has one where bindgen does not look first: an LLVM that comes without it may
/// be newer than the one that has it.
fn find_libclang() {
    println!("cargo::rerun-if-env-changed=LIBCLANG_PATH");
    if env::var_os("LIBCLANG_PATH").is_some() {
        return;
    }
    let newest = (14..40)
        .rev()
        .map(|version| PathBuf::from(format!("/usr/lib/llvm-{version}/lib")))
        .find(|directory| has_libclang(directory));
    if let Some(directory) = newest {
        // SAFETY: this program has one thread.
        unsafe { env::set_var("LIBCLANG_PATH", directory) };
    }
}

fn has_libclang(directory: &Path) -> bool {
    ["libclang.so", "libclang.so.1"]
        .iter()
        .any(|name| directory.join(name).exists())
}
