//! The suite on the ports without a device.

use std::time::Duration;

use tsn_port::Port;
use tsn_port::conformance::{self, TestBed};
use tsn_port::fault::{FaultPort, Faults};
use tsn_port::loopback::{LoopbackFrame, LoopbackPort, pair};

struct Bed<P> {
    sender: P,
    receiver: P,
    /// Finds the port that counts free buffers.
    loopback: fn(&P) -> &LoopbackPort,
}

impl<P: Port<Frame = LoopbackFrame>> TestBed for Bed<P> {
    type Port = P;
    const PATIENCE: Duration = Duration::from_secs(2);

    fn ports(&mut self) -> (&mut P, &mut P) {
        (&mut self.sender, &mut self.receiver)
    }

    fn free_buffers(&mut self) -> usize {
        (self.loopback)(&self.sender).free_buffers()
    }
}

#[test]
fn loopback_conforms() {
    let (sender, receiver) = pair(64);
    conformance::run(&mut Bed {
        sender,
        receiver,
        loopback: |port| port,
    });
}

#[test]
fn a_fault_port_without_faults_conforms() {
    let (sender, receiver) = pair(64);
    let copy: fn(&LoopbackFrame) -> Option<LoopbackFrame> = LoopbackFrame::duplicate;
    let sender = FaultPort::new(sender, Faults::default(), copy);
    let receiver = FaultPort::new(receiver, Faults::default(), copy);
    conformance::run(&mut Bed {
        sender,
        receiver,
        loopback: FaultPort::inner,
    });
}

/// A receiver that breaks one promise; the suite must notice.
fn broken_receiver(faults: Faults) -> Result<(), String> {
    let (sender, receiver) = pair(64);
    let copy: fn(&LoopbackFrame) -> Option<LoopbackFrame> = LoopbackFrame::duplicate;
    let sender = FaultPort::new(sender, Faults::default(), copy);
    let receiver = FaultPort::new(receiver, faults, copy);
    let bed = std::panic::AssertUnwindSafe(Bed {
        sender,
        receiver,
        loopback: FaultPort::inner,
    });
    std::panic::catch_unwind(|| {
        let mut bed = bed;
        conformance::run(&mut *bed);
    })
    .map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn the_suite_notices_a_duplicated_frame() {
    let faults = Faults {
        duplicate_per_mille: 10,
        ..Faults::default()
    };
    let message = broken_receiver(faults).expect_err("a frame arrived twice");
    assert!(message.contains("arrived twice"), "{message}");
}

#[test]
fn the_suite_notices_a_frame_out_of_order() {
    let faults = Faults {
        delay_per_mille: 10,
        delay_receives: 2,
        ..Faults::default()
    };
    let message = broken_receiver(faults).expect_err("a frame was overtaken");
    assert!(message.contains("against the order"), "{message}");
}

#[test]
fn the_suite_notices_an_uncounted_loss() {
    let faults = Faults {
        lose_per_mille: 10,
        ..Faults::default()
    };
    let message = broken_receiver(faults).expect_err("a frame was lost");
    assert!(message.contains("not conserved"), "{message}");
}
