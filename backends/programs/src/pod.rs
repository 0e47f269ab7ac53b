//! Attaching and detaching a pod.

use std::time::Duration;

use aya::Ebpf;
use aya::programs::XdpMode;
use tsn_common::{MAX_RULES, STAMP_HEADER_BYTES};
use tsn_port::MacAddress;

use super::device::Device;
use super::maps::{load, map_error};
use super::pins::{PodPins, attached_to, detach};
use super::slots::random_secret;
use super::{AttachedPod, ProgramError, Programs, VethPod, attach, netns};

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
    /// programs where this build has others. Where the pod was made anew under the same name, what was pinned for the
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
        let pair = find_pair(pod)?;
        let queues = pair.host.receive_queues()?;
        if queues > 1 {
            return Err(ProgramError::ReceiveQueues {
                device: pair.host.name,
                queues,
            });
        }
        let adopted = attached_to(&pins.redirect()) == Some(pair.host.index)
            && attached_to(&pins.stamp()) == Some(pair.inside.index);
        let adopted_slot = pins.slot().filter(|_| adopted);
        let slot = match adopted_slot {
            Some(slot) => {
                self.adopt(pod, &pins, &pair, slot)?;
                slot
            }
            None => {
                self.detach_pod(&pod.name)?;
                // Detaching what was half attached has put the MTU back.
                let pair = find_pair(pod)?;
                let slot = self.free_slot()?;
                if let Err(error) = self.attach_anew(pod, &pins, &pair, slot) {
                    // Tidying up as far as possible; the first error is the one to tell.
                    let _ = self.detach_pod(&pod.name);
                    let _ = pair.host.set_mtu(pair.host.mtu);
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
            address: MacAddress(pair.inside.address),
            adopted: adopted_slot.is_some(),
        })
    }

    /// Gives a pod's frames back to the kernel path: detaches the stamp program, then the redirect program, and puts
    /// the host end's MTU back. A pod, veth or namespace that is gone is no error. GRO stays on.
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
        let host_ifindex = attached_to(&pins.redirect());
        if host_ifindex.is_some() {
            // A stamped frame must not meet a host end that does not take the stamp off.
            std::thread::sleep(DRAIN);
        }
        detach(&pins.redirect())?;
        if let Some((index, mtu)) = host_ifindex.zip(pins.host_mtu())
            && let Ok(host) = Device::by_index(index)
        {
            // Fails when the device goes away right now, and then it does not matter.
            let _ = host.set_mtu(mtu);
        }
        if let Some(slot) = pins.slot() {
            self.clear_slot(slot)?;
        }
        pins.remove()
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
        self.write_slot(slot, pair, policy.secret, &pod.rules)?;
        if pins.object() == Some(self.object) {
            return Ok(());
        }
        let mut object = self.load(slot)?;
        pins.set_object(None)?;
        attach::replace_xdp(attach::load_xdp(&mut object, "redirect")?, &pins.redirect())?;
        attach::replace_tcx(attach::load_tcx(&mut object, "stamp")?, &pins.stamp())?;
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
        pins.create(slot, pair.host.mtu)?;
        self.write_slot(slot, pair, random_secret()?, &pod.rules)?;
        self.clear_counters(slot)?;
        let mut object = self.load(slot)?;
        prepare(pod, pair)?;
        let redirect = attach::load_xdp(&mut object, "redirect")?;
        attach::attach_xdp(
            redirect,
            "redirect",
            &pair.host,
            XdpMode::Driver,
            &pins.redirect(),
        )?;
        let stamp = attach::load_tcx(&mut object, "stamp")?;
        netns::within(&pod.end.netns, || {
            attach::attach_tcx(stamp, "stamp", &pair.inside, &pins.stamp())
        })?;
        pins.set_object(Some(self.object))
    }

    fn load(&self, slot: u32) -> Result<Ebpf, ProgramError> {
        load(&self.pins.maps(), slot)
    }
}

/// Finds both ends, and makes sure that they are each other's.
fn find_pair(pod: &VethPod) -> Result<Pair, ProgramError> {
    let inside = netns::within(&pod.end.netns, || Device::by_name(&pod.end.interface))?;
    let peer = match inside.peer {
        Some(peer) if inside.kind == "veth" => peer,
        _ => {
            return Err(ProgramError::NotVeth {
                device: inside.name,
                kind: inside.kind,
            });
        }
    };
    match Device::by_index(peer) {
        Ok(host) if host.kind == "veth" && host.peer == Some(inside.index) => {
            Ok(Pair { inside, host })
        }
        _ => Err(ProgramError::HostEndElsewhere {
            device: inside.name,
            host_ifindex: peer,
        }),
    }
}

/// Makes room for the stamp, without which full frames vanish, and lets the pod's end take redirected frames.
fn prepare(pod: &VethPod, pair: &Pair) -> Result<(), ProgramError> {
    let needed = pair.inside.mtu + STAMP_HEADER_BYTES as u32;
    if pair.host.mtu < needed {
        pair.host.set_mtu(needed)?;
    }
    netns::within(&pod.end.netns, || pair.inside.enable_gro())
}
