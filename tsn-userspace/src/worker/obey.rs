//! What the worker does when the control plane asks.

use std::time::Instant;

use tsn_core::{GateStates, TaiTime, TrafficClass};
use tsn_port::Port;

use super::burst::Burst;
use super::command::{ClockAction, Command, GateChange, Refusal, Retired};
use super::lead::Lead;
use super::pod::{PodPlace, PodPort};
use super::snapshot::{GatesSnapshot, PodSnapshot, Snapshot, UplinkSnapshot};
use super::{MAX_PLACES, Worker, margins};
use crate::sources::write_within_capacity;

impl<P: Port> Worker<P> {
    pub(super) fn obey(&mut self, command: Command<P>, now: TaiTime) {
        // An answer that nobody waits for any more is no concern of the worker's.
        match command {
            Command::AddPod(pod, answer) if answer.is_closed() => {
                // The control plane has given up, and detached the pod.
                self.retire(Retired::Pod(*pod));
            }
            Command::AddPod(pod, answer) => {
                let _ = answer.send(self.add_pod(*pod));
            }
            Command::RemovePod(index, answer) => {
                let _ = answer.send(self.remove_pod(index, now));
            }
            // The control plane has given up, and told that nothing has changed.
            Command::ChangeGates(_, answer) if answer.is_closed() => {}
            Command::ChangeGates(change, answer) => {
                let _ = answer.send(self.change_gates(change, now));
            }
            Command::SetLinkSpeed(speed) => self.scheduler.set_link_speed(speed),
            Command::SetCarrier(carrier) => self.set_carrier(carrier),
            Command::SetClockAction(action) => self.set_clock_action(action, now),
            Command::Capture(tap) => {
                if let Some(over) = std::mem::replace(&mut self.capture, tap) {
                    self.retire(Retired::Capture(over));
                }
            }
            Command::SetNextHops(next_hops, answer) => {
                let replaced = self.forwarder.replace(next_hops);
                self.retire(Retired::NextHops(replaced));
                let _ = answer.send(());
            }
            Command::Snapshot(mut snapshot, answer) => {
                self.fill(&mut snapshot, now);
                let _ = answer.send(snapshot);
            }
            Command::Drain(limit, answer) => {
                self.draining = Some((Instant::now() + limit, answer));
                self.delivery.from_uplink = false;
                self.watch();
            }
        }
    }

    fn set_carrier(&mut self, carrier: bool) {
        self.carrier = carrier;
        if carrier && self.lead.observations() == 0 && self.lead_probes > 0 {
            // The link was down at the start; now there is a way to measure.
            self.lead = Lead::measure(&mut self.uplink, self.lead_probes);
            self.uplink_state.lead_probes = self.lead.observations().into();
            // Without it no frame would ever join another in a wake-up.
            self.burst = Burst::new(self.lead.get());
            self.scheduler
                .set_gate_margins(margins(self.lead, self.stalls.threshold()));
        }
    }

    fn add_pod(&mut self, pod: PodPort<P>) -> Result<usize, Refusal> {
        let free = self.places.iter().position(PodPlace::is_free);
        let index = free.unwrap_or(self.places.len());
        if index == MAX_PLACES {
            self.retire(Retired::Pod(pod));
            return Err(Refusal::NoPlace(MAX_PLACES));
        }
        if let Some(station) = pod.port().station()
            && !self.delivery.stations.insert(station, index)
        {
            self.retire(Retired::Pod(pod));
            return Err(Refusal::StationTaken(station));
        }
        if free.is_some() {
            self.places[index] = PodPlace::new(pod);
        } else {
            self.places.push(PodPlace::new(pod));
        }
        self.watch();
        Ok(index)
    }

    fn remove_pod(&mut self, index: usize, now: TaiTime) -> Result<(), Refusal> {
        if index >= self.places.len() {
            return Err(Refusal::NoPod(index));
        }
        // What had arrived before the kernel programs were detached is not lost.
        self.receive_rest(index, now);
        let pod = self.places[index].pod.take().ok_or(Refusal::NoPod(index))?;
        self.delivery.stations.remove(index);
        self.watch();
        self.retire(Retired::Pod(pod));
        Ok(())
    }

    pub(super) fn retire(&self, retired: Retired<P>) {
        // Freed here only if the control plane has not taken the last ones for long.
        let _ = self.retired.try_send(retired);
    }

    /// Lets arriving frames end the worker's sleep, as far as their ports can.
    pub(super) fn watch(&mut self) {
        let uplink = self.delivery.from_uplink.then(|| self.uplink.readable());
        let pods = self.places.iter().filter_map(|place| place.pod.as_ref());
        let ports = || {
            let pods = pods.clone().map(|pod| pod.port().readable());
            pods.chain(uplink)
        };
        self.sleeper.watch(ports().flatten());
        self.has_polled_ports = ports().any(|descriptor| descriptor.is_none());
    }

    fn change_gates(&mut self, change: GateChange, now: TaiTime) -> Option<tsn_core::ConfigChange> {
        self.gates_as_configured = (change.admin_gate_states, change.enabled);
        self.apply_gate_states(now);
        let on_wire = self.on_wire(now);
        change
            .schedule
            .map(|schedule| self.scheduler.configure(on_wire, schedule))
    }

    fn set_clock_action(&mut self, action: ClockAction, now: TaiTime) {
        self.clocks.tai_minus_utc_ns = action.tai_minus_utc_ns;
        self.clock_action = action;
        self.apply_gate_states(now);
    }

    fn apply_gate_states(&mut self, now: TaiTime) {
        let (states, enabled) = if self.clock_action.open_gates {
            (GateStates::ALL_OPEN, false)
        } else {
            self.gates_as_configured
        };
        self.scheduler.set_admin_gate_states(states);
        if self.scheduler.gates().is_enabled() != enabled {
            self.scheduler.set_enabled(self.on_wire(now), enabled);
        }
    }

    fn fill(&mut self, snapshot: &mut Snapshot, now: TaiTime) {
        let gates = self.scheduler.gates();
        snapshot.at = now;
        snapshot.lead = self.lead.get();
        snapshot.lead_observations = match self.device_holds {
            true => 0,
            false => self.lead.observations(),
        };
        snapshot.gates = GatesSnapshot {
            states: gates.states(now),
            config_change_time: gates.config_change_time(),
            config_change_error: gates.config_change_error(),
            config_pending: gates.config_pending(now),
        };
        snapshot.classes = TrafficClass::ALL.map(|class| *self.scheduler.counters(class));
        snapshot.uplink = UplinkSnapshot {
            port: self.uplink.counters(),
            levels: self.uplink.levels(),
            up: self.carrier && self.uplink_state.up,
            delivery: self.delivery.counters(),
            ..self.uplink_state
        };
        if let Some(error) = &self.uplink_failure {
            write_within_capacity(&mut snapshot.uplink_failure, error);
        }
        snapshot.stalls = self.stalls.totals();
        snapshot.recent_stalls.clear();
        self.stalls.copy_recent(&mut snapshot.recent_stalls);
        snapshot.sleeps = self.sleeps;
        snapshot.clock_steps = self.clock_steps;
        snapshot.pods.clear();
        let room = snapshot.pods.capacity();
        let pods = self
            .places
            .iter_mut()
            .enumerate()
            .filter_map(|(index, place)| {
                let waiting = place.waiting();
                let pod = place.pod.as_mut()?;
                let levels = pod.levels();
                let (port, drops, streams) = pod.counters();
                let delivery = pod.delivery();
                let mut copy = PodSnapshot {
                    place: index as u32,
                    port,
                    levels,
                    drops,
                    delivery,
                    waiting,
                    ..PodSnapshot::default()
                };
                copy.streams
                    .iter_mut()
                    .zip(streams)
                    .for_each(|(to, from)| *to = *from);
                copy.worst_last_minute_ns
                    .iter_mut()
                    .zip(pod.worst_last_minute_ns(now))
                    .for_each(|(to, from)| *to = from);
                Some(copy)
            });
        snapshot.pods.extend(pods.take(room));
    }
}

#[cfg(test)]
mod tests {
    use tsn_port::loopback;

    use super::*;
    use crate::clock::tai_now;
    use crate::worker::bed::Bed;

    #[test]
    fn a_link_that_comes_up_later_is_measured_as_one_that_is_up_at_the_start() {
        let (uplink, _far) = loopback::pair(64);
        let mut bed = Bed::new(uplink, "");
        let worker = &mut bed.worker;
        worker.lead = Lead::measure(&mut worker.uplink, 0);
        worker.burst = Burst::new(worker.lead.get());
        worker.obey(Command::SetCarrier(true), tai_now());
        assert!(worker.lead.observations() > 0);
        assert_eq!(worker.burst.each_further.ns(), worker.lead.get().as_nanos());
    }
}
