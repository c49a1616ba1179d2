//! Work that takes its time tells the client how far it is, and can be cancelled there.

use std::sync::Arc;
use std::time::Duration;

use heldby_heap::Cancel;
use tokio::sync::mpsc;
use tower_lsp::ls_types::{
    NumberOrString, ProgressParams, ProgressParamsValue, WorkDoneProgress, WorkDoneProgressBegin,
    WorkDoneProgressEnd, WorkDoneProgressReport, notification,
};

use super::session::Session;

/// A client that does not answer is not waited for longer.
const ANSWER: Duration = Duration::from_secs(2);

/// Where steps are told. The client's progress ends when the last of these is dropped.
pub(crate) type Steps = mpsc::UnboundedSender<String>;

/// Progress that was begun.
pub(crate) struct Progress {
    pub(crate) steps: Steps,
    /// Ends when the client was told of the last step; `None` for a client that shows no progress.
    pub(crate) told: Option<tokio::task::JoinHandle<()>>,
}

/// Begins to tell: under the client's token, else, where the client can show it, under one of our own.
pub(crate) async fn begin(
    session: &Arc<Session>,
    token: Option<NumberOrString>,
    cancel: &Cancel,
    title: String,
) -> Progress {
    let (steps, mut told) = mpsc::unbounded_channel::<String>();
    let token = match token {
        Some(token) => Some(token),
        None if session.abilities().progress => {
            let token = session.new_token();
            // The client may cancel as soon as it knows the token.
            session.remember_token(token.clone(), cancel.clone());
            let created = session.client.create_work_done_progress(token.clone());
            match tokio::time::timeout(ANSWER, created).await {
                Ok(Ok(())) => Some(token),
                _ => None,
            }
        }
        None => None,
    };
    let Some(token) = token else {
        return Progress { steps, told: None };
    };
    session.remember_token(token.clone(), cancel.clone());
    let session = Arc::clone(session);
    let task = tokio::spawn(async move {
        let send = |value| {
            let value = ProgressParamsValue::WorkDone(value);
            let token = token.clone();
            session
                .client
                .send_notification::<notification::Progress>(ProgressParams { token, value })
        };
        send(WorkDoneProgress::Begin(WorkDoneProgressBegin {
            title,
            cancellable: Some(true),
            message: None,
            percentage: None,
        }))
        .await;
        while let Some(step) = told.recv().await {
            send(WorkDoneProgress::Report(WorkDoneProgressReport {
                cancellable: Some(true),
                message: Some(step),
                percentage: None,
            }))
            .await;
        }
        send(WorkDoneProgress::End(WorkDoneProgressEnd { message: None })).await;
        session.forget_token(&token);
    });
    Progress {
        steps,
        told: Some(task),
    }
}
