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
//! stores the one marked `best` (or the only one) must come first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{heldby, succeed};

/// A leaking program.
struct Program {
    files: Vec<(String, String)>,
    run: String,
    held: Vec<String>,
    holders: BTreeSet<String>,
    stores: BTreeSet<String>,
    best: Option<String>,
}

const DRIVER: &str = r#"
import gc, importlib.util, sys
root, agent, dumps, code = sys.argv[1:]
sys.path.insert(0, root)
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("heldby_agent", agent)
heldby_agent = importlib.util.module_from_spec(spec)
sys.modules["heldby_agent"] = heldby_agent
spec.loader.exec_module(heldby_agent)
names = {"__name__": "driver"}
for number in range(3):
    names["n"] = 4
    exec(code, names)
    gc.collect()
    heldby_agent.dump("%s/%d.heldby" % (dumps, number))
"#;

fn parse(text: &str) -> Program {
    let mut program = Program {
        files: vec![],
        run: String::new(),
        held: vec![],
        holders: BTreeSet::new(),
        stores: BTreeSet::new(),
        best: None,
    };
    let mut line_number = 0;
    for line in text.lines() {
        if let Some(code) = line.strip_prefix("#- run: ") {
            code.clone_into(&mut program.run);
        } else if let Some(held) = line.strip_prefix("#- held: ") {
            program.held.push(held.to_owned());
        } else if let Some(name) = line.strip_prefix("#- ") {
            program.files.push((name.to_owned(), String::new()));
            line_number = 0;
        } else if let Some((name, content)) = program.files.last_mut() {
            line_number += 1;
            content.push_str(line);
            content.push('\n');
            let marked = line_number - 1;
            let Some((before, words)) = line
                .split_once('^')
                .filter(|(before, _)| before.trim() == "#")
            else {
                continue;
            };
            let mut column = before.chars().count() + 1;
            let end = column
                + 1
                + words
                    .chars()
                    .take_while(|character| *character == '^')
                    .count();
            if before == "#" {
                // The mark's own sign stands for the first column; the mark is as long as it looks.
                column = 1;
            }
            let words = words.trim_start_matches('^').trim();
            let place = format!("{name}:{marked}:{column}-{end}");
            match words.strip_prefix("holder ") {
                Some(holder) => {
                    program.holders.insert(format!("{place} {holder}"));
                }
                None => {
                    let (role, is_best) = words
                        .strip_suffix(" best")
                        .map_or((words, false), |role| (role, true));
                    let store = format!("{place} {role}");
                    if is_best {
                        program.best = Some(store.clone());
                    }
                    program.stores.insert(store);
                }
            }
        }
    }
    if program.stores.len() == 1 {
        program.best = program.stores.first().cloned();
    }
    program
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
            .arg(run),
    );
}

/// Runs the program on an interpreter, and asserts what heldby says of it.
pub fn check(path: &Path, python: &Path) {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let program = parse(&text);
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a temporary folder: {error}"));
    let folder_path = folder
        .path()
        .canonicalize()
        .unwrap_or_else(|_| folder.path().to_owned());
    let files: Vec<(&str, &str)> = program
        .files
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_str()))
        .collect();
    dump_three_times(python, &folder_path, &files, &program.run);
    let (root, dumps) = (folder_path.join("root"), folder_path.join("dumps"));

    let report = succeed(
        Command::new(heldby())
            .args(["report", "--format", "json"])
            .arg(&dumps),
    );
    let report: Value =
        serde_json::from_slice(&report.stdout).unwrap_or_else(|error| panic!("not JSON: {error}"));
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    let warnings: Vec<&Value> = findings
        .iter()
        .filter(|finding| finding["severity"] == "warning")
        .collect();
    let context = format!("{} on {}", path.display(), python.display());

    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let held: Vec<String> = warnings
        .iter()
        .map(|warning| {
            format!(
                "{} of {}",
                text_of(&warning["access_path"]),
                text_of(&warning["held"]["type"])
            )
        })
        .collect();
    assert_eq!(held, program.held, "what is held: {context}");

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
