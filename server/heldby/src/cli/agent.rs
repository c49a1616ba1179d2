//! `heldby agent`: prints the single-file agent.

use std::process::ExitCode;

use anyhow::Context as _;

/// Print the single-file agent, to be put where the program can import it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  heldby agent > heldby_agent.py
  ssh box 'cat > heldby_agent.py' < <(heldby agent --native)

In the program:
  import heldby_agent
  heldby_agent.dump(\"/tmp/app-1.heldby\")")]
pub(super) struct Arguments {
    /// With the native agent inside, which takes dumps in milliseconds on a machine like this one
    #[arg(long)]
    native: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.native {
        let library = heldby_capture::native_library()
            .context("the native agent's library is not beside heldby")?;
        let source = heldby_capture::agent_source_with(&library)
            .with_context(|| format!("cannot read {}", library.display()))?;
        super::print(&source)?;
        return Ok(ExitCode::SUCCESS);
    }
    super::print(heldby_capture::agent_source())?;
    Ok(ExitCode::SUCCESS)
}
