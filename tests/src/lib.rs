//! What the tests that cross crates share: the interpreters at hand, the binary, a program's dumps.

pub mod debugger;
pub mod lsp;
pub mod program;
pub mod running;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The interpreters that live tests run on: those of `HELDBY_TEST_PYTHONS`, else `python3`.
pub fn pythons() -> Vec<PathBuf> {
    match std::env::var_os("HELDBY_TEST_PYTHONS") {
        Some(paths) => std::env::split_paths(&paths).collect(),
        None => vec![PathBuf::from("python3")],
    }
}

/// The heldby binary of this workspace, built now if it is not.
pub fn heldby() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let arguments = [
            "build",
            "--quiet",
            "--package",
            "heldby",
            "--bin",
            "heldby",
            "--message-format=json",
        ];
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = succeed(
            Command::new(cargo)
                .args(arguments)
                .current_dir(env!("CARGO_MANIFEST_DIR")),
        );
        let text = String::from_utf8_lossy(&built.stdout).into_owned();
        let messages = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut executables =
            messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
        executables
            .next_back()
            .unwrap_or_else(|| panic!("cargo built no heldby: {text}"))
    })
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
