//! The project's own chores: `cargo xtask demo`, `cargo xtask test`, `cargo xtask bench`, `cargo xtask dist`, `cargo xtask leaks`,
//! `cargo xtask silence`.
//!
//! One file per command. Every command sets up what it needs under the target folder, and says what it does as it
//! goes; its result alone goes to standard output.

#![allow(clippy::print_stdout, clippy::print_stderr)] // this program's purpose is to talk to a terminal

mod bench;
mod bench_lsp;
mod bench_native;
mod bench_trace;
mod debian_pythons;
mod debug_sessions;
mod demo;
mod dist;
mod drift;
mod editors;
mod leaks;
mod peers;
mod process;
mod python;
mod readme;
mod silence;
mod test;
mod vscode;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "The chores of the heldby project",
    max_term_width = 100
)]
struct Arguments {
    #[command(subcommand)]
    command: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run a leaking Django server, upload images to it, and show what heldby finds
    Demo(demo::Options),
    /// Run everything that guards the project
    Test(test::Options),
    /// Print the figures: time and memory of the agent and of the report
    Bench(bench::Options),
    /// Build the extension of VS Code, with the server inside
    Dist(dist::Options),
    /// Write the README's table of the leaking programs that the tests run
    Leaks,
    /// Run applications that do not leak, under load, and print every finding: there may be no warning
    Silence(silence::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Chore::Demo(options) => demo::run(&options),
        Chore::Test(options) => test::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Dist(options) => dist::run(&options),
        Chore::Leaks => leaks::run(),
        Chore::Silence(options) => silence::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", process::explained(&error));
            ExitCode::FAILURE
        }
    }
}
