//! `cargo xtask bench --drift`: how well sites of a text are found again in another version of it.
//!
//! The texts are the standard libraries of two Pythons: what changed between them is years of work of many people. An example of
//! `heldby-source` compares them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;
use crate::python::{self, Interpreter};
use crate::workspace;

/// Compares the standard libraries of two interpreters: 3.11 and 3.12 if none are named, else the newest two at hand.
pub(crate) fn run(old: Option<&Path>, new: Option<&Path>) -> Result<()> {
    let (old, new) = interpreters(old, new)?;
    eprintln!("bench: from the standard library of {old} to that of {new}");
    // The parser takes ten times as long without optimisation.
    let mut compare = workspace::cargo(&["run", "--quiet", "--release"]);
    compare
        .args(["--package", "heldby-source", "--example", "drift", "--"])
        .args([standard_library(&old)?, standard_library(&new)?]);
    process::run(&mut compare)
}

fn interpreters(old: Option<&Path>, new: Option<&Path>) -> Result<(Interpreter, Interpreter)> {
    let named = |program: &Path| {
        Interpreter::at(program)
            .with_context(|| format!("{} is no Python 3.8 or later", program.display()))
    };
    if let (Some(old), Some(new)) = (old, new) {
        return Ok((named(old)?, named(new)?));
    }
    let all = python::all();
    let of_version = |minor: u32| all.iter().find(|found| found.minor == minor).cloned();
    let (usual_old, usual_new) = match (of_version(11), of_version(12), &all[..]) {
        (Some(old), Some(new), _) => (old, new),
        (_, _, [.., old, new]) => (old.clone(), new.clone()),
        _ => anyhow::bail!(
            "two Pythons of different minor versions are needed; name them with --from and --to"
        ),
    };
    Ok((
        old.map_or(Ok(usual_old), named)?,
        new.map_or(Ok(usual_new), named)?,
    ))
}

fn standard_library(interpreter: &Interpreter) -> Result<PathBuf> {
    let question = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    let answer = process::run_quietly(interpreter.command().args(["-I", "-c", question]))?;
    Ok(answer.into())
}
