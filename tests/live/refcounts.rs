//! Reference counts of a program that uses much of the standard library: as `sys.getrefcount` says them, and taken apart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::process::Command;

use heldby_heap::{Cancel, IMMORTAL_REFCOUNT};
use heldby_tests::{Runtime, heldby, runtimes, succeed};
use serde_json::Value;
use tempfile::TempDir;

/// Prints the counts of up to 20 objects of each type: what a list of them and the asking add is taken off, that list aside.
const PROGRAM: &str = r#"
import asyncio, collections, contextvars, ctypes, datetime, decimal, email.message, functools, gc, http.server, json, logging, random, re
import sqlite3, sys, threading, unittest, xml.etree.ElementTree
import heldby_agent

class Base:
    registry = []

class User(Base):
    __slots__ = ("number", "items")
    def __init__(self, number):
        self.number, self.items = number, [number, str(number)]

class Account:
    def __init__(self, owner):
        self.owner, self.balance, self.notes = owner, decimal.Decimal("1.5"), {"opened": datetime.date(2020, 1, 1)}

USERS = [User(number * 1000) for number in range(100)]
ACCOUNTS = {user: Account(user) for user in USERS}
BY_NAME = collections.OrderedDict((str(user.number), user) for user in USERS)
CACHED = functools.lru_cache(maxsize=3)(lambda number: [number])
for number in range(5):
    CACHED(number)
DATABASE = sqlite3.connect(":memory:")
TREE = xml.etree.ElementTree.fromstring("<a><b>text</b></a>")

def sample():
    kept = collections.defaultdict(dict)
    for o in gc.get_objects():
        for one in (o, *gc.get_referents(o)):
            kind = type(one)
            if len(kept[kind]) < 20 and kind not in UNFIT and (kind not in (tuple, bytes) or len(one) > 1):
                kept[kind][id(one)] = one
    return [one for few in kept.values() for one in few.values()] + ACCOUNT_PARTS

# The sampling makes some of these. An empty tuple, and bytes of one or none, are everybody's, and the asking's too.
UNFIT = (type(sys._getframe()), type(sample), dict, list)

ACCOUNT_PARTS = [account.notes for account in ACCOUNTS.values()][:20] + [user.items for user in USERS][:20]

# A free-threaded interpreter adds one to what it defers the counting of (PEP 703; `_PyGC_BITS_DEFERRED` in CPython's pycore_gc.h, kept in
# the twelfth byte of the object): no reference of anybody's.
def deferred(o):
    if "t" not in getattr(sys, "abiflags", ""):
        return 0
    return ctypes.c_uint8.from_address(id(o) + 11).value >> 6 & 1

async def main():
    line = asyncio.Queue()
    async def work():
        await line.get()
    tasks = [asyncio.create_task(work()) for _ in range(5)]
    await asyncio.sleep(0)
    objects = sample()
    added = sys.getrefcount([object()][0])
    alone = [object()]
    added = sys.getrefcount(alone[0]) - 1
    counts = [sys.getrefcount(objects[place]) - added - deferred(objects[place]) for place in range(len(objects))]
    heldby_agent.dump(sys.argv[1])
    print(json.dumps([[id(o), type(o).__name__, count] for o, count in zip(objects, counts)]))
    for task in tasks:
        task.cancel()

asyncio.run(main())
"#;

/// What the asking and the dumping itself use all the time, so that its count is another one at each moment.
const RESTLESS: [&str; 9] = [
    "int",
    "str",
    "type",
    "bool",
    "NoneType",
    "lock",
    "cell",
    "builtin_function_or_method",
    // The types of ctypes, by which the native agent is called.
    "PyCSimpleType",
];
const LEAST_IMMORTAL: u64 = 900_000_000;

fn run(runtime: &Runtime) -> (TempDir, Vec<(u64, String, u64)>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("heldby_agent.py"),
        heldby_capture::agent_source(),
    )
    .unwrap();
    std::fs::write(folder.path().join("program.py"), PROGRAM).unwrap();
    let output = succeed(
        runtime
            .command(folder.path())
            .args(["program.py", "program.heldby"]),
    );
    (folder, serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn counts_are_those_of_the_interpreter() {
    for runtime in runtimes() {
        let (folder, rows) = run(&runtime);
        let dump = folder.path().join("program.heldby");
        let heap = heldby_dump::read(&dump, &Cancel::new()).unwrap().heap;
        let by_address: BTreeMap<u64, _> = heap
            .objects()
            .map(|object| (heap.address(object), object))
            .collect();
        let mut compared = 0;
        let mut wrong = Vec::new();
        for (address, type_name, count) in &rows {
            if RESTLESS.contains(&type_name.as_str()) {
                continue;
            }
            // The agent's own objects are not in its dump.
            let Some(&object) = by_address.get(address) else {
                continue;
            };
            compared += 1;
            let found = heap.refcount(object);
            let expected = if *count >= LEAST_IMMORTAL {
                IMMORTAL_REFCOUNT
            } else {
                u32::try_from(*count).unwrap()
            };
            if found != expected {
                wrong.push(format!("{type_name}: {found} instead of {expected}"));
            }
        }
        assert!(compared > 500, "only {compared} compared on {runtime}");
        assert!(
            wrong.is_empty(),
            "{} of {compared} on {runtime}:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

#[test]
fn what_is_held_outside_of_the_heap_is_explained() {
    for runtime in runtimes() {
        let (folder, _) = run(&runtime);
        let output = succeed(
            Command::new(heldby())
                .args(["stat", "--format", "json"])
                .arg(folder.path().join("program.heldby")),
        );
        let statistics: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = |name: &str| statistics["refcounts"][name].as_array().unwrap().clone();
        let all: Vec<Value> = [rows("outside"), rows("not_counted")].concat();
        // The program's own objects are held by the heap alone.
        let own: Vec<&Value> = all
            .iter()
            .filter(|row| row["type"].as_str().unwrap().starts_with("__main__."))
            .collect();
        assert!(own.is_empty(), "{own:?} on {runtime}");
        // For few of the others there is no more to say than that C code holds them.
        let without_a_rule: u64 = all
            .iter()
            .filter(|row| row["meaning"].as_str().unwrap().starts_with("C code:"))
            .map(|row| row["objects"].as_u64().unwrap())
            .sum();
        let objects = statistics["objects"].as_u64().unwrap();
        assert!(
            without_a_rule * 200 < objects,
            "{without_a_rule} of {objects} on {runtime}"
        );
    }
}
