//! How well sites of a text are found again in another version of it: `cargo xtask bench --drift` runs it.
//!
//! It is given two folders, an older and a newer version of the same programs. A site counts as found only if this file, which reads the
//! texts on its own, sees the same statement there.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use heldby_source::{Anchored, Anchors, Drift, Site, decode_source};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Folders of a standard library that are no programs.
const SKIPPED: [&str; 8] = [
    "site-packages",
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "__pycache__",
    "idle_test",
    "turtledemo",
];

/// The least share of the sites that must be found on the same statement from 3.11 to 3.12, in percent.
const LEAST_FOUND: f64 = 95.0;

/// The least share of those whose statement still is there, below the same name, that must be found on it, in percent.
const LEAST_FOUND_OF_THERE: f64 = 99.5;

/// Each file's time is the best of so many runs: what disturbs a run only makes it slower.
const RUNS: usize = 3;

fn main() -> Result<()> {
    let [old_root, new_root] = env::args_os()
        .skip(1)
        .map(PathBuf::from)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: drift OLD_FOLDER NEW_FOLDER")?;
    let mut files = Vec::new();
    programs(&old_root, &mut files)?;
    files.sort();

    let mut tally = Tally::default();
    for old_path in files {
        let Ok(within) = old_path.strip_prefix(&old_root) else {
            continue;
        };
        let Ok(new_bytes) = fs::read(new_root.join(within)) else {
            continue;
        };
        let old_bytes = read(&old_path)?;
        if old_bytes != new_bytes {
            tally.file(&within.to_string_lossy(), &old_bytes, &new_bytes);
        }
    }
    tally.print();
    let trouble = if tally.exact_elsewhere > 0 {
        format!(
            "{} sites are said to be exact and are not",
            tally.exact_elsewhere
        )
    } else if tally.moved_elsewhere > 0 {
        format!(
            "{} sites are said to have moved to where another text is",
            tally.moved_elsewhere
        )
    } else if share(tally.exact + tally.moved, tally.there) < LEAST_FOUND_OF_THERE {
        format!(
            "fewer than {LEAST_FOUND_OF_THERE} % of the sites whose statement is there are on it"
        )
    } else {
        return Ok(());
    };
    Err(trouble.into())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()).into())
}

/// All `.py` files below a folder.
fn programs(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if path.is_dir() {
            if !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
                programs(&path, files)?;
            }
        } else if path.extension().is_some_and(|ending| ending == "py") {
            files.push(path);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Tally {
    files: usize,
    lines: usize,
    sites: usize,
    /// Those for which the new text has a statement of the same text below the same name.
    there: usize,
    exact: usize,
    moved: usize,
    /// Exact or moved, to the same text below another name: the definition was renamed, or the code moved out of it.
    below_another_name: usize,
    exact_elsewhere: usize,
    moved_elsewhere: usize,
    changed: usize,
    lost: usize,
    /// From the new text's bytes to all sites.
    time: Duration,
    /// Of that, for comparing and placing.
    drift_time: Duration,
    slowest: (Duration, String),
}

impl Tally {
    fn file(&mut self, name: &str, old_bytes: &[u8], new_bytes: &[u8]) {
        let (Some(old_text), Some(new_text)) = (decode_source(old_bytes), decode_source(new_bytes))
        else {
            return;
        };
        let old = Anchors::of(old_bytes);
        let sites: Vec<(&str, Site)> = old.statements().collect();

        // What an editor does after a key: the old text's anchors are at hand.
        let measure = || {
            let begin = Instant::now();
            let new = Anchors::of(new_bytes);
            let parsed = begin.elapsed();
            let drift = Drift::between(&old, &new);
            let placed: Vec<Anchored> = sites.iter().map(|(_, site)| drift.place(site)).collect();
            let all = begin.elapsed();
            ((all, all - parsed), placed, new)
        };
        let (mut times, placed, new) = measure();
        for _ in 1..RUNS {
            times = times.min(measure().0);
        }
        let (time, drift_time) = times;

        self.files += 1;
        self.lines += new_text.lines().count();
        self.sites += sites.len();
        self.time += time;
        self.drift_time += drift_time;
        if time > self.slowest.0 {
            self.slowest = (time, format!("{name}, {} lines", new_text.lines().count()));
        }
        let (old_text, new_text) = (Lines::of(&old_text), Lines::of(&new_text));
        let names: HashMap<Site, &str> =
            new.statements().map(|(name, site)| (site, name)).collect();
        let mut there: HashMap<(&str, String), usize> = HashMap::new();
        for (name, site) in new.statements() {
            *there.entry((name, new_text.bare(&site))).or_default() += 1;
        }
        for (name, site) in &sites {
            if let Some(left @ 1..) = there.get_mut(&(*name, old_text.bare(site))) {
                *left -= 1;
                self.there += 1;
            }
        }
        for ((name, site), placed) in sites.iter().zip(&placed) {
            let same = |place: &Site| {
                let text = old_text.bare(site) == new_text.bare(place);
                (text, names.get(place) == Some(name))
            };
            match placed {
                Anchored::Exact(place) => match same(place) {
                    (true, true) if place == site => self.exact += 1,
                    (true, false) if place == site => self.below_another_name += 1,
                    _ => self.exact_elsewhere += 1,
                },
                Anchored::Moved(place) => match same(place) {
                    (true, true) => self.moved += 1,
                    (true, false) => self.below_another_name += 1,
                    (false, _) => self.moved_elsewhere += 1,
                },
                Anchored::Changed(_) => self.changed += 1,
                Anchored::Lost => self.lost += 1,
            }
        }
    }

    fn found(&self) -> usize {
        self.exact + self.moved + self.below_another_name
    }

    fn print(&self) {
        let of_sites = |count: usize| format!("{:.2} %", share(count, self.sites));
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let row = |figure: &str, measured: String, bound: &str| {
            println!("{figure:<50} {measured:>12} {bound:>16}");
        };
        row("figure", "measured".to_owned(), "bound");
        row("changed files", self.files.to_string(), "");
        row("lines", self.lines.to_string(), "");
        row("sites", self.sites.to_string(), "");
        let least = format!("at least {LEAST_FOUND} %");
        row("on the same statement", of_sites(self.found()), &least);
        row("  exact", of_sites(self.exact), "");
        row("  moved", of_sites(self.moved), "");
        row(
            "  below another name",
            of_sites(self.below_another_name),
            "",
        );
        row("changed", of_sites(self.changed), "");
        row("lost", of_sites(self.lost), "");
        row("still there below the same name", of_sites(self.there), "");
        row(
            "  of those, on the same statement",
            format!("{:.2} %", share(self.exact + self.moved, self.there)),
            &format!("at least {LEAST_FOUND_OF_THERE} %"),
        );
        row(
            "exact, but another statement",
            self.exact_elsewhere.to_string(),
            "at most 0",
        );
        row(
            "moved, but another text",
            self.moved_elsewhere.to_string(),
            "at most 0",
        );
        let each = milliseconds(self.time) / (self.files as f64).max(1.0);
        row(
            "ms per file, parsing the new text",
            format!("{each:.2}"),
            "",
        );
        let comparing = milliseconds(self.drift_time) / (self.files as f64).max(1.0);
        row(
            "  of that, comparing and placing",
            format!("{comparing:.2}"),
            "",
        );
        let thousand = milliseconds(self.time) / (self.lines as f64 / 1e3).max(1e-3);
        row("ms per 1,000 lines", format!("{thousand:.2}"), "");
        row(
            &format!("ms of the slowest: {}", self.slowest.1),
            format!("{:.2}", milliseconds(self.slowest.0)),
            "",
        );
    }
}

/// A share in percent.
fn share(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / (whole as f64).max(1.0)
}

/// A text by lines and code points.
struct Lines(Vec<Vec<char>>);

impl Lines {
    fn of(text: &str) -> Self {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        Self(
            text.split('\n')
                .map(|line| line.chars().collect())
                .collect(),
        )
    }

    /// The text of a site without whitespace.
    fn bare(&self, site: &Site) -> String {
        let mut bare = String::new();
        for number in site.line..=site.end_line {
            let Some(line) = self.0.get(number as usize - 1) else {
                break;
            };
            let from = if number == site.line {
                site.column as usize - 1
            } else {
                0
            };
            let to = if number == site.end_line {
                site.end_column as usize - 1
            } else {
                line.len()
            };
            let part = line.get(from..to).unwrap_or_default();
            bare.extend(part.iter().filter(|letter| !letter.is_ascii_whitespace()));
        }
        bare
    }
}
