//! Reference counts explained: how many references of the heap make a count up, and how many are held outside of it.

use heldby_heap::{Heap, IMMORTAL_REFCOUNT, ObjectId, UNKNOWN_REFCOUNT};

/// The reference count of one object, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefcountAccount {
    /// What the interpreter counts.
    pub total: u32,
    /// References of the dump that make it up; those that restate others are not among them.
    pub seen: u32,
}

impl RefcountAccount {
    /// The account of an object; `None` for what is immortal or whose count is not known.
    pub fn of(heap: &Heap, object: ObjectId) -> Option<Self> {
        let total = heap.refcount(object);
        if matches!(total, IMMORTAL_REFCOUNT | UNKNOWN_REFCOUNT) {
            return None;
        }
        let mut sources: Vec<ObjectId> = heap.referrers(object).collect();
        sources.dedup();
        let seen = sources
            .into_iter()
            .filter(|source| *source != ObjectId::ROOT)
            .flat_map(|source| heap.references(source))
            .filter(|reference| reference.target == object && !reference.label.is_described())
            .count();
        Some(Self {
            total,
            seen: u32::try_from(seen).unwrap_or(u32::MAX),
        })
    }

    /// Of all objects, by their index. One pass over the references; 4 bytes an object.
    pub fn of_all(heap: &Heap) -> Vec<Option<Self>> {
        let mut seen = vec![0u32; heap.len()];
        for object in heap.objects() {
            for reference in heap.references(object) {
                seen[reference.target.index()] += u32::from(!reference.label.is_described());
            }
        }
        let account = |(index, seen): (usize, u32)| {
            let total = heap.refcount(ObjectId::new(index as u32));
            let is_counted = index > 0 && !matches!(total, IMMORTAL_REFCOUNT | UNKNOWN_REFCOUNT);
            is_counted.then_some(Self { total, seen })
        };
        seen.into_iter().enumerate().map(account).collect()
    }

    /// References that no object of the dump holds.
    pub fn outside(self) -> u32 {
        self.total.saturating_sub(self.seen)
    }

    /// References of the dump beyond what the interpreter counts.
    pub fn beyond(self) -> u32 {
        self.seen.saturating_sub(self.total)
    }
}
