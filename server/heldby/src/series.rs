//! The dumps of one process, oldest first: read one at a time, compared, joined with the source.
//!
//! One heap is in memory at a time, the newest whole dump's; of the others only counts by access path are kept.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use heldby_dump::{Dump, Header, Problem, ProcessKey, SourceFile};
use heldby_finding::{DumpSummary, Finding, Module, Program, SourceFact, findings};
use heldby_heap::{Cancel, Cancelled, Heap};
use heldby_retention::{
    Analysis, Holding, PatternCounts, Territories, Territory, holdings as holdings_of,
};
use heldby_source::{ClassName, Site, Sources};

use crate::disk::LocalFiles;

/// Fewer dumps prove no growth.
const DUMPS_THAT_PROVE: usize = 3;

/// The dumps of one process.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) process: ProcessKey,
    dumps: Vec<SeriesDump>,
    newest: Option<Arc<Newest>>,
}

/// A dump of a series.
#[derive(Debug)]
pub(crate) struct SeriesDump {
    pub(crate) path: PathBuf,
    /// Before it was read.
    version: Option<Version>,
    pub(crate) taken_at_nanoseconds: u64,
    at_exit: bool,
    for_question: bool,
    state: State,
}

/// What tells that a file was written again.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    bytes: u64,
    modified: SystemTime,
}

impl Version {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok()?,
        })
    }
}

#[derive(Debug)]
enum State {
    Unread,
    Read {
        summary: DumpSummary,
        /// Counts of a whole dump.
        counts: Option<PatternCounts>,
    },
    Unreadable {
        reason: String,
    },
}

/// The dump that is reported on.
#[derive(Debug)]
pub(crate) struct Newest {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    pub(crate) heap: Heap,
    pub(crate) analysis: Analysis,
    pub(crate) source_files: Vec<SourceFile>,
    is_whole: bool,
}

impl Series {
    /// Of a process whose dumps are yet to come.
    pub(crate) fn new(process: ProcessKey) -> Self {
        Self {
            process,
            dumps: Vec::new(),
            newest: None,
        }
    }

    /// Adds a dump of the process, and says whether it has to be read. A dump at the same path is another one by now, unless its file
    /// is as it was: who took a dump and who watches its folder both tell of it.
    pub(crate) fn add(&mut self, path: &Path, header: &Header) -> bool {
        let version = Version::of(path);
        let is_known = self.dumps.iter().any(|dump| {
            dump.path == path
                && dump.taken_at_nanoseconds == header.taken_at_nanoseconds
                && dump.version == version
                && version.is_some()
                && matches!(dump.state, State::Read { .. })
        });
        if is_known {
            return false;
        }
        self.remove(path);
        self.dumps.push(SeriesDump {
            path: path.to_owned(),
            version,
            taken_at_nanoseconds: header.taken_at_nanoseconds,
            at_exit: header.at_exit,
            for_question: header.for_question,
            state: State::Unread,
        });
        self.dumps.sort_by_key(|dump| dump.taken_at_nanoseconds);
        true
    }

    /// Forgets the dump at a path.
    pub(crate) fn remove(&mut self, path: &Path) {
        self.dumps.retain(|dump| dump.path != path);
        if self
            .newest
            .as_ref()
            .is_some_and(|newest| newest.path == path)
        {
            self.newest = None;
        }
    }

    /// Its dumps, oldest first.
    pub(crate) fn dumps(&self) -> &[SeriesDump] {
        &self.dumps
    }

    /// The dump that is reported on; `None` until [`Series::read`] found one.
    pub(crate) fn newest(&self) -> Option<&Arc<Newest>> {
        self.newest.as_ref()
    }

    /// Lets the newest dump's heap go; the next [`Series::read`] reads it again.
    pub(crate) fn release(&mut self) {
        self.newest = None;
    }

    /// Reads the dumps that were not read yet, and keeps the newest whole one. `progress` is told what is being done.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub(crate) fn read(
        &mut self,
        cancel: &Cancel,
        progress: &dyn Fn(&str),
    ) -> Result<(), Cancelled> {
        let count = self.counted();
        for at in 0..count {
            if !matches!(self.dumps[at].state, State::Unread) {
                continue;
            }
            let path = self.dumps[at].path.clone();
            progress(&format!(
                "reading dump {} of {count}: {}",
                at + 1,
                path.display()
            ));
            // The heap before is dropped first: two of them need not be in memory.
            self.newest = None;
            self.read_one(at, &path, cancel)?;
        }
        let wanted = self.newest_whole(count);
        let is_there = |newest: &Arc<Newest>| match wanted {
            Some(at) => newest.path == self.dumps[at].path,
            None => true,
        };
        if self.newest.as_ref().is_some_and(is_there) {
            return Ok(());
        }
        // The dumps behind it are damaged, or one of them went.
        let last_read = (0..count)
            .rev()
            .find(|&at| matches!(self.dumps[at].state, State::Read { .. }));
        if let Some(at) = wanted.or(last_read) {
            let path = self.dumps[at].path.clone();
            progress(&format!("reading {} again", path.display()));
            self.newest = None;
            self.read_one(at, &path, cancel)?;
        }
        Ok(())
    }

    fn read_one(&mut self, at: usize, path: &Path, cancel: &Cancel) -> Result<(), Cancelled> {
        let read = heldby_dump::read(path, cancel);
        cancel.check()?;
        self.dumps[at].state = match read {
            Err(error) => State::Unreadable {
                reason: reason(path, &error.into()),
            },
            Ok(dump) if dump.header.process() != self.process => State::Unreadable {
                reason: "another process's dump stands there by now".to_owned(),
            },
            Ok(dump) => {
                let analysis = Analysis::of(&dump.heap, cancel)?;
                let is_whole = is_whole(&dump);
                let state = State::Read {
                    summary: summary(path, &dump),
                    counts: is_whole.then(|| analysis.counts()),
                };
                let Dump {
                    header,
                    heap,
                    source_files,
                    ..
                } = dump;
                self.newest = Some(Arc::new(Newest {
                    path: path.to_owned(),
                    header,
                    heap,
                    analysis,
                    source_files,
                    is_whole,
                }));
                state
            }
        };
        Ok(())
    }

    /// How many of the dumps count. A process that ends has perhaps done nothing since the dump before: its last dump would make
    /// every growth look ended. It counts only where there are not enough others.
    fn counted(&self) -> usize {
        let ends = self.dumps.last().is_some_and(|dump| dump.at_exit);
        self.dumps.len() - usize::from(self.dumps.len() > DUMPS_THAT_PROVE && ends)
    }

    /// The newest whole dump stands last unless the ones after it are damaged.
    fn newest_whole(&self, count: usize) -> Option<usize> {
        (0..count).rev().find(|&at| {
            matches!(
                self.dumps[at].state,
                State::Read {
                    counts: Some(_),
                    ..
                }
            )
        })
    }

    /// What its dumps have, oldest first.
    pub(crate) fn summaries(&self) -> Vec<DumpSummary> {
        let read = self.dumps.iter().filter_map(|dump| match &dump.state {
            State::Read { summary, .. } => Some(summary.clone()),
            _ => None,
        });
        read.collect()
    }

    /// Those that cannot be read, and why.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.dumps.iter().filter_map(|dump| match &dump.state {
            State::Unreadable { reason } => Some((dump.path.as_path(), reason.as_str())),
            _ => None,
        })
    }

    /// How many whole dumps growth is read off.
    pub(crate) fn whole_len(&self) -> usize {
        self.dumps[..self.counted()]
            .iter()
            .filter(|dump| !dump.for_question)
            .filter(|dump| {
                matches!(
                    dump.state,
                    State::Read {
                        counts: Some(_),
                        ..
                    }
                )
            })
            .count()
    }

    /// What the newest dump holds, compared with the ones before it.
    fn holdings(&self, newest: &Newest, territories: &Territories) -> Vec<Holding> {
        let count = self.counted();
        let end = if newest.is_whole {
            self.newest_whole(count).unwrap_or(count)
        } else {
            count
        };
        let earlier = self.dumps[..end]
            .iter()
            .filter(|dump| !dump.for_question)
            .filter_map(|dump| match &dump.state {
                State::Read { counts, .. } => counts.clone(),
                _ => None,
            });
        let mut earlier: Vec<PatternCounts> = earlier.collect();
        if newest.header.for_question {
            // It stands for the one before it: nobody knows what the program did in between.
            earlier.pop();
        }
        holdings_of(
            &newest.heap,
            &newest.analysis,
            &earlier,
            territories,
            newest.header.collector_is_off,
        )
    }

    /// The findings, best first, with their sites in the texts that `files` gives. Empty before a dump was read.
    pub(crate) fn findings(&self, files: &LocalFiles) -> Vec<Finding> {
        let Some(newest) = &self.newest else {
            return Vec::new();
        };
        let territories = territories(&newest.header);
        let holdings = self.holdings(newest, &territories);
        let program = Program {
            modules: modules(&newest.heap, &territories),
            facts: newest.source_files.iter().map(fact).collect(),
            files,
            local_path: &|path| files.local_path(path),
        };
        findings(&holdings, program)
    }
}

impl Series {
    /// The header lines of the user's classes among the wanted types of the newest dump.
    pub(crate) fn class_lines(
        &self,
        files: &LocalFiles,
        is_wanted: &dyn Fn(u32) -> bool,
    ) -> Vec<(u32, Site)> {
        let Some(newest) = &self.newest else {
            return Vec::new();
        };
        let heap = &newest.heap;
        let mut modules = modules(heap, &territories(&newest.header));
        modules.retain(|module| module.user);
        let names: HashSet<String> = modules.iter().map(|module| module.name.clone()).collect();
        let sources = Sources::new(files, modules);
        let types = (0u32..).zip(&heap.names().types);
        types
            .filter(|(index, name)| is_wanted(*index) && names.contains(heap.text(name.module)))
            .filter_map(|(index, name)| {
                let class = ClassName {
                    module: heap.text(name.module).to_owned(),
                    qualname: heap.text(name.qualname).to_owned(),
                };
                Some((index, sources.class_line(&class)?))
            })
            .collect()
    }
}

fn fact(file: &SourceFile) -> SourceFact {
    SourceFact {
        path: file.path.clone(),
        sha256: file.sha256.clone(),
        changed: file.changed,
        line_checksums: file.line_checksums.clone(),
    }
}

/// Why a dump cannot be read, without its path.
pub(crate) fn reason(path: &Path, error: &anyhow::Error) -> String {
    let words = format!("{error:#}");
    let path = format!("{}: ", path.display());
    words.strip_prefix(&path).unwrap_or(&words).to_owned()
}

/// Whether an object may be missing from the heap.
fn loses_objects(problem: &Problem) -> bool {
    !matches!(
        problem,
        Problem::Repeated { .. } | Problem::Dangling { .. } | Problem::Trailing { .. }
    )
}

fn is_whole(dump: &Dump) -> bool {
    !dump.problems.iter().any(loses_objects)
}

fn summary(path: &Path, dump: &Dump) -> DumpSummary {
    let bytes = dump
        .heap
        .objects()
        .map(|object| dump.heap.shallow_bytes(object))
        .sum();
    let mut problems: Vec<String> = dump.problems.iter().map(Problem::to_string).collect();
    if !is_whole(dump) {
        problems.push(
            "growth is not read off this dump: what is missing would look like a loss".to_owned(),
        );
    }
    problems.extend(dump.header.notes.iter().cloned());
    problems.extend(dump.header.side_effects.iter().map(|(name, count)| {
        format!(
            "the capture left behind: {count} {}",
            name.replace('_', " ")
        )
    }));
    DumpSummary {
        path: path.display().to_string(),
        objects: dump.heap.len() as u64 - 1,
        references: dump.heap.reference_len() as u64,
        bytes,
        agent: dump.header.agent.clone(),
        fallback: dump.header.fallback.clone(),
        problems,
    }
}

fn territories(header: &Header) -> Territories {
    let mut library = header.library_folders.clone();
    // A prefix that differs from the interpreter's own is a virtual environment.
    if header.prefixes.len() > 1 {
        library.extend(header.prefixes.first().cloned());
    }
    Territories {
        standard_library: header.standard_library.clone(),
        library,
    }
}

fn modules(heap: &Heap, territories: &Territories) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    let mut seen = HashSet::new();
    for row in &heap.names().modules {
        let (name, path) = (heap.text(row.name), heap.text(row.file));
        if path.ends_with(".py") && seen.insert((name, path)) {
            let user = territories.of_file(path) == Territory::User;
            modules.push(Module {
                name: name.to_owned(),
                path: path.to_owned(),
                user,
            });
        }
    }
    // Of two with the same name the user's is the one that is meant: a debugger's, or that of another program that runs the user's as
    // `__main__`, was called so before.
    modules.sort_by_key(|module| !module.user);
    modules
}
