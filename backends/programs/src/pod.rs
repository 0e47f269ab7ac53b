//! Attaching and detaching a pod.

use std::path::Path;
use std::time::Duration;

use aya::Ebpf;
use aya::programs::XdpMode;
use tsn_common::{MAX_RULES, STAMP_HEADER_BYTES};
use tsn_port::MacAddress;

use super::device::Device;
use super::maps::{Instance, load, map_error};
use super::pins::{Before, PodPins, attached_to, detach};
use super::slots::{address_of, random_secret};
use super::stamp_hook::{self, StampHook};
use super::{AttachedPod, ProgramError, Programs, VethPod, attach, namespace_id, netns};

/// How long a frame may lie in a veth's queue, between the stamp program and the redirect program.
const DRAIN: Duration = Duration::from_millis(10);

/// Both ends of the pod's veth pair.
pub(super) struct Pair {
    /// The pod's end.
    pub inside: Device,
    /// The host end.
    pub host: Device,
}

impl Programs {
    /// Steers a pod's time-sensitive frames: finds the host end of its veth pair, makes room for the stamp in its MTU,
    /// switches GRO on at the pod's end, and attaches the redirect and then the stamp program.
    ///
    /// A pod that an earlier run left attached keeps its links, slot and secret; its rules are replaced, and its
    /// programs where this build has others. Its ends are found also if they were renamed since. Where the pod was made anew under the same name, what was pinned for the
    /// old one is removed first.
    ///
    /// # Errors
    ///
    /// When the pod or its interface is gone, is no veth, or another XDP program is attached to its host end. Nothing
    /// is left attached then, unless it was before.
    pub fn attach_pod(&mut self, pod: &VethPod) -> Result<AttachedPod, ProgramError> {
        if pod.rules.len() > MAX_RULES {
            return Err(ProgramError::TooManyRules {
                pod: pod.name.clone(),
                rules: pod.rules.len(),
            });
        }
        let pins = self.pins.pod(&pod.name)?;
        let pair = find_pair(pod, &pins)?;
        let queues = pair.host.receive_queues()?;
        if queues > 1 {
            return Err(ProgramError::ReceiveQueues {
                device: pair.host.name,
                queues,
            });
        }
        let adopted = attached_to(&pins.redirect()) == Some(pair.host.index)
            && stamp_hook::is_attached_to(&pins, pair.inside.index);
        let adopted_slot = pins.slot().filter(|_| adopted);
        let slot = match adopted_slot {
            Some(slot) => {
                self.adopt(pod, &pins, &pair, slot)?;
                slot
            }
            None => {
                self.detach_pod(&pod.name)?;
                // Detaching what was half attached has put the MTU back, and has forgotten the indices of renamed ends.
                let pair = pair_of_index(&pod.end.netns, pair.inside.index)?;
                let slot = self.free_slot()?;
                if let Err(error) = self.attach_anew(pod, &pins, &pair, slot) {
                    // Tidying up as far as possible; the first error is the one to tell.
                    let _ = self.detach_pod(&pod.name);
                    return Err(error);
                }
                slot
            }
        };
        Ok(AttachedPod {
            slot,
            host_interface: pair.host.name,
            host_ifindex: pair.host.index,
            mtu: pair.inside.mtu,
            address: MacAddress(address_of(pod, &pair.inside)),
            adopted: adopted_slot.is_some(),
        })
    }

    /// Whether both programs of a pod are attached to their devices, and the host end is in this network namespace:
    /// whatever names the devices have by now.
    pub fn is_attached(&self, name: &str) -> bool {
        let Ok(pins) = self.pins.pod(name) else {
            return false;
        };
        pins.before().is_some_and(|before| {
            // A device that is moved to another namespace keeps its program.
            let is_here = Device::by_index(before.host_ifindex).is_ok();
            is_here
                && attached_to(&pins.redirect()) == Some(before.host_ifindex)
                && stamp_hook::attached(&pins).is_some_and(|link| link.ifindex.is_some())
        })
    }

    /// Gives a pod's frames back to the kernel path: detaches the stamp program, then the redirect program, and puts
    /// back the host end's MTU and the GRO of the pod's end. A pod, veth or namespace that is gone is no error. What was
    /// interrupted half way is brought to its end.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to remove a pin or to write a map.
    pub fn detach_pod(&mut self, name: &str) -> Result<(), ProgramError> {
        let pins = self.pins.pod(name)?;
        if !pins.exist() {
            return Ok(());
        }
        detach(&pins.stamp())?;
        self.detach_filter(&pins)?;
        let redirected = attached_to(&pins.redirect());
        if redirected.is_some() {
            // A stamped frame must not meet a host end that does not take the stamp off.
            std::thread::sleep(DRAIN);
        }
        detach(&pins.redirect())?;
        // Before GRO: what the uplink's program redirects to the pod would be lost without it.
        if let Some(slot) = pins.slot() {
            self.clear_slot(slot)?;
        }
        match pins.before() {
            Some(before) => put_back(&before),
            // A version that noted less.
            None => {
                if let (Some(host), Some(mtu)) = (redirected, pins.host_mtu()) {
                    put_back_mtu(host, mtu, |_| true);
                }
            }
        }
        pins.remove()
    }

    /// Removes the stamp program's filter, where it is attached by one.
    fn detach_filter(&mut self, pins: &PodPins) -> Result<(), ProgramError> {
        let Some(before) = pins.before().filter(|before| before.clsact.is_some()) else {
            return Ok(());
        };
        // It may be where nobody finds it any more.
        if let Some(slot) = pins.slot() {
            self.clear_rules(slot)?;
        }
        if let Err(error) = stamp_hook::remove_filter(&before) {
            tracing::warn!(%error, "the stamp program of a pod stays, and does nothing");
        }
        Ok(())
    }

    fn adopt(
        &mut self,
        pod: &VethPod,
        pins: &PodPins,
        pair: &Pair,
        slot: u32,
    ) -> Result<(), ProgramError> {
        let policy = self
            .maps
            .policies
            .get(&slot, 0)
            .map_err(map_error("POLICIES"))?;
        prepare(pod, pair)?;
        self.write_slot(slot, pod, pair, policy.secret)?;
        if pins.object() == Some(self.object) {
            return Ok(());
        }
        let mut object = self.load(slot, policy.secret)?;
        pins.set_object(None)?;
        attach::replace_xdp(attach::load_xdp(&mut object, "redirect")?, &pins.redirect())?;
        let stamp = attach::load_classifier(&mut object, "stamp")?;
        netns::within(&pod.end.netns, || {
            self.stamp_hook.replace(stamp, &pair.inside, pins)
        })?;
        pins.set_object(Some(self.object))
    }

    fn attach_anew(
        &mut self,
        pod: &VethPod,
        pins: &PodPins,
        pair: &Pair,
        slot: u32,
    ) -> Result<(), ProgramError> {
        // From here on `detach_pod` knows what to take back.
        pins.create(slot, &look(pod, pair, self.stamp_hook)?)?;
        let secret = random_secret()?;
        self.write_slot(slot, pod, pair, secret)?;
        self.clear_counters(slot)?;
        let mut object = self.load(slot, secret)?;
        prepare(pod, pair)?;
        let redirect = attach::load_xdp(&mut object, "redirect")?;
        attach::attach_xdp(
            redirect,
            "redirect",
            &pair.host,
            XdpMode::Driver,
            &pins.redirect(),
        )?;
        let stamp = attach::load_classifier(&mut object, "stamp")?;
        netns::within(&pod.end.netns, || {
            self.stamp_hook.attach(stamp, &pair.inside, pins)
        })?;
        pins.set_object(Some(self.object))
    }

    fn load(&self, slot: u32, secret: u64) -> Result<Ebpf, ProgramError> {
        let instance = Instance {
            slot,
            secret,
            ..Instance::default()
        };
        load(&self.pins.maps(), instance)
    }
}

/// Finds both ends, and makes sure that they are each other's. An end inside that is no longer found by its name is the
/// one with the index that is pinned under that name, if that is still the other end of the same pair.
fn find_pair(pod: &VethPod, pins: &PodPins) -> Result<Pair, ProgramError> {
    let by_name = netns::within(&pod.end.netns, || Device::by_name(&pod.end.interface));
    let no_such_name = match by_name {
        Ok(inside) => return pair_of(inside, &pod.end.netns),
        Err(error) => error,
    };
    let renamed = pins
        .before()
        .filter(|before| before.interface == pod.end.interface)
        .and_then(|before| pinned_pair(&pod.end.netns, &before));
    renamed.ok_or(no_such_name)
}

/// The pair with the pinned indices, if it is in that namespace.
pub(super) fn pinned_pair(netns: &Path, before: &Before) -> Option<Pair> {
    let pair = pair_of_index(netns, before.inside_ifindex).ok()?;
    (pair.host.index == before.host_ifindex).then_some(pair)
}

fn pair_of_index(netns: &Path, inside_ifindex: u32) -> Result<Pair, ProgramError> {
    let inside = netns::within(netns, || Device::by_index(inside_ifindex))?;
    pair_of(inside, netns)
}

/// Indices alone prove nothing: a pod that may make devices can have a pair inside its own namespace with those of
/// another pod's pair. So both ends must also be where they are to be.
fn pair_of(inside: Device, netns: &Path) -> Result<Pair, ProgramError> {
    let peer = match inside.peer {
        Some(peer) if inside.kind == "veth" => peer,
        _ => {
            return Err(ProgramError::NotVeth {
                device: inside.name,
                kind: inside.kind,
            });
        }
    };
    // Not before the host end was read, which gives the pod's namespace a number.
    let is_of_pod = |host: &Device| {
        let namespace = namespace_id::of(netns).ok().flatten();
        namespace.is_some() && host.peer_namespace == namespace
    };
    match Device::by_index(peer) {
        Ok(host)
            if host.kind == "veth"
                && host.peer == Some(inside.index)
                && inside.peer_namespace.is_some()
                && is_of_pod(&host) =>
        {
            Ok(Pair { inside, host })
        }
        _ => Err(ProgramError::HostEndElsewhere {
            device: inside.name,
            host_ifindex: peer,
        }),
    }
}

/// What there is to put back.
fn look(pod: &VethPod, pair: &Pair, hook: StampHook) -> Result<Before, ProgramError> {
    let (gro, clsact) = netns::within(&pod.end.netns, || {
        Ok((pair.inside.gro()?, hook.look(&pair.inside)?))
    })?;
    Ok(Before {
        netns: pod.end.netns.clone(),
        interface: pod.end.interface.clone(),
        inside_ifindex: pair.inside.index,
        host_ifindex: pair.host.index,
        host_mtu: pair.host.mtu,
        gro,
        clsact,
    })
}

/// Puts back what [`prepare`] has changed, at what are still the same devices.
fn put_back(before: &Before) {
    put_back_mtu(before.host_ifindex, before.host_mtu, |host| {
        host.peer == Some(before.inside_ifindex)
    });
    if !before.gro
        && let Some(pair) = pinned_pair(&before.netns, before)
        && let Err(error) = netns::within(&before.netns, || pair.inside.set_gro(false))
    {
        tracing::warn!(%error, "GRO of a pod's end is not put back");
    }
}

/// Lowers the MTU of a host end, unless somebody else has done so, or another device has its index by now.
fn put_back_mtu(ifindex: u32, mtu: u32, is_same: impl Fn(&Device) -> bool) {
    let host = Device::by_index(ifindex).ok();
    if let Some(host) = host.filter(|host| host.kind == "veth" && host.mtu > mtu && is_same(host))
        && let Err(error) = host.set_mtu(mtu)
    {
        tracing::warn!(%error, "the MTU of a host end is not put back");
    }
}

/// Makes room for the stamp, without which full frames vanish, and lets the pod's end take redirected frames.
fn prepare(pod: &VethPod, pair: &Pair) -> Result<(), ProgramError> {
    let needed = pair.inside.mtu + STAMP_HEADER_BYTES as u32;
    if pair.host.mtu < needed {
        let bridge = pair.host.bridge()?;
        pair.host.set_mtu(needed)?;
        if let Some(bridge) = bridge {
            hold_mtu(&bridge)?;
        }
    }
    netns::within(&pod.end.netns, || pair.inside.set_gro(true))
}

/// Keeps a bridge from following the MTU of its ports, as it does until it is told one of its own: once all of them have
/// room for the stamp, its own packets of that length would be lost. It takes no note of the MTU that it has already.
fn hold_mtu(bridge: &Device) -> Result<(), ProgramError> {
    bridge.set_mtu(bridge.mtu + STAMP_HEADER_BYTES as u32)?;
    bridge.set_mtu(bridge.mtu)
}
