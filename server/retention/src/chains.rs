//! For each object the referrer chain that a programmer would name: the cheapest from a root, where a name of the program
//! costs little, and what says nothing about who holds costs much.

use heldby_heap::{Cancel, Cancelled, Heap, Label, ObjectId, ReferenceKind, RootKind};

const NONE: u32 = u32::MAX;

/// The best referrer of each reachable object.
#[derive(Debug)]
pub struct Chains {
    parents: Vec<u32>,
    labels: Vec<Label>,
    order: Vec<u32>,
}

/// The price of naming a reference in a chain, at most [`MAX_PRICE`].
pub(crate) fn price(label: Label) -> u32 {
    use ReferenceKind::*;
    match label.kind() {
        Namespace | CellContents | ThreadLocal => 0,
        Attribute | Slot | DictValue | DictValueOfInteger | DictValueOfOther => 2,
        ListItem | TupleItem | DequeItem | SetMember | Cache => 2,
        Default | KeywordDefault | FreeVariable => 2,
        Iterates | View | Context => 2,
        DictKey => 3,
        Local => 4,
        Other => 6,
        Stack => 8,
        Machinery | Type => 24,
        Root => match RootKind::from_code(label.value()) {
            Some(RootKind::Modules) => 0,
            Some(RootKind::Frame) => 6,
            Some(RootKind::Interpreter) => 12,
            Some(RootKind::Native) | None => 48,
        },
    }
}

const MAX_PRICE: usize = 48;

/// What an entry of the table of modules costs more that is no module: whoever put it there has a name for it, mostly.
const NO_MODULE: u32 = 16;

impl Chains {
    /// Dijkstra's algorithm with a ring of buckets, for prices are small: O(n + m), 16 bytes an object while it runs.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn of(heap: &Heap, cancel: &Cancel) -> Result<Self, Cancelled> {
        let count = heap.reachable_len();
        let mut distances = vec![NONE; count];
        let mut parents = vec![NONE; count];
        let mut labels = vec![Label::new(ReferenceKind::Other, 0); count];
        let mut order = Vec::with_capacity(count);
        let mut buckets: Vec<Vec<u32>> = vec![Vec::new(); MAX_PRICE + 1];
        let mut settled = vec![false; count];
        let names = heap.names();
        let is_table = |label: Label| {
            label.kind() == ReferenceKind::Root
                && RootKind::from_code(label.value()) == Some(RootKind::Modules)
        };
        let mut of_root = heap.references(ObjectId::ROOT);
        let table = of_root.find(|reference| is_table(reference.label));
        let table = table.map_or(NONE, |reference| reference.target.number());
        distances[0] = 0;
        buckets[0].push(0);
        let (mut distance, mut empty) = (0u32, 0);
        while empty <= MAX_PRICE {
            let bucket = distance as usize % (MAX_PRICE + 1);
            empty += 1;
            // A price of 0 puts objects into the bucket at hand, so it is read by index, in the order of arrival.
            let mut next = 0;
            while let Some(&object) = buckets[bucket].get(next) {
                next += 1;
                empty = 0;
                if std::mem::replace(&mut settled[object as usize], true) {
                    continue;
                }
                if order.len() % (1 << 16) == 0 {
                    cancel.check()?;
                }
                order.push(object);
                for reference in heap.references(ObjectId::new(object)) {
                    let target = reference.target.number();
                    let mut reached = distance + price(reference.label);
                    if object == table && !names.module_of.contains_key(&reference.target) {
                        reached += NO_MODULE;
                    }
                    if reached < distances[target as usize] {
                        distances[target as usize] = reached;
                        parents[target as usize] = object;
                        labels[target as usize] = reference.label;
                        buckets[reached as usize % (MAX_PRICE + 1)].push(target);
                    }
                }
            }
            buckets[bucket].clear();
            distance += 1;
        }
        Ok(Self {
            parents,
            labels,
            order,
        })
    }

    /// The best referrer of an object and its reference; `None` for the root and for garbage.
    pub fn referrer(&self, object: ObjectId) -> Option<(ObjectId, Label)> {
        let parent = *self.parents.get(object.index())?;
        (parent != NONE).then(|| (ObjectId::new(parent), self.labels[object.index()]))
    }

    /// The reachable objects, referrers before what they reference.
    pub fn order(&self) -> impl ExactSizeIterator<Item = ObjectId> + '_ {
        self.order.iter().map(|&number| ObjectId::new(number))
    }
}
