//! Pods, profiles, their streams, and what they want of their classes.

use tsn_afxdp::DEFAULT_RING_SLOTS;
use tsn_common::{Rule, RuleFields};

use super::classes::ClassUse;
use super::windows::windows;
use super::{Findings, Inspection};
use crate::config::{ETHERTYPES_OF_IP, LaunchTimeUse, OnSyncLoss, compile_rules};
use crate::durations::duration;

/// EtherTypes that a frame has before its own one.
const TAGS: [u16; 2] = [0x8100, 0x88a8];

pub(super) fn look(inspection: &Inspection<'_>, findings: &mut Findings) {
    look_at_classes(inspection, findings);
    for class in &inspection.classes {
        look_at_launch_times(class, inspection, findings);
    }
    look_at_matches(inspection, findings);
    look_at_buffers(inspection, findings);
}

fn look_at_classes(inspection: &Inspection<'_>, findings: &mut Findings) {
    let settings = &inspection.uplink.traffic_classes;
    for class in &inspection.classes {
        // Pods may also come by the control API; a file without any says nothing about the classes.
        if class.streams.is_empty() && inspection.configuration.stream_lists().next().is_some() {
            findings.note(
                "class-unused",
                class.place.clone(),
                format!("{}: no stream of the file uses it", class.title()),
                None,
            );
        }
        // A file that sets no class at all wants the defaults.
        if class.settings.is_none() && !settings.is_empty() {
            findings.warn(
                "class-without-settings",
                class.place.clone(),
                format!(
                    "{} is not among the uplink's traffic-classes; it has the default settings",
                    class.title()
                ),
                "add it to traffic-classes, or name the class that is meant",
            );
        }
    }
    let clock = &inspection.configuration.clock;
    if clock.on_sync_loss == OnSyncLoss::DropCritical && !settings.iter().any(|s| s.critical) {
        findings.warn(
            "no-critical-class",
            "clock.on-sync-loss".to_owned(),
            "drop-critical does nothing: no traffic class is critical".to_owned(),
            "set `critical: true` on the classes that must not be sent by a wrong clock",
        );
    }
}

fn look_at_launch_times(
    class: &ClassUse<'_>,
    inspection: &Inspection<'_>,
    findings: &mut Findings,
) {
    let is_required = class
        .settings
        .is_some_and(|settings| settings.launch_time_required);
    let closed_ns = match &inspection.gates.schedule {
        Some(schedule) if inspection.gates.enabled => windows(schedule, class.class, false)
            .into_iter()
            .map(|closed| closed.ns)
            .min(),
        _ => None,
    };
    for at in &class.streams {
        match at.stream.launch_time {
            LaunchTimeUse::Ignore if is_required => findings.warn(
                "launch-time-ignored",
                format!("{}.launch-time", at.place),
                format!(
                    "{} requires a launch time, and stream {} ignores those of its frames: all are refused",
                    class.title(),
                    at.stream.name
                ),
                "use `at` or `by`, or take launch-time-required from the class",
            ),
            LaunchTimeUse::At => {
                let tolerance_ns = at.stream.late_tolerance.ns;
                if let Some(closed_ns) = closed_ns
                    && tolerance_ns >= closed_ns
                {
                    findings.warn(
                        "tolerance-spans-gap",
                        format!("{}.late-tolerance", at.place),
                        format!(
                            "a frame of stream {} that misses its window and leaves in the next one is not late: the \
                             gate of {} is closed for {}, and the tolerance is {}",
                            at.stream.name,
                            class.title(),
                            duration(closed_ns),
                            duration(tolerance_ns)
                        ),
                        "give a late-tolerance that is shorter than the time for which the gate is closed",
                    );
                }
            }
            _ => {}
        }
    }
}

fn look_at_matches(inspection: &Inspection<'_>, findings: &mut Findings) {
    for list in inspection.configuration.stream_lists() {
        let (streams, names) = (list.streams, inspection.names);
        let Ok(rules) = compile_rules(&list.place, streams, names) else {
            continue;
        };
        for (index, rule) in rules.iter().enumerate() {
            let name = &streams[index].name;
            let place = format!("{}.streams[{index}].match", list.place);
            if let Some(why) = cannot_match(rule) {
                findings.warn(
                    "match-impossible",
                    place,
                    format!("stream {name} never gets a frame: {why}"),
                    "leave out the field that is wrong",
                );
            } else if let Some(earlier) = rules[..index].iter().position(|r| covers(r, rule)) {
                findings.warn(
                    "stream-shadowed",
                    place,
                    format!(
                        "stream {name} never gets a frame: stream {} before it matches all of them, and the first match \
                         wins",
                        streams[earlier].name
                    ),
                    "put the narrower match first",
                );
            }
        }
    }
}

fn cannot_match(rule: &Rule) -> Option<&'static str> {
    if rule.fields & RuleFields::ETHERTYPE == 0 {
        None
    } else if TAGS.contains(&rule.ethertype) {
        Some(
            "ethertype is compared behind the VLAN tags, and this is the one of a tag (match on vlan-id or pcp)",
        )
    } else if rule.fields & (RuleFields::UDP_PORT | RuleFields::DSCP) != 0
        && !ETHERTYPES_OF_IP.contains(&rule.ethertype)
    {
        Some("only IPv4 (0x0800) and IPv6 (0x86dd) frames have a DSCP or a UDP port")
    } else {
        None
    }
}

/// Whether all frames that `narrow` matches are matched by `wide`.
fn covers(wide: &Rule, narrow: &Rule) -> bool {
    let same = |field: u16, is_same: bool| {
        wide.fields & field == 0 || (narrow.fields & field != 0 && is_same)
    };
    same(RuleFields::ETHERTYPE, wide.ethertype == narrow.ethertype)
        && same(RuleFields::VLAN_ID, wide.vlan_id == narrow.vlan_id)
        && same(RuleFields::PCP, wide.pcp == narrow.pcp)
        && same(RuleFields::DSCP, wide.dscp == narrow.dscp)
        && same(RuleFields::PRIORITY, wide.priority == narrow.priority)
        && same(
            RuleFields::UDP_PORT,
            wide.udp_port_first <= narrow.udp_port_first
                && narrow.udp_port_last <= wide.udp_port_last,
        )
}

fn look_at_buffers(inspection: &Inspection<'_>, findings: &mut Findings) {
    let buffers = inspection.configuration.worker.frame_buffers;
    let held = |pod: &crate::config::Pod| {
        // A vhost-user port receives from the memory of the other end.
        let to_receive = pod.vhost_user.as_ref().map_or(DEFAULT_RING_SLOTS, |_| 0);
        u64::from(pod.frame_quota) + u64::from(to_receive)
    };
    let wanted: u64 = inspection.pods.iter().map(held).sum();
    if wanted > u64::from(buffers) {
        findings.warn(
            "buffers-too-few",
            "pods".to_owned(),
            format!(
                "the {} pods may hold {wanted} frame buffers, and there are {buffers}; those for which none are left \
                 are not attached",
                inspection.pods.len()
            ),
            "raise worker.frame-buffers, or lower the pods' frame-quota",
        );
    }
}
