//! What can be broken of the uplink and the pods' devices.

use tsn_programs::{Channels, Coalescing};

use super::super::Code;
use super::breaks::Break;

/// At least one for each code.
pub const DEVICE_BREAKS: &[Break] = &[
    (
        |s| {
            s.silence(false);
            s.subject.configuration = None;
        },
        &[Code::DeviceUnknown, Code::DaemonAbsent],
    ),
    (
        |s| s.subject.device = Some("eth9".to_owned()),
        &[Code::DeviceMissing],
    ),
    (|s| s.uplink().0.running = false, &[Code::LinkDown]),
    (|s| s.pod_end().0.running = false, &[Code::LinkDown]),
    (|s| s.host_end().0.running = false, &[Code::LinkDown]),
    (
        |s| {
            s.silence(false);
            s.uplink().1.speed_mbps = None;
        },
        &[Code::LinkSpeedUnknown, Code::DaemonAbsent],
    ),
    (
        |s| s.uplink().1.speed_mbps = Some(100),
        &[Code::LinkSpeedDiffers],
    ),
    (
        |s| s.uplink().0.xdp.as_mut().unwrap().program_id = 99,
        &[Code::XdpForeign],
    ),
    (
        |s| s.host_end().0.xdp.as_mut().unwrap().program_id = 99,
        &[Code::XdpForeign],
    ),
    (|s| s.uplink().0.xdp = None, &[Code::ProgramMissing]),
    (|s| s.host_end().0.xdp = None, &[Code::ProgramMissing]),
    (
        |s| {
            s.kernel.pinned.as_mut().unwrap().programs.pop();
        },
        &[Code::ProgramMissing],
    ),
    (
        |s| s.uplink().0.xdp.as_mut().unwrap().generic = true,
        &[Code::XdpGeneric],
    ),
    (
        |s| s.host_end().1.channels.as_mut().unwrap().receive = 2,
        &[Code::ReceiveQueues],
    ),
    (
        |s| {
            s.uplink().1.channels = Some(Channels {
                receive: 1,
                transmit: 1,
                transmit_limit: 4,
            });
        },
        &[Code::TransmitQueueShared],
    ),
    (|s| s.uplink().0.mtu = 3_000, &[Code::MtuTooLarge]),
    (
        |s| {
            s.configuration().worker.frame_buffer_bytes = 4_096;
            s.uplink().0.mtu = 3_507;
        },
        &[Code::MtuTooLarge],
    ),
    (|s| s.uplink().0.mtu = 1_400, &[Code::MtuAboveUplink]),
    (|s| s.host_end().0.mtu = 1_523, &[Code::HostMtu]),
    (|s| s.pod_end().1.gro = Some(false), &[Code::PodGroOff]),
    (|s| s.uplink().1.lro = Some(true), &[Code::LroOn]),
    (|s| s.uplink().1.tso = Some(true), &[Code::TsoOn]),
    (
        |s| s.uplink().1.receive_vlan = Some(true),
        &[Code::ReceiveVlanOn],
    ),
    (
        |s| {
            s.uplink().1.coalescing = Some(Coalescing {
                receive_us: 50,
                adaptive: false,
            });
        },
        &[Code::InterruptCoalescing],
    ),
    (|s| s.uplink().1.eee_active = Some(true), &[Code::EeeActive]),
    (
        |s| s.uplink().1.obeys_pause = Some(true),
        &[Code::PauseObeyed],
    ),
];
