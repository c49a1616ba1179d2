//! `cargo xtask bench --peers`: other tools and heldby, asked in one run who holds an object of the same heap.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;
use crate::python::{self, Interpreter};
use crate::readme;
use crate::workspace::{self, Profile};

/// As bench.py calls them; what each has to say about.
const TOOLS: [&str; 7] = [
    "heldby",
    "heldby, agent in Python",
    "heldby_agent.why",
    "guppy3",
    "objgraph",
    "referrers",
    "Pympler",
];
const OBJECTS: [&str; 2] = ["list", "bytes"];
/// Each figure is the best of so many runs.
const RUNS: usize = 2;

/// Measures, prints the table, and writes it into the README.
pub(crate) fn run(interpreter: &Interpreter) -> Result<()> {
    let heldby = workspace::build_heldby(Profile::Release)?;
    let library = workspace::build_native_agent(Profile::Release)?;
    let work = workspace::target()?.join("bench");
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let scripts = workspace::root()
        .join("server")
        .join("xtask")
        .join("python");
    let environment = python::environment(
        interpreter,
        &work.join("peers"),
        &scripts.join("peers.txt"),
        || {
            eprintln!(
                "bench: installing guppy3, objgraph, referrers and Pympler under the target folder"
            )
        },
    )?;
    let agent = work.join("heldby_agent.py");
    let source = process::run_quietly(Command::new(&heldby).arg("agent"))?;
    fs::write(&agent, source + "\n").context("cannot write the agent's file")?;

    let mut table = format!(
        "One heap of 1.44 million objects, {interpreter}, one run on one machine: compare the rows, not the seconds.\n\n\
         | tool | asked about | answer after | program stopped | memory on top | lines | names of the true path |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for (tool, what) in TOOLS
        .iter()
        .flat_map(|tool| OBJECTS.map(|what| (tool, what)))
    {
        eprintln!("bench: {tool} on a {what}");
        let measure = || {
            let mut command = environment.command();
            command
                .arg(scripts.join("bench.py"))
                .args(["holder", tool, what])
                .args([&agent, &heldby, &library, &work.join("peers.heldby")]);
            let text = process::run_quietly(&mut command)?;
            serde_json::from_str::<Value>(&text).context("bench.py wrote something else than JSON")
        };
        let mut best = measure()?;
        for _ in 1..RUNS {
            let next = measure()?;
            if number(&next, "wall_seconds") < number(&best, "wall_seconds") {
                best = next;
            }
        }
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| {tool} | a {what} object | {:.1} s | {:.2} s | {:.0} MB | {} | {} of 3 |",
            number(&best, "wall_seconds"),
            number(&best, "stopped_seconds"),
            number(&best, "peak_bytes") / 1e6,
            best["lines"],
            best["named"],
        );
    }
    print!("{table}");
    readme::write_table("cargo xtask bench --peers", &table)
}

fn number(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap_or(0.0)
}
