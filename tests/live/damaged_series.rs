//! A series with a dump that was cut off, or is none: the whole ones are compared, nothing is lost, everything is said.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::process::Command;

use heldby_tests::program::dump_three_times;
use heldby_tests::{heldby, pythons, succeed};
use serde_json::Value;

const CACHE: &str = "\
CACHE = []


def remember():
    CACHE.append(bytearray(100))
";

fn report(dumps: &Path) -> Value {
    let output = succeed(
        Command::new(heldby())
            .args(["report", "--format", "json"])
            .arg(dumps),
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn for_each_python(check: impl Fn(&Path)) {
    for python in pythons() {
        let folder = tempfile::tempdir().unwrap();
        let run = "import cache; [cache.remember() for _ in range(n)]";
        dump_three_times(&python, folder.path(), &[("cache.py", CACHE)], run);
        check(&folder.path().join("dumps"));
    }
}

#[test]
fn the_whole_dumps_before_a_damaged_one_are_compared() {
    for_each_python(|dumps| {
        let path = dumps.join("2.heldby");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let report = report(dumps);
        let problem = report["dumps"][2]["problems"][0]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            problem.starts_with("the file was cut off at byte"),
            "{problem}"
        );
        let finding = &report["findings"][0];
        assert_eq!(finding["access_path"], "cache.CACHE[*]");
        assert_eq!(
            finding["growth"],
            serde_json::json!({"proven": false, "counts": [4, 8], "retained": finding["growth"]["retained"]})
        );
        assert_eq!(finding["severity"], "information");
    });
}

#[test]
fn a_file_that_is_no_dump_is_told_beside_the_others() {
    for_each_python(|dumps| {
        std::fs::write(dumps.join("3.heldby"), "").unwrap();
        let report = report(dumps);
        assert_eq!(
            report["dumps"][3]["problems"][0],
            "the file is empty: the dump was never written; take it again"
        );
        assert_eq!(
            report["findings"][0]["growth"]["counts"],
            serde_json::json!([4, 8, 12])
        );
    });
}
