//! The command line: what there is to call, and what its exit codes mean.

mod agent;
#[cfg(target_os = "linux")]
mod capture;
#[cfg(target_os = "linux")]
mod confirm;
mod explain;
mod lsp;
mod progress;
mod referrers;
mod report;
mod run;
mod signals;
mod stat;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code: warnings were found, and `--fail-on warning` asked for it.
const WARNINGS_FOUND: u8 = 1;
/// Exit code: could not do what was asked.
pub(crate) const COULD_NOT: u8 = 2;

/// Shows which lines of a Python program create the references that keep its memory.
#[derive(Debug, Parser)]
#[command(name = "heldby", version, about, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  heldby run -- python app.py          run a program, dump its heap as it goes, then report
  heldby capture --pid 4711            dump the heap of a program that runs already
  heldby agent > heldby_agent.py       put the agent where the program can import it, then call
                                       heldby_agent.dump(\"1.heldby\") at three moments
  heldby report 1.heldby 2.heldby 3.heldby
                                       what grew between them, and the lines that keep it
  heldby referrers 3.heldby --type Photo
                                       who holds these objects

Exit codes: 0 done, 1 warnings found with --fail-on warning, 2 could not.";

#[derive(Debug, Subcommand)]
enum Command {
    Agent(agent::Arguments),
    #[cfg(target_os = "linux")]
    Capture(capture::Arguments),
    #[cfg(target_os = "linux")]
    Confirm(confirm::Arguments),
    Explain(explain::Arguments),
    Lsp(lsp::Arguments),
    Report(report::Arguments),
    Referrers(referrers::Arguments),
    Run(run::Arguments),
    Stat(stat::Arguments),
}

/// Does what the command line asks.
///
/// # Errors
/// When it could not.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Agent(arguments) => agent::run(&arguments),
        #[cfg(target_os = "linux")]
        Command::Capture(arguments) => capture::run(&arguments),
        #[cfg(target_os = "linux")]
        Command::Confirm(arguments) => confirm::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Lsp(arguments) => lsp::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Referrers(arguments) => referrers::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Stat(arguments) => stat::run(&arguments),
    }
}

/// Says on stderr what went wrong, with its causes.
pub(crate) fn complain(error: &anyhow::Error) {
    // Nobody is left to be told when stderr is closed.
    let _ = writeln!(anstream::stderr(), "heldby: {error:#}");
}

/// Writes to stdout. A reader that went away (`| head`) is no error.
fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
