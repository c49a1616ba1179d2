//! Namespaces that get more and more names: each name is an access path of its own, and none of them grows.

use heldby_heap::{ObjectId, ReferenceKind};
use rustc_hash::FxHashMap;

use super::Context;
use crate::growth::{Counts, Rise};
use crate::known::SHELL_OF_NOTEBOOKS;
use crate::{PatternId, Step};

/// What the names of a namespace hold that were not there in the first dump.
pub(super) struct NewNames {
    /// Of the objects' types the one that retains most.
    pub(super) type_index: u32,
    /// All objects of that type in the namespace, in each dump, oldest first.
    pub(super) series: Vec<Counts>,
    /// The one that retains most.
    pub(super) sample: ObjectId,
}

impl Context<'_> {
    /// That there are more and more names shows in the texts which are the keys of the namespace, or in its number of entries. That there are
    /// more modules shows in their table.
    pub(super) fn take_names_together(&self, risen: &mut Vec<(PatternId, Rise)>) {
        let patterns = &self.analysis.patterns;
        for (id, rise) in risen.iter_mut() {
            let pattern = patterns.get(*id);
            let table = match (pattern.step, *rise) {
                (Step::Key, _) => pattern.parent,
                (_, Rise::Entries) => *id,
                _ => continue,
            };
            if self.is_table_of_modules(table) {
                (*id, *rise) = (table, Rise::Entries);
            } else if self.is_namespace(table) {
                (*id, *rise) = (table, Rise::Names);
            }
        }
        risen.retain(|&(id, rise)| rise != Rise::Names || !self.is_named_in_passing(id));
    }

    fn is_namespace(&self, id: PatternId) -> bool {
        let sample = self.analysis.patterns.get(id).sample;
        let referrer = self.analysis.chains.referrer(sample);
        referrer.is_some_and(|(_, label)| {
            matches!(
                label.kind(),
                ReferenceKind::Namespace | ReferenceKind::ThreadLocal
            )
        })
    }

    /// Whether a module gets names that say nothing: a package its submodules', which are kept among all modules; a notebook what each cell
    /// leaves.
    fn is_named_in_passing(&self, id: PatternId) -> bool {
        let names = self.heap.names();
        let sample = self.analysis.patterns.get(id).sample;
        let Some(module) = names.module_of.get(&sample) else {
            return false;
        };
        let name = self.heap.text(names.modules[*module as usize].name);
        let is_of_notebook =
            name == "__main__" && self.heap.module_named(SHELL_OF_NOTEBOOKS).is_some();
        is_of_notebook || self.new_names(id).is_none()
    }

    /// None where the objects hang elsewhere.
    pub(super) fn new_names(&self, id: PatternId) -> Option<NewNames> {
        let patterns = &self.analysis.patterns;
        let names = || {
            patterns
                .following(id)
                .filter(|(_, below)| matches!(below.step, Step::Name(_)))
        };
        let is_new = |series: &[Counts]| series.first().is_some_and(|first| first.count == 0);
        // Bytes, and objects, of each type.
        let mut of_types: FxHashMap<u32, (u64, u64)> = FxHashMap::default();
        for (_, name) in names() {
            if is_new(&self.growth.series(name)) {
                let (bytes, count) = of_types.entry(name.first_type).or_default();
                *bytes += name.retained_bytes;
                *count += name.count;
            }
        }
        let most = of_types.into_iter();
        let (type_index, _) = most.max_by_key(|&(of, weight)| (weight, std::cmp::Reverse(of)))?;
        let mut all: Vec<Counts> = Vec::new();
        let mut sample = None;
        for (_, name) in names().filter(|(_, name)| name.first_type == type_index) {
            let series = self.growth.series(name);
            if is_new(&series) {
                let of_more = (name.retained_bytes, name.sample);
                sample = sample.max(Some(of_more));
            }
            all.resize(series.len(), Counts::default());
            for (sum, counts) in all.iter_mut().zip(series) {
                sum.count += counts.count;
                sum.retained_bytes += counts.retained_bytes;
            }
        }
        Some(NewNames {
            type_index,
            series: all,
            sample: sample?.1,
        })
    }
}
