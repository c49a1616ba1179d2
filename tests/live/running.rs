//! `heldby run` with each way of being a Python program, on each interpreter: the program runs as it would, each of its processes
//! has a folder of dumps, its leak is found, and nothing is left running.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

use std::fs;
use std::path::Path;

use heldby_tests::pythons;
use heldby_tests::running::{
    Place, assert_runs_as_alone, err, out, run, text, virtual_environment,
};

fn for_each_python(check: impl Fn(&str)) {
    for python in pythons() {
        check(text(&python));
    }
}

#[test]
fn a_program_may_be_a_script_a_module_a_package_a_folder_or_a_command() {
    const SHOWN: &str = "\
import sys
print(__name__, sys.argv, sys.path)
sys.exit(5)
";
    for_each_python(|python| {
        let place = Place::new(&[
            ("script.py", SHOWN),
            ("module.py", SHOWN),
            ("package/__init__.py", ""),
            ("package/__main__.py", SHOWN),
            ("folder/__main__.py", SHOWN),
            ("shell.sh", "\"$1\" script.py from a shell\n"),
        ]);
        for (program, name) in [
            (&[python, "script.py", "--flag"][..], "script"),
            (&[python, "-m", "module", "--flag"], "module"),
            (&[python, "-m", "package", "--flag"], "package"),
            (&[python, "folder", "--flag"], "folder"),
            (&[python, "-c", SHOWN, "--flag"], "python"),
            (&["sh", "shell.sh", python], "script"),
        ] {
            assert_runs_as_alone(&place, &[], program);
            place.assert_nothing_is_left();
            let processes = place.processes();
            assert_eq!(processes.len(), 1, "{processes:?}");
            let begin = format!("{name}-{}-", processes[0].pid);
            assert!(processes[0].name.starts_with(&begin), "{processes:?}");
        }
    });
}

/// Of these dumps none is from before a program that waits for four began to keep objects.
const LEAKING: &[&str] = &["--every", "0.2", "--dumps", "4"];

/// Waits for dumps, if there will be some, and keeps objects meanwhile. It imports nothing that is not there already.
const KEEPING: &str = "\
import os

KEPT = []

def keep():
    KEPT.append(bytearray(10))

def dumps_of(pid):
    folders = [names for folder, _, names in os.walk('.heldby') if '-%d-' % pid in folder]
    return max([int(name[:6]) for names in folders for name in names if name.endswith('.heldby')] + [0])

def keep_until(dumps):
    wanted = dumps_of(os.getpid()) + dumps
    while os.path.isdir('.heldby') and dumps_of(os.getpid()) < wanted:
        keep()
";

#[test]
fn modules_may_be_called_like_those_that_the_agent_imports() {
    const NAMES: &str = "\
array binascii builtins collections contextvars copyreg ctypes enum functools gc hashlib heldby_agent heldby_run itertools json
keyword operator random re reprlib settings string struct sysconfig threading time types warnings weakref zlib
_struct _json _ctypes _hashlib _weakrefset";
    let program = format!(
        "import sys\nfor name in '''{NAMES}'''.split():\n    __import__(name)\nimport keeping\nkeeping.keep_until(4)\n\
         print(sorted(set(sys.modules) - set(sys.builtin_module_names)))\n"
    );
    let mut files = vec![
        ("app.py".to_owned(), program),
        ("keeping.py".to_owned(), KEEPING.to_owned()),
    ];
    for name in NAMES.split_whitespace() {
        files.push((format!("{name}.py"), format!("print('own', {name:?})\n")));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    for_each_python(|python| {
        let place = Place::new(&files);
        let alone = run(place.alone(&[python, "app.py"]));
        if !alone.status.success() {
            // An interpreter that needs one of these itself: such a program runs nowhere.
            println!("{python} does not run it: {}", err(&alone));
            return;
        }
        let joined = assert_runs_as_alone(&place, LEAKING, &[python, "app.py"]);
        assert!(out(&joined).contains("own json\n"), "{}", out(&joined));
        // The agent had the library's.
        let text = out(&joined);
        assert!(text.contains("alive through keeping.KEPT"), "{text}");
        assert!(text.contains("keeping.py:6:5"), "{text}");
    });
}

#[test]
fn modules_on_pythonpath_may_be_called_like_those_that_the_agent_imports() {
    for_each_python(|python| {
        let place = Place::new(&[
            ("app.py", "import hashlib, json, ctypes\n"),
            ("own/json.py", "print('own json')\n"),
            ("own/ctypes.py", "print('own ctypes')\n"),
            ("own/hashlib.py", "print('own hashlib')\n"),
        ]);
        let own = place.path().join("own");
        let place = place.with("PYTHONPATH", text(&own));
        let joined = assert_runs_as_alone(&place, &[], &[python, "app.py"]);
        let text = out(&joined);
        assert!(
            text.starts_with("own hashlib\nown json\nown ctypes\n"),
            "{text}"
        );
        place.assert_nothing_is_left();
    });
}

#[test]
#[ignore = "slow: a dozen processes are reported on. `cargo xtask test --all` runs it"]
fn processes_of_multiprocessing_join() {
    const PROGRAM: &str = "\
import concurrent.futures, multiprocessing, os, sys
import keeping

def work(_):
    keeping.keep()
    return os.getpid()

def note(pid, how):
    with open('pids', 'a') as file:
        file.write('%d %s\\n' % (pid, how))

def child(how):
    note(os.getpid(), how)
    print('a child ends', flush=True)

def work_until(dumps, results, how):
    pid, = set(results(work, range(10)))
    wanted = keeping.dumps_of(pid) + dumps
    while os.path.isdir('.heldby') and keeping.dumps_of(pid) < wanted:
        list(results(work, range(10)))
    note(pid, how)

if __name__ == '__main__':
    for method in 'fork', 'spawn', 'forkserver':
        context = multiprocessing.get_context(method)
        process = context.Process(target=child, args=(method + ' process',))
        process.start()
        process.join()
        print(method, process.exitcode, flush=True)
        with context.Pool(1) as pool:
            work_until(4 if method == 'spawn' else 1, pool.map, method + ' pool that is ended')
        pool = context.Pool(1)
        work_until(0, pool.map, method + ' pool that ends')
        pool.close()
        pool.join()
        # That of 3.8 writes an error at exit if anybody, as a dump does for a moment, has its thread in hand then.
        if sys.version_info >= (3, 9):
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                work_until(0, pool.map, method + ' executor')
";
    for_each_python(|python| {
        let place = Place::new(&[("app.py", PROGRAM), ("keeping.py", KEEPING)]);
        run(place.alone(&[python, "app.py"]));
        fs::remove_file(place.path().join("pids")).unwrap();
        let joined = assert_runs_as_alone(&place, LEAKING, &[python, "app.py"]);
        place.assert_nothing_is_left();
        let processes = place.processes();
        let pids = fs::read_to_string(place.path().join("pids")).unwrap();
        // The first half are those of the run without heldby.
        let pids: Vec<&str> = pids.lines().collect();
        for line in &pids[pids.len() / 2..] {
            let (pid, how) = line.split_once(' ').unwrap();
            let process = processes
                .iter()
                .find(|process| process.pid.to_string() == pid);
            assert!(
                process.is_some_and(|process| process.dumps > 0),
                "{how}: {processes:?}"
            );
        }
        // And the program's own; none for the helpers of multiprocessing.
        assert_eq!(processes.len(), 1 + pids.len() / 2, "{processes:?}");
        let text = out(&joined);
        assert!(text.contains("alive through keeping.KEPT"), "{text}");
    });
}

#[test]
fn forks_go_without_a_word_and_join() {
    const PROGRAM: &str = "\
import os, sys, threading, warnings
import keeping

def fork(end):
    child = os.fork()
    if child == 0:
        keeping.keep_until(4 if end is os._exit else 0)
        end(3)
    print(os.waitpid(child, 0)[1] >> 8, flush=True)

with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter('always')
    fork(sys.exit)
    fork(os._exit)
    print(seen)
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    fork(sys.exit)
    waiting.set()
    # Python 3.12 has a word to say on this, with heldby or without.
    print(len(seen))
";
    for_each_python(|python| {
        let place = Place::new(&[("app.py", PROGRAM), ("keeping.py", KEEPING)]);
        let joined = assert_runs_as_alone(&place, LEAKING, &[python, "-W", "error", "app.py"]);
        place.assert_nothing_is_left();
        assert_eq!(place.processes().len(), 4, "{:?}", place.processes());
        let text = out(&joined);
        assert!(text.contains("alive through keeping.KEPT"), "{text}");
    });
}

#[test]
fn what_the_site_customizes_is_customized() {
    for_each_python(|python| {
        let place = Place::new(&[
            (
                "app.py",
                "import sitecustomize, usercustomize\nprint(sitecustomize.__file__, usercustomize.__file__)\n",
            ),
            ("own/sitecustomize.py", "print('site')\n"),
        ]);
        let (own, user) = (place.path().join("own"), place.path().join("user"));
        let place = place
            .with("PYTHONPATH", text(&own))
            .with("PYTHONUSERBASE", text(&user));
        let site = run(place.alone(&[python, "-m", "site", "--user-site"]));
        let site = out(&site).lines().last().unwrap().to_owned();
        fs::create_dir_all(&site).unwrap();
        fs::write(Path::new(&site).join("usercustomize.py"), "print('user')\n").unwrap();
        let joined = assert_runs_as_alone(&place, &[], &[python, "app.py"]);
        assert!(out(&joined).starts_with("site\nuser\n"), "{}", out(&joined));
        place.assert_nothing_is_left();

        // One that fails is reported by Python, as ever, and the program runs.
        fs::write(own.join("sitecustomize.py"), "raise ValueError('broken')\n").unwrap();
        fs::write(place.path().join("app.py"), "print('runs')\n").unwrap();
        let joined = assert_runs_as_alone(&place, &[], &[python, "app.py"]);
        assert!(err(&joined).contains("broken"), "{}", err(&joined));
        assert_eq!(place.processes().len(), 1);
    });
}

#[test]
fn a_program_of_a_virtual_environment_joins() {
    for_each_python(|python| {
        let place = Place::new(&[("app.py", "import sys\nprint(sys.prefix, sys.path)\n")]);
        let python = virtual_environment(&place, Path::new(python));
        let joined = assert_runs_as_alone(&place, &[], &[text(&python), "app.py"]);
        assert!(out(&joined).contains("/environment "), "{}", out(&joined));
        place.assert_nothing_is_left();
        assert_eq!(place.processes().len(), 1);
    });
}

#[test]
fn subinterpreters_end_as_they_would() {
    const PROGRAM: &str = "\
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
inner = interpreters.create()
getattr(interpreters, 'exec', interpreters.run_string)(inner, 'import sys; print(len(sys.path) > 0, flush=True)')
interpreters.destroy(inner)
print('ended')
";
    for_each_python(|python| {
        let place = Place::new(&[("app.py", PROGRAM)]);
        let joined = assert_runs_as_alone(&place, &["--every", "0.1"], &[python, "app.py"]);
        assert!(
            out(&joined).starts_with("True\nended\n"),
            "{}",
            out(&joined)
        );
        assert_eq!(place.processes().len(), 1);
    });
}

#[test]
fn of_a_program_that_is_idle_nothing_is_claimed_and_the_report_says_why() {
    const PROGRAM: &str = "\
import os, time
import keeping
for _ in range(10000):
    keeping.keep()
while os.path.isdir('.heldby') and keeping.dumps_of(os.getpid()) < 4:
    time.sleep(0.05)
";
    for_each_python(|python| {
        let place = Place::new(&[("app.py", PROGRAM), ("keeping.py", KEEPING)]);
        let joined = assert_runs_as_alone(&place, &["--every", "0.2"], &[python, "app.py"]);
        let text = out(&joined);
        assert!(!text.contains("warning["), "{text}");
        assert!(text.contains("nothing grows in all "), "{text}");
    });
}
