//! What pods that come and go cost another pod, and whether they leave something behind.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use tsn_tests::footprint::Footprint;

use super::{
    arrival::{self, Found},
    bed::{Bed, Forwarder},
    figures::column,
    session::Session,
    table::{Row, Table},
};
use crate::demo::plan::CYCLE_NS;

/// 64 a minute.
const CYCLE: Duration = Duration::from_micros(60_000_000 / 64);

/// One pod sends with launch times, in turns with and without another one that is attached and detached.
///
/// # Errors
///
/// When the bed cannot be built, or an attachment fails.
pub fn run(session: &Session) -> Result<Vec<Table>> {
    let turn = session.effort.attachment_turn;
    let frames = u32::try_from(u128::from(turn.as_nanos() as u64 / CYCLE_NS))?;
    let bed = Bed::new(Forwarder::TsndAttaching, session)?;
    let (mut quiet, mut beside) = (Found::default(), Found::default());
    let mut cycles = 0;
    let mut footprints = vec![("before the first cycle".to_owned(), bed.footprint()?)];
    for round in 0..session.effort.attachment_rounds {
        arrival::talk(&bed, frames, session, &mut quiet)?;
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let cycling = scope.spawn(|| cycle(&bed, round, &stop));
            let talked = arrival::talk(&bed, frames, session, &mut beside);
            stop.store(true, Ordering::Relaxed);
            cycles += cycling
                .join()
                .map_err(|_| anyhow!("the cycles panicked"))??;
            talked
        })?;
        if round == 0 || round + 1 == session.effort.attachment_rounds {
            footprints.push((format!("after {cycles} cycles"), bed.footprint()?));
        }
    }
    let turns = format!("in turns of {} s", turn.as_secs_f64());
    Ok(vec![
        Table {
            id: "attachments",
            title: "Pods that come and go".to_owned(),
            explanation: format!(
                "Arrival less launch time, as above, of a pod beside which another one is attached and detached, {cycles} \
                 times at 64 a minute, {turns} with the same pod alone: the record is written, the daemon is asked, \
                 and half a cycle later the other way round."
            ),
            columns: arrival::columns(),
            rows: vec![
                quiet.row("no other pod comes or goes".to_owned()),
                beside.row("64 cycles a minute".to_owned()),
            ],
        },
        growth(footprints),
    ])
}

fn growth(footprints: Vec<(String, Footprint)>) -> Table {
    let row = |(subject, footprint): (String, Footprint)| Row {
        subject,
        figures: [
            footprint.resident_kib,
            footprint.descriptors,
            footprint.pins,
        ]
        .map(|figure| Some(figure as f64))
        .to_vec(),
    };
    Table {
        id: "attachments-growth",
        title: "What they leave behind".to_owned(),
        explanation: "What the daemon holds when no other pod is attached: a program, map or link of the kernel is an open \
                      descriptor or a pin."
            .to_owned(),
        columns: vec![
            column("resident", "KiB"),
            column("descriptors", "count"),
            column("pins", "count"),
        ],
        rows: footprints.into_iter().map(row).collect(),
    }
}

/// Attaches and detaches until it is told to stop. How often.
fn cycle(bed: &Bed, round: u32, stop: &AtomicBool) -> Result<u32> {
    let start = Instant::now();
    let mut cycles = 0;
    while !stop.load(Ordering::Relaxed) {
        let pod = bed.second_pod(&format!("round{round}cycle{cycles}"))?;
        pod.attach()?;
        sleep_until(start + CYCLE * cycles + CYCLE / 2);
        pod.detach()?;
        cycles += 1;
        sleep_until(start + CYCLE * cycles);
    }
    Ok(cycles)
}

fn sleep_until(instant: Instant) {
    std::thread::sleep(instant.saturating_duration_since(Instant::now()));
}
