//! `heldby run` with real programs: what it leaves alone, what it dumps, what it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
#[cfg(unix)]
use std::{process::Stdio, time::Duration};

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
        self.heldby(options, program).output().unwrap()
    }

    /// Runs a program without heldby.
    fn run_alone(&self, program: &[&str]) -> Output {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).current_dir(self.0.path());
        command.env_remove("PYTHONPATH").output().unwrap()
    }

    /// Runs a program that makes the file `ready` when it is, and then does not end by itself.
    #[cfg(unix)]
    fn start(&self, options: &[&str], program: &[&str]) -> Running {
        // What the tests were told to ignore (in the background, under `nohup`) is not what these programs are about.
        const AS_IN_A_TERMINAL: &str = "\
import os, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
";
        let heldby = self.heldby(options, program);
        let mut command = Command::new("python3");
        command
            .args(["-I", "-c", AS_IN_A_TERMINAL])
            .arg(heldby.get_program())
            .args(heldby.get_args())
            .current_dir(self.0.path())
            .env_remove("PYTHONPATH");
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let running = Running(child);
        while !self.0.path().join("ready").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        running
    }

    fn heldby(&self, options: &[&str], program: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heldby"));
        command.arg("run").args(options).arg("--").args(program);
        command.current_dir(self.0.path()).env_remove("PYTHONPATH");
        command
    }

    /// All files in the folders of the processes.
    #[cfg(unix)]
    fn files(&self) -> Vec<String> {
        let folders = paths(&self.0.path().join(".heldby"));
        let files = folders.iter().flat_map(|folder| paths(folder));
        files
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
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

/// heldby with a program that has not ended.
#[cfg(unix)]
struct Running(std::process::Child);

#[cfg(unix)]
impl Running {
    /// Sends a signal to heldby.
    fn send(self, signal: &str) -> Self {
        let pid = self.0.id().to_string();
        let status = Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .unwrap();
        assert!(status.success());
        self
    }

    fn end(self) -> Output {
        self.0.wait_with_output().unwrap()
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
fn a_program_that_cannot_be_joined_runs_and_is_explained() {
    let place = Place::new(&[("app.py", "print('alone')\n")]);
    for flag in ["-I", "-E", "-S"] {
        let output = place.run(&[], &["python3", flag, "app.py"]);
        assert_eq!(
            (output.status.code(), out(&output).as_str()),
            (Some(0), "alone\n")
        );
        let said = err(&output);
        assert!(said.contains("started with -I, -E or -S"), "{said}");
    }
}

#[test]
fn a_program_that_ended_before_its_first_dump_is_explained() {
    let place = Place::new(&[("app.py", "import os\nos._exit(3)\n")]);
    let output = place.run(&[], &["python3", "app.py"]);
    assert_eq!(output.status.code(), Some(3));
    let said = err(&output);
    assert!(said.contains("Use a smaller --every"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_fork_that_python_is_not_told_of_is_named() {
    const FORKS: &str = "\
import ctypes, os, time
told = os.fork()
if told == 0:
    time.sleep(9); os._exit(0)
untold = ctypes.CDLL(None).fork()
if untold == 0:
    time.sleep(9); os._exit(0)
print(untold)
os.waitpid(untold, 0), os.waitpid(told, 0)
";
    let place = Place::new(&[("app.py", FORKS)]);
    let output = place.run(&[], &["python3", "app.py"]);
    let said = err(&output);
    let untold = out(&output).lines().next().unwrap_or_default().to_owned();
    let named = format!("heldby: no dumps were taken in {untold}: C code forked them");
    // When it is found, and at the end.
    assert_eq!(said.matches(&named).count(), 2, "{said}");
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

#[test]
fn the_modules_and_paths_of_the_program_are_as_without_heldby() {
    let shown = "import sys\nprint([path for path in sys.path], 'sitecustomize' in sys.modules)\n";
    let place = Place::new(&[]);
    std::fs::create_dir(place.0.path().join("app")).unwrap();
    std::fs::write(place.0.path().join("app/app.py"), shown).unwrap();
    for python_path in [None, Some(""), Some("/one:/two")] {
        let mut alone = Command::new("python3");
        let mut joined = Command::new(env!("CARGO_BIN_EXE_heldby"));
        joined.args(["run", "--", "python3"]);
        let [alone, joined] = [&mut alone, &mut joined].map(|command| {
            command
                .arg("app/app.py")
                .current_dir(place.0.path())
                .env_remove("PYTHONPATH")
                .envs(python_path.map(|path| ("PYTHONPATH", path)));
            out(&command.output().unwrap())
        });
        assert_eq!(
            joined.lines().next(),
            alone.lines().next(),
            "{python_path:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_fork_during_a_dump_gives_a_child_without_the_dumps_state() {
    let program = "\
import gc, os, time
big = [[i] for i in range(100000)]
failed = 0
for _ in range(8):
    time.sleep(0.13)
    child = os.fork()
    if child == 0:
        is_enabled = gc.isenabled()
        # Only `big` itself has so many: what a dump had in hand is not kept by the child.
        large = [o for o in gc.get_objects() if type(o) is list and len(o) > 90000]
        os._exit(0 if is_enabled and len(large) == 1 else 1)
    failed += os.waitpid(child, 0)[1] != 0
print('failed', failed)
";
    let place = Place::new(&[("app.py", program)]);
    // Longer than the child takes to look: its own first dump is not the one that is looked for.
    let output = place.run(&["--every", "0.4", "--dumps", "1"], &["python3", "app.py"]);
    assert!(out(&output).starts_with("failed 0\n"), "{}", out(&output));
    let said = err(&output);
    assert!(
        said.lines()
            .all(|line| line.starts_with("heldby: the dumps are in")),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn children_of_multiprocessing_dump_at_exit() {
    let program = "\
import multiprocessing, os
def work():
    print(os.getpid(), flush=True)
if __name__ == '__main__':
    for method in 'fork', 'spawn', 'forkserver':
        child = multiprocessing.get_context(method).Process(target=work)
        child.start()
        child.join()
";
    let place = Place::new(&[("app.py", program)]);
    let output = place.run(&[], &["python3", "app.py"]);
    let processes = place.processes();
    for pid in out(&output).lines().take(3) {
        let dumps: Vec<usize> = processes
            .iter()
            .filter(|(name, _)| name.contains(&format!("-{pid}-")))
            .map(|(_, dumps)| *dumps)
            .collect();
        assert_eq!(dumps, [1], "{pid} of {processes:?}");
    }
}

#[test]
fn a_folder_that_was_there_stays_in_git() {
    let place = Place::new(&[("app.py", "")]);
    place.run(&["--dir", "."], &["python3", "app.py"]);
    assert!(!place.0.path().join(".gitignore").exists());
}

#[test]
fn a_process_keeps_its_folder() {
    let place = Place::new(&[(
        "app.py",
        "import glob, sys, time\nwhile not glob.glob('.heldby/*/*.heldby'):\n    time.sleep(0.01)\nsys.argv[0] = 'other'\n",
    )]);
    place.run(&["--every", "0.2"], &["python3", "app.py"]);
    let processes = place.processes();
    assert_eq!(processes.len(), 1, "{processes:?}");
    assert!(processes[0].0.starts_with("app-"), "{processes:?}");
    assert!(processes[0].1 > 1, "{processes:?}");
}

#[cfg(unix)]
#[test]
fn a_process_that_becomes_another_program_gets_another_folder_and_report() {
    let program = "\
import glob, os, sys, time
if len(sys.argv) == 1:
    while not glob.glob('.heldby/*/*.heldby'):
        time.sleep(0.01)
    os.execv(sys.executable, [sys.executable, 'app.py', 'again'])
";
    let place = Place::new(&[("app.py", program)]);
    let output = place.run(&["--every", "0.2"], &["python3", "app.py"]);
    assert_eq!(place.processes().len(), 2, "{:?}", place.processes());
    assert_eq!(
        out(&output).matches("\nprocess ").count() + 1,
        2,
        "{}",
        out(&output)
    );
    // Read again by the folder that both are in, they are two as well, though process id and start agree.
    let again = place.run_alone(&[env!("CARGO_BIN_EXE_heldby"), "report", ".heldby"]);
    let own_folder = format!("{}/", place.0.path().display());
    assert_eq!(out(&again), out(&output).replace(&own_folder, ""));
}

/// Two lines of one function may fill the list, and reading does not tell which does.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn a_line_that_was_seen_to_store_comes_first() {
    let program = "\
import glob, time

HELD = []

class Row:
    pass

def load(path, wanted=False):
    if wanted:
        HELD.append(Row())
        return
    row = Row(); HELD.append(row); row = None  # the leak

for dumps in range(1, 5):
    for _ in range(50):
        load('a')
    while len(glob.glob('.heldby/*/*.heldby')) < dumps:
        time.sleep(0.02)
";
    let place = Place::new(&[("app.py", program)]);
    let stores = |options: &[&str]| {
        let output = place.run(options, &["python3", "app.py"]);
        let (folder, _) = place.processes().pop().unwrap();
        let folder = place.0.path().join(".heldby").join(folder);
        let report = place.run_alone(&[
            env!("CARGO_BIN_EXE_heldby"),
            "report",
            "--format",
            "json",
            &folder.display().to_string(),
        ]);
        let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        let stores = report["findings"][0]["stores"].as_array().unwrap().clone();
        std::fs::remove_dir_all(place.0.path().join(".heldby")).unwrap();
        (stores, out(&output))
    };
    let (read, _) = stores(&["--every", "0.2"]);
    assert!(read.iter().all(|store| store["evidence"] == "inferred"));
    let (seen, text) = stores(&["--every", "0.2", "--trace"]);
    assert!(text.contains("observed in an allocation trace"), "{text}");
    assert_eq!(seen[0]["evidence"], "observed", "{text}");
    assert_eq!(seen[0]["line"], 12, "{text}");
    assert_eq!(seen[0]["column"], 18, "{text}");
    assert_eq!(
        seen[1]["evidence"], "inferred",
        "the other stands beside it: {text}"
    );
    assert_eq!(seen[1]["line"], 10, "{text}");
}

#[test]
fn other_runs_in_the_same_folder_are_not_reported() {
    let place = Place::new(&[("one.py", "import time\ntime.sleep(1.5)\n"), ("two.py", "")]);
    let outputs = std::thread::scope(|scope| {
        ["one.py", "two.py"]
            .map(|program| scope.spawn(|| place.run(&[], &["python3", program])))
            .map(|run| out(&run.join().unwrap()))
    });
    for output in outputs {
        assert_eq!(output.matches(" of process ").count(), 1, "{output}");
    }
    assert_eq!(place.processes().len(), 2);
}

#[test]
fn the_exit_code_is_the_programs_when_its_dumps_cannot_be_read() {
    let program = "\
import glob, os, time
while not glob.glob('.heldby/*/*.heldby'):
    time.sleep(0.01)
for dump in glob.glob('.heldby/*/*.heldby'):
    open(dump, 'w').close()
os._exit(7)
";
    let place = Place::new(&[("app.py", program)]);
    let output = place.run(&["--every", "0.5"], &["python3", "app.py"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(
        err(&output).contains("the file is empty"),
        "{}",
        err(&output)
    );
}

#[cfg(unix)]
#[test]
fn what_a_killed_program_had_begun_to_write_is_removed() {
    let program = "\
import glob, os, signal
big = [[i] for i in range(500000)]
while not glob.glob('.heldby/*/*.part'):
    pass
os.kill(os.getpid(), signal.SIGKILL)
";
    let place = Place::new(&[("app.py", program)]);
    let output = place.run(&["--every", "0.1"], &["python3", "app.py"]);
    assert_eq!(output.status.code(), Some(137));
    assert_eq!(place.processes(), []);
}

#[cfg(unix)]
#[test]
fn what_killed_children_had_begun_to_write_is_removed_and_their_dumps_are_kept() {
    let program = "\
import glob, os, signal, time
child = os.fork()
if child == 0:
    big = [[i] for i in range(100000)]
    while True:
        time.sleep(1)
folder = '.heldby/*-%d-*/*' % child
while not glob.glob(folder + '.heldby') or not glob.glob(folder + '.part'):
    time.sleep(0.001)
os.kill(child, signal.SIGTERM)
print(child, os.waitpid(child, 0)[1])
";
    let place = Place::new(&[("app.py", program)]);
    let output = place.run(&["--every", "0.1"], &["python3", "app.py"]);
    let text = out(&output);
    let (child, status) = text.lines().next().unwrap().split_once(' ').unwrap();
    assert_eq!(status, "15");
    assert!(text.contains(&format!(" of process {child} (")), "{text}");
    let files = place.files();
    assert!(
        files.iter().all(|name| !name.ends_with(".part")),
        "{files:?}"
    );
}

/// Waits until the process has a dump, then for a signal.
#[cfg(unix)]
const WAITING: &str = "\
import glob, os, signal, sys, time
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), lambda number, _: sys.exit('got ' + signal.Signals(number).name))
while not glob.glob('.heldby/*/*.heldby'):
    time.sleep(0.01)
open('ready', 'w').close()
while True:
    time.sleep(0.1)
";

#[cfg(unix)]
#[test]
fn signals_are_passed_on_and_the_report_still_comes() {
    for (signal, is_handled, code) in [
        ("TERM", false, 128 + 15),
        ("HUP", false, 128 + 1),
        ("TERM", true, 1),
        ("INT", true, 1),
        ("USR1", true, 1),
    ] {
        let place = Place::new(&[("app.py", WAITING)]);
        let name = format!("SIG{signal}");
        let mut program = vec!["python3", "app.py"];
        program.extend(is_handled.then_some(name.as_str()));
        let running = place.start(&["--every", "0.1"], &program);
        let output = running.send(signal).end();
        assert_eq!(output.status.code(), Some(code), "{signal}");
        let said = err(&output);
        assert_eq!(
            said.starts_with(&format!("got {name}\n")),
            is_handled,
            "{said}"
        );
        assert!(out(&output).contains(" of process "), "{}", out(&output));
        let files = place.files();
        assert!(
            files.iter().all(|name| !name.ends_with(".part")),
            "{files:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_signal_that_is_ignored_is_ignored_by_the_program_too() {
    let program = "\
import signal
print(*(signal.getsignal(number).name for number in (signal.SIGHUP, signal.SIGTERM)))
";
    let place = Place::new(&[("app.py", program)]);
    let heldby = env!("CARGO_BIN_EXE_heldby");
    let script = format!("trap '' HUP; exec {heldby} run -- python3 app.py");
    let output = place.run_alone(&["sh", "-c", &script]);
    assert!(
        out(&output).starts_with("SIG_IGN SIG_DFL\n"),
        "{}",
        out(&output)
    );
}

#[cfg(unix)]
#[test]
fn a_program_that_signals_its_whole_group_has_the_signal_once() {
    let script = "\
trap 'echo ended; times=$((times + 1)); test $times -lt 3 || exit 9' TERM
kill -TERM 0
sleep 0.3
exit $times
";
    let place = Place::new(&[("app.sh", script)]);
    let heldby = env!("CARGO_BIN_EXE_heldby");
    // A group of its own, so that the signal does not end the test.
    let output = place.run_alone(&["setsid", "--wait", heldby, "run", "--", "sh", "app.sh"]);
    assert_eq!(
        (out(&output).as_str(), output.status.code()),
        ("ended\n", Some(1))
    );
}
