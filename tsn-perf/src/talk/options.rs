//! The talker's command line.

use std::net::SocketAddr;

use anyhow::{bail, ensure};
use clap::{ArgGroup, Args, ValueEnum};

use crate::ethernet::{HEADER_BYTES, IPV4_BYTES, IPV6_BYTES, TAG_BYTES, UDP_BYTES, VlanTag};
use crate::process::ProcessOptions;
use crate::socket::options::LaunchClock;
use crate::stream::Stream;
use crate::units::{MacAddress, parse_duration_ns, parse_ethertype};
use crate::wire;

const EXAMPLES: &str = "\
Examples:
  # 1000 frames a second, each with a launch time 200 us into its millisecond, by UDP
  tsn-perf talk --udp 192.0.2.2:5000 --priority 6 --period 1ms --offset 200us --count 10000

  # the same without any privilege
  tsn-perf talk --udp 192.0.2.2:5000 --launch-time monotonic --period 1ms --offset 200us

  # raw frames with a VLAN tag, named so that the listener's table is easy to read
  tsn-perf talk --raw eth0 --destination 02:00:00:00:00:02 --ethertype 0x88b5 --vlan 100 --pcp 6 \\
      --stream motion/1 --size 128

  # best effort beside them: as fast as it goes, or at 100 Mb/s
  tsn-perf talk --udp 192.0.2.2:5001 --flood --size 1514 --stream bulk/9 --duration 10s
  tsn-perf talk --udp 192.0.2.2:5001 --rate 100 --size 1514 --stream bulk/9 --duration 10s";

/// Send frames, each with a launch time, or best effort
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("transport").required(true).args(["udp", "raw"])))]
pub struct TalkOptions {
    /// Send UDP datagrams to this address, IPv4 or IPv6 (the latter in brackets)
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub udp: Option<SocketAddr>,

    /// With --udp: send through this interface, whatever the routes say
    #[arg(long, value_name = "INTERFACE", requires = "udp")]
    pub bind_device: Option<String>,

    /// Send raw Ethernet frames through this interface (needs CAP_NET_RAW)
    #[arg(long, value_name = "INTERFACE", requires = "destination")]
    pub raw: Option<String>,

    /// With --raw: the destination's hardware address
    #[arg(long, value_name = "MAC", requires = "raw")]
    pub destination: Option<MacAddress>,

    /// With --raw: the frames' EtherType
    #[arg(long, value_name = "0x…", default_value = "0x88b5", value_parser = parse_ethertype)]
    pub ethertype: u16,

    /// With --raw: put an IEEE 802.1Q tag with this VLAN into the frames; 0 is a priority tag
    #[arg(long, value_name = "ID", requires = "raw", value_parser = clap::value_parser!(u16).range(0..=4094))]
    pub vlan: Option<u16>,

    /// With --vlan: the tag's priority code point
    #[arg(long, value_name = "0..7", requires = "vlan", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=7))]
    pub pcp: u8,

    /// SO_PRIORITY of the socket; above 6 it needs a capability
    #[arg(long, value_name = "N")]
    pub priority: Option<u32>,

    /// Clock of the launch times (SO_TXTIME), or none: each frame is handed over at its own time
    #[arg(long, value_enum, default_value_t = LaunchTime::Tai)]
    pub launch_time: LaunchTime,

    /// From one frame to the next
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = parse_duration_ns)]
    pub period: u64,

    /// Launch times are multiples of the period of CLOCK_TAI, plus this
    #[arg(long, value_name = "TIME", default_value = "0us", value_parser = parse_duration_ns)]
    pub offset: u64,

    /// How long before its launch time a frame is handed to the socket [default: 500us; without launch
    /// times 0us]
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ns)]
    pub notice: Option<u64>,

    /// Best effort at this rate in Mb/s, counted in bytes of --size, without launch times
    #[arg(long, value_name = "MBIT/S", conflicts_with_all = ["launch_time", "period", "offset", "notice", "report_errors"])]
    pub rate: Option<f64>,

    /// Best effort as fast as it goes, without launch times
    #[arg(long, conflicts_with_all = ["rate", "launch_time", "period", "offset", "notice", "report_errors"])]
    pub flood: bool,

    /// Frame size in bytes, Ethernet header and VLAN tag included, FCS not
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub size: usize,

    /// Stop after so many frames [default: on SIGINT or SIGTERM]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,

    /// Stop after so long
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ns)]
    pub duration: Option<u64>,

    /// What the frames call themselves: an id, or NAME/ID
    #[arg(long, value_name = "[NAME/]ID", default_value = "1")]
    pub stream: Stream,

    /// Count the launch times that a queueing discipline refused (SOF_TXTIME_REPORT_ERRORS)
    #[arg(long)]
    pub report_errors: bool,

    /// Core and scheduling policy
    #[command(flatten)]
    pub process: ProcessOptions,
}

/// The values of `--launch-time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LaunchTime {
    /// CLOCK_TAI; needs CAP_NET_ADMIN
    Tai,
    /// CLOCK_MONOTONIC; anybody may use it
    Monotonic,
    /// No launch time
    None,
}

/// Default of `--notice` for frames with a launch time.
const NOTICE_NS: u64 = 500_000;

impl TalkOptions {
    /// The clock of the launch times; `None` for best effort.
    pub fn launch_clock(&self) -> Option<LaunchClock> {
        match self.launch_time {
            _ if self.flood || self.rate.is_some() => None,
            LaunchTime::Tai => Some(LaunchClock::Tai),
            LaunchTime::Monotonic => Some(LaunchClock::Monotonic),
            LaunchTime::None => None,
        }
    }

    /// How long before its time a frame is handed over, in ns.
    pub fn notice_ns(&self) -> u64 {
        self.notice.unwrap_or(if self.launch_clock().is_some() {
            NOTICE_NS
        } else {
            0
        })
    }

    /// The tag of raw frames.
    pub fn tag(&self) -> Option<VlanTag> {
        self.vlan.map(|id| VlanTag { id, pcp: self.pcp })
    }

    /// How many bytes of a frame stand before the payload.
    pub fn overhead_bytes(&self) -> usize {
        match self.udp {
            Some(SocketAddr::V4(_)) => HEADER_BYTES + IPV4_BYTES + UDP_BYTES,
            Some(SocketAddr::V6(_)) => HEADER_BYTES + IPV6_BYTES + UDP_BYTES,
            None => HEADER_BYTES + if self.vlan.is_some() { TAG_BYTES } else { 0 },
        }
    }

    /// Checks what the command line's syntax cannot.
    ///
    /// # Errors
    ///
    /// Names the option, its value, the limit and the way out.
    pub fn check(&self) -> anyhow::Result<()> {
        let least = (self.overhead_bytes() + wire::SHORT_BYTES).max(60);
        // A UDP payload ends at 65507 bytes; what the interface takes the kernel says.
        let most = self.overhead_bytes() + 65507;
        ensure!(
            (least..=most).contains(&self.size),
            "--size {} is not from {least} to {most}: the frame must hold its headers and {} bytes of ours",
            self.size,
            wire::SHORT_BYTES,
        );
        ensure!(self.period > 0, "--period must be more than 0");
        ensure!(
            self.offset < self.period,
            "--offset {} ns is not less than --period {} ns: give the remainder",
            self.offset,
            self.period,
        );
        if let Some(rate) = self.rate
            && !(rate > 0.0 && rate.is_finite())
        {
            bail!("--rate {rate} must be more than 0 Mb/s");
        }
        ensure!(
            !self.report_errors || self.launch_clock().is_some(),
            "--report-errors needs launch times: drop it, or --launch-time none"
        );
        Ok(())
    }
}
