//! What the dump knows of named objects: types, functions, code, modules, frames; and where containers were seen to grow.

use rustc_hash::FxHashMap;

use crate::{ObjectId, StringId};

/// A type of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeName {
    /// Address of the type object, 0 if unknown.
    pub address: u64,
    /// Module it says it comes from.
    pub module: StringId,
    /// Qualified name.
    pub qualname: StringId,
    /// The runtime's flags (CPython's `tp_flags`, low 32 bits).
    pub flags: u32,
    /// First line of its definition (1-based), 0 if unknown.
    pub line: u32,
}

/// A code object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeName {
    /// Path of its source file, as the interpreter knows it.
    pub file: StringId,
    /// Qualified name (the last name only before 3.11).
    pub qualname: StringId,
    /// First line (1-based, 0 if unknown).
    pub line: u32,
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionName {
    /// Its code object, if that is in the dump.
    pub code: Option<ObjectId>,
    /// Module it says it comes from.
    pub module: StringId,
    /// Qualified name.
    pub qualname: StringId,
}

/// A module, or the namespace of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleName {
    /// The module object; `None` for the globals of code that was executed without one.
    pub object: Option<ObjectId>,
    /// Its dictionary.
    pub namespace: Option<ObjectId>,
    /// Dotted name.
    pub name: StringId,
    /// Path of its file.
    pub file: StringId,
}

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameName {
    /// Its code object, if that is in the dump.
    pub code: Option<ObjectId>,
    /// Identifier of the thread that runs it, 0 if it does not run.
    pub thread: u64,
    /// Line it stands at (1-based, 0 if unknown).
    pub line: u32,
}

/// An instruction of the program's that was seen to make containers larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrowthPlace {
    /// Its code object.
    pub code: ObjectId,
    /// First line (1-based).
    pub line: u32,
    /// First byte in the line's UTF-8 (1-based); 0 where the runtime does not know it, nor the two below.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// The byte after the last.
    pub end_column: u32,
}

/// Where containers were seen to grow last. Empty unless the program was traced.
#[derive(Debug, Clone, Default)]
pub struct Growths {
    /// The instructions, each once a section of the dump.
    pub places: Vec<GrowthPlace>,
    /// Row of `places` by container.
    pub of: FxHashMap<ObjectId, u32>,
}

/// The named objects of a heap.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Types, by type index.
    pub types: Vec<TypeName>,
    /// Type index of each type object in the dump.
    pub type_objects: FxHashMap<ObjectId, u32>,
    /// Code objects.
    pub codes: FxHashMap<ObjectId, CodeName>,
    /// Functions.
    pub functions: FxHashMap<ObjectId, FunctionName>,
    /// Modules and namespaces, in the dump's order.
    pub modules: Vec<ModuleName>,
    /// Row of `modules` by module object and by its dictionary.
    pub module_of: FxHashMap<ObjectId, u32>,
    /// Frames.
    pub frames: FxHashMap<ObjectId, FrameName>,
    /// Where containers were seen to grow.
    pub growths: Growths,
}
