//! What limits how far a container grows: a bound that its definition gives it, and code that takes entries out again.

use rustc_hash::FxHashSet;

use crate::namespaces::ALL_NAMES;
use crate::project::{FileId, Project};
use crate::python::{Act, Deed, How, Node, NodeId, ScopeKind, Tree};
use crate::reach::{Reach, Sureness, Tracer};
use crate::stores::{self, CONTAINERS};
use crate::text::Span;

/// Parameters that bound what a class or decorator makes.
const BOUNDS: &[&str] = &["maxlen", "maxsize", "max_size", "max_entries", "capacity"];
/// What `functools.lru_cache` has if it is told nothing.
const DEFAULT_OF_LRU_CACHE: &str = "maxsize=128";
/// Methods that take entries out.
const REMOVING: &[&str] = &[
    "pop", "popitem", "popleft", "clear", "remove", "discard", "popright",
];
/// Functions that take entries out of their first argument.
pub(crate) const REMOVING_FUNCTIONS: &[&str] = &["heappop"];
/// Removals told, at most.
const MOST: usize = 4;

/// The bound that a definition gives what it makes: `maxsize=1000`, as it is written.
pub(crate) fn bound(project: &Project<'_>, file: FileId, definition: Span) -> Option<String> {
    let text = project.text(file, definition)?;
    let (_, arguments) = text.split_once('(').unwrap_or((text, ""));
    for name in BOUNDS {
        for (at, _) in arguments.match_indices(name) {
            let before = arguments[..at].chars().next_back();
            let after = arguments[at + name.len()..].trim_start();
            let Some(value) = after.strip_prefix('=') else {
                continue;
            };
            if before.is_none_or(|sign| !sign.is_alphanumeric() && sign != '_') {
                let value = first_argument(value);
                return (!is_no_bound(value)).then(|| format!("{name}={value}"));
            }
        }
    }
    let (_, after) = text.split_once("lru_cache")?;
    let given = after.trim_start().strip_prefix('(').map(first_argument);
    match given {
        None | Some("") => Some(DEFAULT_OF_LRU_CACHE.to_owned()),
        Some(value) if is_no_bound(value) || value.contains('=') => None,
        Some(value) if value.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(format!("maxsize={value}"))
        }
        Some(_) => None,
    }
}

/// Up to the comma or bracket that ends it.
fn first_argument(text: &str) -> &str {
    let mut depth = 0;
    for (at, sign) in text.char_indices() {
        match sign {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' | ',' if depth == 0 => return text[..at].trim(),
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    text.trim()
}

/// No bound is given, or (for queues) none by zero or less.
fn is_no_bound(value: &str) -> bool {
    value == "None" || value == "0" || value.starts_with('-')
}

/// The lines of `files` that take entries out of what the roots hold, so many containers below at most: farther down they are taken out of
/// what is held. `resets`: those that put an empty one in its place.
pub(crate) fn removals(
    tracer: &Tracer<'_, '_>,
    files: &[FileId],
    deepest: u32,
    resets: &[(FileId, Span)],
) -> Vec<(FileId, Span)> {
    let mut found = Vec::new();
    for &file in files {
        let Some(tree) = tracer.project.tree(file) else {
            continue;
        };
        let put_back = put_under_keys(tree);
        for act in &tree.acts {
            if matches!(act.deed, Deed::Call(call) if put_back.contains(&call)) {
                continue;
            }
            let from: Option<NodeId> = match act.deed {
                Deed::Bind {
                    target,
                    how: How::Delete,
                    ..
                } => match tree.node(target) {
                    Node::Subscript { of, .. } => Some(of),
                    _ => None,
                },
                Deed::Bind {
                    target,
                    value: Some(value),
                    how: How::Assign,
                } => match tree.node(target) {
                    Node::Subscript { of, key } if tree.is_cut(key, value) => Some(of),
                    _ => None,
                },
                // `seen -= old`, and not `counts[key] -= 1`.
                Deed::Bind {
                    target,
                    how: How::Reduced,
                    ..
                } if !matches!(tree.node(target), Node::Subscript { .. }) => Some(target),
                Deed::Call(call) => match tree.node(call) {
                    Node::Call { callee, arguments } => match tree.node(callee) {
                        Node::Attribute { of, name } if REMOVING.contains(&tree.name(name)) => {
                            Some(of)
                        }
                        _ => {
                            let is_removing = tree
                                .last_name(callee)
                                .is_some_and(|name| REMOVING_FUNCTIONS.contains(&name));
                            let first = tree.arguments(arguments).first();
                            first.filter(|_| is_removing).map(|first| first.value)
                        }
                    },
                    _ => None,
                },
                _ => None,
            };
            let reach = from
                .and_then(|from| tracer.reach(file, from, act.scope))
                .or_else(|| without_name(tracer, file, tree, act));
            let is_it = |reach: Reach| {
                reach.sureness < Sureness::NameOnly
                    && !reach.under_other_key
                    && reach.depth <= deepest
            };
            if reach.is_some_and(is_it) {
                found.push((file, act.span));
            }
        }
    }
    found.extend(resets);
    found.sort_by_key(|(file, span)| (!tracer.project.is_user(*file), *file, *span));
    found.dedup();
    found.truncate(MOST);
    found
}

/// What is put under a key: a call among it puts back what it takes out, `recent[key] = recent.pop(key)`.
fn put_under_keys(tree: &Tree) -> FxHashSet<NodeId> {
    let assigned = tree.acts.iter().filter_map(Act::assigned);
    let under_keys =
        assigned.filter(|(target, _)| matches!(tree.node(*target), Node::Subscript { .. }));
    under_keys.map(|(_, value)| value).collect()
}

/// What has a name fewer after `delattr(x, name)`, where the name is computed.
fn without_name(tracer: &Tracer<'_, '_>, file: FileId, tree: &Tree, act: &Act) -> Option<Reach> {
    let Deed::Call(call) = act.deed else {
        return None;
    };
    let Node::Call { callee, arguments } = tree.node(call) else {
        return None;
    };
    match (tree.node(callee), tree.arguments(arguments)) {
        (Node::Name(function), [of, name])
            if tree.name(function) == "delattr"
                && !matches!(tree.node(name.value), Node::Text(_)) =>
        {
            tracer.named_attribute(file, of.value, ALL_NAMES, act.scope)
        }
        _ => None,
    }
}

/// The lines of functions that put an empty container in the place of the one that the binding was first given: all that was in it
/// goes. A container that is made when it is first wanted is none of these: before it there was none.
pub(crate) fn resets(tracer: &Tracer<'_, '_>, files: &[FileId]) -> Vec<(FileId, Span)> {
    let (mut first, mut later) = (false, Vec::new());
    for store in stores::assignments(tracer, files) {
        let Some(tree) = tracer.project.tree(store.file) else {
            continue;
        };
        let is_empty = store.values.iter().all(|&value| match tree.node(value) {
            Node::Display(parts) => tree.kids(parts).is_empty(),
            Node::Call { callee, arguments } => {
                let is_class =
                    |name: &str| CONTAINERS.contains(&name) || name.starts_with(char::is_uppercase);
                tree.arguments(arguments).is_empty() && tree.last_name(callee).is_some_and(is_class)
            }
            _ => false,
        });
        if !is_empty || store.sureness >= Sureness::NameOnly {
            continue;
        }
        let function = tree.enclosing(store.scope, ScopeKind::Function);
        match function.map(|function| tree.name(tree.scope(function).name)) {
            None | Some("__init__" | "__new__") => first = true,
            Some(_) => later.push((store.file, store.span)),
        }
    }
    if first { later } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_ends_at_its_comma_or_bracket() {
        assert_eq!(first_argument("1000)"), "1000");
        assert_eq!(first_argument(" max(1, 2), typed=True)"), "max(1, 2)");
        assert_eq!(first_argument(")"), "");
    }
}
