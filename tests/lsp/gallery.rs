//! A small gallery that keeps every photo, and dumps of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use heldby_tests::lsp::Client;
use heldby_tests::{pythons, succeed};
use tempfile::TempDir;

/// `UPLOADS` on line 4, the class on line 7, the leak on line 14.
pub(crate) const VIEWS: &str = r#""""Views of a gallery."""
from gallery import models

UPLOADS = []


class Photo:
    def __init__(self, data):
        self.data = data


def upload(data):
    photo = Photo(data)
    UPLOADS.append(photo)
    models.remember(photo)
"#;

/// `SEEN` on line 1, the leak on line 5.
pub(crate) const MODELS: &str = r#"SEEN = {}


def remember(photo):
    SEEN[len(SEEN)] = photo.data[:100]
"#;

const RUN: &str = r#"
import os, sys
import heldby_agent
from gallery import views

for number in range(int(sys.argv[2])):
    for _ in range(4):
        views.upload(os.urandom(100000))
    heldby_agent.dump("%s/%d.heldby" % (sys.argv[1], number))
"#;

/// The program in a folder of its own.
pub(crate) struct Gallery {
    folder: TempDir,
    root: PathBuf,
}

impl Gallery {
    pub(crate) fn new() -> Self {
        Self::with(VIEWS, MODELS)
    }

    pub(crate) fn with(views: &str, models: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let gallery = Self { folder, root };
        std::fs::create_dir(gallery.path("gallery")).unwrap();
        std::fs::create_dir(gallery.path("dumps")).unwrap();
        gallery.write("gallery/__init__.py", "");
        gallery.write("gallery/views.py", views);
        gallery.write("gallery/models.py", models);
        gallery.write("heldby_agent.py", heldby_capture::agent_source());
        gallery.write("run.py", RUN);
        gallery
    }

    pub(crate) fn root(&self) -> &Path {
        debug_assert!(self.folder.path().exists());
        &self.root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn views(&self) -> PathBuf {
        self.path("gallery/views.py")
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.path("gallery/models.py")
    }

    /// Runs the program and takes dumps of it, oldest first.
    pub(crate) fn dumps(&self, count: usize) -> Vec<PathBuf> {
        self.dumps_in("dumps", count)
    }

    /// The same, in a folder of its own.
    pub(crate) fn dumps_in(&self, folder: &str, count: usize) -> Vec<PathBuf> {
        std::fs::create_dir_all(self.path(folder)).unwrap();
        let python = &pythons()[0];
        succeed(
            Command::new(python)
                .args(["run.py", folder, &count.to_string()])
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .current_dir(self.root()),
        );
        let dump = |number: usize| self.path(folder).join(format!("{number}.heldby"));
        (0..count).map(dump).collect()
    }
}

/// A server that has three dumps of the gallery, and the URI of its views, which are open.
pub(crate) fn loaded(gallery: &Gallery) -> (Client, String) {
    let mut client = Client::start(&[gallery.root()]);
    let views = client.open(&gallery.views());
    client.load(&gallery.dumps(3));
    client.diagnostics(&views, |diagnostics| !diagnostics.is_empty());
    (client, views)
}
