//! `tsnctl overlay`: how overlay pods' frames leave, or why they keep the kernel's path.

use std::fmt::Write;

use anyhow::Result;
use tsn_userspace::control::api::{NextHopStatus, OverlayStatus};

use crate::Context;

/// Asks the daemon, and shows it.
pub async fn run(context: &Context) -> Result<()> {
    context.print(&context.get("/v1/overlay").await?, overlay_text)
}

fn overlay_text(status: &OverlayStatus) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    if let Some(reason) = &status.waits_for {
        writeln!(
            text,
            "all frames of overlay pods keep the kernel's path: {reason}"
        )?;
        return Ok(text);
    }
    if status.pod_networks.is_empty() {
        writeln!(text, "no pod has `mode: overlay`")?;
        return Ok(text);
    }
    writeln!(
        text,
        "networks of pods: {}\n",
        status.pod_networks.join(", ")
    )?;
    writeln!(
        text,
        "{:<24} {:<9} {:<20} {:<12} {:>5} {:>8}",
        "destination", "by", "remote", "device", "mtu", "next hop"
    )?;
    for way in &status.destinations {
        let destination = &way.destination;
        match (&way.next_hop, &way.kept_by_kernel) {
            (Some(next_hop), _) => {
                let (by, remote) = way_of(next_hop);
                writeln!(
                    text,
                    "{destination:<24} {by:<9} {remote:<20} {:<12} {:>5} {:>8}",
                    next_hop.device, next_hop.mtu_bytes, next_hop.id
                )?;
            }
            (None, reason) => {
                let reason = reason.as_deref().unwrap_or("the daemon does not tell why");
                writeln!(text, "{destination:<24} kernel    {reason}")?;
            }
        }
    }
    for tunnel in &status.tunnels {
        writeln!(
            text,
            "\ntunnel that ends here: VXLAN {} at {}, UDP port {}, frames for {}",
            tunnel.vni, tunnel.local, tunnel.port, tunnel.address
        )?;
    }
    Ok(text)
}

/// What the packet goes in, and who gets it.
fn way_of(next_hop: &NextHopStatus) -> (String, &str) {
    match &next_hop.vxlan {
        Some(tunnel) => (format!("VXLAN {}", tunnel.vni), &tunnel.remote),
        None => ("plain".to_owned(), &next_hop.link_destination),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_a_table_and_the_rest_says_why() {
        let status = serde_json::from_value(serde_json::json!({
            "waits-for": null,
            "pod-networks": ["10.244.0.0/16"],
            "destinations": [
                { "destination": "10.244.0.0/16", "kept-by-kernel": "no route" },
                { "destination": "10.244.2.0/24", "next-hop": {
                    "id": 1, "device": "flannel.1", "mtu-bytes": 1450,
                    "link-destination": "02:00:00:00:00:22", "link-source": "02:00:00:00:00:11",
                    "vxlan": {
                        "local": "192.168.0.1", "remote": "192.168.0.2", "port": 8472, "vni": 1,
                        "inner-destination": "02:00:00:00:00:32",
                    },
                }},
                { "destination": "10.244.3.0/24", "next-hop": {
                    "id": 2, "device": "eth0", "mtu-bytes": 1500,
                    "link-destination": "02:00:00:00:00:23", "link-source": "02:00:00:00:00:11",
                }},
            ],
            "tunnels": [
                { "local": "192.168.0.1", "port": 8472, "vni": 1, "address": "02:00:00:00:00:13" },
            ],
        }))
        .unwrap();
        let expected = "\
networks of pods: 10.244.0.0/16

destination              by        remote               device         mtu next hop
10.244.0.0/16            kernel    no route
10.244.2.0/24            VXLAN 1   192.168.0.2          flannel.1     1450        1
10.244.3.0/24            plain     02:00:00:00:00:23    eth0          1500        2

tunnel that ends here: VXLAN 1 at 192.168.0.1, UDP port 8472, frames for 02:00:00:00:00:13
";
        assert_eq!(overlay_text(&status).unwrap(), expected);
    }
}
