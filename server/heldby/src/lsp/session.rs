//! What the parts of the server share: the client, the open documents, the settings, and what is shown.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use heldby_heap::Cancel;
use tokio::sync::{mpsc, oneshot};
use tower_lsp::Client;
use tower_lsp::ls_types::NumberOrString;

use super::configuration::{Abilities, Configuration};
use super::documents::{Documents, OpenDocuments, SourceText};
use super::explanations::Explanations;
use super::loader::Order;
use super::places::{Derived, Places};
use super::publisher::Publish;
use super::shown::{Shown, View};

/// Shared by all requests and tasks.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) documents: Arc<OpenDocuments>,
    pub(crate) derived: Derived,
    pub(crate) explanations: Explanations,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    publishing: mpsc::UnboundedSender<Publish>,
    abilities: OnceLock<Abilities>,
    configuration: RwLock<Arc<Configuration>>,
    shown: RwLock<Arc<Shown>>,
    tokens: Mutex<HashMap<String, Cancel>>,
    /// Dumps that a request loads itself when they come into a watched folder.
    taken_care_of: Mutex<HashSet<PathBuf>>,
    next_token: AtomicU64,
}

impl Session {
    pub(crate) fn new(
        client: Client,
        documents: Arc<OpenDocuments>,
        orders: mpsc::UnboundedSender<Order>,
        publishing: mpsc::UnboundedSender<Publish>,
    ) -> Self {
        Self {
            client,
            documents,
            derived: Derived::default(),
            explanations: Explanations::default(),
            orders,
            publishing,
            abilities: OnceLock::new(),
            configuration: RwLock::default(),
            shown: RwLock::default(),
            tokens: Mutex::default(),
            taken_care_of: Mutex::default(),
            next_token: AtomicU64::new(1),
        }
    }

    pub(crate) fn abilities(&self) -> Abilities {
        self.abilities.get().cloned().unwrap_or_default()
    }

    pub(crate) fn meet(&self, abilities: Abilities) {
        // A second `initialize` is refused before it comes here.
        let _ = self.abilities.set(abilities);
    }

    pub(crate) fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(
            &self
                .configuration
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(crate) fn configure(&self, configuration: Configuration) {
        *self
            .configuration
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(configuration);
    }

    pub(crate) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn show(&self, shown: Shown) {
        self.derived.forget_files();
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
    }

    /// The series that is shown.
    pub(crate) fn view(&self) -> Option<Arc<View>> {
        self.shown().current().cloned()
    }

    /// Sends what changed to the client, and waits until it is sent.
    pub(crate) async fn publish_now(&self) {
        let (done, published) = oneshot::channel();
        if self.publishing.send(Publish::All(Some(done))).is_ok() {
            // The publisher ends with the server only.
            let _ = published.await;
        }
    }

    /// Sends what changed to the client, soon.
    pub(crate) fn publish_soon(&self) {
        // As above.
        let _ = self.publishing.send(Publish::All(None));
    }

    /// Finds sites in the given documents.
    pub(crate) fn places<'a>(&'a self, documents: &'a Documents, texts: &'a Texts) -> Places<'a> {
        Places {
            documents,
            derived: &self.derived,
            encoding: self.documents.encoding(),
            texts,
        }
    }

    /// The folder whose settings a file is under: its workspace folder, else the first one, else its own.
    pub(crate) fn settings_folder(&self, file: Option<&Path>) -> Option<PathBuf> {
        let configuration = self.configuration();
        let folder = file
            .and_then(|file| configuration.folder_of(file))
            .or(configuration.folders.first());
        folder
            .map(|folder| folder.path.clone())
            .or_else(|| Some(file?.parent()?.to_owned()))
    }

    /// Some dumps are not to be loaded because they come into a watched folder.
    pub(crate) fn take_care_of(&self, dumps: &[PathBuf]) {
        let mut known = self
            .taken_care_of
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.extend(dumps.iter().cloned());
    }

    /// Whether a dump that came is not to be loaded for that.
    pub(crate) fn is_taken_care_of(&self, dump: &Path) -> bool {
        let known = self
            .taken_care_of
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.contains(dump)
    }

    pub(crate) fn new_token(&self) -> NumberOrString {
        let number = self.next_token.fetch_add(1, Ordering::Relaxed);
        NumberOrString::String(format!("heldby-{number}"))
    }

    pub(crate) fn remember_token(&self, token: NumberOrString, cancel: Cancel) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token_text(&token), cancel);
    }

    pub(crate) fn forget_token(&self, token: &NumberOrString) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.remove(&token_text(token));
    }

    /// Stops the work that reports its progress under a token.
    pub(crate) fn cancel(&self, token: &NumberOrString) {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cancel) = tokens.get(&token_text(token)) {
            cancel.cancel();
        }
    }
}

/// Texts in which sites were found, by path.
pub(crate) type Texts = HashMap<String, Arc<SourceText>>;

fn token_text(token: &NumberOrString) -> String {
    match token {
        NumberOrString::Number(number) => format!("#{number}"),
        NumberOrString::String(text) => text.clone(),
    }
}
