//! Placement: where the lines of a file as it ran stand in its text of today.
//!
//! In: the checksums the dump keeps of each line, and the text. Out: a [`LineMap`], which says of a [`Site`] found in
//! the text of today whether those very lines ran, and where they stood.

use crate::Site;
use crate::pairs::Pairs;
use crate::text::lines;

/// How a site of today's text stands to the text that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placed {
    /// The same lines stood at the same numbers.
    Exact,
    /// The same lines stood elsewhere in the file.
    Moved,
    /// The lines are not those that ran.
    Changed,
}

/// Which lines of today's text are lines of the text that ran, and which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineMap {
    /// Lines of the dump with lines of today, counted from 0.
    pairs: Pairs,
}

/// The checksum a dump keeps of a line: CRC-32 of its bytes without the line ending.
#[must_use]
pub fn line_crc(line: &[u8]) -> u32 {
    crc32fast::hash(line)
}

/// Matches the lines that ran, known by their checksums, with the lines of today's text.
#[must_use]
pub fn place(old_line_crcs: &[u32], new_text: &[u8]) -> LineMap {
    let new: Vec<u32> = lines(new_text).map(line_crc).collect();
    LineMap {
        pairs: Pairs::between(old_line_crcs, &new),
    }
}

impl LineMap {
    /// How `site`, found in the text of today, stands to the text that ran.
    #[must_use]
    pub fn placement(&self, site: &Site) -> Placed {
        let mut placed = Placed::Exact;
        let mut shift = None;
        for line in site.line..=site.end_line.max(site.line) {
            let Some(old) = self.line_at_dump(line) else {
                return Placed::Changed;
            };
            let here = i64::from(old) - i64::from(line);
            if *shift.get_or_insert(here) != here {
                return Placed::Changed;
            }
            if here != 0 {
                placed = Placed::Moved;
            }
        }
        placed
    }

    /// The number (1-based) that a line of today had at the dump.
    #[must_use]
    pub fn line_at_dump(&self, line_today: u32) -> Option<u32> {
        followed(line_today, |today| self.pairs.old_of(today))
    }

    /// The number (1-based) that a line of the dump has today.
    #[must_use]
    pub fn line_today(&self, line_at_dump: u32) -> Option<u32> {
        followed(line_at_dump, |then| self.pairs.new_of(then))
    }
}

/// From a line counted from 1 to its partner, counted from 1.
fn followed(line: u32, partner: impl Fn(usize) -> Option<usize>) -> Option<u32> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    u32::try_from(partner(index)? + 1).ok()
}
