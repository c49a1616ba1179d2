//! Has gdb load the native agent's library in the program, where no thread can be made to.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::meeting::{LIBRARY, Meeting, SCRIPT};
use super::target::Target;
use super::{AttachError, AttachSettings, Result, last_line};

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

impl Target {
    /// Has gdb load the library, and call its one function for this.
    pub(super) fn ask_gdb(&self, meeting: &Meeting, settings: &AttachSettings) -> Result<()> {
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
