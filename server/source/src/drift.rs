//! Drift: where the sites of an older text stand in a newer one, while somebody edits it.
//!
//! In: the [`Anchors`] of both texts. Out: for a [`Site`] of the older text an [`Anchored`] one of the newer.
//!
//! `partners` says which statement is which. Where a text is broken the parser may have lost what is there to be seen,
//! so that what has no partner goes by the diff of lines.

use std::sync::OnceLock;

use crate::anchors::{Anchors, hash};
use crate::pairs::Pairs;
use crate::partners::Partners;
use crate::text::{Span, lines};
use crate::{Site, bare};

/// Where a site of an older text stands in a newer one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Anchored {
    /// The same statement at the same lines and columns.
    Exact(Site),
    /// The same statement, whitespace aside, elsewhere or otherwise spaced: where it is now.
    Moved(Site),
    /// The statement is not there as it was. The header of the innermost class or function around it that still is.
    Changed(Site),
    /// Neither the statement nor a definition around it is there.
    Lost,
}

/// Which statements of an older text are which of a newer one. Made once for each pair of texts.
#[derive(Debug)]
pub struct Drift<'a> {
    old: &'a Anchors,
    new: &'a Anchors,
    partners: Partners,
    /// The diff of lines without their indentation, made when it is needed.
    lines: OnceLock<Pairs>,
}

impl<'a> Drift<'a> {
    /// Compares the texts. That takes well below a millisecond where little was edited.
    #[must_use]
    pub fn between(old: &'a Anchors, new: &'a Anchors) -> Self {
        Self {
            old,
            new,
            partners: Partners::between(old, new),
            lines: OnceLock::new(),
        }
    }

    /// Where a site of the older text stands in the newer one. The site's path goes into the answer as it is.
    ///
    /// Its statement is the smallest that covers it; of a compound statement what stands before the colon, so that an
    /// edit of the block below does not change it. A site of several statements has moved only if its lines have, as
    /// a whole. Columns behind the end of a line count as its end.
    #[must_use]
    pub fn place(&self, site: &Site) -> Anchored {
        let Some(span) = self.old.span(site) else {
            return Anchored::Lost;
        };
        if self.old.text.text == self.new.text.text {
            return Anchored::Exact(site.clone());
        }
        if let Some(found) = self.found(span) {
            return self.verdict(site, span, found);
        }
        match self.header(span) {
            Some(header) => Anchored::Changed(self.new.text.site(&site.path, header)),
            None => Anchored::Lost,
        }
    }

    fn verdict(&self, site: &Site, old: Span, new: Span) -> Anchored {
        let was = self.old.text.site(&site.path, old);
        let is = self.new.text.site(&site.path, new);
        let (old, new) = (self.old.text.bytes(old), self.new.text.bytes(new));
        if was != is || !same_but_for_line_ends(old, new) {
            return Anchored::Moved(is);
        }
        // The site as it came, if the whitespace that it may have around it is the same, too.
        let whole = |anchors: &'a Anchors| Some(anchors.text.bytes(anchors.text.span(site)?));
        match (whole(self.old), whole(self.new)) {
            (Some(old), Some(new)) if same_but_for_line_ends(old, new) => {
                Anchored::Exact(site.clone())
            }
            _ => Anchored::Exact(is),
        }
    }

    /// Where the text of a range of the older text stands in the newer one.
    fn found(&self, span: Span) -> Option<Span> {
        let Some(index) = self.old.covering(span) else {
            return self.by_lines(span);
        };
        let old = self.old.statement(index)?.span;

        let new = match self.partners.statements.new_of(index) {
            Some(partner) => self.new.statement(partner)?.span,
            None if self.old.sound && self.new.sound => return None,
            None => match self.by_lines(old) {
                Some(new) => new,
                // In a broken text even the limits of statements may be wrong.
                None if !self.old.sound => return self.by_lines(span),
                None => return None,
            },
        };
        let (old_text, new_text) = (self.old.text.bytes(old), self.new.text.bytes(new));
        if !bare::same(old_text, new_text) {
            return None;
        }
        let until = |offset: u32| old_text.get(..(offset - old.start) as usize);
        let (first, end) = (
            bare::count(until(span.start)?),
            bare::count(until(span.end)?),
        );
        let start = bare::nth(new_text, first);
        // The end is behind the last byte of the site, not before the next one: whitespace may stand between them.
        let end = match end.checked_sub(1).filter(|&last| last >= first) {
            Some(last) => bare::nth(new_text, last) + 1,
            None => start,
        };
        Some(Span {
            start: new.start + u32::try_from(start).ok()?,
            end: new.start + u32::try_from(end).ok()?,
        })
    }

    /// Where a range stands whose first and last line are still there, and all that is between them.
    fn by_lines(&self, old: Span) -> Option<Span> {
        let lines = self.lines.get_or_init(|| {
            let hashes = |anchors: &Anchors| -> Vec<u64> {
                let lines = (0..).map_while(|line| anchors.text.line_span(line));
                let content = |line| hash(anchors.text.bytes(line).trim_ascii());
                lines.map(content).collect()
            };
            Pairs::between(&hashes(self.old), &hashes(self.new))
        });
        let follow = |offset: u32| {
            let line = self.old.text.line(offset) as usize - 1;
            let partner = lines.new_of(line)?;
            let within = offset.checked_sub(after_indentation(self.old, line)?)?;
            Some(after_indentation(self.new, partner)? + within)
        };
        let new = Span {
            start: follow(old.start)?,
            end: follow(old.end)?,
        };
        let there = new.start <= new.end
            && bare::same(self.old.text.bytes(old), self.new.text.bytes(new))
            && !self.is_taken(old, new);
        there.then_some(new)
    }

    /// Whether a place belongs to a statement that has another partner than the one of the older place.
    fn is_taken(&self, old: Span, new: Span) -> bool {
        let partner = |at| self.partners.statements.old_of(at);
        let taken_by = self.new.covering(new).and_then(partner);
        taken_by.is_some_and(|other| self.old.covering(old) != Some(other))
    }

    /// The header of the innermost definition around a range that is still there.
    fn header(&self, span: Span) -> Option<Span> {
        let innermost = match self.old.covering(span) {
            Some(index) => self.old.statement(index)?.definition,
            None => self.old.around(span)?,
        };
        let parent = |&at: &u32| self.old.definition(at)?.parent;
        let mut around = std::iter::successors(Some(innermost), parent);
        around.find_map(|at| {
            let old = self.old.definition(at).filter(|old| old.parent.is_some())?;
            match self.partners.definition(at) {
                Some(partner) => Some(self.new.definition(partner)?.header),
                None if self.old.sound && self.new.sound => None,
                None => self.by_lines(old.header),
            }
        })
    }
}

/// Where the first byte of a line stands that is no whitespace; the line is counted from 0.
fn after_indentation(of: &Anchors, line: usize) -> Option<u32> {
    let line = of.text.line_span(line)?;
    let indentation = bare::indentation(of.text.bytes(line));
    Some(line.start + u32::try_from(indentation).ok()?)
}

fn same_but_for_line_ends(old: &[u8], new: &[u8]) -> bool {
    old == new || lines(old).eq(lines(new))
}
