//! Placement: where the lines of a file as it ran stand in its text of today.
//!
//! In: the checksums the dump keeps of each line, and the text. Out: a [`LineMap`], which says of a [`Site`] found in
//! the text of today whether those very lines ran, and where they stood.

use std::ops::Range;

use rustc_hash::FxHashMap;
use similar::{Algorithm, DiffOp};

use crate::Site;

/// Stretches whose lengths multiply to more than this, without one line of its kind, count as changed.
const LARGEST_DIFF: usize = 1 << 22;

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
    /// For each line of today its number at the dump (both zero-based).
    old_of_new: Vec<Option<u32>>,
    /// The other way round.
    new_of_old: Vec<Option<u32>>,
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
    LineMap::between(old_line_crcs, &new)
}

impl LineMap {
    /// Pairs lines that are the only ones of their kind and keep their order, spreads from those, and leaves what lies
    /// between them to the diff. That takes n log n, where the diff alone can take n squared.
    fn between(old: &[u32], new: &[u32]) -> Self {
        let mut map = Self {
            old_of_new: vec![None; new.len()],
            new_of_old: vec![None; old.len()],
        };
        let (mut old_from, mut new_from) = (0, 0);
        let end = (old.len(), new.len());
        for (old_to, new_to) in anchors(old, new).into_iter().chain([end]) {
            // An anchor may have been taken in by the one before.
            if old_to >= old_from && new_to >= new_from {
                map.gap(old, new, old_from..old_to, new_from..new_to);
                if (old_to, new_to) != end {
                    map.pair(old_to, new_to, 1);
                }
                (old_from, new_from) = (old_to + 1, new_to + 1);
            }
        }
        map
    }

    fn gap(&mut self, old: &[u32], new: &[u32], in_old: Range<usize>, in_new: Range<usize>) {
        let (old_part, new_part) = (&old[in_old.clone()], &new[in_new.clone()]);
        let same = |(old, new): &(&u32, &u32)| old == new;
        let head = old_part.iter().zip(new_part).take_while(same).count();
        let tail = old_part[head..]
            .iter()
            .rev()
            .zip(new_part[head..].iter().rev())
            .take_while(same)
            .count();
        self.pair(in_old.start, in_new.start, head);
        self.pair(in_old.end - tail, in_new.end - tail, tail);
        let old_rest = in_old.start + head..in_old.end - tail;
        let new_rest = in_new.start + head..in_new.end - tail;
        if old_rest.len().saturating_mul(new_rest.len()) > LARGEST_DIFF {
            return;
        }
        for op in similar::capture_diff(Algorithm::Myers, old, old_rest, new, new_rest) {
            if let DiffOp::Equal {
                old_index,
                new_index,
                len,
            } = op
            {
                self.pair(old_index, new_index, len);
            }
        }
    }

    fn pair(&mut self, old: usize, new: usize, len: usize) {
        for step in 0..len {
            self.old_of_new[new + step] = u32::try_from(old + step).ok();
            self.new_of_old[old + step] = u32::try_from(new + step).ok();
        }
    }

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
        follow(&self.old_of_new, line_today)
    }

    /// The number (1-based) that a line of the dump has today.
    #[must_use]
    pub fn line_today(&self, line_at_dump: u32) -> Option<u32> {
        follow(&self.new_of_old, line_at_dump)
    }
}

/// Lines that occur once in each text, in the longest order that both share.
fn anchors(old: &[u32], new: &[u32]) -> Vec<(usize, usize)> {
    let (once_old, once_new) = (once(old), once(new));
    let both = |(at, line): (usize, &u32)| {
        let &old_at = once_old.get(line)?;
        once_new.contains_key(line).then_some((old_at, at))
    };
    let pairs: Vec<(usize, usize)> = new.iter().enumerate().filter_map(both).collect();
    // The longest rising sequence of old line numbers: of each length the one with the lowest end, and who came before.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (index, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|&end| pairs[end].0 < pair.0);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(index);
        } else {
            ends[length] = index;
        }
    }
    let mut longest: Vec<_> = std::iter::successors(ends.last().copied(), |&at| before[at])
        .map(|at| pairs[at])
        .collect();
    longest.reverse();
    longest
}

/// Where the lines stand that occur once.
fn once(lines: &[u32]) -> FxHashMap<u32, usize> {
    let mut seen: FxHashMap<u32, Option<usize>> = FxHashMap::default();
    for (at, &line) in lines.iter().enumerate() {
        seen.entry(line)
            .and_modify(|place| *place = None)
            .or_insert(Some(at));
    }
    let unique = |(line, place): (u32, Option<usize>)| Some((line, place?));
    seen.into_iter().filter_map(unique).collect()
}

fn follow(map: &[Option<u32>], line: u32) -> Option<u32> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    map.get(index)
        .copied()
        .flatten()
        .map(|zero_based| zero_based + 1)
}

/// The lines of `text`, without their endings (`\n`, `\r\n`, `\r`).
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match memchr::memchr2(b'\n', b'\r', rest) {
            None => Some(std::mem::take(&mut rest)),
            Some(end) => {
                let line = &rest[..end];
                let ending = if rest[end..].starts_with(b"\r\n") {
                    2
                } else {
                    1
                };
                rest = &rest[end + ending..];
                Some(line)
            }
        }
    })
}
