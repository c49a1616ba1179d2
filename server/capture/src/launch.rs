//! The environment in which a Python program, and each Python process that it starts, dumps itself as it goes.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a program is to be dumped.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where each process gets a folder for its dumps. Made if it is not there.
    pub folder: PathBuf,
    /// Time between two dumps.
    pub every: Duration,
    /// How many of the newest dumps are kept of each process.
    pub keep: usize,
}

/// Why a program cannot be launched so that it dumps itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// A folder or file could not be made.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A path that cannot stand in PYTHONPATH.
    #[error("PYTHONPATH cannot hold a path: {0}")]
    PythonPath(#[from] std::env::JoinPathsError),
}

/// A prepared launch. The files that the program's processes read at their start are there as long as this value is.
#[derive(Debug)]
pub struct Launch {
    bootstrap: tempfile::TempDir,
    folder: PathBuf,
    is_new: bool,
    settings: Settings,
}

impl Launch {
    /// Makes the folder of the dumps, and one with the agent.
    ///
    /// # Errors
    /// [`LaunchError`] when one of them cannot be made.
    pub fn prepare(settings: Settings) -> Result<Self, LaunchError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| LaunchError::Io { path, source }
        };
        let is_new = !settings.folder.exists();
        fs::create_dir_all(&settings.folder).map_err(at(&settings.folder))?;
        let folder = fs::canonicalize(&settings.folder).map_err(at(&settings.folder))?;
        let bootstrap = tempfile::Builder::new()
            .prefix("heldby-run-")
            .tempdir()
            .map_err(at(&std::env::temp_dir()))?;
        let files = [
            (
                "sitecustomize.py",
                include_str!("../python/sitecustomize.py"),
            ),
            ("heldby_run.py", include_str!("../python/heldby_run.py")),
            ("heldby_agent.py", crate::agent_source()),
        ];
        for (name, text) in files {
            let path = bootstrap.path().join(name);
            fs::write(&path, text).map_err(at(&path))?;
        }
        Ok(Self {
            bootstrap,
            folder,
            is_new,
            settings,
        })
    }

    /// Where the processes' folders come to stand: absolute.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// That folder was not there before.
    pub fn folder_is_new(&self) -> bool {
        self.is_new
    }

    /// The folders of the processes that have begun a dump so far, in that order.
    pub fn processes(&self) -> Vec<PathBuf> {
        let record = fs::read(self.bootstrap.path().join("processes")).unwrap_or_default();
        let lines = record.split(|byte| *byte == b'\n');
        lines
            .filter(|line| !line.is_empty())
            .filter_map(path_of)
            .collect()
    }

    /// Removes what a process that was killed had begun to write. It must have ended.
    pub fn remove_unfinished(&self, pid: u32) {
        let end = format!(".heldby.{pid}.part");
        for folder in self.processes() {
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(&end))
            {
                // What cannot be removed is no dump either.
                let _ = fs::remove_file(entry.path());
            }
            // Only if it is empty.
            let _ = fs::remove_dir(&folder);
        }
    }

    /// What to set in the program's environment. `python_path` is the PYTHONPATH that it would have had.
    ///
    /// # Errors
    /// [`LaunchError::PythonPath`].
    pub fn environment(
        &self,
        python_path: Option<OsString>,
    ) -> Result<Vec<(&'static str, OsString)>, LaunchError> {
        let own = self.bootstrap.path().to_owned();
        // An empty PYTHONPATH is none; an empty part of one is the working folder.
        let rest = python_path.filter(|path| !path.is_empty());
        let rest = rest.iter().flat_map(std::env::split_paths);
        let path = std::env::join_paths(std::iter::once(own).chain(rest))?;
        Ok(vec![
            ("PYTHONPATH", path),
            ("HELDBY_RUN_DIR", self.folder.clone().into_os_string()),
            (
                "HELDBY_RUN_EVERY",
                self.settings.every.as_secs_f64().to_string().into(),
            ),
            ("HELDBY_RUN_DUMPS", self.settings.keep.to_string().into()),
        ])
    }
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    // Python encodes paths in UTF-8 here.
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}
