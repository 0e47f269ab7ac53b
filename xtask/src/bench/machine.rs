//! What the figures were measured on.

use std::{fs, process::Command};

use serde::Serialize;

/// Facts about the machine and the build.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Name and value.
    pub facts: Vec<(&'static str, String)>,
}

impl Machine {
    /// What can be found out; what cannot is left out.
    pub fn here() -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cores = processors.matches("processor\t").count();
        let model = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map(|model| model.trim_start_matches([' ', '\t', ':']));
        let is_virtual = processors.contains(" hypervisor");
        let processor = model.map(|model| {
            let kind = if is_virtual {
                ", of a virtual machine"
            } else {
                ""
            };
            format!("{cores} cores of {model}{kind}")
        });
        let isolated = read("/sys/devices/system/cpu/isolated").map(|isolated| {
            if isolated.is_empty() {
                "none".to_owned()
            } else {
                isolated
            }
        });
        let facts = [
            ("Processor", processor),
            ("Isolated cores", isolated),
            ("Kernel", kernel()),
            ("Load average at the start", read("/proc/loadavg")),
            (
                "Commit",
                output("git", &["describe", "--always", "--dirty"]),
            ),
            ("Compiler", output("rustc", &["--version"])),
            ("Time", output("date", &["--utc", "+%F %R UTC"])),
        ];
        Self {
            facts: facts
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        }
    }
}

/// Its version without what the one who built it has added, and whether it is made for real time.
fn kernel() -> Option<String> {
    let release = read("/proc/sys/kernel/osrelease")?;
    let version = release.split('-').next().unwrap_or(&release);
    let real_time = match read("/sys/kernel/realtime").as_deref() {
        Some("1") => " PREEMPT_RT",
        _ => "",
    };
    Some(format!("Linux {version}{real_time}"))
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
