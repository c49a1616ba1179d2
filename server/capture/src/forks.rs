//! Forks that Python was not told of: what it runs in a new process did not run there, and they take no dumps.
//!
//! A fork has its parent's stack and code where that has them, and a program that was executed has its own at random places
//! (`startstack` and `startcode` of proc_pid_stat(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::launch::joined;

/// Time between two looks.
const BETWEEN: Duration = Duration::from_secs(1);
/// What goes on to execute another program, or is still to be told, has done so by then.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// Looks for them until it is ended.
#[derive(Debug)]
pub struct ForkWatch {
    end: Sender<()>,
    /// None where there is no thread for it.
    watching: Option<JoinHandle<BTreeSet<u32>>>,
}

impl ForkWatch {
    pub(crate) fn begin(bootstrap: PathBuf, tell: impl FnOnce(&[u32]) + Send + 'static) -> Self {
        let (end, ended) = channel();
        let watch = move || {
            let mut forks = Forks::default();
            let mut tell = Some(tell);
            while ended.recv_timeout(BETWEEN) == Err(RecvTimeoutError::Timeout) {
                forks.look(&joined(&bootstrap));
                if !forks.untold.is_empty()
                    && let Some(tell) = tell.take()
                {
                    tell(&forks.untold.iter().copied().collect::<Vec<_>>());
                }
            }
            forks.untold
        };
        let thread = std::thread::Builder::new().name("forks".to_owned());
        let watching = thread.spawn(watch).ok();
        Self { end, watching }
    }

    /// All that were found.
    pub fn end(self) -> BTreeSet<u32> {
        drop(self.end);
        let found = self.watching.map(JoinHandle::join);
        found.and_then(Result::ok).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Forks {
    untold: BTreeSet<u32>,
    /// Since when they are known.
    seen: BTreeMap<u32, Instant>,
}

impl Forks {
    fn look(&mut self, joined: &[u32]) {
        let joined: BTreeSet<u32> = joined.iter().copied().collect();
        let mut now = BTreeMap::new();
        for &parent in joined.union(&self.untold) {
            for child in children(parent) {
                if !joined.contains(&child) && is_fork_of(child, parent) {
                    let since = self.seen.get(&child).copied();
                    now.insert(child, since.unwrap_or_else(Instant::now));
                }
            }
        }
        let long = now
            .iter()
            .filter(|(_, since)| since.elapsed() >= LONG_ENOUGH);
        self.untold.extend(long.map(|(child, _)| *child));
        self.seen = now;
    }
}

fn children(parent: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{parent}/task"));
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(thread.ok()?.path().join("children")).ok()
    };
    let texts = threads.into_iter().flatten().filter_map(of_thread);
    texts
        .flat_map(|text| {
            let ids = text.split_whitespace().map(str::parse);
            ids.filter_map(Result::ok).collect::<Vec<u32>>()
        })
        .collect()
}

/// The process that takes a native dump is none: of it the system takes memory first.
fn is_fork_of(child: u32, parent: u32) -> bool {
    const TAKES_A_DUMP: &str = "1000";

    let of = |pid: u32| Some((program(pid)?, places(pid)?));
    let first_to_go = std::fs::read_to_string(format!("/proc/{child}/oom_score_adj"));
    of(child).is_some_and(|of_child| of(parent) == Some(of_child))
        && first_to_go.is_ok_and(|score| score.trim() != TAKES_A_DUMP)
}

fn program(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Where its code and its stack begin. None where the system does not tell.
fn places(pid: u32) -> Option<[u64; 2]> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, which may have anything in it, ends with the last bracket; the third field stands behind it.
    let (_, fields) = status.rsplit_once(')')?;
    let field = |number: usize| fields.split_whitespace().nth(number - 3)?.parse().ok();
    let places = [field(26)?, field(28)?];
    (!places.contains(&0)).then_some(places)
}
