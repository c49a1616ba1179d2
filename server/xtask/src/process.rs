//! Other programs: run, and judged by how they end.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a program that talks to the terminal itself.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// A program that runs beside others. It is ended when nobody waits for it.
pub(crate) struct Started {
    child: Child,
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
        Ok(Self { child, said, shown })
    }

    pub(crate) fn runs(&mut self) -> Result<bool> {
        let ended = self.child.try_wait().context("cannot wait for a program")?;
        Ok(ended.is_none())
    }

    /// Waits for its end, and shows what it wrote.
    pub(crate) fn finish(mut self) -> Result<()> {
        let status = self.child.wait().context("cannot wait for a program")?;
        self.said.rewind().context("cannot read what was said")?;
        io::copy(&mut self.said, &mut io::stdout()).context("cannot show what was said")?;
        io::stdout().flush().context("cannot show what was said")?;
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
