//! The file of a program's main script, where the interpreter has forgotten it.
//!
//! When the script has run, CPython takes `__file__` out of the namespace of `__main__` (`_PyRun_SimpleFile` in Python/pythonrun.c): a
//! dump that is taken as the process ends does not have it. The functions that the script defines still have their file; where it
//! defines none, it is what the process was started with.

use std::path::Path;

use heldby_heap::{StringId, Strings};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};

/// The module that a program's main script is.
pub(crate) const MAIN: &str = "__main__";

/// What tells the file.
#[derive(Debug, Default)]
pub(crate) struct MainScript {
    /// Addresses of the code of functions that say they come from it.
    codes: FxHashSet<u64>,
    /// The file of each code object.
    files: Vec<(u64, StringId)>,
}

impl MainScript {
    /// A function of some module has this code.
    pub(crate) fn function(&mut self, code: u64, module: &str) {
        if module == MAIN {
            self.codes.insert(code);
        }
    }

    /// A code object comes from this file.
    pub(crate) fn code(&mut self, address: u64, file: StringId) {
        self.files.push((address, file));
    }

    /// The file that most of its functions come from, else the one that the process was started with.
    pub(crate) fn file(&self, strings: &Strings, header: &Map<String, Value>) -> Option<String> {
        let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
        for (code, file) in &self.files {
            let file = strings.get(*file);
            // What was made by `exec` says `<string>`.
            if self.codes.contains(code) && !file.starts_with('<') {
                *counts.entry(file).or_default() += 1;
            }
        }
        let most = counts
            .into_iter()
            .max_by_key(|(file, count)| (*count, std::cmp::Reverse(*file)));
        most.map(|(file, _)| file.to_owned())
            .or_else(|| started_with(header))
    }
}

/// The first of `sys.argv`, if it is a script.
fn started_with(header: &Map<String, Value>) -> Option<String> {
    let script = header.get("argv")?.get(0)?.as_str()?;
    let folder = header.get("working_folder")?.as_str()?;
    // Not of another kind of program, which has the interpreter inside.
    let is_script = Path::new(script).extension().is_some_and(|it| it == "py");
    is_script.then(|| Path::new(folder).join(script).display().to_string())
}
