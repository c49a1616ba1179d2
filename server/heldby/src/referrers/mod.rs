//! Who references the objects that were asked for: gathered from one dump, then told as text, JSON or a picture.

mod as_dot;
mod as_json;
mod as_text;

use anyhow::{Context as _, bail};
use heldby_heap::{Cancel, Cancelled, Heap, ObjectId};
use heldby_retention::{
    Breadth, Chains, Distances, Dominators, Paths, RefcountAccount, ReferrerTree, Referrers,
    TreeLimits, objects_at,
};

pub(crate) use as_dot::to_dot;
pub(crate) use as_json::{RefcountRow, to_json};
pub(crate) use as_text::{object_text, to_text};

/// So many nodes a tree may have, whatever was asked for.
const MOST_NODES: usize = 5_000;

/// Which objects are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Of this type: its qualified or its last name.
    OfType(String),
    /// At this address.
    At(u64),
    /// At this access path.
    AtPath(String),
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Levels of referrers.
    pub(crate) depth: usize,
    /// Objects, and referrers of each.
    pub(crate) count: usize,
}

/// What is told of the objects that were asked for.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) heap: &'a Heap,
    pub(crate) dominators: &'a Dominators,
    /// How many objects were found.
    pub(crate) found: usize,
    /// The ones that are told of, those that retain most first.
    pub(crate) objects: Vec<ObjectAnswer>,
}

/// What is told of one object.
#[derive(Debug)]
pub(crate) struct ObjectAnswer {
    pub(crate) object: ObjectId,
    pub(crate) is_reachable: bool,
    pub(crate) refcount: Option<RefcountAccount>,
    pub(crate) paths: Paths,
    pub(crate) tree: ReferrerTree,
}

/// A heap, with what it takes to answer who references what.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    heap: &'a Heap,
    dominators: Dominators,
    distances: Distances,
}

impl<'a> Asked<'a> {
    /// Computes it.
    pub(crate) fn new(heap: &'a Heap, cancel: &Cancel) -> Result<Self, Cancelled> {
        let dominators = Dominators::of(heap, cancel)?;
        let chains = Chains::of(heap, cancel)?;
        let distances = Distances::of(heap, &chains);
        Ok(Self {
            heap,
            dominators,
            distances,
        })
    }

    /// Answers who references the wanted objects.
    ///
    /// # Errors
    /// When there is no such object.
    pub(crate) fn answer(
        &self,
        wanted: &Wanted,
        limits: Limits,
        breadth: Breadth,
    ) -> anyhow::Result<Answer<'_>> {
        answer(
            self.heap,
            &self.dominators,
            &self.distances,
            wanted,
            limits,
            breadth,
        )
    }
}

/// Answers who references the wanted objects of a heap.
///
/// # Errors
/// When there is no such object.
pub(crate) fn answer<'a>(
    heap: &'a Heap,
    dominators: &'a Dominators,
    distances: &Distances,
    wanted: &Wanted,
    limits: Limits,
    breadth: Breadth,
) -> anyhow::Result<Answer<'a>> {
    let mut objects = objects(heap, wanted)?;
    let referrers = Referrers::new(heap, distances);
    objects.sort_by_key(|object| {
        (
            std::cmp::Reverse(retained(heap, dominators, *object)),
            *object,
        )
    });
    let found = objects.len();
    objects.truncate(limits.count);
    let tree_limits = TreeLimits {
        depth: limits.depth,
        referrers: limits.count,
        nodes: MOST_NODES,
        breadth,
    };
    let objects = objects
        .into_iter()
        .map(|object| ObjectAnswer {
            object,
            is_reachable: referrers.is_reachable(object),
            refcount: RefcountAccount::of(heap, object),
            paths: referrers.paths(object, limits.count),
            tree: referrers.tree(object, tree_limits),
        })
        .collect();
    Ok(Answer {
        heap,
        dominators,
        found,
        objects,
    })
}

/// What would be freed if the object went; of garbage its own bytes.
pub(crate) fn retained(heap: &Heap, dominators: &Dominators, object: ObjectId) -> u64 {
    if object.index() < heap.reachable_len() {
        dominators.retained_bytes(object)
    } else {
        heap.shallow_bytes(object)
    }
}

pub(crate) fn objects(heap: &Heap, wanted: &Wanted) -> anyhow::Result<Vec<ObjectId>> {
    match wanted {
        Wanted::AtPath(path) => Ok(objects_at(heap, path)?),
        Wanted::At(address) => {
            let object = heap
                .objects()
                .find(|object| heap.address(*object) == *address);
            let object = object.with_context(|| {
                format!("no object of the dump is at {address:#x}: addresses are those of the process that was dumped")
            })?;
            Ok(vec![object])
        }
        Wanted::OfType(name) => of_type(heap, name),
    }
}

fn of_type(heap: &Heap, name: &str) -> anyhow::Result<Vec<ObjectId>> {
    let type_count = heap.names().types.len() as u32;
    let full_names: Vec<String> = (0..type_count).map(|index| heap.type_name(index)).collect();
    let last_name = |full_name: &str| full_name.rsplit('.').next().map(str::to_owned);
    let mut is_wanted: Vec<bool> = full_names
        .iter()
        .map(|full_name| full_name == name || full_name.strip_prefix("builtins.") == Some(name))
        .collect();
    if !is_wanted.contains(&true) {
        is_wanted = full_names
            .iter()
            .map(|full_name| last_name(full_name).as_deref() == Some(name))
            .collect();
    }
    let objects: Vec<ObjectId> = heap
        .objects()
        .filter(|object| {
            let index = heap.type_index(*object) as usize;
            is_wanted.get(index).copied().unwrap_or_default()
        })
        .collect();
    if !objects.is_empty() {
        return Ok(objects);
    }
    if is_wanted.contains(&true) {
        bail!("the dump has the type {name}, and no object of it");
    }
    let lower = name.to_lowercase();
    let mut similar: Vec<&String> = full_names
        .iter()
        .filter(|full_name| full_name.to_lowercase().contains(&lower))
        .collect();
    similar.sort();
    similar.dedup();
    similar.truncate(5);
    match similar.as_slice() {
        [] => bail!("no type of the dump is called {name}; `heldby stat` lists the types"),
        similar => bail!(
            "no type of the dump is called {name}; there are {}",
            similar
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

/// An address as people and programs read it.
pub(crate) fn id(heap: &Heap, object: ObjectId) -> String {
    format!("{:#x}", heap.address(object))
}

/// The type's name.
pub(crate) fn type_of(heap: &Heap, object: ObjectId) -> String {
    heap.type_name(heap.type_index(object))
}
