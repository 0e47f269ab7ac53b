//! Which traffic classes are in use, and by what.

use tsn_core::TrafficClass;

use super::Inspection;
use crate::config::{Pod, StreamSelection, TrafficClassSettings, Uplink};

/// Destination, source and EtherType.
pub const ETHERNET_HEADER_BYTES: u32 = 14;
/// One IEEE 802.1Q tag.
pub const VLAN_TAG_BYTES: u32 = 4;

/// A traffic class that has settings or streams.
pub struct ClassUse<'a> {
    pub class: TrafficClass,
    /// Where it is set; without settings, where the first stream names it.
    pub place: String,
    pub settings: Option<&'a TrafficClassSettings>,
    pub streams: Vec<StreamUse<'a>>,
}

/// A stream of a pod.
pub struct StreamUse<'a> {
    pub place: String,
    pub pod: &'a Pod,
    pub stream: &'a StreamSelection,
}

impl<'a> ClassUse<'a> {
    /// All classes that have settings or streams, lowest first.
    pub fn all_of(uplink: &'a Uplink, pods: &'a [Pod], names: &[Option<String>; 8]) -> Vec<Self> {
        let streams_of = |class| {
            let pods = pods.iter().enumerate();
            pods.flat_map(move |(i, pod)| {
                let streams = pod.streams.iter().enumerate();
                streams.map(move |(j, stream)| StreamUse {
                    place: format!("pods[{i}].streams[{j}]"),
                    pod,
                    stream,
                })
            })
            .filter(move |at| at.stream.traffic_class.resolve(names) == Some(class))
            .collect::<Vec<_>>()
        };
        let in_use = |class: TrafficClass| {
            let mut settings = uplink.traffic_classes.iter().enumerate();
            let settings = settings.find(|(_, settings)| settings.number == class.as_u8());
            let streams = streams_of(class);
            let place = match (&settings, streams.first()) {
                (Some((index, _)), _) => format!("uplinks[0].traffic-classes[{index}]"),
                (None, Some(first)) => format!("{}.traffic-class", first.place),
                (None, None) => return None,
            };
            Some(Self {
                class,
                place,
                settings: settings.map(|(_, settings)| settings),
                streams,
            })
        };
        TrafficClass::ALL.into_iter().filter_map(in_use).collect()
    }

    /// For people: `class 5 (video)`.
    pub fn title(&self) -> String {
        let number = self.class.as_u8();
        match self.settings.and_then(|settings| settings.name.as_ref()) {
            Some(name) => format!("class {number} ({name})"),
            None => format!("class {number}"),
        }
    }

    /// `queue-max-sdu`, if it is set.
    pub fn max_sdu_bytes(&self) -> Option<u32> {
        self.settings
            .map(|settings| settings.queue_max_sdu)
            .filter(|bytes| *bytes != 0)
    }

    /// The first stream whose frames carry a VLAN tag.
    pub fn tagged_stream(&self) -> Option<&StreamUse<'a>> {
        self.streams.iter().find(|at| {
            let selector = &at.stream.selector;
            selector.vlan_id.is_some() || selector.pcp.is_some()
        })
    }

    /// The longest frame of the class, FCS not counted. The tag counts as part of the service data unit.
    pub fn longest_frame_bytes(&self, inspection: &Inspection<'_>) -> u32 {
        let tag = self.tagged_stream().map_or(0, |_| VLAN_TAG_BYTES);
        let by_mtu = inspection.figures.mtu_bytes.saturating_add(tag);
        let sdu = self.max_sdu_bytes().map_or(by_mtu, |max| max.min(by_mtu));
        sdu.saturating_add(ETHERNET_HEADER_BYTES)
    }
}
