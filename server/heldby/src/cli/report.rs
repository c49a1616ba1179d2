//! `heldby report`: the findings of one dump, or of a series.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use heldby_finding::Severity;

use super::WARNINGS_FOUND;
use super::progress::Progress;
use crate::analysis::analyse;
use crate::disk::SourceFolders;
use crate::settings::ProjectSettings;
use crate::{report_json, report_text, silencing};

/// Say what grows in a series of dumps, and which lines keep it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heldby report 1.heldby 2.heldby 3.heldby     a series, oldest first
  heldby report .heldby/app-4711               all dumps of a folder
  heldby report dumps --format json | jq '.findings[].access_path'
  heldby report dumps --map /srv/app=.         dumps of another machine: it lay in /srv/app
  heldby report dumps --fail-on warning        exit code 1 when something leaks, for CI")]
pub(super) struct Arguments {
    /// Dumps, oldest first; a folder stands for its dumps
    #[arg(required = true, value_name = "DUMP")]
    dumps: Vec<PathBuf>,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where the program's sources lie, if not where the dump says
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// A path prefix of the dump's machine, and ours (may be given several times)
    #[arg(long = "map", value_name = "FROM=TO", value_parser = parse_map)]
    maps: Vec<(String, String)>,
    /// Tell of findings that the project's settings or a comment silence, too
    #[arg(long)]
    ignored: bool,
    /// Exit with 1 when there are findings of this severity
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    /// Annotated source
    Text,
    /// For programs; the fields are a contract
    Json,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum FailOn {
    /// Growth proven by at least three dumps
    Warning,
}

pub(super) fn parse_map(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() => Ok((from.to_owned(), to.to_owned())),
        _ => Err("a mapping is FROM=TO, as in /srv/app=.".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let paths = dump_files(&arguments.dumps)?;
    let folder = match &arguments.root {
        Some(root) => root.clone(),
        None => std::env::current_dir().unwrap_or_default(),
    };
    let settings = ProjectSettings::of_folder(&folder);
    for problem in &settings.problems {
        super::complain(&anyhow::anyhow!("{problem}"));
    }
    let mut maps = arguments.maps.clone();
    maps.extend(settings.path_mappings.iter().cloned());
    let folders = SourceFolders {
        roots: arguments.root.iter().cloned().collect(),
        maps,
    };
    let progress = Progress::new();
    let mut reports = analyse(&paths, &folders, &|message| progress.say(message))?;
    progress.clear();
    if !arguments.ignored {
        silencing::leave_out(&mut reports, &settings);
    }
    let text = match arguments.format {
        Format::Json => report_json::to_json(&reports)? + "\n",
        Format::Text => report_text::to_text(&reports),
    };
    super::print(&text)?;
    let has_warning = reports
        .iter()
        .flat_map(|report| &report.findings)
        .any(|finding| finding.severity == Severity::Warning);
    Ok(match arguments.fail_on {
        Some(FailOn::Warning) if has_warning => ExitCode::from(WARNINGS_FOUND),
        _ => ExitCode::SUCCESS,
    })
}

/// The dumps that the arguments name: files as they are, of folders what ends in `.heldby`, by name.
pub(super) fn dump_files(arguments: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for argument in arguments {
        if !argument.is_dir() {
            files.push(argument.clone());
            continue;
        }
        let before = files.len();
        add_dumps_of(argument, &mut files, true)?;
        if files.len() == before {
            bail!(
                "{}: no dumps in this folder (files that end in .heldby)",
                argument.display()
            );
        }
    }
    Ok(files)
}

pub(super) fn add_dumps_of(
    folder: &Path,
    files: &mut Vec<PathBuf>,
    with_folders: bool,
) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if with_folders {
                add_dumps_of(&path, files, false)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "heldby")
        {
            files.push(path);
        }
    }
    Ok(())
}
