//! What the tests that cross crates share: the interpreters at hand, the binary, a program's dumps.

pub mod debugger;
pub mod lsp;
pub mod program;
pub mod running;

use std::fmt;
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

/// An interpreter, and the agent that takes the dumps in it.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// The interpreter.
    pub python: PathBuf,
    library: PathBuf,
    /// What the agent calls itself.
    pub agent: &'static str,
}

impl Runtime {
    /// Starts the interpreter in a folder.
    pub fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.current_dir(folder);
        command.env("HELDBY_NATIVE_LIBRARY", &self.library);
        command
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} with {}", self.python.display(), self.agent)
    }
}

/// Each interpreter with each agent. There is no native one but on 64-bit Linux.
pub fn runtimes() -> Vec<Runtime> {
    let mut agents = vec![(PathBuf::new(), "heldby_agent")];
    if cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        let library = heldby().with_file_name("libheldby_native.so");
        agents.push((library, "heldby_native"));
    }
    let with_agents = |python: PathBuf| {
        let of = move |(library, agent): &(PathBuf, &'static str)| Runtime {
            python: python.clone(),
            library: library.clone(),
            agent,
        };
        agents.iter().map(of).collect::<Vec<_>>()
    };
    pythons().into_iter().flat_map(with_agents).collect()
}

/// The heldby binary of this workspace, built now if it is not, and the native agent beside it.
pub fn heldby() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let arguments = [
            "build",
            "--quiet",
            "--package",
            "heldby",
            "--package",
            "heldby-native",
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
