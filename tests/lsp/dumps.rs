//! How dumps come in: by command, by the `.heldby` folder; damaged ones, other machines' ones, several processes.

use std::time::Duration;

use heldby_tests::lsp::{Client, Manner, capabilities, uri};
use serde_json::{Value, json};

use crate::gallery::Gallery;

fn has_warning(diagnostics: &[Value]) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic["severity"] == 2)
}

#[test]
fn loading_tells_what_was_loaded_once_it_shows() {
    let gallery = Gallery::new();
    let dumps = gallery.dumps(3);
    let mut client = Client::start(&[gallery.root()]);
    let views = uri(&gallery.views());
    let answer = client.load(&dumps);
    // The diagnostics were there before the answer.
    let published = client.notifications("textDocument/publishDiagnostics");
    assert!(published.iter().any(|params| params["uri"] == views));
    let loaded = answer["loaded"].as_array().unwrap();
    assert_eq!(loaded.len(), 3);
    assert_eq!(loaded[0]["uri"], uri(&dumps[0]));
    assert!(loaded[0]["objects"].as_u64().unwrap() > 1000);
    assert_eq!(loaded[0]["series"], loaded[2]["series"]);
    assert_eq!(answer["problems"], json!([]));
    assert!(answer["findings"].as_u64().unwrap() >= 2);
    // Progress was reported, and ended.
    client.notification("$/progress", |params| params["value"]["kind"] == "begin");
    client.notification("$/progress", |params| {
        params["value"]["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("reading dump 3 of 3"))
    });
    client.notification("$/progress", |params| params["value"]["kind"] == "end");

    let answer = client.command("heldby.unload", &[]).unwrap();
    assert_eq!(answer, json!({"unloaded": 3}));
    client.diagnostics(&views, |diagnostics| diagnostics.is_empty());
    assert_eq!(client.shut_down(), 0);
}

/// Who has taken a dump and who watches its folder both tell of it.
#[test]
fn a_dump_is_read_again_only_when_it_was_written_again() {
    let gallery = Gallery::new();
    let dumps = gallery.dumps(2);
    let mut client = Client::start(&[gallery.root()]);
    let read = |client: &Client| {
        let reports = client.notifications("$/progress");
        let messages = reports
            .iter()
            .filter_map(|report| report["value"]["message"].as_str());
        messages
            .filter(|message| message.starts_with("reading "))
            .count()
    };
    client.load(&dumps);
    assert_eq!(read(&client), 2);
    let again = client.load(&dumps);
    assert_eq!(again["loaded"].as_array().unwrap().len(), 2);
    assert_eq!(read(&client), 2);
    let content = std::fs::read(&dumps[1]).unwrap();
    std::fs::write(&dumps[1], content).unwrap();
    client.load(&dumps);
    assert_eq!(read(&client), 3);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn one_dump_informs_and_three_warn() {
    let gallery = Gallery::new();
    let dumps = gallery.dumps(3);
    let mut client = Client::start(&[gallery.root()]);
    let views = client.open(&gallery.views());
    client.load(&dumps[..1]);
    let one = client.diagnostics(&views, |diagnostics| !diagnostics.is_empty());
    let store = one
        .iter()
        .find(|diagnostic| diagnostic["range"]["start"]["line"] == 13)
        .unwrap();
    assert_eq!(store["severity"], 3);
    assert!(
        store["message"]
            .as_str()
            .unwrap()
            .contains("take at least three dumps of the same process to tell growth from size"),
        "{store}"
    );
    client.load(&dumps[1..2]);
    // They join their series however they come.
    client.load(&dumps[2..]);
    let three = client.diagnostics(&views, has_warning);
    assert!(three.iter().any(|diagnostic| {
        diagnostic["message"]
            .as_str()
            .unwrap()
            .contains("+4 a dump")
    }));
    // Information can be switched off.
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn damaged_dumps_are_told_and_the_others_stay() {
    let gallery = Gallery::new();
    let dumps = gallery.dumps(3);
    let whole = std::fs::read(&dumps[2]).unwrap();
    let cut = gallery.path("cut.heldby");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let none = gallery.path("none.heldby");
    std::fs::write(&none, b"no dump at all").unwrap();
    let mut client = Client::start(&[gallery.root()]);
    let views = client.open(&gallery.views());
    client.load(&dumps);
    client.diagnostics(&views, has_warning);
    let answer = client.load(&[cut.clone(), none.clone(), gallery.path("missing.heldby")]);
    let problems: Vec<String> = answer["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["message"].as_str().unwrap().to_owned())
        .collect();
    let told = |words: &str| problems.iter().any(|problem| problem.contains(words));
    assert!(told("the file was cut off"), "{problems:?}");
    assert!(
        told("not a heldby dump") || told("no heldby dump"),
        "{problems:?}"
    );
    assert!(told("No such file"), "{problems:?}");
    client.diagnostics(&views, has_warning);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn what_comes_into_the_folder_shows() {
    let gallery = Gallery::new();
    let client = Client::start(&[gallery.root()]);
    let registered = client.asked("client/registerCapability", |_| true);
    let registration = &registered["registrations"][0];
    assert_eq!(registration["method"], "workspace/didChangeWatchedFiles");
    let globs = registration["registerOptions"]["watchers"].to_string();
    assert!(globs.contains("**/.heldby/**/*.heldby"), "{globs}");
    let views = client.open(&gallery.views());
    // The dump comes in pieces: it is waited for.
    let dumps = gallery.dumps_in(".heldby/app", 3);
    let last = std::fs::read(&dumps[2]).unwrap();
    std::fs::write(&dumps[2], &last[..last.len() / 2]).unwrap();
    let created: Vec<Value> = dumps
        .iter()
        .map(|dump| json!({"uri": uri(dump), "type": 1}))
        .collect();
    client.notify(
        "workspace/didChangeWatchedFiles",
        json!({"changes": created}),
    );
    client.diagnostics(&views, |diagnostics| !diagnostics.is_empty());
    assert!(client.notifications("window/showMessage").is_empty());
    std::fs::write(&dumps[2], &last).unwrap();
    client.diagnostics(&views, has_warning);
    // It goes with its files.
    std::fs::remove_dir_all(gallery.path(".heldby")).unwrap();
    let deleted: Vec<Value> = dumps
        .iter()
        .map(|dump| json!({"uri": uri(dump), "type": 3}))
        .collect();
    client.notify(
        "workspace/didChangeWatchedFiles",
        json!({"changes": deleted}),
    );
    client.diagnostics(&views, |diagnostics| diagnostics.is_empty());
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn what_lies_in_the_folder_shows_at_the_start_and_without_a_watching_client() {
    let gallery = Gallery::new();
    gallery.dumps_in(".heldby/app", 2);
    let mut plain = capabilities();
    plain["workspace"]["didChangeWatchedFiles"] = json!({});
    let client = Client::start_with(&[gallery.root()], plain, Value::Null, Manner::default());
    let views = uri(&gallery.views());
    client.diagnostics(&views, |diagnostics| !diagnostics.is_empty());
    // A later process is looked for now and then.
    gallery.dumps_in(".heldby/later", 3);
    client.diagnostics(&views, has_warning);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_dump_of_another_machine_is_mapped() {
    let gallery = Gallery::new();
    let dumps = gallery.dumps(3);
    // The program that ran is gone; its sources lie in another folder here.
    let here = tempfile::tempdir().unwrap();
    let root = here.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("src/gallery")).unwrap();
    for name in ["gallery/views.py", "gallery/models.py"] {
        std::fs::rename(gallery.path(name), root.join("src").join(name)).unwrap();
    }
    // By the longest end of its path below a folder of the workspace.
    let source = root.join("src");
    let mut by_end = Client::start(&[&source]);
    by_end.load(&dumps);
    by_end.diagnostics(&uri(&source.join("gallery/views.py")), has_warning);
    // By a mapping of the project.
    let mapping = format!(
        "[path-mappings]\n\"{}\" = \"src\"\n",
        gallery.root().display()
    );
    std::fs::write(root.join("heldby.toml"), mapping).unwrap();
    let mut by_project = Client::start(&[&root]);
    by_project.load(&dumps);
    by_project.diagnostics(&uri(&source.join("gallery/views.py")), has_warning);
    std::fs::remove_file(root.join("heldby.toml")).unwrap();
    // By a mapping of the client.
    let there = gallery.root().display().to_string();
    let manner = Manner {
        settings: json!({"pathMappings": {there: "${workspaceFolder}/src"}}),
        ..Manner::default()
    };
    let mut by_client = Client::start_with(&[&root], capabilities(), Value::Null, manner);
    by_client.asked("client/registerCapability", |_| true);
    by_client.load(&dumps);
    by_client.diagnostics(&uri(&source.join("gallery/views.py")), has_warning);
}

#[test]
fn of_two_files_with_the_same_name_the_one_that_ran_is_taken() {
    let gallery = Gallery::new();
    let dumps = gallery.dumps(3);
    let folders = tempfile::tempdir().unwrap();
    let root = folders.path().canonicalize().unwrap();
    // The first folder has an older version; the second what ran.
    for (name, views) in [
        ("old", "UPLOADS = []\n".to_owned()),
        ("new", crate::gallery::VIEWS.to_owned()),
    ] {
        let folder = root.join(name).join("gallery");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("views.py"), views).unwrap();
        std::fs::write(folder.join("models.py"), crate::gallery::MODELS).unwrap();
    }
    std::fs::remove_dir_all(gallery.path("gallery")).unwrap();
    let (old, new) = (root.join("old"), root.join("new"));
    let mut client = Client::start(&[&old, &new]);
    client.load(&dumps);
    client.diagnostics(&uri(&new.join("gallery/views.py")), has_warning);
    let published = client.notifications("textDocument/publishDiagnostics");
    let of_old = uri(&old.join("gallery/views.py"));
    assert!(!published.iter().any(|params| params["uri"] == of_old));
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_mended_program_says_fixed() {
    let gallery = Gallery::new();
    let mut client = Client::start(&[gallery.root()]);
    let views = client.open(&gallery.views());
    client.load(&gallery.dumps_in("leaks", 3));
    client.diagnostics(&views, has_warning);
    // Mended, saved, started again.
    let mended =
        crate::gallery::VIEWS.replace("    UPLOADS.append(photo)\n", "    UPLOADS[:] = [photo]\n");
    gallery.write("gallery/views.py", &mended);
    client.change(&views, 2, &mended);
    let after = gallery.dumps_in("leaks", 3);
    // The dumps lie where the old ones lay: run.py has the same arguments.
    client.load(&after[..1]);
    let faint = client.published(&uri(&gallery.models()), |params| {
        params["diagnostics"]
            .as_array()
            .unwrap()
            .iter()
            .any(|diagnostic| {
                diagnostic["message"]
                    .as_str()
                    .unwrap()
                    .contains("seen in the session before")
            })
    });
    assert!(!has_warning(faint["diagnostics"].as_array().unwrap()));
    client.load(&after[1..]);
    // One is fixed, the other one is not.
    let findings = client.result("heldby/findings", json!({}));
    assert!(
        findings["fixed"][0]
            .as_str()
            .unwrap()
            .contains("gallery.views.UPLOADS"),
        "{findings:#}"
    );
    let models = client.diagnostics(&uri(&gallery.models()), has_warning);
    assert!(models.iter().any(|diagnostic| {
        diagnostic["message"]
            .as_str()
            .unwrap()
            .contains("still there since the session before")
    }));
    client.diagnostics(&views, |diagnostics| !has_warning(diagnostics));
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn the_user_picks_a_series() {
    let gallery = Gallery::new();
    let mut client = Client::start(&[gallery.root()]);
    let views = client.open(&gallery.views());
    let old = client.load(&gallery.dumps_in("old", 3))["loaded"][0]["series"].clone();
    client.diagnostics(&views, has_warning);
    client.load(&gallery.dumps_in("new", 1));
    client.diagnostics(&views, |diagnostics| {
        !has_warning(diagnostics) && !diagnostics.is_empty()
    });
    client.command("heldby.showSeries", &[old]).unwrap();
    client.diagnostics(&views, has_warning);
    let none = client.command("heldby.showSeries", &[json!("0-0-0")]);
    assert!(none.is_err());
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn loading_can_be_cancelled() {
    let gallery = Gallery::new();
    let dumps = gallery.dumps(3);
    let mut client = Client::start(&[gallery.root()]);
    let uris: Vec<Value> = dumps.iter().map(|dump| json!(uri(dump))).collect();
    for _ in 0..3 {
        let id = client.ask(
            "workspace/executeCommand",
            json!({"command": "heldby.load", "arguments": uris}),
        );
        client.notify("$/cancelRequest", json!({"id": id}));
        let answer = client
            .answer_within(&json!(id), Duration::from_secs(30))
            .unwrap();
        assert_eq!(answer["error"]["code"], -32800, "{answer}");
    }
    // What was cancelled can be asked for again.
    assert_eq!(client.load(&dumps)["loaded"].as_array().unwrap().len(), 3);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn the_progress_can_be_cancelled() {
    let gallery = Gallery::new();
    let dumps = gallery.dumps(3);
    let mut client = Client::start(&[gallery.root()]);
    let uris: Vec<Value> = dumps.iter().map(|dump| json!(uri(dump))).collect();
    let id = client.ask(
        "workspace/executeCommand",
        json!({"command": "heldby.load", "arguments": uris}),
    );
    let created = client.asked("window/workDoneProgress/create", |_| true);
    client.notify(
        "window/workDoneProgress/cancel",
        json!({"token": created["token"]}),
    );
    let answer = client.answer(id).unwrap_err();
    assert_eq!(answer["code"], -32800, "{answer}");
    client.notification("$/progress", |params| params["value"]["kind"] == "end");
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn settings_that_are_wrong_are_told() {
    let gallery = Gallery::new();
    gallery.write("heldby.toml", "colour = 1\n");
    let manner = Manner {
        settings: json!({"inlayHints": "yes"}),
        ..Manner::default()
    };
    let client = Client::start_with(&[gallery.root()], capabilities(), Value::Null, manner);
    for words in [
        "`colour` is no setting of heldby",
        "`heldby.inlayHints` is true or false",
    ] {
        client.notification("window/showMessage", |params| {
            params["type"] == 2 && params["message"].as_str().unwrap().contains(words)
        });
    }
    assert_eq!(client.shut_down(), 0);
}

#[test]
#[cfg(unix)]
fn a_pipe_or_a_folder_is_no_dump() {
    let gallery = Gallery::new();
    let pipe = gallery.path("pipe.heldby");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let mut client = Client::start(&[gallery.root()]);
    let answer = client.load(&[pipe, gallery.path("dumps")]);
    let problems = answer["problems"].to_string();
    assert!(
        problems.contains("is a pipe or a device, not a dump"),
        "{problems}"
    );
    assert!(problems.contains("is a folder, not a dump"), "{problems}");
    // The next one is read.
    assert_eq!(
        client.load(&gallery.dumps(1))["loaded"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn dumps_are_deleted_from_the_disk_if_they_are_loaded() {
    let gallery = Gallery::new();
    let dumps = gallery.dumps(3);
    let mut client = Client::start(&[gallery.root()]);
    client.load(&dumps[..2]);
    let uris: Vec<Value> = dumps.iter().map(|dump| json!(uri(dump))).collect();
    // One that it does not know: nothing is touched.
    let refused = client.command("heldby.delete", &uris).unwrap_err();
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("is no dump that is loaded: nothing was deleted"));
    assert!(dumps.iter().all(|dump| dump.exists()));
    let deleted = client.command("heldby.delete", &uris[..2]).unwrap();
    assert_eq!(deleted["unloaded"], 2);
    assert!(!dumps[0].exists() && !dumps[1].exists() && dumps[2].exists());
    let findings = client.result("heldby/findings", json!({}));
    assert_eq!(findings["series"], json!([]));
    assert_eq!(client.shut_down(), 0);
}
