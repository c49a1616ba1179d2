//! Store sites: the statements and expressions that put something into what a binding holds, or bind it anew.

use crate::inserts::{Verbs, inserts};
use crate::project::FileId;
use crate::python::{Act, Deed, How, Node, NodeId, Run, ScopeId, ScopeKind, Tree};
use crate::reach::{Reach, Sureness, Tracer};
use crate::text::Span;
use crate::{Growth, Question, Role};

/// The classes of containers, by name: builtin ones and those of `collections`.
pub(crate) const CONTAINERS: &[&str] = &[
    "dict",
    "list",
    "set",
    "deque",
    "OrderedDict",
    "defaultdict",
    "Counter",
    "UserDict",
    "UserList",
];

/// What a store does; what grows most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// `append`, `add` …
    Insert,
    /// `x[k] = …`.
    SetItem,
    /// `update`, `+=` …
    Update,
    /// `x = …`.
    Assign,
}

/// A place found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) file: FileId,
    pub(crate) scope: ScopeId,
    pub(crate) span: Span,
    pub(crate) role: Role,
    pub(crate) kind: Kind,
    pub(crate) sureness: Sureness,
    /// Containers between the binding and what is stored into: 0 for the bound object itself.
    pub(crate) depth: u32,
    /// How often it runs.
    pub(crate) run: Run,
    /// What is stored.
    pub(crate) values: Vec<NodeId>,
    /// The function or class that a decorator stores.
    pub(crate) decorated: Option<ScopeId>,
    /// It stores under a key that is another one than the question's.
    pub(crate) under_other_key: bool,
}

/// What the act decorates.
pub(crate) fn decorated(act: &Act) -> Option<ScopeId> {
    match act.deed {
        Deed::Decorate { of, .. } => Some(of),
        _ => None,
    }
}

/// All places in `files` that give the binding itself a value. `None` is no value.
pub(crate) fn assignments(tracer: &Tracer<'_, '_>, files: &[FileId]) -> Vec<Found> {
    let mut found = Vec::new();
    for &file in files {
        let Some(tree) = tracer.project.tree(file) else {
            continue;
        };
        for act in &tree.acts {
            let (sureness, value) = match act.deed {
                Deed::Bind {
                    target,
                    value: Some(value),
                    how,
                } if how != How::Delete => (tracer.is_binding(file, target, act.scope), value),
                Deed::Call(call) => match set_attribute(tree, call) {
                    Some((of, name, value)) => {
                        let reach = tracer
                            .named_attribute(file, of, name, act.scope)
                            .filter(|reach| reach.depth == 0);
                        (reach.map(|reach| reach.sureness), value)
                    }
                    None => continue,
                },
                _ => continue,
            };
            if let Some(sureness) = sureness
                && tree.node(value) != Node::None
            {
                let (scope, span) = (act.scope, act.span);
                found.push(Found {
                    file,
                    scope,
                    span,
                    role: Role::Store,
                    kind: Kind::Assign,
                    sureness,
                    depth: 0,
                    run: act.run,
                    values: vec![value],
                    decorated: None,
                    under_other_key: false,
                });
            }
        }
    }
    found
}

/// The parts of `setattr(of, "name", value)`.
fn set_attribute(tree: &Tree, call: NodeId) -> Option<(NodeId, &str, NodeId)> {
    let Node::Call { callee, arguments } = tree.node(call) else {
        return None;
    };
    let (Some("setattr" | "__setattr__"), [.., of, name, value]) =
        (tree.last_name(callee), tree.arguments(arguments))
    else {
        return None;
    };
    let Node::Text(name) = tree.node(name.value) else {
        return None;
    };
    Some((of.value, tree.name(name), value.value))
}

/// All places in `files` that raise what the roots hold.
pub(crate) fn raises(tracer: &Tracer<'_, '_>, files: &[FileId]) -> Vec<Found> {
    let mut found = Vec::new();
    for &file in files {
        let Some(tree) = tracer.project.tree(file) else {
            continue;
        };
        for act in &tree.acts {
            let (what, role) = match act.deed {
                Deed::Raise(what) => (with_traceback(tree, what), Role::Raise),
                Deed::Call(call) => match (tree.node(call), tree.last_name(call)) {
                    (Node::Call { arguments, .. }, Some("set_exception" | "throw")) => {
                        match tree.arguments(arguments) {
                            [.., last] => (last.value, Role::Call),
                            [] => continue,
                        }
                    }
                    _ => continue,
                },
                _ => continue,
            };
            if let Some(Reach {
                depth, sureness, ..
            }) = tracer.reach(file, what, act.scope)
            {
                let (scope, span) = (act.scope, act.span);
                found.push(Found {
                    file,
                    scope,
                    span,
                    role,
                    kind: Kind::Insert,
                    sureness,
                    depth,
                    run: act.run,
                    values: vec![what],
                    decorated: None,
                    under_other_key: false,
                });
            }
        }
    }
    found
}

/// `error` of `error.with_traceback(…)`.
fn with_traceback(tree: &Tree, what: NodeId) -> NodeId {
    if let Node::Call { callee, .. } = tree.node(what)
        && let Node::Attribute { of, name } = tree.node(callee)
        && tree.name(name) == "with_traceback"
    {
        return of;
    }
    what
}

/// All calls in `files` of the functions among the roots, and their uses as decorators.
pub(crate) fn calls(tracer: &Tracer<'_, '_>, files: &[FileId], role: Role) -> Vec<Found> {
    let mut found = Vec::new();
    for &file in files {
        let Some(tree) = tracer.project.tree(file) else {
            continue;
        };
        for act in &tree.acts {
            let (callee, values) = match act.deed {
                Deed::Call(call) => {
                    let Node::Call { callee, arguments } = tree.node(call) else {
                        continue;
                    };
                    (
                        callee,
                        tree.arguments(arguments)
                            .iter()
                            .map(|argument| argument.value)
                            .collect(),
                    )
                }
                Deed::Decorate { decorator, .. } => match tree.node(decorator) {
                    Node::Call { callee, .. } => (callee, Vec::new()),
                    _ => (decorator, Vec::new()),
                },
                _ => continue,
            };
            if let Some(Reach {
                depth, sureness, ..
            }) = tracer.reach(file, callee, act.scope)
            {
                found.push(Found {
                    file,
                    scope: act.scope,
                    span: act.span,
                    role,
                    kind: Kind::Insert,
                    sureness,
                    depth,
                    run: act.run,
                    values,
                    decorated: decorated(act),
                    under_other_key: false,
                });
            }
        }
    }
    found
}

/// All places in `files` that read an item of what the roots hold: where it makes the ones that are not there.
fn reads(tracer: &Tracer<'_, '_>, files: &[FileId]) -> Vec<Found> {
    let mut found = Vec::new();
    for &file in files {
        let Some(tree) = tracer.project.tree(file) else {
            continue;
        };
        for act in &tree.acts {
            let Deed::Item(item) = act.deed else { continue };
            let Node::Subscript { of, key } = tree.node(item) else {
                continue;
            };
            if let Some(reach) = tracer.reach(file, of, act.scope) {
                found.push(Found {
                    file,
                    scope: act.scope,
                    span: act.span,
                    role: Role::Store,
                    kind: Kind::SetItem,
                    sureness: reach.sureness,
                    depth: reach.depth,
                    run: act.run,
                    values: vec![key],
                    decorated: None,
                    under_other_key: tracer.under(reach, tree, key).under_other_key,
                });
            }
        }
    }
    found
}

/// All places in `files` that put another object in the place of the binding's, which can have grown.
pub(crate) fn remakings(tracer: &Tracer<'_, '_>, files: &[FileId]) -> Vec<Found> {
    let mut found = assignments(tracer, files);
    found.retain(|store| gives_what_grows(tracer, store));
    found
}

/// Whether an assignment can give its target a container that has grown: an empty one has not, nor has one that is made once, or once
/// for each instance.
fn gives_what_grows(tracer: &Tracer<'_, '_>, store: &Found) -> bool {
    let Some(tree) = tracer.project.tree(store.file) else {
        return false;
    };
    let function = tree.enclosing(store.scope, ScopeKind::Function);
    let makes_instances = function.is_some_and(|function| {
        tree.class_of_method(function).is_some()
            && INITIALIZERS.contains(&tree.name(tree.scope(function).name))
    });
    let runs_again = function.is_some() && !makes_instances || store.run.repeats;
    runs_again && !store.values.iter().all(|&value| is_as_made(tree, value))
}

/// `[]`, `{"begin": [], "end": []}`, `deque()`: nothing was put there yet.
fn is_as_made(tree: &Tree, value: NodeId) -> bool {
    match tree.node(value) {
        Node::Display(parts) => tree.kids(parts).iter().all(|&part| is_as_made(tree, part)),
        Node::Call { arguments, .. } => tree.arguments(arguments).is_empty(),
        Node::None | Node::Constant | Node::Text(_) => true,
        _ => false,
    }
}

/// Methods that run once for each instance.
const INITIALIZERS: &[&str] = &["__init__", "__new__", "__post_init__"];

/// What a question's growth asks for, besides the inserts.
pub(crate) fn find(
    tracer: &mut Tracer<'_, '_>,
    files: &[FileId],
    question: &Question<'_>,
) -> Vec<Found> {
    match question.growth {
        Growth::Items { .. } => {
            let mut found = inserts(tracer, files, &Verbs::Container);
            if found.is_empty() && question.makes_what_is_read {
                found = reads(tracer, files);
            }
            if found.is_empty() {
                remakings(tracer, files)
            } else {
                found
            }
        }
        Growth::Set => inserts(tracer, files, &Verbs::Container),
        Growth::Bound => assignments(tracer, files),
        Growth::Raised => {
            let mut found = raises(tracer, files);
            found.extend(assignments(tracer, files));
            found
        }
    }
}
