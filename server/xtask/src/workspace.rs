//! Where things lie, and how cargo is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// The target folder: `CARGO_TARGET_DIR`, or `target` in the workspace.
pub(crate) fn target() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => std::path::absolute(folder).context("CARGO_TARGET_DIR names no folder"),
        None => Ok(root().join("target")),
    }
}

/// Cargo, in the workspace's folder.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    command
}

/// How a binary is built.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// Quick to build
    Debug,
    /// Quick to run
    Release,
}

/// Builds the native agent and says where its library is.
pub(crate) fn build_native_agent(profile: Profile) -> Result<PathBuf> {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = build_heldby(profile)?.with_file_name(format!("{prefix}heldby_native{suffix}"));
    anyhow::ensure!(
        library.is_file(),
        "cargo built the native agent, but {} is not there",
        library.display()
    );
    Ok(library)
}

/// Builds the heldby binary, and the native agent beside it, and says where the binary is.
pub(crate) fn build_heldby(profile: Profile) -> Result<PathBuf> {
    let (arguments, folder): (&[&str], _) = match profile {
        // As its tests are built: else each has its own copy of what it is made of, a few features apart. But not this program, which runs.
        Profile::Debug => (
            &[
                "build",
                "--workspace",
                "--all-targets",
                "--exclude",
                "xtask",
            ],
            "debug",
        ),
        Profile::Release => (
            &[
                "build",
                "--release",
                "--package",
                "heldby",
                "--package",
                "heldby-native",
            ],
            "release",
        ),
    };
    process::run(&mut cargo(arguments))?;
    let binary = target()?
        .join(folder)
        .join(format!("heldby{}", std::env::consts::EXE_SUFFIX));
    anyhow::ensure!(
        binary.is_file(),
        "cargo built heldby, but {} is not there",
        binary.display()
    );
    Ok(binary)
}
