//! Heap snapshots through real debuggers: the language server with debugpy, on the Python of this machine, and with the oldest debugpy
//! that it knows on the oldest Python.

use std::path::PathBuf;

use anyhow::Result;

use crate::process;
use crate::python::{self, Interpreter};
use crate::test::{NotToBeHad, Prepare, Step, join, slow_test, two_at_a_time};
use crate::workspace;

/// `everything`: the newest debugpy on each interpreter too.
pub(crate) fn steps(everything: bool) -> Vec<Step> {
    let found = python::all();
    let mut chosen: Vec<(&'static str, Option<Interpreter>)> = vec![
        ("requirements.txt", python::default().ok()),
        ("requirements-oldest.txt", found.first().cloned()),
    ];
    if everything {
        let usual = python::default().map_or(0, |usual| usual.minor);
        let others = found.into_iter().filter(|found| found.minor != usual);
        chosen.extend(others.map(|other| ("requirements.txt", Some(other))));
    }
    let tests = chosen
        .into_iter()
        .filter_map(|(requirements, interpreter)| Some((requirements, interpreter?)))
        .map(|(requirements, interpreter)| {
            let age = if requirements == "requirements.txt" {
                ""
            } else {
                ", the oldest debugpy"
            };
            let name = format!("debug sessions on {interpreter}{age}");
            let prepare: Prepare = Box::new(move || {
                let python = join(&[debugpy(&interpreter, requirements)?])?;
                Ok(slow_test("debug_sessions", "HELDBY_TEST_DEBUGPY", &python))
            });
            (name, Ok(prepare))
        });
    two_at_a_time(tests)
}

/// A Python that has debugpy.
fn debugpy(interpreter: &Interpreter, requirements: &str) -> Result<PathBuf> {
    let stem = requirements.trim_end_matches(".txt");
    let folder = workspace::target()?
        .join("debug_sessions")
        .join(format!("{stem}-3.{}", interpreter.minor));
    let requirements = workspace::root()
        .join("tests/debug_sessions")
        .join(requirements);
    let announce = || println!("installing debugpy under the target folder");
    let python = python::environment(interpreter, &folder, &requirements, announce)
        .map_err(|error| NotToBeHad(process::explained(&error)))?;
    Ok(python.executable)
}
