//! `heldby capture` and `heldby confirm`: a program that nothing was prepared for is dumped from outside, or its lines are counted, and it
//! goes on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use heldby_heap::Cancel;
use heldby_tests::{heldby, pythons};

/// Leaks, and says how far it is each time it is given a line. Its main thread computes, or waits without an end.
const PROGRAM: &str = "\
import sys, threading, time

class Photo:
    def __init__(self, number):
        self.pixels = bytes(1000 + number)

KEPT = []

def keep():
    while True:
        KEPT.append(Photo(len(KEPT) % 100))  # the leak
        time.sleep(0.002)

def answer():
    for _ in sys.stdin:
        print(len(KEPT), flush=True)

for work in (keep, answer):
    threading.Thread(target=work, daemon=True).start()
if sys.argv[1] == 'waits':
    threading.Event().wait()
while True:
    sum(range(1000))
";

/// Has two lines that may store, of which one does. Says, when it is given a line, what of a counter is left in it.
const CHOOSES: &str = "\
import sys, threading, time

class Photo:
    pass

KEPT = []

def import_old(photo):
    KEPT.append(photo)

def upload(photo):
    KEPT.append(photo)  # the leak

def keep():
    while True:
        (import_old if len(sys.argv) > 5 else upload)(Photo())
        time.sleep(0.002)

def answer():
    for _ in sys.stdin:
        left = [sys.gettrace(), threading._trace_hook]
        left += [frame.f_trace for frame in sys._current_frames().values()]
        if hasattr(sys, 'monitoring'):
            left += [sys.monitoring.get_tool(number) for number in (3, 4)]
        print(sum(one is not None for one in left), flush=True)

for work in (keep, answer):
    threading.Thread(target=work, daemon=True).start()
while True:
    time.sleep(0.01)
";

struct Running {
    child: Child,
    answers: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

impl Running {
    fn start(python: &Path, how: &str) -> Self {
        Self::start_program(python, PROGRAM, how)
    }

    fn start_program(python: &Path, text: &str, how: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("program.py"), text).unwrap();
        let mut child = Command::new(python)
            .args(["program.py", how])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self {
            child,
            answers,
            folder,
        };
        // It has begun.
        running.asked();
        running
    }

    /// The number that it answers with: how many it keeps by now.
    fn asked(&mut self) -> u64 {
        use std::io::Write as _;

        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }

    fn capture(&self, arguments: &[&str]) -> Output {
        capture(self.folder.path(), self.child.id(), arguments)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn capture(folder: &Path, pid: u32, arguments: &[&str]) -> Output {
    Command::new(heldby())
        .args(["capture", "--pid", &pid.to_string()])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn confirm(folder: &Path, pid: u32, seconds: &str, arguments: &[&str]) -> Output {
    Command::new(heldby())
        .args(["confirm", "--pid", &pid.to_string(), "--seconds", seconds])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What heldby puts where the process can see it.
fn left_behind(pid: u32) -> Vec<PathBuf> {
    let end = format!("-{pid}");
    fs::read_dir("/tmp")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("heldby-") && name.ends_with(&end)
        })
        .collect()
}

#[test]
#[ignore = "needs gdb: `cargo xtask test` looks for it"]
fn three_dumps_of_a_program_that_runs_already_name_the_line() {
    for python in pythons() {
        for how in ["computes", "waits"] {
            let mut running = Running::start(&python, how);
            for _ in 0..3 {
                let before = running.asked();
                let output = running.capture(&[]);
                let place = format!("{} that {how}", python.display());
                assert!(output.status.success(), "{place}: {}", said(&output));
                let path = String::from_utf8(output.stdout).unwrap();
                let path = running.folder.path().join(path.trim());
                let dump = heldby_dump::read(&path, &Cancel::new()).unwrap();
                assert!(dump.problems.is_empty(), "{place}: {:?}", dump.problems);
                assert!(dump.header.agent.starts_with("heldby_native"), "{place}");
                assert!(running.asked() > before, "{place} goes on");
            }
            let report = Command::new(heldby())
                .args(["report", ".heldby"])
                .current_dir(running.folder.path())
                .output()
                .unwrap();
            let report = String::from_utf8(report.stdout).unwrap();
            let line = PROGRAM
                .lines()
                .position(|line| line.ends_with("# the leak"))
                .unwrap();
            let place = format!("program.py:{}:9", line + 1);
            assert!(report.contains(&place), "{report}");
            assert!(report.contains("1 warning"), "{report}");
        }
    }
}

#[test]
#[ignore = "needs gdb: `cargo xtask test` looks for it"]
fn nothing_is_left_where_the_program_can_see_it() {
    let mut running = Running::start(&pythons()[0], "computes");
    let output = running.capture(&["-o", "a.heldby"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(running.folder.path().join("a.heldby").is_file());
    assert_eq!(left_behind(running.child.id()), <[PathBuf; 0]>::default());
    assert!(running.asked() > 0);
}

#[test]
#[ignore = "needs gdb: `cargo xtask test` looks for it"]
fn what_cannot_be_captured_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    // No system gives a process this number.
    let nobody = capture(folder.path(), u32::MAX >> 1, &[]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(
        said(&nobody).contains("there is no process"),
        "{}",
        said(&nobody)
    );

    let mut sleeping = Command::new("sleep").arg("1000").spawn().unwrap();
    let other = capture(folder.path(), sleeping.id(), &[]);
    assert!(
        said(&other).contains("is not CPython 3.8 or later"),
        "{}",
        said(&other)
    );
    sleeping.kill().unwrap();
    sleeping.wait().unwrap();

    // Python before 3.14, and no gdb.
    let python = pythons().into_iter().next().unwrap();
    let mut running = Running::start(&python, "waits");
    let output = Command::new(heldby())
        .args(["capture", "--pid", &running.child.id().to_string()])
        .env("PATH", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        said(&output).contains("gdb is not installed"),
        "{}",
        said(&output)
    );
    // One that was stopped is left alone, and is as it was when it goes on.
    let signal = |name: &str| {
        let pid = running.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    };
    signal("STOP");
    let stopped = running.capture(&[]);
    signal("CONT");
    assert!(
        said(&stopped).contains("is stopped: let it go on"),
        "{}",
        said(&stopped)
    );
    let before = running.asked();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(running.asked() > before);
}

#[test]
fn the_agent_with_the_native_one_inside_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Command::new(heldby())
        .args(["agent", "--native"])
        .output()
        .unwrap();
    assert!(agent.status.success(), "{}", said(&agent));
    fs::write(folder.path().join("heldby_agent.py"), agent.stdout).unwrap();
    for python in pythons() {
        let program = "import heldby_agent; heldby_agent.dump('a.heldby')";
        let ran = Command::new(&python)
            .args(["-c", program])
            .env_remove("HELDBY_NATIVE_LIBRARY")
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", said(&ran));
        let dump = heldby_dump::read(&folder.path().join("a.heldby"), &Cancel::new()).unwrap();
        let (agent, fallback) = (&dump.header.agent, &dump.header.fallback);
        assert!(agent.starts_with("heldby_native"), "{agent}: {fallback}");
    }
}

#[test]
#[ignore = "needs gdb: `cargo xtask test` looks for it"]
fn the_line_that_runs_is_confirmed_and_no_counter_is_left() {
    let line_of = |part: &str| {
        let at = CHOOSES.find(part).unwrap();
        CHOOSES[..at].lines().count() as u64 + 1
    };
    for python in pythons() {
        let mut running = Running::start_program(&python, CHOOSES, "");
        let place = python.display();
        let pid = running.child.id();
        for _ in 0..3 {
            assert!(running.capture(&[]).status.success(), "{place}");
        }
        let counted = |arguments: &[&str]| {
            let output = confirm(running.folder.path(), pid, "1", arguments);
            assert!(output.status.success(), "{place}: {}", said(&output));
            String::from_utf8(output.stdout).unwrap()
        };
        let report = counted(&["__main__.KEPT", "--format", "json"]);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let stores = report["findings"][0]["stores"].as_array().unwrap();
        let stored = |line: u64| stores.iter().find(|store| store["line"] == line).unwrap();
        let (taken, other) = (line_of("def upload(") + 1, line_of("def import_old(") + 1);
        assert_eq!(stores[0]["line"], taken, "{place}: {report:#}");
        assert_eq!(stores[0]["evidence"], "confirmed", "{place}");
        // It stores every two milliseconds at best.
        let runs = stores[0]["runs"].as_u64().unwrap();
        assert!((10..=1000).contains(&runs), "{place}: {runs} times");
        assert_eq!(stored(other)["evidence"], "inferred", "{place}");
        assert_eq!(stored(other)["runs"], 0, "{place}");
        let text = counted(&["__main__.KEPT[*]"]);
        assert!(text.contains("confirmed: ran "), "{place}: {text}");
        assert!(
            text.contains("did not run while that was counted"),
            "{place}: {text}"
        );
        assert_eq!(running.asked(), 0, "{place}: no counter is left");
        assert_eq!(left_behind(pid), Vec::<PathBuf>::new(), "{place}");
    }
}

#[test]
#[ignore = "needs gdb: `cargo xtask test` looks for it"]
fn what_cannot_be_counted_is_said() {
    let python = pythons().remove(0);
    let running = Running::start_program(&python, CHOOSES, "");
    let folder = running.folder.path();
    let refused_after = |seconds: &str, pid: u32, arguments: &[&str], reason: &str| {
        let output = confirm(folder, pid, seconds, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            said(&output).contains(reason),
            "{arguments:?}: {}",
            said(&output)
        );
    };
    let refused =
        |pid, arguments: &[&str], reason: &str| refused_after("1", pid, arguments, reason);
    let pid = running.child.id();
    refused(pid, &["__main__.KEPT"], ".heldby");
    assert!(running.capture(&[]).status.success());
    assert!(running.capture(&[]).status.success());
    refused(
        std::process::id(),
        &["__main__.KEPT"],
        "dumps are of other processes",
    );
    refused(
        pid,
        &["__main__.FOUND"],
        "there is no finding __main__.FOUND; there are: __main__.KEPT[*]",
    );
    refused_after("0", pid, &["__main__.KEPT"], "greater than 0");
}
