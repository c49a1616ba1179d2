//! heldby-heap: the objects and references of one process at one moment, in columns.
//!
//! A [`HeapBuilder`] takes objects and references in any reader's order and makes a [`Heap`] of them: objects are dense
//! [`ObjectId`]s in depth-first preorder from a synthetic root, references are compressed sparse rows, in both directions,
//! with a [`Label`] each. Nothing is allocated per object.
//!
//! ```
//! use heldby_heap::{HeapBuilder, Label, Object, ReferenceKind};
//!
//! let mut builder = HeapBuilder::new();
//! let list = builder.type_named("builtins", "list", 0);
//! builder.object(Object { address: 0x10, type_index: list, shallow_bytes: 56, refcount: 1 })?;
//! builder.object(Object { address: 0x20, type_index: list, shallow_bytes: 56, refcount: 1 })?;
//! let mut references = builder.references();
//! references.of_next_object(&[(0x20, Label::new(ReferenceKind::ListItem, 0))]);
//! references.of_next_object(&[]);
//! let heap = references.finish(&[(0x10, heldby_heap::RootKind::Interpreter)]);
//! assert_eq!(heap.reachable_len(), 3); // the synthetic root, and the two lists
//! # Ok::<(), heldby_heap::TooLarge>(())
//! ```

mod builder;
mod cancel;
mod heap;
mod label;
mod modules_index;
mod names;
mod petgraph_view;
mod rows;
mod strings;

pub use builder::{HeapBuilder, Object, ReferenceBuilder, TooLarge};
pub use cancel::{Cancel, Cancelled};
pub use heap::{Heap, IMMORTAL_REFCOUNT, ObjectId, Reference, UNKNOWN_REFCOUNT};
pub use label::{Label, MAX_LABEL_VALUE, ReferenceKind, RootKind};
pub use modules_index::Global;
pub use names::{
    CodeName, FrameName, FunctionName, GrowthPlace, Growths, ModuleName, Names, TypeName,
};
pub use petgraph_view::{HeapGraph, VisitedObjects};
pub use strings::{StringId, Strings};
