//! The program's files: read once, searched for a name first, parsed only when they mention it.

use std::sync::{Arc, OnceLock};

use memchr::memmem;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::python::{Parsed, ScopeId, Tree, parse};
use crate::text::{Span, Text, decode};
use crate::{Module, Problem, Site, SourceFiles};

/// A file of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId(u32);

/// A scope of a file: a class, a function, a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) file: FileId,
    pub(crate) scope: ScopeId,
}

/// A file and what is known of it.
struct File {
    path: String,
    user: bool,
    /// Name of the (last) module that it is.
    module: String,
    bytes: OnceLock<Option<Arc<[u8]>>>,
    source: OnceLock<Source>,
}

impl File {
    fn folder(&self) -> &str {
        self.path
            .rsplit_once(['/', '\\'])
            .map_or("", |(folder, _)| folder)
    }

    fn package(&self) -> &str {
        let name = self.path.rsplit(['/', '\\']).next().unwrap_or_default();
        if name.starts_with("__init__.") {
            return &self.module;
        }
        self.module
            .rsplit_once('.')
            .map_or("", |(package, _)| package)
    }
}

/// A parsed file.
struct Source {
    text: Option<Text>,
    parsed: Option<Parsed>,
    problem: Option<Problem>,
}

/// All files of the program.
pub(crate) struct Project<'a> {
    reader: &'a dyn SourceFiles,
    files: Vec<File>,
    by_module: FxHashMap<String, FileId>,
    by_path: FxHashMap<String, FileId>,
    /// All modules and what they lie in.
    packages: FxHashSet<String>,
}

impl<'a> Project<'a> {
    pub(crate) fn new(reader: &'a dyn SourceFiles, modules: Vec<Module>) -> Self {
        let mut project = Self {
            reader,
            files: Vec::new(),
            by_module: FxHashMap::default(),
            by_path: FxHashMap::default(),
            packages: FxHashSet::default(),
        };
        for module in modules {
            let next = FileId(u32::try_from(project.files.len()).unwrap_or(u32::MAX));
            let id = *project.by_path.entry(module.path.clone()).or_insert(next);
            if id == next {
                project.files.push(File {
                    path: module.path,
                    user: module.user,
                    module: module.name.clone(),
                    bytes: OnceLock::new(),
                    source: OnceLock::new(),
                });
            } else if let Some(file) = project.files.get_mut(id.0 as usize) {
                file.user |= module.user;
                if file.module == "__main__" {
                    file.module.clone_from(&module.name);
                }
            }
            let mut name = module.name.as_str();
            while project.packages.insert(name.to_owned())
                && let Some((package, _)) = name.rsplit_once('.')
            {
                name = package;
            }
            project.by_module.entry(module.name).or_insert(id);
        }
        project
    }

    /// All files, in the order of the modules.
    pub(crate) fn files(&self) -> impl Iterator<Item = FileId> + use<> {
        (0..u32::try_from(self.files.len()).unwrap_or(u32::MAX)).map(FileId)
    }

    /// The file of a module.
    pub(crate) fn module(&self, name: &str) -> Option<FileId> {
        self.by_module.get(name).copied()
    }

    /// The file at a path.
    pub(crate) fn at_path(&self, path: &str) -> Option<FileId> {
        self.by_path.get(path).copied()
    }

    /// Whether `name` is a module, or a package of one.
    pub(crate) fn is_module(&self, name: &str) -> bool {
        self.packages.contains(name)
    }

    /// Name of the file's module.
    pub(crate) fn module_name(&self, file: FileId) -> &str {
        &self.file(file).module
    }

    /// Name of the package that relative imports of the file start from.
    pub(crate) fn package(&self, file: FileId) -> &str {
        let file = self.file(file);
        if file.module != "__main__" {
            return file.package();
        }
        // `python -m package.module`: its neighbours know the package.
        let neighbour =
            |other: &&File| other.module != "__main__" && other.folder() == file.folder();
        self.files.iter().find(neighbour).map_or("", File::package)
    }

    /// Whether the file is the user's own code.
    pub(crate) fn is_user(&self, file: FileId) -> bool {
        self.file(file).user
    }

    /// Path of the file.
    pub(crate) fn path(&self, file: FileId) -> &str {
        &self.file(file).path
    }

    fn file(&self, id: FileId) -> &File {
        &self.files[id.0 as usize]
    }

    /// Whether the file's bytes hold `needle`. Parses nothing.
    pub(crate) fn mentions(&self, file: FileId, needle: &memmem::Finder<'_>) -> bool {
        self.bytes(file)
            .is_some_and(|bytes| needle.find(bytes).is_some())
    }

    /// The files whose bytes hold `needle`.
    pub(crate) fn mentioning(&self, needle: &str) -> Vec<FileId> {
        let finder = memmem::Finder::new(needle);
        self.files()
            .filter(|&file| self.mentions(file, &finder))
            .collect()
    }

    fn bytes(&self, id: FileId) -> Option<&Arc<[u8]>> {
        let file = self.file(id);
        file.bytes
            .get_or_init(|| self.reader.read(&file.path))
            .as_ref()
    }

    fn source(&self, id: FileId) -> &Source {
        let file = self.file(id);
        file.source.get_or_init(|| {
            let problem = |line, message| {
                Some(Problem {
                    path: file.path.clone(),
                    line,
                    message,
                })
            };
            let Some(bytes) = self.bytes(id) else {
                return Source {
                    text: None,
                    parsed: None,
                    problem: problem(0, "could not be read".to_owned()),
                };
            };
            let decoded = decode(bytes);
            let Some(text) = decoded.text else {
                return Source {
                    text: None,
                    parsed: None,
                    problem: decoded.problem.and_then(|message| problem(0, message)),
                };
            };
            match parse(&text.text) {
                Ok(parsed) => {
                    let problem = match (&parsed.error, decoded.problem) {
                        (Some((at, message)), _) => problem(text.line(*at), message.clone()),
                        (None, Some(message)) => problem(0, message),
                        (None, None) => None,
                    };
                    Source {
                        text: Some(text),
                        parsed: Some(parsed),
                        problem,
                    }
                }
                Err(message) => Source {
                    text: Some(text),
                    parsed: None,
                    problem: problem(0, message),
                },
            }
        })
    }

    /// What the file does, if it can be read.
    pub(crate) fn tree(&self, file: FileId) -> Option<&Tree> {
        self.source(file).parsed.as_ref().map(|parsed| &parsed.tree)
    }

    /// The site of a range of a file.
    pub(crate) fn site(&self, file: FileId, span: Span) -> Option<Site> {
        Some(self.source(file).text.as_ref()?.site(self.path(file), span))
    }

    /// The text of a range of a file.
    pub(crate) fn text(&self, file: FileId, span: Span) -> Option<&str> {
        let text = self.source(file).text.as_ref()?;
        std::str::from_utf8(text.bytes(span)).ok()
    }

    /// 1-based line of an offset in a file.
    pub(crate) fn line(&self, file: FileId, offset: u32) -> Option<u32> {
        Some(self.source(file).text.as_ref()?.line(offset))
    }

    /// What was wrong with the files read so far.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self
            .files
            .iter()
            .filter_map(|file| file.source.get()?.problem.clone())
            .collect();
        problems.extend(
            self.files
                .iter()
                .filter(|file| file.source.get().is_none())
                .filter_map(|file| {
                    let unreadable = matches!(file.bytes.get(), Some(None));
                    unreadable.then(|| Problem {
                        path: file.path.clone(),
                        line: 0,
                        message: "could not be read".to_owned(),
                    })
                }),
        );
        problems.sort();
        problems
    }
}
