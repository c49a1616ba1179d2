//! The language server in the hands of others: Neovim and Emacs with the README's recipes, a client library, and checkers that hold
//! each message of the server against the protocol.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::python::{self, Interpreter};
use crate::test::{NotToBeHad, Step, step};
use crate::workspace::{self, Profile};

/// The client library needs a Python that is not too old.
const LEAST_MINOR: u32 = 10;

/// Steps in their order: each editor records what is said, the last one checks all recordings.
pub(crate) fn steps() -> Vec<Step> {
    vec![
        step("editors: a client library", || {
            let bench = Bench::prepare()?;
            bench.forget("pytest-lsp")?;
            let mut pytest = bench.python();
            pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
            pytest.args(["-o", "asyncio_default_fixture_loop_scope=function"]);
            process::run(pytest.arg("test_clients.py"))
        }),
        editor(
            "Neovim",
            "test_editors.Editor.test_neovim",
            &["nvim", "--version"],
            "`apt-get install neovim`, or your system's package",
        ),
        editor(
            "Emacs",
            "test_editors.Editor.test_emacs",
            &[
                "emacs",
                "--batch",
                "--eval",
                "(progn (require 'package) (package-initialize) (require 'eglot))",
            ],
            "`apt-get install emacs-nox elpa-eglot`, or Emacs 29 or later, which has eglot",
        ),
        step("editors: what the server said", check),
    ]
}

fn editor(
    name: &'static str,
    test: &'static str,
    question: &'static [&'static str],
    install: &'static str,
) -> Step {
    step(format!("editors: {name}"), move || {
        let answers = Command::new(question[0])
            .args(&question[1..])
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success());
        if !answers {
            return Err(NotToBeHad(format!("{name} is not installed: {install}")).into());
        }
        let bench = Bench::prepare()?;
        bench.forget(question[0])?;
        process::run(bench.python().args(["-m", "unittest", test]))
    })
}

/// Holds all recordings against the protocol, and the checkers against seeded faults.
fn check() -> Result<()> {
    let bench = Bench::prepare()?;
    let logs = bench.logs()?;
    ensure!(
        logs.len() >= 3,
        "there are only {} recordings: run the steps before this one first",
        logs.len()
    );
    process::run(bench.python().arg("check_python.py").args(&logs))?;
    process::run(bench.python().arg("mutate.py").args(&logs))?;
    let modules = bench.node_modules()?;
    let typescript = || {
        let mut command = Command::new("node");
        command
            .env("NODE_MODULES", &modules)
            .arg("check_typescript.mjs")
            .current_dir(sources());
        command
    };
    process::run(typescript().args(&logs))?;
    let faulty = bench.work.join("faulty");
    if faulty.exists() {
        fs::remove_dir_all(&faulty).context("cannot remove old faults")?;
    }
    fs::create_dir_all(&faulty).context("cannot make a folder for faults")?;
    let mut mutate = bench.python();
    mutate.args(["mutate.py", "--types"]).arg(&faulty);
    process::run(mutate.args(&logs))?;
    process::run(typescript().arg("--faulty").args(files(&faulty, "jsonl")?))
}

fn sources() -> PathBuf {
    workspace::root().join("tests").join("editors")
}

/// What the tests need: a client library, the server, dumps of the demo, and a place for recordings.
struct Bench {
    python: Interpreter,
    heldby: PathBuf,
    dumps: Vec<PathBuf>,
    work: PathBuf,
}

impl Bench {
    fn prepare() -> Result<Self> {
        let work = workspace::target()?.join("editors");
        fs::create_dir_all(work.join("recordings"))
            .with_context(|| format!("cannot make {}", work.display()))?;
        let interpreter = python::all()
            .into_iter()
            .rev()
            .chain(python::default())
            .find(|found| (LEAST_MINOR..=13).contains(&found.minor))
            .ok_or_else(|| NotToBeHad(format!("no Python 3.{LEAST_MINOR} or later was found")))?;
        let python = python::environment(
            &interpreter,
            &work.join("venv"),
            &sources().join("requirements.txt"),
            || println!("installing pygls, pytest-lsp and lsprotocol under the target folder"),
        )
        .map_err(|error| NotToBeHad(process::explained(&error)))?;
        let demo = workspace::target()?.join("demo").join("dumps");
        let dumps: Vec<PathBuf> = files(&demo, "heldby")?;
        ensure!(
            dumps.len() == 3,
            "the demo has not left three dumps in {}: run `cargo xtask demo` first",
            demo.display()
        );
        Ok(Self {
            python,
            heldby: workspace::build_heldby(Profile::Debug)?,
            dumps,
            work,
        })
    }

    /// Python with the libraries, in the folder of the tests.
    fn python(&self) -> Command {
        let mut command = self.python.command();
        let dumps: Vec<_> = self
            .dumps
            .iter()
            .map(|dump| dump.display().to_string())
            .collect();
        command
            .current_dir(sources())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HELDBY", &self.heldby)
            .env("DUMPS", dumps.join(" "))
            .env("RECORDINGS", self.recordings());
        command
    }

    fn recordings(&self) -> PathBuf {
        self.work.join("recordings")
    }

    fn logs(&self) -> Result<Vec<PathBuf>> {
        files(&self.recordings(), "jsonl")
    }

    /// Old recordings are not this run's.
    fn forget(&self, name: &str) -> Result<()> {
        for log in self.logs()? {
            let stem = log.file_stem().unwrap_or_default().to_string_lossy();
            if stem.starts_with(name) || (name == "nvim" && stem == "neovim") {
                fs::remove_file(&log)
                    .with_context(|| format!("cannot remove {}", log.display()))?;
            }
        }
        Ok(())
    }

    /// The protocol's types and the compiler, as the lock file names them.
    fn node_modules(&self) -> Result<PathBuf> {
        let has_node = |program: &str| {
            Command::new(program)
                .arg("--version")
                .stdin(Stdio::null())
                .output()
                .is_ok_and(|output| output.status.success())
        };
        if !has_node("node") || !has_node("npm") {
            let why = "Node.js and npm are needed to check against the protocol's TypeScript types: \
                       install them from your system's packages";
            return Err(NotToBeHad(why.to_owned()).into());
        }
        let folder = self.work.join("node");
        let modules = folder.join("node_modules");
        let lock = fs::read(sources().join("package-lock.json"))
            .context("cannot read package-lock.json")?;
        let stamp = folder.join("package-lock.json");
        if modules.exists() && fs::read(&stamp).is_ok_and(|installed| installed == lock) {
            return Ok(modules);
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for name in ["package.json", "package-lock.json"] {
            fs::copy(sources().join(name), folder.join(name))
                .with_context(|| format!("cannot copy {name}"))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        process::run(npm.current_dir(&folder))
            .map_err(|error| NotToBeHad(process::explained(&error)))?;
        Ok(modules)
    }
}

/// The files of a folder with an extension, by name.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let wanted = Some(OsString::from(extension));
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", folder.display()))?
            .path();
        if path.extension().map(ToOwned::to_owned) == wanted {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
