//! heldby-dump: heap dump files. Bytes in, a [`heldby_heap::Heap`] out.
//!
//! The format is documented byte by byte in `FORMAT.md`. [`read`] reads a file in two passes: the first takes objects and
//! names, the second references. No size in the file is trusted: each is held against what is left of the file and against
//! a limit before memory is taken. A damaged or cut-off file gives what is whole in it and a list of [`Problem`]s; only a
//! file that gives nothing at all is a [`DumpError`].

mod body;
mod error;
mod header;
mod main_script;
mod pass_names;
mod pass_references;
mod reader;
mod section;
mod source_files;
mod writer;

pub use error::{DumpError, Problem};
pub use header::{Header, ProcessKey};
pub use reader::{Dump, is_finished, read, read_header};
pub use section::{Codec, MAJOR_VERSION, MAX_SECTION_BYTES, Tag};
pub use source_files::SourceFile;
pub use writer::{DumpWriter, WriteError};
