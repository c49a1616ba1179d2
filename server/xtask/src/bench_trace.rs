//! `cargo xtask bench --trace`: what it costs a program that it is noted where its containers grow; a table of the README.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;
use crate::python::{self, Interpreter};
use crate::readme;
use crate::workspace::{self, Profile};

/// How a program runs, and what the table calls it. The first is what the others are compared with.
const MODES: [(&str, &str); 4] = [
    ("off", ""),
    ("containers", "`--trace`"),
    ("all", "`--trace=all`"),
    ("tracemalloc", "`tracemalloc`, one frame"),
];
/// Pieces of work of `bench_trace.py`.
const WORKS: [&str; 3] = ["build", "serve", "count"];
/// `--trace` may slow down what makes containers, at most, by this.
const MOST: f64 = 1.5;
/// Minor versions of Python 3.
const VERSIONS: [u32; 3] = [11, 12, 14];
/// The best of so many runs each, in turns.
const RUNS: usize = 5;

pub(crate) fn run() -> Result<()> {
    let library = workspace::build_native_agent(Profile::Release)?;
    let heldby = workspace::build_heldby(Profile::Release)?;
    let work = workspace::target()?.join("bench");
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let agent = work.join("heldby_agent.py");
    let source = process::run_quietly(Command::new(heldby).arg("agent"))?;
    fs::write(&agent, source + "\n").context("cannot write the agent's file")?;

    let mut table = String::from(
        "| interpreter | traced by | a heap is built | a service parses, groups, forgets | numbers only | memory |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    let interpreters = python::all()
        .into_iter()
        .filter(|found| VERSIONS.contains(&found.minor));
    for interpreter in interpreters {
        let mut best: [Option<Value>; MODES.len()] = Default::default();
        for _ in 0..RUNS {
            for ((mode, _), best) in MODES.iter().zip(&mut best) {
                let found = measure(&interpreter, &agent, &library, mode)?;
                *best = Some(
                    best.take()
                        .map_or(found.clone(), |best| least(best, &found)),
                );
            }
        }
        let [Some(off), traced @ ..] = &best else {
            continue;
        };
        for ((mode, name), found) in MODES[1..].iter().zip(traced.iter().flatten()) {
            row(&mut table, &interpreter, (mode, name), found, off);
        }
    }
    let _ = writeln!(table, "| at most | `--trace` | {MOST} | {MOST} | | |");
    print!("{table}");
    readme::write_table("cargo xtask bench --trace", &table)
}

fn measure(interpreter: &Interpreter, agent: &Path, library: &Path, mode: &str) -> Result<Value> {
    eprintln!("bench: working with {interpreter}, traced by: {mode}");
    let script = workspace::root().join("server/xtask/python/bench_trace.py");
    let mut command = interpreter.command();
    let text = process::run_quietly(command.arg(script).arg(agent).arg(library).arg(mode))?;
    serde_json::from_str(&text).context("bench_trace.py wrote something else than JSON")
}

/// Of each figure the smaller one: what disturbs a run only makes it slower.
fn least(mut best: Value, found: &Value) -> Value {
    for name in WORKS.iter().chain(&["memory"]) {
        if found[name].as_f64() < best[name].as_f64() {
            best[name] = found[name].clone();
        }
    }
    best
}

fn row(
    table: &mut String,
    interpreter: &Interpreter,
    (mode, name): (&str, &str),
    found: &Value,
    off: &Value,
) {
    let ratio = |figure: &str| {
        found[figure].as_f64().unwrap_or(f64::NAN) / off[figure].as_f64().unwrap_or(f64::NAN)
    };
    let cost = |work: &str| {
        let is_too_much = mode == "containers" && ratio(work) > MOST;
        format!(
            "{:.2}{}",
            ratio(work),
            if is_too_much { " (too much)" } else { "" }
        )
    };
    // Writing to a string does not fail.
    let _ = writeln!(
        table,
        "| {interpreter} | {name} | {} | {} | {} | {:.2} |",
        cost("build"),
        cost("serve"),
        cost("count"),
        ratio("memory"),
    );
}
