//! A client of `heldby lsp`: speaks the protocol over the process's pipes, answers what the server asks, and keeps all that was said.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::heldby;

/// No answer takes longer, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came from the server.
#[derive(Default)]
struct Heard {
    /// Answers by request id.
    answers: HashMap<String, Value>,
    /// Notifications, in order.
    notifications: Vec<Value>,
    /// Requests of the server, in order.
    requests: Vec<Value>,
    /// The output ended.
    ended: bool,
}

type Shared = Arc<(Mutex<Heard>, Condvar)>;

/// How a client answers what the server asks it.
#[derive(Clone)]
pub struct Manner {
    /// Value of the settings section `heldby`.
    pub settings: Value,
    /// Whether requests of the server are answered at all.
    pub answers: bool,
    /// Answers `heldby/evaluate`, from its parameters.
    pub evaluate: Option<Arc<Evaluate>>,
}

/// A debug session at hand.
pub type Evaluate = dyn Fn(&Value) -> Value + Send + Sync;

impl Default for Manner {
    fn default() -> Self {
        Self {
            settings: Value::Null,
            answers: true,
            evaluate: None,
        }
    }
}

/// A client and its server.
pub struct Client {
    child: Child,
    input: Arc<Mutex<Option<ChildStdin>>>,
    heard: Shared,
    manner: Arc<Mutex<Manner>>,
    reader: Option<JoinHandle<()>>,
    next_id: i64,
    /// What the server answered to `initialize`.
    pub initialized: Value,
}

/// All that the server makes use of.
pub fn capabilities() -> Value {
    json!({
        "general": {"positionEncodings": ["utf-16"]},
        "textDocument": {
            "publishDiagnostics": {"relatedInformation": true, "versionSupport": true, "codeDescriptionSupport": true, "dataSupport": true},
            "hover": {"contentFormat": ["markdown", "plaintext"]},
            "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix"]}}},
        },
        "window": {"workDoneProgress": true, "showDocument": {"support": true}},
        "workspace": {
            "configuration": true,
            "workspaceFolders": true,
            "didChangeWatchedFiles": {"dynamicRegistration": true},
        },
    })
}

/// The URI of a path.
pub fn uri(path: &Path) -> String {
    // The paths of the tests need no escapes.
    format!("file://{}", path.display())
}

impl Client {
    /// Starts a server, and says nothing to it yet.
    pub fn spawn() -> Self {
        Self::spawn_with(&[], Stdio::inherit())
    }

    /// The same, with variables in its environment and a place for its log.
    pub fn spawn_with(environment: &[(&str, &str)], log: Stdio) -> Self {
        let mut child = Command::new(heldby())
            .arg("lsp")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("the server does not start: {error}"));
        let heard: Shared = Shared::default();
        let input = Arc::new(Mutex::new(child.stdin.take()));
        let manner = Arc::new(Mutex::new(Manner::default()));
        let output = child.stdout.take();
        let reader = std::thread::spawn({
            let (heard, input, manner) =
                (Arc::clone(&heard), Arc::clone(&input), Arc::clone(&manner));
            move || {
                let mut output = BufReader::new(
                    output
                        .into_iter()
                        .next()
                        .unwrap_or_else(|| unreachable!("its output is a pipe")),
                );
                while let Some(message) = read_message(&mut output) {
                    hear(&heard, &input, &manner, message);
                }
                let mut state = lock(&heard.0);
                state.ended = true;
                heard.1.notify_all();
            }
        });
        Self {
            child,
            input,
            heard,
            manner,
            reader: Some(reader),
            next_id: 0,
            initialized: Value::Null,
        }
    }

    /// Starts a server for workspace folders, with a client that can do everything.
    pub fn start(folders: &[&Path]) -> Self {
        Self::start_with(folders, capabilities(), Value::Null, Manner::default())
    }

    /// Starts a server for workspace folders.
    pub fn start_with(
        folders: &[&Path],
        capabilities: Value,
        options: Value,
        manner: Manner,
    ) -> Self {
        let mut client = Self::spawn();
        *lock(&client.manner) = manner;
        let folders: Vec<Value> = folders
            .iter()
            .map(|folder| json!({"uri": uri(folder), "name": "folder"}))
            .collect();
        let answer = client.request(
            "initialize",
            json!({
                "processId": null,
                "rootUri": null,
                "capabilities": capabilities,
                "workspaceFolders": folders,
                "initializationOptions": options,
            }),
        );
        client.initialized = answer.unwrap_or_else(|error| panic!("initialize: {error}"));
        client.notify("initialized", json!({}));
        client
    }

    /// Changes how it answers.
    pub fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut lock(&self.manner));
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends bytes as they are; whether there is anybody to take them.
    pub fn send_bytes(&self, bytes: &[u8]) -> bool {
        write(&self.input, bytes)
    }

    /// Sends a message.
    pub fn send(&self, message: &Value) -> bool {
        send(&self.input, message)
    }

    /// Sends a notification.
    pub fn notify(&self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request; its id.
    pub fn ask(&mut self, method: &str, params: Value) -> i64 {
        self.next_id += 1;
        self.send(
            &json!({"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params}),
        );
        self.next_id
    }

    /// Waits for the answer to a request: its result, or its error.
    pub fn answer(&self, id: i64) -> Result<Value, Value> {
        let answer = self
            .answer_within(&json!(id), PATIENCE)
            .unwrap_or_else(|| panic!("request {id} was not answered"));
        match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(answer["result"].clone()),
        }
    }

    /// The whole answer to an id, if it comes in time.
    pub fn answer_within(&self, id: &Value, time: Duration) -> Option<Value> {
        self.wait(time, |heard| heard.answers.get(&id.to_string()).cloned())
    }

    /// Sends a request, and waits for its answer.
    pub fn request(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.ask(method, params);
        self.answer(id)
    }

    /// A request that must succeed.
    pub fn result(&mut self, method: &str, params: Value) -> Value {
        self.request(method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Runs a command of the server.
    pub fn command(&mut self, command: &str, arguments: &[Value]) -> Result<Value, Value> {
        self.request(
            "workspace/executeCommand",
            json!({"command": command, "arguments": arguments}),
        )
    }

    /// Loads dumps; the answer.
    pub fn load(&mut self, dumps: &[PathBuf]) -> Value {
        let uris: Vec<Value> = dumps.iter().map(|dump| json!(uri(dump))).collect();
        self.command("heldby.load", &uris)
            .unwrap_or_else(|error| panic!("heldby.load: {error}"))
    }

    /// Opens a document with the text of its file; the version is 1.
    pub fn open(&self, path: &Path) -> String {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.open_text(&uri(path), &text)
    }

    /// Opens a document; the version is 1.
    pub fn open_text(&self, uri: &str, text: &str) -> String {
        let document = json!({"uri": uri, "languageId": "python", "version": 1, "text": text});
        self.notify("textDocument/didOpen", json!({"textDocument": document}));
        uri.to_owned()
    }

    /// Replaces the whole text of a document.
    pub fn change(&self, uri: &str, version: i64, text: &str) {
        self.edit(uri, version, &json!([{"text": text}]));
    }

    /// Edits a document.
    pub fn edit(&self, uri: &str, version: i64, changes: &Value) {
        let document = json!({"uri": uri, "version": version});
        self.notify(
            "textDocument/didChange",
            json!({"textDocument": document, "contentChanges": changes}),
        );
    }

    /// What a hover at a position says, 0-based.
    pub fn hover(&mut self, uri: &str, line: u32, character: u32) -> String {
        let answer = self.result("textDocument/hover", position(uri, line, character));
        answer["contents"]["value"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits for diagnostics of a document that are as wanted.
    pub fn diagnostics(&self, uri: &str, is_wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let published = self.published(uri, |params| {
            params["diagnostics"]
                .as_array()
                .is_some_and(|diagnostics| is_wanted(diagnostics))
        });
        published["diagnostics"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until the newest diagnostics of a document are as wanted.
    pub fn published(&self, uri: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let found = self.wait(PATIENCE, |heard| {
            let newest = heard.notifications.iter().rev().find(|message| {
                message["method"] == "textDocument/publishDiagnostics"
                    && message["params"]["uri"] == uri
            });
            newest
                .map(|message| message["params"].clone())
                .filter(|params| is_wanted(params))
        });
        found.unwrap_or_else(|| {
            panic!(
                "no such diagnostics of {uri}; there were {:#?}",
                self.notifications("textDocument/publishDiagnostics")
            )
        })
    }

    /// Parameters of the notifications of a method so far.
    pub fn notifications(&self, method: &str) -> Vec<Value> {
        let heard = lock(&self.heard.0);
        let of_method = heard
            .notifications
            .iter()
            .filter(|message| message["method"] == method);
        of_method.map(|message| message["params"].clone()).collect()
    }

    /// Waits for a notification that is as wanted; its parameters.
    pub fn notification(&self, method: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(PATIENCE, |heard| {
            heard
                .notifications
                .iter()
                .find(|message| message["method"] == method && is_wanted(&message["params"]))
                .map(|message| message["params"].clone())
        })
        .unwrap_or_else(|| panic!("no such {method}"))
    }

    /// Waits for a request of the server; its parameters.
    pub fn asked(&self, method: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(PATIENCE, |heard| {
            heard
                .requests
                .iter()
                .find(|message| message["method"] == method && is_wanted(&message["params"]))
                .map(|message| message["params"].clone())
        })
        .unwrap_or_else(|| panic!("the server did not ask {method}"))
    }

    fn wait<T>(&self, time: Duration, mut look: impl FnMut(&Heard) -> Option<T>) -> Option<T> {
        let end = Instant::now() + time;
        let mut heard = lock(&self.heard.0);
        loop {
            if let Some(found) = look(&heard) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            if heard.ended {
                return None;
            }
            (heard, _) = self
                .heard
                .1
                .wait_timeout(heard, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the server as the protocol asks; its exit code.
    pub fn shut_down(mut self) -> i32 {
        assert_eq!(self.request("shutdown", Value::Null), Ok(Value::Null));
        self.notify("exit", Value::Null);
        self.exit_code()
    }

    /// Closes the server's input; its exit code.
    pub fn hang_up(mut self) -> i32 {
        drop(lock(&self.input).take());
        self.exit_code()
    }

    /// Waits for the server's end; its exit code.
    pub fn exit_code(&mut self) -> i32 {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.code().unwrap_or(-1),
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                _ => panic!("the server does not end"),
            }
        }
    }

    /// Whether the server still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The parameters of a request at a position, 0-based.
pub fn position(uri: &str, line: u32, character: u32) -> Value {
    json!({"textDocument": {"uri": uri}, "position": {"line": line, "character": character}})
}

fn hear(
    heard: &Shared,
    input: &Arc<Mutex<Option<ChildStdin>>>,
    manner: &Mutex<Manner>,
    message: Value,
) {
    assert_eq!(message["jsonrpc"], "2.0", "{message}");
    let mut state = lock(&heard.0);
    match (message.get("method"), message.get("id")) {
        (Some(_), None) => state.notifications.push(message),
        (Some(_), Some(_)) => {
            let manner = lock(manner).clone();
            if let Some(evaluate) = &manner.evaluate
                && message["method"] == "heldby/evaluate"
            {
                // It may take its time, in which other messages come.
                let (evaluate, input) = (Arc::clone(evaluate), Arc::clone(input));
                let asked = message.clone();
                std::thread::spawn(move || {
                    let result = evaluate(&asked["params"]);
                    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
                    send(&input, &answer);
                });
            } else if manner.answers {
                let result = answer_of(&message, &manner);
                send(
                    input,
                    &json!({"jsonrpc": "2.0", "id": message["id"], "result": result}),
                );
            }
            state.requests.push(message);
        }
        (None, id) => {
            let id = id.cloned().unwrap_or(Value::Null).to_string();
            state.answers.insert(id, message);
        }
    }
    heard.1.notify_all();
}

fn answer_of(request: &Value, manner: &Manner) -> Value {
    match request["method"].as_str().unwrap_or_default() {
        "workspace/configuration" => {
            let items = request["params"]["items"].as_array();
            let count = items.map_or(0, Vec::len);
            Value::Array(vec![manner.settings.clone(); count])
        }
        "window/showDocument" => json!({"success": true}),
        _ => Value::Null,
    }
}

fn send(input: &Mutex<Option<ChildStdin>>, message: &Value) -> bool {
    let body = message.to_string();
    write(
        input,
        format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
    )
}

fn write(input: &Mutex<Option<ChildStdin>>, bytes: &[u8]) -> bool {
    match lock(input).as_mut() {
        Some(input) => input.write_all(bytes).and_then(|()| input.flush()).is_ok(),
        None => false,
    }
}

pub(crate) fn read_message(output: &mut impl BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        assert!(
            line.ends_with("\r\n"),
            "a header line ends with CR LF: {line:?}"
        );
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let mut body = vec![0; length?];
    output.read_exact(&mut body).ok()?;
    let message = serde_json::from_slice(&body);
    Some(message.unwrap_or_else(|error| panic!("the server sent no JSON: {error}")))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
