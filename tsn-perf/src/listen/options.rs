//! The listener's command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::process::ProcessOptions;
use crate::stream::Stream;
use crate::units::{parse_duration_ns, parse_ethertype};

const EXAMPLES: &str = "\
Examples:
  # UDP, until 2 s pass without a frame
  tsn-perf listen --udp 5000 --idle 2s

  # at the far end of the wire: all streams, UDP and raw, in their order of arrival
  tsn-perf listen --capture eth0 --stream motion/1 --stream bulk/9 --csv frames.csv --duration 10s

  # one EtherType, for a script
  tsn-perf listen --raw eth0 --ethertype 0x88b5 --count 1000 --output json --ready-file /run/ready

Columns of the CSV file: stream, sequence, launch_time_ns, arrival_ns, error_ns (arrival less launch time),
size_bytes, arrival_index, send_time_ns, vlan_id, pcp. Times are TAI; a field that does not apply is empty.";

/// Receive the talker's frames and say when they came
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("transport").required(true).args(["udp", "raw", "capture"])))]
pub struct ListenOptions {
    /// Receive at this UDP port, IPv4 and IPv6; may be given several times
    #[arg(long, value_name = "PORT")]
    pub udp: Vec<u16>,

    /// Receive frames of one EtherType at this interface (needs CAP_NET_RAW)
    #[arg(long, value_name = "INTERFACE")]
    pub raw: Option<String>,

    /// With --raw: the EtherType
    #[arg(long, value_name = "0x…", default_value = "0x88b5", value_parser = parse_ethertype)]
    pub ethertype: u16,

    /// See all of the talkers' frames that arrive at this interface, UDP (also inside VXLAN) and raw of any
    /// EtherType (needs CAP_NET_RAW)
    #[arg(long, value_name = "INTERFACE")]
    pub capture: Option<String>,

    /// Call the stream with this id by this name; may be given several times
    #[arg(long, value_name = "NAME/ID")]
    pub stream: Vec<Stream>,

    /// Write one line per frame to this file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Stop after so many frames, of all streams together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Stop after so long
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ns)]
    pub duration: Option<u64>,

    /// Stop when no frame came for so long, counted from the start
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ns)]
    pub idle: Option<u64>,

    /// Create this file when the sockets are bound; "ready" is said on stderr in any case
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,

    /// Core and scheduling policy
    #[command(flatten)]
    pub process: ProcessOptions,
}
