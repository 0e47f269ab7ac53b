//! What can be measured, and of which backend.

use anyhow::Result;
use clap::ValueEnum;
use tsn_tests::backend::Backend;

use super::{
    arrival, bed::Forwarder, cost, dpdk, forwarding, growth, idle, latency, precision,
    session::Session, table::Table,
};
use crate::step::step;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// Launch precision of the worker alone, with pods and queued frames.
    Precision,
    /// Arrival by launch time, from an application in a pod.
    Arrival,
    /// Forwarding rate.
    Forwarding,
    /// One-way latency.
    Latency,
    /// An idle daemon.
    Idle,
    /// What a frame costs in each step, and how that grows; of DPDK, what it costs the worker beside AF_XDP.
    Cost,
}

impl Subject {
    /// What is measured of a backend.
    pub const fn of(backend: Backend) -> &'static [Self] {
        match backend {
            Backend::Afxdp => &[
                Self::Precision,
                Self::Arrival,
                Self::Forwarding,
                Self::Latency,
                Self::Idle,
                Self::Cost,
            ],
            Backend::Dpdk => &[Self::Precision, Self::Arrival, Self::Forwarding, Self::Cost],
        }
    }

    /// Whether a quick run has it: counting instructions takes its time.
    pub fn is_quick(self, backend: Backend) -> bool {
        (self, backend) != (Self::Cost, Backend::Afxdp)
    }

    /// Measures it over one of the backends that it is [measured of](Self::of).
    ///
    /// # Errors
    ///
    /// When a step fails.
    pub fn measure(self, backend: Backend, session: &Session) -> Result<Vec<Table>> {
        match (self, backend) {
            (Self::Precision, _) => {
                let found = step("launch precision", || precision::measure(backend, session))?;
                Ok(vec![
                    precision::table(&found, session),
                    growth::table(&found),
                ])
            }
            (Self::Arrival, Backend::Afxdp) => {
                step("arrival", || arrival::run(&[Forwarder::Tsnd], session))
            }
            (Self::Arrival, Backend::Dpdk) => {
                let forwarders = [Forwarder::Tsnd, Forwarder::TsndDpdk];
                step("arrival", || arrival::run(&forwarders, session))
            }
            (Self::Forwarding, Backend::Afxdp) => step("forwarding", || forwarding::run(session)),
            (Self::Forwarding, Backend::Dpdk) => {
                step("forwarding", || dpdk::forwarding::run(session))
            }
            (Self::Latency, _) => step("latency", || latency::run(session)),
            (Self::Idle, _) => step("idle", || idle::run(session)),
            (Self::Cost, Backend::Afxdp) => step("cost", cost::run),
            (Self::Cost, Backend::Dpdk) => step("cost", || dpdk::cost::run(session)),
        }
    }
}
