//! Random graphs of objects, built by a program that knows each reference it makes: what heldby says of them, edge by edge,
//! on each interpreter at hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use heldby_heap::{Cancel, Heap, ObjectId};
use heldby_retention::{Chains, Distances, RefcountAccount, Referrers};
use heldby_tests::{Runtime, runtimes, succeed};
use serde::Deserialize;

const SEEDS: [u64; 3] = [1, 20, 300];

#[derive(Deserialize)]
struct Built {
    /// Address, size, reference count.
    objects: Vec<(u64, u64, u32)>,
    /// Who, how, whom.
    references: Vec<(u64, String, u64)>,
}

fn built(runtime: &Runtime, seed: u64) -> (Built, Heap) {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("graph.py", include_str!("../graphs/graph.py")),
        ("heldby_agent.py", heldby_capture::agent_source()),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let dump = folder.path().join("graph.heldby");
    let output = succeed(
        runtime
            .command(folder.path())
            .args(["graph.py", &seed.to_string()])
            .arg(&dump),
    );
    let read = heldby_dump::read(&dump, &Cancel::new()).unwrap();
    assert_eq!(read.problems, []);
    assert!(read.header.agent.starts_with(runtime.agent), "{runtime}");
    (serde_json::from_slice(&output.stdout).unwrap(), read.heap)
}

#[test]
fn each_reference_is_named_and_no_other_is() {
    for (runtime, seed) in runtimes()
        .iter()
        .flat_map(|runtime| SEEDS.map(|seed| (runtime, seed)))
    {
        let (built, heap) = built(runtime, seed);
        let by_address: BTreeMap<u64, ObjectId> = heap
            .objects()
            .map(|object| (heap.address(object), object))
            .collect();
        let chains = Chains::of(&heap, &Cancel::new()).unwrap();
        let distances = Distances::of(&heap, &chains);
        let referrers = Referrers::new(&heap, &distances);
        let mut wrong = Vec::new();
        for &(address, ..) in &built.objects {
            let expected: BTreeSet<String> = built
                .references
                .iter()
                .filter(|(_, _, target)| *target == address)
                .map(|(source, how, _)| format!("{source:#x}{how}"))
                .collect();
            let known: BTreeSet<u64> = built.objects.iter().map(|object| object.0).collect();
            let found: BTreeSet<String> = referrers
                .of(by_address[&address])
                .shown
                .iter()
                .filter_map(|referrer| {
                    let owner = heap.address(referrer.owner?);
                    // Functions and generators have their names as anchors of paths.
                    let word = referrer
                        .anchor
                        .as_deref()
                        .and_then(|anchor| anchor.rsplit_once(".<"));
                    let how = match word {
                        Some((_, word)) => format!(".<{word}{}", referrer.reference),
                        None => referrer.reference.clone(),
                    };
                    // The graph's own list holds all.
                    known.contains(&owner).then(|| format!("{owner:#x}{how}"))
                })
                .collect();
            if found != expected {
                let type_name = heap.type_name(heap.type_index(by_address[&address]));
                let missing: Vec<_> = expected.difference(&found).collect();
                let invented: Vec<_> = found.difference(&expected).collect();
                wrong.push(format!(
                    "{type_name} {address:#x}: missing {missing:?}, invented {invented:?}"
                ));
            }
        }
        assert!(
            wrong.is_empty(),
            "seed {seed} on {runtime}, {} wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

#[test]
fn sizes_and_reference_counts_are_the_interpreters_own() {
    for (runtime, seed) in runtimes()
        .iter()
        .flat_map(|runtime| SEEDS.map(|seed| (runtime, seed)))
    {
        let (built, heap) = built(runtime, seed);
        let mut wrong = Vec::new();
        let by_address: BTreeMap<u64, ObjectId> = heap
            .objects()
            .map(|object| (heap.address(object), object))
            .collect();
        for &(address, size, count) in &built.objects {
            let object = by_address[&address];
            let found = (heap.shallow_bytes(object), heap.refcount(object));
            let account = RefcountAccount::of(&heap, object);
            let all_seen =
                account.is_some_and(|account| account.outside() == 0 && account.beyond() == 0);
            if found != (size, count) || !all_seen {
                let type_name = heap.type_name(heap.type_index(object));
                wrong.push(format!(
                    "{type_name}: {found:?} instead of {:?}, of which {account:?}",
                    (size, count)
                ));
            }
        }
        assert!(
            wrong.is_empty(),
            "seed {seed} on {runtime}, {} wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}
