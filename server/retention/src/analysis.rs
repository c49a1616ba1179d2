//! All that is computed on one heap.

use heldby_heap::{Cancel, Cancelled, Heap};

use crate::cycles::Garbage;
use crate::{Chains, Dominators, PatternCounts, Patterns};

/// Dominators, chains and access paths of one heap.
#[derive(Debug)]
pub struct Analysis {
    /// What would be freed.
    pub dominators: Dominators,
    /// Best referrer chains.
    pub chains: Chains,
    /// Access paths.
    pub patterns: Patterns,
    /// What no root reaches.
    pub(crate) garbage: Garbage,
}

impl Analysis {
    /// Computes them, one after the other.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn of(heap: &Heap, cancel: &Cancel) -> Result<Self, Cancelled> {
        let dominators = Dominators::of(heap, cancel)?;
        let chains = Chains::of(heap, cancel)?;
        let patterns = Patterns::of(heap, &chains, &dominators, cancel)?;
        Ok(Self {
            dominators,
            chains,
            patterns,
            garbage: Garbage::of(heap),
        })
    }

    /// What later dumps of the process are compared with.
    pub fn counts(&self) -> PatternCounts {
        PatternCounts::of(&self.patterns, &self.garbage)
    }
}
