//! While a program runs under heldby, signals are the program's: heldby passes them on and waits for what it does.

#[cfg(not(unix))]
pub(super) use elsewhere::Program;
#[cfg(unix)]
pub(super) use unix::Program;

#[cfg(target_os = "linux")]
pub(super) use linux::interrupted;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    /// What is set when somebody wants heldby to end: it may have things to take back first. The second time it ends at once.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub(in crate::cli) fn interrupted() -> io::Result<Arc<AtomicBool>> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&interrupted))?;
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        Ok(interrupted)
    }
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::process::{Child, Command, ExitStatus};
    use std::sync::{Arc, Mutex, PoisonError};

    use rustix::io::Errno;
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
    use signal_hook::iterator::SignalsInfo;
    use signal_hook::iterator::exfiltrator::WithOrigin;
    use signal_hook::iterator::exfiltrator::origin::Origin;
    use signal_hook::low_level::siginfo::Cause;

    /// Those that would end heldby, and that a user may send.
    const PASSED_ON: [Signal; 6] = [
        Signal::TERM,
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
    ];

    /// The program's process until it has ended: then its number may be another process's.
    type Receiver = Arc<Mutex<Option<Pid>>>;

    /// A program that runs. A signal that is sent to heldby goes to it, until it has ended.
    ///
    /// A signal from the terminal (an interrupt) is not passed on: the terminal has sent it to the program itself.
    #[derive(Debug)]
    pub(in crate::cli) struct Program {
        child: Child,
        receiver: Receiver,
    }

    impl Program {
        /// Starts a program.
        ///
        /// # Errors
        /// When it cannot be started, or signals cannot be received.
        pub(in crate::cli) fn start(command: &mut Command) -> io::Result<Self> {
            let receiver = Receiver::default();
            // A signal that comes now waits for the program.
            let mut pid = receiver.lock().unwrap_or_else(PoisonError::into_inner);
            let early = PASSED_ON.into_iter().filter(is_surely_not_ignored);
            let signals = SignalsInfo::<WithOrigin>::new(early.map(Signal::as_raw))?;
            let handle = signals.handle();
            let passing = Arc::clone(&receiver);
            std::thread::Builder::new()
                .name("signals".to_owned())
                .spawn(move || pass_on(signals, &passing))?;
            let child = command.spawn()?;
            *pid = Some(Pid::from_child(&child));
            drop(pid);
            // What heldby was told to ignore (`nohup`) the program ignores too, unless heldby receives it when the program starts.
            for signal in PASSED_ON {
                handle.add_signal(signal.as_raw())?;
            }
            Ok(Self { child, receiver })
        }

        /// Waits for its end.
        ///
        /// # Errors
        /// When the system cannot wait.
        pub(in crate::cli) fn wait(mut self) -> io::Result<ExitStatus> {
            let pid = WaitId::Pid(Pid::from_child(&self.child));
            // It stays a zombie until `child.wait`: nobody else gets its number before it is forgotten.
            while waitid(pid.clone(), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                .is_err_and(|error| error == Errno::INTR)
            {}
            *self.receiver.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.child.wait()
        }
    }

    /// False also where the system does not tell.
    fn is_surely_not_ignored(signal: &Signal) -> bool {
        let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
            return false;
        };
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        ignored
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) == 0)
    }

    fn pass_on(mut signals: SignalsInfo<WithOrigin>, receiver: &Receiver) {
        for origin in &mut signals {
            let Some(signal) = Signal::from_named_raw(origin.signal) else {
                continue;
            };
            match *receiver.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(program) if is_for_the_program(signal, &origin, program) => {
                    // It may be another user's: then it can only be waited for.
                    let _ = kill_process(program, signal);
                }
                Some(_) => {}
                None if signal == Signal::USR1 || signal == Signal::USR2 => {}
                // The report is being written, which may be interrupted.
                None => std::process::exit(128 + signal.as_raw()),
            }
        }
    }

    /// Whether the program has not had the signal by itself.
    fn is_for_the_program(signal: Signal, origin: &Origin, program: Pid) -> bool {
        let is_from_program = origin
            .process
            .is_some_and(|sender| sender.pid == program.as_raw_nonzero().get());
        match origin.cause {
            // The terminal.
            Cause::Kernel => false,
            // The program's own, sent to its group (`kill 0` in a shell script): it would come back for ever.
            Cause::Sent(_) => !is_from_program,
            // Where the system does not tell, interrupts are taken for the terminal's.
            _ => signal != Signal::INT && signal != Signal::QUIT,
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::io;
    use std::process::{Child, Command, ExitStatus};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Exit code of what an interrupt ends.
    const INTERRUPTED: i32 = 130;

    /// A program that runs. An interrupt is its affair until it has ended: the terminal has sent it to the program too.
    #[derive(Debug)]
    pub(in crate::cli) struct Program {
        child: Child,
        has_ended: Arc<AtomicBool>,
    }

    impl Program {
        /// Starts a program.
        ///
        /// # Errors
        /// When it cannot be started, or interrupts cannot be received.
        pub(in crate::cli) fn start(command: &mut Command) -> io::Result<Self> {
            let has_ended = Arc::new(AtomicBool::new(false));
            let program_has_ended = Arc::clone(&has_ended);
            let interrupted = move || {
                // The report is being written, which may be interrupted.
                if program_has_ended.load(Ordering::SeqCst) {
                    std::process::exit(INTERRUPTED);
                }
            };
            ctrlc::set_handler(interrupted).map_err(io::Error::other)?;
            let child = command.spawn()?;
            Ok(Self { child, has_ended })
        }

        /// Waits for its end.
        ///
        /// # Errors
        /// When the system cannot wait.
        pub(in crate::cli) fn wait(mut self) -> io::Result<ExitStatus> {
            let status = self.child.wait();
            self.has_ended.store(true, Ordering::SeqCst);
            status
        }
    }
}
