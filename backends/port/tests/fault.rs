//! What a fault port does is counted, repeatable, and conserves frames.

use tsn_port::fault::{FaultCounters, FaultPort, Faults};
use tsn_port::loopback::{LoopbackFrame, pair};
use tsn_port::{Frame, Port, Stamp};

const FRAMES: u64 = 10_000;

const EVERYTHING: Faults = Faults {
    seed: 7,
    lose_per_mille: 50,
    duplicate_per_mille: 50,
    delay_per_mille: 50,
    delay_receives: 5,
    refuse_per_mille: 50,
    drop_per_mille: 50,
    idle_per_mille: 0,
    wake_ns: 0,
};

/// A number as a frame that is not too short to be one.
fn bytes_of(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

fn number_of(frame: &LoopbackFrame) -> u64 {
    u128::from_be_bytes(frame.bytes().try_into().unwrap()) as u64
}

/// Sends [`FRAMES`] numbered frames through a fault port's both ways; gives the numbers that arrived and the counters.
fn run(faults: Faults) -> (Vec<u64>, FaultCounters) {
    let (sender, mut echo) = pair(64);
    let buffers = sender.free_buffers();
    let mut port = FaultPort::new(sender, faults, LoopbackFrame::duplicate);
    let mut arrived = Vec::new();
    let mut refused = 0;
    for number in 0..FRAMES {
        let frame = port
            .inner()
            .frame(&bytes_of(number), Stamp::NONE)
            .expect("a free buffer");
        if port.transmit(frame).is_err() {
            refused += 1;
        }
        port.wake().unwrap();
        while let Some(frame) = echo.receive() {
            echo.transmit(frame).unwrap();
        }
        echo.wake().unwrap();
        while let Some(frame) = port.receive() {
            arrived.push(number_of(&frame));
        }
    }
    while port.held() > 0 {
        arrived.extend(port.receive().map(|frame| number_of(&frame)));
    }
    let done = port.fault_counters();
    assert_eq!(done.refused, refused, "every refusal is counted");
    assert_eq!(port.counters().transmit_refused, refused);
    assert_eq!(port.counters().transmit_dropped, done.dropped);
    assert_eq!(port.counters().transmitted, FRAMES - refused);
    assert_eq!(port.counters().received, arrived.len() as u64);
    assert_eq!(
        arrived.len() as u64,
        FRAMES - done.refused - done.dropped - done.lost + done.duplicated,
        "frames are conserved: {done:?}"
    );
    assert_eq!(
        port.inner().free_buffers(),
        buffers,
        "every buffer came back"
    );
    (arrived, done)
}

#[test]
fn every_fault_happens_and_is_counted() {
    let (arrived, done) = run(EVERYTHING);
    for (what, count) in [
        ("lost", done.lost),
        ("duplicated", done.duplicated),
        ("delayed", done.delayed),
        ("refused", done.refused),
        ("dropped", done.dropped),
    ] {
        // One in twenty of about 10,000, give or take half.
        assert!((250..750).contains(&count), "{count} frames were {what}");
    }
    assert!(!arrived.is_sorted(), "delayed frames are overtaken");
}

#[test]
fn the_same_seed_does_the_same() {
    assert_eq!(run(EVERYTHING), run(EVERYTHING));
    assert_ne!(
        run(EVERYTHING).0,
        run(Faults {
            seed: 8,
            ..EVERYTHING
        })
        .0
    );
}

#[test]
fn without_faults_nothing_happens() {
    let (arrived, done) = run(Faults::default());
    assert_eq!(done, FaultCounters::default());
    assert_eq!(arrived, (0..FRAMES).collect::<Vec<_>>());
}

#[test]
fn a_device_that_takes_nothing_fills_its_ring() {
    let idle = Faults {
        idle_per_mille: 1_000,
        ..Faults::default()
    };
    let mut port = FaultPort::new(pair(4).0, idle, LoopbackFrame::duplicate);
    for number in 0..6 {
        let frame = port.allocate(60).expect("a free buffer");
        assert_eq!(port.transmit(frame).is_ok(), number < 4);
        port.wake().unwrap();
    }
    let levels = port.levels();
    assert_eq!((levels.transmit_used, levels.transmit_slots), (4, 4));
    port.set_faults(Faults::default());
    port.wake().unwrap();
    assert_eq!(port.levels().transmit_used, 0);
}
