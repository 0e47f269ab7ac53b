//! A card behind an IOMMU that `vfio-pci` has and DPDK's poll-mode driver drives, as on a node of metal: the whole of an
//! emulated igb, and one of its virtual functions while the kernel keeps the rest.
//!
//! The other end of the wire is a card of the kernel in the same guest, so both have one clock. It is the guest's: under
//! virtual time it is no longer than the instructions that were executed, and may be asserted.

mod bed;
mod cards;
#[path = "../../../tests/tests/common/counters.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod counters;
mod traffic;

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use serde_json::json;
use tsn_tests::{clients::binary, daemon::Daemon, topology::UPLINK, wait::wait_until};
use tsn_vm_tests::{Kernel, guest};

use bed::Bed;
use cards::{Card, interface_with};
use counters::{Counters, number};
use traffic::{CYCLES, Seen};

const BOUND: Duration = Duration::from_secs(60);

#[test]
fn the_whole_card_is_driven_and_given_back() {
    let bed = Bed::new().unwrap();
    let interface = interface_with("igb").unwrap();
    let card = Card::of_interface(&interface).unwrap();

    let refusal = bed.refusal(&card).unwrap();
    assert!(
        refusal.contains("belongs to igb of the kernel"),
        "{refusal}"
    );
    assert_doctor(&bed, "error");

    card.give_to("vfio-pci").unwrap();
    assert_doctor(&bed, "ok");
    let daemon = bed.start(&card).unwrap();
    assert_driven(&bed, &daemon, &card, "net_e1000_igb");
    // It hears what is for any station, so for any pod.
    traffic::assert_delivered(&bed, &bed.pod().mac.clone());
    daemon.terminate().unwrap();
    assert_given_back(&bed, &card, "igb");
}

#[test]
fn a_virtual_function_is_driven_and_given_back() {
    let bed = Bed::new().unwrap();
    let interface = interface_with("igb").unwrap();
    bed::ip(&["link", "set", &interface, "up"]).unwrap();
    let function = Card::new_function_of(&interface).unwrap();
    // The card lets it send under its own address alone unless it is told otherwise, and hear nothing but that.
    let of_function = ["link", "set", &interface, "vf", "0"];
    let pod = bed.pod().mac.clone();
    let settings = [&of_function[..], &["mac", &pod, "spoofchk", "off"]].concat();
    bed::ip(&settings).unwrap();

    function.give_to("vfio-pci").unwrap();
    let daemon = bed.start(&function).unwrap();
    assert_driven(&bed, &daemon, &function, "net_e1000_igb_vf");
    traffic::assert_delivered(&bed, &pod);
    let card = Card::of_interface(&interface).unwrap();
    assert_eq!(
        card.driver().as_deref(),
        Some("igb"),
        "the kernel keeps the rest"
    );
    daemon.terminate().unwrap();
    if has_forced_threads() {
        // The whole card's interrupt is a thread there. It waits for the softirqs of its CPU, which igbvf holds back while it
        // polls for the answer that this thread gives; the guest has no other CPU.
        function.give_back().unwrap();
        assert_eq!(function.driver().as_deref(), Some("igbvf"));
        guest::lacks("the mailbox between igbvf and igb on a single CPU, so the kernel sends nothing by the function").unwrap();
    } else {
        assert_given_back(&bed, &function, "igbvf");
    }
}

/// Whether interrupts are threads: with real-time preemption.
fn has_forced_threads() -> bool {
    [Kernel::V6_1Rt, Kernel::V6_12Rt, Kernel::NewestRt].contains(&guest::kernel().unwrap())
}

/// Asserts how `tsnctl doctor` finds the driver of the last configuration's uplink.
fn assert_doctor(bed: &Bed, severity: &str) {
    let mut doctor = bed
        .network
        .near
        .namespace
        .command(binary("tsnctl").unwrap());
    doctor.args(["doctor", "--output", "json", "--config"]);
    doctor.arg(bed.home.file("tsnd.yaml"));
    let output = doctor.output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut findings = report["findings"].as_array().unwrap().iter();
    let driver = findings.find(|finding| finding["code"] == "pci-driver");
    let found = driver.map(|finding| &finding["severity"]);
    assert_eq!(
        found,
        Some(&serde_json::Value::from(severity)),
        "{report:#}"
    );
}

/// Lets the pod send, and asserts that its frames leave by this card in their order and time, through DPDK's driver.
fn assert_driven(bed: &Bed, daemon: &Daemon, card: &Card, driver: &str) {
    assert_has(daemon, card).unwrap();
    let status = Counters::of(daemon).status;
    let facts = &status["uplink"]["device-facts"];
    assert_eq!(facts["driver"], driver, "{}", status["uplink"]);
    assert_eq!(facts["memory"], "hugepages", "{}", status["uplink"]);

    let (before, heard_before) = (sent_by_device(daemon), heard(bed));
    let wire = bed.wire().unwrap();
    traffic::talk(bed).unwrap();
    wait_until("all frames at the far end", BOUND, || {
        wire.count(|frame| frame.udp_destination().is_some()) >= 3 * CYCLES
    })
    .unwrap_or_else(|error| {
        let status = Counters::of(daemon).status;
        panic!("{error}: {} came\n{status}", wire.len())
    });
    let counters = Counters::of(daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    let seen = Seen::of(&wire.finish().unwrap());
    let frames = 3 * CYCLES as u64;
    let sent = sent_by_device(daemon) - before;
    assert_eq!(sent, frames, "frames that the card says it has sent");
    wait_until("the far card to have counted all frames", BOUND, || {
        heard(bed) - heard_before >= frames
    })
    .unwrap();
    let stream = counters.stream(&bed.pod().host_end, "timed");
    let lead_ns = number(&counters.status["uplink"]["lead-ns"]);
    println!(
        "lead {lead_ns} ns; {} stalled; departure {}; arrival - launch time: {}",
        stream["stalled"],
        stream["launch-errors"],
        seen.quantiles()
    );
    seen.assert_in_time();
    let figures = json!({ "driver": driver, "card-sent": sent, "arrival": seen.figures() });
    guest::write_figures(&figures).unwrap();
}

/// Asserts that the card is on `vfio-pci`, alone in its IOMMU group, and that the daemon has the group open.
fn assert_has(daemon: &Daemon, card: &Card) -> Result<()> {
    ensure!(card.driver().as_deref() == Some("vfio-pci"));
    ensure!(card.group_size()? == 1, "the group has other devices");
    let group = card.group_file()?;
    let open = fs::read_dir(format!("/proc/{}/fd", daemon.process.id()))?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|file| file == group);
    ensure!(open, "tsnd has not opened {}", group.display());
    Ok(())
}

/// Asserts that the kernel's driver takes the card back, and that frames leave by it.
fn assert_given_back(bed: &Bed, card: &Card, driver: &str) {
    let interface = card.give_back().unwrap();
    assert_eq!(card.driver().as_deref(), Some(driver));
    let wire = bed.wire().unwrap();
    bed::ip(&["link", "set", &interface, "up"]).unwrap();
    wait_until("a frame of the kernel at the far end", BOUND, || {
        traffic::send_raw(None, &interface, "ff:ff:ff:ff:ff:ff").unwrap();
        wire.count(traffic::is_raw) > 0
    })
    .unwrap();
    bed::ip(&["link", "set", &interface, "down"]).unwrap();
}

/// Frames that the card says it has sent, as the metrics tell it.
fn sent_by_device(daemon: &Daemon) -> u64 {
    let metrics = daemon.control.metrics().unwrap();
    let label = "tsnd_uplink_device_statistic{";
    let value = metrics
        .lines()
        .filter(|line| line.starts_with(label) && line.contains("\"tx_good_packets\""))
        .find_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    value.unwrap_or_else(|| panic!("no tx_good_packets\n{metrics}")) as u64
}

/// Frames that the far card's driver has counted.
fn heard(bed: &Bed) -> u64 {
    let mut command = bed.network.far.namespace.command("ip");
    command.args(["-json", "-statistics", "link", "show", UPLINK]);
    let output = command.output().unwrap();
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    number(&links[0]["stats64"]["rx"]["packets"])
}
