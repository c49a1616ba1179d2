//! `heldby run`: runs a program, dumps its heap as it goes, then reports.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use heldby_capture::{Launch, Settings};

use crate::analysis::{ReportOptions, analyse};
use crate::report_text;

/// Exit code of what an interrupt ends: 128 and the signal.
const INTERRUPTED: i32 = 130;

/// Run a Python program, dump its heap as it goes, then report
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The program must be Python, started in any way; its Python children join. It runs as it would
without heldby, and its exit code is heldby's. Growth is proven by three dumps or more.

Examples:
  heldby run -- python app.py
  heldby run --every 60 --dumps 24 -- gunicorn shop.wsgi
  heldby run --every 2 -- python manage.py runserver")]
pub(super) struct Arguments {
    /// Seconds between two dumps; one more is taken at exit
    #[arg(long, value_name = "S", default_value = "10", value_parser = parse_seconds)]
    every: Duration,
    /// How many of the newest dumps are kept of each process
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    dumps: u32,
    /// Where each process gets a folder for its dumps
    #[arg(long, value_name = "DIR", default_value = ".heldby")]
    dir: PathBuf,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "a number of seconds greater than 0".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let settings = Settings {
        folder: arguments.dir.clone(),
        every: arguments.every,
        keep: arguments.dumps as usize,
    };
    let launch = Launch::prepare(settings)?;
    if launch.folder_is_new() {
        keep_out_of_git(launch.folder());
    }
    let has_ended = Arc::new(AtomicBool::new(false));
    // An interrupt from the terminal reaches the program by itself: it decides, and the report still comes. The report
    // itself can be interrupted.
    let program_has_ended = Arc::clone(&has_ended);
    let interrupted = move || {
        if program_has_ended.load(Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
    };
    ctrlc::set_handler(interrupted).context("could not wait for interrupts")?;
    let status = start(&launch, &arguments.program)?;
    has_ended.store(true, Ordering::SeqCst);
    let processes = launch.processes();
    let folder = launch.folder().to_owned();
    // Its files go before the report, which an interrupt may end.
    drop(launch);
    if let Err(error) = report(&folder, &processes) {
        // The exit code is the program's all the same.
        super::complain(&error);
    }
    Ok(exit_code(status))
}

/// Runs the program to its end.
fn start(launch: &Launch, program: &[OsString]) -> Result<ExitStatus> {
    let (name, arguments) = program.split_first().context("no program was given")?;
    let environment = launch.environment(std::env::var_os("PYTHONPATH"))?;
    let mut command = Command::new(name);
    command.args(arguments).envs(environment);
    let mut child = command
        .spawn()
        .with_context(|| format!("{} could not be started", name.to_string_lossy()))?;
    let status = child.wait().context("could not wait for the program")?;
    launch.remove_unfinished(child.id());
    Ok(status)
}

fn report(folder: &Path, processes: &[PathBuf]) -> Result<()> {
    let mut dumps: Vec<Vec<PathBuf>> = Vec::new();
    for process in processes.iter().filter(|process| process.exists()) {
        let mut paths = Vec::new();
        super::report::add_dumps_of(process, &mut paths, false)?;
        dumps.push(paths);
    }
    dumps.retain(|paths| !paths.is_empty());
    if dumps.is_empty() {
        let words = "\
heldby: no dump was taken. What may be the reason:
  - the program is not Python, or not CPython 3.8 or later;
  - it was started with -I, -E or -S, or with an environment of its own: then the agent is not loaded. Call it in the
    program instead: `heldby agent > heldby_agent.py`, and `heldby_agent.dump(path)` where you want a dump;
  - it was killed before the first dump: use a smaller --every.
";
        let _ = write!(anstream::stderr(), "{words}");
        return Ok(());
    }
    let mut reports = Vec::new();
    // Folder by folder: a process that turned into another program (`exec`) has two, and they are no series.
    for paths in &dumps {
        match analyse(paths, &ReportOptions::default(), &|_| {}) {
            Ok(found) => reports.extend(found),
            Err(error) => super::complain(&error),
        }
    }
    super::print(&report_text::to_text(&reports))?;
    let again = format!(
        "heldby: the dumps are in {}; `heldby report` reads them again\n",
        folder.display()
    );
    let _ = anstream::stderr().write_all(again.as_bytes());
    Ok(())
}

/// Dumps are no part of the program's repository.
fn keep_out_of_git(folder: &Path) {
    let path = folder.join(".gitignore");
    if !path.exists() {
        // Without it the dumps are untracked files: a nuisance, not a failure.
        let _ = fs::write(path, "*\n");
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX));
    }
    let code = status.code().unwrap_or(i32::from(super::COULD_NOT));
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}
