//! What a user sees of a leak: diagnostics, hover, code actions, hints, lenses, trees.

use heldby_tests::lsp::{Client, Manner, capabilities, position, uri};
use serde_json::{Value, json};

use crate::gallery::{Gallery, loaded};

const ERROR_TO_HINT: [&str; 4] = ["error", "warning", "information", "hint"];

/// `13:4-13:25 warning keeps 12 …`, as an editor would list it; lines and columns from 0.
pub(crate) fn listed(diagnostics: &[Value]) -> Vec<String> {
    let line = |diagnostic: &Value| {
        let (start, end) = (&diagnostic["range"]["start"], &diagnostic["range"]["end"]);
        let severity = diagnostic["severity"].as_u64().unwrap() as usize;
        format!(
            "{}:{}-{}:{} {} {}",
            start["line"],
            start["character"],
            end["line"],
            end["character"],
            ERROR_TO_HINT[severity - 1],
            diagnostic["message"].as_str().unwrap()
        )
    };
    diagnostics.iter().map(line).collect()
}

fn actions(client: &mut Client, uri: &str, diagnostic: &Value) -> Vec<Value> {
    let answer = client.result(
        "textDocument/codeAction",
        json!({"textDocument": {"uri": uri}, "range": diagnostic["range"], "context": {"diagnostics": [diagnostic]}}),
    );
    answer.as_array().cloned().unwrap()
}

fn titles(actions: &[Value]) -> Vec<&str> {
    actions
        .iter()
        .map(|action| action["title"].as_str().unwrap())
        .collect()
}

#[test]
fn the_squiggle_stands_on_the_line_that_leaks() {
    let gallery = Gallery::new();
    let (client, views) = loaded(&gallery);
    let published = client.published(&views, |_| true);
    assert_eq!(published["version"], 1);
    let diagnostics = published["diagnostics"].as_array().unwrap().clone();
    assert_eq!(
        listed(&diagnostics),
        [
            "3:0-3:12 hint a list, module global `gallery.views.UPLOADS` holds 12 gallery.views.Photo objects, 1.1 MiB \
             [inferred from the source; dump under a minute old]",
            "13:4-13:25 warning keeps 12 gallery.views.Photo objects (1.1 MiB) alive through gallery.views.UPLOADS: +4 a dump \
             [inferred from the source; dump under a minute old]",
        ]
    );
    let warning = &diagnostics[1];
    assert_eq!(warning["source"], "heldby");
    assert_eq!(warning["code"], "module-global");
    let page = warning["codeDescription"]["href"].as_str().unwrap();
    assert!(page.ends_with("/heldby/explain/module-global.md"), "{page}");
    assert!(
        std::fs::read_to_string(page.strip_prefix("file://").unwrap())
            .unwrap()
            .contains("How it is usually mended")
    );
    let related = &warning["relatedInformation"][0];
    assert_eq!(related["location"]["uri"], views);
    assert_eq!(related["location"]["range"]["start"]["line"], 3);
    assert_eq!(
        related["message"],
        "the holder: a list, module global `gallery.views.UPLOADS`"
    );
    // The other leak is in a file that is not open.
    let models = uri(&gallery.models());
    let published = client.published(&models, |_| true);
    assert_eq!(published.get("version"), None);
    let lines = listed(published["diagnostics"].as_array().unwrap());
    assert!(
        lines[1].starts_with("4:4-4:38 warning keeps 12 bytes objects"),
        "{lines:?}"
    );
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_hover_shows_the_referrers() {
    let gallery = Gallery::new();
    let (mut client, views) = loaded(&gallery);
    let text = client.hover(&views, 13, 10);
    for part in [
        "keeps 12 gallery.views.Photo objects (1.1 MiB) alive through",
        "grew: 4 → 8 → 12 objects",
        "holder: [a list, module global `gallery.views.UPLOADS`](<file://",
        "this line creates the references; inferred from the source",
        "gallery.views.UPLOADS[",
        "reference count 1: 1 reference seen in the heap",
        "3 dumps, the newest under a minute old",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // The holder, and the class by its name; elsewhere nothing.
    assert!(client.hover(&views, 3, 2).contains("alive through"));
    let class = client.hover(&views, 6, 8);
    assert!(class.contains("12 gallery.views.Photo objects"), "{class}");
    assert_eq!(client.hover(&views, 8, 0), "");
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_client_without_markdown_gets_plain_text() {
    let gallery = Gallery::new();
    let mut plain = capabilities();
    plain["textDocument"]["hover"] = json!({"contentFormat": ["plaintext"]});
    plain["textDocument"]["publishDiagnostics"] = json!({});
    let mut client = Client::start_with(&[gallery.root()], plain, Value::Null, Manner::default());
    let views = client.open(&gallery.views());
    client.load(&gallery.dumps(3));
    let diagnostics = client.diagnostics(&views, |diagnostics| !diagnostics.is_empty());
    for name in ["relatedInformation", "codeDescription", "data"] {
        assert_eq!(diagnostics[1].get(name), None);
    }
    let answer = client.result("textDocument/hover", position(&views, 13, 10));
    assert_eq!(answer["contents"]["kind"], "plaintext");
    let text = answer["contents"]["value"].as_str().unwrap();
    assert!(
        !text.contains("**") && !text.contains("```") && !text.contains("\\_"),
        "{text}"
    );
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn code_actions_lead_to_the_holder_and_back() {
    let gallery = Gallery::new();
    let (mut client, views) = loaded(&gallery);
    let diagnostics = client.diagnostics(&views, |_| true);
    let at_store = actions(&mut client, &views, &diagnostics[1]);
    assert_eq!(
        titles(&at_store),
        [
            "Go to holder `gallery.views.UPLOADS`",
            "Show referrers of `gallery.views.UPLOADS[*]`",
            "Ignore this holder `gallery.views.UPLOADS`",
        ]
    );
    assert_eq!(at_store[0]["kind"], "quickfix");
    assert_eq!(at_store[0]["diagnostics"][0], diagnostics[1]);
    let command = &at_store[0]["command"];
    let name = command["command"].as_str().unwrap();
    let answer = client.command(name, command["arguments"].as_array().unwrap());
    assert_eq!(answer, Ok(Value::Null));
    let shown = client.asked("window/showDocument", |_| true);
    assert_eq!(shown["uri"], views);
    assert_eq!(shown["takeFocus"], true);
    assert_eq!(
        shown["selection"]["start"],
        json!({"line": 3, "character": 0})
    );

    let at_holder = actions(&mut client, &views, &diagnostics[0]);
    assert_eq!(
        titles(&at_holder)[0],
        "Go to store site of `gallery.views.UPLOADS`"
    );
    // Asked for other kinds of actions, there are none.
    let refactorings = client.result(
        "textDocument/codeAction",
        json!({"textDocument": {"uri": views}, "range": diagnostics[1]["range"], "context": {"diagnostics": [], "only": ["refactor"]}}),
    );
    assert_eq!(refactorings, Value::Null);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_mechanical_mend_is_offered_as_an_edit() {
    let views = "class Photo:\n    def __init__(self, data):\n        self.data = data\n\n\n\
                 def upload(data, kept=[]):\n    kept.append(Photo(data))\n";
    let gallery = Gallery::with(views, "");
    let mended = views.replace(
        "kept=[]):\n",
        "kept=None):\n    if kept is None:\n        kept = []\n",
    );
    let mut versioned = capabilities();
    versioned["workspace"]["workspaceEdit"] = json!({"documentChanges": true});
    for capabilities in [capabilities(), versioned] {
        let mut client = Client::start_with(
            &[gallery.root()],
            capabilities,
            Value::Null,
            Manner::default(),
        );
        let views = client.open(&gallery.views());
        client.load(&gallery.dumps(3));
        let diagnostics = client.diagnostics(&views, |diagnostics| diagnostics.len() == 2);
        for diagnostic in &diagnostics {
            let actions = actions(&mut client, &views, diagnostic);
            let mend = &actions[0];
            assert_eq!(
                mend["title"],
                "Make the default of `kept` anew in each call"
            );
            assert_eq!(mend["diagnostics"][0], *diagnostic);
            let of_uri = &mend["edit"]["changes"][&views];
            let of_version = &mend["edit"]["documentChanges"][0];
            let edits = if of_uri.is_array() {
                of_uri
            } else {
                assert_eq!(of_version["textDocument"]["version"], 1);
                &of_version["edits"]
            };
            assert_eq!(applied(edits, &gallery), mended);
        }
        assert_eq!(client.shut_down(), 0);
    }
}

#[test]
fn a_cache_without_a_bound_is_offered_one() {
    let views = "from functools import lru_cache\n\n\n@lru_cache(maxsize=None)\ndef shrunk(data, number):\n    \
                 return data[:10]\n\n\ndef upload(data):\n    shrunk(data, object())\n";
    let gallery = Gallery::with(views, "");
    let mended = views.replace("maxsize=None", "maxsize=128");
    let (mut client, views) = loaded(&gallery);
    let diagnostics = client.diagnostics(&views, |diagnostics| !diagnostics.is_empty());
    let holder = diagnostics
        .iter()
        .find(|diagnostic| diagnostic["range"]["start"]["line"] == 3)
        .unwrap_or_else(|| panic!("at the decorator: {diagnostics:#?}"));
    let actions = actions(&mut client, &views, holder);
    assert_eq!(
        titles(&actions)[0],
        "Bound the cache of `shrunk` to 128 results"
    );
    assert_eq!(
        applied(&actions[0]["edit"]["changes"][&views], &gallery),
        mended
    );
    assert_eq!(client.shut_down(), 0);
}

/// The views after the edits, which lie within lines.
fn applied(edits: &Value, gallery: &Gallery) -> String {
    let text = std::fs::read_to_string(gallery.views()).unwrap();
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for edit in edits.as_array().unwrap().iter().rev() {
        let column = |end: &str| edit["range"][end]["character"].as_u64().unwrap() as usize;
        let line = edit["range"]["start"]["line"].as_u64().unwrap() as usize;
        assert_eq!(edit["range"]["end"]["line"], line);
        lines[line].replace_range(
            column("start")..column("end"),
            edit["newText"].as_str().unwrap(),
        );
    }
    lines.concat()
}

#[test]
fn without_show_document_the_command_gives_the_place() {
    let gallery = Gallery::new();
    let mut old = capabilities();
    old["window"] = json!({});
    old["textDocument"]["codeAction"] = json!({});
    let mut client = Client::start_with(&[gallery.root()], old, Value::Null, Manner::default());
    let views = client.open(&gallery.views());
    client.load(&gallery.dumps(3));
    let diagnostics = client.diagnostics(&views, |diagnostics| !diagnostics.is_empty());
    // No literals either: commands as they are.
    let commands = actions(&mut client, &views, &diagnostics[1]);
    assert_eq!(commands[0]["command"], "heldby.goToHolder");
    let place = client
        .command(
            "heldby.goToHolder",
            commands[0]["arguments"].as_array().unwrap(),
        )
        .unwrap();
    assert_eq!(place["uri"], views);
    assert_eq!(place["range"]["start"]["line"], 3);
    // The referrers are a file of the user's alone.
    let place = client
        .command(
            "heldby.showReferrers",
            commands[1]["arguments"].as_array().unwrap(),
        )
        .unwrap();
    let path = place["uri"]
        .as_str()
        .unwrap()
        .strip_prefix("file://")
        .unwrap()
        .to_owned();
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("gallery.views.UPLOADS[")
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o77,
            0
        );
    }
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn ignoring_a_holder_silences_it_and_says_where() {
    let gallery = Gallery::new();
    gallery.write("pyproject.toml", "[project]\nname = \"gallery\"\n");
    let (mut client, views) = loaded(&gallery);
    let diagnostics = client.diagnostics(&views, |_| true);
    let ignore = actions(&mut client, &views, &diagnostics[1])
        .into_iter()
        .find(|action| action["title"].as_str().unwrap().starts_with("Ignore"))
        .unwrap();
    client
        .command(
            "heldby.ignore",
            ignore["command"]["arguments"].as_array().unwrap(),
        )
        .unwrap();
    client.diagnostics(&views, |diagnostics| diagnostics.is_empty());
    let written = std::fs::read_to_string(gallery.path("pyproject.toml")).unwrap();
    assert_eq!(
        written,
        "[project]\nname = \"gallery\"\n\n[tool.heldby]\nignore = [\"gallery.views.UPLOADS\"]\n"
    );
    client.notification("window/showMessage", |params| {
        params["message"]
            .as_str()
            .unwrap()
            .contains("gallery.views.UPLOADS is ignored from now on")
    });
    let findings = client.result("heldby/findings", json!({}));
    assert_eq!(
        findings["ignored"][0]["holder"]["path"],
        "gallery.views.UPLOADS"
    );
    assert_eq!(
        findings["findings"][0]["holder"]["path"],
        "gallery.models.SEEN"
    );
    // Taken back by hand, it is there again.
    gallery.write("pyproject.toml", "[project]\nname = \"gallery\"\n");
    client.notify(
        "workspace/didChangeWatchedFiles",
        json!({"changes": [{"uri": uri(&gallery.path("pyproject.toml")), "type": 2}]}),
    );
    client.diagnostics(&views, |diagnostics| diagnostics.len() == 2);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_comment_on_the_line_silences_it() {
    let gallery = Gallery::with(
        &crate::gallery::VIEWS.replace(
            "UPLOADS.append(photo)",
            "UPLOADS.append(photo)  # heldby: ignore[module-global]",
        ),
        crate::gallery::MODELS,
    );
    let mut client = Client::start(&[gallery.root()]);
    let views = client.open(&gallery.views());
    client.load(&gallery.dumps(3));
    client.published(&uri(&gallery.models()), |_| true);
    let published = client.notifications("textDocument/publishDiagnostics");
    let of_views: Vec<_> = published
        .iter()
        .filter(|params| params["uri"] == views)
        .collect();
    let warnings = of_views
        .iter()
        .flat_map(|params| params["diagnostics"].as_array().unwrap())
        .filter(|diagnostic| diagnostic["range"]["start"]["line"] == 13);
    assert_eq!(warnings.count(), 0);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn hints_and_lenses_are_off_until_asked_for() {
    let gallery = Gallery::new();
    let (mut client, views) = loaded(&gallery);
    let document = json!({"uri": views});
    let range = json!({"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}});
    let hints = json!({"textDocument": document, "range": range});
    let lenses = json!({"textDocument": document});
    assert_eq!(
        client.result("textDocument/inlayHint", hints.clone()),
        json!([])
    );
    assert_eq!(
        client.result("textDocument/codeLens", lenses.clone()),
        json!([])
    );
    client.behave(|manner| manner.settings = json!({"inlayHints": true, "codeLenses": true}));
    client.notify(
        "workspace/didChangeConfiguration",
        json!({"settings": null}),
    );
    // The settings are asked for; the answer takes effect when it came.
    let mut shown = json!([]);
    for _ in 0..600 {
        shown = client.result("textDocument/inlayHint", hints.clone());
        if shown != json!([]) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(shown[0]["position"], json!({"line": 3, "character": 12}));
    let label = &shown[0]["label"][0];
    assert_eq!(
        label["value"],
        "holds 12 gallery.views.Photo objects, 1.1 MiB: +4 a dump"
    );
    assert_eq!(label["location"]["range"]["start"]["line"], 13);
    assert_eq!(shown[1]["position"]["line"], 6);
    assert!(
        shown[1]["label"]
            .as_str()
            .unwrap()
            .starts_with("12 gallery.views.Photo objects, ")
    );
    let lenses = client.result("textDocument/codeLens", lenses);
    assert_eq!(lenses[0]["range"]["start"]["line"], 3);
    assert_eq!(lenses[0]["command"]["command"], "heldby.goToStore");
    assert_eq!(lenses[1]["range"]["start"]["line"], 6);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn call_hierarchy_is_there_for_clients_that_opt_in() {
    let gallery = Gallery::new();
    let plain = Client::start(&[gallery.root()]);
    assert_eq!(
        plain.initialized["capabilities"].get("callHierarchyProvider"),
        None
    );
    drop(plain);
    let options = json!({"callHierarchy": true});
    let mut client = Client::start_with(
        &[gallery.root()],
        capabilities(),
        options,
        Manner::default(),
    );
    assert_eq!(
        client.initialized["capabilities"]["callHierarchyProvider"],
        true
    );
    let views = client.open(&gallery.views());
    client.load(&gallery.dumps(3));
    let items = client.result(
        "textDocument/prepareCallHierarchy",
        position(&views, 13, 10),
    );
    assert_eq!(items[0]["name"], "gallery.views.UPLOADS[*]");
    let callers = client.result("callHierarchy/incomingCalls", json!({"item": items[0]}));
    assert_eq!(callers[0]["from"]["detail"], "list");
    let item = callers[0]["from"].clone();
    let above = client.result("callHierarchy/incomingCalls", json!({"item": item}));
    assert_eq!(above[0]["from"]["name"], "gallery.views.UPLOADS");
    assert_eq!(above[0]["from"]["selectionRange"]["start"]["line"], 3);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn the_referrer_tree_comes_level_by_level() {
    let gallery = Gallery::new();
    let (mut client, views) = loaded(&gallery);
    let findings = client.result("heldby/findings", json!({}));
    assert_eq!(findings["series"][0]["dumps"].as_array().unwrap().len(), 3);
    assert_eq!(findings["series"][0]["canTellGrowth"], true);
    let finding = findings["findings"][0].clone();
    assert_eq!(finding["accessPath"], "gallery.views.UPLOADS[*]");
    assert_eq!(
        finding["stores"][0]["location"]["range"]["start"]["line"],
        13
    );
    let photo = client.result("heldby/referrers", json!({"finding": finding["id"]}));
    assert_eq!(photo["type"], "gallery.views.Photo");
    assert_eq!(
        photo["refcount"],
        json!({"total": 1, "seen": 1, "outside": 0})
    );
    let list = &photo["referrers"][0];
    assert_eq!(
        (&list["kind"], &list["type"]),
        (&json!("list-item"), &json!("list"))
    );
    let above = client.result("heldby/referrers", json!({"object": list["id"]}));
    let module = &above["referrers"][0];
    assert_eq!(module["name"], "gallery.views.UPLOADS");
    assert_eq!(module["location"]["uri"], views);
    assert_eq!(module["location"]["range"]["start"]["line"], 3);
    assert_eq!(module["hasReferrers"], false);
    // Pages.
    let class = client.result("heldby/referrers", json!({"type": "str", "limit": 1}));
    assert!(class["found"].as_u64().unwrap() > 1000);
    let by_path = client.result(
        "heldby/referrers",
        json!({"path": "gallery.views.UPLOADS[*]"}),
    );
    assert_eq!(by_path["found"], 12);
    let page = |client: &mut Client, offset: u64| {
        let params = json!({"type": "NoneType", "limit": 10, "offset": offset});
        client.result("heldby/referrers", params)
    };
    let first = page(&mut client, 0);
    assert_eq!(first["referrers"].as_array().unwrap().len(), 10);
    assert_eq!(first["nextOffset"], 10);
    let second = page(&mut client, 10);
    assert_ne!(first["referrers"], second["referrers"]);
    assert_eq!(page(&mut client, 1 << 40)["referrers"], json!([]));
    // As a document.
    let series = findings["series"][0]["id"].as_str().unwrap();
    let object = photo["id"].as_str().unwrap();
    let dump = photo["dump"].as_str().unwrap();
    let document = json!({"uri": format!("heldby://{series}/object/{object}@{dump}.txt")});
    for method in ["heldby/document", "workspace/textDocumentContent"] {
        let text = client.result(method, document.clone());
        assert!(
            text["text"]
                .as_str()
                .unwrap()
                .contains("gallery.views.UPLOADS[")
        );
    }
    // In the next dump the address may be another object's.
    client.load(&gallery.dumps(1));
    let later = client.request("heldby/referrers", json!({"object": object, "dump": dump}));
    let error = later.unwrap_err();
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("another dump is shown by now"),
        "{message}"
    );
    assert_eq!(client.result("heldby/document", document), Value::Null);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn the_command_line_is_silenced_by_the_same() {
    let gallery = Gallery::with(
        &crate::gallery::VIEWS.replace(
            "UPLOADS.append(photo)",
            "UPLOADS.append(photo)  # heldby: ignore",
        ),
        crate::gallery::MODELS,
    );
    gallery.dumps(3);
    let report = |arguments: &[&str]| {
        let output = heldby_tests::succeed(
            std::process::Command::new(heldby_tests::heldby())
                .args(["report", "dumps"])
                .args(arguments)
                .current_dir(gallery.root()),
        );
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let (found, said) = report(&[]);
    assert!(!found.contains("gallery.views.UPLOADS"), "{found}");
    assert!(found.contains("gallery.models.SEEN"), "{found}");
    assert!(said.contains("1 finding is silenced"), "{said}");
    gallery.write("heldby.toml", "ignore = ['gallery.models.*']\n");
    let (found, said) = report(&["--format", "json"]);
    let document: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(document["findings"], json!([]));
    assert!(said.contains("2 findings are silenced"), "{said}");
    let (found, said) = report(&["--ignored"]);
    assert!(found.contains("gallery.views.UPLOADS") && found.contains("gallery.models.SEEN"));
    assert_eq!(said, "");
}
