//! `cargo xtask demo`: a real Django server that leaks each image uploaded to it, and what heldby says about it.
//!
//! The application is `tests/demo/gallery`; nothing in it knows heldby. `tests/demo/serve.py` runs it with the agent
//! beside it, `tests/demo/upload.py` is its users. Everything that is made on the way lies in `target/demo`.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process;
use crate::python::{self, Interpreter};
use crate::workspace::{self, Profile};

/// Uploads before each of the three dumps. The first fill the application's bounded caches.
const UPLOADS: [u32; 3] = [48, 24, 24];

const SERVER_STARTS_WITHIN: Duration = Duration::from_secs(60);
const DUMP_TAKES_AT_MOST: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build heldby without optimisations: sooner built, later done
    #[arg(long)]
    debug: bool,
    /// The Python to run the demo with [default: `python3` of the PATH]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Compare the findings with tests/demo/truth.json, instead of showing them
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let interpreter = match &options.python {
        Some(program) => Interpreter::at(program)
            .with_context(|| format!("{} is no Python 3.8 or later", program.display()))?,
        None => python::default()?,
    };

    say("building heldby");
    let heldby = workspace::build_heldby(if options.debug {
        Profile::Debug
    } else {
        Profile::Release
    })?;

    let demo = Demo::prepare(heldby, &interpreter)?;
    let dumps = demo.take_dumps()?;
    if options.check {
        demo.check_unconfigured()?;
        demo.check(&dumps)
    } else {
        demo.report(&dumps)
    }
}

struct Demo {
    heldby: PathBuf,
    python: Interpreter,
    /// `tests/demo`
    sources: PathBuf,
    /// `target/demo`
    work: PathBuf,
}

impl Demo {
    /// Sets up what the server needs: Django, the agent, an empty database.
    fn prepare(heldby: PathBuf, interpreter: &Interpreter) -> Result<Self> {
        let sources = workspace::root().join("tests").join("demo");
        let work = workspace::target()?.join("demo");
        fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;

        let environment = work.join(format!("venv-3.{}", interpreter.minor));
        let python = python::environment(
            interpreter,
            &environment,
            &sources.join("requirements.txt"),
            || {
                say(&format!(
                    "installing Django and Pillow for {interpreter} in {}",
                    environment.display()
                ));
            },
        )?;

        let demo = Self {
            heldby,
            python,
            sources,
            work,
        };
        for folder in [demo.data(), demo.dumps(), demo.requests()] {
            if folder.exists() {
                fs::remove_dir_all(&folder)
                    .with_context(|| format!("cannot remove {}", folder.display()))?;
            }
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let agent = process::run_quietly(Command::new(&demo.heldby).arg("agent"))?;
        fs::write(demo.agent(), agent + "\n").context("cannot write the agent's file")?;

        say("making the gallery's database");
        let mut migrate = demo.python();
        process::run_quietly(migrate.arg(demo.gallery().join("manage.py")).args([
            "migrate",
            "--verbosity",
            "0",
        ]))?;
        Ok(demo)
    }

    /// The demo's server under load, until there are three dumps of it.
    fn take_dumps(&self) -> Result<Vec<PathBuf>> {
        let mut server = Server::start(self)?;
        say(&format!(
            "the gallery is served on {} ({})",
            server.url(),
            memory(&server.process)
        ));

        let mut dumps = Vec::new();
        for (place, uploads) in UPLOADS.into_iter().enumerate() {
            let mut upload = self.python();
            upload
                .arg(self.sources.join("upload.py"))
                .args([server.url(), uploads.to_string()]);
            let sent = process::run_quietly(&mut upload).map_err(|error| server.explain(error))?;
            let dump = self.dumps().join(format!("{}.heldby", place + 1));
            let purpose = if place == 0 {
                "uploaded to warm up"
            } else {
                "uploaded"
            };
            say(&format!(
                "{purpose}: {sent}. Dump {} of {} ({})",
                place + 1,
                UPLOADS.len(),
                memory(&server.process)
            ));
            server.dump(&self.requests(), &dump)?;
            dumps.push(dump);
        }
        Ok(dumps)
    }

    /// The findings, as a user of heldby sees them.
    fn report(&self, dumps: &[PathBuf]) -> Result<()> {
        let mut report = Command::new(&self.heldby);
        report
            .arg("report")
            .args(dumps)
            .arg("--root")
            .arg(self.gallery());
        let names: Vec<_> = dumps.iter().map(|dump| relative(dump)).collect();
        say(&format!("heldby report {}\n", names.join(" ")));
        process::run(&mut report)
    }

    /// Whether the findings are the truth, the whole truth and nothing but the truth.
    fn check(&self, dumps: &[PathBuf]) -> Result<()> {
        let mut report = Command::new(&self.heldby);
        report
            .args(["report", "--format", "json"])
            .args(dumps)
            .arg("--root")
            .arg(self.gallery());
        let report = parsed(
            &process::run_quietly(&mut report)?,
            "what `heldby report` wrote",
        )?;
        let truth = fs::read_to_string(self.sources.join("truth.json"))
            .context("cannot read truth.json")?;
        let truth = parsed(&truth, "tests/demo/truth.json")?;

        let problems = compare(&report, &truth);
        ensure!(
            problems.is_empty(),
            "the findings of the demo are not what they should be:\n  {}",
            problems.join("\n  ")
        );
        say("heldby names the leak and nothing else");
        Ok(())
    }

    /// Python of the demo's environment, with the application's settings.
    /// A capture asks nothing of objects that would answer with code of their own: Django's settings, not configured.
    fn check_unconfigured(&self) -> Result<()> {
        let mut script = self.python();
        script
            .arg(self.sources.join("unconfigured.py"))
            .arg(self.agent())
            .arg(self.dumps().join("unconfigured.dump"));
        process::run_quietly(&mut script).map(|_| ())
    }

    fn python(&self) -> Command {
        let mut command = self.python.command();
        command.current_dir(self.gallery());
        // What Python compiles goes here and not between the sources.
        command.env("PYTHONPYCACHEPREFIX", self.work.join("compiled"));
        command.env_remove("PYTHONDONTWRITEBYTECODE");
        command.env("GALLERY_DATA", self.data());
        command
            .env_remove("GALLERY_DEBUG")
            .env_remove("DJANGO_SETTINGS_MODULE");
        command
    }

    fn gallery(&self) -> PathBuf {
        self.sources.join("gallery")
    }

    fn data(&self) -> PathBuf {
        self.work.join("data")
    }

    fn dumps(&self) -> PathBuf {
        self.work.join("dumps")
    }

    fn requests(&self) -> PathBuf {
        self.work.join("requests")
    }

    fn agent(&self) -> PathBuf {
        self.work.join("heldby_agent.py")
    }

    fn log(&self) -> PathBuf {
        self.work.join("server.log")
    }
}

/// The server's process. It ends with this value.
struct Server {
    process: Child,
    port: u16,
    log: PathBuf,
}

impl Server {
    fn start(demo: &Demo) -> Result<Self> {
        let port = free_port()?;
        let log = File::create(demo.log()).context("cannot write the server's log")?;
        let mut command = demo.python();
        command
            .arg(demo.sources.join("serve.py"))
            .arg(demo.agent())
            .arg(demo.requests());
        command
            .arg(demo.gallery().join("manage.py"))
            .args(["runserver", "--noreload"]);
        command.arg(format!("127.0.0.1:{port}"));
        // serve.py ends when this pipe does, even if we are killed before we can end it.
        command
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = command
            .spawn()
            .with_context(|| format!("cannot start `{}`", process::shown(&command)))?;

        let mut server = Self {
            process,
            port,
            log: demo.log(),
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let began = Instant::now();
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            server.must_run()?;
            if began.elapsed() > SERVER_STARTS_WITHIN {
                return Err(server.explain(anyhow::anyhow!("the gallery's server does not answer")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(server)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Has the server dump its heap, the way `serve.py` describes.
    fn dump(&mut self, requests: &Path, dump: &Path) -> Result<()> {
        let name = dump.file_stem().context("a dump without a name")?;
        let request = requests.join(name).with_extension("request");
        let answer = requests.join(name).with_extension("done");
        let draft = requests.join(name).with_extension("draft");
        fs::write(&draft, dump.as_os_str().as_encoded_bytes())
            .context("cannot write the request for a dump")?;
        fs::rename(&draft, &request).context("cannot write the request for a dump")?;

        let began = Instant::now();
        while !answer.exists() {
            self.must_run()?;
            if began.elapsed() > DUMP_TAKES_AT_MOST {
                return Err(self.explain(anyhow::anyhow!("the agent has not finished its dump")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let problem = fs::read_to_string(&answer).context("cannot read the agent's answer")?;
        if !problem.trim().is_empty() {
            bail!(
                "the agent could not dump the server's heap:\n{}",
                problem.trim_end()
            );
        }
        ensure!(
            dump.is_file(),
            "the agent says that it has dumped, but {} is not there",
            dump.display()
        );
        Ok(())
    }

    fn must_run(&mut self) -> Result<()> {
        match self
            .process
            .try_wait()
            .context("cannot ask for the server's state")?
        {
            None => Ok(()),
            Some(status) => {
                Err(self.explain(anyhow::anyhow!("the gallery's server ended ({status})")))
            }
        }
    }

    /// Adds the end of the server's log to an error.
    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let log = fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n");
        anyhow::anyhow!("{error:#}\nThe end of {}:\n{end}", self.log.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port of 127.0.0.1 can be had")?;
    Ok(listener.local_addr()?.port())
}

/// How much memory a process has, where that is easily known.
fn memory(process: &Child) -> String {
    let kibibytes = fs::read_to_string(format!("/proc/{}/status", process.id()))
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
    kibibytes.map_or_else(
        || format!("process {}", process.id()),
        |size| format!("{} MiB of memory", size / 1024),
    )
}

/// What a report says that the truth does not, and the other way round.
fn compare(report: &Value, truth: &Value) -> Vec<String> {
    let all = report["findings"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let warnings: Vec<_> = all
        .iter()
        .filter(|finding| finding["severity"] == "warning")
        .collect();
    let Some(first) = warnings.first() else {
        return vec!["no warning at all".to_owned()];
    };

    let mut problems = Vec::new();
    if !is_at(&first["holder"]["definition"], &truth["holder"]) {
        problems.push(format!("the first warning's holder is {}", first["holder"]));
    }
    if !is_at(&first["stores"][0], &truth["stores"][0]) {
        problems.push(format!(
            "the first warning's first store is {}",
            first["stores"][0]
        ));
    }
    if first["growth"]["counts"].as_array().map(Vec::len) != Some(UPLOADS.len()) {
        problems.push(format!("the first warning's growth is {}", first["growth"]));
    }
    for other in &warnings[1..] {
        problems.push(format!("a warning too many: {}", other["access_path"]));
    }
    problems
}

/// Whether a site of a report is the line of a file that the truth names.
fn is_at(site: &Value, truth: &Value) -> bool {
    let ends = |path: &Value, end: &Value| match (path.as_str(), end.as_str()) {
        (Some(path), Some(end)) => Path::new(path).ends_with(end),
        _ => false,
    };
    ends(&site["file"], &truth["file"]) && site["line"] == truth["line"]
}

fn parsed(text: &str, what: &str) -> Result<Value> {
    serde_json::from_str(text).with_context(|| format!("{what} is not JSON"))
}

/// A path as one would type it here.
fn relative(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Progress. Standard output is for the findings alone.
fn say(line: &str) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(std::io::stderr(), "demo: {line}");
}
