//! Findings about pods and their streams.

use super::*;

#[test]
fn streams_that_cannot_work_are_found() {
    use Severity::{Note, Warning};
    let unlisted = [
        ("traffic-class: video", "traffic-class: 4"),
        ("value: [video]", "value: [video, 4]"),
        (
            "{ number: 5, name: video }",
            "{ number: 5, name: video, capacity: 9 }",
        ),
    ];
    let report = check(&changed(&unlisted), &environment());
    let codes: Vec<(&str, Severity)> = report
        .findings
        .iter()
        .map(|f| (f.code, f.severity))
        .collect();
    assert_eq!(
        codes,
        [("class-unused", Note), ("class-without-settings", Warning)]
    );
    let ignored = [
        ("name: rest }", "name: rest, launch-time-required: true }"),
        ("launch-time: at", "launch-time: ignore"),
    ];
    finds(
        Warning,
        "launch-time-ignored",
        "launch-time: ignore",
        "all are refused",
        &ignored,
    );
    let tolerance = [("launch-time: at", "late-tolerance: 500us")];
    finds(
        Warning,
        "tolerance-spans-gap",
        "late-tolerance",
        "closed for 500 µs",
        &tolerance,
    );
    for wide in [
        "{}",
        "{ udp-destination-port: 5001-5009 }",
        "{ udp-destination-port: 5000-6000 }",
    ] {
        let shadowed = [
            (
                "{ name: film, match: { ethertype: 0x22f0 }",
                "{ name: film, match: { udp-destination-port: 5001-5009, pcp: 2 }",
            ),
            (
                "match: { udp-destination-port: 5001-5009 }",
                &format!("match: {wide}"),
            ),
        ];
        finds(
            Warning,
            "stream-shadowed",
            "name: film",
            "stream loop before it",
            &shadowed,
        );
    }
    for narrower in [
        "{ udp-destination-port: 5002-5009 }",
        "{ udp-destination-port: 5001-5009, pcp: 3 }",
        "{ pcp: 2, priority: 1 }",
    ] {
        let beside = [
            (
                "{ ethertype: 0x22f0 }",
                "{ udp-destination-port: 5001-5009, pcp: 2 }",
            ),
            (
                "match: { udp-destination-port: 5001-5009 }",
                &format!("match: {narrower}"),
            ),
        ];
        assert_eq!(
            check(&changed(&beside), &environment()).findings,
            [],
            "{narrower}"
        );
    }
    let impossible = [("ethertype: 0x22f0", "ethertype: 0x22f0, dscp: 46")];
    finds(
        Warning,
        "match-impossible",
        "name: film",
        "IPv4 (0x0800) and IPv6",
        &impossible,
    );
    let tag = [("ethertype: 0x22f0", "ethertype: 0x8100")];
    finds(
        Warning,
        "match-impossible",
        "name: film",
        "the one of a tag",
        &tag,
    );
    let taken = [("/run/netns/two", "/run/netns/one")];
    finds(
        Warning,
        "interface-taken",
        "/run/netns/one",
        "pod two: its interface eth0 in /run/netns/one belongs to pod one",
        &taken,
    );
    let buffers = [
        ("frame-buffers: 4096", "frame-buffers: 2048"),
        (
            "    netns: /run/netns/two",
            "    netns: /run/netns/two\n    frame-quota: 513",
        ),
    ];
    finds(
        Warning,
        "buffers-too-few",
        "pods:",
        "may hold 2049 frame buffers, and there are 2048",
        &buffers,
    );
    let critical = [("on-sync-loss: hold", "on-sync-loss: drop-critical")];
    finds(
        Warning,
        "no-critical-class",
        "on-sync-loss",
        "no traffic class is critical",
        &critical,
    );
}

#[test]
fn the_streams_of_a_profile_are_looked_at_as_those_of_a_pod() {
    let profile = "profiles:
  - name: motion
    streams:
      - { name: all, match: {}, traffic-class: rest }
      - { name: part, match: { pcp: 1 }, traffic-class: rest }
worker:";
    finds(
        Severity::Warning,
        "stream-shadowed",
        "name: part",
        "stream all before it",
        &[("worker:", profile)],
    );
}

#[test]
fn two_pods_have_two_sockets_and_two_addresses() {
    use Severity::Warning;
    let socket = |name: &str, address: &str| {
        format!("vhost-user: {{ socket: /run/{name}.sock, address: '02:00:00:00:00:{address}' }}")
    };
    let one = |name, address| {
        [
            ("netns: /run/netns/one", socket("a", "01")),
            ("netns: /run/netns/two", socket(name, address)),
        ]
    };
    for (code, said, changes) in [
        (
            "socket-taken",
            "its socket /run/a.sock belongs to pod one",
            one("a", "02"),
        ),
        (
            "address-taken",
            "its address 02:00:00:00:00:01 belongs to pod one",
            one("b", "01"),
        ),
    ] {
        let [first, second] = changes.each_ref().map(|(from, to)| (*from, to.as_str()));
        let changes = [first, second, ("device: eth1", "device: net_null0")];
        let to = second.1;
        finds(
            Warning,
            code,
            to.split_once(": ").unwrap().1,
            said,
            &changes,
        );
    }
}

#[test]
fn behind_an_interface_of_the_kernel_nothing_arrives_for_a_vhost_user_pod() {
    let end = "vhost-user: { socket: /run/a.sock, address: '02:00:00:00:00:01' }";
    finds(
        Severity::Warning,
        "nothing-delivered",
        "socket: /run/a.sock",
        "what arrives at eth1 does not reach pod one",
        &[("netns: /run/netns/one", end)],
    );
}

#[test]
fn an_overlay_pod_without_networks_is_told_where_they_come_from() {
    let overlay = (
        "netns: /run/netns/two",
        "netns: /run/netns/two\n    mode: overlay",
    );
    let code = "pod-networks-from-file";
    let said = "/run/flannel/subnet.env";
    finds(Severity::Note, code, "mode: overlay", said, &[overlay]);
    let profile = "profiles:\n  - name: motion\n    mode: overlay\n    streams: [ { name: s, match: {}, traffic-class: rest } ]\nclock:";
    finds(
        Severity::Note,
        code,
        "mode: overlay",
        said,
        &[("clock:", profile)],
    );
    let networks = (
        "clock:",
        "overlay: { pod-networks: [10.244.0.0/16] }\nclock:",
    );
    let report = check(&changed(&[overlay, networks]), &environment());
    assert_eq!(report.findings, []);
}
