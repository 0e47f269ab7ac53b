//! What an application in the pod sends, and what the peer receives.

use std::io::IoSlice;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    ControlMessage, MsgFlags, SockaddrIn, sendmsg, setsockopt,
    sockopt::{Priority, TxTime},
};
use nix::time::{ClockId, clock_gettime};

use crate::lab::{ETHERTYPE, PEER, PORT};

pub const BROADCAST: [u8; 6] = [0xff; 6];

/// Sends a datagram from the pod to the peer the way an application does: priority and launch time set on the socket.
pub fn send_timed(socket: &UdpSocket, clock: libc::clockid_t, launch_time_ns: u64, payload: &[u8]) {
    let config = libc::sock_txtime {
        clockid: clock,
        flags: 0,
    };
    setsockopt(socket, TxTime, &config).unwrap();
    setsockopt(socket, Priority, &5).unwrap();
    let to: SockaddrIn = format!("{PEER}:{PORT}")
        .parse::<SocketAddrV4>()
        .unwrap()
        .into();
    let control = [ControlMessage::TxTime(&launch_time_ns)];
    let data = [IoSlice::new(payload)];
    sendmsg(
        socket.as_raw_fd(),
        &data,
        &control,
        MsgFlags::empty(),
        Some(&to),
    )
    .unwrap();
}

pub fn now_ns(clock: libc::clockid_t) -> u64 {
    let now = clock_gettime(ClockId::from_raw(clock)).unwrap();
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// The pod's datagram, as the peer received it.
pub fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

pub fn raw_frame(payload: &[u8]) -> Vec<u8> {
    [
        &BROADCAST[..],
        &[2, 0, 0, 0, 0, 9],
        &ETHERTYPE.to_be_bytes(),
        payload,
    ]
    .concat()
}
