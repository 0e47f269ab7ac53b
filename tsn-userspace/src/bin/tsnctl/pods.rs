//! `tsnctl pods`: the pods and their streams at one moment.

use std::fmt::Write;

use anyhow::Result;
use tsn_port::PodEnd;
use tsn_userspace::config::printable;
use tsn_userspace::control::api::{Attachment, PodStatus};

use crate::Context;
use crate::drops::listed;

/// Asks the daemon, and shows them.
pub async fn run(context: &Context) -> Result<()> {
    let pods: Vec<PodStatus> = context.get("/v1/pods").await?;
    context.print(&pods, |pods| pods_text(pods))
}

fn pods_text(pods: &[PodStatus]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for status in pods {
        let state = match &status.waits_for {
            None => "attached".to_owned(),
            Some(reason) => format!("not attached: {reason}"),
        };
        let end = status.pod.end();
        let shown = end.as_ref().map(ToString::to_string).unwrap_or_default();
        writeln!(text, "{} ({shown}): {state}", status.pod.name)?;
        if let Some(attachment) = &status.attachment {
            writeln!(text, "  {}", attachment_text(attachment))?;
        }
        writeln!(
            text,
            "  received {}, waiting {}, dropped: {}",
            status.received,
            status.waiting,
            listed(&status.drops)
        )?;
        // What such a pod always has, and the rest when it has anything to tell.
        let is_vhost_user = matches!(end, Some(PodEnd::VhostUser(_)));
        let delivered = [status.delivered, status.to_pods];
        let mut delivery = delivered.iter().chain(status.delivery_drops.values());
        if is_vhost_user || delivery.any(|value| *value > 0) {
            writeln!(
                text,
                "  delivered {}, sent to other pods {}, not delivered: {}",
                status.delivered,
                status.to_pods,
                listed(&status.delivery_drops)
            )?;
        }
        if !is_vhost_user || status.kernel.values().any(|value| *value > 0) {
            writeln!(text, "  kernel: {}", listed(&status.kernel))?;
        }
        for (stream, selection) in status.streams.iter().zip(&status.pod.streams) {
            let errors = &stream.launch_errors;
            let mean_ns = errors
                .sum_ns
                .checked_div(errors.count() as i64)
                .unwrap_or_default();
            let worst = match stream.worst_last_minute_ns {
                Some(worst_ns) => format!("{worst_ns:+} ns"),
                None => "none".to_owned(),
            };
            writeln!(
                text,
                "  {:<16} class {:<8} received {}, sent {}, late {}, stalled {}, refused {}, dropped {}, mean error {mean_ns} ns, worst in the last minute {worst}",
                stream.name,
                selection.traffic_class.to_string(),
                stream.received,
                stream.sent,
                stream.sent_late,
                stream.stalled,
                stream.refused,
                stream.dropped
            )?;
        }
    }
    if pods.is_empty() {
        writeln!(
            text,
            "no pods; add them to the configuration, POST /v1/pods, or let the CNI plugin attach them"
        )?;
    }
    Ok(text)
}

/// Whose it is: names of others, so of what can be printed only.
fn attachment_text(attachment: &Attachment) -> String {
    let pod = match &attachment.kubernetes {
        Some(pod) => format!("pod {}/{}, ", pod.namespace, pod.name),
        None => String::new(),
    };
    printable(&format!(
        "{pod}network {}, profile {}, container {}",
        attachment.network, attachment.profile, attachment.container_id
    ))
}
