//! What can be measured, and of which backend.

use anyhow::Result;
use clap::ValueEnum;
use tsn_tests::backend::Backend;

use super::{
    arrival, attachments, bed::Forwarder, cost, dpdk, forwarding, growth, idle, latency, precision,
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
    /// Pods that come and go beside one that sends: ten minutes, so a whole run has it only if it is named.
    Attachments,
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
                Self::Attachments,
                Self::Cost,
            ],
            Backend::Dpdk => &[Self::Precision, Self::Arrival, Self::Forwarding, Self::Cost],
        }
    }

    /// Whether a run has it without its being named: counting instructions takes its time, and so do pods that come and
    /// go for minutes.
    pub fn is_of_run(self, backend: Backend, quick: bool) -> bool {
        match self {
            Self::Cost => !quick || backend != Backend::Afxdp,
            Self::Attachments => quick,
            _ => true,
        }
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
            (Self::Attachments, _) => step("attachments", || attachments::run(session)),
            (Self::Cost, Backend::Afxdp) => step("cost", cost::run),
            (Self::Cost, Backend::Dpdk) => step("cost", || dpdk::cost::run(session)),
        }
    }
}
