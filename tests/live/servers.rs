//! `heldby run` with servers that people run: several processes, reloaded on an edit, ended by a signal.
//!
//! They come from the Python package index: `cargo xtask test --all` installs them, and names the Python that has them in
//! `HELDBY_TEST_SERVERS`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use heldby_tests::running::Place;

/// For a server to do what it does in a second.
const LONG: Duration = Duration::from_secs(120);
/// That many prove growth, and one more is taken at exit. Those before the first order are not kept.
const DUMPS: usize = 4;

#[test]
#[ignore = "needs gunicorn: `cargo xtask test --all` installs and runs it"]
fn gunicorn_with_two_workers() {
    let shop = Shop::new();
    let program = [
        "-m",
        "gunicorn",
        "--workers=2",
        "--bind=127.0.0.1:PORT",
        "shop:wsgi",
    ];
    let alone = shop.visit_alone(&program);
    let server = shop.serve(&program);
    server.visit_until_each_has(2, DUMPS);
    let ended = server.end();
    ended.assert_ran_like(&alone);
    ended.assert_processes(3);
    ended.assert_reported("shop.ORDERS", "shop.py:8:5");
}

#[test]
#[ignore = "needs uvicorn: `cargo xtask test --all` installs and runs it"]
fn uvicorn_with_two_workers() {
    let shop = Shop::new();
    let program = ["-m", "uvicorn", "--workers=2", "--port=PORT", "shop:asgi"];
    let alone = shop.visit_alone(&program);
    let server = shop.serve(&program);
    server.visit_until_each_has(2, DUMPS);
    let ended = server.end();
    ended.assert_ran_like(&alone);
    ended.assert_processes(3);
    ended.assert_reported("shop.ORDERS", "shop.py:8:5");
}

#[test]
#[ignore = "needs uvicorn: `cargo xtask test --all` installs and runs it"]
fn uvicorn_that_reloads() {
    let shop = Shop::new();
    let program = ["-m", "uvicorn", "--reload", "--port=PORT", "shop:asgi"];
    let alone = shop.visit_alone(&program);
    let server = shop.serve(&program);
    server.visit_until_each_has(1, DUMPS);
    let ended = server.end();
    ended.assert_ran_like(&alone);
    ended.assert_processes(2);
    ended.assert_reported("shop.ORDERS", "shop.py:8:5");
}

/// C code forks its workers, and tells Python of them if it is asked to.
#[test]
#[ignore = "needs uWSGI: `cargo xtask test --all` installs and runs it"]
fn uwsgi_with_two_workers() {
    let shop = Shop::new();
    let program = [
        "uwsgi",
        "--master",
        "--py-call-osafterfork",
        "--processes=2",
        "--http-socket=127.0.0.1:PORT",
        "--module=shop:wsgi",
        "--need-app",
        "--die-on-term",
    ];
    let alone = shop.visit_alone(&program);
    let server = shop.serve(&program);
    server.visit_until_each_has(2, DUMPS);
    let ended = server.end();
    // It says other addresses each time.
    assert_eq!(ended.code, alone.code, "{}", ended.log);
    // Not the master: a worker that is forked while a thread of the master has the interpreter's lock waits for it for ever.
    ended.assert_processes(2);
    ended.assert_reported("shop.ORDERS", "shop.py:8:5");
}

#[test]
#[ignore = "needs Django: `cargo xtask test --all` installs and runs it"]
fn django_that_reloads_when_a_source_is_edited() {
    let shop = Shop::new();
    let program = ["manage.py", "runserver", "PORT"];
    let alone = shop.visit_alone(&program);
    let server = shop.serve(&program);
    server.visit_until_each_has(1, DUMPS);
    let pages = shop.place.path().join("pages.py");
    let edited = fs::read_to_string(&pages).unwrap() + "# edited\n";
    fs::write(&pages, edited).unwrap();
    server.visit_until_each_has(2, 1);
    let ended = server.end();
    // What the reloader says of the edit is not in the other.
    assert_eq!(ended.code, alone.code, "{}", ended.log);
    ended.assert_processes(3);
    ended.assert_reported("pages.ORDERS", "pages.py:11:5");
}

/// The files of the servers, and the Python that can serve them.
struct Shop {
    place: Place,
    python: String,
}

impl Shop {
    fn new() -> Self {
        let python = std::env::var("HELDBY_TEST_SERVERS")
            .expect("HELDBY_TEST_SERVERS names no Python: run `cargo xtask test --all servers`");
        let place = Place::new(&[
            ("shop.py", include_str!("../servers/shop.py")),
            ("pages.py", include_str!("../servers/pages.py")),
            ("manage.py", include_str!("../servers/manage.py")),
        ]);
        Self { place, python }
    }

    /// Serves without heldby, one visitor.
    fn visit_alone(&self, program: &[&str]) -> Ended {
        let server = self.start(program, |program| self.place.alone(program));
        server.visit_until_each_has(1, 0);
        server.end()
    }

    fn serve(&self, program: &[&str]) -> Server<'_> {
        self.start(program, |program| {
            let options = ["--every", "0.5", "--dumps", &DUMPS.to_string()];
            self.place.joined(&options, program)
        })
    }

    fn start(&self, program: &[&str], command: impl Fn(&[&str]) -> Command) -> Server<'_> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let arguments: Vec<String> = program
            .iter()
            .map(|argument| argument.replace("PORT", &port.to_string()))
            .collect();
        let mut words = vec![self.python.as_str()];
        words.extend(arguments.iter().map(String::as_str));
        let uwsgi = Path::new(&self.python).with_file_name("uwsgi");
        if program.first() == Some(&"uwsgi") {
            words.splice(..2, uwsgi.to_str());
        }
        let mut command = command(&words);
        let file = |name: &str| File::create(self.place.path().join(name)).unwrap();
        command.stdout(file("out.txt")).stderr(file("err.txt"));
        let process = command.spawn().unwrap();
        Server {
            process,
            port,
            place: &self.place,
        }
    }
}

/// A server that runs.
struct Server<'a> {
    process: Child,
    port: u16,
    place: &'a Place,
}

impl Server<'_> {
    /// Orders until so many processes have answered, and each of these has taken so many dumps since.
    fn visit_until_each_has(&self, processes: usize, dumps: usize) {
        let began = Instant::now();
        // By process: the dumps before its first answer, and now.
        let mut taken: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        while taken.len() < processes || taken.values().any(|(first, now)| first + dumps > *now) {
            let answered = self.order();
            if answered.is_none() {
                std::thread::sleep(Duration::from_millis(50));
            }
            let folders = self.place.processes();
            let of = |pid: u32| {
                let mut found = folders.iter().filter(|process| process.pid == pid);
                found.next().map_or(0, |process| process.taken)
            };
            if let Some(pid) = answered {
                taken.entry(pid).or_insert((of(pid), 0));
            }
            for (pid, (_, now)) in &mut taken {
                *now = of(*pid);
            }
            assert!(began.elapsed() < LONG, "{taken:?}\n{}", self.log());
        }
    }

    /// The process that took an order, if one did.
    fn order(&self) -> Option<u32> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(LONG)).ok()?;
        let request = "GET / HTTP/1.0\r\n\r\n";
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.rsplit("\r\n").find_map(|line| line.parse().ok())
    }

    fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.place.path().join(name)).unwrap();
        read("out.txt") + &read("err.txt")
    }

    fn terminate(&self) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it as a supervisor of services does.
    fn end(mut self) -> Ended {
        self.terminate();
        let status = self.process.wait().unwrap();
        self.place.assert_nothing_is_left();
        Ended {
            code: status.code(),
            log: self.log(),
            processes: self.place.processes().len(),
        }
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // It has ended, unless the test failed: then its processes must not stay.
        if let Ok(None) = self.process.try_wait() {
            self.terminate();
            let _ = self.process.wait();
        }
    }
}

/// A server that has ended.
struct Ended {
    code: Option<i32>,
    log: String,
    processes: usize,
}

impl Ended {
    /// It ended with the same code, and has said the same things, if not as often and of the same processes.
    fn assert_ran_like(&self, alone: &Self) {
        assert_eq!(self.code, alone.code, "{}", self.log);
        let missing: Vec<_> = things_said(&alone.log)
            .difference(&things_said(&self.log))
            .cloned()
            .collect();
        assert_eq!(missing, Vec::<String>::new(), "{}", self.log);
        assert!(!self.log.contains("Traceback"), "{}", self.log);
    }

    fn assert_processes(&self, count: usize) {
        assert_eq!(self.processes, count, "{}", self.log);
    }

    /// The holder is named, and nothing else is.
    fn assert_reported(&self, holder: &str, line: &str) {
        let through = format!("alive through {holder}: ");
        let warnings: Vec<&str> = self
            .log
            .lines()
            .filter(|line| line.starts_with("warning["))
            .collect();
        assert!(!warnings.is_empty(), "{}", self.log);
        for warning in warnings {
            assert!(warning.contains(&through), "{}", self.log);
        }
        assert!(self.log.contains(line), "{}", self.log);
    }
}

/// The lines of a log with all numbers alike.
fn things_said(log: &str) -> BTreeSet<String> {
    let masked = |line: &str| {
        line.split(|character: char| character.is_ascii_digit())
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("#")
    };
    log.lines().map(masked).collect()
}
