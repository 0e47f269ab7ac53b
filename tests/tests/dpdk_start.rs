//! A start that waits for the switch behind a vhost-user socket.

mod common;

use std::os::unix::process::ExitStatusExt;

use common::BOUND;
use tsn_tests::{
    backend::Backend,
    daemon::{Daemon, Home},
    namespace::Namespace,
    process::Signal,
    wait::wait_until,
};

#[test]
fn a_signal_ends_it_and_leaves_nothing_that_hinders_the_next() {
    let (node, home) = (
        Namespace::new("node").unwrap(),
        Home::with_backend(Backend::Dpdk).unwrap(),
    );
    let configuration = format!(
        "{}uplinks: [{{ device: \"net_virtio_user0,path={},server=1\", link-speed: 10000 }}]\n",
        Backend::Dpdk.settings(),
        home.file("switch.sock").display()
    );
    // The second start finds what the first has left. Not by SIGINT: a shell has its background jobs ignore that.
    for _ in 0..2 {
        let mut daemon = Daemon::spawn(&node, &home, &configuration, &[]).unwrap();
        wait_until("the daemon to wait for the switch", BOUND, || {
            daemon.process.stderr().contains("waiting for the switch")
        })
        .unwrap();
        daemon.process.signal(Signal::SIGTERM).unwrap();
        let status = daemon.process.wait(BOUND).unwrap();
        // With an exit code it would have waited to the end, and failed.
        assert_eq!(status.signal(), Some(Signal::SIGTERM as i32), "{status}");
    }
}
