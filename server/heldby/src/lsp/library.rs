//! The dumps that are loaded: which series there are, and which one is shown. Reads one series at a time; one heap is in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use heldby_dump::ProcessKey;
use heldby_finding::{Severity, words};
use heldby_heap::{Cancel, Cancelled};

use super::shown::{Shown, Standing, View};
use crate::disk::{LocalFiles, OpenTexts, SourceFolders};
use crate::series::{Series, reason};

/// A process may have started this much after the start that its dumps state: Linux tells the moment it booted in whole
/// seconds (`btime` of `/proc/stat`). Without it a program that is started again at once seems to run beside itself.
const START_IS_EARLY_BY_NANOSECONDS: u64 = 1_000_000_000;

/// A dump that one `heldby.load` named, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) outcome: Result<LoadedDump, String>,
}

#[derive(Debug, Clone)]
pub(crate) struct LoadedDump {
    pub(crate) pid: u64,
    pub(crate) series: String,
    pub(crate) objects: u64,
    /// The agent that took it.
    pub(crate) agent: String,
    pub(crate) problems: Vec<String>,
}

/// What the sources of a program are looked up in.
#[derive(Clone)]
pub(crate) struct SourceAccess {
    pub(crate) folders: SourceFolders,
    pub(crate) open: Arc<OpenTexts>,
}

/// The loaded series, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Library {
    entries: Vec<Entry>,
    /// The user's choice; else the newest is shown.
    picked: Option<ProcessKey>,
    problems: Vec<(PathBuf, String)>,
}

/// How often lines ran in a program, by the file and the lines as it has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountedPlace {
    pub(crate) file: String,
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) runs: u64,
}

#[derive(Debug)]
struct Entry {
    series: Series,
    view: Option<Arc<View>>,
    counted: Vec<CountedPlace>,
}

impl Entry {
    fn taken_at(&self) -> u64 {
        let dumps = self.series.dumps().iter();
        dumps
            .map(|dump| dump.taken_at_nanoseconds)
            .max()
            .unwrap_or_default()
    }

    /// What the findings hold that grow.
    fn leaked_bytes(&self) -> u64 {
        let findings = self.view.iter().flat_map(|view| &view.findings);
        findings
            .filter(|shown| {
                shown.finding.severity == Severity::Warning && shown.standing != Standing::Before
            })
            .map(|shown| shown.finding.held.retained_bytes)
            .sum()
    }
}

/// Names a series: its pid, and when it started.
pub(crate) fn series_id(process: ProcessKey) -> String {
    format!(
        "{}-{:x}-{:x}",
        process.pid, process.started_at_nanoseconds, process.program_started_at_nanoseconds
    )
}

impl Library {
    /// Takes dumps in and reads what has to be shown. What cannot be read is told in the outcome.
    ///
    /// # Errors
    /// [`Cancelled`]; what was read so far stays.
    pub(crate) fn load(
        &mut self,
        paths: &[PathBuf],
        access: &SourceAccess,
        cancel: &Cancel,
        progress: &dyn Fn(&str),
    ) -> Result<Vec<Loaded>, Cancelled> {
        let mut headers = Vec::new();
        let mut unread = Vec::new();
        for path in paths {
            cancel.check()?;
            self.problems.retain(|(known, _)| known != path);
            match heldby_dump::read_header(path) {
                Ok(header) => {
                    let process = header.process();
                    if self.entry(process).series.add(path, &header) {
                        unread.push(process);
                    }
                    headers.push((path.clone(), Ok(process)));
                }
                Err(error) => {
                    let reason = reason(path, &error.into());
                    self.problems.push((path.clone(), reason.clone()));
                    headers.push((path.clone(), Err(reason)));
                }
            }
        }
        let touched: Vec<ProcessKey> = headers
            .iter()
            .filter_map(|(_, header)| header.clone().ok())
            .collect();
        // What just came is what the user wants to see.
        if touched.iter().any(|process| Some(*process) != self.picked) {
            self.picked = None;
        }
        self.sort();
        for at in 0..self.entries.len() {
            if unread.contains(&self.entries[at].series.process) {
                let entry = &mut self.entries[at];
                entry.view = None;
                if let Err(cancelled) = entry.series.read(cancel, progress) {
                    self.forget_empty();
                    return Err(cancelled);
                }
                self.make_view(at, access);
                if Some(at) != self.shown_place() {
                    self.let_go(at);
                }
            }
        }
        self.show(access, cancel, progress)?;
        Ok(headers
            .into_iter()
            .map(|(path, header)| {
                let outcome = header.and_then(|process| self.outcome(&path, process));
                Loaded { path, outcome }
            })
            .collect())
    }

    fn outcome(&self, path: &Path, process: ProcessKey) -> Result<LoadedDump, String> {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.series.process == process);
        let Some(entry) = entry else {
            return Err("it was unloaded meanwhile".to_owned());
        };
        if let Some((_, reason)) = entry
            .series
            .unreadable()
            .find(|(unreadable, _)| *unreadable == path)
        {
            return Err(reason.to_owned());
        }
        let name = path.display().to_string();
        let summaries = entry.series.summaries();
        let summary = summaries.iter().find(|summary| summary.path == name);
        Ok(LoadedDump {
            pid: process.pid,
            series: series_id(process),
            objects: summary.map_or(0, |summary| summary.objects),
            agent: summary.map_or(String::new(), |summary| summary.agent.clone()),
            problems: summary.map_or(Vec::new(), |summary| {
                let fallback = Some(&summary.fallback).filter(|reason| !reason.is_empty());
                let fallback = fallback.map(|reason| words::fallback(reason));
                summary.problems.iter().cloned().chain(fallback).collect()
            }),
        })
    }

    /// Forgets dumps, all of them when none is named; how many went.
    pub(crate) fn unload(
        &mut self,
        paths: &[PathBuf],
        access: &SourceAccess,
        cancel: &Cancel,
        progress: &dyn Fn(&str),
    ) -> Result<usize, Cancelled> {
        let before = self.dump_len();
        if paths.is_empty() {
            *self = Self::default();
            return Ok(before);
        }
        self.problems.retain(|(path, _)| !paths.contains(path));
        for at in 0..self.entries.len() {
            let entry = &mut self.entries[at];
            let has_any = entry
                .series
                .dumps()
                .iter()
                .any(|dump| paths.contains(&dump.path));
            if has_any {
                for path in paths {
                    entry.series.remove(path);
                }
                entry.view = None;
            }
        }
        self.forget_empty();
        self.show(access, cancel, progress)?;
        Ok(before - self.dump_len())
    }

    /// Shows one series instead of the newest.
    pub(crate) fn pick(&mut self, id: &str) -> bool {
        let found = self
            .entries
            .iter()
            .find(|entry| series_id(entry.series.process) == id);
        let process = found.map(|entry| entry.series.process);
        if process.is_some() {
            self.picked = process;
        }
        process.is_some()
    }

    /// Ranks the sites of a series by how often they ran.
    pub(crate) fn learn_counts(&mut self, id: &str, places: Vec<CountedPlace>) {
        let mut entries = self.entries.iter_mut();
        if let Some(entry) = entries.find(|entry| series_id(entry.series.process) == id) {
            let is_new = |known: &CountedPlace| {
                !places.iter().any(|place| {
                    (&place.file, place.first, place.last) == (&known.file, known.first, known.last)
                })
            };
            entry.counted.retain(is_new);
            entry.counted.extend(places);
            entry.view = None;
        }
    }

    /// Finds the sites again: settings changed.
    pub(crate) fn forget_views(&mut self) {
        for entry in &mut self.entries {
            entry.view = None;
        }
    }

    fn dump_len(&self) -> usize {
        self.entries
            .iter()
            .map(|entry| entry.series.dumps().len())
            .sum()
    }

    fn entry(&mut self, process: ProcessKey) -> &mut Entry {
        let at = self
            .entries
            .iter()
            .position(|entry| entry.series.process == process);
        let at = at.unwrap_or_else(|| {
            self.entries.push(Entry {
                series: Series::new(process),
                view: None,
                counted: Vec::new(),
            });
            self.entries.len() - 1
        });
        &mut self.entries[at]
    }

    fn sort(&mut self) {
        self.entries.sort_by_key(|entry| {
            let first = entry.series.dumps().first();
            first.map_or(0, |dump| dump.taken_at_nanoseconds)
        });
    }

    fn forget_empty(&mut self) {
        self.entries
            .retain(|entry| !entry.series.dumps().is_empty());
    }

    /// The one picked; else the one with the newest dump; or, of those that ran beside it, the one that leaks most.
    fn shown_place(&self) -> Option<usize> {
        let picked = self
            .entries
            .iter()
            .position(|entry| Some(entry.series.process) == self.picked);
        picked.or_else(|| {
            let newest =
                (0..self.entries.len()).max_by_key(|at| (self.entries[*at].taken_at(), *at))?;
            let started = self.entries[newest].series.process.started_at_nanoseconds;
            let started_by = started.saturating_add(START_IS_EARLY_BY_NANOSECONDS);
            let beside = (0..self.entries.len())
                .filter(|at| *at == newest || self.entries[*at].taken_at() > started_by);
            beside.max_by_key(|at| {
                let entry = &self.entries[*at];
                (entry.leaked_bytes(), entry.taken_at(), *at)
            })
        })
    }

    /// Reads what is to be shown, and lets go the heaps of the others.
    pub(crate) fn show(
        &mut self,
        access: &SourceAccess,
        cancel: &Cancel,
        progress: &dyn Fn(&str),
    ) -> Result<(), Cancelled> {
        let Some(place) = self.shown_place() else {
            return Ok(());
        };
        for at in (0..self.entries.len()).filter(|at| *at != place) {
            if self.entries[at].view.is_none() {
                self.entries[at].series.read(cancel, progress)?;
                self.make_view(at, access);
            }
            self.let_go(at);
        }
        let needs_heap =
            |entry: &Entry| entry.view.as_ref().is_none_or(|view| view.asked.is_none());
        if needs_heap(&self.entries[place]) {
            self.entries[place].series.read(cancel, progress)?;
            self.make_view(place, access);
        }
        Ok(())
    }

    fn let_go(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        entry.series.release();
        if let Some(view) = &entry.view
            && view.asked.is_some()
        {
            entry.view = Some(Arc::new(view.without_heap()));
        }
    }

    /// The view of a series whose newest dump is in memory, compared with the session before of the same program.
    fn make_view(&mut self, at: usize, access: &SourceAccess) {
        let Some(newest) = self.entries[at].series.newest() else {
            return;
        };
        let files = LocalFiles::new(
            &access.folders,
            &newest.header.working_folder,
            &newest.source_files,
            Some(Arc::clone(&access.open)),
        );
        let series = &self.entries[at].series;
        let id = series_id(series.process);
        let Some(mut view) = View::of(series, id, files) else {
            return;
        };
        view.confirm(&self.entries[at].counted);
        let before = self.entries[..at]
            .iter()
            .rev()
            .filter_map(|entry| entry.view.as_ref())
            .find(|before| {
                before.argv == view.argv && before.whole >= super::shown::DUMPS_THAT_PROVE
            });
        if let Some(before) = before {
            view.compare(before);
        }
        self.entries[at].view = Some(Arc::new(view));
    }

    /// What is shown now.
    pub(crate) fn shown(&self) -> Shown {
        let place = self.shown_place();
        let mut current = None;
        let mut series = Vec::new();
        let mut problems = self.problems.clone();
        for (at, entry) in self.entries.iter().enumerate() {
            let unreadable = entry.series.unreadable();
            problems.extend(unreadable.map(|(path, reason)| (path.to_owned(), reason.to_owned())));
            if let Some(view) = &entry.view {
                if Some(at) == place {
                    current = Some(series.len());
                }
                series.push(Arc::clone(view));
            }
        }
        Shown {
            series,
            current,
            problems,
        }
    }
}
