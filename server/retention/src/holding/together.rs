//! Holdings that hold the same objects.

use rustc_hash::FxHashMap;

use super::{Context, Holding};

/// Of a container's items so many are asked who else holds them.
const ITEMS_LOOKED_AT: usize = 32;

impl Context<'_> {
    /// Which holdings hold the same objects: where a container's items have chains through another holding's.
    pub(super) fn bring_together(&self, holdings: &mut [Holding]) {
        let patterns = &self.analysis.patterns;
        let of_identity: FxHashMap<u64, usize> = (0..holdings.len())
            .map(|at| (holdings[at].identity, at))
            .collect();
        let entries = patterns
            .iter()
            .filter(|(_, pattern)| of_identity.contains_key(&pattern.identity));
        for (_, pattern) in entries {
            let at = of_identity[&pattern.identity];
            if !holdings[at].grows_by_entries {
                continue;
            }
            let items = self
                .heap
                .references(pattern.sample)
                .filter(|reference| reference.label.kind().is_item())
                .take(ITEMS_LOOKED_AT);
            let mut others: Vec<u64> = items
                .filter_map(|item| {
                    let chains = &self.analysis.chains;
                    let held_at = patterns.of_object(self.heap, chains, item.target)?;
                    let mut above = patterns.ancestors(held_at);
                    above.find_map(|(_, above)| {
                        let other = *of_identity.get(&above.identity)?;
                        (other != at).then_some(above.identity)
                    })
                })
                .collect();
            others.sort_unstable();
            others.dedup();
            let own = pattern.identity;
            for other in &others {
                let back = &mut holdings[of_identity[other]].together_with;
                if !back.contains(&own) {
                    back.push(own);
                }
            }
            for other in others {
                if !holdings[at].together_with.contains(&other) {
                    holdings[at].together_with.push(other);
                }
            }
        }
    }
}
