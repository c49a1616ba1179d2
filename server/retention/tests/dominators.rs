//! Semi-NCA against petgraph's `simple_fast`, and retained sizes against what removing an object really frees.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use heldby_heap::{
    Cancel, Heap, HeapBuilder, HeapGraph, Label, Object, ObjectId, ReferenceKind, RootKind,
};
use heldby_retention::Dominators;
use petgraph::algo::dominators::simple_fast;
use petgraph::visit::Dfs;
use proptest::prelude::*;

/// Objects `1..=count` at addresses 16, 32 …; each is 1 byte larger than the one before.
fn heap(count: u64, references: &[(u64, u64)], roots: &[u64]) -> Heap {
    let mut builder = HeapBuilder::new();
    let object_type = builder.type_named("builtins", "object", 0);
    for number in 1..=count {
        builder
            .object(Object {
                address: number * 16,
                type_index: object_type,
                shallow_bytes: number,
                refcount: 0,
            })
            .unwrap();
    }
    let mut rows = builder.references();
    for source in 1..=count {
        for &(_, target) in references.iter().filter(|(from, _)| *from == source) {
            rows.reference(target * 16, Label::new(ReferenceKind::Other, 0));
        }
        rows.end_object();
    }
    let roots: Vec<_> = roots
        .iter()
        .map(|root| (root * 16, RootKind::Interpreter))
        .collect();
    rows.finish(&roots)
}

/// Bytes that the root no longer reaches when `gone` is taken away.
fn freed_without(heap: &Heap, gone: ObjectId) -> u64 {
    let graph = HeapGraph(heap);
    let mut walk = Dfs::new(graph, ObjectId::ROOT);
    walk.discovered.extend_one_visited(gone);
    let mut kept = 0;
    while let Some(object) = walk.next(graph) {
        kept += heap.shallow_bytes(object);
    }
    let all: u64 = (0..heap.reachable_len() as u32)
        .map(|number| heap.shallow_bytes(ObjectId::new(number)))
        .sum();
    all - kept
}

trait Discovered {
    fn extend_one_visited(&mut self, object: ObjectId);
}

impl Discovered for heldby_heap::VisitedObjects {
    fn extend_one_visited(&mut self, object: ObjectId) {
        petgraph::visit::VisitMap::visit(self, object);
    }
}

fn graphs() -> impl Strategy<Value = (u64, Vec<(u64, u64)>, Vec<u64>)> {
    (1u64..40).prop_flat_map(|count| {
        let references = prop::collection::vec((1..=count, 1..=count), 0..(4 * count as usize));
        let roots = prop::collection::vec(1..=count, 1..4);
        (Just(count), references, roots)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_petgraph_on_random_heaps((count, references, roots) in graphs()) {
        let heap = heap(count, &references, &roots);
        let ours = Dominators::of(&heap, &Cancel::new()).unwrap();
        let theirs = simple_fast(HeapGraph(&heap), ObjectId::ROOT);
        for number in 1..heap.reachable_len() as u32 {
            let object = ObjectId::new(number);
            prop_assert_eq!(Some(ours.immediate(object)), theirs.immediate_dominator(object));
        }
    }

    #[test]
    fn retained_bytes_are_what_would_be_freed((count, references, roots) in graphs()) {
        let heap = heap(count, &references, &roots);
        let dominators = Dominators::of(&heap, &Cancel::new()).unwrap();
        for number in 1..heap.reachable_len() as u32 {
            let object = ObjectId::new(number);
            prop_assert_eq!(dominators.retained_bytes(object), freed_without(&heap, object));
        }
    }
}

#[test]
fn stops_when_it_is_cancelled() {
    let heap = heap(3, &[(1, 2), (2, 3)], &[1]);
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(Dominators::of(&heap, &cancel).is_err());
}
