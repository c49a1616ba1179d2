//! `heldby stat` on each interpreter at hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::process::Command;

use heldby_tests::{heldby, pythons, succeed};
use serde_json::Value;

const PROGRAM: &str = r#"
import gc, sys
import heldby_agent

class Photo:
    def __init__(self, number):
        self.data = b"%04d" % number * 100

PHOTOS = [Photo(number) for number in range(300)]

class Ring:
    pass

gc.disable()
ring = Ring()
ring.itself = ring
del ring
heldby_agent.dump("photos.heldby")
"#;

#[test]
fn types_garbage_roots_and_counts_are_told() {
    for python in pythons() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("photos.py", PROGRAM),
            ("heldby_agent.py", heldby_capture::agent_source()),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        succeed(
            Command::new(&python)
                .arg("photos.py")
                .current_dir(folder.path()),
        );
        let stat = |arguments: &[&str]| {
            let output = succeed(
                Command::new(heldby())
                    .arg("stat")
                    .arg(folder.path().join("photos.heldby"))
                    .args(arguments),
            );
            String::from_utf8(output.stdout).unwrap()
        };
        let statistics: Value = serde_json::from_str(&stat(&["--format", "json"])).unwrap();
        let of_type = |name: &str| {
            let types = statistics["types"].as_array().unwrap();
            types
                .iter()
                .find(|row| row["type"] == name)
                .unwrap()
                .clone()
        };
        assert_eq!(of_type("__main__.Photo")["objects"], 300);
        assert_eq!(of_type("__main__.Photo")["module"], "__main__");
        assert!(of_type("bytes")["bytes"].as_u64().unwrap() > 300 * 400);
        // The ring, and before Python 3.11 its dictionary.
        assert!(
            statistics["garbage"]["objects"].as_u64().unwrap() >= 1,
            "{}",
            python.display()
        );
        assert_eq!(statistics["roots"]["modules"], 1);
        assert!(statistics["roots"]["frames"].as_u64().unwrap() >= 1);
        assert_eq!(
            statistics["problems"],
            serde_json::json!([]),
            "{}",
            python.display()
        );
        let total: u64 = statistics["types"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["objects"].as_u64().unwrap())
            .sum();
        assert_eq!(total, statistics["objects"].as_u64().unwrap());

        let text = stat(&["--limit", "3"]);
        assert!(text.starts_with("cpython 3."), "{text}");
        assert!(text.contains(" types more (--limit)\n"), "{text}");
        assert!(
            text.contains("objects whose references are all in the heap\n"),
            "{text}"
        );
    }
}
