//! The pages that diagnostics link to: files, since every editor opens those.

use std::path::PathBuf;
use std::sync::Mutex;
use std::{collections::HashMap, sync::PoisonError};

use heldby_finding::explanations::explanation;
use tower_lsp::ls_types::Uri;

use super::uris;

/// Writes pages when they are first asked for.
#[derive(Debug, Default)]
pub(crate) struct Explanations {
    written: Mutex<HashMap<String, Option<Uri>>>,
}

impl Explanations {
    /// The page of a kind of holder, where one can be written.
    pub(crate) fn uri(&self, kind: &str) -> Option<Uri> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = written.get(kind) {
            return known.clone();
        }
        let uri = write(kind);
        written.insert(kind.to_owned(), uri.clone());
        uri
    }
}

fn write(kind: &str) -> Option<Uri> {
    let page = explanation(kind)?;
    let folder = cache_folder()?.join("heldby").join("explain");
    let path = folder.join(format!("{kind}.md"));
    if !std::fs::read_to_string(&path).is_ok_and(|known| known == page) {
        std::fs::create_dir_all(&folder).ok()?;
        std::fs::write(&path, page).ok()?;
    }
    uris::uri_of(&path)
}

/// Where programs of this user keep what they can make again.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if cfg!(windows) {
        return folder("LOCALAPPDATA");
    }
    folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))
}
