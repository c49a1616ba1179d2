//! The one task that reads dumps: takes orders one after the other, works aside, and puts what it made where everybody sees it.

use std::path::PathBuf;
use std::sync::Arc;

use heldby_heap::{Cancel, Cancelled};
use tokio::sync::{mpsc, oneshot};
use tower_lsp::ls_types::{MessageType, NumberOrString};

use super::library::{CountedPlace, Library, Loaded, SourceAccess};
use super::progress;
use super::session::Session;

/// What the loader is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Read dumps.
    Load {
        paths: Vec<PathBuf>,
        /// Where to report progress; the server makes a token of its own without one.
        token: Option<NumberOrString>,
        cancel: Cancel,
        done: Option<oneshot::Sender<Result<Vec<Loaded>, Failure>>>,
    },
    /// Forget dumps; all when none is named.
    Unload {
        paths: Vec<PathBuf>,
        done: oneshot::Sender<Result<usize, Failure>>,
    },
    /// Show one series.
    Pick {
        id: String,
        done: oneshot::Sender<bool>,
    },
    /// Rank the store sites of a series by how often they ran.
    Counted {
        series: String,
        places: Vec<CountedPlace>,
        done: oneshot::Sender<()>,
    },
    /// Find the sites again.
    Refind,
}

/// Why the loader did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cancelled")]
    Cancelled,
    #[error("heldby failed inside; its log says where")]
    Inside,
}

impl From<Cancelled> for Failure {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Works until nobody orders any more.
pub(crate) async fn run(session: Arc<Session>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut library = Library::default();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Load {
                paths,
                token,
                cancel,
                done,
            } => {
                let title = match paths.len() {
                    1 => "heldby: loading a dump".to_owned(),
                    count => format!("heldby: loading {count} dumps"),
                };
                let progress = progress::begin(&session, token, &cancel, title).await;
                let steps = progress.steps;
                let access = access(&session);
                let work = move |library: &mut Library| {
                    library.load(&paths, &access, &cancel, &|step| {
                        // Nobody listens to the progress of a client that has none.
                        let _ = steps.send(step.to_owned());
                    })
                };
                let result = aside(&mut library, work).await;
                if let Some(told) = progress.told {
                    // It does not fail.
                    let _ = told.await;
                }
                publish(&session, &library).await;
                if let Ok(loaded) = &result {
                    tell(&session, loaded).await;
                    if done.is_none() {
                        complain(&session, loaded).await;
                    }
                }
                if let Some(done) = done {
                    let _ = done.send(result);
                }
            }
            Order::Unload { paths, done } => {
                let access = access(&session);
                let work = move |library: &mut Library| {
                    library.unload(&paths, &access, &Cancel::new(), &|_| {})
                };
                let result = aside(&mut library, work).await;
                publish(&session, &library).await;
                let _ = done.send(result);
            }
            Order::Pick { id, done } => {
                let access = access(&session);
                let work = move |library: &mut Library| {
                    let known = library.pick(&id);
                    library.show(&access, &Cancel::new(), &|_| {})?;
                    Ok(known)
                };
                let known = aside(&mut library, work).await.unwrap_or(false);
                publish(&session, &library).await;
                let _ = done.send(known);
            }
            Order::Counted {
                series,
                places,
                done,
            } => {
                let access = access(&session);
                let work = move |library: &mut Library| {
                    library.learn_counts(&series, places);
                    library.show(&access, &Cancel::new(), &|_| {})
                };
                // A failure is logged where it happens.
                let _ = aside(&mut library, work).await;
                publish(&session, &library).await;
                let _ = done.send(());
            }
            Order::Refind => {
                let access = access(&session);
                let work = move |library: &mut Library| {
                    library.forget_views();
                    library.show(&access, &Cancel::new(), &|_| {})
                };
                // A failure is logged where it happens; the next order starts afresh.
                let _ = aside(&mut library, work).await;
                publish(&session, &library).await;
            }
        }
    }
}

/// Works on the library where the editor is not kept waiting. A panic costs the library, not the server: the dumps are on disk.
async fn aside<T: Send + 'static>(
    library: &mut Library,
    work: impl FnOnce(&mut Library) -> Result<T, Cancelled> + Send + 'static,
) -> Result<T, Failure> {
    let mut taken = std::mem::take(library);
    let done = tokio::task::spawn_blocking(move || {
        let result = work(&mut taken);
        (taken, result)
    });
    match done.await {
        Ok((back, result)) => {
            *library = back;
            result.map_err(Failure::from)
        }
        Err(failure) => {
            tracing::error!("reading dumps failed: {failure}; all of them are unloaded");
            Err(Failure::Inside)
        }
    }
}

fn access(session: &Arc<Session>) -> SourceAccess {
    let documents = session.documents.current();
    SourceAccess {
        folders: session.configuration().source_folders(),
        open: Arc::new(move |path| {
            let document = documents.of_file(&super::uris::file_key(path))?;
            Some(Arc::from(document.text.lines.text().as_bytes()))
        }),
    }
}

async fn publish(session: &Arc<Session>, library: &Library) {
    session.show(library.shown());
    session.publish_now().await;
}

/// Tells the client's log what was loaded, and what is wrong with it.
async fn tell(session: &Session, loaded: &[Loaded]) {
    for dump in loaded {
        let path = dump.path.display();
        match &dump.outcome {
            Ok(read) => {
                let (objects, pid, agent) = (read.objects, read.pid, &read.agent);
                tracing::info!("{path}: {objects} objects of process {pid}, taken by {agent}");
                for problem in &read.problems {
                    let message = format!("{path}: {problem}");
                    session
                        .client
                        .log_message(MessageType::WARNING, message)
                        .await;
                }
            }
            Err(reason) => {
                let message = format!("{path} cannot be read: {reason}");
                session
                    .client
                    .log_message(MessageType::ERROR, message)
                    .await;
            }
        }
    }
    if let Some(view) = session.view() {
        let warnings = view
            .findings
            .iter()
            .filter(|shown| shown.finding.severity == heldby_finding::Severity::Warning)
            .count();
        let message = format!(
            "{} (pid {}): {} dumps, {warnings} findings that grow, {} others",
            view.program,
            view.pid,
            view.dumps.len(),
            view.findings.len() - warnings
        );
        session.client.log_message(MessageType::INFO, message).await;
    }
}

/// Says what is wrong with dumps that nobody asked for by a command.
async fn complain(session: &Session, loaded: &[Loaded]) {
    for dump in loaded {
        if let Err(reason) = &dump.outcome {
            let message = format!("heldby: {} cannot be read: {reason}", dump.path.display());
            session
                .client
                .show_message(MessageType::WARNING, message)
                .await;
        }
    }
}
