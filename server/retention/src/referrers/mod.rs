//! Who references an object, as a programmer would say it: what only implements a name (the dictionary of an instance, the
//! cell of a closure, the frame of a traceback) stands for whoever has that name.
//!
//! [`Referrers::of`] is one step up; `paths` goes up to the names of the program, `tree` to everything.

mod held;
mod kind;
mod paths;
mod tree;

use heldby_heap::{Heap, ObjectId};

pub use kind::ReferrerKind;
pub use paths::Paths;
pub use tree::{Breadth, ReferrerNode, ReferrerTree, TreeLimits};

use crate::Chains;
use crate::access_path::Step;
use crate::chains::price;

const UNREACHABLE: u32 = u32::MAX;

/// One way in which an object is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// How.
    pub kind: ReferrerKind,
    /// The last step of an access path: `.name`, `[3]`, `['key']`; for a thread-local, a local and the like the name with its dot.
    pub reference: String,
    /// Who; `None` for C code.
    pub owner: Option<ObjectId>,
    /// What an access path through this reference starts with, where it starts here: `gallery.views`, `app.worker.<local>`.
    pub anchor: Option<String>,
    pub(crate) steps: Vec<Step>,
    pub(crate) cost: u32,
}

/// All ways in which an object is held.
#[derive(Debug, Clone, Default)]
pub struct ReferrersOfObject {
    /// Nearest to a root first.
    pub shown: Vec<Referrer>,
    /// References left out because there are too many.
    pub cut: usize,
    /// References that say nothing about who holds: types, globals of functions, code, frames.
    pub machinery: usize,
}

/// Answers who references what in one heap.
#[derive(Debug)]
pub struct Referrers<'a> {
    heap: &'a Heap,
    distances: &'a Distances,
}

/// Price of the best chain from a root, by object: 4 bytes an object.
#[derive(Debug)]
pub struct Distances(Vec<u32>);

impl Distances {
    /// One pass over the objects.
    pub fn of(heap: &Heap, chains: &Chains) -> Self {
        let mut distances = vec![UNREACHABLE; heap.len()];
        distances[0] = 0;
        for object in chains.order() {
            if let Some((referrer, label)) = chains.referrer(object) {
                distances[object.index()] =
                    distances[referrer.index()].saturating_add(price(label));
            }
        }
        Self(distances)
    }
}

impl<'a> Referrers<'a> {
    /// The first question makes the heap's reversed rows.
    pub fn new(heap: &'a Heap, distances: &'a Distances) -> Self {
        Self { heap, distances }
    }

    /// The heap that it answers about.
    pub fn heap(&self) -> &'a Heap {
        self.heap
    }

    /// Whether a root reaches the object. What none reaches is garbage that waits for a collection.
    pub fn is_reachable(&self, object: ObjectId) -> bool {
        self.distance(object) != UNREACHABLE
    }

    fn distance(&self, object: ObjectId) -> u32 {
        self.distances
            .0
            .get(object.index())
            .copied()
            .unwrap_or(UNREACHABLE)
    }
}
