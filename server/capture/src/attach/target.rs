//! The process that is entered: what interpreter runs in it, and in which ways it is asked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[cfg(target_arch = "x86_64")]
use super::by_thread::Refusal;
use super::meeting::{ASKED, Meeting};
use super::{AttachError, AttachSettings, Result, last_line};

/// Another capture holds a process for a moment only; a debugger does for longer.
const LONGEST_TRACED: Duration = Duration::from_secs(1);

/// A process that runs Python.
pub(super) struct Target {
    pub(super) pid: u32,
    pub(super) minor: u32,
    /// The interpreter's program, if the process runs it, and not one that has the interpreter inside.
    pub(super) python: Option<PathBuf>,
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Target {
    pub(super) fn of(pid: u32) -> Result<Self> {
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
    pub(super) fn ask_interpreter(&self, meeting: &Meeting) -> Result<()> {
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
    pub(super) fn load_library(&self, meeting: &Meeting, settings: &AttachSettings) -> Result<()> {
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

pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
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
}
