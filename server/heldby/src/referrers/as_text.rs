//! Referrers as text: the paths that hold an object, its reference count taken apart, and the tree; 100 lines at most.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use heldby_finding::words;
use heldby_heap::{Heap, IMMORTAL_REFCOUNT, ObjectId};
use heldby_retention::{Dominators, Referrer, ReferrerKind, ReferrerTree};

use super::{Answer, ObjectAnswer, id, retained, type_of};
use crate::refcount_words;

/// What is longer is cut, with a count.
const MOST_LINES: usize = 100;
/// Paths of one object, those of the same make aside.
const MOST_PATHS: usize = 20;
/// Paths and referrers of the same make (keys and indices aside) that are told one by one; one more is told too, for a line
/// that counts it would be as long.
const MOST_ALIKE: usize = 3;

/// Writes the answer.
pub(crate) fn to_text(answer: &Answer<'_>) -> String {
    let mut lines = Vec::new();
    if answer.found > 1 {
        summary(answer, &mut lines);
    }
    // One object of each kind of path tells as much as all of them.
    let mut held_at = HashSet::new();
    let distinct = answer
        .objects
        .iter()
        .filter(|of| held_at.insert(of.paths.paths.first().map(|path| varying(path))));
    for (told, of) in distinct.enumerate() {
        let of_object = object_lines(answer.heap, answer.dominators, of);
        let room = MOST_LINES.saturating_sub(lines.len() + 2);
        if told > 0 && of_object.len() > room {
            break;
        }
        if told > 0 || answer.found > 1 {
            lines.push(String::new());
        }
        let missing = of_object.len().saturating_sub(room);
        let kept = of_object.len() - missing;
        lines.extend(of_object.into_iter().take(kept));
        if missing > 0 {
            lines.push(format!("… and {missing} lines more: `--format json` has them all, `--depth` and `--limit` make it less"));
        }
        if lines.len() + 4 > MOST_LINES {
            break;
        }
    }
    let written = lines
        .iter()
        .filter(|line| line.starts_with(HEADLINE))
        .count();
    let left = answer.found - written;
    if left > 0 {
        lines.push(String::new());
        lines.push(format!(
            "… and {left} {} more: ask for one by its --id or --path, or for all by `--format json --limit {}`",
            if left == 1 { "object" } else { "objects" },
            answer.found
        ));
    }
    lines
        .into_iter()
        .map(|line| line.replace(HEADLINE, "") + "\n")
        .collect()
}

/// Marks an object's first line until it is printed.
const HEADLINE: char = '\u{1}';

/// Where the objects are held, with varying keys taken together.
fn summary(answer: &Answer<'_>, lines: &mut Vec<String>) {
    let mut counts: HashMap<String, (usize, u64)> = HashMap::new();
    for of in &answer.objects {
        let path = match of.paths.paths.first() {
            Some(path) => varying(path),
            None if of.is_reachable => "nothing that has a name".to_owned(),
            None => "nothing: garbage that waits for a collection".to_owned(),
        };
        let entry = counts.entry(path).or_default();
        entry.0 += 1;
        entry.1 += answer.heap.shallow_bytes(of.object);
    }
    let mut rows: Vec<(String, (usize, u64))> = counts.into_iter().collect();
    rows.sort_by(|one, other| other.1.0.cmp(&one.1.0).then_with(|| one.0.cmp(&other.0)));
    lines.push(if answer.objects.len() < answer.found {
        format!(
            "{} objects; the {} that retain most are held by",
            answer.found,
            answer.objects.len()
        )
    } else {
        format!("{} objects, held by", answer.found)
    });
    let most = 15;
    for (path, (count, _)) in rows.iter().take(most) {
        lines.push(format!("{count:>8}  {path}"));
    }
    if rows.len() > most {
        lines.push(format!("          … and {} paths more", rows.len() - most));
    }
}

/// A path with its keys and indices as `[*]`.
fn varying(path: &str) -> String {
    let mut written = String::new();
    let mut rest = path;
    while let Some((before, key)) = rest.split_once('[') {
        written.push_str(before);
        written.push_str("[*]");
        let quote = key
            .chars()
            .next()
            .filter(|first| matches!(first, '\'' | '"'));
        let end = match quote {
            Some(quote) => end_of_text(key, quote),
            None => key.find(']').map_or(key.len(), |end| end + 1),
        };
        rest = &key[end..];
    }
    written + rest
}

/// What paths have in common that say the same to a reader: keys and indices aside, and of a name the last part only.
fn alike(path: &str) -> String {
    let path = varying(path);
    let is_plain = !path.contains(['[', '<']);
    match path.rsplit_once('.').filter(|_| is_plain) {
        Some((_, name)) => format!("….{name}"),
        None => path,
    }
}

/// Where the `]` behind a text ends.
fn end_of_text(key: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, character) in key.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            character if character == quote => return (at + 2).min(key.len()),
            _ => {}
        }
    }
    key.len()
}

/// What is told of one object.
pub(crate) fn object_text(heap: &Heap, dominators: &Dominators, of: &ObjectAnswer) -> String {
    object_lines(heap, dominators, of)
        .join("\n")
        .replace(HEADLINE, "")
}

fn object_lines(heap: &Heap, dominators: &Dominators, of: &ObjectAnswer) -> Vec<String> {
    let mut lines = vec![format!(
        "{HEADLINE}{} at {}: {}, retains {}",
        type_of(heap, of.object),
        id(heap, of.object),
        words::bytes(heap.shallow_bytes(of.object)),
        words::bytes(retained(heap, dominators, of.object)),
    )];
    let is_immortal = heap.refcount(of.object) == IMMORTAL_REFCOUNT;
    lines.extend(
        refcount_words::lines(heap, of.object, of.refcount, is_immortal)
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    lines.push(String::new());
    if of.paths.paths.is_empty() {
        lines.push(if of.is_reachable {
            "held by nothing that has a name".to_owned()
        } else {
            "held by nothing that a root reaches: garbage that waits for a collection".to_owned()
        });
    } else {
        lines.push("held by".to_owned());
        let (paths, alike) = without_many_alike(&of.paths.paths, |path| alike(path));
        let more = paths.len().saturating_sub(MOST_PATHS);
        lines.extend(
            paths
                .into_iter()
                .take(MOST_PATHS)
                .map(|path| format!("  {path}")),
        );
        if more > 0 {
            lines.push(format!("  … and {more} more"));
        }
        for (path, count) in alike {
            lines.push(format!("  … and {count} more at {path}"));
        }
        if of.paths.is_cut && more == 0 {
            lines.push("  … and more".to_owned());
        }
    }
    if !of.tree.top.is_empty() {
        lines.push(String::new());
        lines.push("referrers".to_owned());
        tree_lines(heap, &of.tree, &mut lines);
    }
    if of.tree.machinery > 0 {
        lines.push(format!(
            "  and {} of the interpreter's own that {} nothing: types, code, globals of functions",
            counted(of.tree.machinery, "reference"),
            if of.tree.machinery == 1 {
                "holds"
            } else {
                "hold"
            },
        ));
    }
    lines
}

/// The first of those that are alike, and how many more there are of each kind.
fn without_many_alike<T: Clone>(
    all: &[T],
    kind: impl Fn(&T) -> String,
) -> (Vec<T>, Vec<(String, usize)>) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for one in all {
        *counts.entry(kind(one)).or_default() += 1;
    }
    let mut told: HashMap<String, usize> = HashMap::new();
    let mut first = Vec::new();
    let mut more = Vec::new();
    for one in all {
        let kind = kind(one);
        let count = counts[&kind];
        let told = told.entry(kind.clone()).or_default();
        *told += 1;
        if *told <= MOST_ALIKE || count <= MOST_ALIKE + 1 {
            first.push(one.clone());
        } else if *told == MOST_ALIKE + 1 {
            more.push((kind, count - MOST_ALIKE));
        }
    }
    (first, more)
}

/// One level of the tree that is being written: its nodes, how many are written, its indentation, and what is only counted.
struct Level {
    nodes: Vec<usize>,
    next: usize,
    indentation: String,
    counted: Vec<String>,
}

impl Level {
    fn new(
        heap: &Heap,
        tree: &ReferrerTree,
        nodes: &[usize],
        cut: usize,
        indentation: String,
    ) -> Self {
        let (nodes, alike) = without_many_alike(nodes, |&at| {
            let referrer = &tree.nodes[at].referrer;
            let reference = varying(&referrer.reference);
            if referrer.kind == ReferrerKind::ModuleGlobal {
                let name = reference.trim_start_matches('.');
                return format!("modules have it as {name}");
            }
            match (&referrer.anchor, referrer.owner) {
                (Some(anchor), _) => format!("{reference} of {anchor}"),
                (None, Some(owner)) => format!("{reference} of {}", type_of(heap, owner)),
                (None, None) => reference,
            }
        });
        let mut counted: Vec<String> = alike
            .into_iter()
            .map(|(kind, count)| format!("… and {count} more {kind}"))
            .collect();
        if cut > 0 {
            counted.push(format!("… and {cut} more"));
        }
        Self {
            nodes,
            next: 0,
            indentation,
            counted,
        }
    }
}

fn tree_lines(heap: &Heap, tree: &ReferrerTree, lines: &mut Vec<String>) {
    let mut levels = vec![Level::new(heap, tree, &tree.top, tree.cut, "  ".to_owned())];
    while let Some(level) = levels.last_mut() {
        let Some(&at) = level.nodes.get(level.next) else {
            let last = level.counted.len().saturating_sub(1);
            for (place, words) in level.counted.iter().enumerate() {
                let branch = if place == last { "└─ " } else { "├─ " };
                lines.push(format!("{}{branch}{words}", level.indentation));
            }
            levels.pop();
            continue;
        };
        level.next += 1;
        let node = &tree.nodes[at];
        let is_last = level.next == level.nodes.len() && level.counted.is_empty();
        let (branch, below) = if is_last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let mut line = format!(
            "{}{branch}{}",
            level.indentation,
            phrase(heap, &node.referrer)
        );
        match (node.is_cycle, node.is_repeated) {
            (true, _) => line.push_str(" (a cycle)"),
            (false, true) => line.push_str(" (told of already)"),
            _ => {}
        }
        lines.push(line);
        let indentation = format!("{}{below}", level.indentation);
        levels.push(Level::new(
            heap,
            tree,
            &node.referrers,
            node.cut,
            indentation,
        ));
    }
}

/// One referrer in words.
pub(super) fn phrase(heap: &Heap, referrer: &Referrer) -> String {
    let name = referrer.reference.trim_start_matches('.');
    let reference = &referrer.reference;
    let anchor = referrer.anchor.as_deref().unwrap_or_default();
    let function = anchor
        .rsplit_once(".<")
        .map_or(anchor, |(function, _)| function);
    let owner = || {
        referrer
            .owner
            .map_or(String::new(), |owner| described(heap, owner))
    };
    match referrer.kind {
        ReferrerKind::ModuleGlobal => format!("{name}, a global of module {anchor}"),
        ReferrerKind::ClassAttribute => format!("{name}, an attribute of class {anchor}"),
        ReferrerKind::FunctionAttribute => format!("{name}, an attribute of function {anchor}"),
        ReferrerKind::Local => format!(
            "{name}, a local of {}{}",
            if function.is_empty() {
                owner()
            } else {
                function.to_owned()
            },
            referrer
                .owner
                .map_or(String::new(), |owner| standing(heap, owner))
        ),
        ReferrerKind::Closure => format!("{name}, a free variable of function {function}"),
        ReferrerKind::Default | ReferrerKind::KeywordDefault => {
            format!("default of parameter {name} of function {function}")
        }
        ReferrerKind::CacheEntry => format!("{reference} in the cache of {function}"),
        ReferrerKind::ThreadLocal => format!("{name}, in one thread, of {}", owner()),
        ReferrerKind::Context => format!("value in a context of {}", owner()),
        ReferrerKind::Attribute | ReferrerKind::Slot => format!("{reference} of {}", owner()),
        ReferrerKind::BoundSelf => format!("what {} is bound to", owner()),
        ReferrerKind::PartialArgument => {
            let place = reference.trim_start_matches(".<args>");
            format!("argument {place} of {}", owner())
        }
        ReferrerKind::Annotation => format!("{reference} of annotations {}", owner()),
        ReferrerKind::DictKey => format!("a key of {}", owner()),
        ReferrerKind::SetItem => format!("a member of {}", owner()),
        ReferrerKind::DictValue
        | ReferrerKind::ListItem
        | ReferrerKind::TupleItem
        | ReferrerKind::DequeItem => format!("{reference} of {}", owner()),
        ReferrerKind::TracebackFrame => {
            let place = name.trim_start_matches("<traceback>.");
            let (function, local) = place.rsplit_once('.').unwrap_or(("", place));
            format!(
                "{local}, a local of {function} in the traceback of {}",
                owner()
            )
        }
        ReferrerKind::View => format!("shown by {}", owner()),
        ReferrerKind::Iterator => format!("gone over by {}", owner()),
        ReferrerKind::Native => "C code, or the interpreter's own state".to_owned(),
        ReferrerKind::Other if reference == ".?" => owner(),
        ReferrerKind::Other => format!("{reference} of {}", owner()),
    }
}

/// Where a frame stands.
fn standing(heap: &Heap, owner: ObjectId) -> String {
    let names = heap.names();
    let Some(frame) = names.frames.get(&owner) else {
        return format!(" ({})", type_of(heap, owner));
    };
    let mut words = String::new();
    if let Some(code) = frame.code.and_then(|code| names.codes.get(&code)) {
        let file = heap.text(code.file);
        let file = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let _ = write!(words, " ({file}:{}", frame.line);
        words.push_str(if frame.thread == 0 {
            ", not running)"
        } else {
            ", running)"
        });
    }
    words
}

/// An object in a phrase: by its name where it has one.
fn described(heap: &Heap, object: ObjectId) -> String {
    let names = heap.names();
    if let Some(&row) = names.module_of.get(&object) {
        return format!("module {}", heap.text(names.modules[row as usize].name));
    }
    if let Some(function) = names.functions.get(&object) {
        let qualname = heap.text(function.qualname).replace(".<locals>", "");
        return format!("function {}.{qualname}", heap.text(function.module));
    }
    if let Some(&type_index) = names.type_objects.get(&object) {
        return format!("class {}", heap.type_name(type_index));
    }
    format!("{} {}", type_of(heap, object), id(heap, object))
}

fn counted(count: usize, word: &str) -> String {
    if count == 1 {
        format!("{count} {word}")
    } else {
        format!("{count} {word}s")
    }
}
