//! `cargo xtask test`: everything that guards the project. All steps run, whatever fails before them.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::{Rc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::debian_pythons;
use crate::debug_sessions;
use crate::editors;
use crate::process;
use crate::python::{self, Interpreter};
use crate::silence;
use crate::vscode;
use crate::workspace::{self, Profile};

const CARGO_DENY: &str = "0.20.2";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Every interpreter, and everything slow
    #[arg(long)]
    all: bool,
    /// Only the steps whose names contain one of these
    #[arg(value_name = "STEP")]
    only: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut steps = steps(options.all);
    if !options.only.is_empty() {
        steps.retain(|step| options.only.iter().any(|wanted| step.name.contains(wanted)));
        ensure!(!steps.is_empty(), "no step has such a name");
    }
    let count = steps.len();
    let results: Vec<_> = steps
        .into_iter()
        .enumerate()
        .map(|(place, step)| {
            headline(&format!("[{}/{count}] {}", place + 1, step.name));
            let began = Instant::now();
            let outcome = match step.work {
                Work::Run(work) => match work() {
                    Ok(()) => Outcome::Passed,
                    Err(error) => match error.downcast() {
                        Ok(NotToBeHad(why)) => Outcome::Skipped(why),
                        Err(error) => Outcome::Failed(error),
                    },
                },
                Work::Skip(why) => Outcome::Skipped(why),
            };
            println!("{outcome}");
            (step.name, outcome, began.elapsed())
        })
        .collect();
    summary(&results)
}

/// One thing that can pass or fail.
pub(crate) struct Step {
    name: String,
    work: Work,
}

enum Work {
    Run(Box<dyn FnOnce() -> Result<()>>),
    /// It cannot be done here, and why.
    Skip(String),
}

/// Why a step cannot be done here, found out while it was being done.
#[derive(Debug)]
pub(crate) struct NotToBeHad(pub(crate) String);

impl fmt::Display for NotToBeHad {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for NotToBeHad {}

enum Outcome {
    Passed,
    Failed(anyhow::Error),
    Skipped(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => write!(formatter, "passed"),
            Self::Failed(error) => write!(formatter, "FAILED: {}", process::explained(error)),
            Self::Skipped(why) => write!(formatter, "SKIPPED: {why}"),
        }
    }
}

fn steps(all: bool) -> Vec<Step> {
    let mut steps = vec![
        step("formatting", || cargo("fmt", &["--all", "--check"])),
        step("clippy", || {
            cargo(
                "clippy",
                &["--workspace", "--all-targets", "--", "-D", "warnings"],
            )
        }),
        step("dependencies", check_dependencies),
    ];

    let interpreters = Interpreters::find(all);
    let executables: Vec<PathBuf> = interpreters
        .chosen(all)
        .into_iter()
        .filter_map(|(_, interpreter)| Some(interpreter.ok()?.executable))
        .collect();
    let everywhere = executables.clone();
    steps.push(step("tests of the workspace", move || {
        test_workspace(&executables, all)
    }));
    if all {
        steps.push(step("heldby run: slow tests", move || {
            test_slowly("running", "HELDBY_TEST_PYTHONS", &join(&everywhere)?)
        }));
        let usual_and_oldest = interpreters
            .default
            .iter()
            .chain(interpreters.found.first());
        for interpreter in usual_and_oldest.cloned() {
            steps.push(servers_step(interpreter));
        }
    }
    let chosen = interpreters.chosen(all);
    steps.extend(two_at_a_time(chosen.iter().cloned().map(agent_test)));
    if cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        // The tests of the one take long enough for every change.
        let one = if all { chosen.len() } else { 1 };
        steps.extend(
            chosen
                .into_iter()
                .take(one)
                .map(|chosen| native_agent_step(chosen, all)),
        );
    }
    if all {
        steps.push(free_threaded_step());
        steps.extend(
            interpreters
                .default
                .iter()
                .cloned()
                .map(native_agent_with_packages),
        );
    }

    if cfg!(target_os = "linux") {
        let executables = interpreters
            .chosen(all)
            .into_iter()
            .filter_map(|(_, interpreter)| Some(interpreter.ok()?.executable))
            .collect();
        steps.push(capture_step(executables));
    }
    steps.push(step("demo", || demo(None)));
    steps.extend(editors::steps());
    steps.extend(debug_sessions::steps(all));
    steps.extend(vscode::steps());
    if all {
        // The demo's Django runs on the oldest Python that heldby supports.
        if let Some(oldest) = interpreters.found.first().cloned() {
            steps.push(step(format!("demo on {oldest}"), move || {
                demo(Some(&oldest))
            }));
        }
        steps.push(step("silence", || {
            silence::run(&silence::Options::default())
        }));
        steps.push(step("release build", build_release));
    }
    steps
}

pub(crate) fn step(name: impl Into<String>, work: impl FnOnce() -> Result<()> + 'static) -> Step {
    Step {
        name: name.into(),
        work: Work::Run(Box::new(work)),
    }
}

/// What a step prepares and then runs: one command, which leaves the other core to others.
pub(crate) type Prepare = Box<dyn FnOnce() -> Result<Command>>;

/// Steps of one command each, two at a time: while one is waited for, the next is begun, and told of in its turn.
pub(crate) fn two_at_a_time(
    prepared: impl IntoIterator<Item = (String, Result<Prepare, String>)>,
) -> Vec<Step> {
    let queue = Rc::<Queue>::default();
    let mut steps = Vec::new();
    for (name, prepare) in prepared {
        let work = match prepare {
            Err(why) => Work::Skip(why),
            Ok(prepare) => {
                let queue = Rc::clone(&queue);
                let job = Rc::new(RefCell::new(Job::Prepared(prepare)));
                queue.jobs.borrow_mut().push(Rc::downgrade(&job));
                Work::Run(Box::new(move || queue.finish(&job)))
            }
        };
        steps.push(Step { name, work });
    }
    steps
}

/// The commands of some steps, in their order. A step that was not chosen is gone, and its command with it.
#[derive(Default)]
struct Queue {
    jobs: RefCell<Vec<Weak<RefCell<Job>>>>,
}

enum Job {
    Prepared(Prepare),
    Begun(process::Started),
    /// It could not be begun, or its end is not known.
    Failed(anyhow::Error),
    Finished,
}

impl Queue {
    /// So many commands run at a time: as many as the smallest machine that continuous integration has can bear.
    const AT_A_TIME: usize = 2;
    const REST: Duration = Duration::from_millis(50);

    /// Waits for one command; those behind it are begun as soon as there is room for them.
    fn finish(&self, job: &RefCell<Job>) -> Result<()> {
        loop {
            self.begin();
            if !job.borrow_mut().runs() {
                break;
            }
            thread::sleep(Self::REST);
        }
        match job.replace(Job::Finished) {
            Job::Begun(started) => started.finish(),
            Job::Failed(error) => Err(error),
            Job::Prepared(_) | Job::Finished => Ok(()),
        }
    }

    fn begin(&self) {
        let jobs: Vec<_> = self
            .jobs
            .borrow()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        let mut running = jobs.iter().filter(|job| job.borrow_mut().runs()).count();
        for job in jobs {
            if running < Self::AT_A_TIME && job.borrow_mut().begin() {
                running += 1;
            }
        }
    }
}

impl Job {
    /// Whether it was begun now.
    fn begin(&mut self) -> bool {
        match std::mem::replace(self, Self::Finished) {
            Self::Prepared(prepare) => {
                let started = prepare().and_then(|mut command| process::Started::new(&mut command));
                *self = started.map_or_else(Self::Failed, Self::Begun);
                matches!(self, Self::Begun(_))
            }
            other => {
                *self = other;
                false
            }
        }
    }

    fn runs(&mut self) -> bool {
        match self {
            Self::Begun(started) => match started.runs() {
                Ok(runs) => runs,
                Err(error) => {
                    *self = Self::Failed(error);
                    false
                }
            },
            Self::Prepared(_) | Self::Failed(_) | Self::Finished => false,
        }
    }
}

/// Runs cargo in the workspace. In continuous integration the lock file must be up to date.
fn cargo(subcommand: &str, arguments: &[&str]) -> Result<()> {
    let mut command = workspace::cargo(&[subcommand]);
    if std::env::var_os("CI").is_some() && subcommand != "fmt" {
        command.arg("--locked");
    }
    process::run(command.args(arguments))
}

/// The workspace's tests; live ones run on each of the interpreters, those that are many on the first alone unless all is wanted.
fn test_workspace(interpreters: &[PathBuf], all: bool) -> Result<()> {
    // The native agent stands beside the binary, where cargo puts no library for the sake of tests.
    workspace::build_heldby(Profile::Debug)?;
    let mut command = workspace::cargo(&["test", "--workspace", "--no-fail-fast"]);
    if std::env::var_os("CI").is_some() {
        command.arg("--locked");
    }
    if all {
        command.env("HELDBY_TEST_LEAKS_EVERYWHERE", "1");
    }
    process::run(command.env("HELDBY_TEST_PYTHONS", join(interpreters)?))
}

pub(crate) fn join(paths: &[PathBuf]) -> Result<OsString> {
    std::env::join_paths(paths).context("a path of an interpreter")
}

/// The tests of one test target that `cargo test` ignores, with a variable in their environment.
pub(crate) fn test_slowly(file: &str, variable: &str, value: &OsStr) -> Result<()> {
    process::run(&mut slow_test(file, variable, value))
}

/// The command for [`test_slowly`].
pub(crate) fn slow_test(file: &str, variable: &str, value: &OsStr) -> Command {
    let mut command = workspace::cargo(&["test", "--workspace", "--test", file]);
    if std::env::var_os("CI").is_some() {
        command.arg("--locked");
    }
    command.args(["--", "--ignored"]).env(variable, value);
    command
}

/// `heldby run` with servers from the Python package index.
fn servers_step(interpreter: Interpreter) -> Step {
    let name = format!("heldby run: servers on {interpreter}");
    if cfg!(not(unix)) {
        let why = "the servers are ended by a signal, which this system has not".to_owned();
        return Step {
            name,
            work: Work::Skip(why),
        };
    }
    step(name, move || {
        let requirements = workspace::root().join("tests/servers/requirements.txt");
        let folder = workspace::target()?.join(format!("servers/venv-3.{}", interpreter.minor));
        let announce = || {
            println!(
                "installing gunicorn, uvicorn, uWSGI and Django in {}",
                folder.display()
            )
        };
        let python = python::environment(&interpreter, &folder, &requirements, announce)
            .map_err(|error| NotToBeHad(process::explained(&error)))?;
        test_slowly(
            "servers",
            "HELDBY_TEST_SERVERS",
            python.executable.as_os_str(),
        )
    })
}

/// Bans, licences and sources of everything we depend on.
fn check_dependencies() -> Result<()> {
    let mut deny = Command::new(cargo_deny()?);
    deny.current_dir(workspace::root());
    process::run(deny.args([
        "--workspace",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}

/// The cargo-deny of our version: on the PATH, or ours under the target folder, installed if it is not there.
fn cargo_deny() -> Result<PathBuf> {
    let is_ours = |program: &Path| {
        let version = process::run_quietly(Command::new(program).arg("--version"));
        version.is_ok_and(|version| version == format!("cargo-deny {CARGO_DENY}"))
    };
    let tools = workspace::target()?.join("tools");
    let installed = tools
        .join("bin")
        .join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    for program in [PathBuf::from("cargo-deny"), installed.clone()] {
        if is_ours(&program) {
            return Ok(program);
        }
    }

    println!(
        "installing cargo-deny {CARGO_DENY} under {}: some minutes, once",
        tools.display()
    );
    let build = tools.join("build");
    let mut install = workspace::cargo(&["install", "--quiet", "--locked", "--force", "--root"]);
    // It looks at a few files: to optimise it takes longer than it ever runs.
    install
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .arg(&tools)
        .arg("--debug")
        .arg("--target-dir")
        .arg(&build)
        .arg(format!("cargo-deny@{CARGO_DENY}"));
    process::run(&mut install)?;
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
    ensure!(
        is_ours(&installed),
        "{} is not cargo-deny {CARGO_DENY}",
        installed.display()
    );
    Ok(installed)
}

/// The Pythons of this machine.
struct Interpreters {
    default: Result<Interpreter>,
    /// One of each minor version, oldest first.
    found: Vec<Interpreter>,
}

impl Interpreters {
    /// With `all`, versions that are missing are fetched, where that is possible.
    fn find(all: bool) -> Self {
        let default = python::default();
        let mut found = python::all();
        let missing: Vec<u32> = python::SUPPORTED
            .filter(|minor| found.iter().all(|found| found.minor != *minor))
            .collect();
        if all
            && !missing.is_empty()
            && let Ok(helper) = &default
        {
            println!("unpacking the Pythons that this machine has not, under the target folder");
            match debian_pythons::unpack(&missing, helper) {
                Ok(()) => found = python::all(),
                Err(error) => println!("they cannot be had: {}", process::explained(&error)),
            }
        }
        Self { default, found }
    }

    /// Those that the agent is tested on, by name; an error says why one is not to be had.
    fn chosen(&self, all: bool) -> Vec<(String, Result<Interpreter, String>)> {
        if all {
            return python::SUPPORTED
                .map(|minor| {
                    let found = self
                        .found
                        .iter()
                        .find(|found| found.minor == minor)
                        .cloned();
                    (
                        format!("Python 3.{minor}"),
                        found.ok_or_else(|| format!("no Python 3.{minor} on this machine")),
                    )
                })
                .collect();
        }
        let default = self
            .default
            .as_ref()
            .map_err(|error| format!("{error:#}"))
            .cloned();
        let minor = default.as_ref().map_or(0, |default| default.minor);
        // The oldest differs most.
        let other = self
            .found
            .iter()
            .find(|found| found.minor != minor)
            .cloned();
        let other_name = other
            .as_ref()
            .map_or("another Python".to_owned(), ToString::to_string);
        vec![
            (
                default
                    .as_ref()
                    .map_or("python3".to_owned(), ToString::to_string),
                default,
            ),
            (
                other_name,
                other.ok_or_else(|| "no second version of Python on this machine".to_owned()),
            ),
        ]
    }
}

fn agent_test(
    (name, interpreter): (String, Result<Interpreter, String>),
) -> (String, Result<Prepare, String>) {
    let name = format!("agent on {name}");
    let prepare = interpreter
        .map(|interpreter| -> Prepare { Box::new(move || agent_test_command(&interpreter)) });
    (name, prepare)
}

fn native_agent_step(
    (name, interpreter): (String, Result<Interpreter, String>),
    all: bool,
) -> Step {
    let name = format!("native agent on {name}");
    match interpreter {
        Ok(interpreter) => step(name, move || test_native_agent(&interpreter, all)),
        Err(why) => Step {
            name,
            work: Work::Skip(why),
        },
    }
}

/// The native agent's own tests, and with time those of the agent while the native one takes the dumps.
fn test_native_agent(interpreter: &Interpreter, all: bool) -> Result<()> {
    let library = workspace::build_native_agent(Profile::Debug)?;
    let folders: &[&str] = if all {
        &["native", "agent"]
    } else {
        &["native"]
    };
    for folder in folders {
        let mut unittest = interpreter.command();
        unittest
            .args(["-m", "unittest", "discover"])
            .env("HELDBY_NATIVE_LIBRARY", &library)
            .env("HELDBY_TEST_NATIVE_DUMPS", if all { "300" } else { "20" })
            .current_dir(workspace::root().join("tests").join(folder));
        process::run(&mut unittest)?;
    }
    Ok(())
}

/// What the native agent knows of packages that keep objects where the collector does not look.
fn native_agent_with_packages(interpreter: Interpreter) -> Step {
    step(
        format!("native agent with packages on {interpreter}"),
        move || {
            let tests = workspace::root().join("tests/native");
            let requirements = tests.join("packages/requirements.txt");
            let folder = workspace::target()?.join("native-agent/venv");
            let announce = || println!("installing NumPy and gevent in {}", folder.display());
            let python = python::environment(&interpreter, &folder, &requirements, announce)
                .map_err(|error| NotToBeHad(process::explained(&error)))?;
            let library = workspace::build_native_agent(Profile::Debug)?;
            let mut unittest = python.command();
            unittest
                .args([
                    "-m",
                    "unittest",
                    "discover",
                    "--start-directory",
                    "packages",
                ])
                .env("HELDBY_NATIVE_LIBRARY", &library)
                .current_dir(tests);
            process::run(&mut unittest)
        },
    )
}

/// Dumps of programs that run already.
fn capture_step(interpreters: Vec<PathBuf>) -> Step {
    step("heldby capture", move || {
        why_not_captured().map_or(Ok(()), |why| Err(NotToBeHad(why)))?;
        test_slowly("capture", "HELDBY_TEST_PYTHONS", &join(&interpreters)?)
    })
}

/// Why no other process can be captured here.
fn why_not_captured() -> Option<String> {
    let mut looked_into = Command::new("sleep").arg("60").spawn().ok()?;
    if cfg!(target_arch = "x86_64") {
        // No tool is needed, but the system's leave.
        let opened = fs::File::open(format!("/proc/{}/mem", looked_into.id()));
        let _ = looked_into.kill();
        let _ = looked_into.wait();
        let error = opened.err()?;
        return Some(format!("no process may look into another here: {error}"));
    }
    let attached = Command::new("gdb")
        .args(["-q", "-nx", "-batch", "-p", &looked_into.id().to_string()])
        .output();
    // It is a process of ours.
    let _ = looked_into.kill();
    let _ = looked_into.wait();
    match attached {
        Err(_) => {
            let why = "gdb is not installed: `apt-get install gdb`, or your system's package";
            Some(why.to_owned())
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let refusal = said.lines().find(|line| line.contains("ptrace"))?;
            Some(format!("no process may look into another here: {refusal}"))
        }
    }
}

/// The build of Python that has no global lock: its objects are laid out otherwise, and other threads run while a dump is taken.
fn free_threaded_step() -> Step {
    step("free-threaded Python 3.13", || {
        let Some(interpreter) = Interpreter::at("python3.13t") else {
            let why = "no `python3.13t` on the PATH: build CPython 3.13 with `--disable-gil`, or let pyenv do it \
                       (`pyenv install 3.13t`)";
            return Err(NotToBeHad(why.to_owned()).into());
        };
        test_agent(&interpreter)?;
        test_native_agent(&interpreter, true)?;
        let mut command = workspace::cargo(&["test", "--workspace"]);
        command.args(["--test", "ways", "--test", "graphs", "--test", "refcounts"]);
        process::run(command.env("HELDBY_TEST_PYTHONS", &interpreter.executable))
    })
}

fn test_agent(interpreter: &Interpreter) -> Result<()> {
    process::run(&mut agent_test_command(interpreter)?)
}

/// The agent's own tests, in Python.
fn agent_test_command(interpreter: &Interpreter) -> Result<Command> {
    let tests = workspace::root().join("tests").join("agent");
    let has_tests = fs::read_dir(&tests).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("test_"))
        })
    });
    ensure!(has_tests, "there are no tests in {}", tests.display());
    let mut unittest = interpreter.command();
    unittest
        .args(["-m", "unittest", "discover"])
        .current_dir(tests);
    Ok(unittest)
}

/// The demo, compared with its truth, in a process of its own so that it can only leave what it leaves a user.
fn demo(interpreter: Option<&Interpreter>) -> Result<()> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.args(["demo", "--debug", "--check"]);
    if let Some(interpreter) = interpreter {
        command.arg("--python").arg(&interpreter.executable);
    }
    process::run(&mut command)
}

/// What we say in the README: one command gives a whole set of binaries.
fn build_release() -> Result<()> {
    cargo("build", &["--release", "--workspace"])?;
    let binary = workspace::target()?
        .join("release")
        .join(format!("heldby{}", std::env::consts::EXE_SUFFIX));
    let version = process::run_quietly(Command::new(&binary).arg("--version"))?;
    println!("{version}");
    let agent = process::run_quietly(Command::new(&binary).arg("agent"))?;
    ensure!(
        agent.contains("def dump("),
        "`heldby agent` does not print the agent"
    );
    Ok(())
}

fn summary(results: &[(String, Outcome, Duration)]) -> Result<()> {
    headline("summary");
    for (name, outcome, time) in results {
        let word = match outcome {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::Skipped(_) => "SKIPPED",
        };
        println!("{word:<8} {:>6.1} s  {name}", time.as_secs_f64());
        if let Outcome::Skipped(why) = outcome {
            println!("                   {why}");
        }
    }
    let count =
        |is: fn(&Outcome) -> bool| results.iter().filter(|(_, outcome, _)| is(outcome)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 {
        // The reasons stand above; the count is the last line.
        std::process::exit(1);
    }
    if passed == 0 {
        bail!("nothing was tested");
    }
    Ok(())
}

fn headline(text: &str) {
    println!("\n== {text}");
    // What the steps print themselves must come after it.
    let _ = std::io::stdout().flush();
}
