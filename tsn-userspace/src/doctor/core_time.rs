//! A core's time since the boot, as /proc/stat counts it.

use super::Machine;

/// A tick of that accounting (`USER_HZ` is 100 on every architecture that matters here).
const TICK_NS: u64 = 10_000_000;

/// What a core's line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreTime {
    /// Not idle, and not stolen, in nanoseconds.
    pub busy_ns: u64,
    /// Taken away by the hypervisor, in nanoseconds.
    pub stolen_ns: u64,
}

impl CoreTime {
    /// Of a core; `None` if it has no line.
    pub fn read(machine: &Machine, cpu: usize) -> Option<Self> {
        let stat = machine.text("/proc/stat")?;
        let label = format!("cpu{cpu}");
        let fields = stat.lines().find_map(|line| {
            let mut fields = line.split_whitespace();
            (fields.next()? == label).then_some(fields)
        })?;
        let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
        // Guests' time, which follows, is part of the user's.
        let &[user, nice, system, _idle, _iowait, irq, softirq, stolen, ..] = &ticks[..] else {
            return None;
        };
        Some(Self {
            busy_ns: (user + nice + system + irq + softirq).saturating_mul(TICK_NS),
            stolen_ns: stolen.saturating_mul(TICK_NS),
        })
    }
}
