//! The test bed's parts that need DPDK: `dpdk-testpmd`, and Open vSwitch with its overlay.

use std::{net::UdpSocket, time::Duration};

use tsn_tests::{
    namespace::Namespace,
    ovs::{FAR_POD_IPV4, FAR_POD_MAC, NEAR_POD_IPV4, Overlay},
    scratch,
    testpmd::{BURST_FRAMES, Testpmd},
    topology::POD_INTERFACE,
    wait::wait_until,
};

const BOUND: Duration = Duration::from_secs(30);
const PORT: u16 = 7000;

#[test]
fn two_of_them_exchange_frames_over_a_socket_and_one_can_be_replaced() {
    let namespace = Namespace::new("testpmd").unwrap();
    let directory = scratch::directory("testpmd").unwrap();
    let socket = directory.path().join("vhost.sock");
    let vhost = format!("net_vhost0,iface={}", socket.display());
    let virtio = format!("net_virtio_user0,path={}", socket.display());

    let mut switch = Testpmd::start(&namespace, &vhost, &[]).unwrap();
    switch.receive().unwrap();
    for round in 1..=2 {
        let mut guest = Testpmd::start(&namespace, &virtio, &[]).unwrap();
        guest.send(2).unwrap();
        let sent = guest.stats().unwrap().sent;
        assert_eq!(sent, 2 * BURST_FRAMES);
        wait_until("the frames of the guest", BOUND, || {
            switch.stats().unwrap().received == round * sent
        })
        .unwrap();
        switch.send(2).unwrap();
        wait_until("the frames of the switch", BOUND, || {
            guest.stats().unwrap().received == 2 * BURST_FRAMES
        })
        .unwrap();
        guest.quit().unwrap();
    }
    switch.quit().unwrap();
}

#[test]
fn a_device_that_is_none_is_told() {
    let namespace = Namespace::new("testpmd").unwrap();
    let error = Testpmd::start(&namespace, "net_nothing0", &[]).unwrap_err();
    assert!(format!("{error:#}").contains("net_nothing0"), "{error:#}");
}

/// Frames that the pod's device has received.
fn received(pod: &Namespace) -> u64 {
    let mut command = pod.command("ip");
    command.args(["-json", "-statistics", "link", "show", POD_INTERFACE]);
    let output = command.output().unwrap();
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    links[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
}

#[test]
fn frames_of_a_virtio_user_device_reach_the_far_pod_and_its_frames_the_device() {
    const OWN_MAC: &str = "02:00:00:00:01:02";
    const OWN_IPV4: &str = "10.71.0.12";
    let overlay = Overlay::new().unwrap();
    let neighbour =
        format!("neigh add {OWN_IPV4} lladdr {OWN_MAC} dev {POD_INTERFACE} nud permanent\n");
    overlay.far_pod.batch("ip", &neighbour).unwrap();
    let device = format!("{},mac={OWN_MAC}", overlay.uplink_device());
    let options = [
        &format!("--eth-peer=0,{FAR_POD_MAC}"),
        &format!("--tx-ip={OWN_IPV4},{FAR_POD_IPV4}"),
    ];
    let options = options.map(String::as_str);
    let mut testpmd = Testpmd::start(&overlay.near, &device, &options).unwrap();
    overlay.wait_link("up").unwrap();
    let before = received(&overlay.far_pod);
    testpmd.send(2).unwrap();
    assert_eq!(testpmd.stats().unwrap().sent, 2 * BURST_FRAMES);
    wait_until("the frames in the far pod", BOUND, || {
        received(&overlay.far_pod) - before >= 2 * BURST_FRAMES
    })
    .unwrap();

    let before = testpmd.stats().unwrap().received;
    send_datagrams(&overlay.far_pod, FAR_POD_IPV4, OWN_IPV4, 100);
    wait_until("the far pod's frames", BOUND, || {
        testpmd.stats().unwrap().received - before >= 100
    })
    .unwrap();
    testpmd.quit().unwrap();
    overlay.wait_link("down").unwrap();
}

#[test]
fn what_is_not_steered_goes_from_pod_to_pod_both_ways() {
    let overlay = Overlay::new().unwrap();
    let ways = [
        (
            &overlay.near_pod,
            NEAR_POD_IPV4,
            &overlay.far_pod,
            FAR_POD_IPV4,
        ),
        (
            &overlay.far_pod,
            FAR_POD_IPV4,
            &overlay.near_pod,
            NEAR_POD_IPV4,
        ),
    ];
    for (from, from_ipv4, to, to_ipv4) in ways {
        let listener = to
            .enter(|| UdpSocket::bind((to_ipv4, PORT)))
            .unwrap()
            .unwrap();
        listener.set_read_timeout(Some(BOUND)).unwrap();
        send_datagrams(from, from_ipv4, to_ipv4, 10);
        for _ in 0..10 {
            assert_eq!(listener.recv(&mut [0; 100]).unwrap(), 64);
        }
    }
}

fn send_datagrams(pod: &Namespace, from: &str, to: &str, datagrams: u32) {
    let socket = pod.enter(|| UdpSocket::bind((from, 0))).unwrap().unwrap();
    for _ in 0..datagrams {
        socket.send_to(&[0; 64], (to, PORT)).unwrap();
    }
}
