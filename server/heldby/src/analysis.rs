//! From dump files to the reports of their processes: reads the dumps one at a time, compares them, joins the source.
//!
//! One heap is in memory at a time: of the earlier dumps of a series only counts by access path are kept.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use heldby_dump::{Dump, Header, Problem, ProcessKey};
use heldby_finding::{DumpSummary, Module, ProcessReport, Program, SourceFact, findings};
use heldby_heap::{Cancel, Heap};
use heldby_retention::{Analysis, PatternCounts, Territories, Territory, holdings};

use crate::disk::DiskFiles;

/// What the user said about the sources.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReportOptions {
    /// Where the user's sources lie, if not where the dump says.
    pub(crate) root: Option<PathBuf>,
    /// Path prefixes of the dump's machine, and ours.
    pub(crate) maps: Vec<(String, String)>,
}

/// Reports on the processes of the dumps, in the order in which their first dumps come. `progress` is told what is being done.
///
/// # Errors
/// When none of the dumps can be read.
pub(crate) fn analyse(
    paths: &[PathBuf],
    options: &ReportOptions,
    progress: &dyn Fn(&str),
) -> anyhow::Result<Vec<ProcessReport>> {
    let mut series: Vec<(ProcessKey, Vec<DumpFile>)> = Vec::new();
    let mut unreadable: Vec<(PathBuf, anyhow::Error)> = Vec::new();
    for path in paths {
        match heldby_dump::read_header(path) {
            Err(error) => unreadable.push((path.clone(), error.into())),
            Ok(header) => {
                let dump = DumpFile {
                    taken_at_nanoseconds: header.taken_at_nanoseconds,
                    at_exit: header.at_exit,
                    path: path.clone(),
                };
                match series
                    .iter_mut()
                    .find(|(process, _)| *process == header.process())
                {
                    Some((_, dumps)) => dumps.push(dump),
                    None => series.push((header.process(), vec![dump])),
                }
            }
        }
    }
    let mut reports = Vec::new();
    for (process, mut dumps) in series {
        dumps.sort_by_key(|dump| dump.taken_at_nanoseconds);
        leave_out_the_exit(&mut dumps);
        let paths: Vec<PathBuf> = dumps.into_iter().map(|dump| dump.path).collect();
        match report(process, &paths, options, progress, &mut unreadable) {
            Some(report) => reports.push(report),
            None => continue,
        }
    }
    match (reports.first_mut(), unreadable.len()) {
        (None, 0) => bail!("no dumps were given"),
        (None, _) => {
            let (_, error) = unreadable.swap_remove(0);
            return Err(error).context("none of the dumps can be read");
        }
        (Some(first), _) => {
            let lost = unreadable.into_iter().map(|(path, error)| DumpSummary {
                path: path.display().to_string(),
                objects: 0,
                references: 0,
                bytes: 0,
                problems: vec![reason(&path, &error)],
            });
            first.dumps.extend(lost);
        }
    }
    Ok(reports)
}

/// A dump's file, before it is read.
struct DumpFile {
    taken_at_nanoseconds: u64,
    at_exit: bool,
    path: PathBuf,
}

/// Fewer dumps prove no growth.
const DUMPS_THAT_PROVE: usize = 3;

/// A process that ends has perhaps done nothing since the dump before: its last dump would make every growth look ended. It
/// counts only where there are not enough others.
fn leave_out_the_exit(dumps: &mut Vec<DumpFile>) {
    if dumps.len() > DUMPS_THAT_PROVE && dumps.last().is_some_and(|dump| dump.at_exit) {
        dumps.pop();
    }
}

/// Why a dump cannot be read, without its path.
fn reason(path: &Path, error: &anyhow::Error) -> String {
    let words = format!("{error:#}");
    let path = format!("{}: ", path.display());
    words.strip_prefix(&path).unwrap_or(&words).to_owned()
}

/// A dump that was read and analysed.
struct Read {
    dump: Dump,
    analysis: Analysis,
}

fn read(path: &Path, cancel: &Cancel) -> anyhow::Result<Read> {
    let dump = heldby_dump::read(path, cancel)?;
    let analysis = Analysis::of(&dump.heap, cancel)?;
    Ok(Read { dump, analysis })
}

fn report(
    process: ProcessKey,
    paths: &[PathBuf],
    options: &ReportOptions,
    progress: &dyn Fn(&str),
    unreadable: &mut Vec<(PathBuf, anyhow::Error)>,
) -> Option<ProcessReport> {
    let cancel = Cancel::new();
    let mut summaries = Vec::new();
    // Counts of the whole dumps, and the path of each.
    let mut whole: Vec<(&PathBuf, PatternCounts)> = Vec::new();
    let mut last: Option<Read> = None;
    for (index, path) in paths.iter().enumerate() {
        progress(&format!(
            "reading dump {} of {}: {}",
            index + 1,
            paths.len(),
            path.display()
        ));
        // The heap before is dropped first: two of them need not be in memory.
        drop(last.take());
        match read(path, &cancel) {
            Ok(read) => {
                summaries.push(summary(path, &read.dump));
                if is_whole(&read.dump) {
                    whole.push((path, read.analysis.counts()));
                }
                last = Some(read);
            }
            Err(error) => unreadable.push((path.clone(), error)),
        }
    }
    // The newest whole dump is the one to report on; it stands last unless the ones after it are damaged.
    if let Some((newest, _)) = whole.pop()
        && !last.as_ref().is_some_and(|last| is_whole(&last.dump))
    {
        progress(&format!(
            "reading {} again: the later dumps are damaged",
            newest.display()
        ));
        drop(last.take());
        last = read(newest, &cancel).ok();
    }
    let Read { dump, analysis } = last?;
    progress("reading the sources");
    let Dump {
        header,
        heap,
        source_files,
        ..
    } = dump;
    let earlier: Vec<PatternCounts> = whole.into_iter().map(|(_, counts)| counts).collect();
    let territories = territories(&header);
    let holdings = holdings(&heap, &analysis, &earlier, &territories);
    let modules = modules(&heap, &territories);
    drop((analysis, heap));
    let disk = DiskFiles::new(options, &header.working_folder);
    let facts = source_files.into_iter().map(|file| SourceFact {
        path: file.path,
        sha256: file.sha256,
        changed: file.changed,
        line_checksums: file.line_checksums,
    });
    let program = Program {
        modules,
        facts: facts.collect(),
        files: &disk,
        local_path: &|path| disk.local_path(path),
    };
    Some(ProcessReport {
        pid: process.pid,
        dumps: summaries,
        findings: findings(&holdings, program),
    })
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
    let mut seen = std::collections::HashSet::new();
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
    modules
}
