//! Which traffic classes are in use, and by what.

use tsn_common::ETHERNET_HEADER_BYTES;
use tsn_core::TrafficClass;

use super::Inspection;
use crate::config::{Configuration, StreamSelection, TrafficClassSettings, Uplink};

/// A traffic class that has settings or streams.
pub struct ClassUse<'a> {
    pub class: TrafficClass,
    /// Where it is set; without settings, where the first stream names it.
    pub place: String,
    pub settings: Option<&'a TrafficClassSettings>,
    pub streams: Vec<StreamUse<'a>>,
}

/// A stream of a pod or a profile.
pub struct StreamUse<'a> {
    pub place: String,
    pub stream: &'a StreamSelection,
}

impl<'a> ClassUse<'a> {
    /// All classes that have settings or streams, lowest first.
    pub fn all_of(
        configuration: &'a Configuration,
        uplink: &'a Uplink,
        names: &[Option<String>; 8],
    ) -> Vec<Self> {
        let streams_of = |class| {
            let lists = configuration.stream_lists();
            lists
                .flat_map(|list| {
                    let streams = list.streams.iter().enumerate();
                    streams.map(move |(index, stream)| StreamUse {
                        place: format!("{}.streams[{index}]", list.place),
                        stream,
                    })
                })
                .filter(|at| at.stream.traffic_class.resolve(names) == Some(class))
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

    /// What a frame of the class has in front of its service data unit.
    pub fn header_bytes(&self) -> u32 {
        let headers = self.streams.iter().map(|at| at.stream.header_bytes());
        headers.max().unwrap_or(ETHERNET_HEADER_BYTES as u32)
    }

    /// The longest frame of the class, FCS not counted.
    pub fn longest_frame_bytes(&self, inspection: &Inspection<'_>) -> u32 {
        let mtu_bytes = inspection.figures.mtu_bytes;
        let sdu_bytes = self.max_sdu_bytes().unwrap_or(mtu_bytes).min(mtu_bytes);
        sdu_bytes.saturating_add(self.header_bytes())
    }
}
