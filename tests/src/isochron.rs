//! Debian's `isochron` as a sender.
//!
//! Its sender will not start without its receiver, and its receiver wants a clock in the network device, which a veth
//! does not have. So the real sender runs in the pod, and beside it, on the pod's loopback, stands something that answers
//! its management requests as a receiver does: the link is running, the log is empty. What the sender sends by the pod's
//! device is seen on the wire.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{namespace::Namespace, process::Process, scratch, topology::POD_INTERFACE};

/// `isochron`'s management port.
const PORT: u16 = 5000;

const VERSION: u8 = 2;
const ACTION_GET: u8 = 0;
const ACTION_RESPONSE: u8 = 2;
const LOG: u16 = 0;
const LINK_STATE: u16 = 0x2a;
const LINK_STATE_RUNNING: u8 = 2;
const EMPTY_LOG: [u8; 8] = [0, 0, 0, 4, 0, 0, 0, 0];
/// No request that it sends is longer.
const MAX_REQUEST_BYTES: usize = 4096;

/// A running `isochron send`.
#[derive(Debug)]
pub struct Isochron {
    /// The sender.
    pub process: Process,
    receiver: JoinHandle<io::Result<()>>,
    /// It leaves its log in its working directory.
    _directory: TempDir,
}

impl Isochron {
    /// Sends raw frames with EtherType 0xdead and launch times from a pod to a hardware address, with these options of
    /// `isochron send` besides; one at least must be `--num-frames`.
    ///
    /// # Errors
    ///
    /// When it is not installed (`cargo xtask setup` does that).
    pub fn send(pod: &Namespace, destination: &str, options: &[&str]) -> Result<Self> {
        let listener = pod.enter(|| TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)))??;
        let directory = scratch::directory("isochron")?;
        let mut command = pod.command("isochron");
        command.current_dir(directory.path());
        command.args([
            "send",
            "--interface",
            POD_INTERFACE,
            "--dmac",
            destination,
            "--client",
            "127.0.0.1",
        ]);
        command
            .args(["--l2", "--txtime", "--no-ts", "--omit-sync", "--quiet"])
            .args(options);
        let process = Process::spawn("isochron", command)?;
        let receiver = thread::spawn(move || answer(listener.accept()?.0));
        Ok(Self {
            process,
            receiver,
            _directory: directory,
        })
    }

    /// Waits until it has sent everything.
    ///
    /// # Errors
    ///
    /// With its output, when it fails or `bound` passes first.
    pub fn finish(self, bound: std::time::Duration) -> Result<()> {
        self.process.finish(bound)?;
        let answered = self
            .receiver
            .join()
            .map_err(|_| anyhow::anyhow!("the receiver panicked"))?;
        answered.context("answer isochron")
    }
}

/// Answers requests until the sender closes the connection.
///
/// A message is a header of 8 bytes (version, action, two reserved, length) and a record of 8 bytes (two of type, two of
/// what it is about, length) with its value; all numbers big-endian.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut header = [0; 8];
    while stream.read_exact(&mut header).is_ok() {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let mut record = vec![0; length.min(MAX_REQUEST_BYTES)];
        stream.read_exact(&mut record)?;
        let Some((record_header, value)) = record.split_first_chunk::<8>() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let about = u16::from_be_bytes([record_header[2], record_header[3]]);
        let value = match (header[1], about) {
            (ACTION_GET, LINK_STATE) => vec![LINK_STATE_RUNNING, 0, 0, 0],
            (ACTION_GET, LOG) => EMPTY_LOG.to_vec(),
            _ => value.to_vec(),
        };
        let mut response = vec![VERSION, ACTION_RESPONSE, 0, 0];
        response.extend((8 + value.len() as u32).to_be_bytes());
        response.extend(&record_header[..4]);
        response.extend((value.len() as u32).to_be_bytes());
        response.extend(&value);
        stream.write_all(&response)?;
    }
    Ok(())
}
