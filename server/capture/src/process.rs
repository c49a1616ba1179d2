//! Whether another process is there.

/// Whether a process runs: one that has ended and was not waited for does not.
#[cfg(unix)]
pub(crate) fn is_running(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};

    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    // The state stands behind the program's name, which may have anything in it but ends with the last bracket.
    let state = std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero()))
        .ok()
        .and_then(|status| {
            let end = status.iter().rposition(|byte| *byte == b')')?;
            status.get(end + 2).copied()
        });
    match state {
        Some(state) => !matches!(state, b'Z' | b'X'),
        // Another user's process is there too.
        None => test_kill_process(pid) != Err(rustix::io::Errno::SRCH),
    }
}

/// Not known here: a file that is being written cannot be removed.
#[cfg(not(unix))]
pub(crate) fn is_running(_: u32) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::is_running;

    #[test]
    fn a_process_that_ended_does_not_run_even_before_it_is_waited_for() {
        assert!(is_running(std::process::id()));
        let mut child = Command::new("true").spawn().unwrap();
        while is_running(child.id()) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!is_running(child.id()));
    }
}
