//! `tsnctl watch`: what leaves the node and how exactly, live.

mod cycle;
mod keys;
mod model;
#[cfg(test)]
mod samples;
mod view;

use std::future::poll_fn;
use std::io::IsTerminal;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tsn_userspace::config::Interval;

use crate::{Context, Output};
use keys::Look;
use model::{Model, Sample};
use view::View;

/// Width of `--once` where there is no terminal.
const WIDTH_WITHOUT_TERMINAL: u16 = 100;
/// `--once` has no need to be short.
const HEIGHT_ONCE: usize = 10_000;

/// Options of `tsnctl watch`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The time between two looks at the daemon, at least 100ms.
    #[arg(long, default_value = "1s", value_name = "TIME")]
    interval: Interval,
    /// Prints one view as plain text and ends; its rates are those of one interval.
    #[arg(long)]
    once: bool,
    /// Width of that view; by default the terminal's, or 100 without one.
    #[arg(long, value_name = "COLUMNS", requires = "once")]
    width: Option<u16>,
}

/// Watches until `q` is pressed.
pub async fn run(options: Options, context: &Context) -> Result<()> {
    let interval = options.interval.as_duration();
    ensure!(
        interval >= Duration::from_millis(100),
        "--interval {interval:?}: each look costs the daemon a little; at least 100ms"
    );
    if context.output == Output::Json {
        bail!(
            "watch is for people; machines ask `tsnctl status` and `tsnctl pods` with --output json"
        );
    }
    if options.once {
        return print_once(context, interval, options.width).await;
    }
    ensure!(
        std::io::stdout().is_terminal(),
        "standard output is no terminal; `tsnctl watch --once` prints one view"
    );
    // Before the terminal is changed, or a signal in between would leave it so.
    let signals = ending_signals()?;
    let terminal = ratatui::try_init().context("the terminal cannot be used")?;
    let ended = follow(terminal, signals, context, interval).await;
    ratatui::restore();
    ended
}

async fn print_once(context: &Context, interval: Duration, width: Option<u16>) -> Result<()> {
    let mut model = Model::default();
    model.add(look_at(context).await?);
    sleep(interval).await;
    model.add(look_at(context).await?);
    let terminal_width = || {
        ratatui::crossterm::terminal::size()
            .ok()
            .map(|(width, _)| width)
    };
    let width = width
        .or_else(|| std::io::stdout().is_terminal().then(terminal_width)?)
        .unwrap_or(WIDTH_WITHOUT_TERMINAL);
    let look = Look::default();
    let view = View {
        model: &model,
        look: &look,
    };
    let lines = view.lines(usize::from(width), HEIGHT_ONCE);
    context.print(&(), |()| {
        Ok(lines.iter().map(|line| format!("{line}\n")).collect())
    })
}

async fn follow(
    mut terminal: DefaultTerminal,
    mut signals: [Signal; 4],
    context: &Context,
    period: Duration,
) -> Result<()> {
    let (mut model, mut look) = (Model::default(), Look::default());
    let mut events = terminal_events();
    // Not begun anew with each key, or a busy hand would keep the figures from coming.
    let mut answer = pin!(look_after(Duration::ZERO, context));
    while !look.quit {
        terminal.draw(|frame| {
            let view = View {
                model: &model,
                look: &look,
            };
            frame.render_widget(view, frame.area());
        })?;
        tokio::select! {
            () = any_of(&mut signals) => break,
            event = events.recv() => match event {
                Some(Event::Key(key)) if key.kind == KeyEventKind::Press => {
                    let was_paused = look.paused;
                    look.press(key, &model);
                    if was_paused && !look.paused {
                        // The pause would count as time in which the daemon has not answered.
                        answer.set(look_after(Duration::ZERO, context));
                    }
                }
                // A new size is drawn at once.
                Some(_) => {}
                None => break,
            },
            sample = &mut answer, if !look.paused => {
                match sample {
                    Ok(sample) => model.add(sample),
                    Err(error) => model.fail(format!("{error:#}")),
                }
                answer.set(look_after(period, context));
            }
        }
    }
    Ok(())
}

/// What ends it from outside.
fn ending_signals() -> Result<[Signal; 4]> {
    let signals = [
        signal(SignalKind::interrupt())?,
        signal(SignalKind::quit())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    ];
    Ok(signals)
}

async fn any_of(signals: &mut [Signal]) {
    poll_fn(|context| {
        let mut signals = signals.iter_mut();
        if signals.any(|signal| signal.poll_recv(context).is_ready()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

async fn look_after(pause: Duration, context: &Context) -> Result<Sample> {
    sleep(pause).await;
    look_at(context).await
}

async fn look_at(context: &Context) -> Result<Sample> {
    Ok(Sample {
        status: context.get("/v1/status").await?,
        pods: context.get("/v1/pods").await?,
    })
}

/// Keys and changes of size, read by a thread that ends with the process.
fn terminal_events() -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}
