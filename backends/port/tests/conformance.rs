//! The suite on the ports without a device.

use std::os::fd::RawFd;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use tsn_port::conformance::{self, TestBed};
use tsn_port::fault::{FaultPort, Faults};
use tsn_port::loopback::{LoopbackFrame, LoopbackPort, pair};
use tsn_port::{Capabilities, Frame, MacAddress, Port, PortCounters, PortLevels};

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

/// Runs the suite on ports of which something breaks a promise; gives the message of its panic.
fn violation<P: Port<Frame = LoopbackFrame>>(bed: Bed<P>) -> String {
    let bed = AssertUnwindSafe(bed);
    let panic = std::panic::catch_unwind(|| {
        let mut bed = bed;
        conformance::run(&mut *bed);
    })
    .expect_err("the suite noticed nothing");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

fn violation_with_faults(faults: Faults) -> String {
    let (sender, receiver) = pair(64);
    let copy: fn(&LoopbackFrame) -> Option<LoopbackFrame> = LoopbackFrame::duplicate;
    let sender = FaultPort::new(sender, Faults::default(), copy);
    let receiver = FaultPort::new(receiver, faults, copy);
    violation(Bed {
        sender,
        receiver,
        loopback: FaultPort::inner,
    })
}

#[test]
fn the_suite_notices_a_duplicated_frame() {
    let message = violation_with_faults(Faults {
        duplicate_per_mille: 10,
        ..Faults::default()
    });
    assert!(message.contains("arrived twice"), "{message}");
}

#[test]
fn the_suite_notices_a_frame_out_of_order() {
    let faults = Faults {
        delay_per_mille: 10,
        delay_receives: 2,
        ..Faults::default()
    };
    let message = violation_with_faults(faults);
    assert!(message.contains("against the order"), "{message}");
}

#[test]
fn the_suite_notices_an_uncounted_loss() {
    let message = violation_with_faults(Faults {
        lose_per_mille: 10,
        ..Faults::default()
    });
    assert!(message.contains("not conserved"), "{message}");
}

/// A port that does something to what it receives.
struct Altered<P> {
    inner: P,
    received: fn(LoopbackFrame) -> LoopbackFrame,
}

impl<P: Port<Frame = LoopbackFrame>> Port for Altered<P> {
    type Frame = LoopbackFrame;
    type Error = P::Error;

    fn receive(&mut self) -> Option<LoopbackFrame> {
        self.inner.receive().map(self.received)
    }

    fn transmit(&mut self, frame: LoopbackFrame) -> Result<(), LoopbackFrame> {
        self.inner.transmit(frame)
    }

    fn wake(&mut self) -> Result<(), P::Error> {
        self.inner.wake()
    }

    fn allocate(&mut self, length_bytes: usize) -> Option<LoopbackFrame> {
        self.inner.allocate(length_bytes)
    }

    fn readable(&self) -> Option<RawFd> {
        self.inner.readable()
    }

    fn counters(&self) -> PortCounters {
        self.inner.counters()
    }

    fn levels(&mut self) -> PortLevels {
        self.inner.levels()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn station(&self) -> Option<MacAddress> {
        self.inner.station()
    }
}

fn violation_with(received: fn(LoopbackFrame) -> LoopbackFrame) -> String {
    let (sender, receiver) = pair(64);
    let sender = Altered {
        inner: sender,
        received: |frame| frame,
    };
    let receiver = Altered {
        inner: receiver,
        received,
    };
    violation(Bed {
        sender,
        receiver,
        loopback: |port| &port.inner,
    })
}

#[test]
fn the_suite_notices_a_changed_byte() {
    let message = violation_with(|mut frame| {
        let last = frame.bytes().len() - 1;
        frame.bytes_mut()[last] ^= u8::from(last == 1000);
        frame
    });
    assert!(message.contains("byte 1000 changed"), "{message}");
}

#[test]
fn the_suite_notices_a_lost_buffer() {
    let message = violation_with(|frame| {
        let copy = frame.duplicate().expect("a free buffer");
        if frame.bytes().len() == 1000 {
            std::mem::forget(frame);
        }
        copy
    });
    assert!(message.contains("buffers leaked"), "{message}");
}
