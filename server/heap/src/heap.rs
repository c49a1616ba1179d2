//! The heap itself: columns by object, references both ways, names.

use std::fmt;
use std::sync::OnceLock;

use crate::modules_index::ModulesIndex;
use crate::rows::Rows;
use crate::{Label, Names, StringId, Strings};

/// The reference count of an immortal object.
pub const IMMORTAL_REFCOUNT: u32 = u32::MAX;
/// The reference count of an object whose count does not fit, or is not known.
pub const UNKNOWN_REFCOUNT: u32 = u32::MAX - 1;

/// An object of the heap: a dense number, in depth-first preorder from the root.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(u32);

impl ObjectId {
    /// The synthetic root, which references where liveness starts.
    pub const ROOT: Self = Self(0);

    /// The object with this number.
    pub fn new(index: u32) -> Self {
        Self(index)
    }

    /// Its number, for use as an index of a column.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{}", self.0)
    }
}

/// One reference out of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// What is referenced.
    pub target: ObjectId,
    /// How it is called.
    pub label: Label,
}

/// Objects and references of one process at one moment. Immutable.
///
/// Objects `0..reachable_len()` are reachable from the root and in depth-first preorder; those after it are garbage that no
/// collection has freed yet.
#[derive(Debug)]
pub struct Heap {
    pub(crate) addresses: Vec<u64>,
    pub(crate) types: Vec<u32>,
    pub(crate) refcounts: Vec<u32>,
    /// `u32::MAX` stands for a size in `large_sizes`.
    pub(crate) sizes: Vec<u32>,
    pub(crate) large_sizes: Vec<(ObjectId, u64)>,
    pub(crate) tree_parents: Vec<u32>,
    pub(crate) references: Rows,
    pub(crate) labels: Vec<Label>,
    pub(crate) referrers: OnceLock<Rows>,
    pub(crate) modules_index: ModulesIndex,
    pub(crate) reachable: usize,
    pub(crate) strings: Strings,
    pub(crate) names: Names,
}

impl Heap {
    /// Number of objects, the root included.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    /// Number of objects that the root reaches, the root included.
    pub fn reachable_len(&self) -> usize {
        self.reachable
    }

    /// Number of references, described ones included.
    pub fn reference_len(&self) -> usize {
        self.references.targets.len()
    }

    /// All objects but the root, garbage included.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = ObjectId> + use<> {
        (1..self.len() as u32).map(ObjectId::new)
    }

    /// Address in the process; 0 for the root.
    pub fn address(&self, object: ObjectId) -> u64 {
        self.addresses[object.index()]
    }

    /// Row of [`Names::types`].
    pub fn type_index(&self, object: ObjectId) -> u32 {
        self.types[object.index()]
    }

    /// Reference count as the runtime counts it, [`IMMORTAL_REFCOUNT`] or [`UNKNOWN_REFCOUNT`].
    pub fn refcount(&self, object: ObjectId) -> u32 {
        self.refcounts[object.index()]
    }

    /// The object's own bytes.
    pub fn shallow_bytes(&self, object: ObjectId) -> u64 {
        match self.sizes[object.index()] {
            u32::MAX => match self
                .large_sizes
                .binary_search_by_key(&object, |(owner, _)| *owner)
            {
                Ok(place) => self.large_sizes[place].1,
                Err(_) => u64::from(u32::MAX),
            },
            size => u64::from(size),
        }
    }

    /// What the object references, in the dump's order.
    pub fn references(
        &self,
        object: ObjectId,
    ) -> impl ExactSizeIterator<Item = Reference> + Clone + '_ {
        self.references
            .range(object.number())
            .map(|place| Reference {
                target: ObjectId::new(self.references.targets[place]),
                label: self.labels[place],
            })
    }

    /// Number of references out of an object.
    pub fn reference_count(&self, object: ObjectId) -> usize {
        self.references.range(object.number()).len()
    }

    pub(crate) fn targets(&self, object: ObjectId) -> &[u32] {
        self.references.row(object.number())
    }

    /// Who references the object, ascending, once for each reference. The first call makes the reversed rows, in one pass
    /// over all references.
    pub fn referrers(
        &self,
        object: ObjectId,
    ) -> impl ExactSizeIterator<Item = ObjectId> + Clone + '_ {
        let rows = self.referrers.get_or_init(|| self.references.reversed());
        rows.row(object.number())
            .iter()
            .map(|&source| ObjectId::new(source))
    }

    /// The object's parent in the depth-first tree that numbers the objects; the root for itself and for garbage.
    pub fn tree_parent(&self, object: ObjectId) -> ObjectId {
        ObjectId::new(self.tree_parents[object.index()])
    }

    /// A text of the string table.
    pub fn text(&self, id: StringId) -> &str {
        self.strings.get(id)
    }

    /// Types, functions, modules, frames.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// A type's name as people write it: `list`, `gallery.models.Photo`.
    pub fn type_name(&self, type_index: u32) -> String {
        let Some(row) = self.names.types.get(type_index as usize) else {
            return "?".to_owned();
        };
        match (self.text(row.module), self.text(row.qualname)) {
            ("" | "builtins", qualname) => qualname.to_owned(),
            (module, qualname) => format!("{module}.{qualname}"),
        }
    }

    /// Bytes of memory that the columns and rows take, the string table and names not counted.
    pub fn column_bytes(&self) -> usize {
        let reversed = self.referrers.get().map_or(0, |rows| {
            (rows.offsets.capacity() + rows.targets.capacity()) * 4
        });
        self.addresses.capacity() * 8
            + (self.types.capacity()
                + self.refcounts.capacity()
                + self.sizes.capacity()
                + self.tree_parents.capacity())
                * 4
            + (self.references.offsets.capacity()
                + self.references.targets.capacity()
                + self.labels.capacity())
                * 4
            + reversed
    }
}
