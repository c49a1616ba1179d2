//! `heldby confirm`: counts in the running program how often the lines of a finding run, and ranks them by that.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use heldby_capture::{AttachSettings, CountedLines, count_lines};
use heldby_finding::{Finding, ProcessReport, confirm};

use super::progress::Progress;
use super::report::{Format, dump_files, parse_map};
use crate::analysis::analyse;
use crate::disk::SourceFolders;
use crate::{counting, report_json, report_text};

/// Count how often the lines of a finding run in the running program
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Since Python 3.12 only the code that has those lines is slower while they are counted; before that,
every call is. Nothing of it stays in the program. How heldby gets into it: see `heldby capture --help`.

Examples:
  heldby confirm --pid 4711 app.UPLOADS
  heldby confirm --pid 4711 1c3d5a70b2e4f698 .heldby/app-4711-20261124T101500Z --seconds 30")]
pub(super) struct Arguments {
    /// The process
    #[arg(long, value_name = "N")]
    pid: u32,
    /// The finding: its holder, its access path, or its id in the report
    #[arg(value_name = "FINDING")]
    finding: String,
    /// Dumps of the process; a folder stands for its dumps
    #[arg(value_name = "DUMP", default_value = ".heldby")]
    dumps: Vec<PathBuf>,
    /// How long to count
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = parse_seconds)]
    seconds: f64,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where the program's sources lie, if not where the dump says
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// A path prefix of the dump's machine, and ours (may be given several times)
    #[arg(long = "map", value_name = "FROM=TO", value_parser = parse_map)]
    maps: Vec<(String, String)>,
}

/// Nobody counts for longer than a day.
const MOST_SECONDS: f64 = 86_400.0;
/// How long the program may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds: &f64| *seconds > 0.0 && *seconds <= MOST_SECONDS)
        .ok_or_else(|| "a number of seconds greater than 0, a day at most".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folders = SourceFolders {
        roots: arguments.root.iter().cloned().collect(),
        maps: arguments.maps.clone(),
    };
    let progress = Progress::new();
    let paths = dump_files(&arguments.dumps)?;
    let reports = analyse(&paths, &folders, &|message| progress.say(message))?;
    let report = reports
        .into_iter()
        .rfind(|report| report.pid == u64::from(arguments.pid));
    let Some(mut report) = report else {
        progress.clear();
        bail!(
            "these dumps are of other processes than {0}: `heldby capture --pid {0}` takes one",
            arguments.pid
        );
    };
    let mut finding = wanted(&report, &arguments.finding).inspect_err(|_| progress.clear())?;
    let lines = counting::lines_of(&finding);
    let counted: Vec<CountedLines> = lines.iter().flatten().cloned().collect();
    if counted.is_empty() {
        progress.clear();
        bail!(
            "there is no line to count: no place is known that stores into {}, or its file was changed since",
            finding.holder.path
        );
    }
    progress.say(&format!("counting for {} s", arguments.seconds));
    let settings = AttachSettings {
        pid: arguments.pid,
        native_library: heldby_capture::native_library(),
        patience: PATIENCE,
        interrupted: super::signals::interrupted()?,
    };
    let counts = count_lines(
        &settings,
        &counted,
        Duration::from_secs_f64(arguments.seconds),
    );
    progress.clear();
    let counts = counts.context("the lines could not be counted")?;
    let runs = counting::runs_of(&lines, &counts.runs);
    confirm(&mut finding, &runs);
    report.findings = vec![finding];
    let text = match arguments.format {
        Format::Json => report_json::to_json(&[report])? + "\n",
        Format::Text => format!(
            "{}counted for {} s with {}\n",
            report_text::to_text(&[report]),
            counts.seconds,
            counts.by
        ),
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The finding that is meant: by its id, else by its access path, else by its holder, if there is one only.
fn wanted(report: &ProcessReport, name: &str) -> Result<Finding> {
    let by = |is_it: &dyn Fn(&Finding) -> bool| -> Vec<&Finding> {
        report.findings.iter().filter(|one| is_it(one)).collect()
    };
    let found = [
        by(&|one| one.id == name),
        by(&|one| one.access_path == name),
        by(&|one| one.holder.path == name),
    ];
    match found
        .iter()
        .find(|found| !found.is_empty())
        .map(Vec::as_slice)
    {
        Some([one]) => Ok((*one).clone()),
        Some(several) => {
            let paths: Vec<&str> = several.iter().map(|one| one.access_path.as_str()).collect();
            bail!(
                "{name} is the holder of several findings: {}",
                paths.join(", ")
            )
        }
        None if report.findings.is_empty() => {
            bail!("nothing was found in the dumps of this process: take more of them")
        }
        None => {
            let paths: Vec<&str> = report
                .findings
                .iter()
                .take(5)
                .map(|one| one.access_path.as_str())
                .collect();
            bail!(
                "there is no finding {name}; there are: {}",
                paths.join(", ")
            )
        }
    }
}
