//! A pod's slot: its index into the maps, and what they hold for it.

use std::fs::File;
use std::io::Read;

use aya::maps::{MapError, PerCpuValues};
use tsn_common::{MAX_PODS, PodCounter, PodPolicy, Rule, StampHeader};

use super::heartbeat::WORKER;
use super::maps::map_error;
use super::pod::Pair;
use super::{ProgramError, Programs};

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

    pub(super) fn write_slot(
        &mut self,
        slot: u32,
        pair: &Pair,
        secret: u64,
        rules: &[Rule],
    ) -> Result<(), ProgramError> {
        let mut policy = PodPolicy {
            secret,
            worker: WORKER,
            rule_count: rules.len() as u32,
            ..PodPolicy::default()
        };
        policy.rules[..rules.len()].copy_from_slice(rules);
        let address = pair.inside.address;
        if self
            .maps
            .addresses
            .get(&address, 0)
            .is_ok_and(|of| of != slot)
        {
            return Err(ProgramError::AddressTaken {
                device: pair.inside.name.clone(),
                address,
            });
        }
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
        self.forget_addresses(slot, Some(address))
    }

    pub(super) fn clear_slot(&mut self, slot: u32) -> Result<(), ProgramError> {
        self.forget_addresses(slot, None)?;
        self.remove_socket(slot)?;
        self.maps
            .policies
            .set(slot, PodPolicy::default(), 0)
            .map_err(map_error("POLICIES"))
    }

    /// Removes the pod's former addresses.
    fn forget_addresses(&mut self, slot: u32, but: Option<[u8; 6]>) -> Result<(), ProgramError> {
        let addresses = &mut self.maps.addresses;
        let old: Vec<_> = addresses
            .iter()
            .flatten()
            .filter(|(address, of)| *of == slot && Some(*address) != but)
            .map(|(address, _)| address)
            .collect();
        old.iter()
            .try_for_each(|address| addresses.remove(address))
            .map_err(map_error("ADDRESSES"))
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
