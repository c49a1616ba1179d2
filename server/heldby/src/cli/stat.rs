//! `heldby stat`: what a dump has in it.

use std::path::PathBuf;
use std::process::ExitCode;

use heldby_heap::Cancel;

use super::progress::Progress;
use crate::stat::{Statistics, to_json, to_text};

/// Say what a dump has in it: counts and sizes by type, roots, reference counts, problems
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heldby stat app.heldby                 the types that take most
  heldby stat app.heldby --limit 1000 --format json | jq '.types[] | select(.module == \"gallery\")'")]
pub(super) struct Arguments {
    /// The dump
    #[arg(value_name = "DUMP")]
    dump: PathBuf,
    /// Types that are listed
    #[arg(long, value_name = "N", default_value_t = 25)]
    limit: usize,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Tables
    Text,
    /// For programs: all types, whatever the limit
    Json,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let progress = Progress::new();
    progress.say(&format!("reading {}", arguments.dump.display()));
    let cancel = Cancel::new();
    let dump = heldby_dump::read(&arguments.dump, &cancel)?;
    let statistics = Statistics::of(&dump, &cancel)?;
    progress.clear();
    let text = match arguments.format {
        Format::Text => to_text(&statistics, arguments.limit),
        Format::Json => to_json(&statistics)? + "\n",
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
