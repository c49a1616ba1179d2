//! `heldby referrers`: who references an object.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use heldby_heap::Cancel;
use heldby_retention::Breadth;

use super::progress::Progress;
use crate::referrers::{Asked, Limits, Wanted, to_dot, to_json, to_text};

/// Say who references an object: by name, up to the roots
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heldby referrers app.heldby --type Photo            who holds the Photo objects
  heldby referrers app.heldby --id 0x7f3a12c0         one object, by its address: id(o) in the program
  heldby referrers app.heldby --path 'gallery.views.UPLOADS[*]'
  heldby referrers app.heldby --type Photo --format dot | dot -Tsvg > photo.svg")]
pub(super) struct Arguments {
    /// The dump
    #[arg(value_name = "DUMP")]
    dump: PathBuf,
    #[command(flatten)]
    wanted: WantedArguments,
    /// Levels of referrers, at most 300: readers of JSON do not nest deeper
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=300))]
    depth: u16,
    /// Objects, and referrers of each
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct WantedArguments {
    /// Objects of this type: qualified name, or its last part
    #[arg(long = "type", value_name = "TYPE")]
    of_type: Option<String>,
    /// The object at this address: 0x… or decimal
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    id: Option<u64>,
    /// The objects at this access path; `[*]` stands for any key or index
    #[arg(long, value_name = "ACCESSPATH")]
    path: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Paths and a tree, 100 lines at most
    Text,
    /// For programs; the fields are a contract
    Json,
    /// A picture for Graphviz
    Dot,
}

fn parse_address(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "an address is 0x… or decimal, as id(o) says it".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let wanted = match &arguments.wanted {
        WantedArguments {
            of_type: Some(name),
            ..
        } => Wanted::OfType(name.clone()),
        WantedArguments { id: Some(id), .. } => Wanted::At(*id),
        WantedArguments {
            path: Some(path), ..
        } => Wanted::AtPath(path.clone()),
        _ => bail!("one of --type, --id and --path says which objects"),
    };
    let progress = Progress::new();
    progress.say(&format!("reading {}", arguments.dump.display()));
    let dump = heldby_dump::read(&arguments.dump, &Cancel::new())?;
    for problem in &dump.problems {
        super::complain(&anyhow::anyhow!("{}: {problem}", arguments.dump.display()));
    }
    progress.say("looking for referrers");
    let limits = Limits {
        depth: usize::from(arguments.depth),
        count: arguments.limit as usize,
    };
    let breadth = match arguments.format {
        Format::Json => Breadth::Everything,
        Format::Text | Format::Dot => Breadth::TowardsRoots,
    };
    let asked = Asked::new(&dump.heap, &Cancel::new())?;
    let answer = asked.answer(&wanted, limits, breadth)?;
    progress.clear();
    let text = match arguments.format {
        Format::Text => to_text(&answer),
        Format::Json => to_json(&answer)? + "\n",
        Format::Dot => to_dot(&answer),
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
