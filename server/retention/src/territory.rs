//! Whose code a file is: the user's, a library's, or the standard library's.

/// Whose code it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Territory {
    /// The user's own.
    User,
    /// An installed package's.
    Library,
    /// The standard library's, or built into the interpreter.
    StandardLibrary,
}

/// The folders that tell them apart, as the dump recorded them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Territories {
    /// Folders of the standard library.
    pub standard_library: Vec<String>,
    /// Folders of installed packages, and the virtual environment.
    pub library: Vec<String>,
}

impl Territories {
    /// Whose file it is. A file without a path is built into the interpreter.
    pub fn of_file(&self, path: &str) -> Territory {
        if path.is_empty() || path.starts_with("<frozen") {
            return Territory::StandardLibrary;
        }
        let inside = |folders: &[String]| folders.iter().any(|folder| is_inside(path, folder));
        // Installed packages lie inside the standard library's folder: they are asked for first.
        if inside(&self.library) {
            Territory::Library
        } else if inside(&self.standard_library) {
            Territory::StandardLibrary
        } else {
            Territory::User
        }
    }
}

fn is_inside(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches(['/', '\\']);
    !folder.is_empty()
        && path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with(['/', '\\']))
}
