//! The command line of the node daemon.

mod apply;
mod capture;
mod check;
mod cni;
mod convert;
mod doctor;
mod drops;
mod overlay;
mod plan;
mod pods;
mod status;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tsn_userspace::config::printable;
use tsn_userspace::control::client::request;

/// Speaks to tsnd: applies a configuration while traffic runs, and shows what the daemon does.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    context: Context,
    #[command(subcommand)]
    command: Command,
}

/// Without an answer for so long, the daemon counts as gone.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// What all commands have in common.
#[derive(Debug, clap::Args)]
struct Context {
    /// The daemon's control socket.
    #[arg(long, global = true, default_value = "/run/tsnd/control.sock")]
    control: PathBuf,
    /// Text for people, JSON for machines.
    #[arg(long, global = true, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Applies the gates and pods of a configuration file to the running daemon.
    ///
    /// The file is checked as a whole before any of it takes effect. A running gate control list stays in force until
    /// the new one's start. Pods that the file does not name stay.
    ///
    /// Profiles are not kept for the next start of tsnd, which reads them from its own file.
    Apply(apply::Options),
    /// Looks a configuration file over: what the daemon would refuse, and what will hardly do what was meant.
    ///
    /// Each finding is told with its line and a way out, and has a code. Neither the daemon nor the machine is changed;
    /// if tsnd runs here for the same device, its lead, link speed and clock error are used.
    ///
    /// Exit status: 0 nothing worse than notes; 1 errors, the daemon would refuse the file; 3 warnings, but no errors;
    /// 2 wrong usage.
    #[command(verbatim_doc_comment)]
    Check(check::Options),
    /// Converts a schedule from or to another tool's format; needs no daemon.
    ///
    /// Reads the gates of a port as a tsnd configuration, as JSON of the YANG module ieee802-dot1dc-sched-if, as a
    /// `tc qdisc ... taprio` command or as the files of tsnkit, and writes them to standard output as one of the first
    /// three. What the target cannot say is named on standard error, as `not carried: …`.
    Convert(convert::Options),
    /// Draws the gates of a configuration file, or a change from one to another.
    ///
    /// Shows when which class may send, its guard bands, and what is left of its windows for frames, as the scheduler will
    /// do it. Needs no daemon; if one runs on the file's uplink, its lead is taken. See docs/plan.md.
    Plan(plan::Options),
    /// Shows clock, uplink, gates and classes.
    Status,
    /// Shows the pods and their streams.
    Pods,
    /// Shows where overlay pods' frames go, and what keeps the kernel's path and why.
    Overlay,
    /// Shows clock, gates, classes and streams live: rates, lateness, stalls, drops by cause.
    Watch(watch::Options),
    /// Writes what leaves into a pcapng file for Wireshark, with its class, launch time and departure.
    ///
    /// The time of a packet is its departure to the nanosecond, in UTC; its comment says class, pod, stream, launch
    /// time and departure − launch time. Ends with SIGINT, --count or --duration. To read along:
    ///
    ///     tsnctl capture -w - | wireshark -k -i -
    #[command(verbatim_doc_comment)]
    Capture(capture::Options),
    /// Looks for what stands between this machine and punctual frames, and says how to mend it.
    ///
    /// Looks at kernel, devices, clock, the worker's core, memory, and the daemon if it answers; changes nothing. Run it
    /// as root in tsnd's network namespace, before the first start (with --config and --cpu) and whenever frames are
    /// late. docs/doctor.md lists what it can find.
    ///
    /// Exit status: 0 all is fine or worth a note, 3 warnings, 1 errors.
    Doctor(doctor::Options),
    /// Puts the CNI plugin in its place on a node, or takes it away. See docs/kubernetes.md.
    #[command(subcommand)]
    Cni(cni::Command),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(status) => status,
        Err(error) => {
            // What cannot be said is told by the status alone.
            let _ = writeln!(std::io::stderr(), "{}", shown(&format!("Error: {error:?}")));
            ExitCode::FAILURE
        }
    }
}

async fn run(Arguments { context, command }: Arguments) -> Result<ExitCode> {
    match command {
        Command::Apply(options) => apply::run(options, &context).await?,
        Command::Check(options) => return check::run(options, &context).await,
        Command::Convert(options) => return convert::run(&options, &context),
        Command::Plan(options) => plan::run(options, &context).await?,
        Command::Status => status::run(&context).await?,
        Command::Pods => pods::run(&context).await?,
        Command::Overlay => overlay::run(&context).await?,
        Command::Watch(options) => watch::run(options, &context).await?,
        Command::Capture(options) => capture::run(options, &context).await?,
        Command::Doctor(options) => return doctor::run(options, &context).await,
        Command::Cni(command) => return cni::run(command, &context).await,
    }
    Ok(ExitCode::SUCCESS)
}

impl Context {
    /// Asks the daemon, which answers at once unless it hangs.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = request(&self.control, Method::GET, path, Vec::new());
        match timeout(ANSWER_LIMIT, answer).await {
            Ok(answer) => answer,
            Err(_) => bail!("tsnd has not answered for {ANSWER_LIMIT:?}; does it hang?"),
        }
    }

    /// Writes an answer as the user wants it; what is in a text for people cannot steer their terminal.
    fn print<T: Serialize>(
        &self,
        answer: &T,
        text: impl Fn(&T) -> Result<String, std::fmt::Error>,
    ) -> Result<()> {
        self.print_as_it_is(answer, |answer| text(answer).map(|text| shown(&text)))
    }

    /// The same for a text that is a document, or that has its own colours and has seen to its names.
    fn print_as_it_is<T: Serialize>(
        &self,
        answer: &T,
        text: impl Fn(&T) -> Result<String, std::fmt::Error>,
    ) -> Result<()> {
        let text = match self.output {
            Output::Text => text(answer)?,
            Output::Json => serde_json::to_string_pretty(answer)? + "\n",
        };
        match std::io::stdout().write_all(text.as_bytes()) {
            // The reader, such as `head`, has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => bail!("standard output: {error}"),
            Ok(()) => Ok(()),
        }
    }
}

/// Lines of text as a terminal may get them. The daemon may be older and have names that this one would refuse.
fn shown(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_and_what_steers_a_terminal_does_not() {
        assert_eq!(
            shown("a│b\n\u{1b}[2J\r\u{9b}1m\n"),
            "a│b\n\u{fffd}[2J\u{fffd}\u{fffd}1m\n"
        );
    }
}
