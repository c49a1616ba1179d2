//! What is held: its names, and whether it is of the program's classes and functions.

use heldby_heap::{ObjectId, ReferenceKind, StringId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Context;
use crate::Territory;
use crate::binding::{module_file, named_function};
use crate::known::EMPTY_SHELLS;

impl Context<'_> {
    pub(super) fn most_common_item(&self, container: ObjectId) -> Option<(String, u64)> {
        let mut counts: FxHashMap<u32, u64> = FxHashMap::default();
        for reference in self.heap.references(container).filter(|reference| {
            reference.label.kind().is_item() && reference.label.kind() != ReferenceKind::DictKey
        }) {
            *counts
                .entry(self.heap.type_index(reference.target))
                .or_default() += 1;
        }
        let (type_index, count) = counts
            .into_iter()
            .max_by_key(|&(type_index, count)| (count, std::cmp::Reverse(type_index)))?;
        Some((self.heap.type_name(type_index), count))
    }

    /// What hangs below an object, nearest first, without what says nothing about who holds; `own_only`: without what other
    /// chains lead to.
    fn below(&self, object: ObjectId, most: usize, own_only: bool) -> Vec<ObjectId> {
        let mut found = vec![object];
        let mut seen: FxHashSet<ObjectId> = found.iter().copied().collect();
        let mut next = 0;
        while let Some(&object) = found.get(next) {
            next += 1;
            for reference in self.heap.references(object) {
                let says_nothing = matches!(
                    reference.label.kind(),
                    ReferenceKind::Machinery | ReferenceKind::Type
                );
                if found.len() >= most {
                    return found;
                }
                let is_own = !own_only || self.is_below(object, reference.target);
                if !says_nothing && is_own && seen.insert(reference.target) {
                    found.push(reference.target);
                }
            }
        }
        found
    }

    /// Last names of the classes and functions at and below an object, nearest first.
    pub(super) fn held_names(&self, object: ObjectId) -> Vec<String> {
        let names = self.heap.names();
        let mut held: Vec<String> = Vec::new();
        let is_built_in = |object: ObjectId| {
            let is_named =
                names.functions.contains_key(&object) || names.type_objects.contains_key(&object);
            let type_index = self.heap.type_index(object) as usize;
            let row = names.types.get(type_index);
            !is_named && row.is_some_and(|row| self.heap.text(row.module) == "builtins")
        };
        for object in self.below(object, 64, false) {
            let qualname = if let Some(function) = names.functions.get(&object) {
                self.heap.text(function.qualname)
            } else if let Some(&type_index) = names.type_objects.get(&object) {
                self.heap.text(names.types[type_index as usize].qualname)
            } else {
                self.heap
                    .text(names.types[self.heap.type_index(object) as usize].qualname)
            };
            let last = qualname.rsplit('.').next().unwrap_or_default();
            // A number or a tuple on the way there has no name by which its line is known.
            let says_nothing = !held.is_empty() && is_built_in(object) && last != "function";
            if !last.is_empty() && !says_nothing && !held.iter().any(|known| known == last) {
                held.push(last.to_owned());
            }
        }
        held.truncate(8);
        held
    }

    /// Whether classes or functions that are not the standard library's are held.
    pub(super) fn holds_foreign(&self, object: ObjectId) -> bool {
        let names = self.heap.names();
        let is_foreign_module = |module: &str| {
            let file = module_file(self.heap, module).unwrap_or_default();
            self.territories.of_file(file) != Territory::StandardLibrary
        };
        self.below(object, 96, true).into_iter().any(|object| {
            if let Some(function) = named_function(self.heap, object) {
                return self.territories.of_file(&function.file) != Territory::StandardLibrary;
            }
            let type_index = names
                .type_objects
                .get(&object)
                .copied()
                .unwrap_or_else(|| self.heap.type_index(object));
            let Some(row) = names.types.get(type_index as usize) else {
                return false;
            };
            is_foreign_module(self.heap.text(row.module))
        })
    }

    /// Whether an object's class is the standard library's, or built in.
    pub(super) fn is_of_standard_library(&self, object: ObjectId) -> bool {
        let row = self
            .heap
            .names()
            .types
            .get(self.heap.type_index(object) as usize);
        row.is_some_and(|row| {
            let file = module_file(self.heap, self.heap.text(row.module)).unwrap_or_default();
            self.territories.of_file(file) == Territory::StandardLibrary
        })
    }

    /// Whether it is a weak reference whose callback has something of its own.
    pub(super) fn is_held_by_callbacks(&self, object: ObjectId) -> bool {
        EMPTY_SHELLS.contains(&self.heap.type_name(self.heap.type_index(object)).as_str())
            && self.heap.references(object).any(|reference| {
                reference.label.kind() == ReferenceKind::Slot
                    && self.heap.text(StringId(reference.label.value())) == "__callback__"
                    && self.is_below(object, reference.target)
            })
    }

    /// Whether the chain of `target` goes through `object` next.
    fn is_below(&self, object: ObjectId, target: ObjectId) -> bool {
        self.analysis
            .chains
            .referrer(target)
            .is_some_and(|(referrer, _)| referrer == object)
    }
}
