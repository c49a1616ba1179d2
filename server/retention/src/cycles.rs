//! Reference cycles that nothing reaches: only the garbage collector would free them. Where the program keeps it from running, what is
//! in them is held as well as by any name.

use std::hash::{Hash as _, Hasher as _};

use heldby_heap::{Heap, Label, ObjectId, ReferenceKind};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::PatternKey;
use crate::binding::Link;
use crate::growth::Counts;

/// A cycle with more objects than this between two of the same is not looked for.
const MOST_OBJECTS_OF_A_CYCLE: usize = 10_000;
/// Of a type so many objects are tried: those that only hang on a cycle are in none.
const MOST_TRIED: usize = 8;

/// The garbage of a dump by type, most bytes first.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    types: Vec<GarbageType>,
}

/// The objects of one type that are garbage.
#[derive(Debug, Clone)]
pub(crate) struct GarbageType {
    pub(crate) type_index: u32,
    pub(crate) identity: u64,
    pub(crate) count: u64,
    /// Bytes of all garbage that hangs together with them.
    pub(crate) bytes: u64,
    some: Vec<ObjectId>,
}

impl Garbage {
    /// One pass over the garbage and its references, one over the garbage.
    pub(crate) fn of(heap: &Heap) -> Self {
        let first = heap.reachable_len();
        // Those that no root reaches stand last.
        let objects = || (first..heap.len()).map(|index| ObjectId::new(index as u32));
        let mut together = Together::new(heap.len() - first);
        let row = |object: ObjectId| object.index() - first;
        for object in objects() {
            for reference in heap.references(object) {
                if is_garbage(heap, reference.target) {
                    together.join(row(object), row(reference.target));
                }
            }
        }
        let mut bytes: FxHashMap<usize, u64> = FxHashMap::default();
        for object in objects() {
            *bytes.entry(together.of(row(object))).or_default() += heap.shallow_bytes(object);
        }
        let mut types: FxHashMap<u32, GarbageType> = FxHashMap::default();
        let mut seen: FxHashSet<(u32, usize)> = FxHashSet::default();
        for object in objects() {
            let type_index = heap.type_index(object);
            let of_type = types.entry(type_index).or_insert_with(|| GarbageType {
                type_index,
                identity: identity(&heap.type_name(type_index)),
                count: 0,
                bytes: 0,
                some: Vec::new(),
            });
            of_type.count += 1;
            if of_type.some.len() < MOST_TRIED {
                of_type.some.push(object);
            }
            let part = together.of(row(object));
            if seen.insert((type_index, part)) {
                of_type.bytes += bytes.get(&part).copied().unwrap_or_default();
            }
        }
        let mut types: Vec<GarbageType> = types.into_values().collect();
        types.sort_by_key(|of_type| (std::cmp::Reverse(of_type.bytes), of_type.type_index));
        Self { types }
    }

    pub(crate) fn types(&self) -> impl Iterator<Item = &GarbageType> {
        self.types.iter()
    }

    /// What later dumps are compared with.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (PatternKey, Counts)> + '_ {
        self.types
            .iter()
            .map(|of_type| (PatternKey(of_type.identity), of_type.counts()))
    }
}

impl GarbageType {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            count: self.count,
            retained_bytes: self.bytes,
            ..Counts::default()
        }
    }

    pub(crate) fn some_object(&self) -> ObjectId {
        self.some.first().copied().unwrap_or(ObjectId::ROOT)
    }

    /// A shortest cycle through one of the objects, from the object's referrer on back to the object itself.
    pub(crate) fn cycle(&self, heap: &Heap) -> Option<Vec<Link>> {
        self.some.iter().find_map(|&object| cycle(heap, object))
    }
}

/// Whether no root reaches an object.
pub(crate) fn is_garbage(heap: &Heap, object: ObjectId) -> bool {
    object.index() >= heap.reachable_len()
}

fn cycle(heap: &Heap, start: ObjectId) -> Option<Vec<Link>> {
    let mut came_by: FxHashMap<ObjectId, (ObjectId, Label)> = FxHashMap::default();
    let mut queue = vec![start];
    let mut next = 0;
    while let Some(&object) = queue.get(next) {
        next += 1;
        if came_by.len() > MOST_OBJECTS_OF_A_CYCLE {
            return None;
        }
        for reference in heap.references(object) {
            let kind = reference.label.kind();
            let says_nothing = matches!(kind, ReferenceKind::Type | ReferenceKind::Machinery);
            if says_nothing
                || !is_garbage(heap, reference.target)
                || came_by.contains_key(&reference.target)
            {
                continue;
            }
            came_by.insert(reference.target, (object, reference.label));
            if reference.target == start {
                return Some(links(&came_by, start));
            }
            queue.push(reference.target);
        }
    }
    None
}

fn links(came_by: &FxHashMap<ObjectId, (ObjectId, Label)>, start: ObjectId) -> Vec<Link> {
    let mut links = Vec::new();
    let mut object = start;
    while let Some(&(referrer, label)) = came_by.get(&object) {
        links.push(Link::new(object, referrer, label));
        object = referrer;
        if object == start {
            break;
        }
    }
    links
}

/// Names the garbage of a type across dumps; no access path is hashed like it.
fn identity(type_name: &str) -> u64 {
    let mut hasher = FxHasher::default();
    ("garbage", type_name).hash(&mut hasher);
    hasher.finish()
}

/// Which objects hang together, whichever way their references go (union by size, with path halving: Tarjan and van Leeuwen, "Worst-case
/// analysis of set union algorithms", 1984).
struct Together {
    parents: Vec<u32>,
    sizes: Vec<u32>,
}

impl Together {
    fn new(count: usize) -> Self {
        Self {
            parents: (0..count as u32).collect(),
            sizes: vec![1; count],
        }
    }

    fn of(&mut self, mut row: usize) -> usize {
        while self.parents[row] as usize != row {
            self.parents[row] = self.parents[self.parents[row] as usize];
            row = self.parents[row] as usize;
        }
        row
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.of(one), self.of(other));
        if one == other {
            return;
        }
        let (large, small) = if self.sizes[one] < self.sizes[other] {
            (other, one)
        } else {
            (one, other)
        };
        self.parents[small] = large as u32;
        self.sizes[large] += self.sizes[small];
    }
}
