//! The one task that sends diagnostics: after a dump, after an edit, when the settings change, and when the dump's age does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tower_lsp::ls_types::notification::Notification;
use tower_lsp::ls_types::{Diagnostic, Uri};

use super::age;
use super::diagnostics::diagnostics;
use super::session::Session;

/// Why diagnostics are to be sent.
#[derive(Debug)]
pub(crate) enum Publish {
    /// What is shown changed; who waits is told when all is sent.
    All(Option<oneshot::Sender<()>>),
}

/// Tells a client with views of its own that what they show is another than before.
enum Shown {}

impl Notification for Shown {
    type Params = ();
    const METHOD: &'static str = "heldby/shown";
}

/// Edits that come within this time are answered together.
const TOGETHER: Duration = Duration::from_millis(40);

/// What the client was sent of a document.
struct Sent {
    uri: Uri,
    version: Option<i32>,
    diagnostics: Vec<Diagnostic>,
}

/// Works until the server ends.
pub(crate) async fn run(
    session: Arc<Session>,
    mut orders: mpsc::UnboundedReceiver<Publish>,
    mut edits: mpsc::UnboundedReceiver<Uri>,
) {
    let mut sent: HashMap<String, Sent> = HashMap::new();
    let mut edited: Vec<String> = Vec::new();
    let mut due: Option<Instant> = None;
    loop {
        let mut waiting = Vec::new();
        let older = session
            .view()
            .and_then(|view| age::until_next(age::since(view.taken_at_nanoseconds())));
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Publish::All(done)) => waiting.push(done),
                None => return,
            },
            () = sleep_until(due) => {}
            edit = edits.recv() => {
                let Some(uri) = edit else { return };
                edited.push(uri.as_str().to_owned());
                due.get_or_insert_with(|| Instant::now() + TOGETHER);
                continue;
            }
            () = sleep(older) => {}
        }
        due = None;
        let is_all = !waiting.is_empty();
        publish(&session, &mut sent, &std::mem::take(&mut edited)).await;
        if is_all && session.abilities().shown_notifications {
            session.client.send_notification::<Shown>(()).await;
        }
        for done in waiting.into_iter().flatten() {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

async fn publish(session: &Arc<Session>, sent: &mut HashMap<String, Sent>, edited: &[String]) {
    let documents = session.documents.current();
    let found = tokio::task::spawn_blocking({
        let (session, documents) = (Arc::clone(session), Arc::clone(&documents));
        move || {
            let Some(view) = session.view() else {
                return Default::default();
            };
            let found = diagnostics(
                &view,
                &session.places(&documents, &view.texts),
                &session.configuration(),
                &session.abilities(),
                &session.explanations,
            );
            session.derived.trim();
            found
        }
    });
    let mut found = match found.await {
        Ok(found) => found,
        Err(failure) => {
            tracing::error!("diagnostics failed: {failure}");
            return;
        }
    };
    for (key, document) in sent.iter() {
        found
            .entry(key.clone())
            .or_insert_with(|| (document.uri.clone(), Vec::new()));
    }
    for (key, (uri, diagnostics)) in found {
        let version = documents.get(&uri).map(|document| document.version);
        let known = sent.get(&key);
        let is_known = known.is_some_and(|known| {
            known.diagnostics == diagnostics && (known.version == version || !edited.contains(&key))
        });
        if is_known {
            continue;
        }
        session
            .client
            .publish_diagnostics(uri.clone(), diagnostics.clone(), version)
            .await;
        if diagnostics.is_empty() {
            sent.remove(&key);
        } else {
            sent.insert(
                key,
                Sent {
                    uri,
                    version,
                    diagnostics,
                },
            );
        }
    }
}
