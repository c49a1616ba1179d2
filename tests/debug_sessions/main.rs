//! Heap snapshots of real debug sessions: debugpy runs a program, the language server takes its dump through the debugger's `evaluate`.
//!
//! debugpy comes from the Python package index: `cargo xtask test` installs it, and names the Pythons that have it in
//! `HELDBY_TEST_DEBUGPY`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use heldby_tests::debugger::Debugger;
use heldby_tests::lsp::{Client, Manner, capabilities, uri};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Never stops, and keeps every photo.
const BUSY: &str = "\
PHOTOS = []

def upload():
    PHOTOS.append(bytearray(1000))  # the leak

while True:
    for _ in range(50):
        upload()
    sum(range(200000))
";

/// Stops at line 8 with a photo in hand.
const STOPPED: &str = "\
class Photo:
    pass

def show(photo):
    album = {'cover': photo}
    frames = [album]
    assert frames
    print('here')

show(Photo())
";

/// Two functions may store, and one does.
const CHOOSES: &str = "\
PHOTOS = []

def import_old(photo):
    PHOTOS.append(photo)

def upload(photo):
    PHOTOS.append(photo)  # the leak

while True:
    for _ in range(50):
        (import_old if len(PHOTOS) < 0 else upload)(bytearray(1000))
    sum(range(200000))
";

fn pythons() -> Vec<PathBuf> {
    let named = std::env::var_os("HELDBY_TEST_DEBUGPY")
        .expect("HELDBY_TEST_DEBUGPY names no Python: run `cargo xtask test debug`");
    std::env::split_paths(&named).collect()
}

fn minor_version(python: &Path) -> u32 {
    let said = Command::new(python)
        .args(["-c", "import sys; print(sys.version_info[1])"])
        .output()
        .unwrap();
    String::from_utf8(said.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// A workspace with a program that runs under a debugger, and a language server whose client has that session.
struct Session {
    folder: TempDir,
    program: PathBuf,
    debugger: Arc<Debugger>,
    client: Client,
}

impl Session {
    fn of(python: &Path, text: &str, breakpoints: &[u32]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().canonicalize().unwrap().join("app.py");
        std::fs::write(&program, text).unwrap();
        let debugger = Arc::new(Debugger::start(python));
        debugger.launch(python, &program, breakpoints);
        let evaluate = {
            let debugger = Arc::clone(&debugger);
            move |asked: &Value| {
                assert_eq!(asked["session"], "s1");
                let expression = asked["expression"].as_str().unwrap();
                match debugger.evaluate(expression, asked["frame"].as_i64()) {
                    Ok(result) => json!({"result": result}),
                    Err(error) => json!({"error": error}),
                }
            }
        };
        let manner = Manner {
            evaluate: Some(Arc::new(evaluate)),
            ..Manner::default()
        };
        let root = program.parent().unwrap();
        let options = json!({"clientCommands": ["heldby.confirm"]});
        let client = Client::start_with(&[root], capabilities(), options, manner);
        Self {
            folder,
            program,
            debugger,
            client,
        }
    }

    fn dumps(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join(".heldby")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn capture(&mut self, more: Value) -> Value {
        let mut params = json!({"sessions": [{"id": "s1", "name": "app"}]});
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        self.client.result("heldby/capture", params)
    }

    /// Nothing of a snapshot is to be seen where the user looks.
    fn assert_unseen(&self) {
        let console = self.debugger.console();
        assert!(!console.contains("heldby"), "{console}");
        assert!(!console.contains("did not finish"), "{console}");
        for event in self.debugger.events() {
            let thread = event["event"] == "thread" && event["body"]["threadId"] != 1;
            assert!(!thread, "the debugger shows a thread: {event}");
        }
    }
}

fn for_each_python(test: impl Fn(&Path)) {
    for python in pythons() {
        test(&python);
    }
}

#[test]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn a_program_that_never_stops() {
    for_each_python(|python| {
        let mut session = Session::of(python, BUSY, &[]);
        for number in 1..=3 {
            let taken = session.capture(json!({}));
            assert_eq!(taken["problems"], json!([]), "{taken:#}");
            assert!(taken["dumps"][0]["objects"].as_u64().unwrap() > 1000);
            assert_eq!(taken["dumps"][0]["wasFetched"], false);
            let dumps = session
                .dumps()
                .iter()
                .filter(|name| name.ends_with(".heldby"))
                .count();
            assert_eq!(dumps, number);
        }
        let findings = session.client.result("heldby/findings", json!({}));
        let warnings: Vec<&Value> = findings["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["severity"] == "warning")
            .collect();
        // The debugger's own objects grow too, and are nobody's business.
        assert_eq!(warnings.len(), 1, "{findings:#}");
        assert_eq!(warnings[0]["holder"]["path"], "__main__.PHOTOS");
        assert_eq!(
            warnings[0]["stores"][0]["location"]["range"]["start"]["line"], 3,
            "{findings:#}"
        );
        let program = uri(&session.program);
        session.client.diagnostics(&program, |diagnostics| {
            diagnostics
                .iter()
                .any(|diagnostic| diagnostic["severity"] == 2)
        });
        // The folder keeps itself out of the repository, and nothing else lies in it.
        let others: Vec<String> = session
            .dumps()
            .into_iter()
            .filter(|name| !name.ends_with(".heldby"))
            .collect();
        assert_eq!(others, [".gitignore"]);
        session.assert_unseen();
        let stopped = session.debugger.events();
        assert!(!stopped.iter().any(|event| event["event"] == "stopped"));
    });
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn where_containers_grow_is_observed_from_the_start_of_the_session_on() {
    for_each_python(|python| {
        // The second time as on another machine: the library comes with the agent.
        for elsewhere in [false, true] {
            let mut session = Session::of(python, CHOOSES, &[]);
            let traced = session.client.result(
                "heldby/trace",
                json!({"session": {"id": "s1", "name": "app"}, "alwaysTransfer": elsewhere}),
            );
            assert_eq!(traced, json!({}), "{}", python.display());
            // Growth is seen in two.
            for _ in 0..2 {
                let taken = session.capture(json!({"alwaysTransfer": elsewhere}));
                assert_eq!(taken["problems"], json!([]), "{taken:#}");
            }
            let findings = session.client.result("heldby/findings", json!({}));
            let store = &findings["findings"][0]["stores"][0];
            assert_eq!(store["evidence"], "observed", "{findings:#}");
            assert_eq!(store["location"]["range"]["start"]["line"], 6);
            session.assert_unseen();
        }
    });
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn the_line_that_runs_is_confirmed_when_asked_for() {
    for_each_python(|python| {
        let mut session = Session::of(python, CHOOSES, &[]);
        for _ in 0..3 {
            session.capture(json!({}));
        }
        let findings = session.client.result("heldby/findings", json!({}));
        let finding = &findings["findings"][0];
        let program = uri(&session.program);
        let diagnostics = session
            .client
            .diagnostics(&program, |diagnostics| !diagnostics.is_empty());
        let actions = session.client.result(
            "textDocument/codeAction",
            json!({
                "textDocument": {"uri": program},
                "range": diagnostics[0]["range"],
                "context": {"diagnostics": [diagnostics[0]]},
            }),
        );
        let title = "Count how often the lines run that store into `__main__.PHOTOS`";
        let mut actions = actions.as_array().unwrap().iter();
        let action = actions.find(|action| action["title"] == title).unwrap();
        let asked = &action["command"]["arguments"][0]["finding"];
        assert_eq!(asked, &finding["id"]);
        let counted = session.client.result(
            "heldby/confirm",
            json!({"finding": asked, "sessions": [{"id": "s1", "name": "app"}], "seconds": 1}),
        );
        session.assert_unseen();
        if minor_version(python) < 12 {
            // The debugger has the one trace function that there can be.
            let problem = counted["problem"].as_str().unwrap();
            assert!(problem.contains("before 3.12"), "{problem}");
            return;
        }
        assert_eq!(counted["problem"], Value::Null, "{counted:#}");
        let findings = session.client.result("heldby/findings", json!({}));
        let stores = findings["findings"][0]["stores"].as_array().unwrap();
        let stored = |line: u32| {
            let mut stores = stores.iter();
            stores.position(|store| store["location"]["range"]["start"]["line"] == line)
        };
        assert_eq!(stored(6), Some(0), "{findings:#}");
        assert_eq!(stores[0]["evidence"], "confirmed", "{findings:#}");
        assert_eq!(stores[stored(3).unwrap()]["evidence"], "inferred");
        let mut lines: Vec<String> = session.dumps();
        lines.retain(|name| name.ends_with(".counts"));
        assert_eq!(lines, <[String; 0]>::default(), "nothing is left behind");
    });
}

#[test]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn who_holds_a_variable_of_the_frame_where_it_stopped() {
    for_each_python(|python| {
        let mut session = Session::of(python, STOPPED, &[8]);
        let frame = session.debugger.frame_where_stopped();
        let asked = json!({"object": {"session": "s1", "frame": frame, "expression": "photo"}});
        let taken = session.capture(asked);
        assert_eq!(taken["problems"], json!([]), "{taken:#}");
        let params = json!({"object": taken["object"]});
        let photo = session.client.result("heldby/referrers", params);
        assert_eq!(photo["type"], "__main__.Photo");
        let paths: Vec<&str> = photo["paths"]
            .as_array()
            .unwrap()
            .iter()
            .map(|path| path.as_str().unwrap())
            .collect();
        // What the debugger has in hand nobody wants to know; that its C code keeps a copy of the names cannot be told from others.
        let own = [
            "__main__.show.<local>.photo",
            "__main__.show.<local>.album['cover']",
        ];
        assert_eq!(paths[..2], own);
        assert!(
            !paths.iter().any(|path| path.contains("pydev")),
            "{paths:?}"
        );
        let unknown = json!({"object": {"session": "s1", "frame": frame, "expression": "nobody"}});
        let refused = session.capture(unknown);
        let message = refused["problems"][0]["message"].as_str().unwrap();
        assert!(
            message.contains("`nobody` cannot be evaluated"),
            "{message}"
        );
        let made = json!({"object": {"session": "s1", "frame": frame, "expression": "[1, 2]"}});
        let temporary = session.capture(made);
        let message = temporary["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains("`[1, 2]` is held by nothing"), "{message}");
        session.assert_unseen();
    });
}

#[test]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn a_dump_comes_through_the_debugger_from_a_machine_that_does_not_see_our_files() {
    for_each_python(|python| {
        let mut session = Session::of(python, BUSY, &[]);
        let taken = session.capture(json!({"alwaysTransfer": true}));
        assert_eq!(taken["problems"], json!([]), "{taken:#}");
        assert_eq!(taken["dumps"][0]["wasFetched"], true);
        let here = taken["dumps"][0]["uri"].as_str().unwrap();
        let name = here.rsplit('/').next().unwrap();
        assert!(session.dumps().iter().any(|dump| dump == name));
        assert!(
            !std::env::temp_dir().join(name).exists(),
            "it stays where it was taken"
        );
        session.assert_unseen();
    });
}

#[test]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn a_program_that_is_gone_is_told_of() {
    for_each_python(|python| {
        let mut session = Session::of(python, "print('done')\n", &[]);
        session.debugger.event("terminated", |_| true);
        let taken = session.capture(json!({}));
        assert_eq!(taken["dumps"], json!([]));
        let message = taken["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains("refuses to evaluate"), "{message}");
        session.client.behave(|manner| {
            manner.evaluate = Some(Arc::new(|_: &Value| json!({"gone": true})));
        });
        let taken = session.capture(json!({}));
        let message = taken["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains("the program ended before"), "{message}");
    });
}

/// Each way in which there is no room for a dump, as the program says it.
const WITHOUT_ROOM: [&str; 3] = [
    // It shows when the dump is half written.
    "__import__('resource').setrlimit(__import__('resource').RLIMIT_FSIZE, (50_000, -1))",
    // And there is none for a word about it either.
    "__import__('resource').setrlimit(__import__('resource').RLIMIT_FSIZE, (0, -1))",
    // It is seen before the dump is begun.
    "setattr(__import__('os'), 'statvfs', lambda path: __import__('os').statvfs_result((4096, 4096, 9, 9, 9, 9, 9, 9, 0, 255)))",
];

#[test]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn a_dump_that_has_no_room_is_told_of_and_leaves_nothing() {
    for_each_python(|python| {
        let mut session = Session::of(python, BUSY, &[]);
        for how in WITHOUT_ROOM {
            session.debugger.evaluate(how, None).unwrap();
            let taken = session.capture(json!({}));
            assert_eq!(taken["dumps"], json!([]), "{how}");
            let message = taken["problems"][0]["message"].as_str().unwrap();
            let place = session.program.with_file_name(".heldby");
            for part in [
                "could not take the dump",
                place.to_str().unwrap(),
                "make room there, then take the snapshot again",
            ] {
                assert!(message.contains(part), "{how}: {message}");
            }
            assert_eq!(session.dumps(), [".gitignore"], "{how}");
        }
        session.assert_unseen();
    });
}

/// Keeps what it makes, and stops after each four.
const ROUNDS: &str = "\
KEPT = []

class Order:
    pass

while True:
    for _ in range(4):
        KEPT.append(Order())
    print('a round')  # stops here
";

#[test]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn a_question_between_two_snapshots_changes_nothing_of_the_growth() {
    for_each_python(|python| {
        let mut session = Session::of(python, ROUNDS, &[9]);
        let mut counts = Vec::new();
        for round in 0..4 {
            let frame = session.debugger.frame_of_stop(round);
            let asked =
                json!({"object": {"session": "s1", "frame": frame, "expression": "KEPT[-1]"}});
            if round < 3 {
                session.capture(json!({}));
            }
            // In the same breath: nothing was kept since the snapshot.
            let taken = session.capture(asked);
            assert_eq!(taken["problems"], json!([]), "{taken:#}");
            let findings = session.client.result("heldby/findings", json!({}));
            counts.push(findings["findings"][0]["counts"].clone());
            session.debugger.resume();
        }
        let expected = [
            json!([4]),
            json!([4, 8]),
            json!([4, 8, 12]),
            json!([4, 8, 16]),
        ];
        // A dump or two tell what retains much, and this is little.
        assert_eq!(counts[2..], expected[2..]);
        let findings = session.client.result("heldby/findings", json!({}));
        assert_eq!(findings["findings"][0]["severity"], "warning");
    });
}

#[test]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn the_debuggers_path_mappings_hold_for_its_dumps() {
    for_each_python(|python| {
        let mut session = Session::of(python, BUSY, &[]);
        // The user's copy of the program; the one that runs is on another machine.
        let here = tempfile::tempdir().unwrap();
        let copy = here.path().canonicalize().unwrap().join("src");
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(&session.program, copy.join("app.py")).unwrap();
        let there = session.program.parent().unwrap();
        let mapped = json!({"sessions": [{
            "id": "s1", "name": "app", "folder": uri(here.path()),
            "pathMappings": [{"localRoot": copy, "remoteRoot": there}],
        }]});
        for _ in 0..3 {
            let taken = session.capture(mapped.clone());
            assert_eq!(taken["problems"], json!([]), "{taken:#}");
        }
        let program = uri(&copy.join("app.py"));
        session.client.diagnostics(&program, |diagnostics| {
            diagnostics
                .iter()
                .any(|diagnostic| diagnostic["severity"] == 2)
        });
        assert!(here.path().join(".heldby/.gitignore").exists());
    });
}

#[test]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn a_snapshot_that_is_cancelled_leaves_no_dump() {
    for_each_python(|python| {
        let mut session = Session::of(python, BUSY, &[]);
        let params = json!({"sessions": [{"id": "s1", "name": "app"}]});
        let request = session.client.ask("heldby/capture", params);
        let is_written = |session: &Session| {
            let folder = session.folder.path().join(".heldby");
            folder.exists() && session.dumps().iter().any(|name| name.ends_with(".part"))
        };
        until(|| is_written(&session));
        session
            .client
            .notify("$/cancelRequest", json!({"id": request}));
        let answer = session.client.answer(request);
        assert_eq!(answer.unwrap_err()["code"], -32800);
        // The program finishes what it writes, and then it goes.
        until(|| session.dumps() == [".gitignore"]);
        assert_eq!(session.capture(json!({}))["problems"], json!([]));
        session.assert_unseen();
    });
}

#[test]
#[ignore = "needs debugpy: `cargo xtask test` installs and names it"]
fn a_program_that_does_not_answer_is_told_of_and_can_be_left() {
    for_each_python(|python| {
        let mut session = Session::of(python, BUSY, &[]);
        let taken = session.capture(json!({}));
        let pid = Path::new(taken["dumps"][0]["uri"].as_str().unwrap());
        let pid = pid.file_stem().unwrap().to_str().unwrap();
        let pid = pid.rsplit('-').next().unwrap();
        signal("STOP", pid);
        let taken = session.capture(json!({"timeoutSeconds": 1}));
        assert_eq!(taken["dumps"], json!([]));
        let message = taken["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains("did not answer for 1 s"), "{message}");
        assert!(message.contains("take the snapshot again"), "{message}");

        let params = json!({"sessions": [{"id": "s1", "name": "app"}]});
        let request = session.client.ask("heldby/capture", params);
        until(|| {
            let names = session.dumps();
            names.iter().any(|name| name.starts_with(".witness-"))
        });
        session
            .client
            .notify("$/cancelRequest", json!({"id": request}));
        let answer = session.client.answer(request);
        assert_eq!(answer.unwrap_err()["code"], -32800);

        // It goes on, and there are the snapshots that were not given up, and nothing else.
        signal("CONT", pid);
        assert_eq!(session.capture(json!({}))["problems"], json!([]));
        until(|| {
            let names = session.dumps();
            let dumps = names.iter().filter(|name| name.ends_with(".heldby"));
            dumps.count() == 2 && names.len() == 3
        });
        session.assert_unseen();
    });
}

fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill").args(["-s", name, pid]).status();
    assert!(sent.unwrap().success(), "{pid} gets {name}");
}

fn until(holds: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed().as_secs() < 60, "waited in vain");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
