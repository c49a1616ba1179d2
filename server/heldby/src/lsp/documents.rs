//! The documents that are open in the editor: immutable, so that each request sees the texts as they were when it was sent.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::UnboundedSender;
use tower_lsp::jsonrpc::Request;
use tower_lsp::ls_types::{
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, Uri,
};

use super::positions::{Encoding, Lines};
use super::uris;

/// Names a text by its content: SHA-256.
pub(crate) type ContentHash = [u8; 32];

/// A text, wherever it came from.
#[derive(Debug)]
pub(crate) struct SourceText {
    pub(crate) lines: Lines,
    hash: OnceLock<ContentHash>,
}

impl SourceText {
    pub(crate) fn new(lines: Lines) -> Self {
        Self {
            lines,
            hash: OnceLock::new(),
        }
    }

    /// Its name.
    pub(crate) fn hash(&self) -> ContentHash {
        *self
            .hash
            .get_or_init(|| Sha256::digest(self.lines.text().as_bytes()).into())
    }
}

/// A document that is open.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) uri: Uri,
    pub(crate) version: i32,
    pub(crate) text: Arc<SourceText>,
    /// Its file, if it is one.
    pub(crate) key: Option<PathBuf>,
}

/// All open documents at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents(HashMap<String, Document>);

impl Documents {
    pub(crate) fn get(&self, uri: &Uri) -> Option<&Document> {
        self.0.get(uri.as_str())
    }

    /// The document that shows a file; the path as [`uris::file_key`] has it.
    pub(crate) fn of_file(&self, key: &Path) -> Option<&Document> {
        self.0
            .values()
            .find(|document| document.key.as_deref() == Some(key))
    }

    /// Applies an edit; the URI of the document that it was of.
    fn apply(&mut self, request: &Request, encoding: Encoding) -> Result<Option<Uri>, EditError> {
        let params = request.params().cloned().unwrap_or_default();
        match request.method() {
            "textDocument/didOpen" => {
                let params: DidOpenTextDocumentParams = serde_json::from_value(params)?;
                let document = params.text_document;
                let key = uris::path_of(&document.uri).map(|path| uris::file_key(&path));
                self.0.insert(
                    document.uri.as_str().to_owned(),
                    Document {
                        uri: document.uri.clone(),
                        version: document.version,
                        text: Arc::new(SourceText::new(Lines::new(document.text))),
                        key,
                    },
                );
                Ok(Some(document.uri))
            }
            "textDocument/didChange" => {
                let params: DidChangeTextDocumentParams = serde_json::from_value(params)?;
                let uri = params.text_document.uri;
                let document = self
                    .0
                    .get_mut(uri.as_str())
                    .ok_or_else(|| EditError::NotOpen(uri.as_str().to_owned()))?;
                let mut lines: Option<Lines> = None;
                for change in params.content_changes {
                    match change.range {
                        None => lines = Some(Lines::new(change.text)),
                        Some(range) => lines
                            .get_or_insert_with(|| document.text.lines.clone())
                            .replace(range, encoding, &change.text),
                    }
                }
                if let Some(lines) = lines {
                    document.text = Arc::new(SourceText::new(lines));
                }
                document.version = params.text_document.version;
                Ok(Some(uri))
            }
            "textDocument/didClose" => {
                let params: DidCloseTextDocumentParams = serde_json::from_value(params)?;
                let uri = params.text_document.uri;
                self.0.remove(uri.as_str());
                Ok(Some(uri))
            }
            _ => Ok(None),
        }
    }
}

/// An edit that cannot be applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    /// What is wrong would show parts of the text: it belongs in no log.
    #[error("its parameters are not those of the protocol")]
    Parameters(#[from] serde_json::Error),
    #[error("{0} is not open")]
    NotOpen(String),
}

/// The documents as they are now, and who wants to know that they changed.
#[derive(Debug)]
pub(crate) struct OpenDocuments {
    current: Mutex<Arc<Documents>>,
    encoding: OnceLock<Encoding>,
    changed: UnboundedSender<Uri>,
}

impl OpenDocuments {
    pub(crate) fn new(changed: UnboundedSender<Uri>) -> Self {
        Self {
            current: Mutex::default(),
            encoding: OnceLock::new(),
            changed,
        }
    }

    /// What the columns of positions count, once client and server agreed on it.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding.get().copied().unwrap_or(Encoding::Utf16)
    }

    pub(crate) fn agree_on(&self, encoding: Encoding) {
        // The first agreement stands: a second `initialize` is refused.
        let _ = self.encoding.set(encoding);
    }

    pub(crate) fn current(&self) -> Arc<Documents> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Applies an edit, and tells whoever listens.
    pub(crate) fn apply(&self, request: &Request) -> Result<(), EditError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let uri = Arc::make_mut(&mut current).apply(request, self.encoding())?;
        drop(current);
        if let Some(uri) = uri {
            // Nobody listens while the server ends.
            let _ = self.changed.send(uri);
        }
        Ok(())
    }
}

tokio::task_local! {
    static SNAPSHOT: Arc<Documents>;
}

/// Runs a request with the documents as they are now.
pub(crate) fn with_snapshot<F: Future>(
    documents: Arc<Documents>,
    request: F,
) -> impl Future<Output = F::Output> {
    SNAPSHOT.scope(documents, request)
}

/// The documents as they were when the request at hand was sent.
pub(crate) fn snapshot() -> Arc<Documents> {
    SNAPSHOT.try_with(Arc::clone).unwrap_or_default()
}
