//! The files of `tests/tests`, unchanged: each over AF_XDP, and over DPDK where it is installed.
//!
//! In the time of the guest's work: nothing that they wait for comes too late because the host is busy.

use std::{fs, process::Command};

use tsn_tests::backend::{Backend, OF_DPDK, OF_NO_BACKEND, VARIABLE};

use crate::{Guest, Kernel, Test, TestFile, places};

/// What a quick run has of them, in one guest: of each sort one that takes little time.
const QUICK: [(&str, &str); 5] = [
    ("launch", "python_with_tai_launch_times"),
    ("conservation", "with_room_for_all"),
    ("schedule_change", "a_change_under_light_traffic"),
    ("faults", "a_restart_under_traffic_adopts"),
    ("attachments", "a_daemon_that_was_absent"),
];

/// What iptables asks the kernel for, over nftables: `portmap`, which stands beside our plugin in a chain, sets rules by it.
const MODULES_OF_IPTABLES: [&str; 13] = [
    "nf_tables",
    "nft_compat",
    "nft_chain_nat",
    "nft_masq",
    "nft_nat",
    "xt_addrtype",
    "xt_comment",
    "xt_conntrack",
    "xt_mark",
    "xt_MASQUERADE",
    "xt_multiport",
    "xt_nat",
    "xt_tcpudp",
];

/// The tests of this area.
pub fn tests() -> Vec<Test> {
    let mut tests = vec![quick()];
    let files = files();
    for file in files
        .iter()
        .filter(|file| !OF_DPDK.contains(&file.as_str()))
    {
        tests.push(of_file(file, Backend::Afxdp));
    }
    if dpdk_is_installed() {
        for file in files
            .iter()
            .filter(|file| !OF_NO_BACKEND.contains(&file.as_str()))
        {
            tests.push(of_file(file, Backend::Dpdk));
        }
    }
    tests
}

fn quick() -> Test {
    let programs = QUICK.map(|(file, test)| TestFile::end_to_end(file).only(test));
    let [first, others @ ..] = programs;
    let guest = others.into_iter().fold(Guest::running(first), Guest::then);
    Test::new(
        "quick-end-to-end",
        "launch times, all frames accounted for, a change of schedule, a killed and an absent daemon",
        guest,
    )
    .on(&Kernel::WITH_NICS)
    .quick_on(&Kernel::QUICK)
    .in_time_of_work()
    .limit_seconds(900)
}

fn of_file(file: &str, backend: Backend) -> Test {
    let name = format!("end-to-end-{backend}-{}", file.replace('_', "-"));
    let shows = format!("tests/tests/{file}.rs over {backend}");
    let mut guest = Guest::running(TestFile::end_to_end(file));
    if file.starts_with("cni_") || file == "overlay_traffic" {
        guest = guest.modules(&MODULES_OF_IPTABLES);
    }
    Test::new(&name, &shows, guest.environment(VARIABLE, backend.name()))
        .on(&Kernel::WITH_NICS)
        .in_time_of_work()
        .limit_seconds(2400)
}

/// Their names, in order: none is left out because nobody thought of it.
fn files() -> Vec<String> {
    let directory = places::repository().join("tests/tests");
    let entries = fs::read_dir(&directory).expect("the repository has its end-to-end tests");
    let names = entries.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.strip_suffix(".rs").map(String::from)
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn dpdk_is_installed() -> bool {
    let found = Command::new("pkg-config")
        .args(["--exists", "libdpdk"])
        .status();
    found.is_ok_and(|status| status.success())
}
