//! Of objects that each hold the next one, as in a linked list: what is told of them, and where they begin.

use super::Context;
use crate::PatternId;
use crate::binding::{Link, is_inside_context};

impl Context<'_> {
    /// Of the objects of a recursion, which all grow together, what is told: those whose class is the program's, before the lists and
    /// tokens between them.
    pub(super) fn told_of_recursion(&self, id: PatternId) -> PatternId {
        let patterns = &self.analysis.patterns;
        let own = patterns.get(id);
        let is_own = |id: PatternId| !self.is_of_standard_library(patterns.get(id).sample);
        if !own.recurs || is_own(id) {
            return id;
        }
        // From where the path leads back to `id`, up to it.
        let told = patterns.leading_back_to(id).find_map(|end| {
            let circle = patterns.ancestors(end).map(|(at, _)| at);
            let circle: Vec<PatternId> = circle.take_while(|at| *at != id).collect();
            let mut downwards = circle.into_iter().rev();
            downwards.find(|&at| is_own(at) && patterns.get(at).recurs)
        });
        told.unwrap_or(id)
    }

    /// The access paths on which the one at hand repeats itself, as a linked list does: nearest first, its first object last.
    pub(super) fn repeated(&self, id: PatternId) -> Vec<PatternId> {
        let patterns = &self.analysis.patterns;
        let own = patterns.get(id);
        // Two levels of the same kind are no recursion: one is where a deeper object was taken for the second level's.
        if !own.recurs {
            return Vec::new();
        }
        let mut above = patterns.ancestors(id).enumerate().skip(1);
        let first = above.find(|(_, (_, pattern))| {
            pattern.step == own.step && pattern.first_type == own.first_type
        });
        let Some((period, (first, _))) = first else {
            return Vec::new();
        };
        // `document.version.before`: the list begins with what has the same type under another name.
        let head = patterns
            .ancestors(first)
            .skip(1)
            .take(period)
            .find(|(_, pattern)| pattern.first_type == own.first_type);
        [first]
            .into_iter()
            .chain(head.map(|(head, _)| head))
            .collect()
    }

    /// Whether the objects of a recursion begin with the same one in all dumps: then they grow farther down, as a tree does. A list whose
    /// newest object comes first begins with another each time.
    pub(super) fn begins_with_the_same(&self, repeated: &[PatternId]) -> bool {
        let Some(&first) = repeated.last() else {
            return false;
        };
        let first = self.analysis.patterns.get(first);
        let series = self.growth.series(first);
        series.len() > 1
            && series
                .iter()
                .all(|counts| counts.count == first.count && counts.address == first.sample_address)
    }

    /// A chain down through a recursion, with the recursion once: as its access path `id` has it, which repeats that of `first`.
    pub(super) fn once_through(
        &self,
        chain: &[Link],
        id: PatternId,
        first: PatternId,
    ) -> Vec<Link> {
        let levels = |id: PatternId| self.analysis.patterns.ancestors(id).count();
        let mut left = levels(id).saturating_sub(levels(first));
        let period = chain.iter().take_while(|link| {
            let is_left = left > 0;
            left -= usize::from(is_left && !is_inside_context(self.heap, link.object));
            is_left
        });
        let mut once: Vec<Link> = period.copied().collect();
        let upper = self.upper_part(chain, first);
        if once.len() + upper.len() >= chain.len() {
            return chain.to_vec();
        }
        once.extend(upper);
        once
    }

    /// The part of a chain that is the access path `id`, which it goes through.
    pub(super) fn upper_part(&self, chain: &[Link], id: PatternId) -> Vec<Link> {
        let mut levels = self.analysis.patterns.ancestors(id).count() - 1;
        let mut from = chain.len();
        while from > 0 && levels > 0 {
            from -= 1;
            // The tree of a context's values is no part of the path.
            levels -= usize::from(!is_inside_context(self.heap, chain[from].object));
        }
        chain[from..].to_vec()
    }
}
