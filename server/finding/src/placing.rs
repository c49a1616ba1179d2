//! Where a site found in today's text stands to the text that ran.

use std::cell::RefCell;

use heldby_source::{LineMap, Placed, Site, SourceFiles, place};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use crate::{Placement, RanAt};

/// What a dump recorded of a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFact {
    /// Path, as the dump writes it.
    pub path: String,
    /// SHA-256 of its content at the time of the dump, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// The file on disk was not the one that ran.
    pub changed: bool,
    /// CRC-32 of each of its lines; empty where the dump has none.
    pub line_checksums: Vec<u32>,
}

enum FileState {
    Same,
    Changed,
    Mapped(LineMap),
}

/// Compares files with what the dump recorded of them, each once.
pub(crate) struct Placing<'a> {
    facts: FxHashMap<String, SourceFact>,
    files: &'a dyn SourceFiles,
    states: RefCell<FxHashMap<String, Option<FileState>>>,
}

impl<'a> Placing<'a> {
    pub(crate) fn new(facts: Vec<SourceFact>, files: &'a dyn SourceFiles) -> Self {
        let facts = facts
            .into_iter()
            .map(|fact| (fact.path.clone(), fact))
            .collect();
        Self {
            facts,
            files,
            states: RefCell::default(),
        }
    }

    /// How the site stands to what ran; `None` when the dump says nothing about its file.
    pub(crate) fn placement(&self, site: &Site) -> Option<Placement> {
        let mut states = self.states.borrow_mut();
        let state = states
            .entry(site.path.clone())
            .or_insert_with(|| self.state(&site.path));
        Some(match state.as_ref()? {
            FileState::Same => Placement::Exact,
            FileState::Changed => Placement::Changed,
            FileState::Mapped(map) => match map.placement(site) {
                Placed::Exact => Placement::Exact,
                Placed::Moved => Placement::Moved,
                Placed::Changed => Placement::Changed,
            },
        })
    }

    /// The line of today that was this one when the program ran, and how it stands to it; None where it was changed.
    pub(crate) fn line_today(&self, path: &str, line: u32) -> Option<(u32, Placement)> {
        let mut states = self.states.borrow_mut();
        let state = states
            .entry(path.to_owned())
            .or_insert_with(|| self.state(path));
        match state {
            None | Some(FileState::Same) => Some((line, Placement::Exact)),
            Some(FileState::Changed) => None,
            Some(FileState::Mapped(map)) => map.line_today(line).map(|today| {
                let placement = if today == line {
                    Placement::Exact
                } else {
                    Placement::Moved
                };
                (today, placement)
            }),
        }
    }

    /// Where a site stood when the program ran.
    pub(crate) fn ran_at(&self, site: &Site) -> Option<RanAt> {
        let mut states = self.states.borrow_mut();
        let state = states
            .entry(site.path.clone())
            .or_insert_with(|| self.state(&site.path));
        let (first, last) = match state {
            None | Some(FileState::Same) => (site.line, site.end_line),
            Some(FileState::Changed) => return None,
            Some(FileState::Mapped(map)) => (
                map.line_at_dump(site.line)?,
                map.line_at_dump(site.end_line)?,
            ),
        };
        Some(RanAt {
            file: site.path.clone(),
            first,
            last,
        })
    }

    /// Whether the file's text of today is not the one that ran.
    pub(crate) fn is_edited(&self, path: &str) -> bool {
        let mut states = self.states.borrow_mut();
        let state = states
            .entry(path.to_owned())
            .or_insert_with(|| self.state(path));
        matches!(state, Some(FileState::Changed | FileState::Mapped(_)))
    }

    fn state(&self, path: &str) -> Option<FileState> {
        let fact = self.facts.get(path)?;
        let recorded = fact.sha256.as_deref()?;
        let text = self.files.read(path)?;
        let digest = Sha256::digest(&text);
        let today: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(if fact.changed {
            // The text that ran was gone before the dump: its lines are not known.
            FileState::Changed
        } else if today == recorded {
            FileState::Same
        } else if fact.line_checksums.is_empty() {
            FileState::Changed
        } else {
            FileState::Mapped(place(&fact.line_checksums, &text))
        })
    }
}
