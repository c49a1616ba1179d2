//! Source files on this machine's disk, found by the paths that a dump has for them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use heldby_source::SourceFiles;

use crate::analysis::ReportOptions;

/// A larger file is not source that anybody wrote.
const MOST_BYTES: u64 = 32 << 20;

/// Reads source files, each once.
#[derive(Debug)]
pub(crate) struct DiskFiles {
    root: Option<PathBuf>,
    maps: Vec<(String, String)>,
    working_folder: PathBuf,
    texts: Mutex<HashMap<String, Option<Arc<[u8]>>>>,
}

impl DiskFiles {
    /// Files of a process that worked in `working_folder`.
    pub(crate) fn new(options: &ReportOptions, working_folder: &str) -> Self {
        Self {
            root: options.root.clone(),
            maps: options.maps.clone(),
            working_folder: PathBuf::from(working_folder),
            texts: Mutex::default(),
        }
    }

    /// The path on this machine: as a mapping says; else as the dump says, where that exists; else the longest end of it that
    /// exists below the root.
    pub(crate) fn local_path(&self, path: &str) -> String {
        let mapped = self.maps.iter().find_map(|(from, to)| {
            let rest = path.strip_prefix(from.trim_end_matches(['/', '\\']))?;
            (rest.is_empty() || rest.starts_with(['/', '\\']))
                .then(|| format!("{}{rest}", to.trim_end_matches(['/', '\\'])))
        });
        if let Some(mapped) = mapped {
            return mapped;
        }
        let told = self.working_folder.join(path);
        if !told.exists() {
            let below_root = self
                .root
                .as_deref()
                .and_then(|root| longest_end_below(root, path));
            if let Some(found) = below_root {
                return found.display().to_string();
            }
        }
        told.display().to_string()
    }
}

/// The longest end of `path` that names a file below `root`.
fn longest_end_below(root: &Path, path: &str) -> Option<PathBuf> {
    let root = std::path::absolute(root).ok()?;
    let parts: Vec<&str> = path
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != "..")
        .collect();
    (0..parts.len())
        .map(|first| {
            parts[first..]
                .iter()
                .fold(root.clone(), |path, part| path.join(part))
        })
        .find(|path| path.is_file())
}

impl SourceFiles for DiskFiles {
    fn read(&self, path: &str) -> Option<Arc<[u8]>> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.get(path) {
            return known.clone();
        }
        let local = PathBuf::from(self.local_path(path));
        let is_readable = std::fs::metadata(&local)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MOST_BYTES);
        let text = is_readable
            .then(|| std::fs::read(&local).ok().map(Arc::from))
            .flatten();
        texts.insert(path.to_owned(), text.clone());
        text
    }
}
