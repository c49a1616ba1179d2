//! heldby-source: from a named binding of a program to the places in its source text where it is defined and where
//! things are stored in it.
//!
//! In: the program's files ([`SourceFiles`]), its modules ([`Module`]), and a [`Question`]: the named bindings on a
//! referrer chain. Out: an [`Answer`]: each binding's definition site, and the store sites, best first.
//! This crate reads text only. It knows nothing of heaps, and it opens no files itself.

mod placement;
mod python;
mod sources;
mod text;

use std::sync::Arc;

pub use placement::{LineMap, Placed, line_crc, place};
pub use sources::{Problem, Sources};

/// Gives the text of the program's files. The command line reads the disk; an editor lays its open documents over it.
pub trait SourceFiles: Sync {
    /// The bytes of the file at `path` (a path as the modules of the question name it), or `None` if there is none.
    fn read(&self, path: &str) -> Option<Arc<[u8]>>;
}

/// A module of the program that was running.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Module {
    /// Dotted name, `gallery.views`; `__main__` stays `__main__`.
    pub name: String,
    /// Path of its `.py` file.
    pub path: String,
    /// Lies outside the standard library, the library folders and the virtual environment.
    pub user: bool,
}

/// A class, by where it was defined.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClassName {
    /// Dotted name of the module.
    pub module: String,
    /// Qualified name in it, with `<locals>` where CPython writes it: `make.<locals>.Handler`.
    pub qualname: String,
}

/// A function, by where it was defined.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionName {
    /// Path of its file.
    pub path: String,
    /// Qualified name, with `<locals>` where CPython writes it. Before 3.11 the dump may know the last name only.
    pub qualname: String,
    /// First line of its code object (1-based; the line of its first decorator if it has one), 0 if unknown.
    pub line: u32,
}

/// A named thing of the program that can hold objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Binding {
    /// `module.name`.
    ModuleGlobal { module: String, name: String },
    /// An attribute or slot. `classes`: the class of the instance (or the class itself, for an attribute of a class), then the
    /// rest of its method resolution order; for an attribute of a class then its metaclass and that one's bases.
    Attribute { classes: Vec<ClassName>, name: String, on_class: bool },
    /// The default value of a parameter.
    Default { function: FunctionName, parameter: String },
    /// A free variable of a function: defined in a function around it.
    Closure { function: FunctionName, name: String },
    /// A local variable of a running or suspended function.
    Local { function: FunctionName, name: String },
    /// What a caching decorator keeps for a function. `function` is the decorated one.
    Cache { function: FunctionName },
    /// An attribute set on a function.
    FunctionAttribute { function: FunctionName, name: String },
}

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The named bindings on the referrer chain, innermost first, as they follow each other:
    /// `[Signal.receivers, photos.signals.photo_stored]`.
    pub bindings: &'a [Binding],
    /// Which of them is the holder.
    pub holder: usize,
    /// What the innermost binding's object does: takes up items, or is the exception whose traceback holds.
    pub growth: Growth,
    /// Last names of the types, classes and functions that are held, most retaining first: `["Step", "Image"]`.
    pub held: &'a [String],
}

/// How things came to hang on the innermost binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// The bound object is a container (or holds one) that takes up items. `depth`: how many containers lie between the
    /// binding and what is held: 1 for `X.append(o)`, 2 for `X[k].append(o)` or `X.setdefault(k, []).append(o)`.
    Items { depth: u32 },
    /// The bound object itself is what is held.
    Bound,
    /// The bound object is an exception, and what is held hangs on its traceback.
    Raised,
}

/// A range of source text. Lines and columns are 1-based, columns in Unicode code points; the end column is exclusive,
/// the end line inclusive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// Path of the file, as the module names it.
    pub path: String,
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column after the last.
    pub end_column: u32,
}

/// What a store site does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The statement or expression that inserts.
    Store,
    /// The call of a helper, a registration function or a method that inserts.
    Caller,
    /// A call into C or a library that inserts (a cached function's call).
    Call,
    /// The `raise` of a kept exception.
    Raise,
}

/// A place that creates the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The statement or expression, never a block.
    pub site: Site,
    /// What it does.
    pub role: Role,
    /// Qualified name of the function around it, empty at a module's top level.
    pub enclosing: String,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// For each binding of the question its definition site, where one was found.
    pub definitions: Vec<Option<Site>>,
    /// Store sites, best first.
    pub stores: Vec<Store>,
}
