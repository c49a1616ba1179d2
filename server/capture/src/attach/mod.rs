//! A dump of a program that runs already, and that nothing was prepared for; or a count of how often lines of it run.
//!
//! What flows in is a process id, what flows out a dump's file, or numbers. Since 3.14 the interpreter itself runs a script that another process asks it to
//! (`sys.remote_exec`, PEP 768); before that a thread of the program [is made to load](call) the native agent's library, which runs
//! it, or gdb has it do so. In each way the script begins a thread that does what is asked, and the program goes on. What the program needs
//! lies in a folder that both see, below its own `/tmp`, and is gone afterwards.

mod by_gdb;
#[cfg(target_arch = "x86_64")]
mod by_thread;
#[cfg(target_arch = "x86_64")]
mod call;
#[cfg(target_arch = "x86_64")]
mod frames;
#[cfg(target_arch = "x86_64")]
mod image;
mod meeting;
mod target;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use meeting::{ANSWER, LEAST_ROOM, Meeting, PLACES};
use target::Target;

use crate::confirm::{self, CountedLines, LineCounts};

/// What is asked of the process.
#[derive(Debug, Clone)]
pub struct AttachSettings {
    /// The process.
    pub pid: u32,
    /// The native agent's library: it takes the dump, and on older interpreters it is how the agent gets in.
    pub native_library: Option<PathBuf>,
    /// How long the program may take to begin.
    pub patience: Duration,
    /// Set when it is to be given up.
    pub interrupted: Arc<AtomicBool>,
}

/// Where a dump is to lie.
#[derive(Debug, Clone)]
pub enum Place {
    /// In this file.
    File(PathBuf),
    /// In this folder, under a name of its time and its process.
    Folder(PathBuf),
}

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is no such process.
    #[error("there is no process {0}")]
    NoProcess(u32),
    /// It belongs to somebody else.
    #[error("process {0} belongs to another user: run this as that user, or as root")]
    NotOurs(u32),
    /// No CPython of a version that can be dumped.
    #[error("process {0} is not CPython 3.8 or later: {1}")]
    NoPython(u32, String),
    /// Nothing runs in it, and gdb could not call anything in it without harm.
    #[error(
        "process {0} is stopped: let it go on (`kill -CONT {0}`), or if a debugger has stopped it, take the dump there"
    )]
    Stopped(u32),
    /// Neither way in is to be had.
    #[error(
        "gdb is not installed, by which the agent gets into Python 3.{minor}: install it, or have the program call the agent itself \
         (`heldby agent > heldby_agent.py`, `heldby_agent.install(…)`)"
    )]
    NoGdb {
        /// Of the program's Python.
        minor: u32,
    },
    /// gdb alone can do nothing.
    #[error(
        "the native agent's library is not beside heldby, by which the agent gets into Python 3.{minor}"
    )]
    NoLibrary {
        /// Of the program's Python.
        minor: u32,
    },
    /// Its C library is too old, or another one.
    #[error(
        "process {0} does not load the native agent's library, which needs a glibc as new as the one that heldby was built with (musl does not \
         do): start the program with `heldby run`, or have it call the agent itself (`heldby agent > heldby_agent.py`, \
         `heldby_agent.install(…)`)"
    )]
    NotLoaded(u32),
    /// The system does not let us.
    #[error(
        "the system does not allow it: {0}. Run this as root, or allow it with `sysctl kernel.yama.ptrace_scope=0`; a container needs \
         `--cap-add SYS_PTRACE`"
    )]
    NotAllowed(String),
    /// No folder of the process's file system can take what is needed.
    #[error(
        "process {0} has no folder with room for the dump: one of {places} must have {least} MiB free, in the file system that the process sees",
        places = PLACES.join(", "),
        least = LEAST_ROOM >> 20,
    )]
    NoRoom(u32),
    /// It was given up.
    #[error("interrupted: the program goes on, and nothing of this is left in it")]
    Interrupted,
    /// Each thread may hold a lock that the agent needs to get in.
    #[error(
        "no thread of process {pid} stood where the agent can be loaded, in {seconds} s: they wait for a disk, or compute in the C library. \
         Try it again, or have the program call the agent itself (`heldby agent > heldby_agent.py`, `heldby_agent.install(…)`)"
    )]
    NoThread {
        /// The process.
        pid: u32,
        /// How long they were looked at.
        seconds: u64,
    },
    /// The program was asked, and did not begin.
    #[error(
        "process {pid} has not begun within {seconds} s: a thread of it may be busy in C code that keeps the interpreter's lock"
    )]
    Silent {
        /// The process.
        pid: u32,
        /// How long it had.
        seconds: u64,
    },
    /// It began, and could not.
    #[error("the program could not do what was asked of it: {0}")]
    Failed(String),
    /// The tool that gets the agent in said something else.
    #[error("{tool} could not get the agent into process {pid}: {said}")]
    Tool {
        /// gdb, or the interpreter.
        tool: String,
        /// The process.
        pid: u32,
        /// Its last line.
        said: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

type Result<T> = std::result::Result<T, AttachError>;

/// Since then the interpreter runs a script for another process.
const REMOTE_EXEC: u32 = 14;
/// How long a program that has begun may take.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// An interpreter that was asked, and has not begun by then, is entered through one of its threads.
const LONGEST_BEFORE_THREAD: Duration = Duration::from_secs(3);

/// Takes a dump of a running process, and returns its path when it is whole.
///
/// # Errors
/// [`AttachError`]; the program goes on as before in any case.
pub fn attach(settings: &AttachSettings, place: &Place) -> Result<PathBuf> {
    let meeting = ask(settings, "'dump', None")?;
    let path = match place {
        Place::File(path) => path.clone(),
        Place::Folder(folder) => folder.join(meeting.name(settings.pid)?),
    };
    meeting.hand_over(&path)?;
    Ok(path)
}

/// Counts how often lines of a running process run within a time.
///
/// # Errors
/// [`AttachError`]; the program goes on as before in any case.
pub fn count_lines(
    settings: &AttachSettings,
    lines: &[CountedLines],
    time: Duration,
) -> Result<LineCounts> {
    let task = format!(
        "'count', {}, {}",
        confirm::python_list(lines),
        time.as_secs_f64()
    );
    let meeting = ask(settings, &task)?;
    let path = meeting.folder.join(ANSWER);
    let text = fs::read(&path).map_err(|source| AttachError::Io { path, source })?;
    confirm::counts_of(&text, lines).map_err(AttachError::Failed)
}

/// Has a process do something, and waits for its answer: a file of the folder that is returned.
fn ask(settings: &AttachSettings, task: &str) -> Result<Meeting> {
    enter(settings, task).map_err(|error| {
        // Whatever it was that did not succeed then.
        if crate::process::is_running(settings.pid) {
            error
        } else {
            AttachError::NoProcess(settings.pid)
        }
    })
}

fn enter(settings: &AttachSettings, task: &str) -> Result<Meeting> {
    let target = Target::of(settings.pid)?;
    let meeting = Meeting::prepare(&target, settings, task)?;
    if target.minor >= REMOTE_EXEC && target.python.is_some() {
        match target.ask_interpreter(&meeting) {
            Ok(()) => {
                let patience = LONGEST_BEFORE_THREAD.min(settings.patience);
                match meeting.wait(settings, patience) {
                    // Its main thread waits for something else than the interpreter.
                    Err(AttachError::Silent { .. }) => meeting.withdraw(),
                    Err(error @ AttachError::Interrupted) => {
                        meeting.withdraw();
                        return Err(error);
                    }
                    outcome => return outcome.map(|()| meeting),
                }
            }
            // It was told not to run what others ask, or the program is another build of the same name.
            Err(AttachError::Tool { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    target.load_library(&meeting, settings)?;
    meeting.wait(settings, settings.patience)?;
    Ok(meeting)
}

fn last_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or("nothing").trim().to_owned()
}
