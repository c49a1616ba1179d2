//! `cargo xtask dist`: what users install. The extension of VS Code with the server inside, for the platform that builds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::test::NotToBeHad;
use crate::workspace::{self, Profile};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Put a server inside that is quick to build, not quick to run: for tests
    #[arg(long)]
    debug: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let profile = if options.debug {
        Profile::Debug
    } else {
        Profile::Release
    };
    let package = build(profile)?;
    let bytes = fs::metadata(&package).context("cannot read the package")?;
    eprintln!("{:.1} MiB", bytes.len() as f64 / f64::from(1 << 20));
    println!("{}", package.display());
    Ok(())
}

/// Builds the package and says where it is.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    let Some(target) = target_platform() else {
        bail!("VS Code knows no extensions for this platform");
    };
    let heldby = workspace::build_heldby(profile)?;
    let modules = node_modules()?;
    let sources = sources();
    for script in ["check", "lint", "build"] {
        process::run(npm(&["run", "--silent", script]).current_dir(&sources))?;
    }

    // What is packed, and nothing else: the server and the licences lie elsewhere in the repository.
    let folder = workspace::target()?.join("dist");
    let staging = folder.join("vscode-extension");
    if staging.exists() {
        fs::remove_dir_all(&staging)
            .with_context(|| format!("cannot remove {}", staging.display()))?;
    }
    for name in ["package.json", ".vscodeignore", "README.md"] {
        copy(&sources.join(name), &staging.join(name))?;
    }
    for name in ["dist", "media"] {
        copy_folder(&sources.join(name), &staging.join(name))?;
    }
    // One file: VS Code shows one.
    let licence = |name: &str| {
        let path = workspace::root().join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let both = format!(
        "heldby is under the MIT License or the Apache License 2.0, whichever you choose.\n\n{}\n\n{}",
        licence("LICENSE-MIT")?,
        licence("LICENSE-APACHE")?
    );
    fs::write(staging.join("LICENSE.txt"), both).context("cannot write the licences")?;
    let program = format!("heldby{}", std::env::consts::EXE_SUFFIX);
    copy(&heldby, &staging.join("server").join(program))?;
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = format!("{prefix}heldby_native{suffix}");
    let beside = heldby.with_file_name(&library);
    if beside.is_file() {
        copy(&beside, &staging.join("server").join(library))?;
    }

    let package = folder.join(format!("heldby-{target}.vsix"));
    let mut vsce = Command::new("node");
    vsce.arg(modules.join("@vscode/vsce/vsce"))
        .args(["package", "--no-dependencies", "--target", target])
        // The pictures in its text are inside it.
        .args(["--no-rewrite-relative-links", "--allow-missing-repository"])
        .arg("--out")
        .arg(&package)
        .current_dir(&staging)
        .stdin(Stdio::null());
    let said = vsce.output().context("vsce does not start")?;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    ensure!(package.is_file(), "vsce made no package:\n{said}");
    ensure!(!said.contains("WARNING"), "vsce warns:\n{said}");
    Ok(package)
}

fn sources() -> PathBuf {
    workspace::root().join("vscode-extension")
}

/// VS Code's name of this platform.
fn target_platform() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("linux-x64"),
        ("linux", "aarch64") => Some("linux-arm64"),
        ("macos", "x86_64") => Some("darwin-x64"),
        ("macos", "aarch64") => Some("darwin-arm64"),
        ("windows", "x86_64") => Some("win32-x64"),
        ("windows", "aarch64") => Some("win32-arm64"),
        _ => None,
    }
}

/// What the extension is built with, as its lock file names it. Beside its sources, where its tools look for it.
fn node_modules() -> Result<PathBuf> {
    let answers = |program: &str| {
        let question = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .output();
        question.is_ok_and(|output| output.status.success())
    };
    if !answers("node") || !answers("npm") {
        let why = "Node.js and npm are needed to build the extension: install them from your system's packages";
        return Err(NotToBeHad(why.to_owned()).into());
    }
    let modules = sources().join("node_modules");
    let lock = fs::read(sources().join("package-lock.json"))
        .context("cannot read vscode-extension/package-lock.json")?;
    let stamp = modules.join(".installed-lock.json");
    if !fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        println!("installing what the extension is built with beside its sources");
        let arguments = [
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ];
        process::run(npm(&arguments).current_dir(sources()))
            .map_err(|error| NotToBeHad(process::explained(&error)))?;
        fs::write(&stamp, lock).context("cannot note what was installed")?;
    }
    Ok(modules)
}

fn npm(arguments: &[&str]) -> Command {
    let mut npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.args(arguments).stdin(Stdio::null());
    npm
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry
            .with_context(|| format!("cannot read {}", from.display()))?
            .path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &to)?;
        } else {
            copy(&path, &to)?;
        }
    }
    Ok(())
}
