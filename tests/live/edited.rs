//! The source was edited after the dump: where the sites stand in today's text, and what is said of those that are gone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;
use std::process::Command;

use heldby_tests::program::dump_three_times;
use heldby_tests::{heldby, pythons, succeed};
use serde_json::Value;

const CACHE: &str = "\
CACHE = {}


def remember(number):
    CACHE[number] = bytearray(100)
";

struct Edited {
    folder: tempfile::TempDir,
}

impl Edited {
    /// Dumps the program, then puts `today` in the place of its source.
    fn after_dumping(today: &str) -> Vec<Self> {
        pythons()
            .iter()
            .map(|python| {
                let folder = tempfile::tempdir().unwrap();
                let run = "import cache; [cache.remember(len(cache.CACHE)) for _ in range(n)]";
                dump_three_times(python, folder.path(), &[("cache.py", CACHE)], run);
                std::fs::write(folder.path().join("root/cache.py"), today).unwrap();
                Self { folder }
            })
            .collect()
    }

    fn finding(&self, more: &[&str]) -> Value {
        let report = succeed(
            Command::new(heldby())
                .args(["report", "--format", "json"])
                .args(more)
                .arg(self.folder.path().join("dumps")),
        );
        let report: Value = serde_json::from_slice(&report.stdout).unwrap();
        report["findings"][0].clone()
    }
}

fn line_and_placement(site: &Value) -> (Option<u64>, &str) {
    (
        site["line"].as_u64(),
        site["placement"].as_str().unwrap_or_default(),
    )
}

#[test]
fn an_unchanged_file_is_exact() {
    for edited in Edited::after_dumping(CACHE) {
        let finding = edited.finding(&[]);
        assert_eq!(
            line_and_placement(&finding["holder"]["definition"]),
            (Some(1), "exact")
        );
        assert_eq!(
            line_and_placement(&finding["stores"][0]),
            (Some(5), "exact")
        );
    }
}

#[test]
fn lines_above_move_the_sites() {
    for edited in Edited::after_dumping(&format!("import os\nimport sys\n\n{CACHE}")) {
        let finding = edited.finding(&[]);
        assert_eq!(
            line_and_placement(&finding["holder"]["definition"]),
            (Some(4), "moved")
        );
        assert_eq!(
            line_and_placement(&finding["stores"][0]),
            (Some(8), "moved")
        );
    }
}

#[test]
fn an_edit_below_leaves_the_sites_exact() {
    for edited in Edited::after_dumping(&format!(
        "{CACHE}\n\ndef forget(number):\n    del CACHE[number]\n"
    )) {
        let finding = edited.finding(&[]);
        assert_eq!(
            line_and_placement(&finding["stores"][0]),
            (Some(5), "exact")
        );
    }
}

#[test]
fn a_store_that_was_rewritten_is_said_to_be_changed() {
    for edited in Edited::after_dumping(&CACHE.replace("bytearray(100)", "bytearray(50)")) {
        let finding = edited.finding(&[]);
        assert_eq!(
            line_and_placement(&finding["holder"]["definition"]),
            (Some(1), "exact")
        );
        assert_eq!(
            line_and_placement(&finding["stores"][0]),
            (Some(5), "changed")
        );
    }
}

#[test]
fn a_holder_that_is_gone_is_lost_with_its_file() {
    for edited in Edited::after_dumping("def remember(number):\n    pass\n") {
        let definition = &edited.finding(&[])["holder"]["definition"];
        assert_eq!(line_and_placement(definition), (None, "lost"));
        assert!(definition["file"].as_str().unwrap().ends_with("cache.py"));
        assert_eq!(definition.get("line"), None);
    }
}

#[test]
fn sources_elsewhere_are_found_by_root_or_map() {
    for edited in Edited::after_dumping(CACHE) {
        let elsewhere: PathBuf = edited.folder.path().join("elsewhere");
        std::fs::rename(edited.folder.path().join("root"), &elsewhere).unwrap();
        assert_eq!(edited.finding(&[])["stores"], serde_json::json!([]));

        let by_root = edited.finding(&["--root", elsewhere.to_str().unwrap()]);
        assert_eq!(
            by_root["stores"][0]["file"],
            elsewhere.join("cache.py").to_str().unwrap()
        );
        let map = format!(
            "{}={}",
            edited.folder.path().join("root").display(),
            elsewhere.display()
        );
        let by_map = edited.finding(&["--map", &map]);
        assert_eq!(line_and_placement(&by_map["stores"][0]), (Some(5), "exact"));
    }
}

#[test]
fn the_identity_of_a_finding_outlives_runs_and_edits() {
    let id = |today: &str| {
        let runs = Edited::after_dumping(today);
        runs.iter()
            .map(|edited| edited.finding(&[])["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut ids = id(CACHE);
    ids.extend(id(&format!("import os\n{CACHE}")));
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
}
