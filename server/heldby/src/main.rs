//! heldby: which line of a program created the references that keep its memory.
//!
//! The binary joins the crates and decides nothing about leaks: `cli/` has one file a command,
//! `lsp/` is the language server.

mod analysis;
mod cli;
mod counting;
mod disk;
mod lsp;
mod refcount_words;
mod referrers;
mod report_json;
mod report_text;
mod series;
mod settings;
mod silencing;
mod stat;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&error);
            ExitCode::from(cli::COULD_NOT)
        }
    }
}
