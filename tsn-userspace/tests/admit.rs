//! What the worker tells the scheduler of a frame that it admits.

use tsn_core::TaiTime;
use tsn_port::loopback;
use tsn_port::{Port, Stamp};
use tsn_userspace::config::{Configuration, compile_pod, compile_uplink};
use tsn_userspace::worker::forward::Forwarder;
use tsn_userspace::worker::pod::{ClockRelation, PodPlace, PodPort, Received};

const CONFIGURATION: &str = "
uplinks: [{ device: loopback }]
pods:
  - { name: pod, netns: /nowhere, streams: [{ name: all, match: {}, traffic-class: 0 }] }
";

#[test]
fn neither_header_nor_tag_is_part_of_the_sdu() {
    let configuration = Configuration::from_yaml(CONFIGURATION).unwrap();
    let uplink = compile_uplink("uplinks[0]", &configuration.uplinks[0]).unwrap();
    let pod = compile_pod("pods[0]", &configuration.pods[0], &uplink.names).unwrap();
    let (port, mut sender) = loopback::pair(1);
    let mut place = PodPlace::new(PodPort::new(port, &pod, 8));
    let mut forwarder = Forwarder::new(uplink.markings);
    let clocks = ClockRelation {
        tai_minus_monotonic_ns: 0,
        tai_minus_utc_ns: 37_000_000_000,
    };
    let plain: &[u8] = &[0x88, 0xb5];
    let tagged: &[u8] = &[0x81, 0, 0xe0, 5, 0x88, 0xb5];
    let service: &[u8] = &[0x88, 0xa8, 0xe0, 5, 0x88, 0xb5];
    // The inner tag is data of the service provider.
    let twice: &[u8] = &[0x88, 0xa8, 0xe0, 5, 0x81, 0, 0xe0, 6, 0x88, 0xb5];
    for (types, data, sdu_bytes) in [
        (plain, 1_500, 1_500),
        (plain, 0, 0),
        (tagged, 1_500, 1_500),
        (tagged, 0, 0),
        (service, 1_500, 1_500),
        (twice, 1_496, 1_500),
    ] {
        let bytes = [&[0; 12][..], types, &vec![0; data]].concat();
        let frame = sender.frame(&bytes, Stamp::NONE).unwrap();
        assert!(sender.transmit(frame).is_ok());
        sender.wake().unwrap();
        let frame = place.take().unwrap();
        match place.admit(frame, 0, clocks, &mut forwarder, TaiTime::from_nanos(1)) {
            Received::Arrival(arrival) => assert_eq!(
                (arrival.length_bytes as usize, arrival.sdu_bytes),
                (bytes.len(), sdu_bytes),
                "{types:02x?}"
            ),
            other => panic!("{other:?}"),
        }
    }
}
