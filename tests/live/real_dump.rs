//! A dump of a real interpreter: what the heap says against what the interpreter says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::process::Command;

use heldby_heap::{Cancel, Heap};
use heldby_retention::Analysis;
use heldby_tests::{pythons, succeed};

/// Makes a heap of known objects, dumps it, and prints its own counts by type of what the collector tracks.
const PROGRAM: &str = r#"
import gc, importlib.util, sys, json, collections
agent, dump = sys.argv[1:]
spec = importlib.util.spec_from_file_location("heldby_agent", agent)
heldby_agent = importlib.util.module_from_spec(spec)
sys.modules["heldby_agent"] = heldby_agent
spec.loader.exec_module(heldby_agent)
class Node:
    def __init__(self, number):
        self.name, self.children, self.extra = "node %d" % number, [number], {"key": (number,)}
class Slotted:
    __slots__ = ("left", "right")
NODES = [Node(n) for n in range(5000)]
SLOTTED = {n: Slotted() for n in range(300)}
for n in SLOTTED: SLOTTED[n].left = NODES[n]
QUEUE = collections.deque(collections.Counter([n]) for n in range(200))
def gen():
    yield NODES
GENERATORS = [gen() for n in range(100)]
gc.collect()
heldby_agent.dump(dump)
tracked = gc.get_objects()
counts = collections.Counter(type(o).__name__ for o in tracked if type(o).__module__ in ("__main__", "collections") or type(o).__name__ == "generator")
print(json.dumps({**counts, "objects_at_least": len(tracked) * 9 // 10}))
"#;

fn dumps() -> Vec<(Heap, BTreeMap<String, u64>)> {
    pythons()
        .iter()
        .map(|python| {
            let folder = tempfile::tempdir().unwrap();
            let (agent, dump) = (
                folder.path().join("heldby_agent.py"),
                folder.path().join("a.heldby"),
            );
            std::fs::write(&agent, heldby_capture::agent_source()).unwrap();
            let output = succeed(
                Command::new(python)
                    .args(["-c", PROGRAM])
                    .args([&agent, &dump]),
            );
            let read = heldby_dump::read(&dump, &Cancel::new()).unwrap();
            assert_eq!(read.problems, [], "{}", python.display());
            (read.heap, serde_json::from_slice(&output.stdout).unwrap())
        })
        .collect()
}

#[test]
fn counts_by_type_are_the_interpreters_own() {
    for (heap, expected) in dumps() {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for object in heap.objects() {
            let name = heap.type_name(heap.type_index(object));
            *counts
                .entry(name.rsplit('.').next().unwrap().to_owned())
                .or_default() += 1;
        }
        assert!(heap.len() as u64 > expected["objects_at_least"]);
        for (name, count) in expected
            .iter()
            .filter(|(name, _)| *name != "objects_at_least")
        {
            assert_eq!(counts.get(name), Some(count), "{name}");
        }
        assert!(
            expected["Node"] == 5000 && expected["generator"] >= 100,
            "{expected:?}"
        );
    }
}

#[test]
fn a_heap_and_its_analysis_take_few_bytes_an_object() {
    for (heap, _) in dumps() {
        // Frozen: a column more is a decision. References included, names and texts not.
        let bytes = heap.column_bytes() as f64 / heap.len() as f64;
        assert!(bytes < 64.0, "{bytes:.1} bytes an object");
    }
}

#[test]
fn the_same_dump_gives_the_same_analysis() {
    for (heap, _) in dumps() {
        let described = || {
            let analysis = Analysis::of(&heap, &Cancel::new()).unwrap();
            let paths: Vec<_> = analysis
                .patterns
                .iter()
                .map(|(_, pattern)| (pattern.identity, pattern.count, pattern.retained_bytes))
                .collect();
            paths
        };
        assert_eq!(described(), described());
    }
}

#[test]
fn the_agent_is_not_in_its_own_dump() {
    for (heap, _) in dumps() {
        let names = heap.names();
        let modules: Vec<&str> = names
            .modules
            .iter()
            .map(|module| heap.text(module.name))
            .filter(|name| name.starts_with("heldby"))
            .collect();
        assert_eq!(modules, [""; 0]);
        let functions = names
            .functions
            .values()
            .filter(|function| heap.text(function.module) == "heldby_agent")
            .count();
        let types = names
            .types
            .iter()
            .filter(|row| heap.text(row.module) == "heldby_agent")
            .count();
        assert_eq!((functions, types), (0, 0));
    }
}
