//! Every way of holding an object, on each interpreter at hand: its access path is there, and no other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use heldby_heap::{Cancel, Heap, ObjectId};
use heldby_retention::{Chains, Distances, Referrers, objects_at};
use heldby_tests::{runtimes, succeed};

fn object_at(heap: &Heap, address: u64) -> Option<ObjectId> {
    heap.objects()
        .find(|object| heap.address(*object) == address)
}

/// The program, the module that holds, and another one.
const FILES: [(&str, &str); 3] = [
    ("ways.py", include_str!("../ways/ways.py")),
    ("holders.py", include_str!("../ways/holders.py")),
    ("other.py", include_str!("../ways/other.py")),
];

/// The true path is there, no other is, and each path leads back to the object.
#[test]
fn every_way_of_holding_is_named() {
    for runtime in runtimes() {
        let folder = tempfile::tempdir().unwrap();
        let agent = ("heldby_agent.py", heldby_capture::agent_source());
        for (name, text) in FILES.into_iter().chain([agent]) {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let dump = folder.path().join("ways.heldby");
        let output = succeed(runtime.command(folder.path()).arg("ways.py").arg(&dump));
        let rows: Vec<(String, u64, Vec<String>)> = serde_json::from_slice(&output.stdout).unwrap();
        assert!(rows.len() >= 84, "42 ways, twice");
        let dump = heldby_dump::read(&dump, &Cancel::new()).unwrap();
        assert!(dump.header.agent.starts_with(runtime.agent), "{runtime}");
        let wrong = wrong_paths(&dump.heap, &rows);
        assert!(
            wrong.is_empty(),
            "{} of {} on {runtime}:\n{}",
            wrong.len(),
            rows.len(),
            wrong.join("\n")
        );
    }
}

fn wrong_paths(heap: &Heap, rows: &[(String, u64, Vec<String>)]) -> Vec<String> {
    let chains = Chains::of(heap, &Cancel::new()).unwrap();
    let distances = Distances::of(heap, &chains);
    let referrers = Referrers::new(heap, &distances);
    let mut wrong = Vec::new();
    for (way, address, expected) in rows {
        let Some(object) = object_at(heap, *address) else {
            wrong.push(format!("{way}: the object is not in the dump"));
            continue;
        };
        let found = referrers.paths(object, 100).paths;
        if found != *expected {
            wrong.push(format!("{way}: {found:?} instead of {expected:?}"));
        }
        for path in expected {
            let objects = objects_at(heap, path);
            let leads_back = objects
                .as_ref()
                .is_ok_and(|objects| objects.contains(&object));
            if !leads_back {
                wrong.push(format!("{way}: {path} leads to {objects:?}"));
            }
        }
    }
    wrong
}

/// What the `referrers` package can print of a reference, and the way of holding in which heldby says as much: its module, its
/// function, its attribute by name, where the package has `(object)`.
const SAID_BY_REFERRERS: [(&str, &str); 24] = [
    ("foo.a (local)", "frame_of_another_thread"),
    ("pkg.mod.VAR (global)", "module_global"),
    ("pkg.mod.VAR (module variable)", "global_of_another_module"),
    ("make_handler.<locals>.handler.img (closure)", "closure"),
    ("Session.avatar (instance attribute)", "instance_attribute"),
    ("dict key=k1", "nested_containers"),
    ("defaultdict key=upload", "default_dictionary"),
    ("OrderedDict key=o", "ordered_dictionary"),
    ("list index=0", "list_in_an_attribute"),
    ("tuple index=0", "tuple_item"),
    ("deque index=0", "deque"),
    ("NT index=0", "named_tuple"),
    ("set member", "set_member"),
    ("frozenset member", "frozenset_member"),
    ("Context member", "context_variable"),
    ("cb method", "bound_method"),
    ("cell (object)", "closure"),
    ("generator (object)", "generator_local"),
    ("coroutine (object)", "coroutine_local"),
    ("tuple (root)", "positional_default"),
    ("dict (root)", "unbounded_cache"),
    ("function.stash (root)", "function_attribute"),
    ("Context (root)", "context_of_its_own"),
    ("dict key=<weakref ... _localdummy>", "thread_local"),
];

#[test]
fn what_the_referrers_package_prints_has_its_case() {
    for (printed, way) in SAID_BY_REFERRERS {
        let is_case = FILES[1].1.contains(&format!("@way\ndef {way}("));
        assert!(is_case, "no case for `{printed}`: there is no way {way}");
    }
}
