//! `workspace/executeCommand`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use heldby_finding::words;
use heldby_heap::Cancel;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::ls_types::{ExecuteCommandParams, Location, MessageType, ShowDocumentParams, Uri};

use super::{Moment, objects};
use crate::lsp::loader::{Failure, Order};
use crate::lsp::session::Session;
use crate::lsp::shown::ShownFinding;
use crate::lsp::uris;
use crate::settings;

pub(crate) const LOAD: &str = "heldby.load";
pub(crate) const UNLOAD: &str = "heldby.unload";
pub(crate) const DELETE: &str = "heldby.delete";
pub(crate) const SHOW_SERIES: &str = "heldby.showSeries";
pub(crate) const GO_TO_HOLDER: &str = "heldby.goToHolder";
pub(crate) const GO_TO_STORE: &str = "heldby.goToStore";
pub(crate) const SHOW_REFERRERS: &str = "heldby.showReferrers";
pub(crate) const IGNORE: &str = "heldby.ignore";

/// All of them.
pub(crate) const COMMANDS: [&str; 8] = [
    LOAD,
    UNLOAD,
    DELETE,
    SHOW_SERIES,
    GO_TO_HOLDER,
    GO_TO_STORE,
    SHOW_REFERRERS,
    IGNORE,
];

/// A client that does not answer is not waited for longer.
const ANSWER: Duration = Duration::from_secs(10);

pub(crate) async fn execute(
    session: &Arc<Session>,
    params: ExecuteCommandParams,
) -> Result<Option<Value>> {
    let arguments = params.arguments;
    match params.command.as_str() {
        LOAD => {
            let paths = paths(&arguments)?;
            if paths.is_empty() {
                return Err(Error::invalid_params(
                    "heldby.load takes the URIs of one or several dumps",
                ));
            }
            let token = params.work_done_progress_params.work_done_token;
            load(session, paths, token).await.map(Some)
        }
        UNLOAD => unload(session, paths(&arguments)?).await.map(Some),
        DELETE => delete(session, paths(&arguments)?).await.map(Some),
        SHOW_SERIES => {
            let id = arguments.first().and_then(|argument| {
                argument
                    .as_str()
                    .or_else(|| argument.get("series")?.as_str())
            });
            let id = id.ok_or_else(|| Error::invalid_params("which series is to be shown"))?;
            pick(session, id.to_owned()).await.map(Some)
        }
        GO_TO_HOLDER | GO_TO_STORE => {
            let location = target(session, &params.command, arguments.first())?;
            match location {
                Some(location) => Ok(show(session, location)),
                None => {
                    let message = "heldby: the place is not in the source of today";
                    say(session, MessageType::INFO, message.to_owned());
                    Ok(None)
                }
            }
        }
        SHOW_REFERRERS => show_referrers(session, arguments.first()),
        IGNORE => ignore(session, arguments.first()).await,
        other => Err(Error::invalid_params(format!(
            "{other} is no command of heldby"
        ))),
    }
}

/// URIs or paths, one after the other or in lists.
fn paths(arguments: &[Value]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for argument in arguments {
        match argument {
            Value::String(text) => match uris::path_of_text(text) {
                Some(path) => paths.push(path),
                None => {
                    return Err(Error::invalid_params(format!(
                        "{text} is no file of this machine: dumps are named by file: URIs"
                    )));
                }
            },
            Value::Array(inner) => paths.extend(self::paths(inner)?),
            Value::Null => {}
            _ => return Err(Error::invalid_params("dumps are named by their URIs")),
        }
    }
    Ok(paths)
}

/// Stops work whose answer nobody waits for any more.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn load(
    session: &Arc<Session>,
    paths: Vec<PathBuf>,
    token: Option<tower_lsp::ls_types::NumberOrString>,
) -> Result<Value> {
    let (done, loaded) = oneshot::channel();
    let cancel = Cancel::new();
    let _stop = CancelOnDrop(cancel.clone());
    order(
        session,
        Order::Load {
            paths,
            token,
            cancel,
            done: Some(done),
        },
    )?;
    let loaded = answered(loaded.await)?;
    let uri = |path: &PathBuf| uris::uri_of(path).map(|uri| uri.as_str().to_owned());
    let mut dumps = Vec::new();
    let mut problems = Vec::new();
    for dump in &loaded {
        match &dump.outcome {
            Ok(read) => {
                dumps.push(json!({
                    "uri": uri(&dump.path),
                    "pid": read.pid,
                    "series": read.series,
                    "objects": read.objects,
                }));
                problems.extend(
                    read.problems
                        .iter()
                        .map(|problem| json!({"uri": uri(&dump.path), "message": problem})),
                );
            }
            Err(reason) => {
                problems.push(json!({"uri": uri(&dump.path), "message": reason}));
            }
        }
    }
    if dumps.is_empty() {
        let reasons: Vec<String> = loaded
            .iter()
            .filter_map(|dump| {
                let reason = dump.outcome.as_ref().err()?;
                Some(format!("{}: {reason}", dump.path.display()))
            })
            .collect();
        say(
            session,
            MessageType::ERROR,
            format!("heldby: {}", reasons.join("; ")),
        );
    }
    let findings = session.view().map_or(0, |view| view.findings.len());
    Ok(json!({"loaded": dumps, "problems": problems, "findings": findings}))
}

async fn unload(session: &Arc<Session>, paths: Vec<PathBuf>) -> Result<Value> {
    let (done, unloaded) = oneshot::channel();
    order(session, Order::Unload { paths, done })?;
    let count = answered(unloaded.await)?;
    Ok(json!({"unloaded": count}))
}

/// Forgets dumps that are loaded, and removes their files.
async fn delete(session: &Arc<Session>, paths: Vec<PathBuf>) -> Result<Value> {
    if paths.is_empty() {
        return Err(Error::invalid_params(
            "heldby.delete takes the URIs of one or several dumps",
        ));
    }
    let shown = session.shown();
    let is_loaded = |path: &PathBuf| {
        let mut dumps = shown.series.iter().flat_map(|view| &view.dumps);
        dumps.any(|dump| dump.path == *path)
            || shown.problems.iter().any(|(known, _)| known == path)
    };
    if let Some(stranger) = paths.iter().find(|path| !is_loaded(path)) {
        return Err(Error::invalid_params(format!(
            "{} is no dump that is loaded: nothing was deleted",
            stranger.display()
        )));
    }
    let unloaded = unload(session, paths.clone()).await?;
    let removed = tokio::task::spawn_blocking(move || {
        let failures = paths.iter().filter_map(|path| {
            let error = std::fs::remove_file(path).err()?;
            (error.kind() != std::io::ErrorKind::NotFound)
                .then(|| format!("{} cannot be deleted: {error}", path.display()))
        });
        failures.collect::<Vec<String>>()
    });
    let failures = removed.await.map_err(|_| Error::internal_error())?;
    if !failures.is_empty() {
        return Err(Error {
            message: failures.join("; ").into(),
            ..Error::internal_error()
        });
    }
    Ok(unloaded)
}

async fn pick(session: &Arc<Session>, id: String) -> Result<Value> {
    let (done, picked) = oneshot::channel();
    order(session, Order::Pick { id, done })?;
    match picked.await {
        Ok(true) => Ok(json!({"shown": true})),
        _ => Err(Error::invalid_params("no such series is loaded")),
    }
}

fn order(session: &Session, order: Order) -> Result<()> {
    session
        .orders
        .send(order)
        .map_err(|_| Error::internal_error())
}

fn answered<T>(
    answer: std::result::Result<std::result::Result<T, Failure>, oneshot::error::RecvError>,
) -> Result<T> {
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Failure::Cancelled)) => Err(Error::request_cancelled()),
        Ok(Err(Failure::Inside)) | Err(_) => Err(Error {
            message: Failure::Inside.to_string().into(),
            ..Error::internal_error()
        }),
    }
}

/// The finding that an argument names.
fn finding<'a>(moment: &'a Moment<'_>, argument: Option<&Value>) -> Result<&'a ShownFinding> {
    let id = argument
        .and_then(|argument| {
            argument
                .as_str()
                .or_else(|| argument.get("finding")?.as_str())
        })
        .ok_or_else(|| Error::invalid_params("which finding is meant"))?;
    moment
        .view
        .findings
        .iter()
        .find(|shown| shown.finding.id == id)
        .ok_or_else(|| {
            Error::invalid_params("the finding is not there any more: another dump is shown")
        })
}

fn no_dump() -> Error {
    Error::invalid_params("no dump is loaded: `heldby.load` loads one")
}

fn target(session: &Session, command: &str, argument: Option<&Value>) -> Result<Option<Location>> {
    let moment = Moment::now(session).ok_or_else(no_dump)?;
    let finding = &finding(&moment, argument)?.finding;
    if command == GO_TO_STORE {
        let mut stores = finding.stores.iter();
        let located = stores.find_map(|store| moment.locate(&store.place));
        return Ok(located.map(|located| located.location()));
    }
    let wanted = argument
        .and_then(|argument| argument.get("holder"))
        .and_then(Value::as_str)
        .unwrap_or(&finding.holder.path);
    let holder = finding.holders.iter().find(|holder| holder.path == wanted);
    let definition = holder.and_then(|holder| holder.definition.as_ref());
    let located = definition.and_then(|definition| moment.locate(definition));
    Ok(located.map(|located| located.location()))
}

/// Has the client show a place; without that ability the place is the answer, and the client's recipe opens it.
fn show(session: &Arc<Session>, location: Location) -> Option<Value> {
    if !session.abilities().show_document {
        return serde_json::to_value(location).ok();
    }
    show_document(session, location.uri.clone(), Some(location));
    None
}

fn show_document(session: &Arc<Session>, uri: Uri, location: Option<Location>) {
    let session = Arc::clone(session);
    tokio::spawn(async move {
        let shown = session.client.show_document(ShowDocumentParams {
            uri,
            external: None,
            take_focus: Some(true),
            selection: location.map(|location| location.range),
        });
        match tokio::time::timeout(ANSWER, shown).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => tracing::warn!("the client did not show the document"),
            Ok(Err(error)) => tracing::warn!("the client did not show the document: {error}"),
            Err(_) => tracing::warn!("the client did not answer whether it shows the document"),
        }
    });
}

fn say(session: &Arc<Session>, kind: MessageType, message: String) {
    let session = Arc::clone(session);
    tokio::spawn(async move { session.client.show_message(kind, message).await });
}

/// Opens the referrers of what a finding holds, or of a class, as a document.
fn show_referrers(session: &Arc<Session>, argument: Option<&Value>) -> Result<Option<Value>> {
    let moment = Moment::now(session).ok_or_else(no_dump)?;
    let of_type = argument.and_then(|argument| argument.get("type")?.as_str());
    let about = match of_type {
        Some(name) => objects::About::Type(name),
        None => objects::About::Finding(finding(&moment, argument)?),
    };
    let uri = objects::document_of(session, &moment.view, about).map_err(|error| Error {
        message: format!("the referrers cannot be shown: {error:#}").into(),
        ..Error::internal_error()
    })?;
    if session.abilities().show_document {
        show_document(session, uri, None);
        return Ok(None);
    }
    let location = Location {
        uri,
        range: Default::default(),
    };
    Ok(serde_json::to_value(location).ok())
}

/// Writes into the project's settings that a holder is not to be told of.
async fn ignore(session: &Arc<Session>, argument: Option<&Value>) -> Result<Option<Value>> {
    let (holder, file) = {
        let moment = Moment::now(session).ok_or_else(no_dump)?;
        let finding = &finding(&moment, argument)?.finding;
        let place = finding
            .stores
            .first()
            .map(|store| &store.place)
            .or(finding.holder.definition.as_ref());
        (
            finding.holder.path.clone(),
            place.map(|place| PathBuf::from(&place.file)),
        )
    };
    let folder = session
        .settings_folder(file.as_deref())
        .ok_or_else(|| Error::invalid_params("there is no folder to write the settings into"))?;
    let written = tokio::task::spawn_blocking({
        let holder = holder.clone();
        move || settings::ignore(&folder, &holder)
    });
    let path = match written.await {
        Ok(Ok(path)) => path,
        Ok(Err(error)) => {
            return Err(Error {
                message: format!("{} cannot be ignored: {error:#}", holder).into(),
                ..Error::internal_error()
            });
        }
        Err(_) => return Err(Error::internal_error()),
    };
    crate::lsp::settings_of(session).await;
    session.publish_now().await;
    say(
        session,
        MessageType::INFO,
        format!(
            "heldby: {holder} is ignored from now on: {} says so",
            path.display()
        ),
    );
    Ok(uris::uri_of(&path).map(|uri| json!({"uri": uri.as_str(), "ignored": holder})))
}

/// What a lens or a hint says of a finding: `12 bytes objects, 48.0 MiB: +4 a dump`.
pub(crate) fn short(shown: &ShownFinding) -> String {
    let held = words::held(&shown.finding);
    match words::gain(&shown.finding) {
        Some(gain) => format!("holds {held}: {gain}"),
        None => format!("holds {held}"),
    }
}
