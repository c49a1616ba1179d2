//! `heldby lsp`: the language server.

use std::process::ExitCode;

/// Serve an editor: the language server on standard input and output
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The editor starts it. Its log goes to stderr; RUST_LOG says how much, as in RUST_LOG=heldby=debug.

Exit codes: 0 when the client shut it down, 1 when the client went away or sent what is no message.")]
pub(super) struct Arguments {
    /// Taken as many clients pass it; there is no other way
    #[arg(long, hide = true)]
    stdio: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { stdio: _ } = arguments;
    crate::lsp::run()
}
