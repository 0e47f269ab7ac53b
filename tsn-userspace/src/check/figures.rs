//! Figures that are not in the file: asked from the daemon, given by the user, or assumed.

use tsn_core::{LinkSpeed, Nanoseconds, TaiTime};

use super::{Findings, Inspection};
use crate::config::{Uplink, WorkerSettings};
use crate::control::api::Status;
use crate::durations::duration;

/// From decision to wire, on a common machine.
const ASSUMED_LEAD_NS: u64 = 5_000;
/// Of a clock that follows a good PTP source.
const ASSUMED_CLOCK_ERROR_NS: u64 = 1_000;
const ASSUMED_LINK_SPEED_MBPS: u32 = 1_000;

/// What the check needs to know beside the file.
#[derive(Debug)]
pub struct Environment {
    /// CLOCK_TAI now.
    pub now: TaiTime,
    /// The most bytes behind the Ethernet header and any VLAN tag of a frame.
    pub mtu_bytes: u32,
    /// Speed of the link in Mb/s if the file does not give it; `None`: the daemon's.
    pub link_speed_mbps: Option<u32>,
    /// From the worker's decision to the frame on the wire; `None`: the daemon's.
    pub lead_ns: Option<u64>,
    /// Bound on the clock's error; `None`: that of a good PTP source. The daemon is not asked: what the kernel takes for
    /// the bound grows between two corrections, so that the findings would come and go.
    pub clock_error_ns: Option<u64>,
    /// What the running daemon says, or why it says nothing.
    pub daemon: Result<DaemonFigures, String>,
}

/// What the running daemon has measured.
#[derive(Debug, Clone)]
pub struct DaemonFigures {
    /// The device that it serves.
    pub device: String,
    /// Of that device, in Mb/s.
    pub link_speed_mbps: u32,
    /// The lead in nanoseconds.
    pub lead_ns: u64,
}

impl From<Status> for DaemonFigures {
    fn from(status: Status) -> Self {
        Self {
            device: status.uplink.device,
            link_speed_mbps: status.uplink.link_speed,
            lead_ns: status.uplink.lead_ns,
        }
    }
}

/// The figures that the check works with.
#[derive(Debug)]
pub(super) struct Figures {
    pub link_speed: LinkSpeed,
    pub link_speed_mbps: u32,
    pub per_frame_overhead_bytes: u32,
    pub mtu_bytes: u32,
    pub lead_ns: u64,
    pub stall_threshold_ns: u64,
    pub clock_error_ns: u64,
    /// What is assumed of these, and why; with the option that would give it.
    assumed: Vec<Assumption>,
}

#[derive(Debug)]
struct Assumption {
    what: String,
    option: &'static str,
    /// Of a figure that the daemon would tell.
    why_not_of_daemon: Option<String>,
}

impl Figures {
    pub fn of(uplink: &Uplink, worker: &WorkerSettings, environment: &Environment) -> Self {
        let daemon = match &environment.daemon {
            Ok(daemon) if daemon.device == uplink.device => Ok(daemon),
            Ok(other) => Err(format!("the tsnd that runs here serves {}", other.device)),
            Err(why) => Err(why.clone()),
        };
        let mut assumed = Vec::new();
        let mut assume = |what: String, option, why: &str| {
            assumed.push(Assumption {
                what,
                option,
                why_not_of_daemon: Some(why.to_owned()),
            });
        };
        // Without probes there is no lead.
        let lead_ns = environment
            .lead_ns
            .or((uplink.lead_probes == 0).then_some(0));
        let lead_ns = match (lead_ns, &daemon) {
            (Some(ns), _) => ns,
            (None, Ok(daemon)) => daemon.lead_ns,
            (None, Err(why)) => {
                let what = format!("a lead of {}", duration(ASSUMED_LEAD_NS));
                assume(what, "--lead", why);
                ASSUMED_LEAD_NS
            }
        };
        let given = uplink.link_speed.or(environment.link_speed_mbps);
        let of_daemon = || daemon.as_ref().map(|daemon| daemon.link_speed_mbps);
        let (link_speed_mbps, link_speed) = match given.map_or_else(of_daemon, Ok) {
            Ok(mbps) => (mbps, LinkSpeed::from_mbps(mbps)),
            Err(why) => {
                let what = format!("a link of {ASSUMED_LINK_SPEED_MBPS} Mb/s");
                assume(what, "--link-speed", why);
                (ASSUMED_LINK_SPEED_MBPS, None)
            }
        };
        let clock_error_ns = environment.clock_error_ns.unwrap_or_else(|| {
            let what = format!("a clock error of {}", duration(ASSUMED_CLOCK_ERROR_NS));
            assumed.push(Assumption {
                what,
                option: "--clock-error",
                why_not_of_daemon: None,
            });
            ASSUMED_CLOCK_ERROR_NS
        });
        Self {
            link_speed: link_speed.unwrap_or(
                const { LinkSpeed::from_mbps(ASSUMED_LINK_SPEED_MBPS).expect("it is not zero") },
            ),
            link_speed_mbps,
            per_frame_overhead_bytes: uplink.per_frame_overhead,
            mtu_bytes: environment.mtu_bytes,
            lead_ns,
            stall_threshold_ns: worker.stall_threshold.ns,
            clock_error_ns,
            assumed,
        }
    }

    /// How long a frame of this length, FCS not counted, takes on the wire.
    pub fn wire_time_ns(&self, frame_bytes: u32) -> u64 {
        self.link_speed
            .frame_time(frame_bytes, self.per_frame_overhead_bytes)
            .as_nanos()
    }

    /// The longest frame, FCS not counted, that takes at most so long on the wire; `None` if not even the shortest.
    pub fn longest_frame_bytes_in(&self, ns: u64) -> Option<u32> {
        self.link_speed
            .longest_frame_in(Nanoseconds::from_nanos(ns), self.per_frame_overhead_bytes)
    }

    /// What the worker keeps free of each window: the lead after it opens, the stall threshold before it closes.
    pub fn margins_ns(&self) -> u64 {
        self.lead_ns.saturating_add(self.stall_threshold_ns)
    }
}

/// Tells what was assumed, where it matters: in a file with a gate control list.
pub(super) fn look(inspection: &Inspection<'_>, findings: &mut Findings) {
    let assumed = &inspection.figures.assumed;
    if !inspection.gates.enabled || assumed.is_empty() {
        return;
    }
    let mut what: Vec<String> = Vec::new();
    let mut after = assumed.iter().peekable();
    while let Some(assumption) = after.next() {
        let is_told_later = after
            .peek()
            .is_some_and(|next| next.why_not_of_daemon == assumption.why_not_of_daemon);
        match &assumption.why_not_of_daemon {
            Some(why) if !is_told_later => what.push(format!("{} ({why})", assumption.what)),
            _ => what.push(assumption.what.clone()),
        }
    }
    let options: Vec<&str> = assumed.iter().map(|assumption| assumption.option).collect();
    let mut way_out = format!("give {}", options.join(", "));
    if assumed.iter().any(|a| a.why_not_of_daemon.is_some()) {
        way_out += &format!(
            ", or --control of a tsnd that serves {}",
            inspection.uplink.device
        );
    }
    findings.note(
        "assumed",
        "uplinks[0].device".to_owned(),
        format!("assumed: {}", what.join(", ")),
        Some(way_out),
    );
}
