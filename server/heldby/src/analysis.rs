//! From dump files to the reports of their processes, for the command line.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use heldby_finding::{DumpSummary, ProcessReport};
use heldby_heap::Cancel;

use crate::disk::{LocalFiles, SourceFolders};
use crate::series::{Series, reason};

/// Reports on the processes of the dumps, in the order in which their first dumps come. `progress` is told what is being done.
///
/// # Errors
/// When none of the dumps can be read.
pub(crate) fn analyse(
    paths: &[PathBuf],
    folders: &SourceFolders,
    progress: &dyn Fn(&str),
) -> anyhow::Result<Vec<ProcessReport>> {
    let mut series: Vec<Series> = Vec::new();
    let mut unreadable: Vec<(PathBuf, anyhow::Error)> = Vec::new();
    for path in paths {
        match heldby_dump::read_header(path) {
            Err(error) => unreadable.push((path.clone(), error.into())),
            Ok(header) => {
                let process = header.process();
                let at = series.iter().position(|known| known.process == process);
                let at = at.unwrap_or_else(|| {
                    series.push(Series::new(process));
                    series.len() - 1
                });
                series[at].add(path, &header);
            }
        }
    }
    let mut reports = Vec::new();
    for mut series in series {
        series.read(&Cancel::new(), progress)?;
        let lost = series
            .unreadable()
            .map(|(path, reason)| (path.to_owned(), anyhow!("{}: {reason}", path.display())));
        unreadable.extend(lost);
        let Some(newest) = series.newest() else {
            continue;
        };
        progress("reading the sources");
        let files = LocalFiles::new(
            folders,
            &newest.header.working_folder,
            &newest.source_files,
            None,
        );
        reports.push(ProcessReport {
            pid: series.process.pid,
            dumps: series.summaries(),
            findings: series.findings(&files),
        });
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
                agent: String::new(),
                fallback: String::new(),
                problems: vec![reason(&path, &error)],
            });
            first.dumps.extend(lost);
        }
    }
    Ok(reports)
}
