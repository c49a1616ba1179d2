//! Sites in edited text.

use heldby_source::{Placed, Site, line_crc, place};
use proptest::prelude::*;

fn crcs(text: &str) -> Vec<u32> {
    text.lines().map(|line| line_crc(line.as_bytes())).collect()
}

fn site(line: u32, end_line: u32) -> Site {
    Site {
        path: "m.py".into(),
        line,
        column: 1,
        end_line,
        end_column: 2,
    }
}

const OLD: &str =
    "import os\n\nX = []\ndef f():\n    X.append(\n        1)\n\ndef g():\n    pass\n";

#[test]
fn untouched_text_is_exact() {
    let map = place(&crcs(OLD), OLD.as_bytes());
    assert_eq!(map.placement(&site(5, 6)), Placed::Exact);
    assert_eq!(map.placement(&site(5, 60)), Placed::Changed);
}

#[test]
fn other_line_endings_are_exact() {
    for ending in ["\r\n", "\r"] {
        let map = place(&crcs(OLD), OLD.replace('\n', ending).as_bytes());
        assert_eq!(map.placement(&site(5, 6)), Placed::Exact);
    }
}

#[test]
fn lines_before_move_it() {
    let map = place(&crcs(OLD), format!("# new\n{OLD}").as_bytes());
    assert_eq!(map.placement(&site(6, 7)), Placed::Moved);
    assert_eq!(map.placement(&site(1, 1)), Placed::Changed);
    assert_eq!(map.line_at_dump(6), Some(5));
    assert_eq!(map.line_today(5), Some(6));
}

#[test]
fn an_edit_inside_changes_it() {
    let map = place(&crcs(OLD), OLD.replace("        1", "        2").as_bytes());
    assert_eq!(map.placement(&site(5, 6)), Placed::Changed);
    assert_eq!(map.placement(&site(5, 5)), Placed::Exact);
    assert_eq!(map.placement(&site(8, 9)), Placed::Exact);
}

#[test]
fn a_line_put_between_changes_it() {
    let map = place(
        &crcs(OLD),
        OLD.replace("        1", "        0,\n        1").as_bytes(),
    );
    assert_eq!(map.placement(&site(5, 7)), Placed::Changed);
    assert_eq!(map.placement(&site(9, 10)), Placed::Moved);
}

#[test]
fn large_files_take_no_time() {
    let line = |seed: usize| {
        format!(
            "    x{} = {}\n",
            seed % 977,
            seed.wrapping_mul(2_654_435_761) % 1013
        )
    };
    let old: String = (0..100_000).map(line).collect();
    let new: String = (0..100_000).rev().map(line).collect();
    let begin = std::time::Instant::now();
    let _ = place(&crcs(&old), new.as_bytes());
    let _ = place(&crcs(&old), "x\n".repeat(100_000).as_bytes());
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

proptest! {
    #[test]
    fn never_panics_and_equal_text_is_exact(old in "[ab\n]{0,80}", new in "[ab\r\n]{0,80}", line in 0u32..90, end in 0u32..90) {
        let _ = place(&crcs(&old), new.as_bytes()).placement(&site(line, end));
        let lines = crcs(&old);
        let map = place(&lines, old.as_bytes());
        for line in 1..=lines.len() as u32 {
            prop_assert_eq!(map.placement(&site(line, line)), Placed::Exact);
        }
    }
}
