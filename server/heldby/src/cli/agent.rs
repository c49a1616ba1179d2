//! `heldby agent`: prints the single-file agent.

use std::process::ExitCode;

/// Print the single-file agent, to be put where the program can import it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heldby agent > heldby_agent.py
  ssh box 'cat > heldby_agent.py' < <(heldby agent)

In the program:
  import heldby_agent
  heldby_agent.dump(\"/tmp/app-1.heldby\")")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    super::print(heldby_capture::agent_source())?;
    Ok(ExitCode::SUCCESS)
}
