//! The environment in which a Python program, and each Python process that it starts, dumps itself as it goes.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::forks::{ForkWatch, joined};
use crate::process;

/// Beside the agent: the id of each process that has loaded it, and where its code and stack begin, with a zero byte behind them.
pub(crate) const JOINED: &str = "joined";
/// Beside the agent: id, space and folder of each process that has begun a dump, each with a zero byte behind it.
const DUMPED: &str = "dumped";

/// For a process that outlives the program and is taking a dump.
const A_MOMENT: Duration = Duration::from_secs(5);

/// Of what the native agent notes where it grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Of containers' storage.
    Containers,
    /// Of all objects; up to Python 3.13 the entries of dictionaries are among them.
    All,
}

/// How a program is to be dumped.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where each process gets a folder for its dumps. Made if it is not there.
    pub folder: PathBuf,
    /// Time between two dumps.
    pub every: Duration,
    /// How many of the newest dumps are kept of each process.
    pub keep: usize,
    /// The native agent's library: without it, the pure-Python agent takes the dumps.
    pub native_library: Option<PathBuf>,
    /// Whether it is noted where containers grow, which takes the native agent.
    pub trace: Option<Trace>,
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
        crate::make_dump_folder(&settings.folder).map_err(at(&settings.folder))?;
        let folder = fs::canonicalize(&settings.folder).map_err(at(&settings.folder))?;
        let bootstrap = tempfile::Builder::new()
            .prefix("heldby-run-")
            .tempdir()
            .map_err(at(&std::env::temp_dir()))?;
        let agent = [
            crate::agent_source(),
            include_str!("../python/heldby_run.py"),
        ]
        .join("\n");
        let files = [
            (
                "sitecustomize.py",
                include_bytes!("../python/sitecustomize.py").to_vec(),
            ),
            ("heldby_agent.py", agent.into_bytes()),
            ("settings", settings_text(&settings, &folder)),
            // Its path. Empty: there is none.
            (
                "native",
                bytes_of(settings.native_library.as_deref().unwrap_or(Path::new(""))),
            ),
        ];
        for (name, text) in files {
            let path = bootstrap.path().join(name);
            fs::write(&path, text).map_err(at(&path))?;
        }
        Ok(Self { bootstrap, folder })
    }

    /// Where the processes' folders come to stand: absolute.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folders of the processes that have begun a dump so far, in that order.
    pub fn processes(&self) -> Vec<PathBuf> {
        self.dumped()
            .into_iter()
            .map(|(_, folder)| folder)
            .collect()
    }

    fn dumped(&self) -> Vec<(u32, PathBuf)> {
        let record = fs::read(self.bootstrap.path().join(DUMPED)).unwrap_or_default();
        let entries = record.split(|byte| *byte == 0).filter_map(|entry| {
            let space = entry.iter().position(|byte| *byte == b' ')?;
            let pid = std::str::from_utf8(&entry[..space]).ok()?.parse().ok()?;
            Some((pid, path_of(&entry[space + 1..])?))
        });
        entries.collect()
    }

    /// How many processes have loaded the agent so far.
    pub fn joined(&self) -> usize {
        let record = fs::read(self.bootstrap.path().join(JOINED)).unwrap_or_default();
        joined(&record).count()
    }

    /// Looks for processes that take no dumps, since C code forked them and did not tell Python. The first that are found are told at once.
    pub fn watch_forks(&self, tell: impl FnOnce(&[u32]) + Send + 'static) -> ForkWatch {
        ForkWatch::begin(self.bootstrap.path().to_owned(), tell)
    }

    /// Removes what processes that were killed had begun to write. A process that is still at it gets a moment to finish.
    ///
    /// To be called when the program has ended.
    pub fn remove_unfinished(&self) {
        let deadline = Instant::now() + A_MOMENT;
        while self.remove_abandoned() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The same for the processes that have ended. True when others are still writing.
    fn remove_abandoned(&self) -> bool {
        let mut is_written = false;
        for (pid, folder) in self.dumped() {
            let is_running = process::is_running(pid);
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().ends_with(".part") {
                    is_written |= is_running;
                    if !is_running {
                        // What cannot be removed is no dump either.
                        let _ = fs::remove_file(entry.path());
                    }
                }
            }
            if !is_running {
                // Only if it is empty.
                let _ = fs::remove_dir(&folder);
            }
        }
        is_written
    }

    /// What to set in the program's environment. `python_path` is the PYTHONPATH that it would have had.
    ///
    /// # Errors
    /// [`LaunchError::PythonPath`].
    pub fn environment(
        &self,
        python_path: Option<OsString>,
    ) -> Result<[(&'static str, OsString); 1], LaunchError> {
        let own = self.bootstrap.path().to_owned();
        // An empty PYTHONPATH is none; an empty part of one is the working folder.
        let rest = python_path.filter(|path| !path.is_empty());
        let rest = rest.iter().flat_map(std::env::split_paths);
        let path = std::env::join_paths(std::iter::once(own).chain(rest))?;
        Ok([("PYTHONPATH", path)])
    }
}

/// What the agent reads at the start of each process: seconds, number of dumps, folder, a line each.
fn settings_text(settings: &Settings, folder: &Path) -> Vec<u8> {
    let traced = match settings.trace {
        None => "",
        Some(Trace::Containers) => "containers",
        Some(Trace::All) => "all",
    };
    let every = settings.every.as_secs_f64();
    let mut text = format!("{every}\n{}\n{traced}\n", settings.keep).into_bytes();
    text.extend(bytes_of(folder));
    text
}

#[cfg(unix)]
fn bytes_of(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_owned()
}

#[cfg(not(unix))]
fn bytes_of(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
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
