//! Programs that run under heldby, and what they leave: output, folders of dumps, processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::heldby;

/// A working folder with the files of a program, its environment, and the folder of its dumps.
pub struct Place {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Place {
    /// Writes the files, by their paths in the folder.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder =
            tempfile::tempdir().unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        let place = Self {
            folder,
            environment: Vec::new(),
        };
        for (name, text) in files {
            let path = place.path().join(name);
            let written = path
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(&path, text));
            written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        place
    }

    /// The same with a variable in the environment of the program.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// As if nothing had run here.
    pub fn forget_dumps(&self) {
        // Perhaps nothing has.
        let _ = fs::remove_dir_all(self.path().join(".heldby"));
    }

    /// The program as it would run without heldby.
    pub fn alone(&self, program: &[&str]) -> Command {
        self.command(Path::new(program[0]), &program[1..])
    }

    /// The program under heldby, with options of `heldby run`.
    pub fn joined(&self, options: &[&str], program: &[&str]) -> Command {
        let mut arguments = vec!["run"];
        arguments.extend(options);
        arguments.push("--");
        arguments.extend(program);
        self.command(heldby(), &arguments)
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path());
        // What a user's shell may say, and what programs write beside their output.
        for name in ["PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "VIRTUAL_ENV"] {
            command.env_remove(name);
        }
        command.env("HOME", self.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The processes that have a folder, by its name.
    pub fn processes(&self) -> Vec<Process> {
        let entries = fs::read_dir(self.path().join(".heldby"))
            .into_iter()
            .flatten()
            .flatten();
        let mut processes: Vec<Process> = entries
            .filter(|entry| entry.path().is_dir())
            .map(|entry| Process::at(&entry.path()))
            .collect();
        processes.sort_by(|one, other| one.name.cmp(&other.name));
        processes
    }

    /// Nothing that was begun is there: no process of the program, no unfinished dump.
    ///
    /// Helpers of Python's end by themselves when the program has: they get some time for it.
    pub fn assert_nothing_is_left(&self) {
        let began = Instant::now();
        while !self.running().is_empty() && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(self.running(), Vec::<String>::new(), "is still running");
        for process in self.processes() {
            assert_eq!(process.unfinished, Vec::<String>::new(), "{}", process.name);
            assert!(process.dumps > 0, "{} has no dump", process.name);
        }
    }

    /// The command lines of the processes that work in this folder. Linux only; elsewhere none is known.
    fn running(&self) -> Vec<String> {
        let folder = self
            .path()
            .canonicalize()
            .unwrap_or_else(|_| self.path().to_owned());
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let working = entries.filter(|entry| {
            fs::read_link(entry.path().join("cwd")).is_ok_and(|path| path.starts_with(&folder))
        });
        working
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .collect()
    }
}

/// A process's folder of dumps.
#[derive(Debug)]
pub struct Process {
    /// The folder's name.
    pub name: String,
    /// Process id.
    pub pid: u32,
    /// Number of dumps.
    pub dumps: usize,
    /// How many there were with those that were removed.
    pub taken: usize,
    /// Other files.
    pub unfinished: Vec<String>,
}

impl Process {
    fn at(folder: &Path) -> Self {
        let name = file_name(folder);
        // `app-4711-20260730T120000Z`, and a number behind it where that was taken.
        let parts: Vec<&str> = name.split('-').collect();
        let start = parts
            .iter()
            .rposition(|part| part.len() == 16 && part.ends_with('Z'));
        let pid = start.and_then(|start| parts.get(start.checked_sub(1)?)?.parse().ok());
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let names: Vec<String> = files.map(|file| file_name(&file.path())).collect();
        let (dumps, unfinished): (Vec<String>, Vec<String>) = names
            .into_iter()
            .partition(|name| name.ends_with(".heldby"));
        // `000012-20260730T120000Z.heldby`
        let taken = dumps
            .iter()
            .filter_map(|name| name.split('-').next()?.parse().ok());
        Self {
            pid: pid.unwrap_or_default(),
            taken: taken.max().unwrap_or_default(),
            dumps: dumps.len(),
            unfinished,
            name,
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What a command wrote to standard output.
pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command wrote to standard error.
pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command to its end, whatever that is.
pub fn run(mut command: Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str()
        .unwrap_or_else(|| panic!("{} is no text", path.display()))
}

/// Runs the program without heldby and under it, where the folder `.heldby` tells it that it is. Output and exit code must agree;
/// returns the run under heldby, whose own words stand behind the program's, on both streams.
pub fn assert_runs_as_alone(place: &Place, options: &[&str], program: &[&str]) -> Output {
    place.forget_dumps();
    let alone = run(place.alone(program));
    let joined = run(place.joined(options, program));
    let context = format!("{program:?}\n{}\n{}", out(&joined), err(&joined));
    assert_eq!(joined.status.code(), alone.status.code(), "{context}");
    assert_eq!(before_report(&joined), out(&alone), "{context}");
    assert_eq!(before_own_words(&joined), err(&alone), "{context}");
    joined
}

/// What the program wrote to standard output.
fn before_report(joined: &Output) -> String {
    let begins = |line: &&str| {
        ![
            "process ",
            "note: ",
            "no findings in ",
            "nothing grows",
            "warning[",
        ]
        .iter()
        .any(|begin| line.starts_with(begin))
    };
    out(joined)
        .split_inclusive('\n')
        .take_while(begins)
        .collect()
}

fn before_own_words(joined: &Output) -> String {
    let words = err(joined);
    let is_ours = |line: &&str| !line.starts_with("heldby: the dumps are in ");
    words.split_inclusive('\n').filter(is_ours).collect()
}

/// A virtual environment of an interpreter in the folder, without pip; its Python.
pub fn virtual_environment(place: &Place, python: &Path) -> PathBuf {
    let made = run(place.alone(&[text(python), "-m", "venv", "--without-pip", "environment"]));
    assert!(made.status.success(), "{}", err(&made));
    let folder = place.path().join("environment");
    if cfg!(windows) {
        folder.join("Scripts/python.exe")
    } else {
        folder.join("bin/python")
    }
}
