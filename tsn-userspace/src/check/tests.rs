//! Each code, and where it points.

mod gates;
mod streams;

use tsn_core::TaiTime;

use super::*;

/// In which nothing is to be found.
const CLEAN: &str = "\
uplinks:
  - device: eth1
    link-speed: 1000
    per-frame-overhead: 24
    traffic-classes:
      - { number: 7, name: control }
      - { number: 5, name: video }
      - { number: 0, name: rest }
    gate-parameters:
      gate-enabled: true
      admin-base-time: 0
      admin-cycle-time: 1ms
      admin-cycle-time-extension: 0
      admin-control-list:
        - { gate-states-value: [control], time-interval-value: 300us }
        - { gate-states-value: [video], time-interval-value: 200us }
        - { gate-states-value: [rest], time-interval-value: 500us }
pods:
  - name: one
    netns: /run/netns/one
    streams:
      - { name: loop, match: { udp-destination-port: 5001-5009 }, traffic-class: control }
      - { name: film, match: { ethertype: 0x22f0 }, traffic-class: video }
  - name: two
    netns: /run/netns/two
    streams:
      - { name: rest, match: {}, traffic-class: rest, launch-time: at }
worker: { frame-buffers: 4096 }
clock: { on-sync-loss: hold }
";

const NOW_S: u64 = 1_800_000_000;

fn environment() -> Environment {
    Environment {
        now: TaiTime::from_nanos(NOW_S * 1_000_000_000 + 250_000),
        mtu_bytes: 1_500,
        link_speed_mbps: None,
        lead_ns: Some(5_000),
        clock_error_ns: Some(1_000),
        daemon: Err("no tsnd".to_owned()),
    }
}

fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(CLEAN.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in:\n{text}");
        text.replacen(from, to, 1)
    })
}

/// Asserts that the changes to the clean file make exactly this finding, in the line with this text.
#[track_caller]
fn finds(severity: Severity, code: &str, line: &str, message: &str, changes: &[(&str, &str)]) {
    let text = changed(changes);
    let report = check(&text, &environment());
    let [finding] = report.findings.as_slice() else {
        panic!("not one finding: {report:#?}\nin:\n{text}");
    };
    assert_eq!((finding.code, finding.severity), (code, severity));
    let at = text.lines().nth(finding.line as usize - 1).unwrap();
    assert!(at.contains(line), "{code} points at {at}, not at {line}");
    assert!(finding.message.contains(message), "{}", finding.message);
}

#[test]
fn nothing_is_found_in_a_clean_file() {
    assert_eq!(check(CLEAN, &environment()).findings, []);
    // Nor anything worse than a note in the example.
    let report = check(include_str!("../../../examples/tsnd.yaml"), &environment());
    assert_eq!((report.errors, report.warnings), (0, 0), "{report:#?}");
}

#[test]
fn what_the_daemon_refuses_is_an_error() {
    use Severity::Error;
    let shape = [("link-speed: 1000", "link-speed: fast")];
    finds(Error, "shape", "link-speed", "a whole number", &shape);
    let value = [("link-speed: 1000", "link-speed: 0")];
    finds(Error, "value", "link-speed", "0 Mb/s", &value);
    let text = changed(&[
        value[0],
        ("frame-buffers: 4096", "frame-buffers: 1"),
        ("number: 5", "number: 8"),
    ]);
    let report = check(&text, &environment());
    let places: Vec<&str> = report.findings.iter().map(|f| f.place.as_str()).collect();
    assert_eq!(
        places,
        [
            "uplinks[0].link-speed",
            "uplinks[0].traffic-classes[1].number",
            "worker.frame-buffers"
        ]
    );
    assert_eq!((report.errors, report.warnings, report.notes), (3, 0, 0));
}

#[test]
fn figures_come_from_the_user_then_the_daemon_and_are_else_assumed() {
    let text = changed(&[("    link-speed: 1000\n", "")]);
    let daemon = DaemonFigures {
        device: "eth1".to_owned(),
        link_speed_mbps: 100,
        lead_ns: 7_000,
    };
    let asked = |text: &str, daemon: Result<DaemonFigures, String>, lead_ns| {
        let environment = Environment {
            lead_ns,
            clock_error_ns: None,
            daemon,
            ..environment()
        };
        let report = check(text, &environment);
        report
            .findings
            .into_iter()
            .map(|f| f.message)
            .collect::<Vec<String>>()
    };
    // All from the daemon, but for the clock's error: what the kernel takes for its bound grows and is set back.
    const CLOCK_ERROR: &str = "assumed: a clock error of 1 µs";
    let file = text.replace("300us", "100us").replace("500us", "700us");
    let messages = asked(&file, Ok(daemon.clone()), None);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[1].contains("1514 bytes at 100 Mb/s: 123.04 µs, lead: 7 µs"),
        "{messages:?}"
    );
    assert_eq!(messages[0], CLOCK_ERROR);
    // The user's lead is preferred.
    let messages = asked(&file, Ok(daemon.clone()), Some(9_000));
    assert!(messages[1].contains("lead: 9 µs"), "{messages:?}");
    // A daemon for another device says nothing about this one.
    let other = DaemonFigures {
        device: "eth9".to_owned(),
        ..daemon
    };
    assert_eq!(
        asked(&text, Ok(other), None),
        [
            "assumed: a lead of 5 µs, a link of 1000 Mb/s (the tsnd that runs here serves eth9), a clock error of 1 µs"
        ]
    );
}

#[test]
fn no_number_is_too_small_or_too_large() {
    let is_digit = |at: usize| CLEAN.as_bytes()[at].is_ascii_digit();
    let starts = (1..CLEAN.len()).filter(|at| is_digit(*at) && !is_digit(at - 1));
    for start in starts {
        let digits = CLEAN[start..].find(|c: char| !c.is_ascii_digit());
        let end = start + digits.unwrap_or(0);
        for extreme in [
            "0",
            "1",
            "255",
            "65535",
            "4294967295",
            "18446744073709551615",
        ] {
            let text = format!("{}{extreme}{}", &CLEAN[..start], &CLEAN[end..]);
            let report = check(&text, &environment());
            let mut shown = String::new();
            write_text(&mut shown, &report, "tsnd.yaml", &text).unwrap();
            let told = report.errors + report.warnings + report.notes;
            assert_eq!(report.findings.len(), told, "{shown}");
            assert_eq!(shown.matches("\ntsnd.yaml:").count() + 1, told.max(1));
        }
    }
}
