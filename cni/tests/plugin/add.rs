//! ADD, as runtimes call it.

use std::os::unix::fs::MetadataExt;

use crate::bed::{CONTAINER, NETWORK, Node, VERSIONS, netns, previous_result};
use crate::daemon::Reply;
use serde_json::{Value, json};
use tsn_cni::record::{Key, KubernetesPod, Record, Request, VhostUser};

const PUT: &str = "PUT /v1/attachments/plant/0a1b2c/eth0";

fn key(interface: &str) -> Key {
    Key {
        network: NETWORK.to_owned(),
        container_id: CONTAINER.to_owned(),
        interface: interface.to_owned(),
    }
}

fn record(node: &Node) -> Record {
    node.records()
        .load(&key("eth0"))
        .unwrap()
        .expect("a record")
}

#[test]
fn the_previous_result_comes_back_and_the_record_stays() {
    for version in VERSIONS {
        let node = Node::with_obliging_daemon();
        let outcome = node.call("ADD", version).run();
        assert_eq!(outcome.result(), previous_result(version));
        assert_eq!(
            outcome.output,
            previous_result(version).to_string(),
            "byte for byte"
        );
        assert_eq!(node.requests(), [PUT]);
        assert_eq!(
            record(&node),
            Record {
                network: NETWORK.to_owned(),
                container_id: CONTAINER.to_owned(),
                interface: "eth0".to_owned(),
                netns: netns().into(),
                netns_inode: std::fs::metadata(netns()).unwrap().ino(),
                mac: Some("02:00:00:00:00:01".to_owned()),
                ips: vec!["10.1.2.3".parse().unwrap()],
                pod: Some(KubernetesPod {
                    namespace: "plant-7".to_owned(),
                    name: "drive".to_owned(),
                    uid: "u-1".to_owned(),
                }),
                request: Request {
                    profile: "motion".to_owned(),
                    ..Request::default()
                },
                vhost_user: None,
            }
        );
    }
}

#[test]
fn a_result_of_another_version_is_put_into_that_which_was_asked_for() {
    let node = Node::with_obliging_daemon();
    for (asked, given) in [
        ("0.3.1", "1.0.0"),
        ("0.4.0", "1.1.0"),
        ("1.0.0", "0.3.1"),
        ("1.1.0", "0.4.0"),
    ] {
        let call = node
            .call("ADD", asked)
            .with("prevResult", previous_result(given));
        assert_eq!(call.run().result(), previous_result(asked));
    }
}

#[test]
fn without_a_previous_result_there_is_nothing_to_attach() {
    for version in VERSIONS {
        let node = Node::with_obliging_daemon();
        let message = node
            .call("ADD", version)
            .with("prevResult", Value::Null)
            .run()
            .error(version, 7);
        assert!(message.contains("`prevResult` is missing"), "{message}");
        assert!(node.requests().is_empty() && node.keys().is_empty());
    }
}

#[test]
fn a_daemon_that_is_not_there_or_not_ready_is_passed_over_or_not_as_configured() {
    let absent = || Node::without_daemon();
    let silent = || Node::with_daemon(|_, _| Reply::Silence);
    let waiting = || {
        let status = json!({"attached": false, "waits-for": "the uplink"});
        Node::with_daemon(move |_, _| Reply::answer(200, &status))
    };
    let busy =
        || Node::with_daemon(|_, _| Reply::answer(503, &json!({"error": "the worker is silent"})));
    let failing = || Node::with_daemon(|_, _| Reply::answer(422, &json!({"error": "no such map"})));
    let dying =
        || Node::with_daemon(|_, _| Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-len".to_vec()));
    let other = || Node::with_daemon(|_, _| Reply::answer(200, &json!({"attached": "maybe"})));
    let cases: [(&dyn Fn() -> Node, u32, &str); 7] = [
        (&absent, 101, "cannot be reached"),
        (&silent, 102, "within 200 ms"),
        (&waiting, 11, "waits: the uplink"),
        (&busy, 11, "waits: the worker is silent"),
        (&failing, 103, "status 422: no such map"),
        (&dying, 103, "within its head"),
        (&other, 103, "expected a boolean"),
    ];
    for (node, code, words) in cases {
        for version in VERSIONS {
            let open = node();
            let call = open.call("ADD", version).with("deadlineMs", json!(200));
            let outcome = call.run();
            assert_eq!(outcome.result(), previous_result(version));
            assert!(
                outcome.log.contains(words) && outcome.log.contains("ordinary path"),
                "{}",
                outcome.log
            );
            assert_eq!(
                open.keys(),
                ["plant:0a1b2c:eth0"],
                "the daemon takes it later"
            );

            let closed = node();
            let call = closed.call("ADD", version).with("deadlineMs", json!(200));
            let message = call
                .with("failurePolicy", json!("closed"))
                .run()
                .error(version, code);
            assert!(message.contains(words), "{message}");
            assert!(closed.keys().is_empty());
        }
    }
}

#[test]
fn an_interface_that_is_about_to_be_ready_is_waited_for_where_it_must_be_attached() {
    for version in VERSIONS {
        let waiting = || {
            Reply::answer(
                200,
                &json!({"attached": false, "waits-for": "the neighbour"}),
            )
        };
        let attached = Reply::answer(200, &json!({"attached": true}));
        let mut replies = vec![attached, waiting(), waiting()];
        let node = Node::with_daemon(move |_, _| replies.pop().unwrap());
        let call = node.call("ADD", version);
        let call = call.with("failurePolicy", json!("closed"));
        let call = call.with("deadlineMs", json!(60_000));
        assert_eq!(call.run().result(), previous_result(version));
        let get = "GET /v1/attachments/plant/0a1b2c/eth0";
        assert_eq!(node.requests(), [PUT, get, get]);
        assert_eq!(node.keys(), ["plant:0a1b2c:eth0"]);
    }
}

#[test]
fn a_record_where_the_daemon_does_not_look_is_an_error_under_both_policies() {
    for policy in ["open", "closed"] {
        let words = "there is no record of plant:0a1b2c:eth0 in /elsewhere";
        let node = Node::with_daemon(move |_, _| Reply::answer(404, &json!({"error": words})));
        let call = node.call("ADD", "1.0.0");
        let call = call.with("failurePolicy", json!(policy));
        let message = call.run().error("1.0.0", 7);
        assert!(
            message.contains(words) && message.contains("`recordDirectory`"),
            "{message}"
        );
        assert!(node.keys().is_empty());
    }
}

#[test]
fn what_the_daemon_refuses_is_an_error_in_its_own_words() {
    for policy in ["open", "closed"] {
        let node = Node::with_daemon(|_, _| {
            Reply::answer(
                400,
                &json!({"error": "profile `motion` does not exist; there is `video`"}),
            )
        });
        let call = node
            .call("ADD", "1.0.0")
            .with("failurePolicy", json!(policy));
        let message = call.run().error("1.0.0", 7);
        assert_eq!(
            message,
            "tsnd refuses: profile `motion` does not exist; there is `video`"
        );
        assert!(node.keys().is_empty());
    }
}

#[test]
fn a_pod_gets_what_it_chooses_from_what_is_offered() {
    let node = Node::with_obliging_daemon();
    let call = || {
        let annotations =
            json!({"tsnd.dev/traffic-class.eth0": "7", "tsnd.dev/profile.net1": "else"});
        node.call("ADD", "1.1.0")
            .with("selectableProfiles", json!(["video", "audio"]))
            .with("args", json!({"cni": {"tsnd": {"profile": "video"}}}))
            .with("runtimeConfig", json!({"io.kubernetes.cri.pod-annotations": annotations}))
            .set("CNI_ARGS", "IgnoreUnknown=true;K8S_POD_NAME=;TSND_PROFILE=audio;TSND_UDP_PORT=5001;K8S_POD_NAME=p")
    };
    call().run().result();
    let record = record(&node);
    assert_eq!(record.pod, None, "a name without a namespace is none");
    let expected =
        json!({"profile": "video", "traffic-class": "7", "match": {"udp-destination-port": 5001}});
    assert_eq!(serde_json::to_value(record.request).unwrap(), expected);

    let message = call()
        .with("selectableProfiles", json!(["audio"]))
        .run()
        .error("1.1.0", 7);
    assert!(
        message.contains("`video`") && message.contains("motion, audio"),
        "{message}"
    );
}

#[test]
fn the_auxiliary_chain_of_multus_names_the_interface_in_its_configuration() {
    let node = Node::with_obliging_daemon();
    let empty =
        json!({"cniVersion": "1.0.0", "interfaces": [], "ips": [], "routes": [], "dns": {}});
    let call = |command: &str| {
        let call = node.call(command, "1.0.0").set("CNI_IFNAME", "net1");
        call.with("interface", json!("eth0"))
            .with("prevResult", empty.clone())
    };
    assert_eq!(call("ADD").run().result(), empty);
    assert_eq!(node.keys(), ["plant:0a1b2c:eth0"]);
    call("CHECK").run().nothing();
    call("DEL").run().nothing();
    assert!(node.keys().is_empty());
    let message = call("ADD")
        .with("interface", json!("eth/0"))
        .run()
        .error("1.0.0", 7);
    assert!(message.contains("`eth/0`"), "{message}");
}

#[test]
fn a_vhost_user_socket_takes_the_place_of_the_veth() {
    let node = Node::with_obliging_daemon();
    let file = node.path().join("device.json");
    let call = || {
        let call = node.call("ADD", "1.0.0");
        call.with(
            "runtimeConfig",
            json!({"deviceID": "v0", "CNIDeviceInfoFile": file}),
        )
    };
    let socket = json!({"mode": "server", "path": "/run/vhost/drive"});
    std::fs::write(
        &file,
        json!({"type": "vhost-user", "version": "1.1.0", "vhost-user": socket}).to_string(),
    )
    .unwrap();
    call().run().result();
    let expected = VhostUser {
        socket: "/run/vhost/drive".into(),
        peer_listens: true,
        address: "02:00:00:00:00:01".to_owned(),
    };
    assert_eq!(record(&node).vhost_user, Some(expected));

    std::fs::write(
        &file,
        json!({"type": "pci", "version": "1.1.0", "pci": {}}).to_string(),
    )
    .unwrap();
    let message = call().run().error("1.0.0", 7);
    assert!(message.contains("v0, of type `pci`"), "{message}");
}

#[test]
fn a_namespace_that_is_none_is_named() {
    let node = Node::with_obliging_daemon();
    let file = node.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (netns, reason) in [
        ("/var/run/netns/no-such", "No such file"),
        ("run/netns", "absolute path"),
        (file.to_str().unwrap(), "no network namespace"),
    ] {
        let message = node
            .call("ADD", "0.4.0")
            .set("CNI_NETNS", netns)
            .run()
            .error("0.4.0", 4);
        assert!(
            message.contains("CNI_NETNS") && message.contains(reason),
            "{message}"
        );
    }
    let message = node
        .call("ADD", "0.4.0")
        .set("CNI_NETNS_OVERRIDE", "")
        .run()
        .error("0.4.0", 4);
    assert!(message.contains("the host's own"), "{message}");
    assert!(node.requests().is_empty() && node.keys().is_empty());
}

#[test]
fn names_that_are_none_are_refused() {
    let node = Node::with_obliging_daemon();
    let call = || node.call("ADD", "1.1.0");
    for (call, code, name) in [
        (call().set("CNI_CONTAINERID", "../x"), 4, "`../x`"),
        (call().set("CNI_IFNAME", "a/b"), 4, "`a/b`"),
        (call().with("name", json!("a:b")), 7, "`a:b`"),
        (call().with("name", Value::Null), 7, "`name` is missing"),
        (
            call().with("profil", json!("motion")),
            2,
            "`profil` with the value \"motion\"",
        ),
    ] {
        let message = call.run().error("1.1.0", code);
        assert!(message.contains(name), "{message}");
    }
    assert!(node.requests().is_empty() && node.keys().is_empty());
}

#[test]
fn a_directory_that_others_could_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::with_obliging_daemon();
    std::fs::create_dir(node.records().path()).unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(node.records().path(), open).unwrap();
    let message = node.call("ADD", "1.1.0").run().error("1.1.0", 5);
    assert!(
        message.contains("mode 777") && message.contains("chmod 700"),
        "{message}"
    );
    assert!(node.requests().is_empty());
}

#[test]
fn many_pods_come_and_go_at_once() {
    let node = Node::with_obliging_daemon();
    for command in ["ADD", "DEL"] {
        let plugins: Vec<_> = (0..8)
            .flat_map(|pod| [(pod, "eth0"), (pod, "net1")])
            .map(|(pod, interface)| {
                let call = node
                    .call(command, "1.0.0")
                    .set("CNI_CONTAINERID", &format!("pod{pod}"));
                call.set("CNI_IFNAME", interface).start()
            })
            .collect();
        for plugin in plugins {
            assert!(plugin.wait_with_output().unwrap().status.success());
        }
        let expected = if command == "ADD" { 16 } else { 0 };
        assert_eq!(node.keys().len(), expected);
    }
    assert_eq!(node.requests().len(), 32);
    assert_eq!(std::fs::read_dir(node.records().path()).unwrap().count(), 0);
}
