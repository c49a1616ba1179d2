//! What a command that takes long says meanwhile.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Says on stderr what is being done: only to a person at a terminal, and only when it takes long.
pub(super) struct Progress {
    started: Instant,
    is_terminal: bool,
}

const QUIET: Duration = Duration::from_secs(1);
/// To the line's start, and clear it.
const CLEAR: &str = "\r\x1b[2K";

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn say(&self, message: &str) {
        if self.is_terminal && self.started.elapsed() > QUIET {
            let _ = write!(std::io::stderr(), "{CLEAR}{message} …");
        }
    }

    pub(super) fn clear(&self) {
        if self.is_terminal && self.started.elapsed() > QUIET {
            let _ = write!(std::io::stderr(), "{CLEAR}");
        }
    }
}
