//! Referrer chains with varying keys and indices taken together: a tree of access paths, and what hangs at each.

use heldby_heap::{Cancel, Cancelled, Heap, ObjectId, StringId};
use rustc_hash::FxHashMap;

use crate::binding::is_type_inside_contexts;
use crate::pattern_tree::{DEEPEST_RECURSION, step_of};
use crate::{Chains, Dominators};

/// One of so many is a small part.
const SMALL_PART: u64 = 10;

/// A node of the tree of access paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatternId(pub(crate) u32);

impl PatternId {
    /// The root of the tree.
    pub const ROOT: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One step of an access path: keys and indices of containers are left out, names of the program are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The synthetic root.
    Root,
    /// The table of modules.
    Table,
    /// The interpreter's state.
    State,
    /// An object of this type, held by C code.
    Native(StringId),
    /// A module.
    Module(StringId),
    /// A frame running this code.
    Frame(StringId),
    /// To the `__dict__` of a module, type or instance, or to what a cell contains: not written.
    Through,
    /// A name in the namespace of a module, type, instance or function.
    Name(StringId),
    /// Slot, or member of a C structure.
    Slot(StringId),
    /// Any item of a container.
    Item,
    /// Any item of this type, of a container that C code holds.
    ItemOfNative(StringId),
    /// Any key of a dictionary.
    Key,
    /// Free variable.
    FreeVariable(StringId),
    /// Default value.
    Default(StringId),
    /// Local variable.
    Local(StringId),
    /// Entries of a caching function.
    Cache,
    /// What an iterator goes over.
    Next,
    /// What a view shows.
    View,
    /// One thread's names of a thread-local object.
    ThreadLocal,
    /// A value of a context variable.
    Context,
    /// To the context that a task or a callback runs in.
    ToContext,
    /// What says nothing about who holds.
    Machinery(StringId),
    /// Not named.
    Other,
}

/// What hangs at an access path in one dump.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// The path before the last step.
    pub parent: PatternId,
    /// The last step.
    pub step: Step,
    /// Type of the first object there.
    pub first_type: u32,
    /// The object there that retains most.
    pub sample: ObjectId,
    /// Its address in the process.
    pub(crate) sample_address: u64,
    /// Objects there.
    pub count: u64,
    /// References to items out of them.
    pub entries: u64,
    /// Their own bytes.
    pub shallow_bytes: u64,
    /// What would be freed if they went.
    pub retained_bytes: u64,
    /// Names the path across dumps: a hash of its steps.
    pub identity: u64,
    /// The path leads to itself again, as that of a linked list does.
    pub(crate) recurs: bool,
}

/// Objects of one type at an access path.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OfType {
    pub(crate) count: u64,
    pub(crate) retained_bytes: u64,
}

/// The tree of access paths of one heap.
#[derive(Debug)]
pub struct Patterns {
    pub(crate) nodes: Vec<Pattern>,
    pub(crate) children: FxHashMap<(PatternId, Step, u32), PatternId>,
    /// Each path and what follows it, by path.
    following: Vec<(PatternId, PatternId)>,
    /// Each path that others than the one before it lead to, and these: a recursion's end.
    leading_back: Vec<(PatternId, PatternId)>,
    /// What hangs at each path, by path and type index.
    of_types: Vec<((PatternId, u32), OfType)>,
    /// How many items the containers there have that were last made larger at which place, by path and row of `Growths::places`.
    growths: Vec<((PatternId, u32), u64)>,
}

/// The rows of a sorted table whose first column is this path.
fn rows_of<T>(table: &[T], path: impl Fn(&T) -> PatternId, wanted: PatternId) -> &[T] {
    let from = table.partition_point(|row| path(row) < wanted);
    let rest = &table[from..];
    &rest[..rest.partition_point(|row| path(row) == wanted)]
}

/// As a table in the order of its keys.
fn sorted<T>(map: FxHashMap<(PatternId, u32), T>) -> Vec<((PatternId, u32), T)> {
    let mut table: Vec<_> = map.into_iter().collect();
    table.sort_unstable_by_key(|&(key, _)| key);
    table
}

impl Patterns {
    /// One pass over the objects in the order of their chains: 4 bytes an object while it runs.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn of(
        heap: &Heap,
        chains: &Chains,
        dominators: &Dominators,
        cancel: &Cancel,
    ) -> Result<Self, Cancelled> {
        let mut patterns = Self {
            nodes: vec![Pattern::root()],
            children: FxHashMap::default(),
            following: Vec::new(),
            leading_back: Vec::new(),
            of_types: Vec::new(),
            growths: Vec::new(),
        };
        let mut of_types: FxHashMap<(PatternId, u32), OfType> = FxHashMap::default();
        let mut items_grown_at: FxHashMap<(PatternId, u32), u64> = FxHashMap::default();
        let growths = Some(&heap.names().growths.of).filter(|of| !of.is_empty());
        let mut pattern_of = vec![PatternId::ROOT; heap.reachable_len()];
        let types = 0..heap.names().types.len() as u32;
        let inside_contexts: Vec<bool> = types
            .map(|type_index| is_type_inside_contexts(heap, type_index))
            .collect();
        for (done, object) in chains.order().enumerate() {
            if done % (1 << 16) == 0 {
                cancel.check()?;
            }
            let Some((referrer, label)) = chains.referrer(object) else {
                continue;
            };
            let above = pattern_of[referrer.index()];
            if inside_contexts[heap.type_index(object) as usize] {
                // How deep the tree of a context's values is says nothing.
                pattern_of[object.index()] = above;
                continue;
            }
            let step = step_of(
                heap,
                &patterns.nodes[above.index()],
                object,
                referrer,
                label,
            );
            let pattern = patterns.child(heap, above, step, heap.type_index(object));
            pattern_of[object.index()] = pattern;

            let retained = dominators.retained_bytes(object);
            let is_topmost = patterns.is_topmost(&pattern_of, dominators, object);
            let entries = heap
                .references(object)
                .filter(|reference| reference.label.kind().is_item())
                .count() as u64;
            let node = &mut patterns.nodes[pattern.index()];
            if node.count == 0 || retained > dominators.retained_bytes(node.sample) {
                (node.sample, node.sample_address) = (object, heap.address(object));
            }
            if let Some(&place) = growths.and_then(|of| of.get(&object)) {
                *items_grown_at.entry((pattern, place)).or_default() += entries;
            }
            node.count += 1;
            node.entries += entries;
            node.shallow_bytes += heap.shallow_bytes(object);
            let of_type = of_types
                .entry((pattern, heap.type_index(object)))
                .or_default();
            of_type.count += 1;
            if is_topmost {
                node.retained_bytes = node.retained_bytes.saturating_add(retained);
                of_type.retained_bytes = of_type.retained_bytes.saturating_add(retained);
            }
        }
        patterns.of_types = sorted(of_types);
        patterns.growths = sorted(items_grown_at);
        patterns.relate();
        Ok(patterns)
    }

    /// Once the tree is whole: which path follows which.
    fn relate(&mut self) {
        let ids = (1..self.nodes.len() as u32).map(PatternId);
        self.following = ids.map(|id| (self.get(id).parent, id)).collect();
        self.following.sort_unstable();
        let leads_back = |(&(above, ..), &below): (&(PatternId, Step, u32), &PatternId)| {
            (self.get(below).parent != above).then_some((below, above))
        };
        self.leading_back = self.children.iter().filter_map(leads_back).collect();
        self.leading_back.sort_unstable();
        self.leading_back.dedup();
    }

    /// Whether none of the objects whose going would free this one hangs at the same path: what that one retains, this one is a part of.
    fn is_topmost(
        &self,
        pattern_of: &[PatternId],
        dominators: &Dominators,
        object: ObjectId,
    ) -> bool {
        let pattern = pattern_of[object.index()];
        // A path that does not lead to itself has nothing of its own above.
        let levels = if self.get(pattern).recurs {
            DEEPEST_RECURSION
        } else {
            1
        };
        let mut above = object;
        for _ in 0..levels {
            above = dominators.immediate(above);
            if pattern_of[above.index()] == pattern {
                return false;
            }
            if above == ObjectId::ROOT {
                break;
            }
        }
        true
    }

    /// All access paths.
    pub fn iter(&self) -> impl Iterator<Item = (PatternId, &Pattern)> {
        (0..).map(PatternId).zip(&self.nodes)
    }

    /// An access path.
    pub fn get(&self, pattern: PatternId) -> &Pattern {
        &self.nodes[pattern.index()]
    }

    /// The path itself and all before it, up to the root of the tree.
    pub fn ancestors(&self, pattern: PatternId) -> impl Iterator<Item = (PatternId, &Pattern)> {
        let mut next = Some(pattern);
        std::iter::from_fn(move || {
            let id = next?;
            let node = self.get(id);
            next = (id != PatternId::ROOT).then_some(node.parent);
            Some((id, node))
        })
    }

    /// The paths that are one step longer.
    pub(crate) fn following(
        &self,
        pattern: PatternId,
    ) -> impl Iterator<Item = (PatternId, &Pattern)> {
        let rows = rows_of(&self.following, |row| row.0, pattern).iter();
        rows.map(|&(_, below)| (below, self.get(below)))
    }

    /// The paths that lead back to this one, as a linked list's next object does to the first.
    pub(crate) fn leading_back_to(&self, pattern: PatternId) -> impl Iterator<Item = PatternId> {
        let rows = rows_of(&self.leading_back, |row| row.0, pattern).iter();
        rows.map(|&(_, above)| above)
    }

    /// Where the containers at a path were seen to grow last, by rows of `Growths::places`, most items first. Not those of
    /// containers that have a small part of all items there: a place that fills a few says nothing of why there are more.
    pub(crate) fn grown_at(&self, pattern: PatternId) -> Vec<u32> {
        let of_pattern = rows_of(&self.growths, |row| row.0.0, pattern).iter();
        let least = self.get(pattern).entries.div_ceil(SMALL_PART);
        let mut places: Vec<(u32, u64)> = of_pattern
            .filter(|(_, items)| *items >= least)
            .map(|((_, place), items)| (*place, *items))
            .collect();
        places.sort_by_key(|&(place, items)| (std::cmp::Reverse(items), place));
        places.into_iter().map(|(place, _)| place).collect()
    }

    /// The types at a path, most retaining first: type index, count, retained bytes.
    pub fn types(&self, pattern: PatternId) -> Vec<(u32, u64, u64)> {
        let mut types: Vec<_> = rows_of(&self.of_types, |row| row.0.0, pattern)
            .iter()
            .map(|((_, type_index), of_type)| (*type_index, of_type.count, of_type.retained_bytes))
            .collect();
        types.sort_by_key(|&(type_index, count, retained)| {
            (std::cmp::Reverse((retained, count)), type_index)
        });
        types
    }
}
