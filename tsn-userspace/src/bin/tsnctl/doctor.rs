//! `tsnctl doctor`: what stands between this machine and punctual frames.

use std::fmt::Write;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tsn_userspace::config::Configuration;
use tsn_userspace::doctor::{
    Answers, Area, Daemon, Finding, Live, Machine, Report, Severity, Subject, examine,
};

use crate::Context;

/// The exit status when there are warnings and no errors.
const WARNINGS: u8 = 3;
/// How long the daemon may take to answer; its worker has a second for each question.
const PATIENCE: Duration = Duration::from_secs(3);
/// Where tsnd looks for its configuration.
const USUAL_CONFIGURATION: &str = "/etc/tsnd.yaml";

/// Options of `tsnctl doctor`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The daemon's configuration file. Without this, /etc/tsnd.yaml if there is one.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The worker's core. Without this, that of the running daemon.
    #[arg(long)]
    cpu: Option<usize>,
    /// The uplink. Without this, that of the running daemon, or of the configuration.
    #[arg(long)]
    device: Option<String>,
    /// Where the kernel programs are pinned, as tsnd was told.
    #[arg(long, default_value = "/sys/fs/bpf/tsnd")]
    pin_dir: PathBuf,
    /// Say more of notes, and the codes of what is fine.
    #[arg(long)]
    verbose: bool,
}

/// Examines the machine and shows what was found. Fails with 1 for errors, 3 for warnings.
pub async fn run(options: Options, context: &Context) -> Result<ExitCode> {
    let subject = Subject {
        configuration: configuration(options.config.as_deref()),
        device: options.device,
        cpu: options.cpu,
        pin_dir: options.pin_dir,
        control: context.control.clone(),
        daemon: daemon(context).await,
    };
    let report = examine(&Machine::new("/", Box::new(Live)), &subject);
    context.print(&report, |report| report_text(report, options.verbose))?;
    Ok(match report.summary {
        summary if summary.errors > 0 => ExitCode::FAILURE,
        summary if summary.warnings > 0 => WARNINGS.into(),
        _ => ExitCode::SUCCESS,
    })
}

fn configuration(path: Option<&Path>) -> Option<Result<Configuration, String>> {
    let usual = Path::new(USUAL_CONFIGURATION);
    let path = path.or_else(|| usual.exists().then_some(usual))?;
    Some(Configuration::from_file(path).map_err(|error| error.to_string()))
}

async fn daemon(context: &Context) -> Daemon {
    let answers = async {
        anyhow::Ok(Answers {
            status: context.get("/v1/status").await?,
            pods: context.get("/v1/pods").await?,
            process_id: listening_process(&context.control).await,
        })
    };
    let reason = match timeout(PATIENCE, answers).await {
        Ok(Ok(answers)) => return Daemon::Answers(Box::new(answers)),
        Ok(Err(error)) if is_denied(&error) => return Daemon::NotAllowed,
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!(
            "the tsnd at {} does not answer within {} s",
            context.control.display(),
            PATIENCE.as_secs()
        ),
    };
    Daemon::Silent {
        reason,
        socket_exists: context.control.exists(),
    }
}

fn is_denied(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == ErrorKind::PermissionDenied)
}

/// Who listens on a socket; `None` if that is outside of this PID namespace.
async fn listening_process(socket: &Path) -> Option<u32> {
    let stream = UnixStream::connect(socket).await.ok()?;
    let process = stream.peer_cred().ok()?.pid()?;
    u32::try_from(process).ok().filter(|pid| *pid > 0)
}

fn report_text(report: &Report, verbose: bool) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let mut area = None;
    for finding in &report.findings {
        if area != Some(finding.area) {
            let gap = if area.is_some() { "\n" } else { "" };
            area = Some(finding.area);
            writeln!(text, "{gap}{}", title(report, finding.area))?;
        }
        finding_text(&mut text, finding, verbose)?;
    }
    let summary = report.summary;
    let counts = [
        (summary.errors, "error"),
        (summary.warnings, "warning"),
        (summary.notes, "note"),
    ];
    let counts = counts.map(|(n, what)| format!("{n} {what}{}", if n == 1 { "" } else { "s" }));
    write!(text, "\n{}, {} fine", counts.join(", "), summary.ok)?;
    if summary.notes > 0 && !verbose {
        write!(text, "; --verbose says more of the notes")?;
    }
    writeln!(text)?;
    Ok(text)
}

fn title(report: &Report, area: Area) -> String {
    match (area, &report.uplink, report.cpu) {
        (Area::Kernel, ..) => "kernel".to_owned(),
        (Area::Devices, Some(uplink), _) => format!("devices (uplink {uplink})"),
        (Area::Devices, None, _) => "devices".to_owned(),
        (Area::Clock, ..) => "clock".to_owned(),
        (Area::Cpu, _, Some(cpu)) => format!("worker's core ({cpu})"),
        (Area::Cpu, _, None) => "worker's core".to_owned(),
        (Area::Memory, ..) => "memory".to_owned(),
        (Area::Daemon, ..) => "daemon".to_owned(),
        (Area::Access, ..) => "access".to_owned(),
    }
}

fn finding_text(text: &mut String, finding: &Finding, verbose: bool) -> std::fmt::Result {
    let mark = match finding.severity {
        Severity::Ok => "✓",
        Severity::Note => "·",
        Severity::Warning => "!",
        Severity::Error => "✗",
    };
    write!(text, "  {mark} {}", finding.what)?;
    if verbose || finding.severity > Severity::Ok {
        write!(text, "  [{}]", finding.code.name())?;
    }
    writeln!(text)?;
    if finding.severity == Severity::Note && !verbose {
        return Ok(());
    }
    for (label, line) in [("why", &finding.why), ("mend", &finding.mend)] {
        if let Some(line) = line {
            writeln!(text, "      {label:<5} {line}")?;
        }
    }
    Ok(())
}
