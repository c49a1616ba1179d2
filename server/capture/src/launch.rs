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
            settings,
        })
    }

    /// Where the processes' folders come to stand: absolute.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What to set in the program's environment. `python_path` is the PYTHONPATH that it would have had.
    ///
    /// # Errors
    /// [`LaunchError::PythonPath`].
    pub fn environment(
        &self,
        python_path: Option<OsString>,
    ) -> Result<Vec<(&'static str, OsString)>, LaunchError> {
        let rest = python_path.unwrap_or_default();
        let own = self.bootstrap.path().to_owned();
        let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&rest)))?;
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
