//! `tsnd` over AF_XDP with a network card as its uplink. The guest has two cards on one wire: the first is the node's, the
//! second is the far end of the wire. What they are is the runner's choice; of one card, a virtual function is the node's.

mod bed;
mod card;
mod function;
mod modes;
mod ordinary;
mod talkers;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tsn_vm_tests::guest;

use bed::Bed;
use card::Card;
use modes::Modes;
use talkers::Seen;

/// What a run leaves to the runner.
#[derive(Debug, Serialize)]
struct Figures {
    driver: String,
    #[serde(flatten)]
    modes: Modes,
    /// Frames that the card itself counts as sent, while the talkers were alone.
    card_sent: u64,
    /// Wake-ups of a virtio device; 0 of others.
    kicks: u64,
    lead_ns: u64,
    alone: Seen,
    beside_ordinary_traffic: Seen,
}

#[test]
fn a_card_sends_at_launch_times_and_keeps_serving_the_kernel() {
    let [near, far] = card::two().unwrap();
    check(&near, &far, false).unwrap();
}

#[test]
fn without_a_copy_where_driver_and_kernel_can() {
    let [near, far] = card::two().unwrap();
    check(&near, &far, true).unwrap();
}

#[test]
fn a_virtual_function_sends_at_launch_times_and_keeps_serving_the_kernel() {
    let [shared, far] = card::two().unwrap();
    check(&function::of(&shared).unwrap(), &far, false).unwrap();
}

fn check(near: &Card, far: &Card, zero_copy: bool) -> Result<()> {
    let bed = Bed::new(near, far)?;
    ordinary::check(&bed).context("before the daemon")?;

    let daemon = bed.start(zero_copy)?;
    let modes = Modes::told(&daemon)?;
    assert_eq!(modes, Modes::of_kernel(&bed, &daemon)?, "told, and true");
    let expected = Modes::expected(near.driver(), zero_copy)?;
    assert_eq!(modes, expected, "what driver and kernel can do");
    let log = daemon.process.log();
    let said = log.lines().find(|line| line.contains("the uplink's modes"));
    let said = said.with_context(|| format!("the log does not say the modes:\n{log}"))?;
    ensure!(
        said.contains(&modes.xdp) && said.contains(&modes.socket),
        "{said}"
    );

    let doctor = bed.doctor_on_xdp()?;
    ensure!(doctor.contains(&modes.xdp), "the doctor says: {doctor}");

    let (sent_before, kicks_before) = (bed.card_sent()?, bed.kicks()?);
    let is_function = near.driver() == function::DRIVER;
    let register_before = is_function.then(|| function::sent(&bed)).transpose()?;
    let alone = talkers::run(&bed, &daemon, || Ok(())).context("talkers alone")?;
    // Nothing but the talkers' frames has been sent so far.
    let sent = talkers::FRAMES;
    let card_sent = bed.card_sent()? - sent_before;
    let kicks = bed.kicks()? - kicks_before;
    if near.driver() == "virtio_net" && modes.is_zero_copy() {
        // It does not count what is sent so.
        ensure!(kicks > 0, "the driver has not told the device of anything");
    } else {
        ensure!(
            card_sent >= sent,
            "the card counts {card_sent} frames, the daemon {sent}"
        );
    }

    if let Some(before) = register_before {
        let counted = function::sent(&bed)? - before;
        ensure!(
            counted >= sent,
            "the function's register counts {counted} frames, the daemon {sent}"
        );
    }

    let status = daemon.control.get("/v1/status")?;
    let lead_ns = status["uplink"]["lead-ns"].as_u64().context("a lead")?;
    alone.check_launches(lead_ns).context("talkers alone")?;
    if near.sends_in_the_wake_up() && !modes.is_zero_copy() {
        alone.check_gates().context("talkers alone")?;
    }
    let beside_others = talkers::run(&bed, &daemon, || ordinary::check(&bed));
    let beside_others = beside_others.context("talkers beside ordinary traffic")?;

    daemon.kill()?;
    ordinary::check(&bed).context("after the daemon was killed")?;
    let daemon = bed.start(zero_copy)?;
    assert_eq!(Modes::told(&daemon)?, modes, "after a restart");
    ordinary::check(&bed).context("beside the next daemon")?;
    daemon.terminate()?;
    ordinary::check(&bed).context("after the daemon's end")?;

    guest::write_figures(&Figures {
        driver: near.driver().to_owned(),
        modes,
        card_sent,
        kicks,
        lead_ns,
        alone,
        beside_ordinary_traffic: beside_others,
    })
}
