//! `cargo xtask leaks`: the README's table of the programs in `tests/leaks`, which the tests run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};

use crate::readme;
use crate::workspace;

const COMMAND: &str = "cargo xtask leaks";

/// Prints the table, and writes it into the README.
pub(crate) fn run() -> Result<()> {
    let table = table()?;
    print!("{table}");
    readme::write_table(COMMAND, &table)
}

/// What a program says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    about: String,
    /// Kind of the holder that a mark names, or that C code holds.
    kind: String,
    /// The line that heldby names first.
    line: String,
}

fn table() -> Result<String> {
    let folder = workspace::root().join("tests").join("leaks");
    let mut by_kind: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut silent = 0;
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in &paths {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        match row(&text) {
            Some(row) => by_kind.entry(row.kind.clone()).or_default().push(row),
            None => silent += 1,
        }
    }
    let leaking = paths.len() - silent;
    let mut table = format!(
        "{leaking} programs that leak, each with a twin in which that is mended and heldby is silent, and {silent} that do not leak.\n\n\
         | holder | what leaks | the line that heldby names first |\n| --- | --- | --- |\n"
    );
    for row in by_kind.into_values().flatten() {
        let Row { about, kind, line } = row;
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {kind} | {about} | {} |", as_code(&line));
    }
    Ok(table)
}

/// The row of a program that leaks.
fn row(text: &str) -> Option<Row> {
    let mut row = Row::default();
    let mut code = "";
    let mut leaks = false;
    let mut best = false;
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("#- about: ") {
            about.clone_into(&mut row.about);
        } else if line.starts_with("#- held: ") {
            leaks = true;
        } else if let Some((_, words)) = line
            .split_once('^')
            .filter(|(before, _)| before.trim() == "#")
        {
            let words = words.trim_start_matches('^').trim();
            if let Some(holder) = words.strip_prefix("holder ") {
                if row.kind.is_empty() {
                    row.kind = holder.split(' ').next().unwrap_or_default().to_owned();
                }
            } else if row.line.is_empty() || words.ends_with(" best") && !best {
                code.trim().clone_into(&mut row.line);
                best = words.ends_with(" best");
            }
        } else if !line.starts_with("#~") {
            code = line;
        }
    }
    if row.kind.is_empty() {
        // Of what lies outside of the program no line is marked, nor of all that a module has.
        let held = text.lines().find_map(|line| line.strip_prefix("#- held: "));
        let held = held.unwrap_or_default();
        row.kind = if held.starts_with("<native>") {
            "native"
        } else if held.contains(".__dict__[*]") {
            "module-global"
        } else {
            "in the standard library"
        }
        .to_owned();
    }
    leaks.then_some(row)
}

/// As code in a cell of a table.
fn as_code(line: &str) -> String {
    if line.is_empty() {
        return "none: it is made by `exec`".to_owned();
    }
    format!("`{}`", line.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_line_is_shown() {
        let program = "#- about: a list\n#- m.py\nX = []\n#^^^^^ holder module-global m.X\ndef f(v):\n    X.append(v)\n\
                       #   ^^^^^^^^^^^ store\n#~    pass\nf(1)\n#^^^ caller best\n#- held: m.X[*] of int\n";
        let expected = Row {
            about: "a list".to_owned(),
            kind: "module-global".to_owned(),
            line: "f(1)".to_owned(),
        };
        assert_eq!(row(program), Some(expected));
        assert_eq!(row("#- m.py\nX = []\n"), None);
    }

    #[test]
    fn the_readme_has_the_table_of_today() {
        let readme = fs::read_to_string(workspace::root().join("README.md")).unwrap_or_default();
        let table = table().unwrap_or_else(|error| panic!("{error:#}"));
        assert!(readme.contains(&table), "`{COMMAND}` writes it");
    }
}
