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
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
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
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn nothing_is_left_where_the_program_can_see_it() {
    let mut running = Running::start(&pythons()[0], "computes");
    let output = running.capture(&["-o", "a.heldby"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(running.folder.path().join("a.heldby").is_file());
    assert_eq!(left_behind(running.child.id()), <[PathBuf; 0]>::default());
    assert!(running.asked() > 0);
}

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
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

    let python = pythons().into_iter().next().unwrap();
    let mut running = Running::start(&python, "waits");
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

/// Reads one byte, and answers, for ever; the second time it keeps the interpreter's lock while it waits for the byte. It has imported
/// nothing, and calls what it has itself as the interpreter's own functions are called.
const ALONE: &str = "\
import ctypes, os, sys

exec = compile = open = None
byte = ctypes.create_string_buffer(1)
os.read(0, 1)
print(0, flush=True)
ctypes.PyDLL(None).read(0, byte, 1)
print(1, flush=True)
while os.read(0, 1):
    import threading
    print(int(threading.main_thread() is threading.current_thread()), flush=True)
";

/// Waits for what another process does.
fn until(is_done: impl Fn() -> bool) {
    while !is_done() {
        std::thread::yield_now();
    }
}

fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn a_capture_that_is_given_up_leaves_the_program_as_it_was() {
    for python in pythons() {
        for signal in ["INT", "TERM", "KILL"] {
            let place = format!("{}, {signal}", python.display());
            let mut running = Running::start_program(&python, ALONE, "");
            let pid = running.child.id();
            let mut capture = Command::new(heldby())
                .args(["capture", "--pid", &pid.to_string()])
                .current_dir(running.folder.path())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // It is in the program, and waits for the interpreter's lock.
            until(|| {
                let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
                let mut names = tasks
                    .filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
                names.any(|name| name == "heldby\n") || capture_has_ended(&capture)
            });
            send(signal, capture.id());
            let mut error = String::new();
            std::io::Read::read_to_string(&mut capture.stderr.take().unwrap(), &mut error).unwrap();
            let status = capture.wait().unwrap();
            if signal == "KILL" {
                for folder in left_behind(pid) {
                    fs::remove_dir_all(folder).unwrap();
                }
            } else {
                assert_eq!(status.code(), Some(2), "{place}: {error}");
                assert!(error.contains("interrupted"), "{place}: {error}");
            }
            assert_eq!(running.asked(), 1, "{place} goes on");
            assert_eq!(running.asked(), 1, "{place} has its main thread");
            // Newer interpreters have looked for what they were asked by now.
            assert_eq!(left_behind(pid), Vec::<PathBuf>::new(), "{place}");
            let again = running.capture(&["-o", "a.heldby"]);
            assert!(again.status.success(), "{place}: {}", said(&again));
        }
    }
}

fn capture_has_ended(capture: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", capture.id()));
    status.map_or(true, |status| status.contains(") Z"))
}

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn a_program_that_has_not_imported_threading_has_its_main_thread() {
    for python in pythons() {
        let mut running = Running::start_program(&python, ALONE, "");
        assert_eq!(running.asked(), 1);
        let output = running.capture(&[]);
        let place = python.display();
        assert!(output.status.success(), "{place}: {}", said(&output));
        assert_eq!(running.asked(), 1, "{place}");
    }
}

/// Threads that take and give back blocks all the time, which the C library gives, with locks around them.
const ALLOCATES: &str = "\
import sys, threading

def allocate():
    blocks = []
    while True:
        blocks.append(bytearray(600 + len(blocks) * 9000))
        if len(blocks) > 30:
            del blocks[:]

for _ in range(3):
    threading.Thread(target=allocate, daemon=True).start()
if sys.argv[1] == 'alone':
    sys.stdin.readline()
    print(0, flush=True)
    allocate()
for _ in sys.stdin:
    print(0, flush=True)
";

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn a_program_that_allocates_in_each_thread_goes_on() {
    for python in pythons() {
        // No thread waits, or one does.
        for how in ["alone", ""] {
            let mut running = Running::start_program(&python, ALLOCATES, how);
            for _ in 0..3 {
                let output = running.capture(&["-o", "a.heldby"]);
                let place = python.display();
                assert!(output.status.success(), "{place}: {}", said(&output));
                assert!(running.child.try_wait().unwrap().is_none(), "{place}");
            }
        }
    }
}

/// Has one thread, which computes and waits in each way that is different for whoever stops it, and counts what went wrong until its input
/// ends.
const CHECKS: &str = "\
import ctypes, faulthandler, hashlib, math, select, signal, sys, time

def alternate_stack():
    stack = (ctypes.c_uint64 * 3)()
    ctypes.CDLL(None).sigaltstack(None, stack)
    return list(stack)

def computed():
    numbers = sum(math.sin(n) * math.sqrt(n) for n in range(3000))
    return numbers, bytes(range(256)).lower() * 99, hashlib.sha256(b'x' * 400000).digest()

def slept(wait):
    began = time.monotonic()
    wait()
    return time.monotonic() - began > 0.0199

faulthandler.enable()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
state = lambda: (alternate_stack(), signal.pthread_sigmask(signal.SIG_BLOCK, []), computed())
before = state()
poll = select.poll()
epoll = select.epoll()
print(0, flush=True)
bad = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    bad += state() != before
    for wait in (lambda: time.sleep(0.02), lambda: poll.poll(20), lambda: epoll.poll(0.02), lambda: select.select([], [], [], 0.02)):
        bad += not slept(wait)
print(bad, flush=True)
";

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn what_a_thread_computes_is_kept() {
    for python in pythons() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("program.py"), CHECKS).unwrap();
        let mut program = Command::new(&python)
            .arg("program.py")
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(program.stdout.take().unwrap()).lines();
        answers.next().unwrap().unwrap();
        for _ in 0..5 {
            let output = capture(folder.path(), program.id(), &["-o", "a.heldby"]);
            assert!(output.status.success(), "{}", said(&output));
        }
        // The end of its input.
        drop(program.stdin.take());
        let bad = answers.next().unwrap().unwrap();
        assert_eq!(bad, "0", "{}", python.display());
        assert!(program.wait().unwrap().success());
    }
}

/// How many mappings of a process are heldby's.
fn mappings_of_heldby(pid: u32) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    maps.lines().filter(|line| line.contains("heldby-")).count()
}

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn each_capture_uses_what_the_first_has_loaded() {
    for python in pythons() {
        let running = Running::start(&python, "computes");
        let after_capture = || {
            let output = running.capture(&["-o", "a.heldby"]);
            assert!(output.status.success(), "{}", said(&output));
            mappings_of_heldby(running.child.id())
        };
        let first = after_capture();
        assert!(first > 0);
        assert_eq!(after_capture(), first, "{}", python.display());
    }
}

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn two_captures_at_once_are_two_dumps() {
    let mut running = Running::start(&pythons()[0], "waits");
    let outputs = std::thread::scope(|scope| {
        let captures = ["a.heldby", "b.heldby"].map(|name| {
            let running = &running;
            scope.spawn(move || capture(running.folder.path(), running.child.id(), &["-o", name]))
        });
        captures.map(|capture| capture.join().unwrap())
    });
    for output in outputs {
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(running.asked() > 0);
}

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn a_program_that_ends_meanwhile_ends_as_it_would() {
    // As soon as it has one thread more; and what it has to do at its end takes a while, in which others run.
    const ENDS: &str = "\
import os, sys, time

class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.3)

slow = Slow()
threads = lambda: len(os.listdir('/proc/self/task'))
alone = threads()
print('ready', flush=True)
while threads() == alone:
    time.sleep(0)
time.sleep(float(sys.argv[1]))
sys.exit(5)
";
    for python in pythons() {
        // The thread waits for the interpreter's lock, or runs the agent's text, or is done.
        for later in ["0", "0.002", "0.01", "0.03", "0.06", "0.1"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("program.py"), ENDS).unwrap();
            let mut program = Command::new(&python)
                .args(["program.py", later])
                .current_dir(folder.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut ready = String::new();
            let mut answers = BufReader::new(program.stdout.take().unwrap());
            answers.read_line(&mut ready).unwrap();
            capture(folder.path(), program.id(), &[]);
            let status = program.wait().unwrap();
            assert_eq!(
                status.code(),
                Some(5),
                "{}, {later}: {status}",
                python.display()
            );
        }
    }
}

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn a_program_that_ends_meanwhile_is_told_of() {
    let mut running = Running::start_program(&pythons()[0], ALONE, "");
    let pid = running.child.id();
    let capture = Command::new(heldby())
        .args(["capture", "--pid", &pid.to_string()])
        .current_dir(running.folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until(|| !left_behind(pid).is_empty() || capture_has_ended(&capture));
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    let output = capture.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("there is no process"),
        "{}",
        said(&output)
    );
    assert_eq!(left_behind(pid), Vec::<PathBuf>::new());
}

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn a_hook_that_forbids_it_is_told_of() {
    let hooked = "\
import sys

def forbid(event, arguments):
    if event in ('compile', 'exec') and not sys.is_finalizing():
        raise RuntimeError('not here')

sys.addaudithook(forbid)
for _ in sys.stdin:
    print(0, flush=True)
";
    // Newer ones are asked, and say nothing.
    let python = pythons().remove(0);
    let mut running = Running::start_program(&python, hooked, "");
    let output = running.capture(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("sys.addaudithook"),
        "{}",
        said(&output)
    );
    assert_eq!(running.asked(), 0);
}

/// A program in namespaces of its own, whose root is read-only, and what it can write to small.
struct Contained {
    /// `unshare`, whose only child is the program.
    outside: Child,
    answers: BufReader<ChildStdout>,
}

impl Contained {
    /// None where the system has no such namespaces for us. `before` is what its shell does first.
    fn start(options: &str, command: &str) -> Option<Self> {
        let script = format!(
            "mount -t tmpfs -o {options} tmpfs /tmp && mount -t tmpfs -o {options} tmpfs /dev/shm \
             && mount -o remount,ro,bind / && cd / && {command}"
        );
        let mut outside = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "--pid", "--fork"])
            .args(["--mount-proc", "--kill-child", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let answers = BufReader::new(outside.stdout.take().unwrap());
        let mut contained = Self { outside, answers };
        if contained.asked().is_empty() {
            let _ = contained.outside.wait();
            return None;
        }
        Some(contained)
    }

    fn asked(&mut self) -> String {
        use std::io::Write as _;

        let _ = self.outside.stdin.as_mut().unwrap().write_all(b"\n");
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn pid(&self) -> u32 {
        let pid = self.outside.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.trim().parse().unwrap()
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let _ = self.outside.kill();
        let _ = self.outside.wait();
    }
}

/// As a shell takes it: there is no single quote in it.
const IN_CONTAINER: &str = "import sys\nfor _ in sys.stdin: print(0, flush=True)";

#[test]
#[ignore = "needs ptrace and user namespaces"]
fn a_container_is_captured_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    for python in pythons() {
        // As `docker run --read-only --tmpfs /tmp` has it: no code may be loaded from what it can write to.
        for options in ["size=32m", "size=32m,noexec"] {
            let command = format!("exec {} -I -c '{IN_CONTAINER}'", python.display());
            let Some(mut program) = Contained::start(options, &command) else {
                eprintln!("skipped: the kernel gives no user namespaces here");
                return;
            };
            let place = format!("{} with {options}", python.display());
            let output = capture(folder.path(), program.pid(), &["-o", "a.heldby"]);
            assert!(output.status.success(), "{place}: {}", said(&output));
            let dump = heldby_dump::read(&folder.path().join("a.heldby"), &Cancel::new()).unwrap();
            let (agent, fallback) = (&dump.header.agent, &dump.header.fallback);
            assert!(agent.starts_with("heldby_native"), "{place}: {fallback}");
            let inside = PathBuf::from(format!("/proc/{}/root/tmp", program.pid()));
            assert_eq!(fs::read_dir(inside).unwrap().count(), 0, "{place}");
            assert_eq!(program.asked(), "0", "{place}");
        }
    }
}

#[test]
#[ignore = "needs ptrace and user namespaces"]
fn a_container_is_captured_from_inside() {
    for python in pythons() {
        for options in ["size=32m", "size=32m,noexec"] {
            let waits = "import threading; print(0, flush=True); threading.Event().wait()";
            let command = format!(
                "({python} -I -c '{waits}' & read line; read line; \
                 {heldby} capture --pid $! -o /tmp/a.heldby 2>&1; ls /tmp)",
                python = python.display(),
                heldby = heldby().display()
            );
            let Some(mut program) = Contained::start(options, &command) else {
                eprintln!("skipped: the kernel gives no user namespaces here");
                return;
            };
            let place = format!("{} with {options}", python.display());
            // The first line was read when the program had not begun; after the second, heldby writes where the dump is.
            assert_eq!(program.asked(), "/tmp/a.heldby", "{place}");
            assert_eq!(program.asked(), "a.heldby", "{place}");
        }
    }
}

#[test]
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
fn what_the_system_does_not_allow_is_told_of() {
    let mut running = Running::start(&pythons()[0], "waits");
    // Who has fewer capabilities than a process may not look into it.
    let output = Command::new("setpriv")
        .args(["--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"])
        .arg(heldby())
        .args(["capture", "--pid", &running.child.id().to_string()])
        .current_dir(running.folder.path())
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: there is no `setpriv` here");
        return;
    };
    if output.status.success() || said(&output).starts_with("setpriv") {
        eprintln!("skipped: there is no capability to give up here");
        return;
    }
    let advice = "a container needs `--cap-add SYS_PTRACE`";
    assert!(said(&output).contains(advice), "{}", said(&output));
    assert!(running.asked() > 0);
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
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
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
#[ignore = "needs ptrace: `cargo xtask test` looks for it"]
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
