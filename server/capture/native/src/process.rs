//! A child process that the program does not notice: no handler of `fork` runs, no signal tells of its end, no `wait` finds it.
//!
//! `clone` without a signal of exit makes such a child. The program's own `waitpid(-1)` passes over it, for that asks for children
//! that end with SIGCHLD; only `__WALL` finds it, by its number.

use std::io;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_long, pid_t, sigset_t};

/// Which of the two processes goes on.
pub(crate) enum Side {
    Parent(pid_t),
    Child,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Running,
    Code(i32),
    Signal(i32),
    /// Somebody else has waited for it, or it was never there.
    Unknown,
}

/// Makes the child. In it all signals are blocked, until [`settle_as_child`].
pub(crate) fn clone() -> io::Result<Side> {
    let before = block_all_signals();
    // Another thread may wait for another dump meanwhile.
    let held = crate::MEMORY.hold();
    // SAFETY: without flags and without a stack of its own the child is a copy, as by `fork`; the order of the other arguments differs
    // between machines, and all are zero.
    let pid = unsafe { libc::syscall(libc::SYS_clone, 0 as c_long, 0, 0, 0, 0) };
    // It sets no number of an error.
    drop(held);
    if pid == 0 {
        return Ok(Side::Child);
    }
    let error = io::Error::last_os_error();
    set_mask(&before);
    if pid < 0 {
        return Err(error);
    }
    Ok(Side::Parent(pid as pid_t))
}

/// What a child does first: it has nothing of the program's but its memory.
pub(crate) fn settle_as_child() {
    // By this name `heldby run` knows it from forks of the program's.
    // SAFETY: this process's name, of less than 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"heldby-dump".as_ptr()) };
    // Should memory run out, this process goes and not the program.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    for number in 1..=64 {
        // What comes from the terminal is meant for the program; what cannot be written is an error here, not an end.
        let is_ignored = [
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGTSTP,
            libc::SIGHUP,
            libc::SIGTERM,
            libc::SIGXFSZ,
            libc::SIGPIPE,
        ]
        .contains(&number);
        let action = if is_ignored {
            libc::SIG_IGN
        } else {
            libc::SIG_DFL
        };
        // SAFETY: no handler is set; numbers that do not exist are refused.
        unsafe { libc::signal(number, action) };
    }
    limit_what_it_takes();
    let no_core = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a limit of this process; a mask without signals.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core);
        let mut none = std::mem::zeroed::<sigset_t>();
        libc::sigemptyset(&raw mut none);
        set_mask(&none);
    }
    close_all_files();
    IS_CHILD.store(true, Ordering::Relaxed);
    go_on();
}

/// Seconds after which a child that has done nothing is ended. A step takes it some milliseconds; but another thread of the program's may
/// have had a lock of the C library's when the child was made, and there is nobody in the child to give it back.
const LONGEST_STEP: u32 = 60;
/// A disk may take longer to take the rest of a dump.
const LONGEST_SYNC: u32 = 900;

/// Set in a child: no timer of the program's may be touched.
static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// The child has done a step.
pub(crate) fn go_on() {
    end_after(LONGEST_STEP);
}

/// What the child does now is for a disk to end.
pub(crate) fn wait_for_disk() {
    end_after(LONGEST_SYNC);
}

fn end_after(seconds: u32) {
    if IS_CHILD.load(Ordering::Relaxed) {
        // SAFETY: it sets a timer of this process.
        unsafe { libc::alarm(seconds) };
    }
}

/// Seconds of CPU after which a child is ended: a walk that takes so long goes round in a circle.
const MOST_SECONDS: u64 = 900;
/// What it may take of memory besides half of what the program has: it needs some bytes an object.
const MOST_MEMORY: u64 = 1 << 30;

/// Whatever the child finds in a heap that is damaged, the machine is not to feel it.
fn limit_what_it_takes() {
    let sizes = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = sizes
        .split(' ')
        .map_while(|pages| pages.parse::<u64>().ok());
    // SAFETY: a number of the system's.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    if let (Some(all), Some(resident)) = (pages.next(), pages.next()) {
        let most = (all + resident / 2)
            .saturating_mul(page)
            .saturating_add(MOST_MEMORY);
        limit(libc::RLIMIT_AS, most);
    }
    limit(libc::RLIMIT_CPU, MOST_SECONDS);
}

/// Sets a limit that is not there yet.
fn limit(what: libc::__rlimit_resource_t, most: u64) {
    // SAFETY: a place for the limits, which are those of this process.
    unsafe {
        let mut limits = std::mem::zeroed::<libc::rlimit>();
        if libc::getrlimit(what, &raw mut limits) == 0 && limits.rlim_cur > most {
            limits.rlim_cur = most;
            libc::setrlimit(what, &raw const limits);
        }
    }
}

/// Sockets and pipes that stay open here would not look closed to their other ends.
fn close_all_files() {
    // SAFETY: numbers of files, of which this process uses none yet.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 0, c_int::MAX, 0) == 0 {
            return;
        }
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        for number in 0..limit.rlim_cur.min(1 << 16) {
            libc::close(number as c_int);
        }
    }
}

/// Ends the child, and nothing that the program has set up for its end.
pub(crate) fn end(code: i32) -> ! {
    // SAFETY: it ends the process, and runs nothing.
    unsafe { libc::_exit(code) }
}

/// How a child ended, if it has.
pub(crate) fn ending(pid: pid_t) -> Ending {
    let mut status = 0;
    loop {
        // SAFETY: a place to write the status into.
        let found = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL | libc::WNOHANG) };
        match found {
            0 => return Ending::Running,
            _ if found == pid && libc::WIFEXITED(status) => {
                return Ending::Code(libc::WEXITSTATUS(status));
            }
            _ if found == pid => return Ending::Signal(libc::WTERMSIG(status)),
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return Ending::Unknown,
        }
    }
}

/// Ends a child, and waits for its end.
pub(crate) fn kill(pid: pid_t) {
    // SAFETY: a child of this process that was not waited for: the number is still its own.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        while libc::waitpid(pid, null_mut(), libc::__WALL) < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
}

/// Waits until a child has ended, a signal comes, or the time is over.
pub(crate) fn wait_a_while(pid: pid_t, milliseconds: c_int) {
    // SAFETY: a number of a process; the file that stands for it is ours, and closed.
    unsafe {
        let file = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if file < 0 {
            // An old kernel.
            libc::usleep(5000);
            return;
        }
        let mut poll = libc::pollfd {
            fd: file as c_int,
            events: libc::POLLIN,
            revents: 0,
        };
        libc::poll(&raw mut poll, 1, milliseconds);
        libc::close(file as c_int);
    }
}

/// Seconds of CPU that this process has used, and its own memory in bytes.
pub(crate) fn used_by_this_process() -> (u64, u64) {
    // SAFETY: a place to write into.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let nanoseconds =
        |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
    let memory = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let kibibytes: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"))
        .and_then(|rest| rest.trim().split(' ').next()?.parse().ok())
        .unwrap_or(0);
    (
        nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime),
        kibibytes * 1024,
    )
}

/// Does something in which no handler of the program's runs in this thread, nor in threads that begin then.
pub(crate) fn with_signals_blocked<T>(act: impl FnOnce() -> T) -> T {
    let before = block_all_signals();
    let done = act();
    set_mask(&before);
    done
}

fn block_all_signals() -> sigset_t {
    // SAFETY: masks of this thread, and places to write them into.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn set_mask(mask: &sigset_t) {
    // SAFETY: a mask that was filled.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_by_its_number_only() {
        let Ok(Side::Parent(pid)) = clone().inspect(|side| {
            if matches!(side, Side::Child) {
                end(7);
            }
        }) else {
            panic!("no child");
        };
        // SAFETY: nothing is written.
        let any = unsafe { libc::waitpid(-1, null_mut(), 0) };
        assert_eq!(any, -1, "the program sees no child");
        wait_a_while(pid, 10_000);
        assert_eq!(ending(pid), Ending::Code(7));
        assert_eq!(ending(pid), Ending::Unknown);
    }
}
