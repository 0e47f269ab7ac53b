//! What can go wrong with the kernel programs.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use tsn_common::{MAX_PODS, MAX_RULES};

use crate::release::OLDEST_KERNEL;

/// Why an operation on the kernel programs failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The pod is attached already.
    #[error("pod {name:?} is attached already; detach it first")]
    PodAttached {
        /// The pod's name.
        name: String,
    },
    /// The directory for pins cannot hold any.
    #[error(
        "{} is on no bpffs, where links and maps can be pinned; mount one: mount -t bpf bpf /sys/fs/bpf", path.display()
    )]
    NotBpffs {
        /// The directory.
        path: PathBuf,
    },
    /// A pin or a directory of pins could not be made, read or removed.
    #[error("cannot {action} {}: {source}", path.display())]
    Pin {
        /// What was tried.
        action: &'static str,
        /// The pin or directory.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel refuses the maps or does not understand the object.
    #[error(
        "cannot load the kernel programs' object: {0} (CAP_BPF and CAP_NET_ADMIN are needed, or root)"
    )]
    Load(#[source] Box<aya::EbpfError>),
    /// The kernel does not tell its version.
    #[error("cannot tell the kernel's version: {0}")]
    Kernel(String),
    /// The kernel lacks what the programs need.
    #[error(
        "Linux {release} is too old: the kernel programs need {}.{} or newer; boot such a kernel", OLDEST_KERNEL.0,
        OLDEST_KERNEL.1
    )]
    KernelTooOld {
        /// Its release.
        release: String,
    },
    /// The object lacks something; it was built from other sources than this program.
    #[error("the kernel programs' object has no {0}; build it anew: cargo xtask ebpf")]
    Object(&'static str),
    /// Two pods would be told apart by nothing.
    #[error(
        "device {device} has the hardware address {} of another attached pod; give it one of its own, or detach that \
         pod first", address.map(|byte| format!("{byte:02x}")).join(":")
    )]
    AddressTaken {
        /// The pod's interface.
        device: String,
        /// Its hardware address.
        address: [u8; 6],
    },
    /// Two overlay pods would be told apart by nothing.
    #[error(
        "device {device} has the IP address {address} of another attached pod; give it one of its own, or detach that \
         pod first"
    )]
    IpTaken {
        /// The pod's interface.
        device: String,
        /// Its address.
        address: IpAddr,
    },
    /// More than the maps of overlay mode hold.
    #[error("{count} {what} for overlay pods are more than the {limit} that a node can have")]
    OverlayTooLarge {
        /// `routes` or `tunnels`.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there can be.
        limit: u32,
    },
    /// The kernel refuses a program.
    #[error("the kernel refuses program {program}: {source}")]
    Refused {
        /// The program.
        program: &'static str,
        /// Its verifier's answer.
        source: Box<aya::programs::ProgramError>,
    },
    /// A map could not be read or written.
    #[error("cannot access map {map}: {source}")]
    Map {
        /// The map.
        map: &'static str,
        /// Why.
        source: Box<aya::maps::xdp::XdpMapError>,
    },
    /// The heartbeat map could not be mapped into memory.
    #[error("cannot map the heartbeats into memory: {0}")]
    Heartbeat(#[source] io::Error),
    /// The pod's network namespace cannot be entered.
    #[error("cannot enter network namespace {}: {source} (is the pod gone?)", path.display())]
    Netns {
        /// Path of the namespace.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A device could not be found, read or set.
    #[error("cannot {action} of device {device}: {source}")]
    Device {
        /// What was tried.
        action: &'static str,
        /// Name or index of the device.
        device: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The pod's interface is no end of a veth pair.
    #[error(
        "device {device} of the pod is of kind {kind:?}, not veth; only veth pairs can be steered"
    )]
    NotVeth {
        /// The device.
        device: String,
        /// Its kind, empty for a physical device.
        kind: String,
    },
    /// The pair's other end is not in this network namespace.
    #[error(
        "the other end (index {host_ifindex}) of the pod's {device} is not in the daemon's network namespace; run the \
         daemon in the namespace that holds the pods' host ends"
    )]
    HostEndElsewhere {
        /// The pod's device.
        device: String,
        /// Index of the other end.
        host_ifindex: u32,
    },
    /// The host end has more receive queues than the one that a socket serves.
    #[error(
        "device {device} has {queues} receive queues; one is served, so set: ethtool -L {device} rx 1"
    )]
    ReceiveQueues {
        /// The host end.
        device: String,
        /// Its queues.
        queues: u32,
    },
    /// Somebody else's XDP program is attached.
    #[error(
        "another XDP program is attached to {device}; find it with: bpftool net list dev {device}, and detach it (ip \
         link set dev {device} xdp off)"
    )]
    Busy {
        /// The device.
        device: String,
    },
    /// The device cannot run the program at its size of frames.
    #[error(
        "frames of {device} are too long for XDP (MTU {mtu}); set at most 3500: ip link set dev {device} mtu 3500"
    )]
    MtuTooLarge {
        /// The device.
        device: String,
        /// Its MTU in bytes.
        mtu: u32,
    },
    /// A program could not be attached.
    #[error("cannot attach program {program} to {device}: {source}")]
    Attach {
        /// The program.
        program: &'static str,
        /// The device.
        device: String,
        /// Why.
        source: Box<aya::programs::ProgramError>,
    },
    /// The stamp program could not be attached by a filter, or removed, or looked for.
    #[error(
        "cannot reach the stamp program's filter at {device}: {source} (before Linux 6.6 it takes the kernel's modules: \
         modprobe -a sch_ingress cls_bpf)"
    )]
    Filter {
        /// The pod's interface.
        device: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// There is no place for the stamp program's filter.
    #[error(
        "device {device} of the pod has the queueing discipline `ingress`, which leaves no place for `clsact`, in which \
         the stamp program goes before Linux 6.6; replace it by clsact, which takes the same filters: tc qdisc del dev \
         {device} ingress; tc qdisc add dev {device} clsact"
    )]
    IngressDiscipline {
        /// The pod's interface.
        device: String,
    },
    /// A link that an earlier run pinned could not be taken over.
    #[error("cannot take over the link pinned at {}: {source}", path.display())]
    Link {
        /// The pin.
        path: PathBuf,
        /// Why.
        source: Box<aya::programs::links::LinkError>,
    },
    /// More rules than the kernel programs compare.
    #[error("pod {pod} has {rules} rules; at most {MAX_RULES} are possible, so join some")]
    TooManyRules {
        /// The pod.
        pod: String,
        /// Its rules.
        rules: usize,
    },
    /// More pods than the kernel maps hold.
    #[error("{MAX_PODS} pods are attached already, which is the limit of a node; detach one")]
    TooManyPods,
    /// A name that cannot be that of a directory.
    #[error(
        "name {name:?} is empty or too long (255 bytes, of which special characters take three)"
    )]
    Name {
        /// The name.
        name: String,
    },
}
