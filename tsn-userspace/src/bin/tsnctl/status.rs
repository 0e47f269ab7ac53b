//! `tsnctl status`: clock, uplink, gates and classes at one moment.

use std::fmt::Write;

use anyhow::Result;
use tsn_userspace::control::api::Status;

use crate::Context;
use crate::drops::listed;

/// Asks the daemon, and shows it.
pub async fn run(context: &Context) -> Result<()> {
    context.print(&context.get("/v1/status").await?, status_text)
}

fn status_text(status: &Status) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let (clock, uplink, gates) = (&status.clock, &status.uplink, &status.gates);
    writeln!(
        text,
        "tsnd      {} on {}, {} pods attached, {} wanted by the CNI plugin",
        status.version, status.backend, status.pods, status.cni_pods
    )?;
    writeln!(
        text,
        "clock     {:?}, TAI-UTC {} s, error at most {} us",
        clock.state, clock.tai_utc_offset_s, clock.max_error_us
    )?;
    let lead = if uplink.hardware_launch_time {
        "that its hardware launch time needs".to_owned()
    } else {
        format!(
            "over {} wake-ups, no hardware launch time",
            uplink.lead_observations
        )
    };
    writeln!(
        text,
        "uplink    {} {}, {} Mb/s, lead {} ns {lead}",
        uplink.device,
        if uplink.up { "up" } else { "down" },
        uplink.link_speed,
        uplink.lead_ns
    )?;
    if let Some(failure) = &uplink.failure {
        writeln!(text, "          {failure}")?;
    }
    let facts: Vec<String> = uplink
        .device_facts
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    writeln!(text, "device    {}", facts.join("; "))?;
    let gate = |class: u8| {
        if gates.oper_gate_states & 1 << class != 0 {
            'o'
        } else {
            'C'
        }
    };
    writeln!(
        text,
        "gates     {} (classes 7 to 0, o open, C closed){}, {} change errors",
        (0..8).rev().map(gate).collect::<String>(),
        if gates.config_pending {
            ", a change is pending"
        } else {
            ""
        },
        gates.config_change_error
    )?;
    writeln!(
        text,
        "stalls    {}, {:.3} ms in all, longest {:.3} ms, {} frames touched",
        status.stalls.count,
        status.stalls.total_ns as f64 / 1e6,
        status.stalls.longest_ns as f64 / 1e6,
        status.stalls.frames
    )?;
    writeln!(
        text,
        "\nclass            received       sent       late     queued    overrun  dropped"
    )?;
    for class in &status.classes {
        let name = class.name.as_deref().unwrap_or("");
        writeln!(
            text,
            "{} {name:<12} {:>10} {:>10} {:>10} {:>10} {:>10}  {}",
            class.number,
            class.received,
            class.sent,
            class.sent_late,
            class.queued,
            class.transmission_overruns,
            listed(&class.drops)
        )?;
    }
    writeln!(text, "uplink drops: {}", listed(&uplink.drops))?;
    if uplink.received.values().any(|frames| *frames > 0) {
        writeln!(text, "uplink received: {}", listed(&uplink.received))?;
    }
    if !uplink.device_counters.is_empty() {
        writeln!(text, "device counts: {}", listed(&uplink.device_counters))?;
    }
    Ok(text)
}
