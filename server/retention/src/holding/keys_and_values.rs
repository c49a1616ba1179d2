//! Of a container whose keys and values grow together: which of the two are told, and what they only carry.

use heldby_heap::{ObjectId, ReferenceKind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Context, is_plain};
use crate::binding::{Link, is_immutable};
use crate::growth::Rise;
use crate::known::CARRIERS;
use crate::{PatternId, Step};

/// Keys that retain so many times what the values do, which are nothing but containers, are what is told.
const HEAVIER: u64 = 4;

const CONTAINERS: &[&str] = &[
    "list",
    "dict",
    "set",
    "tuple",
    "collections.deque",
    "collections.defaultdict",
    "collections.OrderedDict",
    "collections.Counter",
];

/// Of a cache's keys, and of what is in each, so many are looked at.
const KEYS_LOOKED_AT: usize = 8;

impl Context<'_> {
    /// Keys and values of the same container are one finding: the values', unless these only carry what is no object of its own, or are
    /// plain while the keys are not.
    pub(super) fn one_of_each_container(&self, risen: &mut Vec<(PatternId, Rise)>) {
        let pattern = |id: PatternId| self.analysis.patterns.get(id);
        let is_empty_carrier = |id: PatternId| {
            let type_name = self.heap.type_name(pattern(id).first_type);
            CARRIERS.contains(&type_name.as_str()) && self.carried(id).is_none()
        };
        let parents_of = |wanted: &dyn Fn(PatternId) -> bool| -> FxHashSet<PatternId> {
            let wanted = risen.iter().filter(|(id, _)| wanted(*id));
            wanted.map(|(id, _)| pattern(*id).parent).collect()
        };
        let is_plain = |id: PatternId| {
            let types = self.analysis.patterns.types(id);
            types
                .iter()
                .all(|&(type_index, ..)| is_plain(&self.heap.type_name(type_index)))
        };
        let is_item = |id: PatternId| matches!(pattern(id).step, Step::Item | Step::Context);
        let is_key = |id: PatternId| pattern(id).step == Step::Key;
        let with_keys = parents_of(&is_key);
        let with_keys_that_matter = parents_of(&|id| is_key(id) && !is_plain(id));
        let mut weight_of_keys: FxHashMap<PatternId, u64> = FxHashMap::default();
        for (id, _) in risen.iter().filter(|(id, _)| is_key(*id)) {
            *weight_of_keys.entry(pattern(*id).parent).or_default() += pattern(*id).retained_bytes;
        }
        let says_less = |id: PatternId| {
            let parent = pattern(id).parent;
            // What has a name of the program's says more than its weight does.
            let type_name = self.heap.type_name(pattern(id).first_type);
            let keys = weight_of_keys.get(&parent).copied().unwrap_or_default();
            let weighs_little = CONTAINERS.contains(&type_name.as_str())
                && keys > HEAVIER.saturating_mul(pattern(id).retained_bytes);
            is_empty_carrier(id)
                || with_keys_that_matter.contains(&parent) && (is_plain(id) || weighs_little)
        };
        let with_items = parents_of(&|id| is_item(id) && !says_less(id));
        risen.retain(|(id, _)| {
            let parent = pattern(*id).parent;
            !(is_key(*id) && with_items.contains(&parent)
                || is_item(*id) && with_keys.contains(&parent) && says_less(*id))
        });
    }

    /// Whether what has no more entries than before is larger because more were in it meanwhile: a container's room is not given back.
    pub(super) fn keeps_room_only(&self, id: PatternId) -> bool {
        let type_index = self.analysis.patterns.get(id).first_type;
        CONTAINERS.contains(&self.heap.type_name(type_index).as_str())
    }

    /// What stands in the objects of an access path that only carry it: the values of a bounded cache, the arguments in a key.
    pub(super) fn carried(&self, id: PatternId) -> Option<PatternId> {
        let patterns = &self.analysis.patterns;
        let pattern = patterns.get(id);
        let type_name = self.heap.type_name(pattern.first_type);
        let is_key_of_cache =
            pattern.step == Step::Key && patterns.get(pattern.parent).step == Step::Cache;
        let carries = CARRIERS.contains(&type_name.as_str());
        if !(carries || is_key_of_cache && type_name == "tuple") {
            return None;
        }
        let inside = patterns
            .following(id)
            .filter(|(_, inside)| inside.count >= pattern.count)
            .filter(|(_, inside)| !is_immutable(&self.heap.type_name(inside.first_type)));
        inside
            .max_by_key(|(inner, inside)| (inside.retained_bytes, std::cmp::Reverse(*inner)))
            .map(|(inner, _)| inner)
    }

    /// Whether the keys of the cache on the chain have instances of the program's classes in them, or frames.
    pub(super) fn keys_hold_instances(&self, chain: &[Link]) -> bool {
        let Some(cache) = chain.iter().find(|link| link.kind == ReferenceKind::Cache) else {
            return false;
        };
        let is_instance = |object: ObjectId| {
            self.heap.type_name(self.heap.type_index(object)) == "frame"
                || !self.is_of_standard_library(object)
        };
        let keys = self.heap.references(cache.object);
        keys.filter(|reference| reference.label.kind() == ReferenceKind::DictKey)
            .take(KEYS_LOOKED_AT)
            .any(|key| {
                let parts = self.heap.references(key.target).map(|part| part.target);
                is_instance(key.target) || parts.take(KEYS_LOOKED_AT).any(is_instance)
            })
    }
}
