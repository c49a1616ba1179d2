//! Calls functions in a thread of another process, as a signal's handler is called: the thread is stopped for the moment in which its
//! registers are set, and needs nobody when it returns.
//!
//! What returns from the call is `sigreturn`, from a frame on the thread's stack as the kernel itself writes it for a handler. The kernel
//! puts back every register from there, those of the vector units too. So whoever set the call up may end at any time, even before the
//! call is over, and the program goes on. No other thread is stopped at all.
//!
//! What is called may take the locks of the C library's allocator and of its loader. A thread that stands in one of them would wait for
//! itself; so a thread is taken that waits in a system call that no lock is held over, or that computes outside of the C library. Where
//! no thread stands well, it is let go, and looked at again.

use std::fs;
use std::io;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use libc::{c_int, c_long, c_void, pid_t, user_regs_struct};

use super::frames::{Frames, State};
use super::image::{Image, Mapping, mappings_of};

/// One call. What it returns is not known.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The address of the function.
    pub(crate) function: u64,
    /// What it is given.
    pub(crate) arguments: [Argument; 2],
}

#[derive(Debug, Clone)]
pub(crate) enum Argument {
    Number(u64),
    /// A C text, which lasts as long as the calls.
    Text(String),
}

/// Why nothing was called.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The system does not let us.
    NotAllowed(io::Error),
    /// The process has ended.
    Gone,
    /// A signal has stopped the process.
    Stopped,
    /// No thread stood well, as often as they were looked at.
    NoThread,
    /// It was given up.
    Interrupted,
    /// It cannot be done in this process.
    Unsupported,
}

type Result<T> = std::result::Result<T, CallError>;

/// Has some thread of a process call these functions, one after the other, and returns when it has begun. They were looked up in this
/// image: nothing is called in a process that has executed another program since.
///
/// # Errors
/// [`CallError`]: then nothing is called, and the process is as it was.
pub(crate) fn call(
    pid: u32,
    image: &Image,
    calls: &[Call],
    patience: Duration,
    is_given_up: &dyn Fn() -> bool,
) -> Result<()> {
    let caller = Caller::new(pid, image, calls)?;
    let began = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        // Whatever a thread of ours still holds when it ends goes on.
        let round = std::thread::scope(|scope| scope.spawn(|| caller.try_each_thread()).join());
        if round.unwrap_or(Err(CallError::Unsupported))? {
            return Ok(());
        }
        if is_given_up() {
            return Err(CallError::Interrupted);
        }
        if began.elapsed() > patience {
            return Err(CallError::NoThread);
        }
        // A little longer each time: what computes without an end is not to be stopped all the time.
        std::thread::sleep(pause);
        pause = (pause * 5 / 4).min(Duration::from_millis(20));
    }
}

/// `mov $15, %rax; syscall`: what each C library returns from handlers by.
const SIGRETURN: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
/// Below its stack pointer a function may keep something too.
pub(super) const RED_ZONE: u64 = 128;
/// What the loader may need of a thread's stack, with room to spare.
pub(super) const LEAST_STACK: u64 = 96 << 10;
/// How long a thread may take to stop; one that the system does not let stop is let be.
const LONGEST_TO_STOP: Duration = Duration::from_millis(100);

pub(crate) fn is_c_library(mapping: &Mapping) -> bool {
    let name = mapping.name();
    // Before glibc 2.34 the loader's functions were in a library of their own.
    [
        "libc.so",
        "libc-2",
        "libdl.so",
        "libdl-2",
        "ld-musl-",
        "libc.musl-",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

/// Whether code of a mapping may hold a lock that is needed to load a library.
fn may_hold_locks(mapping: &Mapping) -> bool {
    let name = mapping.name();
    is_c_library(mapping)
        || ["ld-", "ld.so", "libpthread", "libgcc_s"]
            .iter()
            .any(|start| name.starts_with(start))
        // An allocator that stands in for the C library's.
        || name.contains("alloc")
        // What the kernel gives each process to tell the time by: allocators ask too.
        || mapping.path.starts_with('[')
}

/// How a thread that has stopped stands, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// In a system call, which is made again afterwards just as it was.
    Waits,
    /// Computing, outside of what holds locks.
    Computes,
    /// In a system call that ends early, as when a signal comes.
    Interrupted,
}

/// What came of stopping a thread.
enum Attempt {
    Begun,
    StandsBadly,
    /// It may stop any time, and goes on only when the thread ends that has asked it to.
    DoesNotStop,
}

struct Caller<'calls> {
    pid: u32,
    calls: &'calls [Call],
    image: &'calls Image,
    sigreturn: u64,
}

impl<'calls> Caller<'calls> {
    fn new(pid: u32, image: &'calls Image, calls: &'calls [Call]) -> Result<Self> {
        if is_guarded(pid) {
            return Err(CallError::Unsupported);
        }
        let sigreturn = image
            .code(is_c_library, &SIGRETURN)
            .ok_or(CallError::Unsupported)?;
        Ok(Self {
            pid,
            calls,
            image,
            sigreturn,
        })
    }

    /// Whether one of the threads stood well, and calls.
    fn try_each_thread(&self) -> Result<bool> {
        let mut threads = self.threads()?;
        threads.sort_by_key(|(_, standing)| *standing);
        for (thread, _) in threads {
            match self.call_in(thread)? {
                Attempt::Begun => return Ok(true),
                Attempt::StandsBadly => {}
                Attempt::DoesNotStop => break,
            }
        }
        Ok(false)
    }

    /// The threads that look as if they stand well. They are not stopped for this.
    fn threads(&self) -> Result<Vec<(pid_t, Standing)>> {
        let folder = format!("/proc/{}/task", self.pid);
        let tasks = fs::read_dir(folder).map_err(|_| CallError::Gone)?;
        let names = tasks.flatten().map(|task| task.file_name());
        let numbers = names.filter_map(|name| name.to_str()?.parse::<pid_t>().ok());
        let mut threads = Vec::new();
        for thread in numbers {
            let text = fs::read_to_string(format!("/proc/{}/task/{thread}/syscall", self.pid));
            let standing = match text {
                Ok(text) if text.starts_with("running") => Some(Standing::Computes),
                // It waits for the kernel, outside of a system call.
                Ok(text) if text.starts_with('-') => None,
                Ok(text) => self.standing_in(thread, &numbers_of(&text)),
                // A kernel that does not say, or a thread that has ended; that is seen when it is to stop.
                Err(_) => Some(Standing::Interrupted),
            };
            threads.extend(standing.map(|standing| (thread, standing)));
        }
        Ok(threads)
    }

    /// How a thread stands that is in a system call, of this number and these arguments. Nowhere good, where a lock may be held.
    fn standing_in(&self, thread: pid_t, call: &[u64]) -> Option<Standing> {
        let &[number, first, second, third, ..] = call else {
            return None;
        };
        let waits_without_end = third as u32 as i32 == -1;
        match c_long::try_from(number).ok()? {
            // The mutexes of the C library, the allocator's and the loader's among them, wait otherwise: without bits, for a two.
            libc::SYS_futex => match second & 0x7f {
                FUTEX_WAIT_BITSET => Some(Standing::Waits),
                FUTEX_WAIT if third as u32 != 2 => Some(Standing::Waits),
                _ => None,
            },
            // The loader reads files.
            libc::SYS_read => {
                let file = format!("/proc/{}/task/{thread}/fd/{first}", self.pid);
                let file = fs::metadata(file).ok()?;
                (!file.is_file()).then_some(Standing::Waits)
            }
            libc::SYS_poll if waits_without_end => Some(Standing::Waits),
            libc::SYS_select
            | libc::SYS_pselect6
            | libc::SYS_ppoll
            | libc::SYS_accept
            | libc::SYS_accept4
            | libc::SYS_recvfrom
            | libc::SYS_recvmsg
            | libc::SYS_wait4
            | libc::SYS_waitid => Some(Standing::Waits),
            // Until a moment that is said.
            libc::SYS_clock_nanosleep if second == libc::TIMER_ABSTIME as u64 => {
                Some(Standing::Waits)
            }
            libc::SYS_poll
            | libc::SYS_epoll_wait
            | libc::SYS_epoll_pwait
            | SYS_EPOLL_PWAIT2
            | libc::SYS_clock_nanosleep
            | libc::SYS_nanosleep => Some(Standing::Interrupted),
            _ => None,
        }
    }

    /// Stops a thread, and sets the calls up in it if it stands well. It goes on in any case.
    fn call_in(&self, thread: pid_t) -> Result<Attempt> {
        let stopped = match StoppedThread::stop(thread) {
            Ok(stopped) => stopped,
            Err(StopError::Ended) => return Ok(Attempt::StandsBadly),
            Err(StopError::Busy) => return Ok(Attempt::DoesNotStop),
            Err(StopError::Group) => return Err(CallError::Stopped),
            // By another capture, most likely, which is about to be gone.
            Err(StopError::NotAllowed(_)) if is_traced(self.pid, thread) => {
                return Ok(Attempt::StandsBadly);
            }
            Err(StopError::NotAllowed(error)) => return Err(CallError::NotAllowed(error)),
        };
        let frames = stopped.registers().and_then(|registers| {
            let resumed = self.resumed(thread, registers)?;
            let room = self.room_below(&resumed)?;
            let frames = Frames::new(self.calls, &resumed, &stopped.state()?, self.sigreturn);
            frames.fit(room)
        });
        let begun = frames.is_some_and(|frames| {
            self.image.write(frames.address, &frames.bytes).is_ok()
                && stopped.set_registers(&frames.registers)
        });
        Ok(if begun {
            Attempt::Begun
        } else {
            Attempt::StandsBadly
        })
    }

    /// The registers with which a thread that stands well is to go on; what it was in the middle of is not lost.
    fn resumed(&self, thread: pid_t, mut registers: user_regs_struct) -> Option<user_regs_struct> {
        // Code of 64 bits.
        if registers.cs != 0x33 {
            return None;
        }
        let number = registers.orig_rax as i64;
        if number < 0 {
            let code = self.image.mapping_at(registers.rip)?;
            return (!may_hold_locks(code)).then_some(registers);
        }
        let call = [
            registers.orig_rax,
            registers.rdi,
            registers.rsi,
            registers.rdx,
        ];
        self.standing_in(thread, &call)?;
        let returns = registers.rax as i64;
        // As the kernel does it when no handler is called.
        let is_made_again = match -returns {
            ERESTARTSYS | ERESTARTNOINTR | ERESTARTNOHAND => true,
            // Its timeout is a moment and not a span, or there is none.
            ERESTART_RESTARTBLOCK => {
                number == libc::SYS_futex && registers.rsi & 0x7f == FUTEX_WAIT_BITSET
                    || number == libc::SYS_poll && registers.rdx as u32 as i32 == -1
            }
            _ => false,
        };
        if is_made_again {
            registers.rax = registers.orig_rax;
            registers.rip = registers.rip.wrapping_sub(2);
        } else if -returns == ERESTART_RESTARTBLOCK {
            registers.rax = (-i64::from(libc::EINTR)) as u64;
        }
        registers.orig_rax = u64::MAX;
        Some(registers)
    }

    /// The stack below what a thread uses of it.
    fn room_below(&self, registers: &user_regs_struct) -> Option<std::ops::Range<u64>> {
        // Stacks come and go: those of threads that are younger than the image are not in it.
        let text = fs::read_to_string(format!("/proc/{}/maps", self.pid)).ok()?;
        let mappings = mappings_of(&text);
        let stack = mappings
            .iter()
            .find(|mapping| mapping.contains(registers.rsp) && mapping.is_writable)?;
        let start = if stack.path == "[stack]" {
            // The main thread's grows by itself.
            stack.start.saturating_sub(LEAST_STACK)
        } else if registers.rsp < registers.fs_base && stack.contains(registers.fs_base) {
            // What the C library knows of a thread stands at the top of its stack.
            stack.start
        } else {
            // One for signals, as it may be, which is small, and ends where somebody else's memory begins.
            return None;
        };
        Some(start..registers.rsp.checked_sub(RED_ZONE)?)
    }
}

const FUTEX_WAIT: u64 = 0;
const FUTEX_WAIT_BITSET: u64 = 9;
const SYS_EPOLL_PWAIT2: c_long = 441;
/// What a system call that was interrupted returns inside of the kernel (`include/linux/errno.h`).
const ERESTARTSYS: i64 = 512;
const ERESTARTNOINTR: i64 = 513;
const ERESTARTNOHAND: i64 = 514;
const ERESTART_RESTARTBLOCK: i64 = 516;

/// The number of the system call, in decimal, and its arguments.
fn numbers_of(text: &str) -> Vec<u64> {
    let number = |word: &str| match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    };
    text.split_whitespace().map_while(number).collect()
}

/// Whether somebody else holds a thread.
fn is_traced(pid: u32, thread: pid_t) -> bool {
    status_of(pid, thread, "TracerPid:").is_some_and(|tracer| tracer != "0")
}

/// Whether the processor compares each return with the call that it belongs to.
fn is_guarded(pid: u32) -> bool {
    let thread = pid_t::try_from(pid).unwrap_or(0);
    status_of(pid, thread, "x86_Thread_features:").is_some_and(|has| has.contains("shstk"))
}

fn status_of(pid: u32, thread: pid_t, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{thread}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().to_owned())
}

/// A thread that we hold. It goes on when this is dropped.
struct StoppedThread {
    thread: pid_t,
}

enum StopError {
    NotAllowed(io::Error),
    Ended,
    /// It does not stop: the system lets nothing interrupt it.
    Busy,
    /// A signal has stopped the whole process.
    Group,
}

impl StoppedThread {
    fn stop(thread: pid_t) -> std::result::Result<Self, StopError> {
        let of = |error: io::Error| match error.raw_os_error() {
            Some(libc::ESRCH) => StopError::Ended,
            _ => StopError::NotAllowed(error),
        };
        request(libc::PTRACE_SEIZE, thread, 0).map_err(of)?;
        request(libc::PTRACE_INTERRUPT, thread, 0).map_err(of)?;
        let began = Instant::now();
        loop {
            let mut status: c_int = 0;
            // SAFETY: a place to write the status into.
            #[allow(unsafe_code, reason = "nothing safe waits for a thread that is traced")]
            let found =
                unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL | libc::WNOHANG) };
            if found == thread && libc::WIFSTOPPED(status) {
                let signal = libc::WSTOPSIG(status);
                if status >> 16 != libc::PTRACE_EVENT_STOP {
                    // A signal came first: it has it, and stops afterwards.
                    request(libc::PTRACE_CONT, thread, signal).map_err(of)?;
                    continue;
                }
                let stopped = Self { thread };
                return if signal == libc::SIGTRAP {
                    Ok(stopped)
                } else {
                    Err(StopError::Group)
                };
            }
            if found != 0 {
                return Err(StopError::Ended);
            }
            if began.elapsed() > LONGEST_TO_STOP {
                return Err(StopError::Busy);
            }
            std::thread::sleep(Duration::from_micros(20));
        }
    }

    fn registers(&self) -> Option<user_regs_struct> {
        // SAFETY: numbers, of which zeros are some.
        #[allow(unsafe_code, reason = "a C structure to be filled")]
        let mut registers: user_regs_struct = unsafe { std::mem::zeroed() };
        let place = (&raw mut registers).cast();
        let got = request_with(libc::PTRACE_GETREGS, self.thread, null_mut(), place);
        got.ok().map(|()| registers)
    }

    fn set_registers(&self, registers: &user_regs_struct) -> bool {
        let place = (&raw const *registers).cast_mut().cast();
        request_with(libc::PTRACE_SETREGS, self.thread, null_mut(), place).is_ok()
    }

    fn state(&self) -> Option<State> {
        const NT_X86_XSTATE: usize = 0x202;
        const LEAST: usize = 576;

        let mut extended = vec![0u8; 64 << 10];
        let mut place = libc::iovec {
            iov_base: extended.as_mut_ptr().cast(),
            iov_len: extended.len(),
        };
        let kind = NT_X86_XSTATE as *mut c_void;
        request_with(
            libc::PTRACE_GETREGSET,
            self.thread,
            kind,
            (&raw mut place).cast(),
        )
        .ok()?;
        extended.truncate(place.iov_len);
        let mut blocked_signals = 0u64;
        request_with(
            libc::PTRACE_GETSIGMASK,
            self.thread,
            8 as *mut c_void,
            (&raw mut blocked_signals).cast(),
        )
        .ok()?;
        (extended.len() >= LEAST).then_some(State {
            extended,
            blocked_signals,
        })
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        // One that has ended needs no leave.
        let _ = request(libc::PTRACE_DETACH, self.thread, 0);
    }
}

fn request(what: libc::c_uint, thread: pid_t, data: c_int) -> io::Result<()> {
    request_with(what, thread, null_mut(), data as usize as *mut c_void)
}

fn request_with(
    what: libc::c_uint,
    thread: pid_t,
    address: *mut c_void,
    data: *mut c_void,
) -> io::Result<()> {
    // SAFETY: each caller above hands on places that are as large as what is asked writes, and outlive the request.
    #[allow(unsafe_code, reason = "there is no safe way to trace a process")]
    let answer = unsafe { libc::ptrace(what, thread, address, data) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
