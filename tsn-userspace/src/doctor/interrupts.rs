//! Devices that interrupt the worker's core.

use super::{Code, Findings, Machine};

/// How many are named.
const NAMED: usize = 3;

struct Interrupt {
    count: u64,
    device: String,
    number: String,
}

pub(super) fn examine(machine: &Machine, cpu: usize, findings: &mut Findings) {
    let Some(here) = interrupts(machine, cpu) else {
        return;
    };
    if here.is_empty() {
        findings.fine(
            Code::CpuInterrupts,
            format!("no device interrupts core {cpu}"),
        );
        return;
    }
    let most: Vec<String> = here
        .iter()
        .take(NAMED)
        .map(
            |Interrupt {
                 count,
                 device,
                 number,
             }| { format!("{device} (interrupt {number}, {count} times)") },
        )
        .collect();
    findings.bad(
        Code::CpuInterrupts,
        format!("devices interrupt core {cpu}: {}", most.join(", ")),
        "each takes the core from the worker, and so does what it wakes up there",
        mend(machine, cpu, &here),
    );
}

/// Those that go to the core, the most frequent first; `None` if the table does not have the core.
fn interrupts(machine: &Machine, cpu: usize) -> Option<Vec<Interrupt>> {
    let table = machine.text("/proc/interrupts")?;
    let mut lines = table.lines();
    let cores = lines.next().unwrap_or_default();
    let label = format!("CPU{cpu}");
    let column = cores.split_whitespace().position(|core| core == label)?;
    let columns = cores.split_whitespace().count();
    let mut here: Vec<Interrupt> = lines
        .filter_map(|line| {
            let (number, rest) = line.trim().split_once(':')?;
            // Those with a name are the kernel's own, such as the timer's.
            let _: u32 = number.parse().ok()?;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            let count: u64 = fields.get(column)?.parse().ok()?;
            let device = fields.get(columns..)?.last()?.to_string();
            let goes_here = machine
                .cpus(&format!("/proc/irq/{number}/effective_affinity_list"))
                .contains(&cpu);
            (count > 0 && goes_here).then(|| Interrupt {
                count,
                device,
                number: number.to_owned(),
            })
        })
        .collect();
    here.sort_by_key(|found| std::cmp::Reverse(found.count));
    Some(here)
}

/// The kernel spreads a managed interrupt itself, and lets nobody write where it goes.
fn mend(machine: &Machine, cpu: usize, here: &[Interrupt]) -> String {
    let affinity = |number: &str| format!("/proc/irq/{number}/smp_affinity_list");
    let (free, managed): (Vec<&str>, Vec<&str>) = here
        .iter()
        .map(|found| &*found.number)
        .partition(|number| machine.is_writable(&affinity(number)));
    let mut ways = Vec::new();
    if let Some(first) = free.first() {
        let each = match free.len() {
            1 => String::new(),
            _ => format!(" (likewise {})", free[1..].join(", ")),
        };
        ways.push(format!(
            "echo OTHER-CORES > {}{each}; irqaffinity= at boot; and keep irqbalance off the core \
             (IRQBALANCE_BANNED_CPULIST={cpu})",
            affinity(first)
        ));
    }
    if !managed.is_empty() {
        ways.push(format!(
            "the kernel itself places {}: boot with isolcpus=managed_irq,domain,{cpu}, or give the device fewer queues \
             (ethtool -L DEVICE combined N)",
            managed.join(", ")
        ));
    }
    ways.join("; ")
}
