//! The README's tables that a command measures and writes.

use std::fs;

use anyhow::{Context, Result};

use crate::workspace;

const END: &str = "<!-- end -->\n";

/// Puts a table between the line that names its command and the next end.
pub(crate) fn write_table(command: &str, table: &str) -> Result<()> {
    let path = workspace::root().join("README.md");
    let begin = format!("<!-- written by `{command}` -->\n");
    let text = fs::read_to_string(&path).context("cannot read the README")?;
    let (before, rest) = text
        .split_once(&begin)
        .with_context(|| format!("the README has no line `{}`", begin.trim_end()))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("the README has no line `{}`", END.trim_end()))?;
    fs::write(&path, format!("{before}{begin}{table}{END}{after}"))
        .context("cannot write the README")
}
