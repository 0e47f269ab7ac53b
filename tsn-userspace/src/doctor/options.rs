//! The options that the kernel was built with.

use std::io::Read;

use super::Machine;

/// The kernel's build configuration, as `CONFIG_X=y` lines.
pub struct KernelOptions(String);

impl KernelOptions {
    /// From /proc/config.gz, or /boot; `None` if neither has it.
    pub fn read(machine: &Machine) -> Option<Self> {
        let compressed = machine.bytes("/proc/config.gz").and_then(|bytes| {
            let mut text = String::new();
            flate2::read::GzDecoder::new(&bytes[..])
                .read_to_string(&mut text)
                .ok()?;
            Some(text)
        });
        let on_disk = || {
            let release = machine.text("/proc/sys/kernel/osrelease")?;
            machine.text(&format!("/boot/config-{release}"))
        };
        compressed.or_else(on_disk).map(Self)
    }

    /// Those of `names` (without `CONFIG_`) that are neither built in nor a module, as text.
    pub fn missing(&self, names: &[&str]) -> String {
        let missing: Vec<String> = names
            .iter()
            .filter(|name| !matches!(self.value(name), Some("y" | "m")))
            .map(|name| format!("CONFIG_{name}"))
            .collect();
        missing.join(", ")
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| {
            line.strip_prefix("CONFIG_")?
                .strip_prefix(name)?
                .strip_prefix('=')
        })
    }
}
