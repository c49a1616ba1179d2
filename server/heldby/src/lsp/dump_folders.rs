//! The `.heldby` folder of each workspace folder: its newest dumps are loaded, and what comes there later. The client watches where
//! it can; else the folders are looked at now and then.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use heldby_dump::ProcessKey;
use heldby_heap::Cancel;
use serde_json::json;
use tokio::sync::oneshot;
use tower_lsp::ls_types::{FileChangeType, FileEvent, Registration};

use super::loader::Order;
use super::session::Session;
use super::uris;

/// The folder of dumps below a workspace folder.
pub(crate) const FOLDER: &str = ".heldby";
const EXTENSION: &str = "heldby";
/// The newest process, and the one before for comparison.
const PROCESSES: usize = 2;
/// Dumps of one process that are loaded at the start.
const MOST_DUMPS: usize = 20;
/// Dumps of each process of a snapshot that stay, however many processes there are.
const LEAST_DUMPS: usize = 5;
/// How often folders are looked at that the client does not watch.
const LOOK: Duration = Duration::from_secs(2);
/// A client that does not answer is not waited for longer.
const ANSWER: Duration = Duration::from_secs(5);
/// A dump without its end that nobody writes to for so long is damaged.
const QUIET: Duration = Duration::from_secs(2);
/// Nobody writes a dump for longer.
const MOST_PATIENCE: Duration = Duration::from_secs(120);

/// Loads what is there, and sees to it that what comes later is told.
pub(crate) async fn watch(session: &Arc<Session>) {
    let is_watched = session.abilities().watched_files && register(session).await;
    scan(session).await;
    if !is_watched {
        look_now_and_then(session).await;
    }
}

async fn register(session: &Session) -> bool {
    let globs = [
        "**/.heldby/**/*.heldby",
        "**/heldby.toml",
        "**/pyproject.toml",
    ];
    let watchers: Vec<_> = globs
        .iter()
        .map(|glob| json!({"globPattern": glob}))
        .collect();
    let registration = Registration {
        id: "heldby-files".to_owned(),
        method: "workspace/didChangeWatchedFiles".to_owned(),
        register_options: Some(json!({"watchers": watchers})),
    };
    let registered = session.client.register_capability(vec![registration]);
    match tokio::time::timeout(ANSWER, registered).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!("the client does not watch files: {error}");
            false
        }
        Err(_) => {
            tracing::warn!("the client did not answer whether it watches files");
            false
        }
    }
}

/// Loads the newest dumps of all folders that are not loaded yet.
pub(crate) async fn scan(session: &Arc<Session>) {
    let folders = watched_folders(session);
    let found = tokio::task::spawn_blocking(move || newest(&folders)).await;
    let mut paths = found.unwrap_or_default();
    let shown = session.shown();
    paths.retain(|path| {
        !shown
            .series
            .iter()
            .any(|view| view.dumps.iter().any(|dump| dump.path == *path))
    });
    load(session, paths);
}

fn watched_folders(session: &Session) -> Vec<PathBuf> {
    let configuration = session.configuration();
    let watched = configuration
        .folders
        .iter()
        .filter(|folder| folder.client.watch);
    watched.map(|folder| folder.path.join(FOLDER)).collect()
}

fn load(session: &Session, paths: Vec<PathBuf>) {
    if paths.is_empty() {
        return;
    }
    // The loader ends with the server.
    let _ = session.orders.send(Order::Load {
        paths,
        token: None,
        cancel: Cancel::new(),
        done: None,
    });
}

/// The dumps of the newest processes.
fn newest(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut by_process: HashMap<ProcessKey, Vec<(u64, PathBuf)>> = HashMap::new();
    for path in folders.iter().flat_map(|folder| dumps_below(folder)) {
        if let Ok(header) = heldby_dump::read_header(&path) {
            by_process
                .entry(header.process())
                .or_default()
                .push((header.taken_at_nanoseconds, path));
        }
    }
    let mut processes: Vec<Vec<(u64, PathBuf)>> = by_process.into_values().collect();
    for dumps in &mut processes {
        dumps.sort();
        let old = dumps.len().saturating_sub(MOST_DUMPS);
        dumps.drain(..old);
    }
    processes.sort_by_key(|dumps| dumps.last().map_or(0, |(taken_at, _)| *taken_at));
    let skipped = processes.len().saturating_sub(PROCESSES);
    let newest = processes.into_iter().skip(skipped).flatten();
    newest.map(|(_, path)| path).collect()
}

/// The dumps in a folder and in the folders of the processes below it.
fn dumps_below(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect()
    };
    let mut dumps = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            dumps.extend(entries(&path).into_iter().filter(|path| is_dump(path)));
        } else if is_dump(&path) {
            dumps.push(path);
        }
    }
    dumps
}

/// Removes all but the newest dumps that lie in a folder itself: those that the editor took. Their names sort by time, and end with the
/// number of their process. Of the processes that are looked at, `pids`, some are kept in any case: else a snapshot of many processes would push
/// out those that its growth is told by.
pub(crate) fn keep_newest(folder: &Path, pids: &[u64]) {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut dumps: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_dump(path) && path.is_file())
        .collect();
    dumps.sort();
    dumps.reverse();
    let mut kept: HashMap<u64, usize> = pids.iter().map(|pid| (*pid, 0)).collect();
    let old = dumps.iter().enumerate().filter(|(place, path)| {
        let of_process = pid_in_name(path).and_then(|pid| kept.get_mut(&pid));
        let number = of_process.map_or(usize::MAX, |kept| {
            *kept += 1;
            *kept
        });
        *place >= MOST_DUMPS && number > LEAST_DUMPS
    });
    for (_, path) in old {
        // It stays where it cannot be removed: the next time tries again.
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!("{} is not removed: {error}", path.display());
        }
    }
}

fn pid_in_name(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.rsplit('-').next()?.parse().ok()
}

fn is_dump(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == EXTENSION)
}

/// What the client says of the files that it watches.
pub(crate) async fn changed(session: &Arc<Session>, changes: Vec<FileEvent>) {
    let mut gone = Vec::new();
    let mut settings_changed = false;
    for change in changes {
        let Some(path) = uris::path_of(&change.uri) else {
            continue;
        };
        if !is_dump(&path) {
            settings_changed = true;
        } else if change.typ == FileChangeType::DELETED {
            gone.push(path);
        } else if is_watched(session, &path) {
            come(session, path);
        }
    }
    forget(session, gone).await;
    if settings_changed {
        super::settings_changed(session).await;
    }
}

fn is_watched(session: &Session, path: &Path) -> bool {
    watched_folders(session)
        .iter()
        .any(|folder| path.starts_with(folder))
}

/// Loads a dump once it is whole.
fn come(session: &Arc<Session>, path: PathBuf) {
    let session = Arc::clone(session);
    tokio::spawn(async move {
        let waited = tokio::time::timeout(MOST_PATIENCE, whole(path.clone())).await;
        match waited {
            Ok(true) if session.is_taken_care_of(&path) => {}
            Ok(true) => load(&session, vec![path]),
            Ok(false) => {}
            Err(_) => tracing::warn!("{} is still being written", path.display()),
        }
    });
}

/// Waits until a file is a whole dump, or nobody writes to it any more; `false` when it is gone.
async fn whole(path: PathBuf) -> bool {
    loop {
        let looked = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                let metadata = std::fs::metadata(&path).ok()?;
                let is_whole = heldby_dump::is_finished(&path).unwrap_or(false);
                let quiet = metadata
                    .modified()
                    .ok()
                    .and_then(|modified| SystemTime::now().duration_since(modified).ok());
                Some(is_whole || quiet.is_some_and(|quiet| quiet >= QUIET))
            }
        });
        match looked.await.ok().flatten() {
            Some(true) => return true,
            Some(false) => tokio::time::sleep(Duration::from_millis(100)).await,
            None => return false,
        }
    }
}

async fn forget(session: &Session, paths: Vec<PathBuf>) {
    if paths.is_empty() {
        return;
    }
    let (done, forgotten) = oneshot::channel();
    if session.orders.send(Order::Unload { paths, done }).is_ok() {
        // The loader ends with the server.
        let _ = forgotten.await;
    }
}

/// Stands in for a client that does not watch files. Ends with the server.
async fn look_now_and_then(session: &Arc<Session>) {
    let mut known = all(session).await;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = all(session).await;
        for path in now.iter().filter(|path| !known.contains(path)) {
            come(session, path.clone());
        }
        let gone: Vec<PathBuf> = known
            .into_iter()
            .filter(|path| !now.contains(path))
            .collect();
        forget(session, gone).await;
        known = now;
    }
}

async fn all(session: &Session) -> Vec<PathBuf> {
    let folders = watched_folders(session);
    let found = tokio::task::spawn_blocking(move || {
        folders
            .iter()
            .flat_map(|folder| dumps_below(folder))
            .collect()
    });
    found.await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = dumps_below(folder)
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn many_processes_do_not_push_out_what_their_growth_is_told_by() {
        let folder = tempfile::tempdir().expect("a folder");
        let dump = |moment: usize, pid: u64| format!("20261123T1015{moment:02}000Z-{pid}.heldby");
        let workers: Vec<u64> = (100..112).collect();
        for moment in 0..8 {
            for pid in workers.iter().chain(&[7]) {
                std::fs::write(folder.path().join(dump(moment, *pid)), "").expect("a file");
            }
        }
        keep_newest(folder.path(), &workers);
        let left = left(folder.path());
        for pid in &workers {
            for moment in 3..8 {
                assert!(left.contains(&dump(moment, *pid)), "{left:?}");
            }
        }
        // One that is not looked at has those that are among the newest of all.
        let of_other: Vec<&String> = left.iter().filter(|name| name.contains("-7.")).collect();
        assert_eq!(of_other, [&dump(6, 7), &dump(7, 7)]);
        keep_newest(folder.path(), &[7]);
        assert_eq!(self::left(folder.path()).len(), MOST_DUMPS);
    }
}
