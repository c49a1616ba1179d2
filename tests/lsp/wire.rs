//! What happens on the wire: order, ends, broken messages, silence.

use std::time::Duration;

use heldby_tests::lsp::{Client, Manner, capabilities, position, uri};
use serde_json::{Value, json};

use crate::gallery::Gallery;

const NOT_INITIALIZED: i64 = -32002;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const PARSE_ERROR: i64 = -32700;

fn code(answer: &Result<Value, Value>) -> Option<i64> {
    answer.as_ref().err()?["code"].as_i64()
}

fn hover() -> Value {
    position("file:///a.py", 0, 0)
}

#[test]
fn it_ends_as_the_client_says() {
    assert_eq!(Client::start(&[]).shut_down(), 0);

    let mut without_shutdown = Client::start(&[]);
    without_shutdown.notify("exit", Value::Null);
    assert_eq!(without_shutdown.exit_code(), 1);

    let mut never_initialized = Client::spawn();
    never_initialized.notify("exit", Value::Null);
    assert_eq!(never_initialized.exit_code(), 1);
}

#[test]
fn the_end_of_its_input_ends_it() {
    assert_eq!(Client::start(&[]).hang_up(), 1);
    assert_eq!(Client::spawn().hang_up(), 1);

    let mut shut_down = Client::start(&[]);
    shut_down.result("shutdown", Value::Null);
    assert_eq!(shut_down.hang_up(), 0);
}

#[test]
fn requests_out_of_their_time_are_refused() {
    let mut client = Client::spawn();
    let early = client.request("textDocument/hover", hover());
    assert_eq!(code(&early), Some(NOT_INITIALIZED));
    // An edit before `initialize` is dropped.
    client.open_text("file:///a.py", "x");
    let params = json!({"processId": null, "rootUri": null, "capabilities": {}});
    assert!(client.request("initialize", params.clone()).is_ok());
    let again = client.request("initialize", params);
    assert_eq!(code(&again), Some(INVALID_REQUEST));
    client.notify("initialized", json!({}));
    assert_eq!(client.result("textDocument/hover", hover()), Value::Null);
    client.result("shutdown", Value::Null);
    let late = client.request("textDocument/hover", hover());
    assert_eq!(code(&late), Some(INVALID_REQUEST));
    client.notify("exit", Value::Null);
    assert_eq!(client.exit_code(), 0);
}

#[test]
fn what_it_does_not_know_is_one_failed_request() {
    let mut client = Client::start(&[]);
    let unknown = client.request("textDocument/colour", json!({}));
    assert_eq!(code(&unknown), Some(METHOD_NOT_FOUND));
    let wrong = client.request("textDocument/hover", json!({"nope": 1}));
    assert_eq!(code(&wrong), Some(INVALID_PARAMS));
    client.notify("textDocument/colour", json!({}));
    client.notify("$/colour", json!({}));
    for method in ["didOpen", "didChange", "didClose"] {
        client.notify(&format!("textDocument/{method}"), json!({"nope": 1}));
        client.notify(&format!("textDocument/{method}"), Value::Null);
        client.notify(&format!("textDocument/{method}"), json!([1, 2]));
    }
    client.notify(
        "textDocument/didChange",
        json!({"textDocument": {"uri": "file:///never-opened.py", "version": 1}, "contentChanges": []}),
    );
    client.notify("workspace/didChangeWatchedFiles", json!(7));
    let unknown = client.command("heldby.colour", &[]);
    assert_eq!(code(&unknown), Some(INVALID_PARAMS));
    let nothing = client.command("heldby.load", &[]);
    assert_eq!(code(&nothing), Some(INVALID_PARAMS));
    let no_file = client.command("heldby.load", &[json!("untitled:Untitled-1")]);
    assert_eq!(code(&no_file), Some(INVALID_PARAMS));
    let no_dump = client.request("heldby/referrers", json!({"object": "0x1"}));
    assert_eq!(code(&no_dump), Some(INVALID_PARAMS));
    assert_eq!(client.result("textDocument/hover", hover()), Value::Null);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn ids_may_be_texts_and_a_second_of_the_same_is_refused() {
    let client = Client::start(&[]);
    let request =
        json!({"jsonrpc": "2.0", "id": "one", "method": "textDocument/hover", "params": hover()});
    client.send(&request);
    let answer = client.answer_within(&json!("one"), Duration::from_secs(30));
    assert_eq!(answer.unwrap()["result"], Value::Null);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_message_that_is_none_ends_it_with_a_word() {
    // The protocol has no way to find the next message behind one whose length is not known.
    for bytes in [
        &b"Content-Length: 25\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":"[..],
        b"Content-Type: x\r\n\r\n{}",
        b"Content-Length: nine\r\n\r\n{}",
        b"Content-Length: 9\r\n\r\n{\"foo\": 1}",
        // Five bytes more than it says.
        b"Content-Length: 33\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"$/none\"}",
    ] {
        let mut client = Client::start(&[]);
        client.send_bytes(bytes);
        let answer = client.answer_within(&Value::Null, Duration::from_secs(10));
        if let Some(answer) = answer {
            assert_eq!(answer["error"]["code"], PARSE_ERROR);
        }
        client.send(&json!({"jsonrpc": "2.0", "method": "exit"}));
        assert_eq!(
            client.exit_code(),
            1,
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn large_messages_pass() {
    let mut client = Client::start(&[]);
    let text = format!("x = '{}'\ny = 1\n", "abcdefghij".repeat(5_000_000));
    assert!(text.len() > 50_000_000);
    client.open_text("file:///large.py", &text);
    assert_eq!(
        client.result("textDocument/hover", position("file:///large.py", 1, 0)),
        Value::Null
    );
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_client_that_never_answers_blocks_nothing() {
    let silent = Manner {
        answers: false,
        ..Manner::default()
    };
    let mut client = Client::start_with(&[], capabilities(), Value::Null, silent);
    // The server asks for the settings; meanwhile it serves.
    client.asked("workspace/configuration", |_| true);
    for _ in 0..10 {
        client.notify(
            "workspace/didChangeConfiguration",
            json!({"settings": null}),
        );
    }
    for _ in 0..300 {
        assert_eq!(client.result("textDocument/hover", hover()), Value::Null);
    }
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn it_serves_while_it_is_spoken_to_in_pieces() {
    // A client that is asked nothing: its answers would come between the pieces.
    let client = Client::start_with(&[], json!({}), Value::Null, Manner::default());
    let body =
        json!({"jsonrpc": "2.0", "id": 77, "method": "textDocument/hover", "params": hover()})
            .to_string();
    let message = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    for piece in message.as_bytes().chunks(7) {
        client.send_bytes(piece);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(
        client
            .answer_within(&json!(77), Duration::from_secs(30))
            .is_some()
    );
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_server_with_work_under_way_ends_with_its_client() {
    let gallery = Gallery::new();
    let dumps: Vec<Value> = gallery
        .dumps(3)
        .iter()
        .map(|dump| json!(uri(dump)))
        .collect();
    let mut client = Client::start(&[gallery.root()]);
    client.ask(
        "workspace/executeCommand",
        json!({"command": "heldby.load", "arguments": dumps}),
    );
    // The work is under way when its client goes; the answer to it never comes.
    client.asked("window/workDoneProgress/create", |_| true);
    assert_eq!(client.hang_up(), 1);
}

#[test]
fn the_log_has_no_texts_of_the_users() {
    let gallery = Gallery::new();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let mut client = Client::spawn_with(&[("RUST_LOG", "trace")], file.into());
    client.result(
        "initialize",
        json!({"processId": null, "rootUri": uri(gallery.root()), "capabilities": capabilities()}),
    );
    client.notify("initialized", json!({}));
    let views = client.open(&gallery.views());
    client.load(&gallery.dumps(3));
    assert!(
        client
            .hover(&views, 13, 10)
            .contains("gallery.views.UPLOADS")
    );
    client.notify(
        "textDocument/didOpen",
        json!({"textDocument": {"text": "SECRET"}}),
    );
    assert_eq!(client.shut_down(), 0);
    let log = std::fs::read_to_string(log).unwrap();
    // What was done is there, by file and count.
    assert!(log.contains("2.heldby: "), "{log}");
    for text in ["UPLOADS", "SECRET", "Views of a gallery"] {
        assert!(!log.contains(text), "{text}: {log}");
    }
}
