//! Source files on this machine, found by the paths that a dump has for them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use heldby_dump::SourceFile;
use heldby_source::SourceFiles;
use sha2::{Digest, Sha256};

/// A larger file is not source that anybody wrote.
const MOST_BYTES: u64 = 32 << 20;

/// Where the sources lie, if not where a dump says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceFolders {
    /// Folders below which the user's sources lie.
    pub(crate) roots: Vec<PathBuf>,
    /// Path prefixes of the dump's machine, and ours.
    pub(crate) maps: Vec<(String, String)>,
}

/// Gives the text of a file that is open in an editor, by its path on this machine.
pub(crate) type OpenTexts = dyn Fn(&Path) -> Option<Arc<[u8]>> + Send + Sync;

/// Reads source files, each once.
pub(crate) struct LocalFiles {
    folders: SourceFolders,
    working_folder: PathBuf,
    /// Content of the files that ran, by the dump's path: SHA-256 in lower-case hexadecimal.
    hashes: HashMap<String, String>,
    open: Option<Arc<OpenTexts>>,
    paths: Mutex<HashMap<String, PathBuf>>,
    texts: Mutex<HashMap<String, Option<Arc<[u8]>>>>,
}

impl LocalFiles {
    /// Files of a process that worked in `working_folder`. `open` is asked before the disk is read.
    pub(crate) fn new(
        folders: &SourceFolders,
        working_folder: &str,
        source_files: &[SourceFile],
        open: Option<Arc<OpenTexts>>,
    ) -> Self {
        let hash = |file: &SourceFile| Some((file.path.clone(), file.sha256.clone()?));
        Self {
            folders: folders.clone(),
            working_folder: PathBuf::from(working_folder),
            hashes: source_files.iter().filter_map(hash).collect(),
            open,
            paths: Mutex::default(),
            texts: Mutex::default(),
        }
    }

    /// The path on this machine: as a mapping says; else as the dump says, where that exists; else the longest end of it that
    /// exists below a root. A file with the content that ran comes before one without.
    pub(crate) fn local_path(&self, path: &str) -> String {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let found = paths
            .entry(path.to_owned())
            .or_insert_with(|| self.find(path));
        found.display().to_string()
    }

    fn find(&self, path: &str) -> PathBuf {
        let mapped = self.folders.maps.iter().filter_map(|(from, to)| {
            let from = from.trim_end_matches(['/', '\\']);
            let rest = path.strip_prefix(from)?;
            (rest.is_empty() || rest.starts_with(['/', '\\'])).then(|| {
                let to = to.trim_end_matches(['/', '\\']);
                (from.len(), PathBuf::from(format!("{to}{rest}")))
            })
        });
        // The longest prefix says most; of several that are equally long the first, unless only another one leads to a file.
        let mut mapped: Vec<(usize, PathBuf)> = mapped.collect();
        mapped.sort_by_key(|(length, path)| std::cmp::Reverse((path.is_file(), *length)));
        if let Some((_, mapped)) = mapped.into_iter().next() {
            return mapped;
        }
        let told = self.working_folder.join(path);
        let exists = told.is_file();
        let hash = self.hashes.get(path);
        if self.folders.roots.is_empty() || exists && hash.is_none() {
            return told;
        }
        let is_the_one =
            |path: &PathBuf| hash.is_some_and(|hash| content_hash(path).as_ref() == Some(hash));
        if exists && is_the_one(&told) {
            return told;
        }
        let candidates: Vec<PathBuf> = ends_below(&self.folders.roots, path);
        let same = candidates.iter().find(|path| is_the_one(path)).cloned();
        match same {
            Some(same) => same,
            None if exists => told,
            None => candidates.into_iter().next().unwrap_or(told),
        }
    }
}

fn content_hash(path: &Path) -> Option<String> {
    let digest = Sha256::digest(read_source(path)?);
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The content of a file, unless it is too large to be source.
pub(crate) fn read_source(path: &Path) -> Option<Vec<u8>> {
    let metadata = std::fs::metadata(path).ok()?;
    (metadata.is_file() && metadata.len() <= MOST_BYTES)
        .then(|| std::fs::read(path).ok())
        .flatten()
}

/// The files below the roots whose path ends as `path` does, those that share most with it first.
fn ends_below(roots: &[PathBuf], path: &str) -> Vec<PathBuf> {
    let parts: Vec<&str> = path
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != "..")
        .collect();
    let roots: Vec<PathBuf> = roots
        .iter()
        .filter_map(|root| std::path::absolute(root).ok())
        .collect();
    let ends = (0..parts.len()).flat_map(|first| {
        roots.iter().map({
            let parts = &parts;
            move |root| {
                parts[first..]
                    .iter()
                    .fold(root.clone(), |path, part| path.join(part))
            }
        })
    });
    ends.filter(|path| path.is_file()).collect()
}

impl LocalFiles {
    /// The text of a file by its path on this machine, as it was read for the findings.
    pub(crate) fn text_at(&self, local: &str) -> Option<String> {
        let local = Path::new(local);
        let open = self.open.as_ref().and_then(|open| open(local));
        let bytes = match open {
            Some(bytes) => bytes,
            None => Arc::from(read_source(local)?),
        };
        heldby_source::decode_source(&bytes)
    }
}

impl std::fmt::Debug for LocalFiles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LocalFiles")
            .field("folders", &self.folders)
            .field("working_folder", &self.working_folder)
            .finish_non_exhaustive()
    }
}

impl SourceFiles for LocalFiles {
    fn read(&self, path: &str) -> Option<Arc<[u8]>> {
        let local = PathBuf::from(self.local_path(path));
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.get(path) {
            return known.clone();
        }
        let open = self.open.as_ref().and_then(|open| open(&local));
        let text = open.or_else(|| read_source(&local).map(Arc::from));
        texts.insert(path.to_owned(), text.clone());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_mappings_the_one_that_leads_to_a_file_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = |name: &str| folder.path().join(name).display().to_string();
        for name in ["shop/views.py", "mail/send.py", "shop/lib/tax.py"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        let map = |from: &str, to: &str| (from.to_owned(), here(to));
        let folders = SourceFolders {
            roots: Vec::new(),
            maps: vec![
                map("/app", "mail"),
                map("/app", "shop"),
                map("/app/plug", "shop/lib"),
            ],
        };
        let files = LocalFiles::new(&folders, "/app", &[], None);
        assert_eq!(files.local_path("/app/views.py"), here("shop/views.py"));
        assert_eq!(files.local_path("/app/send.py"), here("mail/send.py"));
        assert_eq!(
            files.local_path("/app/plug/tax.py"),
            here("shop/lib/tax.py")
        );
        assert_eq!(files.local_path("/app/gone.py"), here("mail/gone.py"));
        assert_eq!(files.local_path("/application/x.py"), "/application/x.py");
    }
}
