//! heldby-retention: what a heap keeps alive, and through which names of the program.
//!
//! In: a [`heldby_heap::Heap`] a dump, oldest first. Out: [`Holding`]s: what is held at one access path, by which named
//! bindings, and how it grew.
//!
//! 1. [`Dominators`]: what would be freed if an object went (Semi-NCA; retained sizes).
//! 2. [`Chains`]: for each object the best named referrer chain from a root.
//! 3. [`Patterns`]: the chains with varying keys and indices taken together; counts and sizes by access path.
//! 4. [`holdings`]: access paths compared across the series; what grows, topmost first, with its named bindings.
//!
//! Whole-heap passes: four for dominators (predecessors counted and filled, semidominators, sizes), one for chains, one for
//! patterns; three over what is garbage.

mod access_path;
mod analysis;
mod binding;
mod chains;
mod cycles;
mod dominators;
mod growth;
mod holding;
mod known;
mod located;
mod pattern_tree;
mod patterns;
mod refcounts;
mod referrers;
mod territory;
mod written;

pub use analysis::Analysis;
pub use binding::{BindingKind, NamedBinding, NamedClass, NamedFunction};
pub use chains::Chains;
pub use dominators::Dominators;
pub use growth::{PatternCounts, PatternKey};
pub use holding::{GrownAt, Holding, Hop, How, holdings};
pub use located::{PathError, objects_at};
pub use patterns::{Pattern, PatternId, Patterns, Step};
pub use refcounts::RefcountAccount;
pub use referrers::{
    Breadth, Distances, Paths, Referrer, ReferrerKind, ReferrerNode, ReferrerTree, Referrers,
    ReferrersOfObject, TreeLimits,
};
pub use territory::{Territories, Territory};
