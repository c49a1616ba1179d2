//! Leaking programs with their answers: one text, several files, marks under the lines.
//!
//! ```text
//! #- gallery/cache.py
//! CACHE = {}
//! #^^^^^^^^^ holder module-global gallery.cache.CACHE
//!
//! def remember(request):
//!     CACHE[request] = 1
//! #   ^^^^^^^^^^^^^^^^^^ store
//! #- run: from gallery.cache import remember; [remember(object()) for _ in range(n)]
//! #- held: gallery.cache.CACHE[*] of int
//! ```
//!
//! The `run` line is executed before each of three dumps, with `n` of 4. Each `held` line is one warning, in order; without
//! one, heldby must be silent. The marks are all definition and store sites that the warnings may have in these files; of the
//! stores the one marked `best` (or the only one) must come first. `#- about:` says in a sentence what leaks. Behind what is held stands
//! what limits it, and who else holds it: `…; together with people.EVERYONE; bounded by maxsize=10`.
//! What older interpreters have under another name stands behind a ` | `.
//!
//! A leaking program has a silent twin, the same program mended. A line `#~…` stands in the place of the line of code above
//! it there (several stand in its place together, an empty one leaves it out); `#- mended run:` in the place of `run`.
//! `#- since: 3.9` leaves out older interpreters, whose standard library is written in a way that hides the line;
//! `#- collect: never` leaves out the collection of garbage before each dump, `#- dumps: 4` takes more of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{heldby, succeed};

/// A leaking program.
struct Program {
    files: Vec<(String, String)>,
    run: String,
    /// The oldest interpreter, `3.9`; empty for all.
    since: String,
    driven: Driven,
    mended: Option<Mended>,
    held: Vec<String>,
    holders: BTreeSet<String>,
    stores: BTreeSet<String>,
    best: Option<String>,
}

/// How a program is driven.
#[derive(Clone, Copy)]
struct Driven {
    collects: bool,
    dumps: u32,
}

/// The silent twin of a leaking program.
struct Mended {
    files: Vec<(String, String)>,
    run: String,
}

const DRIVER: &str = r#"
import gc, importlib.util, os, sys
root, agent, dumps, collects, count, code = sys.argv[1:]
sys.path.insert(0, root)
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("heldby_agent", agent)
heldby_agent = importlib.util.module_from_spec(spec)
sys.modules["heldby_agent"] = heldby_agent
spec.loader.exec_module(heldby_agent)
names = {"__name__": "driver"}
for number in range(int(count)):
    names["n"] = 4
    exec(code, names)
    if collects == "true":
        gc.collect()
    heldby_agent.dump("%s/%d.heldby" % (dumps, number))
os._exit(0)
"#;

fn parse(text: &str) -> Program {
    let mut program = Program {
        files: vec![],
        run: String::new(),
        since: String::new(),
        driven: Driven {
            collects: true,
            dumps: 3,
        },
        mended: None,
        held: vec![],
        holders: BTreeSet::new(),
        stores: BTreeSet::new(),
        best: None,
    };
    for line in text.lines() {
        if let Some(code) = line.strip_prefix("#- run: ") {
            code.clone_into(&mut program.run);
        } else if line == "#- collect: never" {
            program.driven.collects = false;
        } else if let Some(dumps) = line.strip_prefix("#- dumps: ") {
            program.driven.dumps = dumps
                .parse()
                .unwrap_or_else(|error| panic!("{dumps}: {error}"));
        } else if let Some(held) = line.strip_prefix("#- held: ") {
            program.held.push(held.to_owned());
        } else if let Some(version) = line.strip_prefix("#- since: ") {
            program.since = version.to_owned();
        } else if line.starts_with("#- about: ") || line.starts_with("#- mended run: ") {
            continue;
        } else if let Some(name) = line.strip_prefix("#- ") {
            program.files.push((name.to_owned(), String::new()));
        } else if let Some((name, content)) = program.files.last_mut() {
            if line.starts_with("#~") {
                continue;
            }
            let marked = content.lines().count();
            content.push_str(line);
            content.push('\n');
            if let Some((columns, words)) = mark(line) {
                let code = content.lines().rev().skip(1);
                let marks = code.take_while(|line| mark(line).is_some()).count();
                let place = format!("{name}:{}:{columns}", marked - marks);
                let (holders, stores) = (&mut program.holders, &mut program.stores);
                match words.strip_prefix("holder ") {
                    Some(holder) => {
                        holders.insert(format!("{place} {holder}"));
                    }
                    None => {
                        let role = words.strip_suffix(" best").unwrap_or(words);
                        let store = format!("{place} {role}");
                        if role != words {
                            program.best = Some(store.clone());
                        }
                        stores.insert(store);
                    }
                }
            }
        }
    }
    if program.stores.len() == 1 {
        program.best = program.stores.first().cloned();
    }
    program.mended = mended(text, &program.run);
    program
}

/// The columns (`5-22`) and the words of a line of marks.
fn mark(line: &str) -> Option<(String, &str)> {
    let (before, words) = line
        .split_once('^')
        .filter(|(before, _)| before.trim() == "#")?;
    let more = words.chars().take_while(|sign| *sign == '^').count();
    let end = before.chars().count() + 2 + more;
    // The mark's own sign stands for the first column.
    let start = if before == "#" {
        1
    } else {
        before.chars().count() + 1
    };
    let words = words.trim_start_matches('^').trim();
    Some((format!("{start}-{end}"), words))
}

/// The twin, if anything of the program is mended.
fn mended(text: &str, run: &str) -> Option<Mended> {
    let mut files: Vec<(String, Vec<String>)> = Vec::new();
    let mut mended_run = None;
    // Whether the line above already stands for the code that is replaced.
    let mut is_replaced = false;
    let mut any = false;
    for line in text.lines() {
        if let Some(code) = line.strip_prefix("#- mended run: ") {
            mended_run = Some(code.to_owned());
        } else if line.starts_with("#- run: ")
            || line.starts_with("#- held: ")
            || line.starts_with("#- about: ")
            || line.starts_with("#- collect: ")
            || line.starts_with("#- dumps: ")
            || line.starts_with("#- since: ")
        {
            continue;
        } else if let Some(name) = line.strip_prefix("#- ") {
            files.push((name.to_owned(), Vec::new()));
            is_replaced = false;
        } else if let Some((_, lines)) = files.last_mut() {
            if let Some(code) = line.strip_prefix("#~") {
                any = true;
                if !is_replaced {
                    while lines.last().is_some_and(|line| mark(line).is_some()) {
                        lines.pop();
                    }
                    lines.pop();
                }
                is_replaced = true;
                lines.push(code.to_owned());
            } else {
                is_replaced = false;
                lines.push(line.to_owned());
            }
        }
    }
    let files = files.into_iter().map(|(name, lines)| {
        let content = lines.iter().map(|line| format!("{line}\n")).collect();
        (name, content)
    });
    (any || mended_run.is_some()).then(|| Mended {
        files: files.collect(),
        run: mended_run.unwrap_or_else(|| run.to_owned()),
    })
}

/// `file:line:column-end` of a site in the program's own files, as the marks have it.
fn place(site: &Value, root: &Path) -> Option<String> {
    let file = Path::new(site["file"].as_str()?)
        .strip_prefix(root)
        .ok()?
        .display()
        .to_string();
    Some(format!(
        "{file}:{}:{}-{}",
        site["line"], site["column"], site["end_column"]
    ))
}

/// Writes the files to `folder/root`, and the dumps of the program that `run` is to `folder/dumps`.
pub fn dump_three_times(python: &Path, folder: &Path, files: &[(&str, &str)], run: &str) {
    let driven = Driven {
        collects: true,
        dumps: 3,
    };
    dump_series(python, folder, files, run, driven);
}

fn dump_series(python: &Path, folder: &Path, files: &[(&str, &str)], run: &str, driven: Driven) {
    let (root, dumps, agent) = (
        folder.join("root"),
        folder.join("dumps"),
        folder.join("heldby_agent.py"),
    );
    let write = |path: PathBuf, content: &str| {
        let parent = path.parent().map(fs::create_dir_all);
        assert!(
            matches!(parent, Some(Ok(()))) && fs::write(&path, content).is_ok(),
            "{}",
            path.display()
        );
    };
    for (name, content) in files {
        write(root.join(name), content);
    }
    write(agent.clone(), heldby_capture::agent_source());
    fs::create_dir_all(&dumps).unwrap_or_else(|error| panic!("{}: {error}", dumps.display()));
    succeed(
        Command::new(python)
            .args(["-I", "-c", DRIVER])
            .args([&root, &agent, &dumps])
            .args([driven.collects.to_string(), driven.dumps.to_string()])
            .arg(run),
    );
}

/// A program's three dumps, and the warnings that heldby has for them.
fn warnings(
    python: &Path,
    folder: &Path,
    files: &[(String, String)],
    run: &str,
    driven: Driven,
) -> Vec<Value> {
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_str()))
        .collect();
    dump_series(python, folder, &files, run, driven);
    let report = succeed(
        Command::new(heldby())
            .args(["report", "--format", "json"])
            .arg(folder.join("dumps")),
    );
    let report: Value =
        serde_json::from_slice(&report.stdout).unwrap_or_else(|error| panic!("not JSON: {error}"));
    let mut findings = report["findings"].as_array().cloned().unwrap_or_default();
    findings.retain(|finding| finding["severity"] == "warning");
    findings
}

/// Whether an interpreter is of a version, `3.9`, or a later one.
fn is_since(python: &Path, version: &str) -> bool {
    let code = "import sys; print(sys.version_info[:2] >= tuple(map(int, sys.argv[1].split('.'))))";
    let output = succeed(Command::new(python).args(["-c", code, version]));
    String::from_utf8_lossy(&output.stdout).trim() == "True"
}

/// Runs the program on an interpreter, and asserts what heldby says of it: nothing of its mended twin.
pub fn check(path: &Path, python: &Path) {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let program = parse(&text);
    let context = format!("{} on {}", path.display(), python.display());
    if !program.since.is_empty() && !is_since(python, &program.since) {
        // Past what the tests' own runner keeps to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {context}: it is about {} and later",
            program.since
        );
        return;
    }
    assert!(
        program.held.is_empty() || program.mended.is_some(),
        "what leaks has a silent twin: {context}"
    );
    let folder = || {
        let folder =
            tempfile::tempdir().unwrap_or_else(|error| panic!("a temporary folder: {error}"));
        let path = folder.path().canonicalize();
        let path = path.unwrap_or_else(|_| folder.path().to_owned());
        (folder, path)
    };
    if let Some(Mended { files, run }) = &program.mended {
        let (_folder, path) = folder();
        let found = warnings(python, &path, files, run, program.driven);
        let paths: Vec<&Value> = found.iter().map(|one| &one["access_path"]).collect();
        assert!(paths.is_empty(), "the mended twin of {context}: {paths:?}");
    }
    let (_folder, folder_path) = folder();
    let root = folder_path.join("root");
    let warnings = warnings(
        python,
        &folder_path,
        &program.files,
        &program.run,
        program.driven,
    );

    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let held: Vec<String> = warnings
        .iter()
        .map(|warning| {
            let mut held = format!(
                "{} of {}",
                text_of(&warning["access_path"]),
                text_of(&warning["held"]["type"])
            );
            for other in warning["also_held_by"].as_array().into_iter().flatten() {
                held += &format!("; together with {}", text_of(other));
            }
            if let Some(bound) = warning["limits"]["bound"].as_str() {
                held += &format!("; bounded by {bound}");
            }
            if warning["limits"]["keys_hold_instances"] == true {
                held += "; its keys hold instances";
            }
            for removal in warning["limits"]["removals"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let file = text_of(&removal["file"]);
                if let Ok(name) = Path::new(&file).strip_prefix(&root) {
                    held += &format!("; taken out at {}:{}", name.display(), removal["line"]);
                }
            }
            held
        })
        .collect();
    let is_expected =
        |(held, expected): (&String, &String)| expected.split(" | ").any(|one| one == held);
    assert!(
        held.len() == program.held.len() && held.iter().zip(&program.held).all(is_expected),
        "what is held, {held:#?} instead of {:#?}: {context}",
        program.held
    );

    let mut holders = BTreeSet::new();
    let mut stores = BTreeSet::new();
    for warning in &warnings {
        let holder = &warning["holder"];
        if let Some(place) = place(&holder["definition"], &root) {
            holders.insert(format!(
                "{place} {} {}",
                text_of(&holder["kind"]),
                text_of(&holder["path"])
            ));
        }
        let all = warning["stores"].as_array().cloned().unwrap_or_default();
        let own = all.iter().filter_map(|store| {
            Some(format!(
                "{} {}",
                place(store, &root)?,
                text_of(&store["role"])
            ))
        });
        stores.extend(own);
    }
    assert_eq!(
        holders, program.holders,
        "where the holders are defined: {context}"
    );
    assert_eq!(stores, program.stores, "where things are stored: {context}");
    if let Some(best) = &program.best {
        let first = &warnings[0]["stores"][0];
        let first = place(first, &root).map(|place| format!("{place} {}", text_of(&first["role"])));
        assert_eq!(first.as_ref(), Some(best), "the best store: {context}");
    }
}
