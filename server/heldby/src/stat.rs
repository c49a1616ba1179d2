//! What a dump has in it: counts and sizes by type, roots, reference counts taken apart, problems; as text or JSON.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use heldby_dump::{Dump, Problem};
use heldby_finding::words;
use heldby_heap::{
    Cancel, Cancelled, Heap, IMMORTAL_REFCOUNT, ObjectId, ReferenceKind, RootKind, UNKNOWN_REFCOUNT,
};
use heldby_retention::RefcountAccount;
use serde::Serialize;

use crate::refcount_words;

/// The version of the JSON contract.
const VERSION: u32 = 1;

/// What a dump has in it.
#[derive(Debug, Serialize)]
pub(crate) struct Statistics {
    version: u32,
    process: ProcessRow,
    objects: usize,
    references: usize,
    bytes: u64,
    /// What no root reaches: it waits for a collection.
    garbage: CountRow,
    roots: RootRow,
    refcounts: RefcountRow,
    /// Those that take most first.
    types: Vec<TypeRow>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ProcessRow {
    runtime: String,
    version: String,
    pid: u64,
    arguments: Vec<String>,
    taken_at_nanoseconds: u64,
    /// Name and version of the agent that took the dump.
    agent: String,
    /// Why another one did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    fallback: String,
}

#[derive(Debug, Default, Serialize)]
struct CountRow {
    objects: usize,
    bytes: u64,
}

#[derive(Debug, Default, Serialize)]
struct RootRow {
    modules: usize,
    frames: usize,
    interpreter: usize,
    /// Objects that only C code holds, by their type.
    native: BTreeMap<String, usize>,
}

#[derive(Debug, Default, Serialize)]
struct RefcountRow {
    /// Objects whose count is made up by references of the heap, to the last one.
    explained: usize,
    immortal: usize,
    unknown: usize,
    /// Objects with references from outside the heap.
    outside: Vec<DifferenceRow>,
    /// Objects with references that are not counted.
    not_counted: Vec<DifferenceRow>,
}

#[derive(Debug, Serialize)]
struct DifferenceRow {
    #[serde(rename = "type")]
    type_name: String,
    objects: usize,
    references: u64,
    /// What that usually means.
    meaning: &'static str,
}

#[derive(Debug, Serialize)]
struct TypeRow {
    #[serde(rename = "type")]
    type_name: String,
    module: String,
    objects: usize,
    bytes: u64,
}

impl Statistics {
    /// Passes over the heap: one over the objects, one over the references.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub(crate) fn of(dump: &Dump, cancel: &Cancel) -> Result<Self, Cancelled> {
        let heap = &dump.heap;
        let header = &dump.header;
        cancel.check()?;
        let mut by_type: HashMap<u32, CountRow> = HashMap::new();
        let mut garbage = CountRow::default();
        for object in heap.objects() {
            let bytes = heap.shallow_bytes(object);
            let mut rows = vec![by_type.entry(heap.type_index(object)).or_default()];
            if object.index() >= heap.reachable_len() {
                rows.push(&mut garbage);
            }
            for row in rows {
                row.objects += 1;
                row.bytes += bytes;
            }
        }
        cancel.check()?;
        let mut types: Vec<TypeRow> = by_type
            .into_iter()
            .map(|(index, count)| {
                let row = heap.names().types.get(index as usize);
                TypeRow {
                    type_name: heap.type_name(index),
                    module: row.map_or("", |row| heap.text(row.module)).to_owned(),
                    objects: count.objects,
                    bytes: count.bytes,
                }
            })
            .collect();
        types.sort_by(|one, other| {
            let key = |row: &TypeRow| std::cmp::Reverse((row.bytes, row.objects));
            key(one)
                .cmp(&key(other))
                .then_with(|| one.type_name.cmp(&other.type_name))
        });
        let mut problems: Vec<String> = dump.problems.iter().map(Problem::to_string).collect();
        problems.extend(header.notes.iter().cloned());
        problems.extend(header.side_effects.iter().map(|(name, count)| {
            format!(
                "the capture left behind: {count} {}",
                name.replace('_', " ")
            )
        }));
        Ok(Self {
            version: VERSION,
            process: ProcessRow {
                runtime: header.runtime.clone(),
                version: header.version.clone(),
                pid: header.pid,
                arguments: header.argv.clone(),
                taken_at_nanoseconds: header.taken_at_nanoseconds,
                agent: header.agent.clone(),
                fallback: header.fallback.clone(),
            },
            objects: heap.len() - 1,
            references: heap.reference_len(),
            bytes: types.iter().map(|row| row.bytes).sum(),
            garbage,
            roots: roots(heap),
            refcounts: refcounts(heap),
            types,
            problems,
        })
    }
}

fn roots(heap: &Heap) -> RootRow {
    let mut roots = RootRow::default();
    for reference in heap.references(ObjectId::ROOT) {
        if reference.label.kind() != ReferenceKind::Root {
            continue;
        }
        match RootKind::from_code(reference.label.value()) {
            Some(RootKind::Modules) => roots.modules += 1,
            Some(RootKind::Frame) => roots.frames += 1,
            Some(RootKind::Interpreter) => roots.interpreter += 1,
            Some(RootKind::Native) | None => {
                let type_name = heap.type_name(heap.type_index(reference.target));
                *roots.native.entry(type_name).or_default() += 1;
            }
        }
    }
    roots
}

fn refcounts(heap: &Heap) -> RefcountRow {
    let mut row = RefcountRow::default();
    let mut outside: HashMap<(u32, &'static str), (usize, u64)> = HashMap::new();
    let mut not_counted: HashMap<(u32, &'static str), (usize, u64)> = HashMap::new();
    for (object, account) in heap
        .objects()
        .zip(RefcountAccount::of_all(heap).into_iter().skip(1))
    {
        let Some(account) = account else {
            match heap.refcount(object) {
                IMMORTAL_REFCOUNT => row.immortal += 1,
                UNKNOWN_REFCOUNT => row.unknown += 1,
                _ => {}
            }
            continue;
        };
        let Some(meaning) = refcount_words::meaning(heap, object, account) else {
            row.explained += 1;
            continue;
        };
        let (table, references) = if account.outside() > 0 {
            (&mut outside, account.outside())
        } else {
            (&mut not_counted, account.beyond())
        };
        let entry = table.entry((heap.type_index(object), meaning)).or_default();
        entry.0 += 1;
        entry.1 += u64::from(references);
    }
    row.outside = differences(heap, outside);
    row.not_counted = differences(heap, not_counted);
    row
}

fn differences(
    heap: &Heap,
    table: HashMap<(u32, &'static str), (usize, u64)>,
) -> Vec<DifferenceRow> {
    let mut rows: Vec<DifferenceRow> = table
        .into_iter()
        .map(|((index, meaning), (objects, references))| DifferenceRow {
            type_name: heap.type_name(index),
            objects,
            references,
            meaning,
        })
        .collect();
    rows.sort_by(|one, other| {
        let key = |row: &DifferenceRow| std::cmp::Reverse(row.objects);
        key(one)
            .cmp(&key(other))
            .then_with(|| one.type_name.cmp(&other.type_name))
    });
    rows
}

/// Writes them as JSON.
///
/// # Errors
/// When JSON cannot be made of them, which would be a fault of ours.
pub(crate) fn to_json(statistics: &Statistics) -> serde_json::Result<String> {
    serde_json::to_string_pretty(statistics)
}

/// Writes them as tables of `limit` rows.
pub(crate) fn to_text(statistics: &Statistics, limit: usize) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_text(&mut text, statistics, limit);
    text
}

/// Rows of the tables about reference counts and roots.
const FEW: usize = 8;

fn write_text(text: &mut String, of: &Statistics, limit: usize) -> std::fmt::Result {
    writeln!(
        text,
        "{} {}, process {}: {}",
        of.process.runtime,
        of.process.version,
        of.process.pid,
        of.process.arguments.join(" ")
    )?;
    writeln!(
        text,
        "{} objects, {} references, {}",
        of.objects,
        of.references,
        words::bytes(of.bytes)
    )?;
    if of.garbage.objects > 0 {
        writeln!(
            text,
            "{} objects ({}) are garbage that waits for a collection",
            of.garbage.objects,
            words::bytes(of.garbage.bytes)
        )?;
    }
    writeln!(text, "taken by {}", of.process.agent)?;
    if !of.process.fallback.is_empty() {
        writeln!(text, "note: {}", words::fallback(&of.process.fallback))?;
    }
    for problem in &of.problems {
        writeln!(text, "note: {problem}")?;
    }

    writeln!(text, "\n{:>10} {:>12}  type", "objects", "size")?;
    for row in of.types.iter().take(limit) {
        let size = words::bytes(row.bytes);
        writeln!(text, "{:>10} {size:>12}  {}", row.objects, row.type_name)?;
    }
    let more = of.types.len().saturating_sub(limit);
    if more > 0 {
        writeln!(text, "{:>23}  … and {more} types more (--limit)", "")?;
    }

    writeln!(text, "\nroots")?;
    writeln!(text, "{:>10}  frames of running threads", of.roots.frames)?;
    writeln!(text, "{:>10}  table of modules", of.roots.modules)?;
    writeln!(
        text,
        "{:>10}  the interpreter's own state",
        of.roots.interpreter
    )?;
    let mut native: Vec<(&String, &usize)> = of.roots.native.iter().collect();
    native.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    for (name, count) in native.iter().take(FEW) {
        writeln!(text, "{count:>10}  {name}, held by C code only")?;
    }
    if native.len() > FEW {
        writeln!(text, "{:>10}  … and {} types more", "", native.len() - FEW)?;
    }

    let counts = &of.refcounts;
    writeln!(text, "\nreference counts")?;
    writeln!(
        text,
        "{:>10}  objects whose references are all in the heap",
        counts.explained
    )?;
    if counts.immortal > 0 {
        writeln!(
            text,
            "{:>10}  immortal objects, which are not counted",
            counts.immortal
        )?;
    }
    if counts.unknown > 0 {
        writeln!(
            text,
            "{:>10}  objects whose count is not known",
            counts.unknown
        )?;
    }
    for (rows, what) in [
        (&counts.outside, "held outside of the heap"),
        (&counts.not_counted, "with references that are not counted"),
    ] {
        let total: usize = rows.iter().map(|row| row.objects).sum();
        if total == 0 {
            continue;
        }
        writeln!(text, "{total:>10}  {what}:")?;
        for row in rows.iter().take(FEW) {
            writeln!(
                text,
                "{:>20}  {}: {}",
                row.objects, row.type_name, row.meaning
            )?;
        }
        if rows.len() > FEW {
            writeln!(text, "{:>20}  … and {} types more", "", rows.len() - FEW)?;
        }
    }
    Ok(())
}
