//! Anchors: what a statement can be known by in another version of its text.
//!
//! The anchor of a statement is the qualified name of the definition around it with its text without whitespace, and
//! the number of those before it that have the same. Lines, columns, indentation and comments are no part of it.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use crate::Site;
use crate::bare::{bare, indentation};
use crate::python::{Definition, Outline, Statement, outline};
use crate::text::{Span, Text, decode};

/// A text with its statements by enclosing definition and content.
///
/// Making it takes a parse: about a millisecond for 1,000 lines. A caller keeps it as long as the text is of interest;
/// it takes the bytes of the text and some 40 a statement.
#[derive(Debug)]
pub struct Anchors {
    pub(crate) text: Text,
    outline: Outline,
    /// The parser found nothing wrong.
    pub(crate) sound: bool,
    /// For each statement a hash of its text without whitespace.
    pub(crate) contents: Vec<u64>,
    /// For each statement a hash of that and the qualified name around it.
    pub(crate) anchors: Vec<u64>,
}

impl Anchors {
    /// The anchors of a Python file, decoded as [`crate::decode_source`] does. Text that is no Python, or not wholly, has those
    /// that could be read; what cannot be decoded counts as empty.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let text = decode(text)
            .text
            .unwrap_or_else(|| Text::new(String::new()));
        let (outline, sound) = outline(&text.text).unwrap_or_default();
        let names: Vec<u64> = outline
            .definitions
            .iter()
            .map(|definition| hash(&definition.qualname))
            .collect();
        let mut content = Vec::new();
        let mut contents = Vec::with_capacity(outline.statements.len());
        let mut anchors = Vec::with_capacity(outline.statements.len());
        for statement in &outline.statements {
            content.clear();
            content.extend(bare(text.bytes(statement.span)));
            let content = hash(&content);
            contents.push(content);
            anchors.push(hash(&(content, names[statement.definition as usize])));
        }
        Self {
            text,
            outline,
            sound,
            contents,
            anchors,
        }
    }

    /// The statements that can create a reference, assignments and calls, in their order: each with the qualified name of
    /// the class or function around it (empty at the module's top level) and its site, whose path is empty.
    pub fn statements(&self) -> impl Iterator<Item = (&str, Site)> {
        self.outline
            .statements
            .iter()
            .filter(|statement| statement.stores)
            .filter_map(|statement| {
                let around = self.definition(statement.definition)?;
                Some((&*around.qualname, self.text.site("", statement.span)))
            })
    }

    pub(crate) fn definitions(&self) -> &[Definition] {
        &self.outline.definitions
    }

    pub(crate) fn definition(&self, index: u32) -> Option<&Definition> {
        self.outline.definitions.get(index as usize)
    }

    pub(crate) fn statement(&self, index: usize) -> Option<&Statement> {
        self.outline.statements.get(index)
    }

    /// Indices of the definitions around the statements, in the order of those.
    pub(crate) fn enclosing(&self) -> impl Iterator<Item = u32> {
        self.outline
            .statements
            .iter()
            .map(|statement| statement.definition)
    }

    /// Index of the statement that a range lies in.
    pub(crate) fn covering(&self, span: Span) -> Option<usize> {
        let starts_before = |statement: &Statement| statement.span.start <= span.start;
        let index = self
            .outline
            .statements
            .partition_point(starts_before)
            .checked_sub(1)?;
        (span.end <= self.statement(index)?.span.end).then_some(index)
    }

    /// Index of the innermost definition that a range lies in.
    pub(crate) fn around(&self, span: Span) -> Option<u32> {
        let holds = |definition: &Definition| {
            definition.whole.start <= span.start && span.end <= definition.whole.end
        };
        let index = self.outline.definitions.iter().rposition(holds)?;
        u32::try_from(index).ok()
    }

    /// Index of the first statement that starts at an offset or after it.
    pub(crate) fn from(&self, offset: u32) -> usize {
        let starts_before = |statement: &Statement| statement.span.start < offset;
        self.outline.statements.partition_point(starts_before)
    }

    /// The range of a site without whitespace around it, if the text has it.
    pub(crate) fn span(&self, site: &Site) -> Option<Span> {
        let span = self.text.span(site)?;
        let bytes = self.text.bytes(span);
        let before = indentation(bytes);
        let after = indentation_of_end(&bytes[before..]);
        Some(Span {
            start: span.start + u32::try_from(before).ok()?,
            end: span.end - u32::try_from(after).ok()?,
        })
    }
}

fn indentation_of_end(bytes: &[u8]) -> usize {
    bytes.len() - bytes.trim_ascii_end().len()
}

/// A hash of something we read ourselves. What is found by it is compared before it is believed.
pub(crate) fn hash(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = FxHasher::default();
    what.hash(&mut hasher);
    hasher.finish()
}
