//! DEL, in all the ways in which it really comes.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::bed::{Call, Node, VERSIONS};
use crate::daemon::Reply;
use serde_json::{Value, json};

const DELETE: &str = "DELETE /v1/attachments/plant/0a1b2c/eth0";

#[test]
fn del_comes_again_without_namespace_and_without_result() {
    for version in VERSIONS {
        let node = Node::with_obliging_daemon();
        let add = || drop(node.call("ADD", version).run().result());
        let del = || node.call("DEL", version);
        let ways: [fn(Call) -> Call; 6] = [
            |del| del,
            |del| del.set("CNI_NETNS", ""),
            |del| del.set("CNI_NETNS", "/var/run/netns/gone"),
            |del| del.with("prevResult", Value::Null),
            |del| del.with("profil", json!(1)).with("profile", Value::Null),
            |del| del.set("CNI_ARGS", "").set("CNI_PATH", ""),
        ];
        for way in ways {
            add();
            for _ in 0..5 {
                way(del()).run().nothing();
                assert!(node.keys().is_empty());
            }
        }
        assert!(
            node.requests()
                .iter()
                .skip(1)
                .take(5)
                .all(|request| request == DELETE)
        );
    }
}

#[test]
fn del_of_what_never_was_succeeds() {
    for version in VERSIONS {
        Node::with_obliging_daemon()
            .call("DEL", version)
            .run()
            .nothing();
        Node::without_daemon().call("DEL", version).run().nothing();
        let call = Node::without_daemon().call("DEL", version);
        call.set("CNI_CONTAINERID", "../..").run().nothing();
        let call = Node::without_daemon().call("DEL", version);
        call.with("name", json!("a/b")).run().nothing();
    }
}

#[test]
fn del_needs_no_daemon() {
    for version in VERSIONS {
        for node in [
            Node::without_daemon(),
            Node::with_daemon(|_, _| Reply::Silence),
            Node::with_daemon(|_, _| Reply::answer(500, &json!({"error": "broken"}))),
            Node::with_daemon(|_, _| Reply::Bytes(Vec::new())),
        ] {
            let call = |command: &str| node.call(command, version).with("deadlineMs", json!(100));
            call("ADD").run().result();
            assert_eq!(node.keys().len(), 1);
            let outcome = call("DEL").run();
            outcome.nothing();
            assert!(
                outcome.log.contains("when it sees the record gone"),
                "{}",
                outcome.log
            );
            assert!(node.keys().is_empty());
        }
    }
}

/// The records are where they are by default: this test needs root, as `cargo xtask test` has.
#[test]
fn the_environment_alone_is_enough() {
    let node = Node::with_obliging_daemon();
    let call = |command: &str| node.call(command, "1.0.0");
    for name in ["first", "second"] {
        call("ADD").with("name", json!(name)).run().result();
    }
    call("ADD")
        .with("name", json!("other"))
        .set("CNI_IFNAME", "net1")
        .run()
        .result();

    // Without a name, the interface is found in all networks.
    let outcome = call("DEL").with("name", Value::Null).run();
    outcome.nothing();
    assert_eq!(
        outcome
            .log
            .matches("found by container ID and interface alone")
            .count(),
        2
    );
    assert_eq!(node.keys(), ["other:0a1b2c:net1"]);

    // Without any input, in the default directory, where this container has nothing.
    for input in [&b""[..], b"{", b"[1]", b"\xff\xff", b"null"] {
        let outcome = call("DEL")
            .set("CNI_CONTAINERID", "no-such-container")
            .input(input)
            .run();
        outcome.nothing();
        assert!(
            outcome.log.contains("the defaults are used"),
            "{}",
            outcome.log
        );
    }
    call("DEL")
        .set("CNI_CONTAINERID", "no-such-container")
        .cut()
        .run()
        .nothing();
}

#[test]
fn del_without_a_subject_names_what_is_missing() {
    let node = Node::without_daemon();
    for (variable, version) in [("CNI_CONTAINERID", "1.1.0"), ("CNI_IFNAME", "1.1.0")] {
        let message = node
            .call("DEL", "0.4.0")
            .set(variable, "")
            .run()
            .error(version, 4);
        assert_eq!(message, format!("DEL needs {variable}"));
    }
}

#[test]
fn a_plugin_that_is_killed_half_way_leaves_nothing_that_del_does_not_take() {
    let node = Node::with_daemon(|_, _| Reply::Silence);
    let call = |command: &str| {
        node.call(command, "0.3.1")
            .with("deadlineMs", json!(60_000))
    };
    for command in ["ADD", "DEL"] {
        let asked = node.requests().len();
        let mut plugin = call(command).start();
        wait_until(|| node.requests().len() > asked);
        plugin.kill().unwrap();
        plugin.wait().unwrap();
        assert_eq!(node.keys(), ["plant:0a1b2c:eth0"]);
    }
    // As a plugin leaves it that is killed while it writes.
    let half = node.records().path().join(".7-7.new");
    let file = std::fs::File::create(&half).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600))
        .unwrap();

    call("DEL").with("deadlineMs", json!(100)).run().nothing();
    assert_eq!(std::fs::read_dir(node.records().path()).unwrap().count(), 0);
}

#[test]
fn records_that_cannot_be_listed_are_left_to_the_daemon() {
    let node = Node::with_obliging_daemon();
    node.call("ADD", "1.0.0").run().result();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(node.records().path(), open).unwrap();
    let outcome = node.call("DEL", "1.0.0").with("name", Value::Null).run();
    outcome.nothing();
    assert!(outcome.log.contains("chmod 700"), "{}", outcome.log);
}

#[test]
fn a_record_that_cannot_be_read_goes_as_well() {
    let node = Node::with_obliging_daemon();
    node.call("ADD", "1.0.0").run().result();
    std::fs::write(node.records().path().join("plant:0a1b2c:eth0.json"), "{").unwrap();
    node.call("DEL", "1.0.0").run().nothing();
    assert!(node.keys().is_empty());
}

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "it never happened"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
