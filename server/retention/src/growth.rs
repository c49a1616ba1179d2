//! What grew across the series: counts of one dump, compared by access path, never by address.

use rustc_hash::FxHashMap;

use crate::cycles::Garbage;
use crate::{Pattern, PatternId, Patterns};

/// Names an access path across the dumps of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatternKey(pub u64);

/// What hung at an access path in one dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) count: u64,
    pub(crate) entries: u64,
    pub(crate) shallow_bytes: u64,
    pub(crate) retained_bytes: u64,
    /// The address of the object that retains most.
    pub(crate) address: u64,
}

/// What is kept of a dump for the comparison with later ones: 48 bytes an access path.
#[derive(Debug, Clone, Default)]
pub struct PatternCounts(FxHashMap<PatternKey, Counts>);

impl PatternCounts {
    /// The counts of one dump.
    pub(crate) fn of(patterns: &Patterns, garbage: &Garbage) -> Self {
        let of_paths = patterns
            .iter()
            .map(|(_, pattern)| (PatternKey(pattern.identity), Counts::of(pattern)));
        Self(of_paths.chain(garbage.counts()).collect())
    }
}

impl Counts {
    fn of(pattern: &Pattern) -> Self {
        let &Pattern {
            count,
            entries,
            shallow_bytes,
            retained_bytes,
            sample_address: address,
            ..
        } = pattern;
        Self {
            count,
            entries,
            shallow_bytes,
            retained_bytes,
            address,
        }
    }
}

/// What rises at an access path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rise {
    /// The number of objects there.
    Count,
    /// The number of items out of them, though the items hang elsewhere or are shared.
    Entries,
    /// The number of names in a namespace.
    Names,
    /// The objects' own bytes.
    Bytes,
}

/// The series seen from its last dump.
pub(crate) struct Growth<'a> {
    patterns: &'a Patterns,
    earlier: &'a [PatternCounts],
    counts_rise: Vec<bool>,
}

/// Bytes that an object's own storage must gain in each interval before that is called growth.
const LEAST_BYTES_AN_INTERVAL: u64 = 512;

impl<'a> Growth<'a> {
    /// `earlier`: the dumps before, oldest first.
    pub(crate) fn new(patterns: &'a Patterns, earlier: &'a [PatternCounts]) -> Self {
        let mut growth = Self {
            patterns,
            earlier,
            counts_rise: Vec::new(),
        };
        growth.counts_rise = patterns
            .iter()
            .map(|(_, pattern)| growth.rises(pattern, 1, |counts| counts.count))
            .collect();
        growth
    }

    /// Counts at the path in each dump, oldest first.
    pub(crate) fn series(&self, pattern: &Pattern) -> Vec<Counts> {
        self.series_of(PatternKey(pattern.identity), Counts::of(pattern))
    }

    /// The counts of one name in each dump, the last one's being given.
    pub(crate) fn series_of(&self, key: PatternKey, last: Counts) -> Vec<Counts> {
        let earlier = self
            .earlier
            .iter()
            .map(|dump| dump.0.get(&key).copied().unwrap_or_default());
        earlier.chain([last]).collect()
    }

    fn rises(&self, pattern: &Pattern, least: u64, number: impl Fn(&Counts) -> u64) -> bool {
        if self.earlier.is_empty() {
            return false;
        }
        let key = PatternKey(pattern.identity);
        let mut later = number(&Counts::of(pattern));
        // Newest first: most paths fail at once.
        self.earlier.iter().rev().all(|dump| {
            let before = dump.0.get(&key).map_or(0, &number);
            let rose = later >= before.saturating_add(least);
            later = before;
            rose
        })
    }

    /// What rises in every interval, topmost: below a path that grows, everything grows.
    pub(crate) fn topmost(&self) -> Vec<(PatternId, Rise)> {
        let mut below_rise = vec![false; self.counts_rise.len()];
        let mut has_rising_child = vec![false; self.counts_rise.len()];
        let mut found = Vec::new();
        // Parents stand before their children.
        for (id, pattern) in self.patterns.iter().skip(1) {
            let parent = pattern.parent.index();
            below_rise[id.index()] = below_rise[parent] || self.counts_rise[parent];
            if self.counts_rise[id.index()] {
                has_rising_child[parent] = true;
                if !below_rise[id.index()] {
                    found.push((id, Rise::Count));
                }
            }
        }
        for (id, pattern) in self.patterns.iter().skip(1) {
            let at = id.index();
            if below_rise[at] || self.counts_rise[at] || has_rising_child[at] {
                continue;
            }
            if self.rises(pattern, 1, |counts| counts.entries) {
                found.push((id, Rise::Entries));
            } else if self.rises(pattern, LEAST_BYTES_AN_INTERVAL, |counts| {
                counts.shallow_bytes
            }) {
                found.push((id, Rise::Bytes));
            }
        }
        found
    }
}

/// The last interval gained less than a quarter of the first: it fills up, it does not leak.
pub(crate) fn flattens(numbers: &[u64]) -> bool {
    let gains: Vec<u64> = numbers
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect();
    match (gains.first(), gains.last()) {
        (Some(first), Some(last)) if gains.len() >= 2 => last.saturating_mul(4) < *first,
        _ => false,
    }
}
