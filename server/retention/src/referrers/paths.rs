//! The access paths that hold an object: from each of its referrers up to the names of the program.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use heldby_heap::ObjectId;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Referrer, Referrers, ReferrersOfObject};
use crate::access_path::{Step, written};

/// So many objects on the way up are looked at for one object's paths.
const MOST_VISITS: usize = 20_000;

/// The access paths that hold an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    /// Best first, keys and indices as they are.
    pub paths: Vec<String>,
    /// Whether there may be more.
    pub is_cut: bool,
}

/// A way up that was begun.
struct Way {
    object: ObjectId,
    /// The way below, towards the object that was asked for.
    below: Option<usize>,
    /// Steps from `object` down to the way below, in the order in which they are written.
    steps: Vec<Step>,
}

impl Referrers<'_> {
    /// The access paths of an object, at most `limit`.
    ///
    /// All references to the object itself are followed; above them all names, and of the nameless what leads nearer to a root:
    /// a chain that wanders through its neighbours tells nothing new.
    pub fn paths(&self, object: ObjectId, limit: usize) -> Paths {
        let mut ways = vec![Way {
            object,
            below: None,
            steps: Vec::new(),
        }];
        // Ways by their price, then in the order of their finding.
        let mut waiting = BinaryHeap::from([Reverse((0u32, 0usize, false))]);
        let mut known: FxHashMap<ObjectId, Rc<ReferrersOfObject>> = FxHashMap::default();
        let mut found = Paths::default();
        let mut seen = FxHashSet::default();
        let mut ends: Vec<String> = Vec::new();
        let mut visits = 0;
        while let Some(Reverse((price, at, is_end))) = waiting.pop() {
            if is_end {
                let path = &ends[at];
                if found.paths.len() == limit {
                    found.is_cut = true;
                    break;
                }
                if seen.insert(path.clone()) {
                    found.paths.push(path.clone());
                }
                continue;
            }
            visits += 1;
            if visits > MOST_VISITS {
                found.is_cut = true;
                break;
            }
            let here = ways[at].object;
            let referrers = Rc::clone(known.entry(here).or_insert_with(|| Rc::new(self.of(here))));
            found.is_cut |= referrers.cut > 0 && at == 0;
            // What a step costs beyond the best chain to where it leads.
            let so_far = price.saturating_sub(if at == 0 { 0 } else { self.distance(here) });
            for referrer in &referrers.shown {
                if let Some(anchor) = &referrer.anchor {
                    let path = written(anchor, steps_down(&ways, at, referrer));
                    ends.push(path);
                    let total = so_far.saturating_add(referrer.cost);
                    waiting.push(Reverse((total, ends.len() - 1, true)));
                    continue;
                }
                let Some(owner) = referrer.owner else {
                    continue;
                };
                let leads_up = at == 0 || self.distance(owner) < self.distance(here);
                if !self.is_reachable(owner) || !leads_up || is_on(&ways, at, owner) {
                    continue;
                }
                ways.push(Way {
                    object: owner,
                    below: Some(at),
                    steps: referrer.steps.clone(),
                });
                let total = so_far.saturating_add(referrer.cost);
                waiting.push(Reverse((total, ways.len() - 1, false)));
            }
        }
        if let Some(module) = self.module_name(object) {
            found.paths.insert(0, module.to_owned());
        }
        found
    }

    fn module_name(&self, object: ObjectId) -> Option<&str> {
        let names = self.heap.names();
        let row = &names.modules[*names.module_of.get(&object)? as usize];
        (row.object == Some(object)).then(|| self.heap.text(row.name))
    }
}

/// The steps of a whole path: of the last reference, then of each way down to the object asked for.
fn steps_down<'w>(
    ways: &'w [Way],
    at: usize,
    last: &'w Referrer,
) -> impl Iterator<Item = &'w Step> {
    let mut next = Some(at);
    let below = std::iter::from_fn(move || {
        let way = &ways[next?];
        next = way.below;
        Some(way.steps.iter())
    });
    last.steps.iter().chain(below.flatten())
}

fn is_on(ways: &[Way], at: usize, object: ObjectId) -> bool {
    let mut next = Some(at);
    while let Some(way) = next.map(|at| &ways[at]) {
        if way.object == object {
            return true;
        }
        next = way.below;
    }
    false
}
