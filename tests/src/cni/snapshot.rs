//! What a node has, to tell whether a pod that came and went has left something over.

use std::{
    collections::BTreeMap,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    daemon::{Daemon, Home},
    namespace::Namespace,
    wait::wait_for,
};

/// The kernel and the daemon finish some of it after the plugins have ended.
const BOUND: Duration = Duration::from_secs(20);

/// Of iproute2, with JSON as output. Neighbours that the node has learnt stay until they are old, as those of any pod
/// that was there; so only static ones count.
const TABLES: [&str; 6] = [
    "ip -json link",
    "ip -json address",
    "ip -4 -json route show table all",
    "ip -6 -json route show table all",
    "ip -json neighbour show nud permanent",
    "bridge -json fdb show",
];

/// Where things of a node are looked for.
#[derive(Debug)]
pub struct Places<'a> {
    /// Its network namespace.
    pub node: &'a Namespace,
    /// What its daemon pins and stores, and the plugin's records.
    pub home: &'a Home,
    /// Its daemon, while one runs.
    pub daemon: Option<&'a Daemon>,
    /// host-local's directory, in which a lease is a file that has an address as its name.
    pub leases: PathBuf,
}

/// Everything that a pod may leave over, as lines that tell where they were found, and how often.
///
/// A kernel program, map or link lives as long as it is pinned, or a process has it open, or another of the three lives;
/// so the pins and the daemon's descriptors tell them all.
#[derive(Debug, Default, PartialEq)]
pub struct Snapshot(BTreeMap<String, u32>);

impl Snapshot {
    /// As it is now.
    ///
    /// # Errors
    ///
    /// When something cannot be looked at.
    pub fn of(places: &Places<'_>) -> Result<Self> {
        let mut found = Self::default();
        for table in TABLES {
            let rows = output(places.node, table)?;
            let mut rows: Vec<Value> = serde_json::from_str(&rows).context(table)?;
            rows.iter_mut().for_each(remove_program_ids);
            found.add(table, rows.iter().map(Value::to_string));
        }
        for program in ["iptables-save", "ip6tables-save"] {
            let rules = output(places.node, program)?;
            let rules = rules.lines().filter(|line| !line.starts_with('#'));
            // A chain's packets and bytes are behind its name and policy.
            let rules = rules.map(|line| line.split(" [").next().unwrap_or_default().to_owned());
            found.add(program, rules);
        }
        let is_lease = |path: &String| path.rsplit('/').next().is_some_and(is_address);
        found.add("lease", files(&places.leases)?.into_iter().filter(is_lease));
        found.add("record", files(&places.home.record_directory())?);
        found.add("pin", files(&places.home.pin_directory())?);
        for file in files(&places.home.file("state"))? {
            found.add(&file, [fs::read_to_string(&file)?]);
        }
        if let Some(daemon) = places.daemon {
            found.add("tsnd has open", descriptors(daemon)?);
            let pods = daemon.control.get("/v1/pods")?;
            let pods = pods.as_array().into_iter().flatten();
            found.add(
                "tsnd serves",
                pods.map(|pod| pod["pod"]["name"].to_string()),
            );
        }
        Ok(found)
    }

    /// Waits until the node is again as it was.
    ///
    /// # Errors
    ///
    /// With each thing that is too much (`+`) or missing (`-`), when it does not become so.
    pub fn wait_again(&self, places: &Places<'_>) -> Result<()> {
        let mut differences = Vec::new();
        let same = wait_for("the node to be as before", BOUND, || {
            differences = match Self::of(places) {
                Ok(now) => self.differences(&now),
                Err(error) => vec![format!("{error:#}")],
            };
            differences.is_empty().then_some(())
        });
        ensure!(
            same.is_ok(),
            "the node is not as before:\n{}",
            differences.join("\n")
        );
        Ok(())
    }

    fn differences(&self, now: &Self) -> Vec<String> {
        let missing = self.beyond(now).map(|line| format!("- {line}"));
        let too_much = now.beyond(self).map(|line| format!("+ {line}"));
        missing.chain(too_much).collect()
    }

    /// Lines that are here more often than there.
    fn beyond(&self, other: &Self) -> impl Iterator<Item = &String> {
        let times = |line| other.0.get(line).copied().unwrap_or(0);
        let lines = self
            .0
            .iter()
            .filter(move |(line, count)| **count > times(*line));
        lines.map(|(line, _)| line)
    }

    fn add(&mut self, place: &str, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            *self.0.entry(format!("{place}: {line}")).or_default() += 1;
        }
    }
}

/// A daemon that starts anew replaces the program of its uplink by the same one with another ID.
fn remove_program_ids(link: &mut Value) {
    for program in ["/xdp/prog/id", "/xdp/attached/0/prog/id"] {
        if let Some(id) = link.pointer_mut(program) {
            id.take();
        }
    }
}

fn output(node: &Namespace, command: &str) -> Result<String> {
    let mut words = command.split(' ');
    let mut program = node.command(words.next().unwrap_or_default());
    let path = std::env::var("PATH").unwrap_or_default();
    program
        .args(words)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"));
    let output = program.output().with_context(|| format!("run {command}"))?;
    if !output.status.success() {
        bail!("{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// All files below a directory, which need not exist.
fn files(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("read {}", directory.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        found.push(entry.path().display().to_string());
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        }
    }
    Ok(found)
}

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

/// What the daemon has open but for connections to its control socket, which clients end when they like.
fn descriptors(daemon: &Daemon) -> Result<Vec<String>> {
    let process = PathBuf::from(format!("/proc/{}", daemon.process.id()));
    let connections = fs::read_to_string(process.join("net/unix"))?;
    let is_connection = |inode: &str| {
        let columns = connections
            .lines()
            .map(|line| line.split_whitespace().nth(6));
        columns.flatten().any(|column| column == inode)
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(process.join("fd"))? {
        // One that is closed meanwhile is gone.
        let Ok(target) = fs::read_link(entry?.path()) else {
            continue;
        };
        let target = target.display().to_string();
        match target.strip_prefix("socket:[") {
            Some(inode) if is_connection(inode.trim_end_matches(']')) => {}
            Some(_) => found.push("socket".to_owned()),
            None => found.push(target),
        }
    }
    Ok(found)
}
