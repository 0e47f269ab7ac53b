//! Devices that hold a frame until its launch time (`RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP`).
//!
//! Such a device takes launch times of its own clock, whose unit and zero are its own (`rte_eth_read_clock`). Both are
//! found out by looking at it between two looks at CLOCK_TAI, once at the start and again and again while it runs: DPDK's
//! own figures for clocks are rounded.

mod relation;

use dpdk_sys as sys;
use sys::rte_mbuf;

use crate::{DpdkReason, LaunchError};
use relation::{Relation, Sample};

/// How long before its launch time the device is given a frame. It must have fetched the frame's descriptor by then, and
/// no driver tells how long that takes; what is too much only makes later frames wait a little.
pub(crate) const LEAD_NS: u64 = 50_000;

/// Between the two samples of the start, which tell the rate to some 10 ppm.
const START_NS: u64 = 50_000_000;
/// How often the clocks are compared while the device runs.
const PERIOD_NS: u64 = 100_000_000;
/// The rate is taken over so long: a sample that is off by 1 us is then off by 1 ppm.
const RATE_SPAN_NS: u64 = 1_000_000_000;
/// Beyond that the clocks have not drifted; one of them was set.
const STEP_NS: u64 = 100_000;
/// Looks for one sample at the start, of which the fastest counts.
const LOOKS: u32 = 16;
/// A look that took so many times longer than the fastest was disturbed.
const DISTURBED: u64 = 2;

/// A device's clock and the way to give it launch times.
#[derive(Debug)]
pub(crate) struct DeviceClock {
    port: u16,
    /// Where an mbuf carries its launch time, and the flag that says so.
    field_offset: i32,
    flag: u64,
    relation: Relation,
    /// Where the rate is taken from.
    rate_from: Sample,
    compared_at_ns: u64,
    fastest_ns: u64,
}

impl DeviceClock {
    /// Compares the clocks for the first time, which takes 50 ms. The device is started.
    pub fn start(port: u16) -> Result<Self, LaunchError> {
        let (mut field_offset, mut flag) = (0, 0);
        DpdkReason::check(|| {
            // SAFETY: the EAL is initialised, and both are places for the results.
            unsafe { sys::rte_mbuf_dyn_tx_timestamp_register(&raw mut field_offset, &raw mut flag) }
        })
        .map_err(LaunchError::Field)?;
        let first = fastest_sample(port)?;
        while tai_ns() < first.tai_ns.saturating_add(START_NS) {
            std::thread::sleep(std::time::Duration::from_nanos(START_NS / 10));
        }
        let second = fastest_sample(port)?;
        let relation = Relation::through(first, second).ok_or(LaunchError::Stopped)?;
        Ok(Self {
            port,
            field_offset,
            flag,
            relation,
            rate_from: second,
            compared_at_ns: second.tai_ns,
            fastest_ns: second.bracket_ns,
        })
    }

    /// Has the device hold the frame until CLOCK_TAI is `launch_time_ns`.
    ///
    /// # Safety
    ///
    /// The mbuf belongs to the caller.
    pub unsafe fn set_launch_time(&self, mbuf: *mut rte_mbuf, launch_time_ns: u64) {
        let ticks = self.relation.ticks_at(launch_time_ns);
        // SAFETY: the mbuf is the caller's, and has the field since `start`.
        unsafe { sys::shim_mbuf_launch_at(mbuf, self.field_offset, self.flag, ticks) };
    }

    /// Follows the clocks; to be called while nothing is due. Most of the time it only looks at CLOCK_TAI.
    pub fn follow(&mut self) {
        let now_ns = tai_ns();
        // A clock that was set back is seen at once.
        if now_ns >= self.compared_at_ns && now_ns - self.compared_at_ns < PERIOD_NS {
            return;
        }
        self.compared_at_ns = now_ns;
        // A device that does not tell its time now may do so the next time.
        let Ok(sample) = sample(self.port) else {
            return;
        };
        self.fastest_ns = (self.fastest_ns + 1).min(sample.bracket_ns);
        if sample.bracket_ns <= self.fastest_ns * DISTURBED {
            self.learn(sample);
        }
    }

    fn learn(&mut self, sample: Sample) {
        if self.relation.error_ns(sample) > STEP_NS {
            self.relation = self.relation.moved_to(sample);
            self.rate_from = sample;
            return;
        }
        if sample.tai_ns - self.rate_from.tai_ns < RATE_SPAN_NS {
            self.relation = self.relation.moved_to(sample);
        } else if let Some(relation) = Relation::through(self.rate_from, sample) {
            self.relation = relation;
            self.rate_from = sample;
        }
    }
}

/// The best of several looks.
fn fastest_sample(port: u16) -> Result<Sample, LaunchError> {
    let mut fastest = sample(port)?;
    for _ in 1..LOOKS {
        let next = sample(port)?;
        if next.bracket_ns < fastest.bracket_ns {
            fastest = next;
        }
    }
    Ok(fastest)
}

fn sample(port: u16) -> Result<Sample, LaunchError> {
    let mut ticks = 0;
    let before_ns = tai_ns();
    // SAFETY: `ticks` is a place for the result.
    let result = unsafe { sys::rte_eth_read_clock(port, &raw mut ticks) };
    let after_ns = tai_ns();
    if result != 0 {
        return Err(LaunchError::Clock(DpdkReason {
            number: -result,
            logged: Vec::new(),
        }));
    }
    let bracket_ns = after_ns.saturating_sub(before_ns);
    Ok(Sample {
        tai_ns: before_ns + bracket_ns / 2,
        ticks,
        bracket_ns,
    })
}

fn tai_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a place for the result. CLOCK_TAI is there since Linux 3.10, so it cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_TAI, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
