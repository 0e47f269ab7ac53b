//! A port without a device: frames are made of nothing, and vanish.

use std::convert::Infallible;
use std::os::fd::RawFd;

use tsn_port::{Capabilities, Frame, MacAddress, Port, PortCounters, PortLevels, Stamp};

use crate::port::FRAME_BYTES;

/// Its own buffer.
pub struct LooseFrame([u8; FRAME_BYTES]);

impl Frame for LooseFrame {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn stamp(&self) -> Stamp {
        Stamp::NONE
    }

    fn next_hop(&self) -> Option<tsn_port::NextHopId> {
        None
    }

    fn prepend(&mut self, _bytes: usize) -> bool {
        false
    }
}

/// Takes every frame, and gets none.
pub struct NoDevice;

impl Port for NoDevice {
    type Frame = LooseFrame;
    type Error = Infallible;

    fn receive(&mut self) -> Option<LooseFrame> {
        None
    }

    fn transmit(&mut self, _frame: LooseFrame) -> Result<(), LooseFrame> {
        Ok(())
    }

    fn wake(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn allocate(&mut self, _length_bytes: usize) -> Option<LooseFrame> {
        Some(LooseFrame([0; FRAME_BYTES]))
    }

    fn readable(&self) -> Option<RawFd> {
        None
    }

    fn counters(&self) -> PortCounters {
        PortCounters::default()
    }

    fn levels(&mut self) -> PortLevels {
        PortLevels::default()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_frame_bytes: FRAME_BYTES,
            transmit_slots: 1,
            zero_copy: true,
            hardware_launch: None,
            waits_for_wake: true,
        }
    }

    fn station(&self) -> Option<MacAddress> {
        None
    }
}
