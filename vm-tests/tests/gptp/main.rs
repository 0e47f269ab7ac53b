//! Two guests as two nodes, joined by a wire: gPTP between them, and a daemon that follows the clock of one.
//!
//! One guest runs the test `grandmaster`, the other `follower`. Both have one network card, `eth0`, at the wire; the clock
//! of the follower is months wrong when it boots.

mod node;
mod ptp4l;
mod remote;
mod station;

use std::time::{Duration, SystemTime};

use node::{Cut, Daemon, Node, OnSyncLoss, Seen, State};
use ptp4l::{Ptp4l, Role};
use remote::{Remote, Request};
use station::Station;

/// Bound of every wait. A guest without acceleration on a machine that others use is slow.
const BOUND: Duration = Duration::from_secs(90);
/// A clock that follows is no further away, far more than what software time stamps in such a guest come to.
const NEAR: Duration = Duration::from_secs(1);

/// Does what the follower asks for: speaks gPTP as grandmaster, falls silent, takes its link down, counts frames.
#[test]
fn grandmaster() {
    Station::new().unwrap().serve().unwrap();
}

/// The daemon's clock goes from free-run to locked, with the link gone or the grandmaster silent to holdover and to lost,
/// and back to locked; the frames of each class are then sent or dropped as `on-sync-loss` says.
#[test]
fn follower() {
    let mut far = Remote::new().unwrap();
    let node = Node::new(&far.ask(Request::Address).unwrap()).unwrap();
    let mut ptp4l = None;
    for (on_sync_loss, cut) in [
        (OnSyncLoss::Hold, Cut::Link),
        (OnSyncLoss::Open, Cut::Grandmaster),
        (OnSyncLoss::DropCritical, Cut::Grandmaster),
    ] {
        println!("on-sync-loss: {on_sync_loss:?}, without {cut:?}");
        let daemon = node.start(on_sync_loss).unwrap();
        if ptp4l.is_none() {
            assert_eq!(daemon.state().unwrap(), State::FreeRun);
            assert!(clocks_apart(&mut far) > Duration::from_secs(86_400));
            ptp4l = Some(Ptp4l::start(node.namespace(), Role::Follower).unwrap());
        }
        daemon.wait_for(State::Locked, BOUND).unwrap();
        let apart = clocks_apart(&mut far);
        assert!(apart < NEAR, "locked, and {apart:?} apart");
        sends(&node, &daemon, &mut far, Seen::BY_SCHEDULE, true);

        far.ask(cut.request()).unwrap();
        daemon.wait_for(State::Holdover, BOUND).unwrap();
        sends(
            &node,
            &daemon,
            &mut far,
            Seen::BY_SCHEDULE,
            cut.leaves_wire(),
        );
        assert_eq!(
            daemon.state().unwrap(),
            State::Holdover,
            "its time has run out"
        );

        daemon.wait_for(State::Lost, BOUND).unwrap();
        sends(
            &node,
            &daemon,
            &mut far,
            on_sync_loss.seen(),
            cut.leaves_wire(),
        );

        far.ask(cut.undo()).unwrap();
        daemon.wait_for(State::Locked, BOUND).unwrap();
        sends(&node, &daemon, &mut far, Seen::BY_SCHEDULE, true);
        daemon.terminate().unwrap();
    }
    let requests: u64 = far.ask(Request::GptpFrames).unwrap().parse().unwrap();
    println!("{requests} gPTP frames of the follower reached the grandmaster past the daemon");
    assert!(requests > 0);
}

/// Sends frames of each class and asserts what becomes of them: by the daemon's counters, and at the other end of the wire
/// where `is_wired`.
fn sends(node: &Node, daemon: &Daemon, far: &mut Remote, expected: Seen, is_wired: bool) {
    let arrived = far.datagrams().unwrap();
    let before = daemon.seen().unwrap();
    node.send().unwrap();
    let seen = daemon.wait_for_frames(&before, BOUND).unwrap();
    println!("{:?}: {seen:?}", daemon.state().unwrap());
    assert_eq!(seen, expected);
    if is_wired {
        far.wait_for_datagrams(&arrived, expected.sent, BOUND)
            .unwrap();
    }
}

/// How far the two guests' clocks are apart.
fn clocks_apart(far: &mut Remote) -> Duration {
    let theirs = Duration::from_nanos(far.ask(Request::Time).unwrap().parse().unwrap());
    let ours = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    ours.abs_diff(theirs)
}
