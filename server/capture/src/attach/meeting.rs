//! The folder where heldby and the program meet: what the program is to run lies there, and what comes of it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::target::{Target, name_of};
use super::{AttachError, AttachSettings, LONGEST, Result};

/// Where a process may have room for what it is to read and write; the first is good enough where it has as many bytes free.
pub(super) const PLACES: [&str; 4] = ["/tmp", "/dev/shm", "/var/tmp", "/run"];
const ROOM: u64 = 256 << 20;
/// With less nothing is begun.
pub(super) const LEAST_ROOM: u64 = 8 << 20;

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

pub(super) const LIBRARY: &str = "libheldby_native.so";
/// A dump, or what was counted.
pub(super) const ANSWER: &str = "answer";
const BEGUN: &str = "begun";
/// What gdb has the program run, and what its interpreter is asked to run.
pub(super) const SCRIPT: &str = "agent.py";
pub(super) const ASKED: &str = "asked.py";

/// The folder where both meet.
pub(super) struct Meeting {
    /// As we see it, and as the process does.
    pub(super) folder: PathBuf,
    pub(super) shown: PathBuf,
    /// Our path begins there.
    _root: File,
    /// The interpreter was asked to run a file of it, and may yet do so.
    is_awaited: Cell<bool>,
    /// The system loads libraries from there.
    pub(super) may_run_files: bool,
    task: String,
}

impl Meeting {
    pub(super) fn prepare(target: &Target, settings: &AttachSettings, task: &str) -> Result<Self> {
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
    pub(super) fn say_library(&self, library: &Path) -> Result<()> {
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
    pub(super) fn name_in_memory(&self) -> String {
        name_of(&self.shown)
    }

    /// Waits for the answer.
    pub(super) fn wait(&self, settings: &AttachSettings, patience: Duration) -> Result<()> {
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
    pub(super) fn wait_for(
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
    pub(super) fn withdraw(&self) {
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
    pub(super) fn name(&self, pid: u32) -> Result<String> {
        let path = self.folder.join(BEGUN);
        let moment =
            fs::read_to_string(&path).map_err(|source| AttachError::Io { path, source })?;
        let moment: String = moment.chars().filter(char::is_ascii_alphanumeric).collect();
        Ok(format!("{moment}-{pid}.heldby"))
    }

    /// Puts the dump where it is wanted.
    pub(super) fn hand_over(&self, to: &Path) -> Result<()> {
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
        include_str!("../../python/heldby_debug_session.py"),
        include_str!("../../python/heldby_confirm.py"),
        include_str!("../../python/heldby_attach.py"),
    ]
    .join("\n");
    let parts: String = definitions(&source)
        .iter()
        .map(|part| crate::python_text(part) + ", ")
        .collect();
    format!(
        "(lambda names, builtins: ([builtins.exec(builtins.compile(part, 'heldby_agent', 'exec', 0, True), names) for part in [{parts}]], \
         names['begin_attached']({answer}, {library}, {task})))({{'__name__': 'heldby_agent'}}, __import__('builtins'))\n",
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

#[cfg(test)]
mod tests {
    use super::*;

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
