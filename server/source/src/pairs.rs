//! The diff of two sequences: which items of one are which items of the other, in their order.

use std::hash::Hash;
use std::ops::Range;

use rustc_hash::FxHashMap;
use similar::{Algorithm, DiffOp};

/// Stretches whose lengths multiply to more than this, without one item of its kind, stay without partners.
const LARGEST_DIFF: usize = 1 << 22;

/// Items of two sequences that are equal and stand in the same order, each with its partner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pairs {
    /// For each new item the index of the old one.
    pub(crate) old_of_new: Vec<Option<u32>>,
    /// The other way round.
    pub(crate) new_of_old: Vec<Option<u32>>,
}

impl Pairs {
    /// Pairs items that are the only ones of their kind and keep their order, spreads from those, and leaves what lies
    /// between them to the diff. That takes n log n, where the diff alone can take n squared.
    pub(crate) fn between<T: Copy + Eq + Hash>(old: &[T], new: &[T]) -> Self {
        let mut pairs = Self {
            old_of_new: vec![None; new.len()],
            new_of_old: vec![None; old.len()],
        };
        let (mut old_from, mut new_from) = (0, 0);
        let end = (old.len(), new.len());
        for (old_to, new_to) in landmarks(old, new).into_iter().chain([end]) {
            // A landmark may have been taken in by the one before.
            if old_to >= old_from && new_to >= new_from {
                pairs.gap(old, new, old_from..old_to, new_from..new_to);
                if (old_to, new_to) != end {
                    pairs.pair(old_to, new_to, 1);
                }
                (old_from, new_from) = (old_to + 1, new_to + 1);
            }
        }
        pairs
    }

    fn gap<T: Copy + Eq + Hash>(
        &mut self,
        old: &[T],
        new: &[T],
        in_old: Range<usize>,
        in_new: Range<usize>,
    ) {
        let (old_part, new_part) = (&old[in_old.clone()], &new[in_new.clone()]);
        let same = |(old, new): &(&T, &T)| old == new;
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

    /// Index of the new item that an old one is.
    pub(crate) fn new_of(&self, old: usize) -> Option<usize> {
        follow(&self.new_of_old, old)
    }

    /// Index of the old item that a new one is.
    pub(crate) fn old_of(&self, new: usize) -> Option<usize> {
        follow(&self.old_of_new, new)
    }

    /// Makes partners of `len` items each.
    pub(crate) fn pair(&mut self, old: usize, new: usize, len: usize) {
        for step in 0..len {
            self.old_of_new[new + step] = u32::try_from(old + step).ok();
            self.new_of_old[old + step] = u32::try_from(new + step).ok();
        }
    }
}

fn follow(partners: &[Option<u32>], at: usize) -> Option<usize> {
    let partner = partners.get(at).copied().flatten()?;
    usize::try_from(partner).ok()
}

/// Items that occur once in each sequence, in the longest order that both share.
fn landmarks<T: Copy + Eq + Hash>(old: &[T], new: &[T]) -> Vec<(usize, usize)> {
    let (once_old, once_new) = (once(old), once(new));
    let both = |(at, item): (usize, &T)| {
        let &old_at = once_old.get(item)?;
        once_new.contains_key(item).then_some((old_at, at))
    };
    let pairs: Vec<(usize, usize)> = new.iter().enumerate().filter_map(both).collect();
    // The longest rising sequence of old indices: of each length the one with the lowest end, and who came before.
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

/// Where the items stand that occur once.
fn once<T: Copy + Eq + Hash>(items: &[T]) -> FxHashMap<T, usize> {
    let mut seen: FxHashMap<T, Option<usize>> = FxHashMap::default();
    for (at, &item) in items.iter().enumerate() {
        seen.entry(item)
            .and_modify(|place| *place = None)
            .or_insert(Some(at));
    }
    let unique = |(item, place): (T, Option<usize>)| Some((item, place?));
    seen.into_iter().filter_map(unique).collect()
}
