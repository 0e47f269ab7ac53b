//! How many frames a second are forwarded, and how many without loss.

use anyhow::Result;

use super::{
    bed::{Bed, Forwarder},
    figures::{column, median, sorted},
    search::{Trial, throughput},
    session::Session,
    table::{Row, Table},
};
use crate::step::step;

/// Frame sizes in bytes, without FCS.
pub const SIZES: [usize; 3] = [64, 512, 1514];

const FORWARDERS: [Forwarder; 3] = [Forwarder::Bridge, Forwarder::Devmap, Forwarder::Tsnd];

/// One search: the highest rate without loss, and the trial at full speed.
#[derive(Clone, Copy)]
struct Found {
    lossless_rate: f64,
    flood: Trial,
}

/// Measures all sizes and forwarders, each in turn.
///
/// # Errors
///
/// When a network cannot be built or a talker fails.
pub fn run(session: &Session) -> Result<Vec<Table>> {
    let beds = FORWARDERS
        .into_iter()
        .map(|forwarder| Bed::new(forwarder, session))
        .collect::<Result<Vec<_>>>()?;
    let mut found = vec![Vec::new(); SIZES.len() * FORWARDERS.len()];
    for repeat in 1..=session.effort.repeats {
        for (of_size, size) in SIZES.into_iter().enumerate() {
            let name = format!(
                "forwarding, {size} bytes, {repeat} of {}",
                session.effort.repeats
            );
            step(&name, || {
                for (of_bed, bed) in beds.iter().enumerate() {
                    found[of_size * FORWARDERS.len() + of_bed].push(search(bed, size, session)?);
                }
                Ok(())
            })?;
        }
    }
    let subjects = SIZES
        .into_iter()
        .flat_map(|size| FORWARDERS.map(|forwarder| format!("{}, {size} bytes", forwarder.name())));
    Ok(vec![table(session, subjects.zip(found))])
}

fn search(bed: &Bed, size: usize, session: &Session) -> Result<Found> {
    let flood = trial(bed, size, None, session)?;
    let at_rate = |rate| trial(bed, size, Some(rate), session);
    Ok(Found {
        lossless_rate: throughput(flood, session.effort.resolution, at_rate)?,
        flood,
    })
}

/// Offers frames at a rate, or at full speed, for the length of a trial.
fn trial(bed: &Bed, size: usize, rate: Option<f64>, session: &Session) -> Result<Trial> {
    let size_option = size.to_string();
    let duration = format!("{}ms", session.effort.trial.as_millis());
    let megabits = rate.map(|rate| (rate * size as f64 * 8.0 / 1e6).to_string());
    let load = match &megabits {
        None => vec!["--flood"],
        Some(megabits) => vec!["--rate", megabits],
    };
    let common = [
        "--size",
        &size_option,
        "--duration",
        &duration,
        "--realtime",
        "40",
    ];
    let before = bed.arrived()?;
    let summary = bed.talk(&[&common[..], &load].concat(), session)?;
    let arrived = bed.wait_for_arrivals(before, summary.sent, session)?;
    let first_ns = summary.first_time_ns.unwrap_or(0);
    let span_ns = summary.last_time_ns.unwrap_or(0).saturating_sub(first_ns);
    Ok(Trial {
        sent: summary.sent,
        arrived,
        offered_rate: summary.sent as f64 * 1e9 / span_ns.max(1) as f64,
    })
}

fn table(session: &Session, results: impl Iterator<Item = (String, Vec<Found>)>) -> Table {
    let effort = session.effort;
    Table {
        id: "forwarding",
        title: "Forwarding rate".to_owned(),
        explanation: format!(
            "Frames a second from a pod to the far end of the wire. Without loss: the highest rate at which all frames \
             arrive (RFC 2544, 26.1), by binary search with trials of {} ms, to {} % of the full speed, a trial with \
             loss repeated once; median, least and most of {} searches. At full speed: the generator does not wait. \
             Generator and pod share core 0. The kernel forwards on that core too, so that it slows the generator \
             down instead of losing frames; tsnd forwards on core {}.",
            effort.trial.as_millis(),
            effort.resolution * 100.0,
            effort.repeats,
            session.worker_cpu,
        ),
        columns: vec![
            column("without loss", "frames/s"),
            column("least", "frames/s"),
            column("most", "frames/s"),
            column("at full speed", "frames/s"),
            column("of offered", "frames/s"),
        ],
        rows: results
            .map(|(subject, found)| {
                let rates = sorted(found.iter().map(|found| found.lossless_rate));
                let forwarded = sorted(found.iter().map(|found| found.flood.forwarded_rate()));
                let offered = sorted(found.iter().map(|found| found.flood.offered_rate));
                Row {
                    subject,
                    figures: vec![
                        median(&rates),
                        rates.first().copied(),
                        rates.last().copied(),
                        median(&forwarded),
                        median(&offered),
                    ],
                }
            })
            .collect(),
    }
}
