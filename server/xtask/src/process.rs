//! Other programs: run, and judged by how they end.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Several times what the longest of them takes. One that hangs must be told of, and those behind it run, while somebody still waits.
const LONGEST: Duration = Duration::from_mins(40);
/// Between two looks at a program that runs.
const REST: Duration = Duration::from_millis(50);

/// Runs a program that talks to the terminal itself.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let status = wait(&mut child, Instant::now(), &shown(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Waits for the end of a program, which is made to end when it has run for too long.
fn wait(child: &mut Child, began: Instant, shown: &str) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a program")? {
            return Ok(status);
        }
        if began.elapsed() > LONGEST {
            let minutes = LONGEST.as_secs() / 60;
            end_with_descendants(child);
            bail!("`{shown}` had not ended after {minutes} minutes, and was killed");
        }
        thread::sleep(REST);
    }
}

/// A test that hangs mostly waits for a program that it has started, which has our output and must not outlive us.
fn end_with_descendants(child: &mut Child) {
    let mut ended = vec![child.id()];
    let mut place = 0;
    while let Some(parent) = ended.get(place) {
        let threads = fs::read_dir(format!("/proc/{parent}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            ended.extend(
                children
                    .split(' ')
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        place += 1;
    }
    // Whatever could not be ended has ended.
    let _ = child.kill();
    let _ = child.wait();
    if ended.len() > 1 {
        let descendants = ended.iter().skip(1).map(u32::to_string);
        let _ = Command::new("kill").arg("-KILL").args(descendants).status();
    }
}

/// A program that runs beside others. It is ended when nobody waits for it.
pub(crate) struct Started {
    child: Child,
    began: Instant,
    said: File,
    shown: String,
}

impl Started {
    pub(crate) fn new(command: &mut Command) -> Result<Self> {
        let shown = shown(command);
        let said = tempfile::tempfile().context("cannot make a temporary file")?;
        let copy = || said.try_clone().context("cannot make a temporary file");
        let child = command
            .stdin(Stdio::null())
            .stdout(copy()?)
            .stderr(copy()?)
            .spawn()
            .with_context(|| format!("cannot start `{shown}`"))?;
        Ok(Self {
            child,
            began: Instant::now(),
            said,
            shown,
        })
    }

    /// False also when it has run for too long.
    pub(crate) fn runs(&mut self) -> Result<bool> {
        let ended = self.child.try_wait().context("cannot wait for a program")?;
        Ok(ended.is_none() && self.began.elapsed() <= LONGEST)
    }

    /// Waits for its end, and shows what it wrote.
    pub(crate) fn finish(mut self) -> Result<()> {
        let status = wait(&mut self.child, self.began, &self.shown);
        self.said.rewind().context("cannot read what was said")?;
        io::copy(&mut self.said, &mut io::stdout()).context("cannot show what was said")?;
        io::stdout().flush().context("cannot show what was said")?;
        let status = status?;
        if !status.success() {
            bail!("`{}` failed ({status})", self.shown);
        }
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It has ended, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program in silence. Returns what it wrote to standard output; the error has all that it wrote.
pub(crate) fn run_quietly(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if !output.status.success() {
        let said = [text(&output.stdout), text(&output.stderr)].join("\n");
        bail!(
            "`{}` failed ({}):\n{}",
            shown(command),
            output.status,
            said.trim()
        );
    }
    Ok(text(&output.stdout))
}

/// An error and what it was caused by, a line each. No backtrace: these are errors of the machine, not of ours.
pub(crate) fn explained(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n  because: ")
}

/// A command as one would type it, without the folders of the program.
pub(crate) fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
