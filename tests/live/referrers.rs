//! `heldby referrers` on each interpreter at hand: the questions that people ask.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use heldby_tests::{heldby, pythons, succeed};
use serde_json::Value;
use tempfile::TempDir;

/// Files of a program, with the agent beside them.
fn program(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("heldby_agent.py"),
        heldby_capture::agent_source(),
    )
    .unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Runs a script of the folder, and gives what it printed as JSON.
fn run(python: &Path, folder: &TempDir, script: &str, dump: &str) -> Value {
    let output = succeed(
        Command::new(python)
            .args([script, dump])
            .current_dir(folder.path()),
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn referrers(folder: &TempDir, dump: &str, arguments: &[&str]) -> String {
    let output = succeed(
        Command::new(heldby())
            .arg("referrers")
            .arg(folder.path().join(dump))
            .args(arguments),
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The question that this project comes from: `sys.getrefcount` says three, and which ones are they?
const ORIGIN: &str = r#"
import sys, json
import heldby_agent

def foo():
    a = [2, "x"]
    l = [a]
    d = {"a": a}
    heldby_agent.dump("inside.heldby")
    return id(a), l, d

address, l, d = foo()
heldby_agent.dump("after.heldby")
print(json.dumps(hex(address)))
"#;

#[test]
fn the_origins_own_example() {
    for python in pythons() {
        let folder = program(&[("origin.py", ORIGIN)]);
        let address = run(&python, &folder, "origin.py", "");
        let address = address.as_str().unwrap();
        let ask = |dump: &str| -> (Vec<String>, Value) {
            let text = referrers(&folder, dump, &["--id", address, "--format", "json"]);
            let answer: Value = serde_json::from_str(&text).unwrap();
            let mut paths: Vec<String> =
                serde_json::from_value(answer["objects"][0]["paths"].clone()).unwrap();
            paths.sort();
            (paths, answer["objects"][0]["refcount"].clone())
        };
        let (inside, refcount) = ask("inside.heldby");
        let expected = [
            "__main__.foo.<local>.a",
            "__main__.foo.<local>.d['a']",
            "__main__.foo.<local>.l[0]",
        ];
        assert_eq!(inside, expected, "{}", python.display());
        assert_eq!(
            refcount,
            serde_json::json!({"total": 3, "seen": 3, "outside": 0}),
            "{}",
            python.display()
        );
        let (after, refcount) = ask("after.heldby");
        assert_eq!(after, ["__main__.d['a']", "__main__.l[0]"]);
        assert_eq!(
            refcount,
            serde_json::json!({"total": 2, "seen": 2, "outside": 0})
        );
    }
}

const FAMILY: &str = r#"
import sys, json
import heldby_agent

class Person:
    def __init__(self, parent=None):
        self.parent, self.children = parent, []
        if parent is not None:
            parent.children.append(self)

class Photo:
    pass

ROOT = Person()
CHILD = Person(ROOT)
ALBUM = {"photo %d" % number: Photo() for number in range(250)}
SHARED = Photo()
LISTS = [[SHARED] for number in range(250)]
del CHILD
heldby_agent.dump("family.heldby")
print(json.dumps(hex(id(ROOT))))
"#;

#[test]
fn cycles_cuts_and_repeats_are_told_as_such() {
    for python in pythons() {
        let folder = program(&[("family.py", FAMILY)]);
        let root = run(&python, &folder, "family.py", "");
        let text = referrers(&folder, "family.heldby", &["--id", root.as_str().unwrap()]);
        assert!(text.contains("held by\n  __main__.ROOT\n"), "{text}");
        assert!(text.contains("└─ .parent of __main__.Person"), "{text}");
        assert!(
            text.contains(".children of __main__.Person") && text.contains("(a cycle)"),
            "{text}"
        );

        let text = referrers(&folder, "family.heldby", &["--path", "__main__.SHARED"]);
        assert!(
            text.contains("SHARED, a global of module __main__"),
            "{text}"
        );
        // 251 referrers, a hundred are told of.
        assert!(text.contains("… and 96 more [*] of list"), "{text}");
        assert!(text.contains("… and 151 more"), "{text}");
        assert!(text.lines().count() <= 100, "{text}");

        let text = referrers(&folder, "family.heldby", &["--type", "Photo"]);
        assert!(
            text.starts_with("251 objects; the 100 that retain most are held by\n"),
            "{text}"
        );
        assert!(
            text.contains("100  __main__.ALBUM[*]") || text.contains("99  __main__.ALBUM[*]"),
            "{text}"
        );
        assert!(text.lines().count() <= 104, "{text}");

        let dot = referrers(
            &folder,
            "family.heldby",
            &["--path", "__main__.ALBUM['photo 7']", "--format", "dot"],
        );
        assert!(dot.contains("[ label=\"['photo 7']\"]"), "{dot}");
        assert!(dot.contains("[ label=\"module __main__\""), "{dot}");
    }
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let python = &pythons()[0];
    let folder = program(&[("family.py", FAMILY)]);
    run(python, &folder, "family.py", "");
    let dump: PathBuf = folder.path().join("family.heldby");
    let complaint = |arguments: &[&str]| {
        let output = Command::new(heldby())
            .arg("referrers")
            .arg(&dump)
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        complaint(&["--path", "__main__.ROOT.childern"]),
        "heldby: `__main__.ROOT` is in the dump, but has no `.childern`\n"
    );
    assert_eq!(
        complaint(&["--path", "gallery.views"]),
        "heldby: nothing in the dump is called `gallery`\n"
    );
    assert_eq!(
        complaint(&["--type", "phot"]),
        "heldby: no type of the dump is called phot; there are __main__.Photo\n"
    );
    assert!(complaint(&["--id", "0x10"]).starts_with("heldby: no object of the dump is at 0x10"));
}

/// Who runs a module's code has all its globals in hand: a local variable of `runpy` is no other holder of each of them.
#[test]
fn a_global_of_a_program_that_runs_as_a_module_is_held_once() {
    const PROGRAM: &str = "
import heldby_agent
KEPT = [object()]
heldby_agent.dump('app.heldby')
";
    for python in pythons() {
        let folder = program(&[("app.py", PROGRAM)]);
        succeed(
            Command::new(python)
                .args(["-m", "app"])
                .current_dir(folder.path()),
        );
        let question = ["--path", "__main__.KEPT", "--format", "json"];
        let text = referrers(&folder, "app.heldby", &question);
        let answer: Value = serde_json::from_str(&text).unwrap();
        let kept = &answer["objects"][0];
        assert_eq!(kept["paths"], serde_json::json!(["__main__.KEPT"]));
        assert_eq!(kept["referrers"].as_array().unwrap().len(), 1, "{text}");
    }
}
