//! Dumps that are taken while a process ends: its main script has run, and CPython has forgotten the script's file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::process::Command;

use heldby_tests::{heldby, runtimes, succeed};
use serde_json::Value;

/// A script with a function of its own, and one without; and what both register for the end.
const SCRIPTS: [&str; 2] = [
    "\
import atexit, ending

KEPT = []

def keep(number):
    KEPT.append(bytearray(number))

atexit.register(ending.take_dumps, keep)
",
    "\
import atexit, ending

KEPT = []
atexit.register(ending.take_dumps, KEPT.append)
KEPT.extend(range(10))
",
];

const ENDING: &str = "\
import heldby_agent

def take_dumps(keep):
    for number in range(3):
        for size in range(50): keep(bytearray(size))
        heldby_agent.dump('%d.heldby' % number)
";

#[test]
fn the_lines_of_a_script_that_has_run_are_found() {
    for runtime in runtimes() {
        for script in SCRIPTS {
            let folder = tempfile::tempdir().unwrap();
            let agent = succeed(Command::new(heldby()).arg("agent")).stdout;
            let write =
                |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
            write("heldby_agent.py", &agent);
            write("ending.py", ENDING.as_bytes());
            write("app.py", script.as_bytes());
            succeed(runtime.command(folder.path()).arg("app.py"));
            let report = succeed(
                Command::new(heldby())
                    .args(["report", "--format", "json", "."])
                    .current_dir(folder.path()),
            );
            let report: Value = serde_json::from_slice(&report.stdout).unwrap();
            let finding = &report["findings"][0];
            let holder = &finding["holder"];
            assert_eq!(holder["path"], "__main__.KEPT", "{runtime}: {report:#}");
            assert_eq!(holder["definition"]["line"], 3, "{runtime}: {report:#}");
            if script.contains("def keep") {
                assert_eq!(finding["stores"][0]["line"], 6, "{runtime}: {report:#}");
            }
        }
    }
}
