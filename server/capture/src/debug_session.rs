//! A dump of a program that is being debugged, by nothing but the debugger's `evaluate` request; or another errand of the agent's.
//!
//! What flows in is what the debugger answers, what flows out is what to evaluate next: nothing here talks to a debugger, so that
//! each editor can bring its own. The program needs nothing installed and may be running or paused. It looks whether it sees the
//! files of this machine; if so it writes its dump where the dump is wanted, else into its folder for temporary files, from where
//! the dump comes in pieces with checksums, through the debugger.
//!
//! debugpy evaluates without a frame in a thread of its own, since 1.6.0. What has a value it prints into its console before 1.8.21,
//! and hands nothing on; what raises an error it hands on in every version, and prints nothing. So each answer is an error's text.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempPath;

use crate::confirm::{self, CountedLines, LineCounts};
use crate::launch::Trace;
use crate::python_text;

/// Bytes of a dump in one answer.
const PIECE: u64 = 4 << 20;
/// A piece that came damaged is asked for again so often.
const MOST_TRIES: u32 = 3;
/// A dump larger than this is not fetched.
const MOST_BYTES: u64 = 64 << 30;
/// How long to wait before looking for the dump again.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// After so many looks at the folder the program is asked.
const LOOKS_A_QUESTION: u32 = 12;

const MARK: &str = "heldby<";
const END_MARK: &str = ">heldby";

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Have the debugger evaluate this, without a frame, and come back with its answer.
    Evaluate(String),
    /// Come back without an answer after this time.
    Wait(Duration),
    /// The dump is here.
    Done(Captured),
}

/// What a debugger said to an `evaluate`.
#[derive(Debug)]
pub enum Answer {
    /// The value as text; empty where the debugger hands on none.
    Value(String),
    /// That it failed, and the text of the failure.
    Refused(String),
}

/// A dump that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The file.
    pub path: PathBuf,
    /// Of the program, on its machine.
    pub pid: u64,
    /// It came through the debugger.
    pub was_fetched: bool,
}

impl Captured {
    /// What was counted of these lines, by [`Purpose::Count`]; the file is removed.
    ///
    /// # Errors
    /// [`DebugSessionError::Failed`] with why nothing was counted, [`DebugSessionError::Folder`] when the file cannot be read.
    pub fn counts(&self, lines: &[CountedLines]) -> Result<LineCounts> {
        let text = fs::read(&self.path).map_err(|source| DebugSessionError::Folder {
            path: self.path.clone(),
            source,
        })?;
        // If it cannot be removed, it is a small file that nothing reads.
        let _ = fs::remove_file(&self.path);
        confirm::counts_of(&text, lines).map_err(|reason| DebugSessionError::Failed {
            asked: ASKED_TO_COUNT,
            reason,
        })
    }
}

/// Whether the program may write the dump where it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transfer {
    /// It may if it sees the folder.
    #[default]
    WhereNeeded,
    /// The dump comes through the debugger in any case.
    Always,
}

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebugSessionError {
    /// The folder of the dumps or a file in it cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The debugger evaluated with an error.
    #[error("the debugger refuses to evaluate: {0}")]
    Refused(String),
    /// The debugger's answer is none of ours.
    #[error(
        "the debugger's answer is not understood ({0}): is the session one of debugpy 1.6.0 or later?"
    )]
    NotUnderstood(String),
    /// The interpreter is none that can be dumped.
    #[error(
        "the program runs on {implementation} {version}: dumps can be taken of CPython 3.8 and later"
    )]
    Interpreter {
        /// `cpython`, `pypy` …
        implementation: String,
        /// `3.7.16`
        version: String,
    },
    /// Nobody has the object that is asked about: its value was made by evaluating it. No dump was taken.
    #[error("its value was made for this answer, and nothing holds it")]
    Unheld,
    /// The program could not do what it was asked for.
    #[error("the program could not {asked}: {reason}")]
    Failed {
        /// What, as words of a sentence.
        asked: &'static str,
        /// In the program's words.
        reason: String,
    },
    /// There is neither a dump nor a reason.
    #[error(
        "the program ended the dump without a word: is the disk of {} full?",
        folder.display()
    )]
    Vanished {
        /// Where the dump was to be, as the program knows it.
        folder: PathBuf,
    },
    /// The debugger's program is another one.
    #[error("the session is of process {0}")]
    OtherProcess(u64),
    /// The pieces do not come whole.
    #[error("the dump came damaged through the debugger, at byte {offset}, {MOST_TRIES} times")]
    Damaged {
        /// Of the piece.
        offset: u64,
    },
    /// Longer than any dump.
    #[error("the dump has {0} bytes, which is too much to fetch")]
    TooLarge(u64),
}

type Result<T> = std::result::Result<T, DebugSessionError>;

/// What the dump is taken for, or what else the agent is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Purpose {
    /// A dump to be compared with others of the process.
    Series,
    /// A dump to say who holds one object.
    Question,
    /// No dump: how often lines run. [`Captured::counts`] reads the file that comes of it.
    Count {
        /// Which.
        lines: Vec<CountedLines>,
        /// Over how long.
        time: Duration,
        /// Of this process, and no other.
        pid: u64,
    },
    /// No dump, and no file: from now on the native agent notes where containers grow.
    Trace(Trace),
}

/// Of [`DebugSessionError::Failed`], for [`Purpose::Count`].
const ASKED_TO_COUNT: &str = "count the lines";

/// A capture that is going on.
#[derive(Debug)]
pub struct DebugSessionCapture {
    folder: PathBuf,
    transfer: Transfer,
    purpose: Purpose,
    /// A file that only a program on this machine can read; gone with this value.
    witness: TempPath,
    secret: String,
    state: State,
    around: Option<Around>,
    /// A dump that is whole where it was taken, and comes from there.
    left_there: Option<String>,
}

#[derive(Debug)]
enum State {
    Looking,
    Beginning,
    /// How often the folder was looked at since the program was asked, the wait before the next look, and whether the last answer
    /// was that no dump is being taken.
    Waiting {
        looks: u32,
        wait: Duration,
        was_idle: bool,
    },
    Asking {
        wait: Duration,
        was_idle: bool,
    },
    Fetching(Fetch),
    Removing,
}

#[derive(Debug)]
struct Fetch {
    file: File,
    unfinished: TempPath,
    size: u64,
    offset: u64,
    tries: u32,
}

#[derive(Debug, Deserialize)]
struct Around {
    pid: u64,
    is_local: bool,
    folder: PathBuf,
    path: String,
    name: String,
    version: String,
    implementation: String,
    can_be_dumped: bool,
    system: String,
    machine: String,
}

#[derive(Debug, Deserialize)]
struct Begun {
    failed: Option<String>,
    #[serde(default)]
    is_unheld: bool,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    size: Option<u64>,
    failed: Option<String>,
    is_going_on: bool,
}

impl DebugSessionCapture {
    /// Prepares the capture of a dump into a folder, which is made if it is not there, and ignored by git.
    ///
    /// # Errors
    /// [`DebugSessionError::Folder`].
    pub fn new(folder: &Path, transfer: Transfer, purpose: Purpose) -> Result<Self> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| DebugSessionError::Folder { path, source }
        };
        crate::make_dump_folder(folder).map_err(at(folder))?;
        let folder = fs::canonicalize(folder).map_err(at(folder))?;
        let mut witness = tempfile::Builder::new()
            .prefix(".witness-")
            .tempfile_in(&folder)
            .map_err(at(&folder))?;
        // The name is random: what says it can only be known from this file or from here.
        let secret = witness.path().display().to_string();
        witness
            .write_all(secret.as_bytes())
            .map_err(at(witness.path()))?;
        Ok(Self {
            folder,
            transfer,
            purpose,
            witness: witness.into_temp_path(),
            secret,
            state: State::Looking,
            around: None,
            left_there: None,
        })
    }

    /// The first step.
    pub fn start(&self) -> Step {
        let witness = match self.transfer {
            Transfer::WhereNeeded => self.witness.display().to_string(),
            Transfer::Always => String::new(),
        };
        let folder = self.folder.display().to_string();
        let arguments = [&witness, &self.secret, &folder].map(|text| python_text(text));
        self.question("look_around", &arguments)
    }

    /// What comes next: after [`Step::Evaluate`] with the debugger's answer, after [`Step::Wait`] without.
    ///
    /// # Errors
    /// [`DebugSessionError`]; nothing more is to be done then.
    pub fn next(&mut self, answer: Option<Answer>) -> Result<Step> {
        let state = std::mem::replace(&mut self.state, State::Looking);
        match state {
            State::Looking => self.looked(answer),
            State::Beginning => {
                let begun: Begun = json(&bytes_of(answer)?)?;
                if begun.is_unheld {
                    return Err(DebugSessionError::Unheld);
                }
                match begun.failed {
                    Some(reason) => Err(self.failed(reason)),
                    None if matches!(self.purpose, Purpose::Trace(_)) => self.done(false),
                    None => Ok(self.wait(0, FIRST_WAIT, false)),
                }
            }
            State::Waiting {
                looks,
                wait,
                was_idle,
            } => self.look(looks, wait, was_idle),
            State::Asking { wait, was_idle } => self.asked(answer, wait, was_idle),
            State::Fetching(fetch) => self.fetched(answer, fetch),
            // The dump is here, whatever became of the other one.
            State::Removing => self.done(true),
        }
    }

    /// Bytes of the dump that are here, and all that it has, while it comes in pieces.
    pub fn fetched_bytes(&self) -> Option<(u64, u64)> {
        match &self.state {
            State::Fetching(fetch) => Some((fetch.offset, fetch.size)),
            _ => None,
        }
    }

    /// What to evaluate when a capture is given up: it removes the dump where it was taken, if it is there and not wanted here.
    pub fn abandon(&mut self) -> Option<String> {
        let path = self.left_there.take()?;
        match self.question("remove", &[python_text(&path)]) {
            Step::Evaluate(expression) => Some(expression),
            _ => None,
        }
    }

    fn looked(&mut self, answer: Option<Answer>) -> Result<Step> {
        let mut around: Around = json(&bytes_of(answer)?)?;
        if !around.can_be_dumped {
            return Err(DebugSessionError::Interpreter {
                implementation: around.implementation,
                version: around.version,
            });
        }
        if let Purpose::Count { pid, .. } = self.purpose {
            if around.pid != pid {
                return Err(DebugSessionError::OtherProcess(around.pid));
            }
            // It is no dump, and must not look like one.
            for name in [&mut around.path, &mut around.name] {
                *name = format!("{}.counts", name.trim_end_matches(".heldby"));
            }
        }
        let compressed = if around.is_local { "False" } else { "True" };
        let path = python_text(&around.path);
        let library = crate::native_library();
        // To another machine it goes with the agent, if it is one like this.
        let is_alike =
            around.system == std::env::consts::OS && around.machine == std::env::consts::ARCH;
        let with_agent = library.as_ref().filter(|_| !around.is_local && is_alike);
        let agent = with_agent.and_then(|library| crate::agent_source_with(library).ok());
        let agent = agent.unwrap_or_else(|| crate::agent_source().to_owned());
        let library = library.filter(|_| around.is_local);
        let library = library.map_or(String::new(), |path| path.display().to_string());
        let library = python_text(&library);
        let dump = |moment| {
            let compressed = compressed.to_owned();
            vec![
                path.clone(),
                compressed,
                python_text(moment),
                library.clone(),
            ]
        };
        let (function, arguments) = match &self.purpose {
            Purpose::Series => ("begin", dump("call")),
            Purpose::Question => ("begin", dump("question")),
            Purpose::Count { lines, time, .. } => {
                let seconds = time.as_secs_f64().to_string();
                let lines = confirm::python_list(lines);
                ("begin_counting", vec![path, library, lines, seconds])
            }
            Purpose::Trace(trace) => {
                let all = if *trace == Trace::All {
                    "True"
                } else {
                    "False"
                };
                ("begin_tracing", vec![library, all.to_owned()])
            }
        };
        let source = [
            &agent,
            include_str!("../python/heldby_debug_session.py"),
            include_str!("../python/heldby_confirm.py"),
            QUESTIONS,
        ]
        .join("\n");
        self.around = Some(around);
        self.state = State::Beginning;
        Ok(self.evaluate(&source, function, &arguments))
    }

    /// Whether the dump, or the reason why there is none, lies in the folder.
    fn look(&mut self, looks: u32, wait: Duration, was_idle: bool) -> Result<Step> {
        let around = self.around()?;
        if around.is_local {
            let path = PathBuf::from(&around.path);
            if path.exists() {
                return match File::open(&path) {
                    Ok(_) => self.done(false),
                    // Of another user, as in a container that shares the folder: it comes through the debugger.
                    Err(_) => Ok(self.ask(wait, was_idle)),
                };
            }
            if looks < LOOKS_A_QUESTION && !Path::new(&format!("{}.failed", around.path)).exists() {
                let wait = (wait * 2).min(LONGEST_WAIT);
                return Ok(self.wait(looks + 1, wait, was_idle));
            }
        }
        Ok(self.ask(wait, was_idle))
    }

    fn failed(&self, reason: String) -> DebugSessionError {
        let asked = match self.purpose {
            Purpose::Series | Purpose::Question => "take the dump",
            Purpose::Count { .. } => ASKED_TO_COUNT,
            Purpose::Trace(_) => "note where containers grow",
        };
        DebugSessionError::Failed { asked, reason }
    }

    fn asked(&mut self, answer: Option<Answer>, wait: Duration, was_idle: bool) -> Result<Step> {
        let outcome: Outcome = json(&bytes_of(answer)?)?;
        if let Some(reason) = outcome.failed {
            return Err(self.failed(reason));
        }
        if let Some(size) = outcome.size {
            return self.fetch(size);
        }
        if !outcome.is_going_on && was_idle {
            return Err(DebugSessionError::Vanished {
                folder: self.around()?.folder.clone(),
            });
        }
        let wait = (wait * 2).min(LONGEST_WAIT);
        Ok(self.wait(0, wait, !outcome.is_going_on))
    }

    fn fetch(&mut self, size: u64) -> Result<Step> {
        let around = self.around()?;
        if around.is_local && File::open(&around.path).is_ok() {
            return self.done(false);
        }
        self.left_there = Some(around.path.clone());
        if size > MOST_BYTES {
            return Err(DebugSessionError::TooLarge(size));
        }
        let unfinished = tempfile::Builder::new()
            .prefix(".fetched-")
            .suffix(".part")
            .tempfile_in(&self.folder)
            .map_err(|source| self.not_written(source))?;
        let (file, unfinished) = unfinished.into_parts();
        self.piece(Fetch {
            file,
            unfinished,
            size,
            offset: 0,
            tries: 0,
        })
    }

    fn piece(&mut self, fetch: Fetch) -> Result<Step> {
        let path = python_text(&self.around()?.path);
        let arguments = [path, fetch.offset.to_string(), PIECE.to_string()];
        self.state = State::Fetching(fetch);
        Ok(self.question("piece", &arguments))
    }

    fn fetched(&mut self, answer: Option<Answer>, mut fetch: Fetch) -> Result<Step> {
        let bytes = bytes_of(answer)?;
        let wanted = PIECE.min(fetch.size - fetch.offset);
        let data = bytes.split_first_chunk::<4>().and_then(|(sum, data)| {
            let is_whole = u32::from_le_bytes(*sum) == crc32fast::hash(data)
                && u64::try_from(data.len()).is_ok_and(|len| len == wanted);
            is_whole.then_some(data)
        });
        let Some(data) = data else {
            fetch.tries += 1;
            if fetch.tries >= MOST_TRIES {
                return Err(DebugSessionError::Damaged {
                    offset: fetch.offset,
                });
            }
            return self.piece(fetch);
        };
        fetch
            .file
            .write_all(data)
            .map_err(|source| self.not_written(source))?;
        fetch.offset += wanted;
        fetch.tries = 0;
        if fetch.offset < fetch.size {
            return self.piece(fetch);
        }
        fetch
            .file
            .sync_all()
            .map_err(|source| self.not_written(source))?;
        let path = self.folder.join(local_name(&self.around()?.name));
        fetch
            .unfinished
            .persist(&path)
            .map_err(|error| self.not_written(error.error))?;
        self.state = State::Removing;
        self.left_there = None;
        let theirs = python_text(&self.around()?.path);
        Ok(self.question("remove", &[theirs]))
    }

    fn done(&self, was_fetched: bool) -> Result<Step> {
        let around = self.around()?;
        Ok(Step::Done(Captured {
            path: self.folder.join(local_name(&around.name)),
            pid: around.pid,
            was_fetched,
        }))
    }

    fn around(&self) -> Result<&Around> {
        self.around
            .as_ref()
            .ok_or_else(|| DebugSessionError::NotUnderstood("no beginning".to_owned()))
    }

    fn not_written(&self, source: io::Error) -> DebugSessionError {
        DebugSessionError::Folder {
            path: self.folder.clone(),
            source,
        }
    }

    fn wait(&mut self, looks: u32, wait: Duration, was_idle: bool) -> Step {
        self.state = State::Waiting {
            looks,
            wait,
            was_idle,
        };
        Step::Wait(wait)
    }

    fn ask(&mut self, wait: Duration, was_idle: bool) -> Step {
        self.state = State::Asking { wait, was_idle };
        match &self.around {
            Some(around) => self.question("outcome", &[python_text(&around.path)]),
            None => self.start(),
        }
    }

    fn question(&self, function: &str, arguments: &[String]) -> Step {
        self.evaluate(QUESTIONS, function, arguments)
    }

    /// One expression: it runs a text in a namespace of its own and calls one of its functions.
    fn evaluate(&self, source: &str, function: &str, arguments: &[String]) -> Step {
        Step::Evaluate(format!(
            "(lambda names: (exec(compile({source}, 'heldby_agent', 'exec', 0, True), names), \
             names['answer'](names['{function}'], {arguments})))({{'__name__': 'heldby_agent'}})",
            source = python_text(source),
            arguments = arguments.join(", "),
        ))
    }
}

const QUESTIONS: &str = include_str!("../python/heldby_debug_questions.py");

/// The expression whose value is the address of an object, evaluated in the frame that knows its name. It leaves the object where a
/// capture for [`Purpose::Question`] takes it from: a value that nobody holds would be gone by then, and another one at its address.
pub fn address_expression(expression: &str) -> String {
    format!(
        "(lambda asked: (__import__('sys').__dict__.__setitem__('_heldby_asked', asked), \
         __import__('builtins').id(asked))[1])(({expression}\n))"
    )
}

/// The address that a debugger shows for [`address_expression`].
///
/// # Errors
/// [`DebugSessionError::Refused`] when the expression cannot be evaluated, else [`DebugSessionError::NotUnderstood`].
pub fn address_of(answer: Answer) -> Result<u64> {
    match answer {
        Answer::Value(text) => text
            .trim()
            .parse()
            .map_err(|_| DebugSessionError::NotUnderstood(last_line(&text))),
        Answer::Refused(text) => Err(DebugSessionError::Refused(last_line(&text))),
    }
}

/// What stands between the marks of an answer.
fn bytes_of(answer: Option<Answer>) -> Result<Vec<u8>> {
    let (text, is_refused) = match answer {
        Some(Answer::Value(text)) => (text, false),
        Some(Answer::Refused(text)) => (text, true),
        None => (String::new(), false),
    };
    let marked = text
        .rsplit_once(MARK)
        .and_then(|(_, rest)| rest.split_once(END_MARK));
    match marked {
        Some((encoded, _)) => base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .map_err(|error| DebugSessionError::NotUnderstood(error.to_string())),
        None if is_refused => Err(DebugSessionError::Refused(last_line(&text))),
        None => Err(DebugSessionError::NotUnderstood(last_line(&text))),
    }
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| DebugSessionError::NotUnderstood(error.to_string()))
}

/// Of a traceback the line that says what happened.
fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or("an empty answer").trim();
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The name comes from another machine: no way out of the folder.
fn local_name(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_python_reads_it() {
        assert_eq!(
            python_text("it's\n\t\"é\" @LINE@ \\ 🐍"),
            r#"'it\'s\n\U00000009"\U000000e9" \x40LINE\x40 \\ \U0001f40d'"#
        );
    }

    #[test]
    fn an_answer_is_found_in_whatever_a_debugger_puts_around_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let capture = DebugSessionCapture::new(folder.path(), Transfer::default(), Purpose::Series)
            .expect("begun");
        assert!(
            matches!(capture.start(), Step::Evaluate(text) if text.contains("names['answer'](names['look_around']"))
        );
        let quoted = Answer::Value("'heldby<e30=>heldby'".to_owned());
        assert_eq!(bytes_of(Some(quoted)).expect("an answer"), b"{}");
        let raised =
            Answer::Refused("Traceback …\nRuntimeError: heldby<e30=>heldby\n\n".to_owned());
        assert_eq!(bytes_of(Some(raised)).expect("an answer"), b"{}");
        let refused = Answer::Refused("Traceback …\nMemoryError: no more\n".to_owned());
        assert_eq!(
            bytes_of(Some(refused)).expect_err("refused").to_string(),
            "the debugger refuses to evaluate: MemoryError: no more"
        );
    }

    #[test]
    fn a_name_from_elsewhere_stays_in_the_folder() {
        assert_eq!(local_name("20261123T1-7.heldby"), "20261123T1-7.heldby");
        assert_eq!(local_name("../../etc/passwd"), "....etcpasswd");
    }
}
