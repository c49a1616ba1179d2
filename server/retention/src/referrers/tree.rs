//! The tree of an object's referrers: each object once, cycles and repeats told as such, what is cut counted.

use std::collections::VecDeque;

use heldby_heap::ObjectId;
use rustc_hash::FxHashMap;

use super::{Referrer, ReferrerKind, Referrers};

/// How far a tree goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeLimits {
    /// Levels of referrers.
    pub depth: usize,
    /// Referrers told of one object.
    pub referrers: usize,
    /// Nodes of the whole tree.
    pub nodes: usize,
    /// Which referrers are followed.
    pub breadth: Breadth,
}

/// Which referrers of a referrer are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// All.
    Everything,
    /// Names of the program, what leads nearer to a root, and what closes a cycle; the others are counted.
    TowardsRoots,
}

/// One referrer in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerNode {
    /// How the node below (or the object asked for) is held.
    pub referrer: Referrer,
    /// Levels above the object asked for: 1 for its own referrers.
    pub depth: usize,
    /// Nodes of its own referrers.
    pub referrers: Vec<usize>,
    /// Its owner is told of elsewhere, nearer to the object asked for or earlier.
    pub is_repeated: bool,
    /// Its owner is below it, or the object asked for: a cycle.
    pub is_cycle: bool,
    /// Referrers that were left out.
    pub cut: usize,
}

/// The referrers of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferrerTree {
    /// All nodes.
    pub nodes: Vec<ReferrerNode>,
    /// The object's own referrers.
    pub top: Vec<usize>,
    /// Referrers of the object that were left out.
    pub cut: usize,
    /// References to the object that say nothing about who holds it.
    pub machinery: usize,
}

impl Referrers<'_> {
    /// The tree above an object, level by level: an object is told of at its lowest level.
    pub fn tree(&self, object: ObjectId, limits: TreeLimits) -> ReferrerTree {
        let mut tree = ReferrerTree::default();
        // Who was told of, and at which node; the object asked for has none.
        let mut told: FxHashMap<ObjectId, Option<usize>> = FxHashMap::from_iter([(object, None)]);
        let mut parents: Vec<Option<usize>> = Vec::new();
        let mut waiting: VecDeque<(Option<usize>, ObjectId)> = VecDeque::from([(None, object)]);
        while let Some((below, owner)) = waiting.pop_front() {
            let depth = below.map_or(1, |below| tree.nodes[below].depth + 1);
            let mut of_owner = self.of(owner);
            let mut cut = of_owner.cut;
            if limits.breadth == Breadth::TowardsRoots && below.is_some() {
                let before = of_owner.shown.len();
                of_owner.shown.retain(|referrer| {
                    referrer.anchor.is_some()
                        || referrer.owner.is_none_or(|above| {
                            self.distance(above) < self.distance(owner) || told.contains_key(&above)
                        })
                });
                cut += before - of_owner.shown.len();
            }
            if below.is_none() {
                tree.machinery = of_owner.machinery;
            }
            let total = of_owner.shown.len();
            let room = limits.nodes.saturating_sub(tree.nodes.len());
            let most = if depth > limits.depth {
                0
            } else {
                limits.referrers.min(room)
            };
            of_owner.shown.truncate(most);
            cut += total - of_owner.shown.len();
            let first = tree.nodes.len();
            for referrer in of_owner.shown {
                let at = tree.nodes.len();
                let earlier = referrer.owner.and_then(|owner| told.get(&owner).copied());
                let is_cycle = earlier.is_some_and(|earlier| is_below(&parents, below, earlier));
                if earlier.is_none()
                    && let Some(owner) = referrer.owner
                {
                    told.insert(owner, Some(at));
                    if !self.is_end(&referrer) {
                        waiting.push_back((Some(at), owner));
                    }
                }
                parents.push(below);
                tree.nodes.push(ReferrerNode {
                    // An end has nothing above it that could be left out: telling of it again is no repeat.
                    is_repeated: earlier.is_some() && !self.is_end(&referrer),
                    referrer,
                    depth,
                    referrers: Vec::new(),
                    is_cycle,
                    cut: 0,
                });
            }
            let added = first..tree.nodes.len();
            match below {
                Some(below) => {
                    tree.nodes[below].referrers = added.collect();
                    tree.nodes[below].cut = cut;
                }
                None => {
                    tree.top = added.collect();
                    tree.cut = cut;
                }
            }
        }
        tree
    }

    /// Whether nothing above it says more: a module, a frame that runs, C code.
    pub fn is_end(&self, referrer: &Referrer) -> bool {
        let names = self.heap.names();
        match (referrer.kind, referrer.owner) {
            (ReferrerKind::ModuleGlobal | ReferrerKind::Native, _) | (_, None) => true,
            (ReferrerKind::Local, Some(owner)) => names
                .frames
                .get(&owner)
                .is_some_and(|frame| frame.thread != 0),
            _ => false,
        }
    }
}

/// Whether `earlier` is `from` or one of the nodes under it; `None` is the object asked for, which is under all.
fn is_below(parents: &[Option<usize>], from: Option<usize>, earlier: Option<usize>) -> bool {
    let mut at = from;
    loop {
        if at == earlier {
            return true;
        }
        match at {
            Some(node) => at = parents[node],
            None => return false,
        }
    }
}
