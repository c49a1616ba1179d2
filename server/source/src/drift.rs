//! Drift: where the sites of an older text stand in a newer one, while somebody edits it.
//!
//! In: the [`Anchors`] of both texts. Out: for a [`Site`] of the older text an [`Anchored`] one of the newer.
//!
//! Each statement of the older text gets at most one partner, and no two get the same. First come the statements that
//! the diff pairs by their anchors: those have the same surroundings. What is left is paired by anchor alone, in order,
//! which finds what was moved past something else. Last come definitions that were renamed: an old name that is gone
//! goes with a new one that was not there if most of what stood below it stands there. Where a text is broken the parser may
//! have lost what is there to be seen, so that the diff of lines decides.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::OnceLock;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::anchors::{Anchors, hash};
use crate::pairs::Pairs;
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
    statements: Pairs,
    /// For each old definition the new one.
    definitions: Vec<Option<u32>>,
    /// The diff of lines without their indentation, made when it is needed.
    lines: OnceLock<Pairs>,
}

impl<'a> Drift<'a> {
    /// Compares the texts. That takes well below a millisecond where little was edited.
    #[must_use]
    pub fn between(old: &'a Anchors, new: &'a Anchors) -> Self {
        let mut statements = Pairs::between(&old.anchors, &new.anchors);
        in_order(&mut statements, &old.anchors, &new.anchors);
        renamed(&mut statements, old, new);
        let definitions = definitions(&statements, old, new);
        Self {
            old,
            new,
            statements,
            definitions,
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
        let partner = self.statements.new_of_old.get(index).copied().flatten();
        let new = match partner {
            Some(partner) => self.new.statement(partner as usize)?.span,
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
            let partner = lines.new_of_old.get(line).copied().flatten()?;
            let within = offset.checked_sub(after_indentation(self.old, line)?)?;
            Some(after_indentation(self.new, partner as usize)? + within)
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
        let partner = |at: usize| self.statements.old_of_new.get(at).copied().flatten();
        let taken_by = self.new.covering(new).and_then(partner);
        taken_by.is_some_and(|other| self.old.covering(old) != Some(other as usize))
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
            match self.definitions.get(at as usize).copied().flatten() {
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

/// Pairs what has no partner yet and has the same key, the first with the first, the second with the second.
fn in_order<T: Copy + Eq + std::hash::Hash>(pairs: &mut Pairs, old: &[T], new: &[T]) {
    let mut waiting: FxHashMap<T, VecDeque<usize>> = FxHashMap::default();
    for (at, key) in new.iter().enumerate() {
        if pairs.old_of_new[at].is_none() {
            waiting.entry(*key).or_default().push_back(at);
        }
    }
    for (at, key) in old.iter().enumerate() {
        if pairs.new_of_old[at].is_none()
            && let Some(partner) = waiting.get_mut(key).and_then(VecDeque::pop_front)
        {
            pairs.pair(at, partner, 1);
        }
    }
}

/// Pairs the statements of definitions that have another name now.
fn renamed(pairs: &mut Pairs, old: &Anchors, new: &Anchors) {
    let (old_names, new_names) = (names(old), names(new));
    let gone = |at: u32| {
        old.definition(at)
            .is_some_and(|one| !new_names.contains(&*one.qualname))
    };
    let fresh = |at: u32| {
        new.definition(at)
            .is_some_and(|one| !old_names.contains(&*one.qualname))
    };
    let old_around: Vec<u32> = old.enclosing().collect();
    let new_around: Vec<u32> = new.enclosing().collect();
    let left = |around: &[u32], partners: &[Option<u32>], wanted: &dyn Fn(u32) -> bool| {
        let all = 0..around.len();
        let left = all.filter(|&at| partners[at].is_none() && wanted(around[at]));
        left.collect::<Vec<usize>>()
    };
    let left_old = left(&old_around, &pairs.new_of_old, &gone);
    let left_new = left(&new_around, &pairs.old_of_new, &fresh);
    if left_old.is_empty() || left_new.is_empty() {
        return;
    }

    let contents = |of: &Anchors, left: &[usize]| -> Vec<u64> {
        left.iter().map(|&at| of.contents[at]).collect()
    };
    let candidates = Pairs::between(&contents(old, &left_old), &contents(new, &left_new));
    let mut votes: FxHashMap<(u32, u32), usize> = FxHashMap::default();
    for (&at, partner) in left_old.iter().zip(&candidates.new_of_old) {
        if let Some(partner) = partner {
            let partner = left_new[*partner as usize];
            *votes
                .entry((old_around[at], new_around[partner]))
                .or_default() += 1;
        }
    }
    let mut sizes: FxHashMap<u32, usize> = FxHashMap::default();
    for &definition in &old_around {
        *sizes.entry(definition).or_default() += 1;
    }
    let mut successors = elected(&votes);
    successors.retain(|&was, is| {
        let kept = 2 * votes.get(&(was, *is)).copied().unwrap_or_default();
        let size = sizes.get(&was).copied().unwrap_or_default();
        kept > size || kept == size && same_surroundings(pairs, (old, was), (new, *is))
    });

    // As if they had their new name: again in order, so that nothing is paired with what another definition has now.
    let mut old_keys: Vec<Option<(u32, u64)>> = vec![None; old_around.len()];
    for &at in &left_old {
        let successor = successors.get(&old_around[at]);
        old_keys[at] = successor.map(|&is| (is, old.contents[at]));
    }
    let key = |(&is, &content): (&u32, &u64)| Some((is, content));
    let new_keys: Vec<_> = new_around.iter().zip(&new.contents).map(key).collect();
    in_order(pairs, &old_keys, &new_keys);
}

fn names(of: &Anchors) -> FxHashSet<&str> {
    of.definitions()
        .iter()
        .map(|definition| &*definition.qualname)
        .collect()
}

/// Whether the statement before two definitions, or the one after them, is the same.
fn same_surroundings(
    pairs: &Pairs,
    (old, was): (&Anchors, u32),
    (new, is): (&Anchors, u32),
) -> bool {
    let (Some(was), Some(is)) = (old.definition(was), new.definition(is)) else {
        return false;
    };
    let partner = |at: usize| pairs.new_of_old.get(at).copied().flatten();
    let before = match (
        old.from(was.whole.start).checked_sub(1),
        new.from(is.whole.start).checked_sub(1),
    ) {
        (None, None) => true,
        (Some(old), Some(new)) => partner(old).is_some_and(|partner| partner as usize == new),
        _ => false,
    };
    let (old_after, new_after) = (old.from(was.whole.end), new.from(is.whole.end));
    let at_ends = old_after == old.contents.len() && new_after == new.contents.len();
    before || at_ends || partner(old_after).is_some_and(|partner| partner as usize == new_after)
}

/// For each old definition the new one: where its statements went, or else the one of its name.
fn definitions(pairs: &Pairs, old: &Anchors, new: &Anchors) -> Vec<Option<u32>> {
    let new_around: Vec<u32> = new.enclosing().collect();
    let mut votes: FxHashMap<(u32, u32), usize> = FxHashMap::default();
    for (around, partner) in old.enclosing().zip(&pairs.new_of_old) {
        if let Some(partner) = partner {
            *votes
                .entry((around, new_around[*partner as usize]))
                .or_default() += 1;
        }
    }
    let successors = elected(&votes);
    let mut by_name: FxHashMap<&str, u32> = FxHashMap::default();
    for (at, definition) in (0..).zip(new.definitions()) {
        by_name.entry(&definition.qualname).or_insert(at);
    }
    (0..)
        .zip(old.definitions())
        .map(|(at, definition)| {
            let successor = successors.get(&at);
            successor
                .or_else(|| by_name.get(&*definition.qualname))
                .copied()
        })
        .collect()
}

/// For each old definition the new one with most votes; of several the first.
fn elected(votes: &FxHashMap<(u32, u32), usize>) -> FxHashMap<u32, u32> {
    let mut best: FxHashMap<u32, (usize, Reverse<u32>)> = FxHashMap::default();
    for (&(was, is), &count) in votes {
        let most = best.entry(was).or_insert((count, Reverse(is)));
        *most = (*most).max((count, Reverse(is)));
    }
    best.into_iter()
        .map(|(was, (_, Reverse(is)))| (was, is))
        .collect()
}

fn same_but_for_line_ends(old: &[u8], new: &[u8]) -> bool {
    old == new || lines(old).eq(lines(new))
}
