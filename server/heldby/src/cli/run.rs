//! `heldby run`: runs a program, dumps its heap as it goes, then reports.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result};
use heldby_capture::{Launch, Settings, Trace};

use super::signals::Program;
use crate::analysis::analyse;
use crate::disk::SourceFolders;
use crate::settings::ProjectSettings;
use crate::{report_text, silencing};

/// Run a Python program, dump its heap as it goes, then report
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The program must be Python, started in any way; its Python children join. It runs as it would
without heldby, and its exit code is heldby's. Signals to heldby are passed on to it. A process that
is ended by a signal or by os._exit has no dump at exit. Growth is proven by three dumps or more.

Examples:
  heldby run -- python app.py
  heldby run --every 60 --dumps 24 -- gunicorn shop.wsgi
  heldby run --every 2 -- python manage.py runserver
  heldby run --trace -- python app.py")]
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
    /// Note where containers grow, and report those lines as observed; with `all`, dictionaries of Python before 3.14, too, at
    /// a multiple of the cost
    #[arg(long, value_name = "WHAT", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "containers")]
    trace: Option<Traced>,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// What is noted.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Traced {
    /// Where lists, sets and deques grow; and dictionaries, since Python 3.14
    Containers,
    /// Where anything is made
    All,
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
        native_library: heldby_capture::native_library(),
        trace: arguments.trace.map(|traced| match traced {
            Traced::Containers => Trace::Containers,
            Traced::All => Trace::All,
        }),
    };
    let launch = Launch::prepare(settings)?;
    let (status, untold) = start(&launch, &arguments.program)?;
    let (processes, joined) = (launch.processes(), launch.joined());
    let folder = launch.folder().to_owned();
    // Its files go before the report, which an interrupt may end.
    drop(launch);
    if let Err(error) = report(&folder, &processes, joined) {
        // The exit code is the program's all the same.
        super::complain(&error);
    }
    say_untold(&untold);
    Ok(exit_code(status))
}

/// Runs the program to its end; with the processes that take no dumps, since Python was not told of them.
fn start(launch: &Launch, program: &[OsString]) -> Result<(ExitStatus, Vec<u32>)> {
    let (name, arguments) = program.split_first().context("no program was given")?;
    let environment = launch.environment(std::env::var_os("PYTHONPATH"))?;
    let mut command = Command::new(name);
    command.args(arguments).envs(environment);
    let program = Program::start(&mut command)
        .with_context(|| format!("{} could not be started", name.to_string_lossy()))?;
    // Whoever waits for a leak to show is not to wait for nothing.
    let watch = launch.watch_forks(say_untold);
    let status = program.wait().context("could not wait for the program")?;
    let untold = watch.end().into_iter().collect();
    launch.remove_unfinished();
    Ok((status, untold))
}

/// Reports on the processes that have dumps. `joined` is the number of processes that the agent was loaded in.
fn report(folder: &Path, processes: &[PathBuf], joined: usize) -> Result<()> {
    let mut dumps: Vec<Vec<PathBuf>> = Vec::new();
    for process in processes.iter().filter(|process| process.exists()) {
        let mut paths = Vec::new();
        super::report::add_dumps_of(process, &mut paths, false)?;
        dumps.push(paths);
    }
    dumps.retain(|paths| !paths.is_empty());
    if dumps.is_empty() {
        let _ = write!(anstream::stderr(), "{}", why_no_dump(joined));
        return Ok(());
    }
    let mut reports = Vec::new();
    // Folder by folder: a process that turned into another program (`exec`) has two, and they are no series.
    for paths in &dumps {
        match analyse(paths, &SourceFolders::default(), &|_| {}) {
            Ok(found) => reports.extend(found),
            Err(error) => super::complain(&error),
        }
    }
    let here = std::env::current_dir().unwrap_or_default();
    silencing::leave_out(&mut reports, &ProjectSettings::of_folder(&here));
    super::print(&report_text::to_text(&reports))?;
    let again = format!(
        "heldby: the dumps are in {}; `heldby report` reads them again\n",
        folder.display()
    );
    let _ = anstream::stderr().write_all(again.as_bytes());
    Ok(())
}

fn say_untold(processes: &[u32]) {
    const MOST: usize = 5;
    let Some(last) = processes.last() else {
        return;
    };
    let named = processes.iter().take(MOST).map(u32::to_string);
    let mut named = named.collect::<Vec<_>>().join(", ");
    if processes.len() > MOST {
        named = format!("{named} and {} more", processes.len() - MOST);
    }
    let text = format!(
        "heldby: no dumps were taken in {named}: C code forked them, and did not tell Python. With `--master --py-call-osafterfork` \
         uWSGI tells it of its workers; where Python runs in another, `heldby capture --pid {last}` dumps it\n"
    );
    let _ = anstream::stderr().write_all(text.as_bytes());
}

fn why_no_dump(joined: usize) -> &'static str {
    if joined == 0 {
        "\
heldby: no dump was taken: no process of the program has loaded the agent. What may be the reason:
  - it is not Python, or not CPython 3.8 or later;
  - it is uWSGI: its workers do so when it is started with `--master --py-call-osafterfork`;
  - it was started with -I, -E or -S, or with an environment of its own. Start it without, or call the agent in the
    program: `heldby agent > heldby_agent.py`, and `heldby_agent.dump(path)` where you want a dump.
"
    } else {
        "\
heldby: no dump was taken: the program ended before the first, by a signal or by `os._exit`, after which no process can
take one. Use a smaller --every.
"
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
