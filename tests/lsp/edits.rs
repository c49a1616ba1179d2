//! Sites while the user types.

use heldby_tests::lsp::{Client, uri};
use serde_json::{Value, json};

use crate::features::listed;
use crate::gallery::{Gallery, VIEWS, loaded};

/// The diagnostics after an edit, as an editor lists them.
fn after(client: &Client, views: &str, version: i64, text: &str) -> Vec<String> {
    client.change(views, version, text);
    let published = client.published(views, |params| params["version"] == version);
    let lines = listed(published["diagnostics"].as_array().unwrap());
    lines
        .into_iter()
        .map(|line| line.split(" [").next().unwrap().to_owned())
        .collect()
}

#[test]
fn sites_move_with_the_text() {
    let gallery = Gallery::new();
    let (client, views) = loaded(&gallery);
    let text = VIEWS.replace("UPLOADS = []", "# All of them.\n\nUPLOADS = []");
    let moved = after(&client, &views, 2, &text);
    assert!(moved[0].starts_with("5:0-5:12 hint"), "{moved:?}");
    assert!(moved[1].starts_with("15:4-15:25 warning"), "{moved:?}");
    // Indented into an `if`, the columns move too.
    let text = VIEWS.replace(
        "    UPLOADS.append(photo)",
        "    if photo:\n        UPLOADS.append(photo)",
    );
    let moved = after(&client, &views, 3, &text);
    assert!(moved[1].starts_with("14:8-14:29 warning"), "{moved:?}");
    // And back.
    let back = after(&client, &views, 4, VIEWS);
    assert!(back[1].starts_with("13:4-13:25 warning"), "{back:?}");
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_changed_line_fades_and_a_lost_one_is_not_drawn() {
    let gallery = Gallery::new();
    let (mut client, views) = loaded(&gallery);
    let text = VIEWS.replace("UPLOADS.append(photo)", "UPLOADS[:] = [photo]");
    let changed = after(&client, &views, 2, &text);
    // On the function that it stood in, faintly.
    assert!(changed[1].starts_with("11:0-"), "{changed:?}");
    assert!(changed[1].contains(" hint "), "{changed:?}");
    assert!(
        changed[1].ends_with("changed since the dump"),
        "{changed:?}"
    );
    let (without, _) = VIEWS.split_once("\n\ndef upload").unwrap();
    let lost = after(&client, &views, 3, without);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].starts_with("3:0-3:12"), "{lost:?}");
    // It is listed still.
    let findings = client.result("heldby/findings", json!({}));
    assert_eq!(findings["findings"][0]["stores"][0]["placement"], "lost");
    assert_eq!(
        findings["findings"][0]["stores"][0]["location"],
        Value::Null
    );
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn what_refers_to_an_edited_file_follows() {
    let models = "from gallery import views\n\ndef remember(photo):\n    views.SEEN[id(photo)] = photo.data[:100]\n";
    let views_text = VIEWS.replace("UPLOADS = []", "UPLOADS = []\nSEEN = {}");
    let gallery = Gallery::with(&views_text, models);
    let (client, views) = loaded(&gallery);
    let models = uri(&gallery.models());
    let holder_line = |params: &Value| {
        params["diagnostics"][0]["relatedInformation"][0]["location"]["range"]["start"]["line"]
            .as_u64()
    };
    client.published(&models, |params| holder_line(params) == Some(4));
    let text = views_text.replace("UPLOADS = []", "\n\nUPLOADS = []");
    client.change(&views, 2, &text);
    client.published(&models, |params| holder_line(params) == Some(6));
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn each_hover_sees_the_text_that_it_was_asked_about() {
    let gallery = Gallery::new();
    let (mut client, views) = loaded(&gallery);
    // Line by line the store moves down; hovers on it and above it are asked in between, none is waited for.
    let mut asked = Vec::new();
    let start = json!({"start": {"line": 10, "character": 0}, "end": {"line": 10, "character": 0}});
    for number in 1..=300i64 {
        client.edit(&views, number + 1, &json!([{"range": start, "text": "\n"}]));
        let hover = |line: i64| json!({"textDocument": {"uri": views}, "position": {"line": line, "character": 8}});
        asked.push((
            client.ask("textDocument/hover", hover(13 + number)),
            client.ask("textDocument/hover", hover(12 + number)),
        ));
    }
    let mut wrong = 0;
    for (on_it, above_it) in asked {
        let says = |answer: &Value| {
            answer["contents"]["value"]
                .as_str()
                .is_some_and(|text| text.contains("this line creates the references"))
        };
        wrong += usize::from(!says(&client.answer(on_it).unwrap()));
        wrong += usize::from(says(&client.answer(above_it).unwrap()));
    }
    assert_eq!(wrong, 0);
    let last = client.published(&views, |params| params["version"] == 301);
    let lines = listed(last["diagnostics"].as_array().unwrap());
    assert!(lines[1].starts_with("313:4-313:25 warning"), "{lines:?}");
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn broken_text_keeps_what_stands_around_the_break() {
    let gallery = Gallery::new();
    let (client, views) = loaded(&gallery);
    let text = VIEWS.replace("class Photo:\n", "def broken(:\n    if (\n\nclass Photo:\n");
    let broken = after(&client, &views, 2, &text);
    assert!(broken[0].starts_with("3:0-3:12"), "{broken:?}");
    assert!(broken[1].starts_with("16:4-16:25"), "{broken:?}");
    for (number, text) in ["", "\u{0}\u{0}", "def", "\u{feff}", "((((((((", "'''"]
        .iter()
        .enumerate()
    {
        client.change(&views, number as i64 + 3, text);
    }
    let back = after(&client, &views, 99, VIEWS);
    assert!(back[1].starts_with("13:4-13:25 warning"), "{back:?}");
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn closing_a_document_shows_the_file_again() {
    let gallery = Gallery::new();
    let (client, views) = loaded(&gallery);
    after(&client, &views, 2, &format!("\n\n{VIEWS}"));
    client.notify(
        "textDocument/didClose",
        json!({"textDocument": {"uri": views}}),
    );
    let closed = client.published(&views, |params| params.get("version").is_none());
    let lines = listed(closed["diagnostics"].as_array().unwrap());
    assert!(lines[1].starts_with("13:4-13:25 warning"), "{lines:?}");
    assert_eq!(client.shut_down(), 0);
}
