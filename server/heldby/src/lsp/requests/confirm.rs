//! `heldby/confirm`: has a program that is being debugged count how often the lines of a finding run. `heldby/trace`: has it note from now
//! on where its containers grow.
//!
//! Both go the way of `heldby/capture`: the client evaluates.

use std::sync::Arc;
use std::time::Duration;

use heldby_capture::{
    CountedLines, DebugSessionCapture, DebugSessionError, Purpose, Trace, Transfer,
};
use heldby_heap::Cancel;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::ls_types::NumberOrString;

use super::capture::{
    Asking, CancelOnDrop, CaptureError, Captures, DebugSession, SILENT_SECONDS, folder_of, take,
};
use crate::counting;
use crate::lsp::library::CountedPlace;
use crate::lsp::loader::Order;
use crate::lsp::progress;
use crate::lsp::session::Session;

/// A client that wants no other counts for so long.
const SECONDS: f64 = 5.0;
const MOST_SECONDS: f64 = 600.0;

/// What is to be counted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfirmParams {
    /// One of those that are shown.
    finding: String,
    /// One of them is of the program that the finding is about.
    sessions: Vec<DebugSession>,
    #[serde(default)]
    seconds: Option<f64>,
    #[serde(default)]
    always_transfer: bool,
    #[serde(default)]
    timeout_seconds: Option<u64>,
    #[serde(default)]
    work_done_token: Option<NumberOrString>,
}

/// What was counted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfirmResult {
    /// Of each store site of the finding, in the order in which they were shown; null where it is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<Option<u64>>,
    /// Why nothing was counted, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What is to be noted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TraceParams {
    session: DebugSession,
    /// All objects, not containers only.
    #[serde(default)]
    all: bool,
    #[serde(default)]
    always_transfer: bool,
    #[serde(default)]
    timeout_seconds: Option<u64>,
}

/// Why nothing is noted, in a sentence.
#[derive(Debug, Serialize)]
pub(crate) struct TraceResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

fn transfer(always: bool) -> Transfer {
    if always {
        Transfer::Always
    } else {
        Transfer::WhereNeeded
    }
}

pub(crate) async fn confirm(
    session: &Arc<Session>,
    params: ConfirmParams,
) -> Result<ConfirmResult> {
    let view = session.view();
    let shown = view.as_ref().and_then(|view| {
        let mut findings = view.findings.iter();
        findings.find(|shown| shown.finding.id == params.finding)
    });
    let (Some(view), Some(shown)) = (&view, shown) else {
        return Err(Error::invalid_params("there is no such finding any more"));
    };
    let places = counting::lines_of(&shown.finding);
    let lines: Vec<CountedLines> = places.iter().flatten().cloned().collect();
    if lines.is_empty() {
        return Ok(ConfirmResult {
            runs: Vec::new(),
            problem: Some(
                "no line is known that stores there, or its file was changed since the program began"
                    .to_owned(),
            ),
        });
    }
    let cancel = Cancel::new();
    let _stop = CancelOnDrop(cancel.clone());
    let title = "heldby: counting how often lines run".to_owned();
    let told = progress::begin(session, params.work_done_token.clone(), &cancel, title).await;
    let asking = Asking {
        steps: told.steps,
        timeout_seconds: params.timeout_seconds.unwrap_or(SILENT_SECONDS),
        doing: "lines are counted",
    };
    let seconds = params.seconds.unwrap_or(SECONDS).clamp(0.1, MOST_SECONDS);
    let purpose = Purpose::Count {
        lines: lines.clone(),
        time: Duration::from_secs_f64(seconds),
        pid: view.pid,
    };
    let counted = count(session, &params, purpose, &lines, &cancel, &asking).await;
    drop(asking);
    if let Some(told) = told.told {
        // It does not fail.
        let _ = told.await;
    }
    let counts = match counted {
        Ok(counts) => counts,
        Err(CaptureError::Cancelled) => return Err(Error::request_cancelled()),
        Err(error) => {
            return Ok(ConfirmResult {
                runs: Vec::new(),
                problem: Some(error.to_string()),
            });
        }
    };
    let runs = counting::runs_of(&places, &counts);
    let counted = lines.into_iter().zip(counts).filter_map(|(lines, runs)| {
        Some(CountedPlace {
            file: lines.file,
            first: lines.first,
            last: lines.last,
            runs: runs?,
        })
    });
    let (done, shown) = oneshot::channel();
    let order = Order::Counted {
        series: view.id.clone(),
        places: counted.collect(),
        done,
    };
    if session.orders.send(order).is_err() || shown.await.is_err() {
        return Err(Error::internal_error());
    }
    Ok(ConfirmResult {
        runs,
        problem: None,
    })
}

/// Counts in the session that is of the finding's process.
async fn count(
    session: &Arc<Session>,
    params: &ConfirmParams,
    purpose: Purpose,
    lines: &[CountedLines],
    cancel: &Cancel,
    asking: &Asking,
) -> Captures<Vec<Option<u64>>> {
    let mut last = None;
    for debugged in &params.sessions {
        let folder = folder_of(session, debugged);
        let transfer = transfer(params.always_transfer);
        let capture = DebugSessionCapture::new(&folder, transfer, purpose.clone())?;
        match take(session, debugged, capture, cancel, asking).await {
            Ok(captured) => return Ok(captured.counts(lines)?.runs),
            Err(CaptureError::Cancelled) => return Err(CaptureError::Cancelled),
            Err(error @ CaptureError::Debugger(DebugSessionError::OtherProcess(_))) => {
                last.get_or_insert(error);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(CaptureError::Debugger(DebugSessionError::OtherProcess(_))) | None => {
            CaptureError::NotDebugged
        }
        Some(error) => error,
    })
}

pub(crate) async fn trace(session: &Arc<Session>, params: TraceParams) -> Result<TraceResult> {
    // Nobody looks at its progress.
    let (steps, _) = tokio::sync::mpsc::unbounded_channel();
    let asking = Asking {
        steps,
        timeout_seconds: params.timeout_seconds.unwrap_or(SILENT_SECONDS),
        doing: "",
    };
    let what = if params.all {
        Trace::All
    } else {
        Trace::Containers
    };
    let traced = async {
        let folder = folder_of(session, &params.session);
        let transfer = transfer(params.always_transfer);
        let capture = DebugSessionCapture::new(&folder, transfer, Purpose::Trace(what))?;
        take(session, &params.session, capture, &Cancel::new(), &asking).await
    };
    Ok(TraceResult {
        problem: traced
            .await
            .err()
            .map(|error: CaptureError| error.to_string()),
    })
}
