//! Python interpreters: finding them, and virtual environments of theirs.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::debian_pythons;
use crate::process;

/// The minor versions of Python 3 that heldby supports.
pub(crate) const SUPPORTED: std::ops::RangeInclusive<u32> = 8..=15;

/// A CPython that runs.
#[derive(Clone, Debug)]
pub(crate) struct Interpreter {
    pub(crate) executable: PathBuf,
    /// The 11 of Python 3.11.
    pub(crate) minor: u32,
    /// `3.11.7`, with a suffix for pre-releases.
    version: String,
}

impl fmt::Display for Interpreter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Python {}", self.version)
    }
}

impl Interpreter {
    /// The interpreter under a name or path, if it is a supported CPython that starts.
    pub(crate) fn at(program: impl AsRef<std::ffi::OsStr>) -> Option<Self> {
        const QUESTION: &str = "import platform, sys\n\
            print(sys.executable, platform.python_version(), sys.version_info[0], sys.version_info[1], \
            platform.python_implementation(), sep='\\n')";
        let output = Command::new(program)
            .args(["-I", "-c", QUESTION])
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let [executable, version, "3", minor, "CPython"] = text.lines().collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let minor = minor
            .parse()
            .ok()
            .filter(|minor| SUPPORTED.contains(minor))?;
        Some(Self {
            executable: executable.into(),
            minor,
            version: version.to_owned(),
        })
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        isolate(&mut command);
        command
    }
}

/// The interpreter of this machine's user.
pub(crate) fn default() -> Result<Interpreter> {
    ["python3", "python"].iter().find_map(Interpreter::at).context(
        "no Python 3.8 or later was found: neither `python3` nor `python` on the PATH starts one. \
         Install Python from your system's packages, or choose one with --python where the command has it",
    )
}

/// One interpreter of each supported minor version found, oldest first: those on the PATH, then those of pyenv, then those
/// that were unpacked under the target folder.
pub(crate) fn all() -> Vec<Interpreter> {
    let installed = pyenv();
    let of_version = |minor: u32| {
        let is_it = |found: &Interpreter| found.minor == minor;
        Interpreter::at(format!("python3.{minor}"))
            .filter(is_it)
            .or_else(|| default().ok().filter(is_it))
            .or_else(|| installed.iter().find(|found| is_it(found)).cloned())
            .or_else(|| debian_pythons::unpacked(minor))
    };
    SUPPORTED.filter_map(of_version).collect()
}

/// The interpreters of pyenv, newest first.
fn pyenv() -> Vec<Interpreter> {
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let Some(root) = root.or_else(|| std::env::home_dir().map(|home| home.join(".pyenv"))) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(root.join("versions")) else {
        return Vec::new();
    };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders
        .iter()
        .rev()
        .filter_map(|folder| Interpreter::at(folder.join("bin").join("python3")))
        .collect()
}

/// A virtual environment with exactly what a requirements file names. It is made once, and again when the file or
/// the interpreter changes.
pub(crate) fn environment(
    interpreter: &Interpreter,
    folder: &Path,
    requirements: &Path,
    announce: impl FnOnce(),
) -> Result<Interpreter> {
    let wanted = format!(
        "{}\n{interpreter}\n{}",
        interpreter.executable.display(),
        fs::read_to_string(requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?
    );
    let stamp = folder.join("made-from.txt");
    let python = if cfg!(windows) {
        folder.join("Scripts/python.exe")
    } else {
        folder.join("bin/python")
    };
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted)
        && let Some(made) = Interpreter::at(&python)
    {
        return Ok(made);
    }

    announce();
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    process::run_quietly(interpreter.command().args(["-m", "venv"]).arg(folder)).with_context(|| {
        format!(
            "{interpreter} could not make a virtual environment. On Debian and Ubuntu the package `python3-venv` \
             is what is missing; elsewhere, check that `{} -m venv` works",
            interpreter.executable.display()
        )
    })?;
    let Some(made) = Interpreter::at(&python) else {
        bail!(
            "the virtual environment in {} does not start",
            folder.display()
        );
    };
    let mut install = made.command();
    install.args([
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--requirement",
    ]);
    process::run_quietly(install.arg(requirements)).with_context(|| {
        format!(
            "pip could not install {}: is there a way to the Python package index?",
            requirements.display()
        )
    })?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(made)
}

/// Keeps what the user's shell says about Python away from a program of ours.
fn isolate(command: &mut Command) {
    for name in [
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "PYTHONINSPECT",
        "PYTHONOPTIMIZE",
        "VIRTUAL_ENV",
    ] {
        command.env_remove(name);
    }
}
