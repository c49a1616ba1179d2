//! The program's source as a whole: the way in.

use crate::{Answer, ClassName, Module, Question, Site, SourceFiles};

/// Something about a file that makes an answer less sure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// The file, as the module names it.
    pub path: String,
    /// 1-based line, 0 for the file as a whole.
    pub line: u32,
    /// What is wrong with it.
    pub message: String,
}

/// The source of a program.
pub struct Sources<'a> {
    #[allow(dead_code)]
    files: &'a dyn SourceFiles,
    #[allow(dead_code)]
    modules: Vec<Module>,
}

impl<'a> Sources<'a> {
    /// The source of the program whose modules are these. Nothing is read yet.
    #[must_use]
    pub fn new(files: &'a dyn SourceFiles, modules: Vec<Module>) -> Self {
        Self { files, modules }
    }

    /// Where the bindings of the question are defined, and where things are stored in them.
    #[must_use]
    pub fn answer(&self, question: &Question<'_>) -> Answer {
        Answer { definitions: vec![None; question.bindings.len()], stores: Vec::new() }
    }

    /// The header line of a class: `class Name(...):`.
    #[must_use]
    pub fn class_line(&self, class: &ClassName) -> Option<Site> {
        let _ = class;
        None
    }

    /// What could not be read, or not wholly, so far: by file and line.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}
