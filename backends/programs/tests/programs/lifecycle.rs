//! Attaching, adopting, refusing, detaching.

use std::path::Path;

use aya::programs::loaded_programs;
use nix::net::if_::if_nametoindex;
use tsn_common::{MAX_RULES, PodCounter, Rule};
use tsn_programs::{AttachedPod, Pinned, ProgramError, Programs, StampHook};

use crate::lab::{Lab, PEER, POD, PORT, run, until};
use crate::traffic::{received, send_timed};
use crate::{TIMEOUT, counter, open, with_node};

#[test]
fn a_later_run_adopts_what_is_attached() {
    with_node(|lab, mut programs| {
        let before = programs.attach_pod(&lab.pod("default/pod.1")).unwrap();
        let (sender, receiver) = (lab.udp("pod", POD, 0), lab.udp("peer", PEER, PORT));
        let send = |payload: &[u8]| {
            send_timed(&sender, libc::CLOCK_MONOTONIC, 1, payload);
            assert_eq!(received(&receiver), payload);
        };
        send(b"first run");
        drop(programs);
        send(b"between");

        let mut programs = open(lab);
        assert_eq!(programs.pinned_pods().unwrap(), ["default/pod.1"]);
        let after = programs.attach_pod(&lab.pod("default/pod.1")).unwrap();
        assert_eq!(
            after,
            AttachedPod {
                adopted: true,
                ..before
            }
        );
        send(b"second run");

        // As if another build had attached them.
        let attached = || {
            lab.ip("node", "link show host")
                .split("prog/xdp")
                .nth(1)
                .map(String::from)
        };
        let before = attached();
        std::fs::remove_file(lab.bpffs.join("tsnd/pods/default%2fpod%2e1/object")).unwrap();
        assert_eq!(
            programs.attach_pod(&lab.pod("default/pod.1")).unwrap(),
            after
        );
        assert_ne!(attached(), before);
        send(b"with other programs");
        assert_eq!(counter(&programs, &after, PodCounter::Stamped), 4);
        assert_eq!(counter(&programs, &after, PodCounter::FallbackHeartbeat), 4);
        assert_eq!(counter(&programs, &after, PodCounter::ForgedStamp), 0);
    });
}

/// Each pod that comes has its programs checked by the kernel anew, while it waits.
#[test]
fn the_kernel_has_little_to_check_of_a_pods_programs() {
    /// Of the million that the kernel takes at most. It follows each way through a program, on old kernels also many
    /// that have come to the same; this many take about 0.2 s.
    const MAX_INSTRUCTIONS: u32 = 100_000;
    with_node(|lab, mut programs| {
        programs.attach_uplink("up0").unwrap();
        programs.attach_pod(&lab.pod("default/pod.1")).unwrap();
        let pinned = Pinned::read(&lab.bpffs.join("tsnd")).unwrap().programs;
        assert_eq!(pinned.len(), 3, "{pinned:?}");
        for program in pinned {
            let info = loaded_programs()
                .filter_map(Result::ok)
                .find(|info| info.id() == program.id)
                .unwrap();
            let checked = info.verified_instruction_count().unwrap();
            println!("{}: {checked} instructions checked", program.name);
            assert!(checked <= MAX_INSTRUCTIONS, "{}: {checked}", program.name);
        }
    });
}

/// What attaching might change of the pair: all that the kernel tells, but for the bridge's timers.
fn look(lab: &Lab, inside: &str, host: &str) -> [String; 5] {
    let features = |namespace: &str, device: &str| {
        run(&format!(
            "ip netns exec {} ethtool -k {device}",
            lab.name(namespace)
        ))
    };
    let named = [("pod", inside), ("node", host)];
    let [one, two] = named.map(|(namespace, device)| {
        let text = lab.ip(namespace, &format!("-d link show {device}"));
        let text = text.replace(device, "_");
        let mut words: Vec<&str> = text.split_whitespace().collect();
        while let Some(timer) = words.iter().position(|word| word.ends_with("_timer")) {
            words.drain(timer..timer + 2);
        }
        words.join(" ")
    });
    let [three, four] = named
        .map(|(namespace, device)| features(namespace, device).replace(&format!("{device}:"), ""));
    let disciplines = run(&format!(
        "tc -n {} qdisc show dev {inside}",
        lab.name("pod")
    ));
    [one, two, three, four, disciplines.replace(inside, "_")]
}

/// Takes the stamp program away behind the library's back.
fn lose_stamp(lab: &Lab, inside: &str) {
    match StampHook::of_this_kernel() {
        // A link goes when nothing holds it any more.
        StampHook::Tcx => {
            std::fs::remove_file(lab.bpffs.join("tsnd/pods/pod/stamp")).unwrap();
        }
        StampHook::Clsact => drop(run(&format!(
            "tc -n {} filter del dev {inside} egress",
            lab.name("pod")
        ))),
    }
}

#[test]
fn detaching_puts_everything_back() {
    with_node(|lab, mut programs| {
        lab.ip("pod", "link set eth0 txqueuelen 0"); // as container runtimes leave it
        for gro in ["off", "on"] {
            let pod = lab.name("pod");
            run(&format!("ip netns exec {pod} ethtool -K eth0 gro {gro}"));
            let before = look(lab, "eth0", "host");
            programs.attach_pod(&lab.pod("pod")).unwrap();
            let attached = look(lab, "eth0", "host");
            assert!(attached[1].contains("mtu 1524"), "{}", attached[1]);
            assert!(attached[1].contains("xdp"), "{}", attached[1]);
            assert!(attached[2].contains("generic-receive-offload: on"));
            programs.detach_pod("pod").unwrap();
            assert_eq!(look(lab, "eth0", "host"), before, "GRO {gro} before");
            assert!(programs.pinned_pods().unwrap().is_empty());
            programs.detach_pod("pod").unwrap();
        }

        let again = programs.attach_pod(&lab.pod("pod")).unwrap();
        assert_eq!((again.slot, again.adopted), (0, false));
    });
}

#[test]
fn renamed_ends_are_found_by_their_indices() {
    with_node(|lab, mut programs| {
        let before = look(lab, "eth0", "host");
        let first = programs.attach_pod(&lab.pod("pod")).unwrap();
        // Before Linux 6.2 the kernel renames no device that is up.
        let names = [("pod", "eth0", "inside"), ("node", "host", "outside")];
        for (namespace, from, to) in names {
            lab.ip(namespace, &format!("link set {from} down"));
            lab.ip(namespace, &format!("link set {from} name {to} up"));
        }
        until("both ends are up", || {
            names.iter().all(|(namespace, _, device)| {
                let told = lab.ip(namespace, &format!("link show {device}"));
                told.contains("state UP")
            })
        });
        assert!(programs.is_attached("pod"));
        drop(programs);

        let mut programs = open(lab);
        let after = programs.attach_pod(&lab.pod("pod")).unwrap();
        assert_eq!((after.adopted, after.slot), (true, first.slot));
        assert_eq!(after.host_interface, "outside");
        // As it is when it has to be attached anew.
        lose_stamp(lab, "inside");
        assert!(!programs.is_attached("pod"));
        let anew = programs.attach_pod(&lab.pod("pod")).unwrap();
        assert!(!anew.adopted && programs.is_attached("pod"));
        // Another device that has the name now is the one that is meant.
        lab.ip("pod", "link add eth0 type bridge");
        let error = programs.attach_pod(&lab.pod("pod")).unwrap_err();
        assert!(matches!(error, ProgramError::NotVeth { .. }), "{error}");
        let mut other = lab.pod("pod");
        other.end.interface = "eth1".to_owned();
        let error = programs.attach_pod(&other).unwrap_err();
        assert!(matches!(error, ProgramError::Device { .. }), "{error}");
        drop(programs);

        let mut programs = open(lab);
        programs.detach_pod("pod").unwrap();
        assert!(!programs.is_attached("pod"));
        assert_eq!(look(lab, "inside", "outside"), before);
    });
}

#[test]
fn a_pod_is_attached_until_its_devices_are_gone() {
    with_node(|lab, mut programs| {
        assert!(!programs.is_attached("pod"));
        programs.attach_pod(&lab.pod("pod")).unwrap();
        assert!(programs.is_attached("pod"));
        lab.ip("node", &format!("link set host netns {}", lab.name("peer")));
        assert!(!programs.is_attached("pod"));
        programs.detach_pod("pod").unwrap();

        lab.delete_pod_only();
        lab.add_pod("");
        programs.attach_pod(&lab.pod("pod")).unwrap();
        lab.delete_pod();
        assert!(!programs.is_attached("pod"));
    });
}

/// A daemon that is killed while it detaches leaves any of these states.
#[test]
fn an_interrupted_detaching_is_brought_to_its_end() {
    with_node(|lab, mut programs| {
        let before = look(lab, "eth0", "host");
        let pin = |name: &str| lab.bpffs.join("tsnd/pods/pod").join(name);
        let interruptions: [&[&str]; 3] =
            [&["stamp"], &["stamp", "redirect"], &["stamp", "object"]];
        for done in interruptions {
            programs.attach_pod(&lab.pod("pod")).unwrap();
            drop(programs);
            for name in done {
                match *name {
                    "stamp" => lose_stamp(lab, "eth0"),
                    _ => std::fs::remove_file(pin(name)).unwrap(),
                }
            }
            programs = open(lab);
            programs.detach_pod("pod").unwrap();
            assert_eq!(look(lab, "eth0", "host"), before, "after {done:?}");
            assert!(programs.pinned_pods().unwrap().is_empty());
        }
        // Or while it attaches: nothing but plain values, of which the last is missing.
        programs.attach_pod(&lab.pod("pod")).unwrap();
        drop(programs);
        lose_stamp(lab, "eth0");
        for name in ["redirect", "object", "slot"] {
            std::fs::remove_file(pin(name)).unwrap();
        }
        programs = open(lab);
        assert!(!programs.attach_pod(&lab.pod("pod")).unwrap().adopted);
        programs.detach_pod("pod").unwrap();
        assert_eq!(look(lab, "eth0", "host"), before);
    });
}

#[test]
fn a_pod_made_anew_under_its_old_name_is_attached_anew() {
    with_node(|lab, mut programs| {
        programs.attach_pod(&lab.pod("pod")).unwrap();
        lab.delete_pod();
        assert!(matches!(
            programs.attach_pod(&lab.pod("pod")),
            Err(ProgramError::Netns { .. })
        ));
        lab.add_pod("");
        let pod = programs.attach_pod(&lab.pod("pod")).unwrap();
        assert_eq!((pod.slot, pod.adopted), (0, false));
        lab.delete_pod();
        programs.detach_pod("pod").unwrap();
        assert!(programs.pinned_pods().unwrap().is_empty());
    });
}

#[test]
fn what_cannot_be_steered_is_refused_with_a_reason() {
    with_node(|lab, mut programs| {
        programs.attach_pod(&lab.pod("pod")).unwrap();
        let error = programs.attach_pod(&lab.pod("other")).unwrap_err();
        assert!(
            matches!(error, ProgramError::AddressTaken { .. }),
            "{error}"
        );
        assert_eq!(programs.pinned_pods().unwrap(), ["pod"]);
        // The refusal has taken nothing from the pod that is attached.
        let error = programs.attach_pod(&lab.pod("other")).unwrap_err();
        assert!(
            matches!(error, ProgramError::AddressTaken { .. }),
            "{error}"
        );
        let bare = Rule {
            fields: 0,
            ..Rule::default()
        };
        let mut pod = lab.pod("pod");
        pod.rules = vec![bare; MAX_RULES + 1];
        assert!(matches!(
            programs.attach_pod(&pod),
            Err(ProgramError::TooManyRules { .. })
        ));
        programs.detach_pod("pod").unwrap();

        lab.ip("pod", "link set eth0 mtu 9000");
        let error = programs.attach_pod(&lab.pod("pod")).unwrap_err();
        assert!(matches!(error, ProgramError::MtuTooLarge { .. }), "{error}");
        assert!(lab.ip("node", "link show host").contains("mtu 1500"));
        assert!(programs.pinned_pods().unwrap().is_empty());

        lab.delete_pod();
        lab.add_pod("numrxqueues 2");
        let error = programs.attach_pod(&lab.pod("pod")).unwrap_err();
        assert!(
            matches!(error, ProgramError::ReceiveQueues { queues: 2, .. }),
            "{error}"
        );

        let mut pod = lab.pod("pod");
        pod.end.interface = "lo".to_owned();
        assert!(matches!(
            programs.attach_pod(&pod),
            Err(ProgramError::NotVeth { .. })
        ));
    });
}

/// Indices are given by whoever makes a device, in each namespace anew.
#[test]
fn a_pair_that_has_the_indices_of_another_pods_is_refused() {
    with_node(|lab, mut programs| {
        let index = |namespace: &str, device: &str| {
            lab.within(namespace, || if_nametoindex(device)).unwrap()
        };
        let (inside, host) = (index("pod", "eth0"), index("node", "host"));
        lab.ip("peer", "link del eth0");
        let forged = format!("link add eth0 index {inside} type veth peer name evil index {host}");
        lab.ip("peer", &forged);
        let mut pod = lab.pod("attacker");
        pod.end.netns = Path::new("/run/netns").join(lab.name("peer"));
        let error = programs.attach_pod(&pod).unwrap_err();
        assert!(
            matches!(error, ProgramError::HostEndElsewhere { .. }),
            "{error}"
        );
        // One whose other end is elsewhere, but not in the daemon's namespace.
        lab.ip("peer", "link del eth0");
        let forged = format!(
            "link add eth0 index {inside} type veth peer name evil index {}",
            host + 100
        );
        lab.ip("peer", &forged);
        lab.ip("peer", &format!("link set evil netns {}", lab.name("pod")));
        assert!(programs.attach_pod(&pod).is_err());
        let untouched = lab.ip("node", "link show host");
        assert!(
            untouched.contains("mtu 1500") && !untouched.contains("xdp"),
            "{untouched}"
        );
    });
}

#[test]
fn a_bridge_keeps_its_mtu_when_all_its_ports_have_room_for_the_stamp() {
    with_node(|lab, mut programs| {
        let is_1500 = || lab.ip("node", "link show br0").contains("mtu 1500");
        lab.ip("node", "link set up0 nomaster");
        programs.attach_pod(&lab.pod("pod")).unwrap();
        assert!(lab.ip("node", "link show host").contains("mtu 1524"));
        assert!(is_1500());
        programs.detach_pod("pod").unwrap();

        // As they go, too.
        lab.ip("node", "link add br1 type bridge");
        lab.ip("node", "link set host master br1");
        lab.ip("node", "link set up0 master br1");
        programs.attach_pod(&lab.pod("pod")).unwrap();
        lab.ip("node", "link set up0 nomaster");
        assert!(lab.ip("node", "link show br1").contains("mtu 1500"));
    });
}

#[test]
fn what_an_earlier_version_noted_is_put_back() {
    with_node(|lab, mut programs| {
        let before = look(lab, "eth0", "host");
        programs.attach_pod(&lab.pod("pod")).unwrap();
        drop(programs);
        for name in [
            "netns",
            "interface",
            "inside-ifindex",
            "host-ifindex",
            "gro",
        ] {
            std::fs::remove_file(lab.bpffs.join("tsnd/pods/pod").join(name)).unwrap();
        }
        let mut programs = open(lab);
        programs.detach_pod("pod").unwrap();
        assert_eq!(look(lab, "eth0", "host")[1], before[1]);
    });
}

#[test]
fn an_mtu_that_somebody_else_has_set_stays() {
    with_node(|lab, mut programs| {
        programs.attach_pod(&lab.pod("pod")).unwrap();
        lab.ip("node", "link set host mtu 1400");
        programs.detach_pod("pod").unwrap();
        assert!(lab.ip("node", "link show host").contains("mtu 1400"));
    });
}

#[test]
fn pins_need_a_bpffs() {
    let directory = std::env::temp_dir().join(format!("tsnp{}-none", std::process::id()));
    let error = Programs::open(&directory, TIMEOUT).err().unwrap();
    assert!(matches!(error, ProgramError::NotBpffs { .. }), "{error}");
    assert!(!directory.exists());
}

#[test]
fn records_of_another_version_are_replaced() {
    with_node(|lab, mut programs| {
        programs.attach_pod(&lab.pod("pod")).unwrap();
        programs.attach_uplink("up0").unwrap();
        drop(programs);
        let layout = lab.bpffs.join("tsnd/layout");
        std::fs::remove_file(&layout).unwrap();
        std::os::unix::fs::symlink("4711", &layout).unwrap();

        let mut programs = open(lab);
        assert!(programs.pinned_pods().unwrap().is_empty());
        assert!(!lab.ip("node", "link show").contains("xdp"));
        assert!(!programs.attach_pod(&lab.pod("pod")).unwrap().adopted);
    });
}
