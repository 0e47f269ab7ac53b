//! How many frames a second go round through tsnd over DPDK, beside testpmd on the same devices.

use std::time::Instant;

use anyhow::Result;

use super::circle::{Circle, Forwarder};
use crate::{
    bench::{
        figures::{column, median, sorted},
        forwarding::SIZES,
        session::Session,
        table::{Row, Table},
    },
    step::step,
};

const FORWARDERS: [Forwarder; 2] = [Forwarder::Testpmd, Forwarder::Tsnd];

/// One turn.
#[derive(Clone, Copy)]
struct Found {
    rate: f64,
    generator_busy: f64,
    lost: u64,
}

/// Measures both forwarders in turns, each with all sizes.
///
/// # Errors
///
/// When a forwarder or the generator does not start or answer.
pub fn run(session: &Session) -> Result<Vec<Table>> {
    let mut found = vec![Vec::new(); SIZES.len() * FORWARDERS.len()];
    for repeat in 1..=session.effort.repeats {
        for (of_forwarder, forwarder) in FORWARDERS.into_iter().enumerate() {
            let name = format!(
                "{}, {repeat} of {}",
                forwarder.name(),
                session.effort.repeats
            );
            step(&name, || {
                // Both spin, so each has the core only for its turn.
                let mut circle = Circle::new(forwarder, session)?;
                for (of_size, size_bytes) in SIZES.into_iter().enumerate() {
                    found[of_size * FORWARDERS.len() + of_forwarder].push(turn(
                        &mut circle,
                        size_bytes,
                        session,
                    )?);
                }
                Ok(())
            })?;
        }
    }
    Ok(vec![table(session, &found)])
}

fn turn(circle: &mut Circle, size_bytes: usize, session: &Session) -> Result<Found> {
    circle.start(size_bytes)?;
    let (before, start) = (circle.arrived()?, Instant::now());
    session.pause(session.effort.turn)?;
    let (after, elapsed) = (circle.arrived()?, start.elapsed());
    let stopped = circle.stop()?;
    Ok(Found {
        rate: (after - before) as f64 / elapsed.as_secs_f64(),
        generator_busy: stopped.generator_busy,
        lost: stopped.lost,
    })
}

fn table(session: &Session, found: &[Vec<Found>]) -> Table {
    let subjects = SIZES
        .into_iter()
        .flat_map(|size| FORWARDERS.map(|forwarder| (forwarder, size)));
    let rates = |found: &[Found]| sorted(found.iter().map(|found| found.rate));
    let rows = subjects
        .zip(found)
        .enumerate()
        .map(|(number, ((forwarder, size), turns))| {
            let testpmd = &found[number / FORWARDERS.len() * FORWARDERS.len()];
            let own = rates(turns);
            let busy = sorted(turns.iter().map(|found| found.generator_busy * 100.0));
            let baseline = median(&rates(testpmd));
            Row {
                subject: format!("{}, {size} bytes", forwarder.name()),
                figures: vec![
                    median(&own),
                    own.first().copied(),
                    own.last().copied(),
                    median(&own)
                        .zip(baseline)
                        .map(|(own, baseline)| own / baseline),
                    median(&busy),
                    Some(turns.iter().map(|found| found.lost).sum::<u64>() as f64),
                ],
            }
        });
    Table {
        id: "forwarding-dpdk",
        title: "Forwarding rate over DPDK".to_owned(),
        explanation: format!(
            "Frames a second from one vhost-user socket to another, by testpmd in io mode or by tsnd with one stream, one \
             class and all gates open, each spinning on core {} without a real-time priority, in turns of {} ms: \
             median, least and most of {}. The generator on core 0, another testpmd, has a virtio_user device on each \
             socket and sends on by the first what it gets by the second: {} frames go round, in one direction, and none \
             is offered before it has arrived. So this is the rate without loss, and frames lost are told. Generator \
             busy: the part of its time that it had frames to move; the rest it waited for the forwarder, or did not \
             run.",
            session.worker_cpu,
            session.effort.turn.as_millis(),
            session.effort.repeats,
            Circle::FRAMES,
        ),
        columns: vec![
            column("without loss", "frames/s"),
            column("least", "frames/s"),
            column("most", "frames/s"),
            column("of testpmd's", "times"),
            column("generator busy", "%"),
            column("lost", "frames"),
        ],
        rows: rows.collect(),
    }
}
