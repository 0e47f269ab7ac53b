//! CHECK, GC, STATUS and VERSION, and calls that are none.

use std::process::{Command, Stdio};

use crate::bed::{Node, VERSIONS};
use crate::daemon::Reply;
use serde_json::{Value, json};

#[test]
fn check_asks_the_daemon_until_it_is_attached() {
    for version in &VERSIONS[1..] {
        let mut replies = vec![
            Reply::answer(200, &json!({"attached": true})),
            Reply::answer(200, &json!({"attached": false, "waits-for": "the veth"})),
            Reply::answer(404, &json!({"error": "not attached"})),
            Reply::answer(200, &json!({"attached": true})),
        ];
        let node = Node::with_daemon(move |_, _| replies.pop().unwrap());
        node.call("ADD", version).run().result();
        node.call("CHECK", version).run().nothing();
        let get = "GET /v1/attachments/plant/0a1b2c/eth0";
        assert_eq!(node.requests()[1..], [get; 3]);
    }
}

#[test]
fn check_tells_what_is_not_so() {
    for version in &VERSIONS[1..] {
        let node = Node::with_daemon(|method, _| match method {
            "PUT" => Reply::answer(200, &json!({"attached": true})),
            _ => Reply::answer(200, &json!({"attached": false, "waits-for": "the veth"})),
        });
        let check = || node.call("CHECK", version).with("deadlineMs", json!(200));
        let message = check().run().error(version, 104);
        assert!(message.contains("never added"), "{message}");

        node.call("ADD", version).run().result();
        let message = check().run().error(version, 11);
        assert!(message.contains("waits: the veth"), "{message}");
        let message = check()
            .with("prevResult", Value::Null)
            .run()
            .error(version, 7);
        assert!(message.contains("`prevResult`"), "{message}");
        let message = check()
            .set("CNI_NETNS", "/proc/self/ns/uts")
            .run()
            .error(version, 104);
        assert!(message.contains("another namespace"), "{message}");
        let message = check()
            .set("CNI_NETNS", "/no/such")
            .run()
            .error(version, 104);
        assert!(message.contains("/no/such"), "{message}");
        let absent = check().with("socket", json!("/no/such/socket")).run();
        absent.error(version, 101);
    }
}

#[test]
fn gc_takes_what_is_not_valid_in_this_network() {
    for name in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        let node = Node::with_obliging_daemon();
        let add = |network: &str, container: &str, interface: &str| {
            let call = node.call("ADD", "1.1.0").with("name", json!(network));
            call.set("CNI_CONTAINERID", container)
                .set("CNI_IFNAME", interface)
                .run()
                .result();
        };
        add("plant", "kept", "eth0");
        add("plant", "kept", "net1");
        add("plant", "gone", "eth0");
        add("other", "gone", "eth0");
        std::fs::write(node.records().path().join("plant:half:eth0.json"), "{").unwrap();
        let asked = node.requests().len();

        let valid = json!([{"containerID": "kept", "ifname": "eth0"}, {"containerID": "x", "ifname": "net1"}]);
        let gc = || gc_call(&node).with(name, valid.clone());
        gc().run().nothing();
        assert_eq!(node.keys(), ["other:gone:eth0", "plant:kept:eth0"]);
        assert_eq!(
            node.requests()[asked..],
            [
                "DELETE /v1/attachments/plant/gone/eth0",
                "DELETE /v1/attachments/plant/half/eth0",
                "DELETE /v1/attachments/plant/kept/net1",
            ]
        );
        gc().run().nothing();
    }
}

/// As a runtime calls it: without a container.
fn gc_call(node: &Node) -> crate::bed::Call {
    let call = node.call("GC", "1.1.0").with("prevResult", Value::Null);
    call.set("CNI_CONTAINERID", "")
        .set("CNI_IFNAME", "")
        .set("CNI_NETNS", "")
        .set("CNI_ARGS", "")
}

#[test]
fn gc_knows_that_a_configured_interface_is_not_that_of_the_call() {
    let node = Node::with_obliging_daemon();
    for container in ["kept", "gone"] {
        let call = node.call("ADD", "1.1.0").with("interface", json!("eth0"));
        call.set("CNI_CONTAINERID", container)
            .set("CNI_IFNAME", "net1")
            .run()
            .result();
    }
    let valid = json!([{"containerID": "kept", "ifname": "net1"}]);
    let gc = gc_call(&node)
        .with("interface", json!("eth0"))
        .with("cni.dev/valid-attachments", valid);
    gc.run().nothing();
    assert_eq!(node.keys(), ["plant:kept:eth0"]);
}

#[test]
fn gc_needs_its_list_and_no_daemon() {
    let node = Node::without_daemon();
    node.call("ADD", "1.1.0").run().result();
    let message = gc_call(&node).run().error("1.1.0", 7);
    assert!(
        message.contains("`cni.dev/valid-attachments` is missing"),
        "{message}"
    );
    assert_eq!(node.keys().len(), 1);

    let outcome = gc_call(&node)
        .with("cni.dev/valid-attachments", json!([]))
        .run();
    outcome.nothing();
    assert!(outcome.log.contains("cannot be reached"), "{}", outcome.log);
    assert!(node.keys().is_empty());
}

#[test]
fn status_is_well_unless_it_is_to_be_strict() {
    for (node, records, code) in [
        (Node::without_daemon(), false, 50),
        (Node::without_daemon(), true, 51),
        (Node::with_daemon(|_, _| Reply::Silence), false, 50),
        (
            Node::with_daemon(|_, _| Reply::answer(503, &json!({"error": "no"}))),
            true,
            51,
        ),
    ] {
        if records {
            node.call("ADD", "1.1.0")
                .with("deadlineMs", json!(100))
                .run()
                .result();
        }
        let status = || {
            node.call("STATUS", "1.1.0")
                .with("deadlineMs", json!(100))
                .with("prevResult", Value::Null)
        };
        status().run().nothing();
        status()
            .with("profil", json!(1))
            .with("deadlineMs", json!("x"))
            .run()
            .nothing();
        let message = status()
            .with("strictStatus", json!(true))
            .run()
            .error("1.1.0", code);
        assert!(message.starts_with("tsnd "), "{message}");
        status()
            .with("strictStatus", json!(true))
            .with("profil", json!(1))
            .run()
            .error("1.1.0", 2);
    }
    let node = Node::with_obliging_daemon();
    node.call("STATUS", "1.1.0")
        .with("strictStatus", json!(true))
        .run()
        .nothing();
    assert_eq!(node.requests(), ["GET /v1/status"]);
}

#[test]
fn a_command_is_not_in_the_versions_before_it() {
    let node = Node::with_obliging_daemon();
    for (command, first) in [("CHECK", "0.4.0"), ("STATUS", "1.1.0"), ("GC", "1.1.0")] {
        for version in VERSIONS.into_iter().filter(|version| *version < first) {
            let message = node.call(command, version).run().error(version, 1);
            assert_eq!(
                message,
                format!("cniVersion {version} has no {command}, which came with {first}")
            );
        }
    }
    for command in ["ADD", "CHECK", "STATUS", "GC"] {
        let message = node.call(command, "2.0.0").run().error("1.1.0", 1);
        assert!(
            message.contains("2.0.0 is not supported; there are 0.3.1, 0.4.0, 1.0.0, 1.1.0"),
            "{message}"
        );
    }
    assert!(node.requests().is_empty());
}

#[test]
fn version_tells_them_all() {
    let node = Node::without_daemon();
    for input in [&b""[..], b"{\"cniVersion\":\"0.4.0\"}", b"?"] {
        let versions = node.call("VERSION", "1.0.0").input(input).run().result();
        assert_eq!(
            versions,
            json!({"cniVersion": "1.1.0", "supportedVersions": VERSIONS})
        );
    }
}

#[test]
fn a_call_that_is_none_is_told_so() {
    let node = Node::without_daemon();
    let message = node.call("", "1.0.0").run().error("1.1.0", 4);
    assert!(message.contains("CNI_COMMAND is ``"), "{message}");
    node.call("UPDATE", "1.0.0").run().error("1.1.0", 4);
    for input in [&b""[..], b"{", b"[]", b"\xff"] {
        let message = node
            .call("ADD", "1.0.0")
            .input(input)
            .run()
            .error("1.1.0", 6);
        assert!(message.contains("standard input must be"), "{message}");
    }
    let endless = vec![b' '; (16 << 20) + 1];
    let message = node
        .call("ADD", "1.0.0")
        .input(&endless)
        .run()
        .error("1.1.0", 6);
    assert!(message.contains("larger than"), "{message}");
}

#[test]
fn an_answer_that_nobody_takes_is_a_failure_without_a_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_tsn-cni"))
        .env("CNI_COMMAND", "VERSION")
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty());
}
