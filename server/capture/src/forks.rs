//! Forks that Python was not told of: what it runs in a new process did not run there, and they take no dumps.
//!
//! A fork has its parent's code and stack where that has them, and a program that was executed has its own at random places
//! (`startcode` and `startstack` of proc_pid_stat(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::launch::JOINED;

/// Least time between two looks.
const BETWEEN: Duration = Duration::from_secs(1);
/// Of all time a look takes at most one part in so many.
const REST: u32 = 200;
/// What goes on to execute another program, or is still to be told, has done so by then.
const LONG_ENOUGH: Duration = Duration::from_secs(3);
/// What the process that takes a native dump is called, which Python is not told of either.
const TAKES_A_DUMP: &str = "heldby-dump";

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
            let mut forks = Forks::of(bootstrap.join(JOINED));
            let mut tell = Some(tell);
            let mut pause = BETWEEN;
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let began = Instant::now();
                forks.look();
                pause = BETWEEN.max(began.elapsed() * REST);
                if !forks.untold.is_empty()
                    && let Some(tell) = tell.take()
                {
                    tell(&forks.untold.keys().copied().collect::<Vec<_>>());
                }
            }
            forks.untold.into_keys().collect()
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

/// Where a process's code and stack begin.
type Places = [u64; 2];

#[derive(Debug)]
struct Forks {
    record: PathBuf,
    /// Bytes of the record that were read.
    read: u64,
    /// The processes that have loaded the agent, while they run what they ran then.
    joined: BTreeMap<u32, Places>,
    untold: BTreeMap<u32, Places>,
    /// Since when others are known.
    seen: BTreeMap<u32, Instant>,
}

impl Forks {
    fn of(record: PathBuf) -> Self {
        Self {
            record,
            read: 0,
            joined: BTreeMap::new(),
            untold: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    fn look(&mut self) {
        let added = self.added().unwrap_or_default();
        for (pid, places) in joined(&added) {
            self.joined.insert(pid, places);
            self.untold.remove(&pid);
        }
        // One that has ended or executed another program never comes back.
        self.joined.retain(|pid, own| places(*pid) == Some(*own));
        let mut now = BTreeMap::new();
        for (&parent, own) in self.joined.iter().chain(&self.untold) {
            for child in children(parent) {
                let is_known = self.joined.contains_key(&child) || self.untold.contains_key(&child);
                if !is_known && places(child) == Some(*own) && !takes_a_dump(child) {
                    let since = self.seen.get(&child).copied();
                    now.insert(child, (since.unwrap_or_else(Instant::now), *own));
                }
            }
        }
        for (&child, (since, own)) in &now {
            if since.elapsed() >= LONG_ENOUGH {
                self.untold.insert(child, *own);
            }
        }
        let since = now.into_iter().map(|(child, (since, _))| (child, since));
        self.seen = since.collect();
    }

    /// What was added to the record: whole entries.
    fn added(&mut self) -> std::io::Result<Vec<u8>> {
        let mut file = fs::File::open(&self.record)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut added = Vec::new();
        file.read_to_end(&mut added)?;
        let whole = added.iter().rposition(|byte| *byte == 0);
        added.truncate(whole.map_or(0, |last| last + 1));
        self.read += added.len() as u64;
        Ok(added)
    }
}

/// The entries of a record: the processes that have loaded the agent, and the places of each.
pub(crate) fn joined(record: &[u8]) -> impl Iterator<Item = (u32, Places)> + '_ {
    record.split(|byte| *byte == 0).filter_map(|entry| {
        let mut numbers = std::str::from_utf8(entry).ok()?.split(' ');
        let pid = numbers.next()?.parse().ok()?;
        let mut place = || numbers.next()?.parse().ok();
        Some((pid, [place()?, place()?]))
    })
}

fn children(parent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task"));
    let of_thread = |thread: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(thread.ok()?.path().join("children")).ok()
    };
    let texts = threads.into_iter().flatten().filter_map(of_thread);
    texts
        .flat_map(|text| {
            let ids = text.split_whitespace().map(str::parse);
            ids.filter_map(Result::ok).collect::<Vec<u32>>()
        })
        .collect()
}

fn takes_a_dump(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name.trim_end() == TAKES_A_DUMP)
}

/// None where the system does not tell.
fn places(pid: u32) -> Option<Places> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, which may have anything in it, ends with the last bracket; the third field stands behind it.
    let (_, fields) = status.rsplit_once(')')?;
    let field = |number: usize| fields.split_whitespace().nth(number - 3)?.parse().ok();
    let places = [field(26)?, field(28)?];
    (!places.contains(&0)).then_some(places)
}
