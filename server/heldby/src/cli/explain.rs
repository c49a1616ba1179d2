//! `heldby explain`: what a kind of holder means, and how it is usually mended.

use std::fmt::Write as _;
use std::process::ExitCode;

use heldby_finding::explanations::{KINDS, explanation};
use heldby_finding::words;

/// Explain a kind of holder: what it means, why it happens, how it is usually mended
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heldby explain
  heldby explain default-argument")]
pub(super) struct Arguments {
    /// The kind, as a report has it in brackets: `warning[module-global]`. Without one, all kinds are listed
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let text = match &arguments.kind {
        Some(kind) => explanation(kind).ok_or_else(|| {
            anyhow::anyhow!("there is no kind `{kind}`: `heldby explain` lists those there are")
        })?,
        None => list(),
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn list() -> String {
    let width = KINDS
        .iter()
        .map(|kind| kind.len())
        .max()
        .unwrap_or_default();
    KINDS.iter().fold(String::new(), |mut text, kind| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{kind:width$}  {}", words::holder_kind(kind));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_line() {
        let text = list();
        assert_eq!(text.lines().count(), KINDS.len());
        assert!(
            text.contains("default-argument     default argument\n"),
            "{text}"
        );
    }
}
