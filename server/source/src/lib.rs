//! heldby-source: from a named binding of a program to the places in its source text where it is defined and where
//! things are stored in it.
//!
//! In: the program's files ([`SourceFiles`]), its modules ([`Module`]), and a [`Question`]: the named bindings on a
//! referrer chain. Out: an [`Answer`]: each binding's definition site, and the store sites, best first.
//! This crate reads text only. It knows nothing of heaps, and it opens no files itself.
//!
//! ```
//! use std::sync::Arc;
//! use heldby_source::{Binding, Growth, Module, Question, SourceFiles, Sources};
//!
//! struct OneFile;
//! impl SourceFiles for OneFile {
//!     fn read(&self, _path: &str) -> Option<Arc<[u8]>> {
//!         Some(Arc::from(&b"UPLOADS = []\n\ndef upload(data):\n    UPLOADS.append(data)\n"[..]))
//!     }
//! }
//!
//! let module = Module { name: "gallery.views".into(), path: "gallery/views.py".into(), user: true };
//! let sources = Sources::new(&OneFile, vec![module]);
//! let uploads = Binding::ModuleGlobal { module: "gallery.views".into(), name: "UPLOADS".into() };
//! let answer = sources.answer(&Question {
//!     bindings: &[uploads],
//!     holder: 0,
//!     growth: Growth::Items { depth: 1 },
//!     held: &["bytes".to_owned()],
//!     container: &[],
//!     key: None,
//!     makes_what_is_read: false,
//!     is_remade: false,
//! });
//! assert_eq!(answer.definitions[0].as_ref().map(|site| site.line), Some(1));
//! assert_eq!(answer.stores[0].site.line, 4);
//! assert_eq!(answer.stores[0].enclosing, "upload");
//! ```
//!
//! How an answer comes about, module by module: `project` searches the files' bytes for a name and has those that
//! mention it parsed (`python`, which alone knows the parser); `roots` says where a search for a binding starts and in
//! which files; `reach` decides whether an expression is the binding's object, with `scopes` for names and `imports` for
//! what names mean across files (`private_names` for what the
//! compiler makes of some); `inserts` and `stores` collect what stores into it (`keepers` what C code is given to keep),
//! `keyed` what the entries of objects like dictionaries are called, `namespaces` all the names of an object), `callers` who makes that happen, `limits` what keeps a container from growing,
//! `ranking` puts it in order. `definitions` stands beside them.
//!
//! Two ways lead from a site to edited text: `placement` from the checksums of lines that a dump keeps, `drift` from one
//! text to the next, by the `anchors` of their statements, which `partners` brings together. Both compare with `pairs`.

mod anchors;
mod bare;
mod callers;
mod definitions;
mod drift;
mod imports;
mod inserts;
mod keepers;
mod keyed;
mod limits;
mod mend;
mod namespaces;
mod pairs;
mod partners;
mod placement;
mod private_names;
mod project;
mod python;
mod ranking;
mod reach;
mod roots;
mod scopes;
mod sources;
mod stores;
mod text;

use std::sync::Arc;

pub use anchors::Anchors;
pub use drift::{Anchored, Drift};
pub use mend::{Edit, Mend, Mendable};
pub use placement::{LineMap, Placed, line_crc, place};
pub use sources::{Problem, Sources};
pub use text::decode_source;

/// The expression in a Python text that a byte offset is about, as long as looking it up calls nothing: a name, an attribute up to the
/// name at the offset, an item. Its range in bytes.
pub fn expression_at(text: &str, offset: u32) -> Option<(u32, u32)> {
    python::expression_at(text, offset)
}

/// The mend of what leaks at a byte offset of a Python text, if there is one that is mechanical and safe: the default value of a
/// parameter, or the decorator that caches.
pub fn mend(text: &str, mendable: Mendable, offset: u32) -> Option<Mend> {
    python::mend(text, mendable, offset)
}

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
    ModuleGlobal {
        /// Dotted name of the module.
        module: String,
        /// The global's name.
        name: String,
    },
    /// An attribute or slot. `classes`: the class of the instance (or the class itself, for an attribute of a class), then the
    /// rest of its method resolution order; for an attribute of a class then its metaclass and that one's bases.
    Attribute {
        /// The class and its method resolution order.
        classes: Vec<ClassName>,
        /// The attribute's name.
        name: String,
        /// An attribute of the class itself, not of its instances.
        on_class: bool,
    },
    /// The default value of a parameter.
    Default {
        /// The function.
        function: FunctionName,
        /// The parameter's name.
        parameter: String,
    },
    /// A free variable of a function: defined in a function around it.
    Closure {
        /// The function that uses it.
        function: FunctionName,
        /// The variable's name.
        name: String,
    },
    /// A local variable of a running or suspended function.
    Local {
        /// The function.
        function: FunctionName,
        /// The variable's name.
        name: String,
    },
    /// What a caching decorator keeps for a function. `function` is the decorated one.
    Cache {
        /// The function that is cached.
        function: FunctionName,
    },
    /// Context variables that no name of the program leads to: made as the program runs, they live on in contexts.
    UnnamedContextVariables {
        /// The text that was given as the variable's name, empty if unknown.
        name: String,
        /// Whether it was given a default, if known.
        has_default: Option<bool>,
    },
    /// An attribute set on a function.
    FunctionAttribute {
        /// The function.
        function: FunctionName,
        /// The attribute's name.
        name: String,
        /// The very function that has it: the wrapper of `function`, perhaps.
        wrapper: Option<FunctionName>,
        /// A free variable of the wrapper that is bound to the same object.
        free_variable: Option<String>,
    },
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
    /// Of the innermost binding's object the class and the rest of its method resolution order, as far as they are written in Python:
    /// a class of that kind stores by `self[key] = …`.
    pub container: &'a [ClassName],
    /// The text key under which the innermost binding's object, a dictionary of containers, has the one that holds; if there is one.
    pub key: Option<&'a str>,
    /// Who reads an entry that is not there has it made: the innermost binding's object, or a container in it, is a `defaultdict`.
    pub makes_what_is_read: bool,
    /// The innermost binding's object cannot be changed: what grows is another one each time.
    pub is_remade: bool,
}

/// How things came to hang on the innermost binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// The bound object is a container (or holds one) that takes up items. `depth`: how many containers lie between the
    /// binding and what is held: 1 for `X.append(o)`, 2 for `X[k].append(o)` or `X.setdefault(k, []).append(o)`.
    Items {
        /// Containers between the binding and what is held, the bound one among them.
        depth: u32,
    },
    /// The bound object itself is what is held.
    Bound,
    /// The bound object is a context variable, and what is held was set in it.
    Set,
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
    /// It stands at a module's or a class's top level and in no loop: it is no reason for growth.
    pub runs_once: bool,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// For each binding of the question its definition site, where one was found.
    pub definitions: Vec<Option<Site>>,
    /// Store sites, best first.
    pub stores: Vec<Store>,
    /// The bound that the definition of the innermost binding gives its container, as written: `maxsize=1000`.
    pub bound: Option<String>,
    /// Lines that take entries out of the container, or put an empty one in its place.
    pub removals: Vec<Site>,
    /// Some of the removals put an empty container in its place.
    pub is_emptied: bool,
}
