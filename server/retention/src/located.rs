//! From an access path back to the objects that stand there: the inverse of writing one.

use heldby_heap::{Heap, ObjectId, Reference, ReferenceKind, RootKind, StringId};

use crate::access_path::without_locals;
use crate::known::CONTEXT_VARIABLES;
use rustc_hash::FxHashSet;

use crate::binding::{
    frame_function, is_context, is_inside_context, named_function, wrapped_function,
};

/// Why no object stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It is not written as a path is.
    #[error("an access path looks like `gallery.views.UPLOADS[3]`; `{rest}` is no step of one")]
    Syntax {
        /// From where on it is not understood.
        rest: String,
    },
    /// Nothing of this name is in the dump.
    #[error("nothing in the dump is called `{start}`")]
    NoStart {
        /// The path's first names.
        start: String,
    },
    /// It leads nowhere from some step on.
    #[error("`{before}` is in the dump, but has no `{step}`")]
    NoStep {
        /// As far as it leads.
        before: String,
        /// The step that is missing.
        step: String,
    },
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Name(String),
    /// `.<self>`, `.<key>` …, without the brackets.
    Word(String),
    Integer(String),
    Text(String),
    KeyOfType(String),
    Any,
}

/// The objects at an access path, ascending. Keys and indices may be `[*]`.
///
/// # Errors
/// [`PathError`] when there are none.
pub fn objects_at(heap: &Heap, path: &str) -> Result<Vec<ObjectId>, PathError> {
    let path = path.trim();
    let mut places: Vec<Place>;
    let parts;
    let mut written;
    if let Some(inner) = path.strip_prefix("<thread-local ") {
        let (inner, rest) = split_at_closing(inner)?;
        parts = parsed(rest)?;
        written = format!("<thread-local {inner}>");
        places = objects_at(heap, inner)?
            .into_iter()
            .flat_map(|object| targets(heap, object, ReferenceKind::ThreadLocal))
            .map(|namespace| Place {
                object: namespace,
                is_namespace: true,
            })
            .collect();
    } else if let Some(inner) = path.strip_prefix("<cycle of ") {
        let (type_name, rest) = split_at_closing(inner)?;
        parts = parsed(rest)?;
        written = format!("<cycle of {type_name}>");
        places = (heap.reachable_len()..heap.len())
            .map(|index| ObjectId::new(index as u32))
            .filter(|object| heap.type_name(heap.type_index(*object)) == type_name)
            .map(Place::of)
            .collect();
    } else if let Some(rest) = path.strip_prefix("<native>") {
        parts = parsed(rest)?;
        written = "<native>".to_owned();
        let is_native = |reference: &Reference| {
            RootKind::from_code(reference.label.value()) == Some(RootKind::Native)
        };
        places = heap
            .references(ObjectId::ROOT)
            .filter(is_native)
            .map(|reference| Place::of(reference.target))
            .collect();
    } else {
        return from_names(heap, parsed(&format!(".{path}"))?);
    }
    let mut at = 0;
    while at < parts.len() {
        let (next, used) = step(heap, &places, &parts[at..]);
        if next.is_empty() {
            return Err(PathError::NoStep {
                before: written,
                step: parts[at].to_string(),
            });
        }
        let used_parts = &parts[at..at + used];
        written.extend(used_parts.iter().map(ToString::to_string));
        at += used;
        places = next;
    }
    Ok(objects(places))
}

/// A path that starts with names: of a module, and perhaps of a class or a function in it.
fn from_names(heap: &Heap, parts: Vec<Part>) -> Result<Vec<ObjectId>, PathError> {
    let names: Vec<&str> = parts
        .iter()
        .map_while(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let mut found: Vec<ObjectId> = Vec::new();
    let mut best: Option<PathError> = None;
    let mut farthest = 0;
    for count in 1..=names.len() {
        let start = names[..count].join(".");
        let binding = match parts.get(count) {
            Some(Part::Word(word)) => bound_by(heap, &start, word, parts.get(count + 1)),
            _ => None,
        };
        let (mut places, mut at) = match binding {
            Some((places, used)) => (places, count + used),
            None => (named(heap, &start), count),
        };
        if places.is_empty() {
            continue;
        }
        while at < parts.len() && !places.is_empty() {
            let (next, used) = step(heap, &places, &parts[at..]);
            if next.is_empty() && at >= farthest {
                farthest = at;
                let text = |parts: &[Part]| parts.iter().map(ToString::to_string).collect();
                let before: String = text(&parts[..at]);
                best = Some(PathError::NoStep {
                    before: before.trim_start_matches('.').to_owned(),
                    step: text(&parts[at..=at]),
                });
            }
            at += used;
            places = next;
        }
        found.extend(objects(places));
    }
    found.sort_unstable();
    found.dedup();
    if !found.is_empty() {
        return Ok(found);
    }
    Err(best.unwrap_or_else(|| PathError::NoStart {
        start: names.first().unwrap_or(&"").to_string(),
    }))
}

/// An object on the way; a namespace's entries are names.
#[derive(Debug, Clone, Copy)]
struct Place {
    object: ObjectId,
    is_namespace: bool,
}

impl Place {
    fn of(object: ObjectId) -> Self {
        Self {
            object,
            is_namespace: false,
        }
    }
}

fn objects(places: Vec<Place>) -> Vec<ObjectId> {
    let mut objects: Vec<ObjectId> = places.into_iter().map(|place| place.object).collect();
    objects.sort_unstable();
    objects.dedup();
    objects
}

fn targets(heap: &Heap, object: ObjectId, kind: ReferenceKind) -> impl Iterator<Item = ObjectId> {
    heap.references(object)
        .filter(move |reference| reference.label.kind() == kind)
        .map(|reference| reference.target)
}

/// Modules, classes and functions of this full name.
fn named(heap: &Heap, full_name: &str) -> Vec<Place> {
    let names = heap.names();
    let mut places = Vec::new();
    for row in &names.modules {
        if heap.text(row.name) == full_name {
            let namespace = row.namespace.map(|namespace| Place {
                object: namespace,
                is_namespace: true,
            });
            places.extend(row.object.map(Place::of).or(namespace));
        }
    }
    for (&object, &type_index) in &names.type_objects {
        if without_locals(&heap.type_name(type_index)) == full_name {
            places.push(Place::of(object));
        }
    }
    for &object in names.functions.keys() {
        if is_called(heap, object, full_name) {
            places.push(Place::of(object));
        }
    }
    places
}

fn is_called(heap: &Heap, function: ObjectId, full_name: &str) -> bool {
    named_function(heap, function).is_some_and(|named| {
        full_name
            .strip_prefix(named.module.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|qualname| qualname == without_locals(&named.qualname))
    })
}

/// What a function, a frame or a cache of this name binds, and how many parts that took.
fn bound_by(
    heap: &Heap,
    full_name: &str,
    word: &str,
    name: Option<&Part>,
) -> Option<(Vec<Place>, usize)> {
    use ReferenceKind::*;
    let mut places = Vec::new();
    if word == "cache" {
        for object in heap.objects() {
            for entries in targets(heap, object, Cache) {
                let is_it = wrapped_function(heap, object).is_some_and(|named| {
                    format!("{}.{}", named.module, without_locals(&named.qualname)) == full_name
                });
                if is_it {
                    places.push(Place::of(entries));
                }
            }
        }
        return Some((places, 1));
    }
    let kinds: &[ReferenceKind] = match word {
        "local" => &[Local],
        "closure" => &[FreeVariable],
        "default" => &[Default, KeywordDefault],
        _ => return None,
    };
    let Some(Part::Name(name)) = name else {
        return Some((places, 1));
    };
    for object in heap.objects() {
        for reference in heap.references(object) {
            if !kinds.contains(&reference.label.kind())
                || heap.text(StringId(reference.label.value())) != name
            {
                continue;
            }
            let function = match word {
                "local" => frame_function(heap, object),
                _ => named_function(heap, object),
            };
            let is_it = function.is_some_and(|named| {
                format!("{}.{}", named.module, without_locals(&named.qualname)) == full_name
            });
            if is_it {
                places.push(Place::of(through(heap, reference.target)));
            }
        }
    }
    Some((places, 2))
}

/// What a cell, an element of a cache or a buffer contains; anything else is itself.
fn through(heap: &Heap, object: ObjectId) -> ObjectId {
    targets(heap, object, ReferenceKind::CellContents)
        .next()
        .unwrap_or(object)
}

/// One step from each place, and how many parts it took.
fn step(heap: &Heap, places: &[Place], parts: &[Part]) -> (Vec<Place>, usize) {
    if let Part::Word(word) = &parts[0]
        && word == "traceback"
    {
        return through_tracebacks(heap, places, &parts[1..]);
    }
    let mut next = Vec::new();
    for place in places {
        if parts[0] == Part::Word("context".to_owned()) {
            next.extend(values_of_contexts(heap, place.object));
        }
        match &parts[0] {
            Part::Name(name) => by_name(heap, *place, name, &mut next),
            part => {
                let fits = |reference: &Reference| is_step(heap, reference, part);
                let found = heap.references(place.object).filter(fits);
                next.extend(found.map(|reference| Place::of(through(heap, reference.target))));
            }
        }
    }
    (next, 1)
}

/// The values in a context, or in the context that a task or callback runs in.
fn values_of_contexts(heap: &Heap, object: ObjectId) -> Vec<Place> {
    let referenced = heap.references(object).map(|reference| reference.target);
    let contexts = std::iter::once(object).chain(referenced);
    let mut inside: Vec<ObjectId> = contexts.filter(|&one| is_context(heap, one)).collect();
    let mut seen: FxHashSet<ObjectId> = inside.iter().copied().collect();
    let mut values = Vec::new();
    while let Some(node) = inside.pop() {
        for reference in heap.references(node) {
            let target = reference.target;
            if !seen.insert(target) {
                continue;
            }
            if is_inside_context(heap, target) {
                inside.push(target);
            } else if !CONTEXT_VARIABLES.contains(&heap.type_name(heap.type_index(target)).as_str())
            {
                values.push(Place::of(target));
            }
        }
    }
    values
}

fn is_step(heap: &Heap, reference: &Reference, part: &Part) -> bool {
    use ReferenceKind::*;
    let kind = reference.label.kind();
    let text = || heap.text(StringId(reference.label.value()));
    match part {
        Part::Any => kind.is_item() && kind != DictKey && kind != SetMember,
        Part::Integer(number) => match kind {
            ListItem | TupleItem | DequeItem => reference.label.value().to_string() == *number,
            DictValueOfInteger => text() == number,
            _ => false,
        },
        Part::Text(key) => kind == DictValue && text() == key,
        Part::KeyOfType(name) => {
            kind == DictValueOfOther && heap.type_name(reference.label.value()) == *name
        }
        Part::Word(word) => match word.as_str() {
            "key" => kind == DictKey,
            "set" => kind == SetMember,
            "self" => kind == Slot && text() == "__self__",
            "args" => kind == Slot && text() == "args",
            "view" => kind == View,
            "next" => kind == Iterates,
            "context" => kind == Context,
            "cache" => kind == Cache,
            _ => false,
        },
        Part::Name(_) => false,
    }
}

fn by_name(heap: &Heap, place: Place, name: &str, next: &mut Vec<Place>) {
    use ReferenceKind::*;
    let is_called = |reference: &Reference| heap.text(StringId(reference.label.value())) == name;
    let entries = |namespace: ObjectId| {
        heap.references(namespace)
            .filter(|reference| reference.label.kind() == DictValue && is_called(reference))
            .map(|reference| Place::of(through(heap, reference.target)))
    };
    if place.is_namespace {
        next.extend(entries(place.object));
        return;
    }
    let before = next.len();
    for reference in heap.references(place.object) {
        match reference.label.kind() {
            Namespace if name == "__dict__" => next.push(Place::of(reference.target)),
            Namespace => next.extend(entries(reference.target)),
            Attribute | Slot | Machinery if is_called(&reference) => {
                next.push(Place::of(through(heap, reference.target)))
            }
            _ => {}
        }
    }
    if next.len() == before {
        // A module whose namespace is told by the table of modules only.
        let names = heap.names();
        let row = names.module_of.get(&place.object);
        let namespace = row.and_then(|&row| names.modules[row as usize].namespace);
        next.extend(namespace.into_iter().flat_map(entries));
    }
}

/// `.<traceback>.` qualified name `.` local: in the frames of an exception's tracebacks.
fn through_tracebacks(heap: &Heap, places: &[Place], parts: &[Part]) -> (Vec<Place>, usize) {
    let names: Vec<&str> = parts
        .iter()
        .map_while(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let slot = |object: ObjectId, wanted: &'static str| {
        heap.references(object).find(move |reference| {
            reference.label.kind() == ReferenceKind::Slot
                && heap.text(StringId(reference.label.value())) == wanted
        })
    };
    let mut found = Vec::new();
    let mut used = 1;
    for place in places {
        let first = slot(place.object, "__traceback__").map_or(place.object, |slot| slot.target);
        let mut traceback = Some(first);
        // As many as there are objects at most: a damaged dump may have a ring of them.
        for _ in 0..heap.len() {
            let Some(at) = traceback else { break };
            traceback = slot(at, "tb_next").map(|slot| slot.target);
            let Some(frame) = slot(at, "tb_frame").map(|slot| slot.target) else {
                continue;
            };
            let Some(function) = frame_function(heap, frame) else {
                continue;
            };
            let qualname = without_locals(&function.qualname);
            let length = qualname.split('.').count();
            let is_it = names.len() > length && names[..length].join(".") == qualname;
            if !is_it {
                continue;
            }
            for reference in heap.references(frame) {
                if reference.label.kind() == ReferenceKind::Local
                    && heap.text(StringId(reference.label.value())) == names[length]
                {
                    found.push(Place::of(through(heap, reference.target)));
                    used = length + 2;
                }
            }
        }
    }
    (found, used)
}

/// What stands before the `>` that closes a thread-local, and what follows it.
fn split_at_closing(text: &str) -> Result<(&str, &str), PathError> {
    let mut depth = 1;
    for (at, character) in text.char_indices() {
        match character {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((&text[..at], &text[at + 1..]));
        }
    }
    Err(PathError::Syntax {
        rest: format!("<thread-local {text}"),
    })
}

fn parsed(text: &str) -> Result<Vec<Part>, PathError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = part(rest).ok_or_else(|| PathError::Syntax {
            rest: rest.to_owned(),
        })?;
        parts.push(part);
        rest = after;
    }
    Ok(parts)
}

fn part(text: &str) -> Option<(Part, &str)> {
    if let Some(word) = text.strip_prefix(".<") {
        let (word, rest) = word.split_once('>')?;
        return Some((Part::Word(word.to_owned()), rest));
    }
    if let Some(name) = text.strip_prefix('.') {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        return (end > 0).then(|| (Part::Name(name[..end].to_owned()), &name[end..]));
    }
    let inside = text.strip_prefix('[')?;
    if let Some(rest) = inside.strip_prefix("*]") {
        return Some((Part::Any, rest));
    }
    if inside.starts_with(['\'', '"']) {
        let (key, rest) = quoted(inside)?;
        return Some((Part::Text(key), rest.strip_prefix(']')?));
    }
    if let Some(name) = inside.strip_prefix('<') {
        let (name, rest) = name.split_once(">]")?;
        return Some((Part::KeyOfType(name.to_owned()), rest));
    }
    let (number, rest) = inside.split_once(']')?;
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| (Part::Integer(number.to_owned()), rest))
}

/// A text as Python writes it, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut characters = text.char_indices();
    let (_, quote) = characters.next()?;
    let mut key = String::new();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next()?.1 {
                'n' => key.push('\n'),
                'r' => key.push('\r'),
                't' => key.push('\t'),
                'x' => {
                    let digits: String = characters.by_ref().take(2).map(|(_, c)| c).collect();
                    key.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                }
                other => key.push(other),
            },
            character if character == quote => {
                return Some((key, &text[at + character.len_utf8()..]));
            }
            character => key.push(character),
        }
    }
    None
}

impl std::fmt::Display for Part {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(formatter, ".{name}"),
            Self::Word(word) => write!(formatter, ".<{word}>"),
            Self::Integer(number) => write!(formatter, "[{number}]"),
            Self::Text(key) => write!(formatter, "[{}]", crate::access_path::python_text(key)),
            Self::KeyOfType(name) => write!(formatter, "[<{name}>]"),
            Self::Any => formatter.write_str("[*]"),
        }
    }
}
