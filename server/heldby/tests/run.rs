//! `heldby run` with real programs: what it leaves alone, what it dumps, what it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn run(&self, options: &[&str], program: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heldby"));
        command
            .arg("run")
            .args(options)
            .arg("--")
            .args(program)
            .current_dir(self.0.path());
        command.env_remove("PYTHONPATH").output().unwrap()
    }

    /// The folders of the processes, each with its number of dumps.
    fn processes(&self) -> Vec<(String, usize)> {
        let folders = paths(&self.0.path().join(".heldby"))
            .into_iter()
            .filter(|path| path.is_dir());
        folders
            .map(|path| {
                (
                    path.file_name().unwrap().to_string_lossy().into_owned(),
                    paths(&path).len(),
                )
            })
            .collect()
    }
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Grows until this process has so many dumps.
const LEAK: &str = "\
import glob, os, sys
UPLOADS = []
def upload():
    UPLOADS.append(bytearray(10))
while len(glob.glob('.heldby/*-%d-*/*.heldby' % os.getpid())) < int(sys.argv[1]):
    upload()
    if len(UPLOADS) > 200000:
        import time
        time.sleep(0.01)
";

#[test]
fn the_program_runs_as_it_would_and_its_exit_code_is_ours() {
    let place = Place::new(&[(
        "app.py",
        "import sys\nprint('hello', sys.argv[1:])\nsys.exit(7)\n",
    )]);
    let output = place.run(&[], &["python3", "app.py", "--flag"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(
        out(&output).starts_with("hello ['--flag']\n"),
        "{}",
        out(&output)
    );
    assert_eq!(place.processes().len(), 1, "{}", err(&output));
}

#[test]
fn a_leak_is_found_while_the_program_runs() {
    let place = Place::new(&[("app.py", LEAK)]);
    let output = place.run(&["--every", "0.05"], &["python3", "app.py", "5"]);
    assert!(output.status.success(), "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("__main__.UPLOADS"), "{text}");
    assert!(text.contains("app.py:4:5"), "{text}");
}

#[test]
fn the_newest_dumps_are_kept() {
    let place = Place::new(&[("app.py", LEAK)]);
    let output = place.run(
        &["--every", "0.02", "--dumps", "2"],
        &["python3", "app.py", "2"],
    );
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(place.processes()[0].1, 2);
}

#[test]
fn python_children_join() {
    let program = "\
import multiprocessing, os, subprocess, sys
subprocess.run([sys.executable, 'child.py'], check=True)
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
";
    let place = Place::new(&[("app.py", program), ("child.py", "print('child')\n")]);
    let output = place.run(&[], &["python3", "app.py"]);
    assert!(output.status.success(), "{}", err(&output));
    let names: Vec<String> = place
        .processes()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names.iter().filter(|name| name.starts_with("app-")).count(),
        2,
        "{names:?}"
    );
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("child-"))
            .count(),
        1,
        "{names:?}"
    );
}

#[test]
fn the_programs_own_sitecustomize_still_runs() {
    let place = Place::new(&[
        ("sitecustomize.py", "print('customized')\n"),
        (
            "app.py",
            "import sitecustomize\nprint(sitecustomize.__file__)\n",
        ),
    ]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_heldby"));
    command
        .args(["run", "--", "python3", "app.py"])
        .current_dir(place.0.path())
        .env("PYTHONPATH", place.0.path());
    let output = command.output().unwrap();
    let own = place.0.path().join("sitecustomize.py");
    assert!(
        out(&output).starts_with(&format!("customized\n{}\n", own.display())),
        "{}",
        out(&output)
    );
    assert_eq!(place.processes().len(), 1);
}

#[test]
fn a_program_that_cannot_be_joined_is_explained() {
    let place = Place::new(&[("app.py", "print('alone')\n")]);
    let output = place.run(&[], &["python3", "-I", "app.py"]);
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(0), "alone\n")
    );
    assert!(
        err(&output).contains("it was started with -I, -E or -S"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_program_that_is_not_there_is_said_to_be_so() {
    let output = Place::new(&[]).run(&[], &["no-such-program"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).starts_with("heldby: no-such-program could not be started"),
        "{}",
        err(&output)
    );
}

#[cfg(unix)]
#[test]
fn a_killed_program_gives_128_and_the_signal() {
    let place = Place::new(&[(
        "app.py",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    )]);
    assert_eq!(
        place.run(&[], &["python3", "app.py"]).status.code(),
        Some(137)
    );
}

#[test]
fn dumps_are_kept_out_of_git() {
    let place = Place::new(&[("app.py", "")]);
    place.run(&[], &["python3", "app.py"]);
    assert_eq!(
        std::fs::read_to_string(place.0.path().join(".heldby/.gitignore")).unwrap(),
        "*\n"
    );
}

#[test]
fn an_interval_must_be_more_than_nothing() {
    let output = Place::new(&[]).run(&["--every", "0"], &["python3"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("a number of seconds greater than 0"),
        "{}",
        err(&output)
    );
}
