//! A client of a debug adapter: starts debugpy's, speaks the Debug Adapter Protocol over its pipes, and keeps all that was said.

use std::collections::HashMap;
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::lsp::read_message;

/// No answer takes longer, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Heard {
    answers: HashMap<u64, Value>,
    events: Vec<Value>,
}

/// A debug session.
pub struct Debugger {
    child: Child,
    input: Mutex<(ChildStdin, u64)>,
    heard: Arc<(Mutex<Heard>, Condvar)>,
}

impl Debugger {
    /// Starts the adapter that a Python has installed.
    pub fn start(python: &Path) -> Self {
        let mut child = Command::new(python)
            .args(["-m", "debugpy.adapter"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", python.display()));
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are pipes");
        };
        let heard: Arc<(Mutex<Heard>, Condvar)> = Arc::default();
        std::thread::spawn({
            let heard = Arc::clone(&heard);
            move || {
                let mut output = BufReader::new(output);
                while let Some(message) = read_message(&mut output) {
                    let mut state = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
                    match message["request_seq"].as_u64() {
                        Some(request) => {
                            state.answers.insert(request, message);
                        }
                        None => state.events.push(message),
                    }
                    heard.1.notify_all();
                }
            }
        });
        Self {
            child,
            input: Mutex::new((input, 0)),
            heard,
        }
    }

    /// Runs a program under the debugger, with breakpoints at lines of it.
    pub fn launch(&self, python: &Path, program: &Path, breakpoints: &[u32]) {
        self.request(
            "initialize",
            json!({"adapterID": "debugpy", "pathFormat": "path", "linesStartAt1": true}),
        )
        .expect_answer();
        let launched = self.send(
            "launch",
            json!({
                "python": [python], "program": program, "cwd": program.parent(), "console": "internalConsole", "justMyCode": true,
            }),
        );
        self.event("initialized", |_| true);
        let lines: Vec<Value> = breakpoints
            .iter()
            .map(|line| json!({"line": line}))
            .collect();
        self.request(
            "setBreakpoints",
            json!({"source": {"path": program}, "breakpoints": lines}),
        )
        .expect_answer();
        self.request("configurationDone", json!({})).expect_answer();
        self.answer(launched).expect_answer();
    }

    /// What `evaluate` says: the value as text, or what went wrong.
    pub fn evaluate(&self, expression: &str, frame: Option<i64>) -> Result<String, String> {
        let mut arguments = json!({"expression": expression, "context": "repl"});
        if let Some(frame) = frame {
            arguments["frameId"] = json!(frame);
        }
        let answer = self.request("evaluate", arguments);
        if answer["success"] == true {
            let result = answer["body"]["result"].as_str();
            Ok(result.unwrap_or_default().to_owned())
        } else {
            Err(answer["message"].as_str().unwrap_or_default().to_owned())
        }
    }

    /// The innermost frame of the thread that stopped.
    pub fn frame_where_stopped(&self) -> i64 {
        self.frame_of_stop(0)
    }

    /// The same at a later stop; the first is 0.
    pub fn frame_of_stop(&self, number: usize) -> i64 {
        let stopped = self.wait(|heard| {
            let mut stops = heard
                .events
                .iter()
                .filter(|event| event["event"] == "stopped");
            stops.nth(number).map(|event| event["body"].clone())
        });
        let stopped = stopped.unwrap_or_else(|| panic!("no stop: {:?}", self.events()));
        let frames = self.request(
            "stackTrace",
            json!({"threadId": stopped["threadId"], "startFrame": 0, "levels": 1}),
        );
        let id = frames["body"]["stackFrames"][0]["id"].as_i64();
        id.unwrap_or_else(|| panic!("no frame: {frames}"))
    }

    /// Lets all threads go on.
    pub fn resume(&self) {
        self.request("continue", json!({"threadId": 1}))
            .expect_answer();
    }

    /// Waits for an event that is as wanted; its body.
    pub fn event(&self, name: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(|heard| {
            let mut events = heard.events.iter().filter(|event| event["event"] == name);
            let found = events.find(|event| is_wanted(&event["body"]))?;
            Some(found["body"].clone())
        })
        .unwrap_or_else(|| panic!("no event {name}; there were {:?}", self.events()))
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Value> {
        let heard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.events.clone()
    }

    /// What the debugger and the program wrote for the user's eyes.
    pub fn console(&self) -> String {
        let events = self.events();
        let outputs = events
            .iter()
            .filter(|event| event["event"] == "output")
            .filter(|event| event["body"]["category"] != "telemetry");
        outputs
            .filter_map(|event| event["body"]["output"].as_str())
            .collect()
    }

    /// A request and its answer.
    pub fn request(&self, command: &str, arguments: Value) -> Value {
        let id = self.send(command, arguments);
        self.answer(id)
    }

    fn send(&self, command: &str, arguments: Value) -> u64 {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.1 += 1;
        let id = input.1;
        let body =
            json!({"seq": id, "type": "request", "command": command, "arguments": arguments});
        let body = body.to_string();
        let written = write!(input.0, "Content-Length: {}\r\n\r\n{body}", body.len());
        if written.and_then(|()| input.0.flush()).is_err() {
            let mut heard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
            let gone = json!({"success": false, "message": "the adapter is gone"});
            heard.answers.insert(id, gone);
        }
        id
    }

    fn answer(&self, id: u64) -> Value {
        self.wait(|heard| heard.answers.get(&id).cloned())
            .unwrap_or_else(|| json!({"success": false, "message": "no answer in a minute"}))
    }

    fn wait<T>(&self, look: impl Fn(&Heard) -> Option<T>) -> Option<T> {
        let end = Instant::now() + PATIENCE;
        let mut heard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&heard) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            heard = self
                .heard
                .1
                .wait_timeout(heard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for Debugger {
    fn drop(&mut self) {
        // The adapter ends its debuggee, if it still runs.
        let _ = self.send("disconnect", json!({"terminateDebuggee": true}));
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

trait Answered {
    fn expect_answer(self);
}

impl Answered for Value {
    fn expect_answer(self) {
        assert_eq!(self["success"], true, "{self}");
    }
}
