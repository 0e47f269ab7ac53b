//! `tsnctl convert`: schedules in and out of other tools' formats.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;
use serde::Serialize;
use tsn_userspace::formats::{self, Converted, Format, Loss, Selection};

use crate::{Context, Output};

/// Options of `tsnctl convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tsnctl convert --from taprio --to tsnd taprio.sh > tsnd.yaml
  tsnctl convert --to yang /etc/tsnd.yaml > tsnd.json
  tsnctl convert --from tsnkit --link '(1, 4)' --device eth1 --to tsnd demo-GCL.csv")]
pub struct Options {
    /// What the document is; may be left out where its words leave no doubt.
    #[arg(long, value_enum)]
    from: Option<Source>,
    /// What to write.
    #[arg(long, value_enum)]
    to: Target,
    /// tsnkit: the link whose gates are wanted, such as '(1, 4)'.
    #[arg(long)]
    link: Option<String>,
    /// YANG: the interface, if several have gates. tsnkit: the device to name in the result, by default eth0.
    #[arg(long)]
    device: Option<String>,
    /// Write nothing, and fail, if anything is not carried.
    #[arg(long)]
    strict: bool,
    /// The document; `-`, standard input. Of tsnkit's files the one that ends in -GCL.csv: those that end in
    /// -OFFSET.csv and -QUEUE.csv are read too if they lie beside it.
    #[arg(default_value = "-")]
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Source {
    /// The YAML file of tsnd.
    Tsnd,
    /// JSON (RFC 7951) of ieee802-dot1dc-sched-if, or of a Bridge's ieee802-dot1q-sched-bridge.
    Yang,
    /// A tc command, as pasted.
    Taprio,
    /// The CSV files of the scheduling toolkit tsnkit.
    Tsnkit,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Target {
    /// The YAML file of tsnd, without pods.
    Tsnd,
    /// JSON (RFC 7951) of ieee802-dot1dc-sched-if.
    Yang,
    /// A tc command.
    Taprio,
}

impl From<Source> for Format {
    fn from(source: Source) -> Self {
        match source {
            Source::Tsnd => Self::Tsnd,
            Source::Yang => Self::Yang,
            Source::Taprio => Self::Taprio,
            Source::Tsnkit => Self::Tsnkit,
        }
    }
}

impl From<Target> for Format {
    fn from(target: Target) -> Self {
        match target {
            Target::Tsnd => Self::Tsnd,
            Target::Yang => Self::Yang,
            Target::Taprio => Self::Taprio,
        }
    }
}

/// The answer for machines.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Answer {
    /// The document; none if `--strict` forbids it.
    document: Option<String>,
    not_carried: Vec<Loss>,
}

/// Converts, prints, and says on standard error what was not carried.
pub fn run(options: &Options, context: &Context) -> Result<ExitCode> {
    let text = read(&options.file)?;
    let from = match options.from {
        Some(from) => from.into(),
        None => formats::guess(&text).with_context(|| {
            format!(
                "{}: could be anything; say with --from what it is: tsnd, yang, taprio or tsnkit",
                options.file.display()
            )
        })?,
    };
    let to = options.to.into();
    if from == to {
        bail!("from and to are the same format; there is nothing to convert");
    }
    refuse_unused(options, from)?;
    let offsets = beside(&options.file, from, "-OFFSET.csv")?;
    let queues = beside(&options.file, from, "-QUEUE.csv")?;
    let selection = Selection {
        device: options.device.as_deref(),
        link: options.link.as_deref(),
        offsets: offsets.as_deref(),
        queues: queues.as_deref(),
    };
    let Converted {
        document,
        losses: not_carried,
    } = formats::convert(from, to, &text, selection)
        .map_err(|error| anyhow!("{}: {error}", options.file.display()))?;
    let refused = options.strict && !not_carried.is_empty();
    if context.output == Output::Text {
        for loss in &not_carried {
            eprintln!("not carried: {loss}");
        }
        if refused {
            eprintln!("nothing is written, since --strict forbids losses");
        }
    }
    let answer = Answer {
        document: (!refused).then_some(document),
        not_carried,
    };
    context.print_as_it_is(&answer, |answer| {
        Ok(answer.document.clone().unwrap_or_default())
    })?;
    Ok(if refused {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// An option that the source's format has no use for would be taken for one that worked.
fn refuse_unused(options: &Options, from: Format) -> Result<()> {
    if options.link.is_some() && from != Format::Tsnkit {
        bail!("--link: only files of tsnkit have several links; leave it out");
    }
    if options.device.is_some() && !matches!(from, Format::Yang | Format::Tsnkit) {
        bail!(
            "--device: the document names its one device itself; leave it out, and edit the result"
        );
    }
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("standard input: cannot be read as UTF-8 text")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))
}

/// Another of tsnkit's files of the same run, if it is there.
fn beside(file: &Path, from: Format, ending: &str) -> Result<Option<String>> {
    let run = file.to_str().and_then(|name| name.strip_suffix("-GCL.csv"));
    match run {
        Some(run) if from == Format::Tsnkit => {
            let other = PathBuf::from(format!("{run}{ending}"));
            other.exists().then(|| read(&other)).transpose()
        }
        _ => Ok(None),
    }
}
