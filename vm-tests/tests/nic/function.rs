//! A virtual function of a card (SR-IOV), as a node has it whose card is shared with others.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tsn_tests::{
    namespace::Namespace,
    topology::{POD_INTERFACE, UPLINK},
    wait::wait_for,
};

use crate::{
    bed::Bed,
    card::{Card, ip},
};

/// The driver of a function of an igb.
pub const DRIVER: &str = "igbvf";

/// Gives a device to the driver that fits.
const PROBE: &str = "/sys/bus/pci/drivers_probe";

/// For its driver to have it.
const BOUND: Duration = Duration::from_secs(60);

/// Makes a virtual function of a card, as an operator does who hands it to somebody with addresses of his own: it may send
/// with these, and hear them.
pub fn of(card: &Card) -> Result<Card> {
    // While the card is down, its driver answers no function's, which then has neither address nor link.
    ip(&["link", "set", card.name(), "up"])?;
    // Its own driver gets it when the card's has become used to having functions: before Linux 6.3, that answers none so long.
    let own = |name: &str| card.directory().join(name);
    write(&own("sriov_drivers_autoprobe"), "0")?;
    write(&own("sriov_numvfs"), "1")?;
    write(&own("sriov_drivers_autoprobe"), "1")?;
    let function = own("virtfn0").canonicalize()?;
    let address = function.file_name().context("an address")?;
    write(Path::new(PROBE), &address.to_string_lossy())?;
    let interfaces = function.join("net");
    let function = wait_for("the virtual function's interface", BOUND, || {
        let entry = fs::read_dir(&interfaces).ok()?.next()?.ok()?;
        Card::at(&entry.path()).ok()?
    })?;
    ensure!(function.driver() != card.driver(), "a driver of its own");
    let of_function = ["link", "set", card.name(), "vf", "0"];
    ip(&[&of_function[..], &["trust", "on", "spoofchk", "off"]].concat())?;
    Ok(function)
}

/// Has the node's card receive what is for a pod. A function gets nothing but what is for addresses that it has asked for,
/// whatever mode its interface is in.
pub fn hear(node: &Namespace, pod: &Namespace) -> Result<()> {
    let mut show = pod.command("ip");
    let output = show.args(["-j", "link", "show", POD_INTERFACE]).output()?;
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let address = said[0]["address"].as_str().context("a pod's address")?;
    let mut bridge = node.command("bridge");
    bridge.args(["fdb", "add", address, "dev", UPLINK, "self", "permanent"]);
    let status = bridge.status()?;
    ensure!(status.success(), "bridge fdb add {address}: {status}");
    Ok(())
}

/// Frames that the function itself counts as sent, in a register of its own.
pub fn sent(bed: &Bed) -> Result<u64> {
    let output = bed.node.command("ethtool").args(["-S", UPLINK]).output()?;
    let counters = String::from_utf8_lossy(&output.stdout).into_owned();
    let sent = counters.lines().find_map(|line| {
        let value = line.trim().strip_prefix("tx_packets: ")?;
        value.parse().ok()
    });
    sent.with_context(|| format!("no tx_packets in\n{counters}"))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("write {text} to {}", file.display()))
}
