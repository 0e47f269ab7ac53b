//! A pod's slot: its index into the maps, and what they hold for it.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;

use aya::maps::{HashMap, MapData, MapError, PerCpuValues};
use tsn_common::{MAX_PODS, PodCounter, PodPolicy, StampHeader};
use tsn_port::PodMode;

use super::device::Device;
use super::heartbeat::WORKER;
use super::maps::map_error;
use super::overlay::ip_bytes;
use super::pod::Pair;
use super::{ProgramError, Programs, VethPod, netns};

impl Programs {
    pub(super) fn free_slot(&self) -> Result<u32, ProgramError> {
        let mut used = Vec::new();
        for name in self.pins.pod_names()? {
            used.extend(self.pins.pod(&name)?.slot());
        }
        (0..MAX_PODS)
            .find(|slot| !used.contains(slot))
            .ok_or(ProgramError::TooManyPods)
    }

    /// Tells the kernel programs of a pod, or what has changed of it since.
    pub(super) fn write_slot(
        &mut self,
        slot: u32,
        pod: &VethPod,
        pair: &Pair,
        secret: u64,
    ) -> Result<(), ProgramError> {
        let address = address_of(pod, &pair.inside);
        let mut policy = PodPolicy {
            secret,
            worker: WORKER,
            rule_count: pod.rules.len() as u32,
            address,
            mtu_bytes: u16::try_from(pair.inside.mtu).unwrap_or(u16::MAX),
            ..PodPolicy::default()
        };
        policy.rules[..pod.rules.len()].copy_from_slice(&pod.rules);
        let mut ips = Vec::new();
        if pod.mode == PodMode::Overlay {
            policy.overlay = 1;
            policy.router = pair.host.router()?;
            ips.clone_from(&pod.end.addresses.ips);
            if ips.is_empty() {
                ips = netns::within(&pod.end.netns, || pair.inside.ip_addresses())?;
            }
        }
        self.check_addresses(slot, &pair.inside.name, address, &ips)?;
        self.maps
            .policies
            .set(slot, policy, 0)
            .map_err(map_error("POLICIES"))?;
        self.maps
            .host_ends
            .set(slot, pair.host.index, None, 0)
            .map_err(map_error("HOST_ENDS"))?;
        self.maps
            .addresses
            .insert(address, slot, 0)
            .map_err(map_error("ADDRESSES"))?;
        let ips: Vec<_> = ips.into_iter().map(ip_bytes).collect();
        for ip in &ips {
            self.maps
                .pod_ips
                .insert(ip, slot, 0)
                .map_err(map_error("POD_IPS"))?;
        }
        self.forget_addresses(slot, &[address], &ips)
    }

    /// Refuses addresses that another pod has.
    fn check_addresses(
        &self,
        slot: u32,
        device: &str,
        address: [u8; 6],
        ips: &[IpAddr],
    ) -> Result<(), ProgramError> {
        let of_another = |of: Result<u32, MapError>| of.is_ok_and(|of| of != slot);
        let device = device.to_owned();
        if of_another(self.maps.addresses.get(&address, 0)) {
            return Err(ProgramError::AddressTaken { device, address });
        }
        let taken = |ip: &&IpAddr| of_another(self.maps.pod_ips.get(&ip_bytes(**ip), 0));
        match ips.iter().find(taken) {
            Some(&address) => Err(ProgramError::IpTaken { device, address }),
            None => Ok(()),
        }
    }

    /// From now on none of the pod's frames is stamped or steered.
    pub(super) fn clear_rules(&mut self, slot: u32) -> Result<(), ProgramError> {
        let failed = map_error("POLICIES");
        let mut policy = self.maps.policies.get(&slot, 0).map_err(&failed)?;
        policy.rule_count = 0;
        self.maps.policies.set(slot, policy, 0).map_err(failed)
    }

    pub(super) fn clear_slot(&mut self, slot: u32) -> Result<(), ProgramError> {
        self.forget_addresses(slot, &[], &[])?;
        self.remove_socket(slot)?;
        // No device has index 0; it empties the place.
        self.maps
            .host_ends
            .set(slot, 0, None, 0)
            .map_err(map_error("HOST_ENDS"))?;
        self.maps
            .policies
            .set(slot, PodPolicy::default(), 0)
            .map_err(map_error("POLICIES"))
    }

    /// Removes the pod's former addresses.
    fn forget_addresses(
        &mut self,
        slot: u32,
        addresses: &[[u8; 6]],
        ips: &[[u8; 16]],
    ) -> Result<(), ProgramError> {
        forget(&mut self.maps.addresses, slot, addresses).map_err(map_error("ADDRESSES"))?;
        forget(&mut self.maps.pod_ips, slot, ips).map_err(map_error("POD_IPS"))
    }

    pub(super) fn clear_counters(&mut self, slot: u32) -> Result<(), ProgramError> {
        let failed = map_error("COUNTERS");
        for index in slot * PodCounter::COUNT..(slot + 1) * PodCounter::COUNT {
            let cpus = self.maps.counters.get(&index, 0).map_err(&failed)?.len();
            let zeros = PerCpuValues::try_from(vec![0; cpus])
                .map_err(MapError::from)
                .map_err(&failed)?;
            self.maps.counters.set(index, zeros, 0).map_err(&failed)?;
        }
        Ok(())
    }
}

/// A pod's Ethernet address.
pub(super) fn address_of(pod: &VethPod, inside: &Device) -> [u8; 6] {
    pod.end.addresses.mac.map_or(inside.address, |mac| mac.0)
}

/// Removes what leads to a slot, but for the keys in `kept`.
fn forget<K: aya::Pod + PartialEq>(
    map: &mut HashMap<MapData, K, u32>,
    slot: u32,
    kept: &[K],
) -> Result<(), MapError> {
    let old: Vec<_> = map
        .iter()
        .flatten()
        .filter(|(key, of)| *of == slot && !kept.contains(key))
        .map(|(key, _)| key)
        .collect();
    old.iter().try_for_each(|key| map.remove(key))
}

/// A pod's new secret.
pub fn random_secret() -> Result<u64, ProgramError> {
    let mut bytes = [0; 8];
    let path = "/dev/urandom";
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|source| ProgramError::Pin {
            action: "read",
            path: path.into(),
            source,
        })?;
    Ok(StampHeader::secret(u64::from_ne_bytes(bytes)))
}
