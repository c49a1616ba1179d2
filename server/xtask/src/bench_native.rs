//! `cargo xtask bench --native`: how much a program notices of a dump that the native agent takes; a table of the README.

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

/// Instances of seven objects each, and what a dump may take at most: milliseconds for which the program stands still.
const HEAPS: [(u32, f64); 2] = [(200_000, 40.0), (860_000, 80.0)];
const MOST_MICROSECONDS_AN_OBJECT: f64 = 0.4;
const MOST_BYTES_AN_OBJECT: f64 = 25.0;
/// Minor versions of Python 3.
const VERSIONS: [u32; 2] = [12, 14];

pub(crate) fn run() -> Result<()> {
    let library = workspace::build_native_agent(Profile::Release)?;
    let heldby = workspace::build_heldby(Profile::Release)?;
    let work = workspace::target()?.join("bench");
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let agent = work.join("heldby_agent.py");
    let source = process::run_quietly(Command::new(heldby).arg("agent"))?;
    fs::write(&agent, source + "\n").context("cannot write the agent's file")?;

    let mut table = String::from(
        "| interpreter | objects | program stood still | another thread's longest wait | child, µs an object | dump, bytes an object | memory of the child | whole after | web server, p99 before / during / after | its answers a second |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let interpreters = python::all()
        .into_iter()
        .filter(|found| VERSIONS.contains(&found.minor));
    for interpreter in interpreters {
        for (instances, most_still) in HEAPS {
            let found = measure(&interpreter, &agent, &library, &work, instances)?;
            row(&mut table, &interpreter, &found, most_still);
            if instances == HEAPS[0].0 {
                let walked = measure(&interpreter, &agent, Path::new(""), &work, instances)?;
                row_of_walk(&mut table, &interpreter, &walked, number(&found, "objects"));
            }
        }
    }
    let _ = writeln!(
        table,
        "| at most | | 40 ms, 80 ms | | {MOST_MICROSECONDS_AN_OBJECT} | {MOST_BYTES_AN_OBJECT} | | | | |"
    );
    print!("{table}");
    readme::write_table("cargo xtask bench --native", &table)
}

fn measure(
    interpreter: &Interpreter,
    agent: &Path,
    library: &Path,
    work: &Path,
    instances: u32,
) -> Result<Value> {
    eprintln!("bench: dumping {instances} instances with {interpreter}");
    let script = workspace::root().join("server/xtask/python/bench_native.py");
    let text = process::run_quietly(
        interpreter
            .command()
            .arg(script)
            .arg(agent)
            .arg(library)
            .arg(work.join("native.heldby"))
            .arg(instances.to_string()),
    )?;
    serde_json::from_str(&text).context("bench_native.py wrote something else than JSON")
}

fn row(table: &mut String, interpreter: &Interpreter, found: &Value, most_still: f64) {
    let number = |name: &str| number(found, name);
    let objects = number("objects");
    let milliseconds = |name: &str| format!("{:.1} ms", number(name) * 1e3);
    let still = number("stood_still_at_most_nanoseconds") / 1e6;
    let mark = |is_kept: bool| if is_kept { "" } else { " (too much)" };
    let cpu = number("cpu_nanoseconds") / objects / 1e3;
    let bytes = number("dump_bytes") / objects;
    // Writing to a string does not fail.
    let _ = writeln!(
        table,
        "| {interpreter} | {:.2} million | {:.1} to {still:.1} ms{} | {} | {cpu:.2}{} | {bytes:.1}{} | {:.0} MB | {:.2} s | {} / {} / {} | {:.0} / {:.0} / {:.0} |",
        objects / 1e6,
        number("stood_still_nanoseconds") / 1e6,
        mark(still <= most_still),
        milliseconds("gap_seconds"),
        mark(cpu <= MOST_MICROSECONDS_AN_OBJECT),
        mark(bytes <= MOST_BYTES_AN_OBJECT),
        number("private_bytes") / 1e6,
        number("whole_seconds"),
        milliseconds("p99_before_seconds"),
        milliseconds("p99_during_seconds"),
        milliseconds("p99_after_seconds"),
        number("answers_a_second_before"),
        number("answers_a_second_during"),
        number("answers_a_second_after"),
    );
}

/// What others do: the child of a fork walks the heap in Python. Nobody measures how others feel it: the child is a process like any other.
fn row_of_walk(table: &mut String, interpreter: &Interpreter, found: &Value, objects: f64) {
    let number = |name: &str| number(found, name);
    // Writing to a string does not fail.
    let _ = writeln!(
        table,
        "| {interpreter}, a fork and a walk in Python | {:.2} million | {:.1} ms | | {:.2} | {:.1} | {:.0} MB | {:.2} s | | |",
        objects / 1e6,
        number("stood_still_nanoseconds") / 1e6,
        number("cpu_nanoseconds") / objects / 1e3,
        number("dump_bytes") / objects,
        number("private_bytes") / 1e6,
        number("whole_seconds"),
    );
}

fn number(found: &Value, name: &str) -> f64 {
    found[name].as_f64().unwrap_or(f64::NAN)
}
