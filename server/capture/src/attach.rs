//! A dump of a program that runs already, and that nothing was prepared for; or a count of how often lines of it run.
//!
//! What flows in is a process id, what flows out a dump's file, or numbers. Since 3.14 the interpreter itself runs a script that another process asks it to
//! (`sys.remote_exec`, PEP 768); before that a thread of the program [is made to load](crate::call) the native agent's library, which runs
//! it, or gdb has it do so. In each way the script begins a thread that does what is asked, and the program goes on. What the program needs
//! lies in a folder that both see, below its own `/tmp`, and is gone afterwards.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[cfg(target_arch = "x86_64")]
use crate::call::{self, Argument, Call, CallError};
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
/// Another capture holds a process for a moment only; a debugger does for longer.
const LONGEST_TRACED: Duration = Duration::from_secs(1);
/// gdb stands in the process no longer.
const LONGEST_IN_GDB: Duration = Duration::from_secs(60);
/// After an interrupt gdb takes back the call that it was in the middle of. One that is killed cannot, and the program with it.
const LONGEST_TO_TAKE_BACK: Duration = Duration::from_secs(10);
/// A command that fails where gdb could not put back the registers after a call: up to 13 it does not know how many there are in
/// processors with AMX. It writes a register that has another value then, and the old one again.
#[cfg(target_arch = "x86_64")]
const REGISTERS_CAN_BE_WRITTEN: &str = "set $old = $xmm15.v4_int32[0]\n\
    set $xmm15.v4_int32[0] = $old ^ 1\n\
    set $xmm15.v4_int32[0] = $old";
#[cfg(not(target_arch = "x86_64"))]
const REGISTERS_CAN_BE_WRITTEN: &str = "";

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

/// A process that runs Python.
struct Target {
    pid: u32,
    minor: u32,
    /// The interpreter's program, if the process runs it, and not one that has the interpreter inside.
    python: Option<PathBuf>,
    user: u32,
    group: u32,
}

impl Target {
    fn of(pid: u32) -> Result<Self> {
        use std::os::unix::fs::MetadataExt as _;

        let place = PathBuf::from(format!("/proc/{pid}"));
        let status = fs::metadata(&place).map_err(|_| AttachError::NoProcess(pid))?;
        let own_user = rustix::process::geteuid().as_raw();
        let refused = |error: io::Error| match error.kind() {
            // Its user is no reason then.
            io::ErrorKind::PermissionDenied if [0, status.uid()].contains(&own_user) => {
                AttachError::NotAllowed(error.to_string())
            }
            io::ErrorKind::PermissionDenied => AttachError::NotOurs(pid),
            _ => AttachError::NoProcess(pid),
        };
        let program = fs::read_link(place.join("exe")).map_err(refused)?;
        let maps = fs::read_to_string(place.join("maps")).map_err(refused)?;
        let Some(minor) = minor_version(&program, &maps) else {
            return Err(AttachError::NoPython(pid, program.display().to_string()));
        };
        if minor < 8 {
            return Err(AttachError::NoPython(pid, format!("Python 3.{minor}")));
        }
        let began = Instant::now();
        loop {
            let status_text = fs::read_to_string(place.join("status")).map_err(refused)?;
            let field = |name: &str| {
                let line = status_text.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or("").trim().to_owned()
            };
            let is_traced = !["", "0"].contains(&&*field("TracerPid:"));
            if field("State:").starts_with('T') || is_traced && began.elapsed() > LONGEST_TRACED {
                return Err(AttachError::Stopped(pid));
            }
            if !is_traced {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let is_interpreter = name_of(&program).starts_with("python");
        Ok(Self {
            pid,
            minor,
            // Of another file system, as in a container, it is not the same program.
            python: Some(program).filter(|program| is_interpreter && program.is_file()),
            user: status.uid(),
            group: status.gid(),
        })
    }

    /// Has the interpreter run the script, by another interpreter of the same program.
    fn ask_interpreter(&self, meeting: &Meeting) -> Result<()> {
        let Some(python) = &self.python else {
            return Ok(());
        };
        let asked = Command::new(python)
            .args(["-I", "-S", "-c"])
            .arg("import sys; sys.remote_exec(int(sys.argv[1]), sys.argv[2])")
            .arg(self.pid.to_string())
            .arg(meeting.shown.join(ASKED))
            .stdin(Stdio::null())
            .output()
            .map_err(|source| AttachError::Io {
                path: python.clone(),
                source,
            })?;
        if asked.status.success() {
            return Ok(());
        }
        let said = last_line(&asked.stderr);
        if said.contains("PermissionError") || said.contains("Operation not permitted") {
            return Err(AttachError::NotAllowed(said));
        }
        Err(AttachError::Tool {
            tool: python.display().to_string(),
            pid: self.pid,
            said,
        })
    }

    /// Has the program load the library, and call its one function for this.
    fn load_library(&self, meeting: &Meeting, settings: &AttachSettings) -> Result<()> {
        if settings.native_library.is_none() {
            return Err(AttachError::NoLibrary { minor: self.minor });
        }
        #[cfg(target_arch = "x86_64")]
        match self.load_by_thread(meeting, settings) {
            Err(Refusal::NotPossible) => {}
            Err(Refusal::Failed(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
        self.ask_gdb(meeting, settings)
    }

    /// Has a thread of the program load the library.
    #[cfg(target_arch = "x86_64")]
    fn load_by_thread(
        &self,
        meeting: &Meeting,
        settings: &AttachSettings,
    ) -> std::result::Result<(), Refusal> {
        let image = self.image()?;
        let function = |name: &str| {
            let found = image.function(call::is_c_library, name);
            found.ok_or(Refusal::NotPossible)
        };
        let told = |number: u64, text: String| [Argument::Text(text), Argument::Number(number)];
        let script = meeting.shown.join(SCRIPT).display().to_string();
        if let Some(run) = Self::loaded_before(&image, settings) {
            let run = Call {
                function: run,
                arguments: told(0, script),
            };
            return self.call(&image, &[run], settings);
        }
        let make_folder = function("mkdir")?;
        // What is called last says that it is done.
        let call_and_wait = |what: Call, done: &str| {
            let done = meeting.shown.join(done);
            let say = Call {
                function: make_folder,
                arguments: told(0o700, done.display().to_string()),
            };
            self.call(&image, &[what, say], settings)?;
            let done = meeting.folder.join(done.file_name().unwrap_or_default());
            meeting
                .wait_for(settings, settings.patience, || done.exists())
                .map_err(Refusal::Failed)
        };
        let name = meeting.name_in_memory();
        let library = if meeting.may_run_files {
            meeting.shown.join(LIBRARY)
        } else {
            // No folder that it can write to may have code in it: the code comes from memory.
            let make_file = Call {
                function: function("memfd_create")?,
                // Not for what it executes.
                arguments: told(1, name.clone()),
            };
            call_and_wait(make_file, "made")?;
            let number = self.file_in_memory(&name).ok_or(Refusal::NotPossible)?;
            let place = PathBuf::from(format!("/proc/{}/fd/{number}", self.pid));
            let copied = settings.native_library.as_ref().map(|library| {
                let library = fs::read(library)?;
                fs::write(&place, library)
            });
            if let Some(Err(source)) = copied {
                let path = place;
                return Err(Refusal::Failed(AttachError::Io { path, source }));
            }
            let library = PathBuf::from(format!("/proc/self/fd/{number}"));
            meeting.say_library(&library).map_err(Refusal::Failed)?;
            // There may be little room, and all of it is for the dump.
            let _ = fs::remove_file(meeting.folder.join(LIBRARY));
            library
        };
        let load = Call {
            function: function("dlopen")?,
            // Now, and for nobody else.
            arguments: told(2, library.display().to_string()),
        };
        call_and_wait(load, "loaded")?;
        let image = self.image()?;
        let is_library = |mapping: &crate::image::Mapping| mapping.path.contains(&name);
        let Some(run) = image.function(is_library, "heldby_native_run") else {
            return Err(Refusal::Failed(AttachError::Tool {
                tool: "the program's loader".to_owned(),
                pid: self.pid,
                said: "it does not load the library, which needs glibc as new as heldby's own"
                    .to_owned(),
            }));
        };
        let run = Call {
            function: run,
            arguments: told(0, script),
        };
        self.call(&image, &[run], settings)
    }

    /// The function of a library that an earlier capture has left in the process: another copy would be there for ever too.
    #[cfg(target_arch = "x86_64")]
    fn loaded_before(image: &crate::image::Image, settings: &AttachSettings) -> Option<u64> {
        let library = fs::read(settings.native_library.as_ref()?).ok()?;
        let is_candidate = |mapping: &crate::image::Mapping| mapping.path.contains("heldby-");
        let path = image.library_like(is_candidate, &library)?;
        image.function(|mapping| mapping.path == path, "heldby_native_run")
    }

    #[cfg(target_arch = "x86_64")]
    fn image(&self) -> std::result::Result<crate::image::Image, Refusal> {
        let image = crate::image::Image::of(self.pid);
        image.map_err(|error| self.refusal(error))
    }

    #[cfg(target_arch = "x86_64")]
    fn refusal(&self, error: io::Error) -> Refusal {
        Refusal::Failed(match error.kind() {
            io::ErrorKind::NotFound => AttachError::NoProcess(self.pid),
            _ => AttachError::NotAllowed(error.to_string()),
        })
    }

    #[cfg(target_arch = "x86_64")]
    fn call(
        &self,
        image: &crate::image::Image,
        calls: &[Call],
        settings: &AttachSettings,
    ) -> std::result::Result<(), Refusal> {
        let is_given_up = || settings.interrupted.load(Ordering::Relaxed);
        let called = call::call(self.pid, image, calls, settings.patience, &is_given_up);
        called.map_err(|error| match error {
            CallError::NotAllowed(error) => self.refusal(error),
            CallError::Gone => Refusal::Failed(AttachError::NoProcess(self.pid)),
            CallError::Stopped => Refusal::Failed(AttachError::Stopped(self.pid)),
            CallError::Interrupted => Refusal::Failed(AttachError::Interrupted),
            CallError::NoThread => Refusal::Failed(AttachError::NoThread {
                pid: self.pid,
                seconds: settings.patience.as_secs(),
            }),
            CallError::Unsupported => Refusal::NotPossible,
        })
    }

    /// The number of a file that the process has in memory only.
    #[cfg(target_arch = "x86_64")]
    fn file_in_memory(&self, name: &str) -> Option<u32> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?;
        let wanted = format!("/memfd:{name}");
        let mut files = files.flatten();
        let file = files.find(|file| {
            let link = fs::read_link(file.path()).unwrap_or_default();
            link.to_string_lossy().starts_with(&wanted)
        })?;
        file.file_name().to_str()?.parse().ok()
    }

    /// Has gdb load the library, and call its one function for this.
    fn ask_gdb(&self, meeting: &Meeting, settings: &AttachSettings) -> Result<()> {
        let minor = self.minor;
        let library = meeting.shown.join(LIBRARY);
        let script = meeting.shown.join(SCRIPT);
        let commands = [
            "set auto-load off".to_owned(),
            "set debuginfod enabled off".to_owned(),
            "set confirm off".to_owned(),
            "set unwindonsignal on".to_owned(),
            // The program stands still while gdb reads symbols: none but these are needed.
            "sharedlibrary libc\\.so".to_owned(),
            "sharedlibrary libdl\\.so".to_owned(),
            REGISTERS_CAN_BE_WRITTEN.to_owned(),
            // gdb itself need not find the library, which lies in the program's file system.
            format!(
                "set $library = ((void *(*)(const char *, int)) dlopen)(\"{}\", 2)",
                library.display()
            ),
            "set $run = $library ? ((void *(*)(void *, const char *)) dlsym)($library, \
             \"heldby_native_run\") : (void *) 0"
                .to_owned(),
            format!(
                "print $run ? ((int (*)(const char *)) $run)(\"{}\") : -1",
                script.display()
            ),
            "print $library ? (char *) 0 : ((char *(*)(void)) dlerror)()".to_owned(),
        ];
        let at = |source| AttachError::Io {
            path: PathBuf::from("gdb"),
            source,
        };
        // The first command that fails is the last, as it is not on a command line.
        let mut file = tempfile::NamedTempFile::new().map_err(at)?;
        io::Write::write_all(&mut file, commands.join("\n").as_bytes()).map_err(at)?;
        let mut gdb = Command::new("gdb");
        gdb.args([
            "-q",
            "-nx",
            "-batch",
            "-iex",
            "set auto-solib-add off",
            "-iex",
        ])
        // In a container or a changed root the libraries are others than ours.
        .arg(format!("set sysroot /proc/{}/root", self.pid))
        .arg("-p")
        .arg(self.pid.to_string());
        gdb.arg("-x").arg(file.path());
        let said = run_for(&mut gdb, LONGEST_IN_GDB, &settings.interrupted);
        let said = said.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => AttachError::NoGdb { minor },
            io::ErrorKind::Interrupted => AttachError::Interrupted,
            _ => at(error),
        })?;
        if said.contains("Operation not permitted") || said.contains("ptrace: ") {
            let line = said.lines().find(|line| line.contains("ptrace"));
            return Err(AttachError::NotAllowed(
                line.unwrap_or("ptrace").trim().to_owned(),
            ));
        }
        if said.contains("Couldn't write extended state status") {
            return Err(AttachError::Tool {
                tool: "gdb".to_owned(),
                pid: self.pid,
                said: "it does not know all registers of this processor, gdb 14 does".to_owned(),
            });
        }
        // What the library's function returned, and why it could not be loaded.
        let answers: Vec<&str> = said
            .lines()
            .filter_map(|line| line.strip_prefix('$')?.split_once(" = "))
            .map(|(_, value)| value.trim())
            .collect();
        match answers.as_slice() {
            ["0", ..] => Ok(()),
            [_, reason] if reason.contains('"') => Err(AttachError::Tool {
                tool: "gdb".to_owned(),
                pid: self.pid,
                said: format!("it does not load the library: {reason}"),
            }),
            _ => Err(AttachError::Tool {
                tool: "gdb".to_owned(),
                pid: self.pid,
                said: last_line(said.as_bytes()),
            }),
        }
    }
}

/// Why no thread of the program has loaded the library.
#[cfg(target_arch = "x86_64")]
enum Refusal {
    /// Nothing was begun, and gdb may do it.
    NotPossible,
    Failed(AttachError),
}

/// The version of the interpreter, from the name of the program or of the library that is mapped.
fn minor_version(program: &Path, maps: &str) -> Option<u32> {
    let of_name = |name: &str| {
        let rest = name
            .strip_prefix("libpython3.")
            .or_else(|| name.strip_prefix("python3."))?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let mapped = maps.lines().filter_map(|line| line.rsplit('/').next());
    let library = mapped.clone().find(|name| name.starts_with("libpython3."));
    of_name(&name_of(program))
        .or_else(|| of_name(library?))
        // A program without a version in its name has its standard library's extension modules.
        .or_else(|| {
            mapped.into_iter().find_map(|name| {
                let rest = name.split_once(".cpython-3")?.1;
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                digits.parse().ok()
            })
        })
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Where a process may have room for what it is to read and write; the first is good enough where it has as many bytes free.
const PLACES: [&str; 4] = ["/tmp", "/dev/shm", "/var/tmp", "/run"];
const ROOM: u64 = 256 << 20;
/// With less nothing is begun.
const LEAST_ROOM: u64 = 8 << 20;

/// The place with room, as the process sees it.
fn roomiest(root: &Path) -> Option<PathBuf> {
    let room_of = |place: &str| {
        let path = root.join(place.trim_start_matches('/'));
        let disk = rustix::fs::statvfs(&path).ok()?;
        let is_writable = rustix::fs::access(&path, rustix::fs::Access::WRITE_OK).is_ok();
        let read_only = disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
        (is_writable && !read_only).then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
    };
    let places = PLACES
        .iter()
        .filter_map(|place| Some((room_of(place)?, *place)));
    let mut places: Vec<(u64, &str)> = places.filter(|(room, _)| *room >= LEAST_ROOM).collect();
    // The first of those with enough stands first; else the one with most.
    places.sort_by_key(|(room, _)| std::cmp::Reverse((*room).min(ROOM)));
    places.first().map(|(_, place)| PathBuf::from(place))
}

const LIBRARY: &str = "libheldby_native.so";
/// A dump, or what was counted.
const ANSWER: &str = "answer";
const BEGUN: &str = "begun";
/// What gdb has the program run, and what its interpreter is asked to run.
const SCRIPT: &str = "agent.py";
const ASKED: &str = "asked.py";

/// The folder where both meet.
struct Meeting {
    /// As we see it, and as the process does.
    folder: PathBuf,
    shown: PathBuf,
    /// Our path begins there.
    _root: File,
    /// The interpreter was asked to run a file of it, and may yet do so.
    is_awaited: Cell<bool>,
    /// The system loads libraries from there.
    may_run_files: bool,
    task: String,
}

impl Meeting {
    fn prepare(target: &Target, settings: &AttachSettings, task: &str) -> Result<Self> {
        use std::os::fd::AsRawFd as _;
        use std::os::unix::fs::{DirBuilderExt as _, chown};

        let name = format!("heldby-{}-{}", std::process::id(), target.pid);
        let path = PathBuf::from(format!("/proc/{}/root", target.pid));
        let held = File::open(&path).map_err(|source| AttachError::Io { path, source })?;
        // What was put there is found, and taken back, when the process has ended too.
        let root = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
        let shown = roomiest(&root)
            .ok_or(AttachError::NoRoom(target.pid))?
            .join(name);
        let folder = root.join(shown.strip_prefix("/").unwrap_or(&shown));
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| AttachError::Io { path, source }
        };
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(at(&folder))?;
        let disk = rustix::fs::statvfs(&folder);
        let no_code = rustix::fs::StatVfsMountFlags::NOEXEC;
        let meeting = Self {
            may_run_files: disk.is_ok_and(|disk| !disk.f_flag.contains(no_code)),
            folder,
            shown,
            _root: held,
            is_awaited: Cell::new(false),
            task: task.to_owned(),
        };
        let mut library = PathBuf::new();
        if let Some(path) = &settings.native_library {
            let copy = meeting.folder.join(LIBRARY);
            fs::copy(path, &copy).map_err(at(&copy))?;
            library = meeting.shown.join(LIBRARY);
        }
        meeting.say_library(&library)?;
        // It may be another user's, if we are root.
        let files = [SCRIPT, ASKED, LIBRARY].map(|name| meeting.folder.join(name));
        for path in files.iter().chain([&meeting.folder]) {
            let _ = chown(path, Some(target.user), Some(target.group));
        }
        Ok(meeting)
    }

    /// Writes the script, with the place of the library as the process sees it.
    fn say_library(&self, library: &Path) -> Result<()> {
        let answer = self.shown.join(ANSWER).display().to_string();
        let text = script_text(&answer, &library.display().to_string(), &self.task);
        for name in [SCRIPT, ASKED] {
            let path = self.folder.join(name);
            fs::write(&path, &text).map_err(|source| AttachError::Io { path, source })?;
        }
        Ok(())
    }

    /// The last part of the folder's path: nothing else in the process is called so.
    #[cfg(target_arch = "x86_64")]
    fn name_in_memory(&self) -> String {
        name_of(&self.shown)
    }

    /// Waits for the answer.
    fn wait(&self, settings: &AttachSettings, patience: Duration) -> Result<()> {
        let answer = self.folder.join(ANSWER);
        let failed = self.folder.join(format!("{ANSWER}.failed"));
        let has_begun = self.folder.join(BEGUN);
        self.wait_for(settings, patience, || has_begun.exists() || failed.exists())?;
        self.wait_for(settings, LONGEST, || answer.exists() || failed.exists())?;
        if answer.exists() {
            return Ok(());
        }
        let reason = fs::read_to_string(&failed).unwrap_or_default();
        Err(AttachError::Failed(reason))
    }

    /// Waits until the process has done something.
    fn wait_for(
        &self,
        settings: &AttachSettings,
        patience: Duration,
        is_done: impl Fn() -> bool,
    ) -> Result<()> {
        let began = Instant::now();
        let mut pause = Duration::from_micros(500);
        while !is_done() {
            if settings.interrupted.load(Ordering::Relaxed) {
                return Err(AttachError::Interrupted);
            }
            // It may have done it just before its end.
            let is_running = crate::process::is_running(settings.pid);
            if (!is_running || !self.folder.exists()) && !is_done() {
                return Err(AttachError::NoProcess(settings.pid));
            }
            if began.elapsed() > patience {
                return Err(AttachError::Silent {
                    pid: settings.pid,
                    seconds: patience.as_secs(),
                });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Takes back what the interpreter was asked: when it comes to look, it finds a file that removes itself and the folder.
    fn withdraw(&self) {
        let path = crate::python_text(&self.shown.join(ASKED).display().to_string());
        let folder = crate::python_text(&self.shown.display().to_string());
        // The folder may be in use yet, and is removed by us then. The program is told nothing of it.
        let code = format!(
            "import os\ntry:\n os.unlink({path})\n os.rmdir({folder})\nexcept OSError:\n pass\n"
        );
        let code = crate::python_text(&code);
        let text = format!("__import__('builtins').exec({code}, {{}})\n");
        self.is_awaited
            .set(fs::write(self.folder.join(ASKED), text).is_ok());
    }

    /// What the dump is called: the process has said when it began.
    fn name(&self, pid: u32) -> Result<String> {
        let path = self.folder.join(BEGUN);
        let moment =
            fs::read_to_string(&path).map_err(|source| AttachError::Io { path, source })?;
        let moment: String = moment.chars().filter(char::is_ascii_alphanumeric).collect();
        Ok(format!("{moment}-{pid}.heldby"))
    }

    /// Puts the dump where it is wanted.
    fn hand_over(&self, to: &Path) -> Result<()> {
        let from = self.folder.join(ANSWER);
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| AttachError::Io { path, source }
        };
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut copy = tempfile::Builder::new()
            .prefix(".captured-")
            .suffix(".part")
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(at(to))?;
        let mut dump = File::open(&from).map_err(at(&from))?;
        io::copy(&mut dump, copy.as_file_mut()).map_err(at(to))?;
        copy.as_file().sync_all().map_err(at(to))?;
        copy.persist(to).map_err(|error| at(to)(error.error))?;
        Ok(())
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        if !self.is_awaited.get() {
            // What is left in a `/tmp` is swept some day.
            let _ = fs::remove_dir_all(&self.folder);
            return;
        }
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name() != ASKED {
                let _ = fs::remove_file(entry.path());
                let _ = fs::remove_dir(entry.path());
            }
        }
        // That is all, if the interpreter has looked by now.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// What the program runs: the agent in a namespace of its own, and a thread that does the task. An interpreter that is asked runs this
/// among the names of `__main__`, where `compile` may well be that of `re`.
fn script_text(answer: &str, library: &str, task: &str) -> String {
    let source = [
        crate::agent_source(),
        include_str!("../python/heldby_debug_session.py"),
        include_str!("../python/heldby_confirm.py"),
        include_str!("../python/heldby_attach.py"),
    ]
    .join("\n");
    let parts: String = definitions(&source)
        .iter()
        .map(|part| crate::python_text(part) + ", ")
        .collect();
    format!(
        "(lambda names, builtins: ([builtins.exec(builtins.compile(part, 'heldby_agent', 'exec', 0, True), names) for part in [{parts}]], \
         names['begin_attached']({answer}, {library}, {task})))({{'__name__': 'heldby_agent', \
         'had_threading': 'threading' in __import__('sys').modules}}, __import__('builtins'))\n",
        answer = crate::python_text(answer),
        library = crate::python_text(library),
    )
}

/// The text in parts that can be compiled one after the other. While a text is compiled no other thread of the program runs, and the whole
/// of it takes a tenth of a second.
fn definitions(source: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in source.split_inclusive("\n\n\n") {
        // Two empty lines stand before what begins at the margin; elsewhere only in texts.
        let is_inside =
            part.starts_with(|first: char| first.is_whitespace() || ")]}".contains(first));
        match parts.last_mut() {
            Some(last) if is_inside => last.push_str(part),
            _ => parts.push(part.to_owned()),
        }
    }
    parts
}

/// Runs gdb for so long at most, and returns what it said.
fn run_for(command: &mut Command, most: Duration, interrupted: &AtomicBool) -> io::Result<String> {
    use std::os::unix::process::CommandExt as _;

    let mut said = tempfile::tempfile()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        // What comes from the terminal comes to us, who know what to do first.
        .process_group(0)
        .spawn()?;
    let began = Instant::now();
    let mut why_ended = None;
    while child.try_wait()?.is_none() {
        let is_given_up = interrupted.load(Ordering::Relaxed);
        let is_late = began.elapsed() > most;
        match why_ended {
            None if is_given_up || is_late => {
                let why = if is_given_up {
                    io::ErrorKind::Interrupted
                } else {
                    io::ErrorKind::TimedOut
                };
                why_ended = Some((why, Instant::now()));
                let gdb = rustix::process::Pid::from_child(&child);
                rustix::process::kill_process(gdb, rustix::process::Signal::INT)?;
            }
            Some((_, since)) if since.elapsed() > LONGEST_TO_TAKE_BACK => child.kill()?,
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    if let Some((why, _)) = why_ended {
        return Err(io::Error::new(why, "it does not end"));
    }
    let mut text = Vec::new();
    io::Seek::rewind(&mut said)?;
    io::Read::read_to_end(&mut said, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn last_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or("nothing").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_off_names() {
        let of = |program: &str, maps: &str| minor_version(Path::new(program), maps);
        assert_eq!(of("/usr/bin/python3.11", ""), Some(11));
        let uwsgi = "7f00 r-xp 00 08:01 12 /usr/lib/x86_64-linux-gnu/libpython3.12.so.1.0\n";
        assert_eq!(of("/usr/bin/uwsgi", uwsgi), Some(12));
        let modules =
            "7f00 r-xp 00 08:01 12 /o/lib-dynload/_json.cpython-310-x86_64-linux-gnu.so\n";
        assert_eq!(of("/o/bin/python", modules), Some(10));
        assert_eq!(of("/usr/bin/node", ""), None);
    }

    #[test]
    fn definitions_are_the_whole_text() {
        let source =
            "import os\n\n\ndef one():\n    pass\n\n\n    # of one\n\n\nclass Two:\n    pass\n";
        let parts = definitions(source);
        assert_eq!(parts.concat(), source);
        let begins: Vec<&str> = parts
            .iter()
            .filter_map(|part| part.lines().next())
            .collect();
        assert_eq!(begins, ["import os", "def one():", "class Two:"]);
    }
}
