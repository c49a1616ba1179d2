//! `heldby lsp`: the language server on standard input and output.
//!
//! Messages come through `guard`, which applies edits in wire order (`documents`) and runs each request in a task of its own with
//! the documents as they were (`server`, `requests/`). Two tasks work beside them: `loader` reads dumps into the `library` and
//! makes what is `shown`; `publisher` sends `diagnostics`, whose sites `places` finds in the texts of today. `session` is what
//! they share.

mod age;
mod configuration;
mod diagnostics;
mod documents;
mod dump_folders;
mod explanations;
mod guard;
mod library;
mod loader;
mod places;
mod positions;
mod progress;
mod publisher;
mod requests;
mod server;
mod session;
mod shown;
mod stdio;
mod uris;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};
use tower_lsp::ls_types::{ConfigurationItem, MessageType, Registration, Uri};
use tower_lsp::{LspService, Server};
use tracing_subscriber::EnvFilter;

use configuration::{ClientSettings, Configuration, SECTION};
use documents::OpenDocuments;
use guard::{Ending, Guard};
use loader::Order;
use server::Backend;
use session::Session;
use stdio::EndingInput;

/// Requests that run at the same time: none waits for another one to end.
const MOST_REQUESTS: usize = 1 << 16;
/// After the end of the input, answers that are under way may still be sent.
const GRACE: Duration = Duration::from_millis(300);
/// A client that does not answer is not waited for longer.
const ANSWER: Duration = Duration::from_secs(5);

/// Serves on standard input and output until the client goes.
///
/// # Errors
/// When the server cannot begin.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    // The transport's trace has whole messages, and with them texts and names of the user's that belong in no log.
    let filter = match "tower_lsp_server=warn".parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    // A second log in one process is refused; there is none.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Reading dumps, sites of texts, settings; each thread keeps memory of its own.
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .context("the server's threads cannot be started")?;
    let is_announced = runtime.block_on(serve(tokio::io::stdin(), tokio::io::stdout()));
    // Work on a dump, or a reader that waits for a client that is gone, does not keep the process.
    runtime.shutdown_background();
    std::process::exit(i32::from(!is_announced))
}

/// Serves one client; whether it announced its end, as the protocol asks.
async fn serve(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> bool {
    let (edits, edited) = mpsc::unbounded_channel::<Uri>();
    let (publishing, to_publish) = mpsc::unbounded_channel();
    let (orders, ordered) = mpsc::unbounded_channel::<Order>();
    let documents = Arc::new(OpenDocuments::new(edits));
    let ending = Arc::new(Ending::default());
    let mut made = None;
    let (service, socket) = LspService::build(|client| {
        let session = Arc::new(Session::new(
            client,
            Arc::clone(&documents),
            orders.clone(),
            publishing.clone(),
        ));
        made = Some(Arc::clone(&session));
        Backend::new(session)
    })
    .custom_method("heldby/referrers", Backend::referrers)
    .custom_method("heldby/findings", Backend::findings)
    .custom_method("heldby/document", Backend::document)
    .custom_method("heldby/capture", Backend::capture)
    .custom_method("heldby/confirm", Backend::confirm)
    .custom_method("heldby/trace", Backend::trace)
    .custom_method("heldby/expression", Backend::expression)
    .custom_method("workspace/textDocumentContent", Backend::document)
    .custom_method("window/workDoneProgress/cancel", Backend::cancel_progress)
    .finish();
    if let Some(session) = made {
        tokio::spawn(loader::run(Arc::clone(&session), ordered));
        tokio::spawn(publisher::run(session, to_publish, edited));
    }
    let ended = Arc::new(Notify::new());
    let guard = Guard::new(service, documents, Arc::clone(&ending));
    let input = EndingInput::new(input, Arc::clone(&ended));
    let server = Server::new(input, output, socket).concurrency_level(MOST_REQUESTS);
    tokio::select! {
        () = server.serve(guard) => {
            if !ending.was_asked_for() && !ending.was_announced() {
                tracing::error!("the client's messages ended, or one of them is none of the protocol: the server stops");
            }
        }
        () = async {
            ended.notified().await;
            tokio::time::sleep(GRACE).await;
        } => {}
    }
    ending.was_announced()
}

/// Asks the client for its settings, reads those of the folders, and tells what is wrong in them.
async fn settings_of(session: &Arc<Session>) {
    let mut configuration = Configuration::clone(&session.configuration());
    let mut problems = Vec::new();
    if session.abilities().configuration {
        let scopes: Vec<Option<Uri>> = configuration
            .folders
            .iter()
            .map(|folder| folder.uri.parse().ok())
            .chain([None])
            .collect();
        let items = scopes.into_iter().map(|scope_uri| ConfigurationItem {
            scope_uri,
            section: Some(SECTION.to_owned()),
        });
        let asked = session.client.configuration(items.collect());
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(Ok(values)) => {
                let mut values = values.iter();
                let mut settings = || match values.next() {
                    Some(value) if !value.is_null() => {
                        Some(ClientSettings::parse(value, &mut problems))
                    }
                    _ => None,
                };
                for folder in &mut configuration.folders {
                    if let Some(settings) = settings() {
                        folder.client = settings;
                    }
                }
                if let Some(settings) = settings() {
                    configuration.outside = settings;
                }
            }
            Ok(Err(error)) => tracing::warn!("the client does not tell its settings: {error}"),
            Err(_) => tracing::warn!("the client did not answer what its settings are"),
        }
    }
    let read = tokio::task::spawn_blocking(move || {
        for folder in &mut configuration.folders {
            *folder = server::folder(
                folder.path.clone(),
                folder.uri.clone(),
                folder.client.clone(),
            );
        }
        configuration
    });
    let Ok(configuration) = read.await else {
        return;
    };
    for folder in &configuration.folders {
        problems.extend(folder.project.problems.iter().cloned());
    }
    problems.sort();
    problems.dedup();
    session.configure(configuration);
    for problem in problems {
        let message = format!("heldby: {problem}");
        session
            .client
            .show_message(MessageType::WARNING, message)
            .await;
    }
}

/// Asks the client to tell when its settings change.
async fn hear_of_settings(session: &Session) {
    if !session.abilities().settings_registration {
        return;
    }
    let registration = Registration {
        id: "heldby-settings".to_owned(),
        method: "workspace/didChangeConfiguration".to_owned(),
        register_options: Some(serde_json::json!({"section": SECTION})),
    };
    let registered = session.client.register_capability(vec![registration]);
    match tokio::time::timeout(ANSWER, registered).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!("the client does not tell when its settings change: {error}");
        }
        Err(_) => tracing::warn!("the client did not answer whether it tells of its settings"),
    }
}

/// Takes in that settings changed: of the client, or of a folder.
async fn settings_changed(session: &Arc<Session>) {
    let before = session.configuration();
    settings_of(session).await;
    if before.source_folders() != session.configuration().source_folders() {
        // The loader ends with the server.
        let _ = session.orders.send(Order::Refind);
    } else {
        session.publish_soon();
    }
    let abilities = session.abilities();
    if abilities.inlay_refresh {
        // Nothing depends on the answer.
        let _ = tokio::time::timeout(ANSWER, session.client.inlay_hint_refresh()).await;
    }
    if abilities.lens_refresh {
        let _ = tokio::time::timeout(ANSWER, session.client.code_lens_refresh()).await;
    }
}
