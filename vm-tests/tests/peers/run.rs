//! One subject in one case.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tsn_perf::talk::TalkSummary;
use tsn_tests::{capture::Capture, clock::tai_now_ns, spin, topology::UPLINK, wait::wait_until};
use tsn_vm_tests::report::peers::{Distribution, Row};

use crate::{
    bed::{Awake, Bed, Stream, finish},
    cases::Case,
    measure::{after_opening, arrivals, launch_errors, outside},
    schedule::{CONTROL, MS, VIDEO, windows},
    subject::{Running, Subject},
};

const BOUND: Duration = Duration::from_secs(60);
/// Measurements begin at whole numbers of this.
const GRID_NS: u64 = 100 * MS;
/// How long talkers send before the measurement and after it, at least.
const BEYOND_NS: u64 = 20 * MS;

/// The instruments' settings, the same for all.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Launch times where the schedule does not change.
    pub frames: u64,
    /// Granted at the close of gates.
    pub path_ns: u64,
    /// ETF's `delta`.
    pub etf_delta_ns: u64,
}

/// Measures.
pub fn measure(
    bed: &Bed,
    running: &mut Running,
    subject: Subject,
    case: Case,
    settings: Settings,
) -> Result<Row> {
    let awake = Awake::start()?;
    let wire = bed.capture()?;
    let plan = case.plan(
        (tai_now_ns() + GRID_NS).next_multiple_of(GRID_NS),
        settings.frames,
    );
    running.set_up(bed, &plan.schedule, settings.etf_delta_ns)?;
    let mut talkers = Vec::new();
    for stream in &plan.streams {
        let more = if stream.class == CONTROL {
            subject.launch_options()
        } else {
            &[]
        };
        talkers.push(
            stream
                .clone()
                .and(more)
                .start(subject.place(bed, stream.class))?,
        );
    }
    wait_for_all(&wire, &plan.streams)?;
    if let Some(flood) = &plan.flood {
        talkers.push(flood.start(subject.place(bed, flood.class))?);
        wait_for_all(&wire, std::slice::from_ref(flood))?;
    }
    drop(awake);
    let start_ns = (tai_now_ns() + BEYOND_NS)
        .max(plan.schedule.base_ns)
        .next_multiple_of(GRID_NS);
    let end_ns = start_ns + plan.length_ns;
    let mut refused = None;
    let mut then = None;
    if let Some((after_ns, next)) = case.change(start_ns) {
        sleep_until(start_ns + after_ns);
        let asked_ns = tai_now_ns();
        refused = running.change(&next)?;
        then = Some((next, asked_ns));
    }
    sleep_until(end_ns + BEYOND_NS);
    let mut said = talkers
        .into_iter()
        .map(finish)
        .collect::<Result<Vec<_>>>()?;
    said.truncate(plan.streams.len()); // a flood may lose frames
    wait_at_rest(&wire)?;
    let refused = refused.or(running.refusal()?);
    let all = arrivals(&wire.finish()?);

    for talker in &said {
        check(talker, start_ns, end_ns)?;
    }
    let sent = said.iter().map(|talker| talker.sent).sum();
    let classes: Vec<u8> = plan.streams.iter().map(|stream| stream.class).collect();
    let arrived = all
        .iter()
        .filter(|arrival| classes.contains(&arrival.class))
        .count();
    let has_change = then.is_some();
    let then = then.as_ref().map(|(next, asked_ns)| (next, *asked_ns));
    let windows = windows(&plan.schedule, then, end_ns + GRID_NS);
    let measured: Vec<_> = all
        .into_iter()
        .filter(|arrival| (start_ns..end_ns).contains(&arrival.at_ns))
        .collect();
    let errors = launch_errors(&measured, &said[0], CONTROL, plan.control_period_ns);
    let opening = after_opening(&measured, &windows, VIDEO);
    Ok(Row {
        case: case.name().to_owned(),
        subject: subject.name().to_owned(),
        sent,
        arrived: arrived as u64,
        launch: Distribution::of(errors.iter().copied()),
        deviation: Distribution::of(errors.iter().map(|error| error.abs())),
        opening: (!has_change)
            .then(|| Distribution::of(opening.into_iter()))
            .flatten(),
        outside: outside(&measured, &windows, settings.path_ns),
        refused,
    })
}

/// What the talker says of itself must fit: it sent through the whole measurement, and nothing failed.
fn check(talker: &TalkSummary, start_ns: u64, end_ns: u64) -> Result<()> {
    let first_ns = talker.first_time_ns.context("a talker sent nothing")?;
    let last_ns = talker.last_time_ns.context("a talker sent nothing")?;
    ensure!(
        first_ns < start_ns && last_ns + 5 * MS > end_ns && talker.errors.is_empty(),
        "a talker did not send through the measurement from {start_ns} to {end_ns}: {talker:?}"
    );
    Ok(())
}

fn wait_for_all(wire: &Capture, streams: &[Stream]) -> Result<()> {
    let ports: Vec<u16> = streams
        .iter()
        .map(|stream| Stream::port(stream.class))
        .collect();
    let is_there = |port: &u16| wire.count(|frame| frame.udp_destination() == Some(*port)) > 0;
    wait_until("frames of every stream", BOUND, || {
        ports.iter().all(is_there)
    })
}

/// Waits until a look at the wire finds no more than the look before.
fn wait_at_rest(wire: &Capture) -> Result<()> {
    let mut seen = 0;
    wait_until("the wire to be at rest", BOUND, || {
        sleep_until(tai_now_ns() + 50 * MS);
        let before = std::mem::replace(&mut seen, wire.len());
        seen == before
    })
}

fn sleep_until(instant_ns: u64) {
    std::thread::sleep(Duration::from_nanos(
        instant_ns.saturating_sub(tai_now_ns()),
    ));
}

/// From a look at the clock to the far end's kernel, by a bare spin loop.
pub fn path(bed: &Bed) -> Result<Distribution> {
    const FRAMES: u32 = 50;
    const NUMBER_AT: usize = 14;
    let wire = bed.capture()?;
    let first_ns = (tai_now_ns() + GRID_NS).next_multiple_of(GRID_NS);
    let instants = spin::Instants {
        first_ns,
        period_ns: MS,
        count: FRAMES,
    };
    let mut frame = [0; 60];
    frame[12..NUMBER_AT].copy_from_slice(&[0x88, 0xb5]);
    spin::run(
        &bed.node,
        UPLINK,
        || Ok(()),
        instants,
        &mut frame,
        |number, _, frame| {
            frame[NUMBER_AT] = number as u8;
        },
    )?;
    wait_at_rest(&wire)?;
    let frames = wire.finish()?;
    let errors = frames.iter().map(|frame| {
        let instant_ns = first_ns + u64::from(frame.bytes[NUMBER_AT]) * MS;
        frame.arrival_ns.cast_signed() - instant_ns.cast_signed()
    });
    Distribution::of(errors).context("no frame of the bare spin loop arrived")
}
