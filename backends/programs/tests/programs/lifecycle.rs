//! Attaching, adopting, refusing, detaching.

use tsn_common::{MAX_RULES, PodCounter, Rule};
use tsn_programs::{AttachedPod, ProgramError, Programs};

use crate::lab::{PEER, POD, PORT};
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

#[test]
fn detaching_puts_everything_back() {
    with_node(|lab, mut programs| {
        let mtu = || lab.ip("node", "link show host").contains("mtu 1500");
        assert!(mtu());
        programs.attach_pod(&lab.pod("pod")).unwrap();
        assert!(!mtu());
        assert!(lab.ip("node", "link show host").contains("xdp"));
        programs.detach_pod("pod").unwrap();
        assert!(mtu());
        assert!(!lab.ip("node", "link show host").contains("xdp"));
        assert!(programs.pinned_pods().unwrap().is_empty());
        programs.detach_pod("pod").unwrap();

        let again = programs.attach_pod(&lab.pod("pod")).unwrap();
        assert_eq!((again.slot, again.adopted), (0, false));
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
