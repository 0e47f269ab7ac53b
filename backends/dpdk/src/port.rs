//! The one type of port that a worker over DPDK has.

use std::os::fd::RawFd;

use tsn_port::{Capabilities, MacAddress, Port, PortCounters, PortLevels};

use crate::xsk::{XskPort, XskWakeError};
use crate::{DpdkFrame, EthPort, WakeError};

/// A device's queue, or an AF_XDP socket over the same mempool on the host end of a pod's veth.
pub struct DpdkPort(Kind);

enum Kind {
    Eth(Box<EthPort>),
    Xsk(Box<XskPort>),
}

/// Why [`DpdkPort::wake`](Port::wake) failed.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// A device.
    #[error(transparent)]
    Eth(#[from] WakeError),
    /// A pod's veth.
    #[error(transparent)]
    Xsk(#[from] XskWakeError),
}

impl From<EthPort> for DpdkPort {
    fn from(port: EthPort) -> Self {
        Self(Kind::Eth(Box::new(port)))
    }
}

impl From<XskPort> for DpdkPort {
    fn from(port: XskPort) -> Self {
        Self(Kind::Xsk(Box::new(port)))
    }
}

/// Does the same with whichever port it is.
macro_rules! either {
    ($port:expr, $inner:ident => $do:expr) => {
        match $port {
            Kind::Eth($inner) => $do,
            Kind::Xsk($inner) => $do,
        }
    };
}

impl Port for DpdkPort {
    type Frame = DpdkFrame;
    type Error = PortError;

    fn receive(&mut self) -> Option<DpdkFrame> {
        either!(&mut self.0, port => port.receive())
    }

    fn transmit(&mut self, frame: DpdkFrame) -> Result<(), DpdkFrame> {
        either!(&mut self.0, port => port.transmit(frame))
    }

    fn transmit_at(&mut self, frame: DpdkFrame, launch_time_ns: u64) -> Result<(), DpdkFrame> {
        either!(&mut self.0, port => port.transmit_at(frame, launch_time_ns))
    }

    fn wake(&mut self) -> Result<(), PortError> {
        either!(&mut self.0, port => Ok(port.wake()?))
    }

    fn allocate(&mut self, length_bytes: usize) -> Option<DpdkFrame> {
        either!(&mut self.0, port => port.allocate(length_bytes))
    }

    fn readable(&self) -> Option<RawFd> {
        either!(&self.0, port => port.readable())
    }

    fn counters(&self) -> PortCounters {
        either!(&self.0, port => port.counters())
    }

    fn levels(&mut self) -> PortLevels {
        either!(&mut self.0, port => port.levels())
    }

    fn capabilities(&self) -> Capabilities {
        either!(&self.0, port => port.capabilities())
    }

    fn station(&self) -> Option<MacAddress> {
        either!(&self.0, port => port.station())
    }
}
