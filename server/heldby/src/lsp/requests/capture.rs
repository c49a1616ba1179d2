//! `heldby/capture`: takes dumps of the programs of debug sessions, and loads them.
//!
//! The client has the debug sessions. All that it does is to evaluate: for each step it is sent `heldby/evaluate` with the session,
//! an expression and perhaps a frame, and answers `{"result": …}`, or `{"error": …}` with what the debugger said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use heldby_capture::{
    Answer, Captured, DebugSessionCapture, DebugSessionError, Purpose, Step, Transfer,
    address_expression, address_of,
};
use heldby_finding::words;
use heldby_heap::Cancel;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::ls_types::{MessageType, NumberOrString, Uri, request::Request};

use super::objects;
use crate::lsp::dump_folders;
use crate::lsp::explanations::cache_folder;
use crate::lsp::loader::{Failure, Order};
use crate::lsp::progress::{self, Steps};
use crate::lsp::session::Session;
use crate::lsp::uris;

/// A debugger that does not answer for so long is told of; one that does not for longer is given up, unless the client is more patient.
const SLOW: Duration = Duration::from_secs(5);
pub(super) const SILENT_SECONDS: u64 = 60;
/// How soon it is seen that somebody cancelled.
const LOOK: Duration = Duration::from_millis(100);
/// Nobody waits longer for a dump that is being taken.
const MOST_PATIENCE: Duration = Duration::from_secs(30 * 60);

/// What is wanted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CaptureParams {
    /// One dump of each.
    sessions: Vec<DebugSession>,
    /// An object that is asked about: its address is part of the answer.
    #[serde(default)]
    object: Option<ObjectAsked>,
    /// The dumps come through the debugger even where the program could write them.
    #[serde(default)]
    always_transfer: bool,
    /// A debugger that does not answer for so long is given up.
    #[serde(default)]
    timeout_seconds: Option<u64>,
    #[serde(default)]
    work_done_token: Option<NumberOrString>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DebugSession {
    /// The client's word for it.
    pub(super) id: String,
    /// What the user calls it.
    pub(super) name: String,
    /// The workspace folder that it was started for.
    #[serde(default)]
    folder: Option<Uri>,
    /// Where the debugger was told that the sources lie.
    #[serde(default)]
    path_mappings: Vec<PathMapping>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PathMapping {
    #[serde(default)]
    local_root: String,
    #[serde(default)]
    remote_root: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectAsked {
    session: String,
    frame: i64,
    expression: String,
}

/// What was taken.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CaptureResult {
    dumps: Vec<DumpTaken>,
    /// In sentences, with what to do next.
    problems: Vec<ProblemMet>,
    /// The address of the object that was asked about, if the dump has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DumpTaken {
    session: String,
    uri: String,
    pid: u64,
    series: String,
    objects: u64,
    /// It came through the debugger.
    was_fetched: bool,
    /// What the dump itself says is missing in it.
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ProblemMet {
    /// Of which session, by its name.
    session: String,
    message: String,
}

/// Asks the client to have a debugger evaluate.
enum Evaluate {}

impl Request for Evaluate {
    type Params = EvaluateParams;
    type Result = EvaluateResult;
    const METHOD: &'static str = "heldby/evaluate";
}

#[derive(Debug, Serialize, Deserialize)]
struct EvaluateParams {
    session: String,
    expression: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<i64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct EvaluateResult {
    result: Option<String>,
    error: Option<String>,
    /// There is no such session any more.
    gone: bool,
}

/// Why there is no dump of a session.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaptureError {
    #[error(transparent)]
    Debugger(#[from] DebugSessionError),
    #[error("the program ended before its dump was whole: start it again, and take the dump then")]
    Gone,
    #[error(
        "the debugger did not answer for {0} s: the program may be busy in C code, or have been stopped from outside; take the snapshot \
         again when it goes on, or have `heldby.snapshots.timeout` give it more time"
    )]
    Silent(u64),
    #[error("the dump was not whole after {} minutes", MOST_PATIENCE.as_secs() / 60)]
    Endless,
    #[error("the client cannot evaluate: {0}")]
    Client(String),
    #[error("cancelled")]
    Cancelled,
    #[error(
        "the program that the finding is about is not being debugged: start it again, and take its snapshots"
    )]
    NotDebugged,
    #[error("heldby failed inside; its log says where")]
    Inside,
    #[error("`{0}` is held by nothing: its value was made for this answer")]
    Unheld(String),
    #[error(
        "`{expression}` cannot be evaluated there: {source}; choose a name that the frame knows"
    )]
    Expression {
        expression: String,
        source: DebugSessionError,
    },
}

/// How a debugger is asked.
#[derive(Clone)]
pub(super) struct Asking {
    /// Whoever asked for the snapshot is told here what it waits for.
    pub(super) steps: Steps,
    pub(super) timeout_seconds: u64,
    /// What the program does meanwhile, in words.
    pub(super) doing: &'static str,
}

pub(super) type Captures<T> = std::result::Result<T, CaptureError>;

/// Ends the work when nobody waits for its result any more.
pub(super) struct CancelOnDrop(pub(super) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

pub(crate) async fn capture(
    session: &Arc<Session>,
    params: CaptureParams,
) -> Result<CaptureResult> {
    if params.sessions.is_empty() {
        return Err(Error::invalid_params(
            "no debug session is named: start one, then take its dump",
        ));
    }
    let cancel = Cancel::new();
    let _stop = CancelOnDrop(cancel.clone());
    // A request that is cancelled ends at once; what it began in the program must still come to its end.
    let work = tokio::spawn(capture_all(Arc::clone(session), params, cancel));
    work.await.map_err(|failure| {
        tracing::error!("taking a snapshot failed: {failure}");
        Error {
            message: Failure::Inside.to_string().into(),
            ..Error::internal_error()
        }
    })?
}

async fn capture_all(
    session: Arc<Session>,
    params: CaptureParams,
    cancel: Cancel,
) -> Result<CaptureResult> {
    let session = &session;
    let title = "heldby: taking a heap snapshot".to_owned();
    let told = progress::begin(session, params.work_done_token.clone(), &cancel, title).await;
    let taken = take_all(session, &params, &cancel, told.steps).await;
    if let Some(told) = told.told {
        // It does not fail.
        let _ = told.await;
    }
    let (captured, address, mut problems) = taken?;
    let dumps = load(session, captured, &mut problems, &cancel).await?;
    let object = match address {
        Some(address) => found(session, &params, &dumps, address, &mut problems).await,
        None => None,
    };
    for problem in &problems {
        let message = format!("{}: {}", problem.session, problem.message);
        session
            .client
            .log_message(MessageType::WARNING, message)
            .await;
    }
    Ok(CaptureResult {
        dumps,
        problems,
        object,
    })
}

type Taken = (Vec<(String, Captured)>, Option<u64>, Vec<ProblemMet>);

/// One dump of each session, one after the other; and the address of the object, found in the moment of its session's dump.
async fn take_all(
    session: &Arc<Session>,
    params: &CaptureParams,
    cancel: &Cancel,
    steps: Steps,
) -> Result<Taken> {
    let mut captured = Vec::new();
    let mut problems = Vec::new();
    let mut address = None;
    let transfer = if params.always_transfer {
        Transfer::Always
    } else {
        Transfer::WhereNeeded
    };
    let asking = Asking {
        steps,
        timeout_seconds: params.timeout_seconds.unwrap_or(SILENT_SECONDS),
        doing: "the program writes its heap",
    };
    for debugged in &params.sessions {
        let asked = params.object.as_ref();
        let asked = asked.filter(|object| object.session == debugged.id);
        let outcome = async {
            if let Some(object) = asked {
                address = Some(address_in(session, object, &asking).await?);
            }
            let folder = folder_of(session, debugged);
            let purpose = if asked.is_some() {
                Purpose::Question
            } else {
                Purpose::Series
            };
            let capture = DebugSessionCapture::new(&folder, transfer, purpose)?;
            take(session, debugged, capture, cancel, &asking).await
        };
        match outcome.await {
            Ok(dump) => {
                learn_mappings(session, &debugged.path_mappings);
                captured.push((debugged.name.clone(), dump));
            }
            Err(CaptureError::Cancelled) => {
                for (_, dump) in &captured {
                    remove(&dump.path).await;
                }
                return Err(Error::request_cancelled());
            }
            Err(CaptureError::Debugger(DebugSessionError::Unheld)) => {
                let expression = asked.map(|object| object.expression.clone());
                let error = CaptureError::Unheld(expression.unwrap_or_default());
                problems.push(ProblemMet {
                    session: debugged.name.clone(),
                    message: error.to_string(),
                });
            }
            Err(error) => problems.push(ProblemMet {
                session: debugged.name.clone(),
                message: error.to_string(),
            }),
        }
    }
    Ok((captured, address, problems))
}

/// Where the dumps of a session go: the folder `.heldby` of its workspace folder, else of this user's cache.
pub(super) fn folder_of(session: &Session, debugged: &DebugSession) -> PathBuf {
    let of_session = debugged.folder.as_ref().and_then(uris::path_of);
    let configuration = session.configuration();
    let workspace = of_session.or_else(|| {
        configuration
            .folders
            .first()
            .map(|first| first.path.clone())
    });
    workspace.map_or_else(
        || {
            let cache = cache_folder().unwrap_or_else(std::env::temp_dir);
            cache.join("heldby").join("dumps")
        },
        |folder| folder.join(dump_folders::FOLDER),
    )
}

/// Takes a dump. When that is cancelled after the program has begun to write, the dump is removed once it is whole.
pub(super) async fn take(
    session: &Arc<Session>,
    debugged: &DebugSession,
    capture: DebugSessionCapture,
    cancel: &Cancel,
    asking: &Asking,
) -> Captures<Captured> {
    let work = follow(
        Arc::clone(session),
        debugged.clone(),
        capture,
        cancel.clone(),
        asking.clone(),
    );
    let mut work = tokio::spawn(work);
    loop {
        match tokio::time::timeout(LOOK, &mut work).await {
            Ok(Ok(captured)) => return captured,
            Ok(Err(failure)) => {
                tracing::error!("taking a snapshot failed: {failure}");
                return Err(CaptureError::Inside);
            }
            Err(_) if cancel.check().is_err() => {
                tokio::spawn(async move {
                    if let Ok(Ok(captured)) = work.await {
                        remove(&captured.path).await;
                    }
                });
                return Err(CaptureError::Cancelled);
            }
            Err(_) => {}
        }
    }
}

/// Follows the steps of a capture to their end: until the program has begun to write, only while nobody cancels.
async fn follow(
    session: Arc<Session>,
    debugged: DebugSession,
    mut capture: DebugSessionCapture,
    cancel: Cancel,
    asking: Asking,
) -> Captures<Captured> {
    let outcome = follow_steps(&session, &debugged, &mut capture, &cancel, &asking).await;
    if outcome.is_err()
        && let Some(expression) = capture.abandon()
    {
        // Where the program cannot be asked any more its folder for temporary files is swept some day.
        let _ = evaluate(&session, &debugged.id, expression, None, &asking).await;
    }
    outcome
}

async fn follow_steps(
    session: &Arc<Session>,
    debugged: &DebugSession,
    capture: &mut DebugSessionCapture,
    cancel: &Cancel,
    asking: &Asking,
) -> Captures<Captured> {
    let began = Instant::now();
    let mut questions = 0;
    let mut step = capture.start();
    loop {
        if began.elapsed() > MOST_PATIENCE {
            return Err(CaptureError::Endless);
        }
        step = match step {
            Step::Evaluate(expression) => {
                let fetched = capture.fetched_bytes();
                // The first one only looks around.
                if (questions < 2 || fetched.is_some()) && cancel.check().is_err() {
                    return Err(CaptureError::Cancelled);
                }
                if let Some((fetched, all)) = fetched {
                    let (fetched, all) = (words::bytes(fetched), words::bytes(all));
                    let message = format!("{}: {fetched} of {all} are here", debugged.name);
                    tell(&asking.steps, message);
                }
                questions += 1;
                let answer = evaluate(session, &debugged.id, expression, None, asking).await?;
                // It writes what came.
                tokio::task::block_in_place(|| capture.next(Some(answer)))?
            }
            Step::Wait(time) => {
                let message = format!("{}: {}", debugged.name, asking.doing);
                tell(&asking.steps, message);
                tokio::time::sleep(time).await;
                capture.next(None)?
            }
            Step::Done(captured) => return Ok(captured),
        };
    }
}

fn tell(steps: &Steps, step: String) {
    // Nobody listens to the progress of a client that has none.
    let _ = steps.send(step);
}

async fn remove(path: &Path) {
    let path = path.to_owned();
    // It is a dump that nobody asked for in the end; if it cannot be removed the user can.
    let _ = tokio::task::spawn_blocking(move || std::fs::remove_file(path)).await;
}

/// Has the client evaluate in a session.
async fn evaluate(
    session: &Arc<Session>,
    id: &str,
    expression: String,
    frame: Option<i64>,
    asking: &Asking,
) -> Captures<Answer> {
    let asked = session.client.send_request::<Evaluate>(EvaluateParams {
        session: id.to_owned(),
        expression,
        frame,
    });
    tokio::pin!(asked);
    let began = Instant::now();
    let silent = Duration::from_secs(asking.timeout_seconds);
    let mut was_told = false;
    let answer = loop {
        match tokio::time::timeout(LOOK, &mut asked).await {
            Ok(answer) => break answer,
            Err(_) if began.elapsed() > silent => {
                return Err(CaptureError::Silent(asking.timeout_seconds));
            }
            Err(_) if began.elapsed() > SLOW && !was_told => {
                was_told = true;
                tell(
                    &asking.steps,
                    "the program has not answered yet: is it busy in C code?".to_owned(),
                );
            }
            Err(_) => {}
        }
    };
    match answer {
        Ok(EvaluateResult { gone: true, .. }) => Err(CaptureError::Gone),
        Ok(EvaluateResult {
            error: Some(error), ..
        }) => Ok(Answer::Refused(error)),
        Ok(EvaluateResult { result, .. }) => Ok(Answer::Value(result.unwrap_or_default())),
        Err(error) => Err(CaptureError::Client(error.message.into_owned())),
    }
}

async fn address_in(
    session: &Arc<Session>,
    object: &ObjectAsked,
    asking: &Asking,
) -> Captures<u64> {
    let expression = address_expression(&object.expression);
    let frame = Some(object.frame);
    let answer = evaluate(session, &object.session, expression, frame, asking).await?;
    address_of(answer).map_err(|source| CaptureError::Expression {
        expression: object.expression.clone(),
        source,
    })
}

/// The debugger's path mappings hold for the sources of its dumps.
fn learn_mappings(session: &Session, mappings: &[PathMapping]) {
    let known = session.configuration();
    let mut learned: Vec<(String, String)> = mappings
        .iter()
        .filter(|mapping| !mapping.local_root.is_empty() && !mapping.remote_root.is_empty())
        .map(|mapping| (mapping.remote_root.clone(), mapping.local_root.clone()))
        .collect();
    // The newest come first: another container may have another folder at the same place.
    let older = known.debugged.iter().filter(|old| !learned.contains(old));
    let older: Vec<_> = older.cloned().collect();
    learned.extend(older);
    if learned != known.debugged {
        let mut configuration = (*known).clone();
        configuration.debugged = learned;
        session.configure(configuration);
    }
}

/// Loads the dumps, and removes those that are too old to be kept.
async fn load(
    session: &Arc<Session>,
    captured: Vec<(String, Captured)>,
    problems: &mut Vec<ProblemMet>,
    cancel: &Cancel,
) -> Result<Vec<DumpTaken>> {
    if captured.is_empty() {
        return Ok(Vec::new());
    }
    let paths: Vec<PathBuf> = captured.iter().map(|(_, dump)| dump.path.clone()).collect();
    session.take_care_of(&paths);
    let (done, loaded) = oneshot::channel();
    let order = Order::Load {
        paths: paths.clone(),
        token: None,
        cancel: cancel.clone(),
        done: Some(done),
    };
    if session.orders.send(order).is_err() {
        return Err(Error::internal_error());
    }
    let loaded = match loaded.await {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(Failure::Cancelled)) => return Err(Error::request_cancelled()),
        Ok(Err(Failure::Inside)) | Err(_) => {
            return Err(Error {
                message: Failure::Inside.to_string().into(),
                ..Error::internal_error()
            });
        }
    };
    let folders: BTreeSet<PathBuf> = paths
        .iter()
        .filter_map(|path| Some(path.parent()?.to_owned()))
        .collect();
    let pids: Vec<u64> = captured.iter().map(|(_, dump)| dump.pid).collect();
    // The watched folder tells what went.
    let _ = tokio::task::spawn_blocking(move || {
        for folder in folders {
            dump_folders::keep_newest(&folder, &pids);
        }
    })
    .await;
    let mut dumps = Vec::new();
    for ((name, dump), loaded) in captured.into_iter().zip(loaded) {
        match loaded.outcome {
            Ok(read) => {
                let uri = uris::uri_of(&dump.path);
                dumps.push(DumpTaken {
                    session: name,
                    uri: uri.map(|uri| uri.as_str().to_owned()).unwrap_or_default(),
                    pid: dump.pid,
                    series: read.series,
                    objects: read.objects,
                    was_fetched: dump.was_fetched,
                    notes: read.problems,
                });
            }
            Err(reason) => problems.push(ProblemMet {
                session: name,
                message: format!("{} cannot be read: {reason}", dump.path.display()),
            }),
        }
    }
    Ok(dumps)
}

/// Shows the series of the session whose object was asked about; the object's address if it is there.
async fn found(
    session: &Arc<Session>,
    params: &CaptureParams,
    dumps: &[DumpTaken],
    address: u64,
    problems: &mut Vec<ProblemMet>,
) -> Option<String> {
    let asked = params.object.as_ref()?;
    let of = params
        .sessions
        .iter()
        .find(|debugged| debugged.id == asked.session)?;
    let dump = dumps.iter().find(|dump| dump.session == of.name)?;
    if session.view().is_none_or(|view| view.id != dump.series) {
        let (done, picked) = oneshot::channel();
        let id = dump.series.clone();
        session.orders.send(Order::Pick { id, done }).ok()?;
        picked.await.ok()?;
    }
    let view = session.view()?;
    let heap = view.asked.as_ref()?.heap();
    if objects::object_at(heap, address).is_some() {
        return Some(format!("{address:#x}"));
    }
    problems.push(ProblemMet {
        session: of.name.clone(),
        message: format!(
            "`{}` is not in the dump: it went while the dump was begun; ask again",
            asked.expression
        ),
    });
    None
}
