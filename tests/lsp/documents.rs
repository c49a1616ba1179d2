//! Texts as editors have them: encodings, line ends, odd URIs, links.

use heldby_tests::lsp::{Client, Manner, capabilities, uri};
use serde_json::{Value, json};

use crate::gallery::{Gallery, MODELS, VIEWS};

/// Start and end of the first warning.
fn warned(diagnostics: &[Value]) -> Option<(u64, u64, u64)> {
    let warning = diagnostics
        .iter()
        .find(|diagnostic| diagnostic["severity"] == 2)?;
    let range = &warning["range"];
    Some((
        range["start"]["line"].as_u64()?,
        range["start"]["character"].as_u64()?,
        range["end"]["character"].as_u64()?,
    ))
}

/// A line with an emoji, and one with a combining mark, before the store.
const ODD: &str = "    UPLOADS.append((photo, '🦀', 'e\u{301}')); 'ß'";

fn client_of(gallery: &Gallery, encodings: Value) -> Client {
    let mut capabilities = capabilities();
    capabilities["general"]["positionEncodings"] = encodings;
    Client::start_with(
        &[gallery.root()],
        capabilities,
        Value::Null,
        Manner::default(),
    )
}

#[test]
fn columns_count_what_was_agreed_on() {
    let views = VIEWS.replace("    UPLOADS.append(photo)", ODD);
    let gallery = Gallery::with(&views, MODELS);
    let dumps = gallery.dumps(3);
    for (offered, chosen, end) in [
        (json!(["utf-8", "utf-16"]), "utf-8", 42),
        (json!(["utf-16"]), "utf-16", 39),
        (json!(["utf-32"]), "utf-32", 38),
        (json!(["utf-7"]), "utf-16", 39),
        (Value::Null, "utf-16", 39),
    ] {
        let mut client = client_of(&gallery, offered);
        assert_eq!(
            client.initialized["capabilities"]["positionEncoding"],
            chosen
        );
        client.load(&dumps);
        let found = client.diagnostics(&uri(&gallery.views()), |found| warned(found).is_some());
        assert_eq!(warned(&found), Some((13, 4, end)), "{chosen}");
        assert_eq!(client.shut_down(), 0);
    }
}

#[test]
fn incremental_edits_count_the_same() {
    let gallery = Gallery::new();
    let dumps = gallery.dumps(3);
    for (encoding, column) in [("utf-8", 9), ("utf-16", 7), ("utf-32", 6)] {
        let mut client = client_of(&gallery, json!([encoding]));
        let views = client.open(&gallery.views());
        client.load(&dumps);
        client.diagnostics(&views, |found| warned(found).is_some());
        // A line with an emoji comes above; then text behind the emoji goes.
        let at = |line: u64, character: u64| json!({"line": line, "character": character});
        client.edit(
            &views,
            2,
            &json!([
                {"range": {"start": at(4, 0), "end": at(4, 0)}, "text": "x = '🦀'yz\n\n"},
                {"range": {"start": at(4, column), "end": at(4, column + 2)}, "text": ""},
            ]),
        );
        let found = client.diagnostics(&views, |found| {
            warned(found).is_some_and(|(line, ..)| line == 15)
        });
        assert_eq!(warned(&found), Some((15, 4, 25)));
        assert_eq!(client.shut_down(), 0);
    }
}

#[test]
fn every_kind_of_line_end_and_a_byte_order_mark() {
    for (name, views) in [
        ("CRLF", VIEWS.replace('\n', "\r\n")),
        ("BOM", format!("\u{feff}{VIEWS}")),
        ("tabs", VIEWS.replace("    ", "\t")),
        (
            "BOM and CRLF",
            format!("\u{feff}{}", VIEWS.replace('\n', "\r\n")),
        ),
    ] {
        let gallery = Gallery::with(&views, MODELS);
        let dumps = gallery.dumps(3);
        let mut client = Client::start(&[gallery.root()]);
        client.load(&dumps);
        let path = uri(&gallery.views());
        let closed = client.diagnostics(&path, |found| warned(found).is_some());
        let indent = if name == "tabs" { 1 } else { 4 };
        assert_eq!(warned(&closed), Some((13, indent, indent + 21)), "{name}");
        // Open, most editors keep the mark to themselves.
        client.open_text(&path, views.trim_start_matches('\u{feff}'));
        assert!(
            client.hover(&path, 13, 8).contains("alive through"),
            "{name}"
        );
        let open = client.published(&path, |params| params["version"] == 1);
        let open = open["diagnostics"].as_array().unwrap();
        assert_eq!(warned(open), Some((13, indent, indent + 21)), "{name}");
        assert_eq!(client.shut_down(), 0);
    }
}

#[test]
fn a_file_that_is_not_utf_8() {
    let views =
        format!("# -*- coding: latin-1 -*-\n{VIEWS}").replace("Views of a gallery", "Größe");
    let gallery = Gallery::with("", MODELS);
    let latin: Vec<u8> = views.chars().map(|letter| letter as u8).collect();
    std::fs::write(gallery.views(), latin).unwrap();
    let mut client = Client::start(&[gallery.root()]);
    client.load(&gallery.dumps(3));
    let found = client.diagnostics(&uri(&gallery.views()), |found| warned(found).is_some());
    assert_eq!(warned(&found), Some((14, 4, 25)));
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn names_with_blanks_and_letters_of_any_kind() {
    let gallery = Gallery::new();
    let folder = gallery.path("süße bilder #1");
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(gallery.path("gallery"), folder.join("gallery")).unwrap();
    for name in ["run.py", "heldby_agent.py", "dumps"] {
        std::fs::rename(gallery.path(name), folder.join(name)).unwrap();
    }
    let status = std::process::Command::new(&heldby_tests::pythons()[0])
        .args(["run.py", "dumps", "3"])
        .current_dir(&folder)
        .status();
    assert!(status.unwrap().success());
    let escaped = format!(
        "file://{}/s%C3%BC%C3%9Fe%20bilder%20%231",
        gallery.root().display()
    );
    let mut client = Client::start(&[gallery.root()]);
    let dumps: Vec<Value> = (0..3)
        .map(|number| json!(format!("{escaped}/dumps/{number}.heldby")))
        .collect();
    client.command("heldby.load", &dumps).unwrap();
    let found = client.diagnostics(&format!("{escaped}/gallery/views.py"), |found| {
        warned(found).is_some()
    });
    assert_eq!(warned(&found), Some((13, 4, 25)));
    // The client's own spelling of an open document is the one it gets back.
    let spelled = format!(
        "file://{}/s%c3%bc%c3%9fe%20bilder%20%231/gallery/views.py",
        gallery.root().display()
    );
    client.open_text(&spelled, VIEWS);
    client.diagnostics(&spelled, |found| warned(found).is_some());
    client.diagnostics(&format!("{escaped}/gallery/views.py"), |found| {
        found.is_empty()
    });
    assert_eq!(client.shut_down(), 0);
}

#[test]
#[cfg(unix)]
fn a_link_to_the_file_is_the_file() {
    let gallery = Gallery::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().canonicalize().unwrap().join("linked");
    std::os::unix::fs::symlink(gallery.path("gallery"), &link).unwrap();
    let mut client = Client::start(&[gallery.root()]);
    let views = client.open(&link.join("views.py"));
    client.load(&gallery.dumps(3));
    let found = client.diagnostics(&views, |found| warned(found).is_some());
    assert_eq!(warned(&found), Some((13, 4, 25)));
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn files_outside_of_the_workspace_and_documents_without_a_file() {
    let gallery = Gallery::new();
    let other = tempfile::tempdir().unwrap();
    let mut client = Client::start(&[other.path()]);
    client.load(&gallery.dumps(3));
    client.diagnostics(&uri(&gallery.views()), |found| warned(found).is_some());
    for name in [
        "untitled:Untitled-1",
        "vscode-remote://host/views.py",
        "git:/views.py?ref=1",
    ] {
        client.open_text(name, VIEWS);
        // A class of the program is told wherever its name is written.
        assert!(client.hover(name, 6, 8).contains("gallery.views.Photo"));
        let ranges =
            json!({"start": {"line": 0, "character": 0}, "end": {"line": 20, "character": 0}});
        let actions = client.result(
            "textDocument/codeAction",
            json!({"textDocument": {"uri": name}, "range": ranges, "context": {"diagnostics": []}}),
        );
        assert_eq!(actions, json!([]));
    }
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn several_folders_have_settings_of_their_own() {
    let (one, other) = (Gallery::new(), Gallery::new());
    one.write("heldby.toml", "ignore = ['gallery.views.*']\n");
    let mut client = Client::start(&[one.root(), other.root()]);
    client.asked("client/registerCapability", |_| true);
    client.load(&one.dumps(3));
    client.diagnostics(&uri(&one.models()), |found| warned(found).is_some());
    let published = client.notifications("textDocument/publishDiagnostics");
    assert!(
        !published
            .iter()
            .any(|params| params["uri"] == uri(&one.views()))
    );
    // The folder goes, and what it said.
    let folder = json!({"uri": uri(one.root()), "name": "folder"});
    client.notify(
        "workspace/didChangeWorkspaceFolders",
        json!({"event": {"added": [], "removed": [folder]}}),
    );
    client.diagnostics(&uri(&one.views()), |found| warned(found).is_some());
    assert_eq!(client.shut_down(), 0);
}
