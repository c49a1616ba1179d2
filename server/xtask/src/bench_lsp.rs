//! `cargo xtask bench --lsp`: how quickly the language server answers, and what it takes, with 1.5 million objects loaded.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;
use crate::python::Interpreter;
use crate::workspace::{self, Profile};

/// Measures, and prints a table.
pub(crate) fn run(interpreter: &Interpreter) -> Result<()> {
    let heldby = workspace::build_heldby(Profile::Release)?;
    let folder = workspace::target()?.join("bench").join("lsp");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let agent = folder.join("heldby_agent.py");
    let text = process::run_quietly(std::process::Command::new(&heldby).arg("agent"))?;
    fs::write(&agent, text + "\n").context("cannot write the agent's file")?;
    let script = workspace::root()
        .join("server")
        .join("xtask")
        .join("python")
        .join("bench_lsp.py");
    let run = |what: &str, with: &std::path::Path| {
        let mut command = interpreter.command();
        command.arg(&script).arg(what).arg(&folder).arg(with);
        process::run_quietly(&mut command)
    };
    eprintln!("bench: three dumps of 1.5 million objects, with {interpreter}");
    run("make", &agent)?;
    eprintln!("bench: a client types for 30 s, then loads and unloads a dump 1,000 times");
    let text = run("measure", &heldby)?;
    let figures: Value =
        serde_json::from_str(&text).context("bench_lsp.py wrote something else than JSON")?;

    let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
    let row = |figure: &str, measured: String, at_most: &str| {
        println!("{figure:<48} {measured:>12} {at_most:>12}");
    };
    let milliseconds = |name: &str| format!("{:.1}", number(name) * 1e3);
    println!("{:<48} {:>12} {:>12}", "figure", "measured", "at most");
    row(
        "objects of the three dumps",
        format!("{}", number("objects")),
        "",
    );
    row(
        "load to the first diagnostic, s",
        format!("{:.2}", number("first_diagnostic_seconds")),
        "",
    );
    row(
        "load to its answer, s",
        format!("{:.2}", number("load_seconds")),
        "",
    );
    row("hover, p50, ms", milliseconds("hover_p50_seconds"), "");
    row("hover, p99, ms", milliseconds("hover_p99_seconds"), "10");
    row(
        "code action, p50, ms",
        milliseconds("action_p50_seconds"),
        "",
    );
    row(
        "code action, p99, ms",
        milliseconds("action_p99_seconds"),
        "10",
    );
    row(
        "edit to diagnostics, p50, ms",
        milliseconds("republish_p50_seconds"),
        "",
    );
    row(
        "edit to diagnostics, p99, ms",
        milliseconds("republish_p99_seconds"),
        "250",
    );
    row("edits", format!("{}", number("edits")), "");
    row("publications", format!("{}", number("publications")), "");
    row(
        "memory after load, bytes an object and dump",
        format!("{:.1}", number("bytes_an_object")),
        "150",
    );
    row(
        "at its peak, bytes an object and dump",
        format!("{:.1}", number("peak_bytes_an_object")),
        "",
    );
    let mebibytes = |name: &str| format!("{:.1}", number(name) / f64::from(1 << 20));
    row(
        "grown while typing, MiB",
        mebibytes("grown_while_typing_bytes"),
        "",
    );
    row(
        "most memory, loads and unloads 100 to 550, MiB",
        mebibytes("earlier_loads_bytes"),
        "",
    );
    row(
        "most memory, 550 to 1,000, MiB",
        mebibytes("later_loads_bytes"),
        "",
    );
    Ok(())
}
