//! Has a thread of the program load the native agent's library, and call its one function for this.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::call::{self, Argument, Call, CallError};
use super::image::{Image, Mapping};
use super::meeting::{LIBRARY, Meeting, SCRIPT};
use super::target::Target;
use super::{AttachError, AttachSettings};

/// Why no thread of the program has loaded the library.
pub(super) enum Refusal {
    /// Nothing was begun, and gdb may do it.
    NotPossible,
    Failed(AttachError),
}

impl Target {
    /// Has a thread of the program load the library.
    pub(super) fn load_by_thread(
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
        let mut in_memory = None;
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
            in_memory = Some(number);
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
        let is_library = |mapping: &Mapping| mapping.path.contains(&name);
        let Some(run) = image.function(is_library, "heldby_native_run") else {
            if let Some(number) = in_memory {
                // Nobody in the program will close it.
                let close = Call {
                    function: function("close")?,
                    arguments: [Argument::Number(number.into()), Argument::Number(0)],
                };
                call_and_wait(close, "closed")?;
            }
            return Err(Refusal::Failed(AttachError::NotLoaded(self.pid)));
        };
        let run = Call {
            function: run,
            arguments: told(0, script),
        };
        self.call(&image, &[run], settings)
    }

    /// The function of a library that an earlier capture has left in the process: another copy would be there for ever too.
    fn loaded_before(image: &Image, settings: &AttachSettings) -> Option<u64> {
        let library = fs::read(settings.native_library.as_ref()?).ok()?;
        let is_candidate = |mapping: &Mapping| mapping.path.contains("heldby-");
        let path = image.library_like(is_candidate, &library)?;
        image.function(|mapping| mapping.path == path, "heldby_native_run")
    }

    fn image(&self) -> std::result::Result<Image, Refusal> {
        let image = Image::of(self.pid);
        image.map_err(|error| self.refusal(error))
    }

    fn refusal(&self, error: io::Error) -> Refusal {
        Refusal::Failed(match error.kind() {
            io::ErrorKind::NotFound => AttachError::NoProcess(self.pid),
            _ => AttachError::NotAllowed(error.to_string()),
        })
    }

    fn call(
        &self,
        image: &Image,
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
}
