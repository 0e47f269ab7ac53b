//! Pods: from what is matched to rules, from what is wanted to treatments.

use std::path::PathBuf;

use tsn_common::{MAX_RULES, Rule, RuleFields};
use tsn_core::{
    FlowMeterParameters, LateAction as CoreLateAction, LatePolicy, MIN_FRAME_BYTES, TrafficClass,
};
use tsn_port::{PodAddresses, PodAttachment, PodEnd, VethEnd};

use super::super::names::{check_interface, check_name};
use super::super::{
    ConfigurationError, Faults, FlowMeterSettings, LateAction, LaunchTimeUse, Match, Mode, Pod,
    Profile, StreamSelection, printable,
};
use super::resolve;

/// The shortest Ethernet frame with its FCS, as flow meters count it.
const SHORTEST_FRAME_BYTES: u32 = MIN_FRAME_BYTES + 4;

/// How frames of one stream are treated.
#[derive(Debug, Clone, Copy)]
pub struct Treatment {
    /// The queue.
    pub class: TrafficClass,
    /// What a launch time means.
    pub launch_time: LaunchTimeUse,
    /// What is late, and what becomes of it.
    pub late: LatePolicy,
    /// What it may send at most.
    pub flow_meter: Option<FlowMeterParameters>,
}

/// A pod as the backend and the worker take it.
#[derive(Debug)]
pub struct CompiledPod {
    /// For the backend.
    pub attachment: PodAttachment,
    /// For the worker: one for each of the attachment's rules.
    pub treatments: Vec<Treatment>,
    /// Names of the streams, in the same order.
    pub stream_names: Vec<String>,
}

/// Checks a pod against the uplink that it uses. `place` is its path in the document, for errors.
///
/// # Errors
///
/// The first value that cannot be used.
pub fn compile_pod(
    place: &str,
    pod: &Pod,
    names: &[Option<String>; 8],
) -> Result<CompiledPod, ConfigurationError> {
    Faults::none_in(|faults| pod_in(place, pod, names, faults))
}

/// The rules of a pod's or a profile's streams, in the same order. `place` is its path in the document, for errors.
///
/// # Errors
///
/// The first value that cannot be used.
pub fn compile_rules(
    place: &str,
    streams: &[StreamSelection],
    names: &[Option<String>; 8],
) -> Result<Vec<Rule>, ConfigurationError> {
    Faults::none_in(|faults| streams_in(place, streams, names, faults).0)
}

pub fn pod_in(
    place: &str,
    pod: &Pod,
    names: &[Option<String>; 8],
    faults: &mut Faults,
) -> CompiledPod {
    check_owner(place, &pod.name, pod.frame_quota, faults);
    let end = end_in(place, pod, faults);
    let (rules, treatments) = streams_in(place, &pod.streams, names, faults);
    CompiledPod {
        attachment: PodAttachment {
            name: pod.name.clone(),
            end,
            mode: pod.mode.into(),
            rules,
        },
        treatments,
        stream_names: pod
            .streams
            .iter()
            .map(|stream| stream.name.clone())
            .collect(),
    }
}

/// Checks a profile against the uplink that its pods will use.
pub fn profile_in(
    place: &str,
    profile: &Profile,
    names: &[Option<String>; 8],
    faults: &mut Faults,
) {
    check_owner(place, &profile.name, profile.frame_quota, faults);
    streams_in(place, &profile.streams, names, faults);
}

/// Checks what pods and profiles have beside their streams.
fn check_owner(place: &str, name: &str, frame_quota: u32, faults: &mut Faults) {
    let name_is_safe = !name.is_empty()
        && name.len() <= 63
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !name_is_safe {
        faults.add(
            format!("{place}.name"),
            format!(
                "`{}`; 1 to 63 letters, digits, `-`, `_` and `.`, not beginning with `.`",
                printable(name)
            ),
        );
    }
    if !(1..=65_536).contains(&frame_quota) {
        faults.add(
            format!("{place}.frame-quota"),
            format!("{frame_quota} frames; 1 to 65536"),
        );
    }
}

/// Checks the streams of a pod or a profile.
fn streams_in(
    place: &str,
    streams: &[StreamSelection],
    names: &[Option<String>; 8],
    faults: &mut Faults,
) -> (Vec<Rule>, Vec<Treatment>) {
    if !(1..=MAX_RULES).contains(&streams.len()) {
        faults.add(
            format!("{place}.streams"),
            format!("there are {}; 1 to {MAX_RULES}", streams.len()),
        );
    }
    let mut rules = Vec::with_capacity(streams.len());
    let mut treatments = Vec::with_capacity(streams.len());
    for (index, stream) in streams.iter().enumerate() {
        let place = format!("{place}.streams[{index}]");
        check_name(&format!("{place}.name"), &stream.name, faults);
        if streams[..index].iter().any(|s| s.name == stream.name) {
            faults.add(
                format!("{place}.name"),
                format!(
                    "`{}` names two streams; names are unique in a pod or profile",
                    printable(&stream.name)
                ),
            );
        }
        let class = resolve(
            &format!("{place}.traffic-class"),
            &stream.traffic_class,
            names,
            faults,
        )
        .unwrap_or(TrafficClass::ALL[0]); // of a pod that is refused
        rules.push(rule(
            &format!("{place}.match"),
            &stream.selector,
            class,
            faults,
        ));
        treatments.push(Treatment {
            class,
            launch_time: stream.launch_time,
            late: LatePolicy {
                tolerance: stream.late_tolerance.into(),
                action: match stream.late {
                    LateAction::Drop => CoreLateAction::Drop,
                    LateAction::Send => CoreLateAction::Send,
                },
            },
            flow_meter: stream
                .flow_meter
                .map(|meter| flow_meter(&format!("{place}.flow-meter"), meter, faults)),
        });
    }
    (rules, treatments)
}

/// Where the pod's frames come from: one of two.
fn end_in(place: &str, pod: &Pod, faults: &mut Faults) -> PodEnd {
    match (&pod.netns, &pod.vhost_user) {
        (None, None) => faults.add(
            place,
            "it has neither `netns` nor `vhost-user`; give the path of its network namespace, such as \
             /var/run/netns/pod1, or its socket",
        ),
        (Some(_), Some(_)) => faults.add(
            format!("{place}.vhost-user"),
            "the pod has a `netns` too; leave out one of them, or make two pods of it",
        ),
        (Some(netns), None) if !netns.is_absolute() => faults.add(
            format!("{place}.netns"),
            format!(
                "`{}` is no absolute path; such as /var/run/netns/pod1",
                printable(&netns.to_string_lossy())
            ),
        ),
        _ => {}
    }
    if let Some(socket) = &pod.vhost_user {
        socket.find_faults(&format!("{place}.vhost-user"), faults);
        if pod.mode == Mode::Overlay {
            faults.add(
                format!("{place}.mode"),
                "a pod with `vhost-user` cannot have `overlay`; the kernel has no address of it to route to, use `l2`",
            );
        }
    }
    if let Some(interface) = &pod.interface {
        let place = format!("{place}.interface");
        if pod.netns.is_none() && pod.vhost_user.is_some() {
            faults.add(
                place,
                "a pod with `vhost-user` has no interface; leave it out",
            );
        } else {
            check_interface(&place, interface, faults);
        }
    }
    pod.end().unwrap_or_else(|| {
        PodEnd::Veth(VethEnd {
            netns: PathBuf::new(), // of a pod that is refused
            interface: String::new(),
            addresses: PodAddresses::default(),
        })
    })
}

fn flow_meter(place: &str, meter: FlowMeterSettings, faults: &mut Faults) -> FlowMeterParameters {
    let FlowMeterSettings {
        committed_information_rate,
        committed_burst_size,
    } = meter;
    if committed_information_rate == 0 {
        faults.add(
            format!("{place}.committed-information-rate"),
            "0 bit/s lets nothing pass; at least 1",
        );
    }
    if committed_burst_size < SHORTEST_FRAME_BYTES {
        faults.add(
            format!("{place}.committed-burst-size"),
            format!(
                "{committed_burst_size} bytes let no frame pass; at least {SHORTEST_FRAME_BYTES}, and as many as the stream's longest frame has with its FCS"
            ),
        );
    }
    FlowMeterParameters {
        committed_information_rate_bps: committed_information_rate,
        committed_burst_size_bytes: committed_burst_size,
    }
}

fn rule(place: &str, selector: &Match, class: TrafficClass, faults: &mut Faults) -> Rule {
    let mut rule = Rule {
        traffic_class: class.as_u8(),
        ..Rule::default()
    };
    let mut wrong = |field: &str, value: u32, limits: &str| {
        faults.add(format!("{place}.{field}"), format!("{value}; {limits}"));
    };
    if let Some(ethertype) = selector.ethertype {
        if ethertype < 0x600 {
            wrong(
                "ethertype",
                ethertype.into(),
                "an EtherType is 0x600 or more",
            );
        }
        rule.fields |= RuleFields::ETHERTYPE;
        rule.ethertype = ethertype;
    }
    if let Some(vlan_id) = selector.vlan_id {
        if vlan_id > 4094 {
            wrong("vlan-id", vlan_id.into(), "0 to 4094");
        }
        rule.fields |= RuleFields::VLAN_ID;
        rule.vlan_id = vlan_id;
    }
    if let Some(pcp) = selector.pcp {
        if pcp > 7 {
            wrong("pcp", pcp.into(), "0 to 7");
        }
        rule.fields |= RuleFields::PCP;
        rule.pcp = pcp;
    }
    if let Some(dscp) = selector.dscp {
        if dscp > 63 {
            wrong("dscp", dscp.into(), "0 to 63");
        }
        rule.fields |= RuleFields::DSCP;
        rule.dscp = dscp;
    }
    if let Some(ports) = selector.udp_destination_port {
        rule.fields |= RuleFields::UDP_PORT;
        rule.udp_port_first = ports.first;
        rule.udp_port_last = ports.last;
    }
    if let Some(priority) = selector.priority {
        rule.fields |= RuleFields::PRIORITY;
        rule.priority = priority;
    }
    rule
}
