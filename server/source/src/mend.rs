//! A change of a text that mends a leak, as an editor can make it.

use ruff_text_size::{TextRange, TextSize};

/// What can have a mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mendable {
    /// A parameter whose default value all calls share.
    DefaultArgument,
    /// A caching decorator.
    FunctionCache,
}

/// A change that mends a leak and otherwise keeps what the program does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    /// What it does, as a menu has it.
    pub title: String,
    /// In the order of the text; they do not overlap.
    pub edits: Vec<Edit>,
}

/// A stretch of a text, and what is to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// First byte (0-based).
    pub start: u32,
    /// The byte behind the last one.
    pub end: u32,
    /// What stands there afterwards.
    pub text: String,
}

impl Edit {
    pub(crate) fn replacement(range: TextRange, text: impl Into<String>) -> Self {
        Self {
            start: range.start().into(),
            end: range.end().into(),
            text: text.into(),
        }
    }

    pub(crate) fn insertion(at: TextSize, text: impl Into<String>) -> Self {
        Self::replacement(TextRange::empty(at), text)
    }
}
