//! What can be wrong with a dump, in words that say where and what to do.

use std::io;
use std::path::PathBuf;

use heldby_heap::{Cancelled, TooLarge};

use crate::section::Tag;

/// A file that gives no heap at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// Could not be opened or read.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Has no bytes.
    #[error("{}: the file is empty: the dump was never written; take it again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Does not start as a heldby dump does.
    #[error("{}: not a heldby dump (it starts with {found})", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its first bytes, in words or in hexadecimal.
        found: String,
    },
    /// Written by a later version.
    #[error("{}: written in dump format {found}, this heldby reads up to {}: update heldby", path.display(), crate::MAJOR_VERSION)]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format's major version.
        found: u16,
    },
    /// Cut off or damaged before the first object.
    #[error("{}: {problem}; nothing in it can be read, take the dump again", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What stopped the reading.
        problem: Problem,
    },
    /// More objects than can be numbered.
    #[error("{}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is too large.
        source: TooLarge,
    },
    /// Somebody cancelled the reading.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Something that could not be read in a file that was read all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file ends before its end marker.
    #[error(
        "the file was cut off at byte {offset}: what stands before is read, the rest of the heap is missing"
    )]
    CutOff {
        /// Where it ends.
        offset: u64,
    },
    /// A section's header is damaged: its length cannot be known, so nothing after it can be read.
    #[error(
        "damaged at byte {offset}: what stands before is read, the rest of the heap is missing"
    )]
    DamagedHeader {
        /// Where the section starts.
        offset: u64,
    },
    /// A section's body does not match its checksum or its codec.
    #[error("section {tag} at byte {offset} is damaged ({reason}): it is left out")]
    DamagedSection {
        /// Which.
        tag: Tag,
        /// Where it starts.
        offset: u64,
        /// How.
        reason: &'static str,
    },
    /// A section whose columns contradict each other.
    #[error("section {tag} at byte {offset} does not add up ({reason}): it is left out")]
    Inconsistent {
        /// Which.
        tag: Tag,
        /// Where it starts.
        offset: u64,
        /// How.
        reason: &'static str,
    },
    /// Objects that came twice.
    #[error("{count} objects stand in the dump twice: the first of each is used")]
    Repeated {
        /// How many.
        count: u64,
    },
    /// References to objects that are not in the dump.
    #[error("{count} references lead to objects that are not in the dump: they are left out")]
    Dangling {
        /// How many.
        count: u64,
    },
    /// Something after the end marker.
    #[error("{bytes} bytes after the end of the dump at byte {offset} are ignored")]
    Trailing {
        /// Where the dump ends.
        offset: u64,
        /// How many follow.
        bytes: u64,
    },
}
