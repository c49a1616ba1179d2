//! Reference cycles that nothing reaches, where nothing collects.

use heldby_heap::ObjectId;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Context, Holding, How, LARGEST};
use crate::binding::{Link, binding_at};
use crate::cycles::GarbageType;
use crate::growth::{Counts, flattens};
use crate::{BindingKind, NamedBinding, PatternKey, Territory};

impl Context<'_> {
    /// The cycles that only the collector would free, and which grow.
    pub(super) fn cycles(&self) -> Vec<Holding> {
        let mut found = Vec::new();
        let mut told: FxHashSet<u32> = FxHashSet::default();
        // What has a class of the program's is told as that, not as the dictionaries in it.
        let is_own = |of_type: &&GarbageType| self.is_of_standard_library(of_type.some_object());
        let mut types: Vec<&GarbageType> = self.analysis.garbage.types().collect();
        types.sort_by_key(is_own);
        let numbers: FxHashMap<u32, u64> = types
            .iter()
            .map(|of_type| (of_type.type_index, of_type.count))
            .collect();
        for of_type in types {
            let key = PatternKey(of_type.identity);
            let series = self.growth.series_of(key, of_type.counts());
            let rises = series.windows(2).all(|pair| pair[0].count < pair[1].count);
            if !rises || told.contains(&of_type.type_index) {
                continue;
            }
            let Some(cycle) = of_type.cycle(self.heap) else {
                continue;
            };
            let type_of = |object: ObjectId| self.heap.type_index(object);
            if let Some(holding) = self.cycle(of_type, &cycle, &series, &numbers)
                && !holding.gained_little()
            {
                told.extend(cycle.iter().map(|link| type_of(link.object)));
                found.push(holding);
            }
            if found.len() == LARGEST {
                break;
            }
        }
        found
    }

    /// `numbers`: how many objects of each type are garbage. `None` where no name of the user's or a library's closes the cycle.
    fn cycle(
        &self,
        of_type: &GarbageType,
        cycle: &[Link],
        series: &[Counts],
        numbers: &FxHashMap<u32, u64>,
    ) -> Option<Holding> {
        let mut bindings: Vec<NamedBinding> = Vec::new();
        for at in 0..cycle.len() {
            if let Some(mut binding) = binding_at(self.heap, cycle, at) {
                let owner = self.heap.type_name(self.heap.type_index(binding.owner));
                let word = match binding.kind {
                    BindingKind::Closure => "<closure>.",
                    BindingKind::Local
                    | BindingKind::GeneratorFrame
                    | BindingKind::CoroutineFrame => "<local>.",
                    _ => "",
                };
                binding.path = format!("<cycle of {owner}>.{word}{}", binding.name);
                bindings.push(binding);
            }
        }
        bindings.retain(|binding| self.territory(binding) != Territory::StandardLibrary);
        // Of what there is most refers back: to one parent from many children.
        let number = |binding: &NamedBinding| {
            let type_index = self.heap.type_index(binding.owner);
            numbers.get(&type_index).copied().unwrap_or_default()
        };
        let holder =
            (0..bindings.len()).max_by_key(|&at| (number(&bindings[at]), std::cmp::Reverse(at)))?;
        let sample = cycle.first()?.object;
        let counts: Vec<u64> = series.iter().map(|counts| counts.count).collect();
        Some(Holding {
            identity: of_type.identity,
            access_path: bindings[holder].path.clone(),
            holder,
            how: How::Cycle,
            key: None,
            makes_what_is_read: false,
            held_type: self.heap.type_name(of_type.type_index),
            held_count: of_type.count,
            held_names: self.held_names(sample),
            rises: true,
            flattens: flattens(&counts),
            counts,
            retained_bytes: series.iter().map(|counts| counts.retained_bytes).collect(),
            chain: self.writer.hops(cycle),
            territory: self.territory(&bindings[holder]),
            holds_foreign: true,
            together_with: Vec::new(),
            grown_at: Vec::new(),
            keys_hold_instances: false,
            keys_are_weak: false,
            grows_by_entries: false,
            is_empty_shells: false,
            bindings,
        })
    }
}
