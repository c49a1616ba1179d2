//! Which statement, and which definition, of an older text is which of a newer one.
//!
//! Each statement gets at most one partner, and no two get the same. First come those that the diff pairs by their
//! anchors: they have the same surroundings. What is left is paired by anchor alone, in order, which finds what was moved
//! past something else. Then come definitions that were renamed, and last statements that were carried from one
//! definition into another: by their text, if a neighbour came along.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::hash::Hash;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::anchors::Anchors;
use crate::pairs::Pairs;
use crate::python::Definition;

/// Partners of the statements and definitions of two texts.
#[derive(Debug)]
pub(crate) struct Partners {
    /// By index. Partners have the same text, whitespace aside, unless two hashes collide.
    pub(crate) statements: Pairs,
    /// For each old definition the new one.
    definitions: Vec<Option<u32>>,
}

impl Partners {
    pub(crate) fn between(old: &Anchors, new: &Anchors) -> Self {
        let mut statements = Pairs::between(&old.anchors, &new.anchors);
        in_order(&mut statements, &old.anchors, &new.anchors);
        let renamed = renamed(&mut statements, old, new);
        carried(&mut statements, old, new);
        let definitions = definitions(&statements, &renamed, old, new);
        Self {
            statements,
            definitions,
        }
    }

    /// Index of the new definition that an old one is.
    pub(crate) fn definition(&self, old: u32) -> Option<u32> {
        self.definitions.get(old as usize).copied().flatten()
    }
}

/// Pairs what has no partner yet and has the same key, the first with the first, the second with the second.
fn in_order<T: Copy + Eq + Hash>(pairs: &mut Pairs, old: &[T], new: &[T]) {
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

/// Pairs the statements of definitions that have another name now. Returns those definitions, the new by the old: an
/// old name that is gone goes with a new one that was not there if most of what stood below it stands there, or half of
/// it between the same neighbours.
fn renamed(pairs: &mut Pairs, old: &Anchors, new: &Anchors) -> FxHashMap<u32, u32> {
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
    let candidates = left_over(
        pairs,
        (old, &|at| gone(old_around[at])),
        (new, &|at| fresh(new_around[at])),
    );
    let mut votes: FxHashMap<(u32, u32), usize> = FxHashMap::default();
    for &(was, is) in &candidates {
        *votes.entry((old_around[was], new_around[is])).or_default() += 1;
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
    if !successors.is_empty() {
        // As if they had their new name: again in order, so that what the diff gave to another definition comes back.
        let key = |(around, &content): (&u32, &u64)| Some((*successors.get(around)?, content));
        let old_keys: Vec<_> = old_around.iter().zip(&old.contents).map(key).collect();
        let key = |(&around, &content): (&u32, &u64)| Some((around, content));
        let new_keys: Vec<_> = new_around.iter().zip(&new.contents).map(key).collect();
        in_order(pairs, &old_keys, &new_keys);
    }
    successors
}

/// Pairs statements of the same text that were carried into another definition along with the one before or after them, or
/// that stayed beside it while the definition around them became another.
fn carried(pairs: &mut Pairs, old: &Anchors, new: &Anchors) {
    let candidates = left_over(pairs, (old, &|_| true), (new, &|_| true));
    let known: FxHashMap<usize, usize> = candidates.iter().copied().collect();
    let goes =
        |was: usize, is: usize| pairs.new_of(was) == Some(is) || known.get(&was) == Some(&is);
    let beside = |&(was, is): &(usize, usize)| {
        goes(was + 1, is + 1) || was > 0 && is > 0 && goes(was - 1, is - 1)
    };
    let accepted: Vec<(usize, usize)> = candidates
        .iter()
        .copied()
        .filter(|pair| beside(pair))
        .collect();
    for (was, is) in accepted {
        pairs.pair(was, is, 1);
    }
}

/// Which of the statements that have no partner yet, and are wanted, have the same text and order.
fn left_over(
    pairs: &Pairs,
    (old, from): (&Anchors, &dyn Fn(usize) -> bool),
    (new, to): (&Anchors, &dyn Fn(usize) -> bool),
) -> Vec<(usize, usize)> {
    let left = |partners: &[Option<u32>], wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
        let all = 0..partners.len();
        all.filter(|&at| partners[at].is_none() && wanted(at))
            .collect()
    };
    let contents = |of: &Anchors, left: &[usize]| -> Vec<u64> {
        left.iter().map(|&at| of.contents[at]).collect()
    };
    let (left_old, left_new) = (left(&pairs.new_of_old, from), left(&pairs.old_of_new, to));
    let found = Pairs::between(&contents(old, &left_old), &contents(new, &left_new));
    let partners = left_old.iter().zip(found.new_of_old);
    let pair = |(&was, is): (&usize, Option<u32>)| Some((was, *left_new.get(is? as usize)?));
    partners.filter_map(pair).collect()
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
    let before = match (
        old.from(was.whole.start).checked_sub(1),
        new.from(is.whole.start).checked_sub(1),
    ) {
        (None, None) => true,
        (Some(old), Some(new)) => pairs.new_of(old) == Some(new),
        _ => false,
    };
    let (old_after, new_after) = (old.from(was.whole.end), new.from(is.whole.end));
    let at_ends = old_after == old.contents.len() && new_after == new.contents.len();
    before || at_ends || pairs.new_of(old_after) == Some(new_after)
}

/// For each old definition the new one: of those of its name the one where most of its statements are, or else the first;
/// or the one that it was renamed to.
fn definitions(
    pairs: &Pairs,
    renamed: &FxHashMap<u32, u32>,
    old: &Anchors,
    new: &Anchors,
) -> Vec<Option<u32>> {
    let new_around: Vec<u32> = new.enclosing().collect();
    let same_name = |was: u32, is: u32| {
        let (was, is) = (old.definition(was), new.definition(is));
        was.map(|one| &one.qualname) == is.map(|one| &one.qualname)
    };
    let mut votes: FxHashMap<(u32, u32), usize> = FxHashMap::default();
    for (was, partner) in old.enclosing().zip(&pairs.new_of_old) {
        let is = partner.map(|partner| new_around[partner as usize]);
        if let Some(is) = is
            && same_name(was, is)
        {
            *votes.entry((was, is)).or_default() += 1;
        }
    }
    let most = elected(&votes);
    let mut first: FxHashMap<&str, u32> = FxHashMap::default();
    for (at, definition) in (0..).zip(new.definitions()) {
        first.entry(&definition.qualname).or_insert(at);
    }
    let successor = |(at, definition): (u32, &Definition)| {
        let namesake = most.get(&at).or_else(|| first.get(&*definition.qualname));
        namesake.or_else(|| renamed.get(&at)).copied()
    };
    (0..).zip(old.definitions()).map(successor).collect()
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
