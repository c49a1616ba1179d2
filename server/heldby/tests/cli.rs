//! The built binary on real dumps, and on files that are none.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Leaks at line 8, into what line 3 defines.
const LEAK: &str = "\
import heldby_agent

UPLOADS = []


def receive(number):
    data = bytearray(1 << 20)
    UPLOADS.append((number, data))


for dump in range(3):
    for number in range(4):
        receive(number)
    heldby_agent.dump('%d.heldby' % dump)
";
const DEFINITION_LINE: u64 = 3;
const STORE_LINE: u64 = 8;

fn heldby(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heldby"));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    heldby(folder)
        .args(arguments)
        .output()
        .expect("heldby runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// A folder in which the program of [`LEAK`] has taken its three dumps.
fn leaked() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let agent = run(folder.path(), &["agent"]);
    assert!(agent.status.success());
    fs::write(folder.path().join("heldby_agent.py"), agent.stdout).expect("a writable file");
    fs::write(folder.path().join("leak.py"), LEAK).expect("a writable file");
    let python = Command::new("python3")
        .arg("leak.py")
        .current_dir(folder.path())
        .output()
        .expect("python3 runs");
    assert!(
        python.status.success(),
        "{}",
        String::from_utf8_lossy(&python.stderr)
    );
    folder
}

#[track_caller]
fn assert_could_not(folder: &Path, dump: &str, message: &str) {
    let output = run(folder, &["report", dump]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.starts_with("heldby: ") && error.contains(message),
        "{error}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn agent_is_printed() {
    let folder = TempDir::new().expect("a temporary folder");
    let output = run(folder.path(), &["agent"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("\ndef dump(path, wait=True"));
}

#[test]
fn what_is_no_dump_is_refused_with_its_name() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("empty.heldby"), "").expect("a writable file");
    fs::write(
        folder.path().join("foreign.heldby"),
        "PK\u{3}\u{4} something else",
    )
    .expect("a writable file");
    assert_could_not(folder.path(), "missing.heldby", "missing.heldby");
    assert_could_not(folder.path(), "empty.heldby", "empty.heldby");
    assert_could_not(folder.path(), "foreign.heldby", "foreign.heldby");
    fs::create_dir(folder.path().join("dumps")).expect("a new folder");
    assert_could_not(folder.path(), "dumps", "no dumps in this folder");
}

#[test]
fn leaking_program_is_reported_as_text() {
    let folder = leaked();
    let output = run(
        folder.path(),
        &["report", "0.heldby", "1.heldby", "2.heldby"],
    );
    let text = stdout(&output);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!text.contains('\u{1b}'), "styles are for terminals");
    for part in [
        "warning[module-global]: keeps 12 ",
        " alive through __main__.UPLOADS: +4 a dump\n",
        "--> leak.py:8:5\n",
        "\n 3 | UPLOADS = []\n   | ------------ the holder: a list, module global `__main__.UPLOADS`\n",
        "\n 8 |     UPLOADS.append((number, data))\n   |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ creates the references",
        "= growth: 4 → 8 → 12 objects, 4.0 → 8.0 → 12.0 MiB\n",
        "\n1 warning, ",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn leaking_program_is_reported_as_json() {
    let folder = leaked();
    let output = run(folder.path(), &["report", ".", "--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["version"], 1);
    assert_eq!(report["dumps"].as_array().map(Vec::len), Some(3));
    for field in ["path", "objects", "references", "bytes", "problems"] {
        assert!(
            !report["dumps"][0][field].is_null(),
            "{field} in {report:#}"
        );
    }
    let finding = &report["findings"][0];
    for field in [
        "id",
        "severity",
        "holder",
        "holders",
        "access_path",
        "held",
        "growth",
        "allocations",
        "stores",
        "chain",
    ] {
        assert!(!finding[field].is_null(), "{field} in {finding:#}");
    }
    assert_eq!(finding["severity"], "warning");
    assert_eq!(finding["growth"]["proven"], true);
    assert_eq!(finding["growth"]["counts"], serde_json::json!([4, 8, 12]));
    assert_eq!(finding["holder"]["kind"], "module-global");
    assert_eq!(finding["holder"]["path"], "__main__.UPLOADS");
    assert_eq!(finding["holder"]["type"], "list");
    assert_eq!(finding["holder"]["definition"]["line"], DEFINITION_LINE);
    let store = &finding["stores"][0];
    assert_eq!(store["line"], STORE_LINE);
    assert_eq!(store["column"], 5);
    assert_eq!(store["end_line"], STORE_LINE);
    assert_eq!(store["end_column"], 35);
    assert_eq!(store["placement"], "exact");
    assert_eq!(store["role"], "store");
    assert!(
        store["file"]
            .as_str()
            .is_some_and(|file| Path::new(file).is_absolute() && file.ends_with("leak.py"))
    );
}

#[test]
fn warnings_fail_where_that_was_asked() {
    let folder = leaked();
    let fails = run(folder.path(), &["report", ".", "--fail-on", "warning"]);
    assert_eq!(fails.status.code(), Some(1));
    assert!(
        stdout(&fails).contains("warning[module-global]"),
        "the report is written all the same"
    );
    let one = run(
        folder.path(),
        &["report", "0.heldby", "--fail-on", "warning"],
    );
    assert_eq!(one.status.code(), Some(0), "one dump proves no growth");
    assert!(stdout(&one).contains("note: take at least three dumps"));
}

#[test]
fn changed_source_is_said() {
    let folder = leaked();
    let edited = LEAK.replace(
        "    UPLOADS.append((number, data))\n",
        "    UPLOADS.append(number)\n",
    );
    fs::write(folder.path().join("leak.py"), edited).expect("a writable file");
    let text = stdout(&run(folder.path(), &["report", "."]));
    assert!(text.contains("changed since the dump"), "{text}");
    assert!(!text.contains("^^^"), "{text}");
}

#[test]
fn reader_that_goes_away_is_no_error() {
    let folder = TempDir::new().expect("a temporary folder");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = heldby(folder.path())
        .arg("agent")
        .stdout(writer)
        .output()
        .expect("heldby runs");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stderr.is_empty());
}
