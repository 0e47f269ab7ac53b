//! Every code is provoked on a fake machine.

mod break_devices;
mod breaks;
mod core;
mod dpdk;
mod fake;
mod files;

use std::collections::BTreeSet;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::drops::CAUSES;
use super::options::KernelOptions;
use super::{Code, Finding, Live, Machine, Report, Severity};
use break_devices::DEVICE_BREAKS;
use breaks::{BREAKS, Break};
use dpdk::DPDK_BREAKS;
use fake::Scenario;

fn all_breaks() -> impl Iterator<Item = &'static Break> {
    DEVICE_BREAKS.iter().chain(BREAKS)
}

fn bad(report: &Report) -> BTreeSet<Code> {
    let bad = report.findings.iter();
    bad.filter(|finding| finding.severity > Severity::Ok)
        .map(|finding| finding.code)
        .collect()
}

fn of(report: &Report, code: Code) -> &Finding {
    let found = report.findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("no {} in {report:#?}", code.name()))
}

#[test]
fn a_machine_that_is_as_it_should_be_has_no_finding() {
    let report = Scenario::healthy().examine();
    assert_eq!(bad(&report), BTreeSet::new(), "{report:#?}");
    assert_eq!(report.summary.ok, report.findings.len());
    assert_eq!(
        (report.cpu, report.uplink.as_deref()),
        (Some(3), Some("eth1"))
    );
}

#[test]
fn what_is_broken_is_found_and_nothing_else() {
    for (index, (break_it, expected)) in all_breaks().enumerate() {
        let mut scenario = Scenario::healthy();
        break_it(&mut scenario);
        let report = scenario.examine();
        let expected: BTreeSet<Code> = expected.iter().copied().collect();
        assert_eq!(bad(&report), expected, "break {index}: {report:#?}");
        assert_complete(&report);
    }
}

/// Who reads of a fault must read what it costs and what to do.
fn assert_complete(report: &Report) {
    for finding in &report.findings {
        let fine = finding.severity == Severity::Ok;
        assert!(fine || finding.severity == finding.code.severity());
        let says = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        assert_eq!((says(&finding.why), says(&finding.mend)), (!fine, !fine));
    }
}

#[test]
fn a_vhost_user_pod_needs_its_socket_and_no_device() {
    for peer_listens in [false, true] {
        let mut scenario = Scenario::healthy();
        scenario.vhost_user(peer_listens);
        scenario
            .kernel
            .devices
            .retain(|(netns, _), _| netns.is_none());
        scenario.write("/run/tsnd/pod1.sock", "");
        let report = scenario.examine();
        assert_eq!(bad(&report), BTreeSet::new(), "{report:#?}");
    }
}

#[test]
fn a_device_that_holds_frames_needs_no_measured_lead() {
    let mut scenario = Scenario::healthy();
    let uplink = &mut scenario.answers().status.uplink;
    uplink.hardware_launch_time = true;
    (uplink.lead_ns, uplink.lead_observations) = (200_000, 0);
    assert_eq!(bad(&scenario.examine()), BTreeSet::new());
}

#[test]
fn every_code_is_provoked() {
    let of_dpdk = DPDK_BREAKS.iter().flat_map(|(_, _, codes)| codes.iter());
    let provoked: BTreeSet<Code> = all_breaks()
        .flat_map(|(_, codes)| codes.iter())
        .chain(of_dpdk)
        .copied()
        .collect();
    let missing: Vec<&Code> = Code::ALL
        .iter()
        .filter(|code| !provoked.contains(code))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), Code::ALL.len(), "two codes have one name");
}

#[test]
fn every_cause_of_drops_that_can_be_mended_is_told() {
    for (cause, why, mend) in CAUSES {
        let mut scenario = Scenario::healthy();
        let counters = &mut scenario.answers().status.classes[0].drops;
        counters.insert(cause.to_owned(), 12);
        let report = scenario.examine();
        let finding = of(&report, Code::Drops);
        assert_eq!(
            finding.what,
            format!("class 7: 12 frames {cause} since the start")
        );
        assert_eq!(
            (finding.why.as_deref(), finding.mend.as_deref()),
            (Some(why), Some(mend))
        );
    }
}

#[test]
fn the_causes_are_those_that_the_daemon_counts() {
    let mut scenario = Scenario::healthy();
    let answers = scenario.answers();
    let of_daemon = [
        &answers.status.uplink.drops,
        &answers.status.classes[0].drops,
        &answers.pods[0].drops,
    ];
    let counted: BTreeSet<&str> = of_daemon
        .into_iter()
        .flat_map(|drops| drops.keys().map(String::as_str))
        .chain(tsn_programs::COUNTER_NAMES)
        .collect();
    for (cause, ..) in CAUSES {
        assert!(
            counted.contains(cause),
            "nobody counts {cause}: {counted:?}"
        );
    }
}

#[test]
fn a_speed_that_is_not_configured_is_not_to_be_corrected() {
    let mend = |configured| {
        let mut scenario = Scenario::healthy();
        scenario.configuration().uplinks[0].link_speed = configured;
        scenario.uplink().1.speed_mbps = Some(100);
        let report = scenario.examine();
        of(&report, Code::LinkSpeedDiffers).mend.clone().unwrap()
    };
    assert!(mend(Some(1_000)).contains("uplinks[0].link-speed"));
    assert!(mend(None).contains("restart tsnd"));
}

#[test]
fn findings_tell_the_values() {
    let told = |break_it: fn(&mut Scenario), code| {
        let mut scenario = Scenario::healthy();
        break_it(&mut scenario);
        let report = scenario.examine();
        let Finding {
            what, why, mend, ..
        } = of(&report, code).clone();
        format!("{what}\n{}\n{}", why.unwrap(), mend.unwrap())
    };
    let tso = told(|s| s.uplink().1.tso = Some(true), Code::TsoOn);
    assert!(
        tso.contains("524 us") && tso.contains("ethtool -K eth1 tso off gso off"),
        "{tso}"
    );
    let mtu = told(|s| s.host_end().0.mtu = 1_500, Code::HostMtu);
    assert!(
        mtu.contains("1476 bytes") && mtu.contains("dev veth1 mtu 1524"),
        "{mtu}"
    );
    let gro = told(|s| s.pod_end().1.gro = Some(false), Code::PodGroOff);
    assert!(
        gro.contains("nsenter --net=/run/netns/pod1 ethtool -K eth0 gro on"),
        "{gro}"
    );
    let foreign = told(
        |s| s.uplink().0.xdp.as_mut().unwrap().program_id = 99,
        Code::XdpForeign,
    );
    assert!(foreign.contains("stranger (id 99)"), "{foreign}");
}

#[test]
fn a_held_latency_request_rules_out_deep_idle_states() {
    let report_with = |latency_us: i32| {
        let scenario = Scenario::healthy();
        scenario.write("/sys/devices/system/cpu/cpu3/cpuidle/state1/disable", "0\n");
        std::fs::create_dir_all(scenario.root.path().join("dev")).unwrap();
        let device = scenario.root.path().join("dev/cpu_dma_latency");
        std::fs::write(device, latency_us.to_ne_bytes()).unwrap();
        bad(&scenario.examine())
    };
    assert_eq!(report_with(2_000_000_000), [Code::CpuDeepIdle].into());
    assert_eq!(report_with(50), BTreeSet::new());
}

#[test]
fn the_kernel_options_are_read_compressed_too() {
    let scenario = Scenario::healthy();
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(b"CONFIG_NET=y\n").unwrap();
    let path = scenario.root.path().join("proc/config.gz");
    std::fs::write(path, gz.finish().unwrap()).unwrap();
    let machine = Machine::new(scenario.root.path(), Box::new(Live));
    let options = KernelOptions::read(&machine).unwrap();
    assert_eq!(
        options.missing(&["NET", "VETH", "BPF"]),
        "CONFIG_VETH, CONFIG_BPF"
    );
}

#[test]
fn an_empty_machine_is_no_reason_to_fail() {
    let mut scenario = Scenario::healthy();
    scenario.silence(false);
    let empty = tempfile::TempDir::new().unwrap();
    let machine = Machine::new(empty.path(), Box::new(scenario.kernel));
    let report = super::examine(&machine, &scenario.subject);
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.code == Code::DaemonAbsent)
    );
}

/// The page that lists the codes; each has a row with its severity and meaning.
#[test]
fn the_documentation_lists_every_code() {
    let page = include_str!("../../../../docs/doctor.md");
    let rows: BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let wanted: BTreeSet<String> = Code::ALL.iter().map(|code| row(*code)).collect();
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let missing: Vec<_> = wanted.difference(&rows).collect();
    let stale: Vec<_> = rows.difference(&wanted).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "missing {missing:#?}\nstale {stale:#?}"
    );
}

fn row(code: Code) -> String {
    let severity = format!("{:?}", code.severity()).to_lowercase();
    format!("| `{}` | {severity} | {} |", code.name(), code.meaning())
}
