//! `cargo xtask bench`: the figures that users feel, beside what they may be at most.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench_lsp;
use crate::bench_native;
use crate::bench_trace;
use crate::drift;
use crate::peers;
use crate::process;
use crate::python::{self, Interpreter};
use crate::readme;
use crate::vscode;
use crate::workspace::{self, Profile};

/// Each figure is the best of so many runs: what disturbs a run only makes it slower.
const RUNS: usize = 3;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The Python to make the heap with [default: `python3` of the PATH]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Ask other tools who holds an object of the same heap, too, and write the table into the README
    #[arg(long)]
    peers: bool,
    /// Measure the agent on each Python at hand, and write the table into the README
    #[arg(long, conflicts_with = "python")]
    interpreters: bool,
    /// Measure how much a program notices of the native agent's dumps, and write the table into the README
    #[arg(long, conflicts_with_all = ["python", "peers", "interpreters"])]
    native: bool,
    /// Measure what it costs a program that it is noted where its containers grow, and write the table into the README
    #[arg(long, conflicts_with_all = ["python", "peers", "interpreters"])]
    trace: bool,
    /// Measure the language server: answers while a client types, memory, loading
    #[arg(long)]
    lsp: bool,
    /// Measure snapshots in Visual Studio Code: from the click to the diagnostics, how long the program stands still
    #[arg(long)]
    snapshots: bool,
    /// Measure how well sites are found again in edited text: from one Python's standard library to another's
    #[arg(long, conflicts_with_all = ["python", "peers", "interpreters"])]
    drift: bool,
    /// The Python whose library is the older text [default: 3.11 if it is there]
    #[arg(long, value_name = "PROGRAM", requires = "drift")]
    from: Option<PathBuf>,
    /// The Python whose library is the newer text [default: 3.12 if it is there]
    #[arg(long, value_name = "PROGRAM", requires = "drift")]
    to: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.drift {
        return drift::run(options.from.as_deref(), options.to.as_deref());
    }
    anyhow::ensure!(cfg!(unix), "the figures can only be measured on Unix");
    let interpreter = match &options.python {
        Some(program) => Interpreter::at(program)
            .with_context(|| format!("{} is no Python 3.8 or later", program.display()))?,
        None => python::default()?,
    };
    eprintln!("bench: building heldby");
    if options.peers {
        return peers::run(&interpreter);
    }
    if options.native {
        return bench_native::run();
    }
    if options.trace {
        return bench_trace::run();
    }
    if options.snapshots {
        return vscode::figures();
    }
    if options.lsp {
        return bench_lsp::run(&interpreter);
    }
    let heldby = workspace::build_heldby(Profile::Release)?;
    if options.interpreters {
        return each_interpreter(&heldby);
    }
    let bench = Bench::prepare(heldby, interpreter)?;
    let agent = bench.measure_agent()?;

    eprintln!("bench: reporting on it, {RUNS} times");
    let objects = bench.objects()?;
    let report = best(|| {
        bench.measure(&[
            "run".as_ref(),
            &bench.heldby,
            "report".as_ref(),
            &bench.dump(),
        ])
    })?;

    let each = |total: f64| total / objects;
    println!("{:<44} {:>12} {:>12}", "figure", "measured", "at most");
    row("objects of the dump", format!("{objects}"), "");
    row(
        "agent: CPU, µs per object",
        format!("{:.2}", each(agent.cpu_seconds * 1e6)),
        "2.5",
    );
    row("agent: time, s", format!("{:.2}", agent.wall_seconds), "");
    row(
        "agent: memory on top, bytes per object",
        format!("{:.1}", each(agent.peak_bytes)),
        "",
    );
    row(
        "dump: bytes per object",
        format!("{:.1}", each(agent.dump_bytes)),
        "",
    );
    row("report: CPU, s", format!("{:.2}", report.cpu_seconds), "2");
    row("report: time, s", format!("{:.2}", report.wall_seconds), "");
    row(
        "report: peak memory, bytes per object",
        format!("{:.1}", each(report.peak_bytes)),
        "150",
    );
    Ok(())
}

/// What the agent takes on each interpreter: a table of the README.
fn each_interpreter(heldby: &Path) -> Result<()> {
    let mut table = String::from(
        "| interpreter | objects | agent, µs an object | dump, bytes an object | memory on top, bytes an object |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for interpreter in python::all() {
        let bench = Bench::prepare(heldby.to_owned(), interpreter)?;
        let agent = bench.measure_agent()?;
        let objects = bench.objects()?;
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| {} | {:.2} million | {:.2} | {:.1} | {:.0} |",
            bench.interpreter,
            objects / 1e6,
            agent.cpu_seconds * 1e6 / objects,
            agent.dump_bytes / objects,
            agent.peak_bytes / objects,
        );
    }
    print!("{table}");
    readme::write_table("cargo xtask bench --interpreters", &table)
}

fn row(figure: &str, measured: String, at_most: &str) {
    println!("{figure:<44} {measured:>12} {at_most:>12}");
}

struct Bench {
    heldby: PathBuf,
    interpreter: Interpreter,
    work: PathBuf,
}

/// What one run used.
struct Usage {
    cpu_seconds: f64,
    wall_seconds: f64,
    peak_bytes: f64,
    /// 0 where no dump was written.
    dump_bytes: f64,
}

impl Bench {
    fn prepare(heldby: PathBuf, interpreter: Interpreter) -> Result<Self> {
        let work = workspace::target()?.join("bench");
        fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
        let bench = Self {
            heldby,
            interpreter,
            work,
        };
        let agent = process::run_quietly(Command::new(&bench.heldby).arg("agent"))?;
        fs::write(bench.agent(), agent + "\n").context("cannot write the agent's file")?;
        Ok(bench)
    }

    /// How many objects the dump has.
    fn objects(&self) -> Result<f64> {
        let report = process::run_quietly(
            Command::new(&self.heldby)
                .args(["report", "--format", "json"])
                .arg(self.dump()),
        )?;
        let report: Value = serde_json::from_str(&report)
            .context("`heldby report` wrote something else than JSON")?;
        report["dumps"][0]["objects"]
            .as_f64()
            .context("the report does not say how many objects there are")
    }

    fn measure(&self, arguments: &[&Path]) -> Result<Usage> {
        let script = workspace::root()
            .join("server")
            .join("xtask")
            .join("python")
            .join("bench.py");
        let text = process::run_quietly(self.interpreter.command().arg(script).args(arguments))?;
        let usage: Value =
            serde_json::from_str(&text).context("bench.py wrote something else than JSON")?;
        let number = |name: &str| usage[name].as_f64().unwrap_or(0.0);
        Ok(Usage {
            cpu_seconds: number("cpu_seconds"),
            wall_seconds: number("wall_seconds"),
            peak_bytes: number("peak_bytes"),
            dump_bytes: number("dump_bytes"),
        })
    }

    fn measure_agent(&self) -> Result<Usage> {
        eprintln!(
            "bench: dumping a heap of 1.4 million objects with {}, {RUNS} times",
            self.interpreter
        );
        best(|| self.measure(&["heap".as_ref(), &self.agent(), &self.dump()]))
    }

    fn agent(&self) -> PathBuf {
        self.work.join("heldby_agent.py")
    }

    fn dump(&self) -> PathBuf {
        self.work.join("orders.heldby")
    }
}

/// The run that used least CPU.
fn best(mut measure: impl FnMut() -> Result<Usage>) -> Result<Usage> {
    let mut best = measure()?;
    for _ in 1..RUNS {
        let next = measure()?;
        if next.cpu_seconds < best.cpu_seconds {
            best = next;
        }
    }
    Ok(best)
}
