//! Unmodified clients in pods: their frames leave in their order and after their launch times, and none is lost.

mod common;

use common::{
    Bed, CONTROL, RAW_ETHERTYPE, Settings,
    counters::{Counters, number},
    launch::{CLIENT_BOUND, PYTHON_CLIENT, assert_launched, static_client},
    wait_at_rest,
};
use tsn_tests::{
    capture::CapturedFrame,
    clients::{python, trafgen},
    isochron::Isochron,
    process::Process,
    topology::POD_INTERFACE,
};

#[test]
fn python_with_tai_launch_times_loses_nothing_and_is_never_early() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    assert_launched(&daemon, bed.capture(), 200, || {
        let destination = bed.far(1).ipv4.to_string();
        let arguments = [&*destination, &CONTROL.to_string(), "200", "11"];
        python(&bed.near(1).namespace, PYTHON_CLIENT, &arguments).unwrap()
    });
    daemon.terminate().unwrap();
}

#[test]
fn unprivileged_python_with_monotonic_launch_times_does_as_well() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    assert_launched(&daemon, bed.capture(), 200, || {
        let destination = bed.far(1).ipv4.to_string();
        let arguments = [&*destination, &CONTROL.to_string(), "200", "1"];
        python(&bed.near(1).namespace, PYTHON_CLIENT, &arguments).unwrap()
    });
    daemon.terminate().unwrap();
}

#[test]
fn a_statically_linked_client_does_as_well() {
    let bed = Bed::new(1);
    let client = static_client(&bed.home.file(""));
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    assert_launched(&daemon, bed.capture(), 200, || {
        let mut command = bed.near(1).namespace.command(&client);
        command.arg(bed.far(1).ipv4.to_string());
        command.args([&CONTROL.to_string(), "200", "11"]);
        Process::spawn("client", command).unwrap()
    });
    daemon.terminate().unwrap();
}

/// Lets a client send raw frames, and gives those that came out of the wire after asserting that all of them did and
/// went through the daemon.
fn raw_frames(frames: usize, send: impl FnOnce(&Bed)) -> Vec<CapturedFrame> {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let wire = bed.capture();
    send(&bed);
    wait_at_rest(&daemon);
    let counters = Counters::of(&daemon);
    counters.assert_conserved();
    assert_eq!(counters.all_drops(), 0, "{}", counters.all_causes());
    let sent = number(&counters.stream("pod1", "raw")["sent"]);
    assert_eq!(sent, frames as u64);
    daemon.terminate().unwrap();
    let mut captured = wire.finish().unwrap();
    captured.retain(|frame| {
        let ethertype_at = if frame.pcp().is_some() { 16 } else { 12 };
        frame.bytes[ethertype_at..ethertype_at + 2] == RAW_ETHERTYPE.to_be_bytes()
    });
    assert_eq!(captured.len(), frames);
    captured
}

#[test]
fn isochron_with_launch_times_loses_nothing() {
    let captured = raw_frames(200, |bed| {
        let ethertype = RAW_ETHERTYPE.to_string();
        let options = [
            ["--etype", &*ethertype],
            ["--priority", "6"],
            ["--vid", "5"],
            ["--frame-size", "100"],
            ["--cycle-time", "0.002"],
            ["--num-frames", "200"],
        ]
        .concat();
        let isochron = Isochron::send(&bed.near(1).namespace, &bed.far(1).mac, &options);
        isochron.unwrap().finish(CLIENT_BOUND).unwrap();
    });
    // Its header: the launch time, the time at which it woke up, and the number.
    let launches = captured.iter().map(|frame| &frame.bytes[18..26]);
    assert!(launches.is_sorted(), "big-endian numbers sort as bytes");
    assert!(captured.iter().all(|frame| frame.pcp() == Some(6)));
}

#[test]
fn trafgens_frames_pass_unchanged() {
    let frame = [
        &[0x02, 0, 0, 0, 2, 1, 0x02, 0, 0, 0, 1, 1][..], // far pod1 from near pod1
        &RAW_ETHERTYPE.to_be_bytes(),
        &[0x5a; 80],
    ]
    .concat();
    let captured = raw_frames(300, |bed| {
        let pod = &bed.near(1).namespace;
        let trafgen = trafgen(pod, POD_INTERFACE, &frame, 300, 500).unwrap();
        trafgen.finish(CLIENT_BOUND).unwrap();
    });
    assert!(captured.iter().all(|captured| captured.bytes == frame));
}
