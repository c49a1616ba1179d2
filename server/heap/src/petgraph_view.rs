//! petgraph's visit traits on the heap, so that its algorithms run on our rows. The only file that knows petgraph.

use petgraph::Direction;
use petgraph::visit::{
    GraphBase, GraphRef, IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers,
    NodeCompactIndexable, NodeCount, NodeIndexable, VisitMap, Visitable,
};

use crate::{Heap, ObjectId};

/// The heap as petgraph sees it: nodes are [`ObjectId`]s, the root included.
#[derive(Debug, Clone, Copy)]
pub struct HeapGraph<'a>(pub &'a Heap);

impl GraphBase for HeapGraph<'_> {
    type NodeId = ObjectId;
    type EdgeId = u32;
}

impl GraphRef for HeapGraph<'_> {}

/// Ids out of a slice of the rows.
#[derive(Debug, Clone)]
pub struct Neighbors<'a>(std::slice::Iter<'a, u32>);

impl Iterator for Neighbors<'_> {
    type Item = ObjectId;

    fn next(&mut self) -> Option<ObjectId> {
        self.0.next().map(|&number| ObjectId::new(number))
    }
}

impl<'a> IntoNeighbors for HeapGraph<'a> {
    type Neighbors = Neighbors<'a>;

    fn neighbors(self, object: ObjectId) -> Neighbors<'a> {
        Neighbors(self.0.targets(object).iter())
    }
}

impl<'a> IntoNeighborsDirected for HeapGraph<'a> {
    type NeighborsDirected = Neighbors<'a>;

    fn neighbors_directed(self, object: ObjectId, direction: Direction) -> Neighbors<'a> {
        match direction {
            Direction::Outgoing => self.neighbors(object),
            Direction::Incoming => {
                let rows = self
                    .0
                    .referrers
                    .get_or_init(|| self.0.references.reversed());
                Neighbors(rows.row(object.number()).iter())
            }
        }
    }
}

impl IntoNodeIdentifiers for HeapGraph<'_> {
    type NodeIdentifiers = std::iter::Map<std::ops::Range<u32>, fn(u32) -> ObjectId>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        (0..self.0.len() as u32).map(ObjectId::new as fn(u32) -> ObjectId)
    }
}

impl NodeCount for HeapGraph<'_> {
    fn node_count(&self) -> usize {
        self.0.len()
    }
}

impl NodeIndexable for HeapGraph<'_> {
    fn node_bound(&self) -> usize {
        self.0.len()
    }

    fn to_index(&self, object: ObjectId) -> usize {
        object.index()
    }

    fn from_index(&self, index: usize) -> ObjectId {
        ObjectId::new(index as u32)
    }
}

impl NodeCompactIndexable for HeapGraph<'_> {}

/// One bit an object.
#[derive(Debug, Clone)]
pub struct VisitedObjects(Vec<u64>);

impl VisitMap<ObjectId> for VisitedObjects {
    fn visit(&mut self, object: ObjectId) -> bool {
        let word = &mut self.0[object.index() / 64];
        let bit = 1 << (object.index() % 64);
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    fn is_visited(&self, object: &ObjectId) -> bool {
        self.0[object.index() / 64] >> (object.index() % 64) & 1 == 1
    }

    fn unvisit(&mut self, object: ObjectId) -> bool {
        let was = self.is_visited(&object);
        self.0[object.index() / 64] &= !(1 << (object.index() % 64));
        was
    }
}

impl Visitable for HeapGraph<'_> {
    type Map = VisitedObjects;

    fn visit_map(&self) -> VisitedObjects {
        VisitedObjects(vec![0; self.0.len() / 64 + 1])
    }

    fn reset_map(&self, map: &mut VisitedObjects) {
        map.0.clear();
        map.0.resize(self.0.len() / 64 + 1, 0);
    }
}
