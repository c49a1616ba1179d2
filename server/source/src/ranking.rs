//! Which store site is most likely the one: fit to what is held, sureness, and how much a store of its kind grows.

use std::cmp::Reverse;

use crate::project::{At, FileId, Project};
use crate::python::{Binder, Deed, Node, NodeId, ScopeId, ScopeKind, Tree};
use crate::reach::Sureness;
use crate::scopes::{self, owner};
use crate::stores::{CONTAINERS, Found, Kind};
use crate::{Binding, Growth, Question, Role, roots};

/// Of the values of one variable so many are looked at for each store: a function may give it thousands.
const MOST_BINDERS: usize = 64;
/// Stores known by an attribute's name alone that are listed: beside sure ones, and alone.
const NAME_ONLY_BESIDE: usize = 6;
const NAME_ONLY_ALONE: usize = 20;

/// The stores, best first, each once.
pub(crate) fn stores(
    project: &Project<'_>,
    question: &Question<'_>,
    found: Vec<Found>,
) -> Vec<Found> {
    let mut found = outermost(found);
    let depth = match question.growth {
        Growth::Items { depth } => depth.max(1) - 1,
        Growth::Bound | Growth::Set | Growth::Raised => 0,
    };
    if matches!(question.growth, Growth::Bound | Growth::Raised) {
        drop_definitions(project, &mut found);
    }
    // `wrapper.cache = cache`, in each branch for another `wrapper`: the one that is asked about stores itself.
    let holder = match question.bindings.first() {
        Some(Binding::FunctionAttribute {
            function, wrapper, ..
        }) => scopes::function(project, wrapper.as_ref().unwrap_or(function)),
        _ => None,
    };
    let holds_containers = question
        .held
        .first()
        .is_some_and(|held| CONTAINERS.contains(&held.as_str()));
    let is_of_another = |store: &Found| {
        let is_within = |holder: At| {
            let tree = project
                .tree(store.file)
                .filter(|_| store.file == holder.file)?;
            let mut around = std::iter::successors(Some(store.scope), |&at| tree.scope(at).parent);
            Some(around.any(|scope| scope == holder.scope))
        };
        holder.is_some_and(|holder| is_within(holder) != Some(true))
    };
    found.sort_by_cached_key(|store| {
        let fits = fits_held(project, question.held, store);
        let once = runs_once(project, store);
        let known_by_name = store.sureness == Sureness::NameOnly;
        let not_raised = question.growth == Growth::Raised && store.role == Role::Store;
        let misses_depth = !reaches_depth(project, store, depth);
        let into_what_is_held = goes_too_deep(question, store);
        // Of containers, whatever is in them, those are stores that make more of them.
        let misses_containers = misses_depth && holds_containers;
        // Of stores in one function, the one under fewer conditions runs more often.
        let function = project
            .tree(store.file)
            .and_then(|tree| tree.enclosing(store.scope, ScopeKind::Function));
        let place = (
            !project.is_user(store.file),
            store.file,
            function,
            store.run.conditions,
            store.span,
        );
        (
            not_raised,
            into_what_is_held,
            known_by_name,
            once,
            misses_containers,
            Reverse(fits),
            misses_depth,
            is_of_another(store),
            store.sureness,
            store.kind,
            place,
        )
    });
    let sure = found
        .iter()
        .filter(|store| store.sureness < Sureness::NameOnly)
        .count();
    found.truncate(
        sure + if sure > 0 {
            NAME_ONLY_BESIDE
        } else {
            NAME_ONLY_ALONE
        },
    );
    found
}

/// Of stores that lie within each other (`x.setdefault(k, []).append(v)`) the outer ones.
fn outermost(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|store| {
        (
            store.file,
            store.span.start,
            Reverse(store.span.end),
            store.sureness,
        )
    });
    let mut kept: Vec<Found> = Vec::new();
    for store in found {
        let inner = kept.last().is_some_and(|last| {
            last.file == store.file && (last.span == store.span || last.span.surrounds(store.span))
        });
        if !inner {
            kept.push(store);
        }
    }
    kept
}

/// A binding that is assigned in functions is not kept alive by the assignment at import that defines it.
fn drop_definitions(project: &Project<'_>, found: &mut Vec<Found>) {
    let defines = |store: &Found| {
        let Some(tree) = project.tree(store.file) else {
            return false;
        };
        match tree.scope(store.scope).kind {
            ScopeKind::Module | ScopeKind::Class => true,
            ScopeKind::Function | ScopeKind::Comprehension => {
                store.values.iter().all(|&value| is_empty(tree, value))
            }
        }
    };
    if found.iter().any(|store| !defines(store)) {
        found.retain(|store| !defines(store));
    }
}

/// `[]`, `{}`, a number, a string.
fn is_empty(tree: &Tree, value: NodeId) -> bool {
    match tree.node(value) {
        Node::Display(kids) => tree.kids(kids).is_empty(),
        Node::None | Node::Constant | Node::Text(_) => true,
        _ => false,
    }
}

/// Functions of these names, or that begin so, run once in a program's life.
const SETUP_NAMES: &[&str] = &[
    "setup",
    "ready",
    "install",
    "configure",
    "init_app",
    "main",
    "bootstrap",
    "autodiscover",
];

/// Whether the function around a call most likely runs once.
fn sets_up(project: &Project<'_>, call: &Found) -> bool {
    let Some(tree) = project.tree(call.file) else {
        return false;
    };
    tree.outermost_function(call.scope).is_some_and(|function| {
        let name = tree.name(tree.scope(function).name).trim_start_matches('_');
        SETUP_NAMES.iter().any(|setup| name.starts_with(setup))
    })
}

/// Statements of a module, and of a class in it, run once, unless they stand in a loop.
pub(crate) fn runs_once(project: &Project<'_>, store: &Found) -> bool {
    let at_import = project
        .tree(store.file)
        .is_some_and(|tree| tree.enclosing(store.scope, ScopeKind::Function).is_none());
    at_import && !store.run.repeats
}

/// Whether a call passes on something that differs from call to call: what only names constants stores the same again.
fn varies(project: &Project<'_>, call: &Found) -> bool {
    let Some(tree) = project.tree(call.file) else {
        return false;
    };
    let in_function = |scope: ScopeId| tree.enclosing(scope, ScopeKind::Function).is_some();
    let local = |value: &NodeId| {
        tree.within(*value)
            .into_iter()
            .any(|part| match tree.node(part) {
                Node::Name(name) => {
                    owner(tree, call.scope, name).is_some_and(|(scope, _)| in_function(scope))
                }
                Node::Call { .. } | Node::Lambda(_) => true,
                _ => false,
            })
    };
    in_function(call.scope) && (call.decorated.is_some() || call.values.iter().any(local))
}

/// Whether what is stored lands as deep below the binding as the question asks for.
pub(crate) fn is_deep_enough(
    project: &Project<'_>,
    question: &Question<'_>,
    store: &Found,
) -> bool {
    match question.growth {
        Growth::Items { depth } => reaches_depth(project, store, depth.max(1) - 1),
        Growth::Bound | Growth::Set | Growth::Raised => true,
    }
}

/// Whether it is stored into what is held, or into something in it: that does not make more of what is held.
pub(crate) fn goes_too_deep(question: &Question<'_>, store: &Found) -> bool {
    match question.growth {
        Growth::Items { depth } => store.depth > depth.max(1) - 1,
        Growth::Bound | Growth::Set | Growth::Raised => false,
    }
}

/// Whether what is stored lands `depth` containers below the binding: a display that is stored counts as one more.
fn reaches_depth(project: &Project<'_>, store: &Found, depth: u32) -> bool {
    if store.depth == depth {
        return true;
    }
    let Some(tree) = project.tree(store.file) else {
        return false;
    };
    let full_display = store.values.first().is_some_and(|&value| {
        matches!(tree.node(value), Node::Display(_)) && !is_empty(tree, value)
    });
    store.depth + 1 == depth && full_display
}

/// Whether what is stored has one of the names of what is held.
pub(crate) fn fits_held(project: &Project<'_>, held: &[String], store: &Found) -> bool {
    project
        .tree(store.file)
        .is_some_and(|tree| fits(tree, store, held))
}

fn fits(tree: &Tree, store: &Found, held: &[String]) -> bool {
    let named = |name: &str| held.iter().any(|held| held == name);
    let mentions = |value: NodeId| {
        tree.within(value)
            .into_iter()
            .any(|part| match tree.node(part) {
                Node::Attribute { name, .. } => named(tree.name(name)),
                Node::Lambda(_) => named("<lambda>") || named("function"),
                Node::Name(name) => {
                    named(tree.name(name))
                        || owner(tree, store.scope, name).is_some_and(|(scope, binders)| {
                            binders
                                .iter()
                                .take(MOST_BINDERS)
                                .any(|binder| gives(tree, scope, *binder, &named))
                        })
                }
                _ => false,
            })
    };
    let decorated = store
        .decorated
        .is_some_and(|scope| named(tree.name(tree.scope(scope).name)));
    decorated || store.values.iter().any(|&value| mentions(value))
}

/// Whether a binder gives its name something with one of the names.
fn gives(tree: &Tree, scope: ScopeId, binder: Binder, named: &dyn Fn(&str) -> bool) -> bool {
    match binder {
        Binder::Definition(definition) => named(tree.name(tree.scope(definition).name)),
        Binder::Import(_) => false,
        Binder::Act(index) => match tree.act(index).map(|act| act.deed) {
            Some(Deed::Bind {
                value: Some(value), ..
            }) => match tree.node(value) {
                Node::Call { .. } => tree.last_name(value).is_some_and(named),
                Node::Lambda(_) => named("<lambda>"),
                _ => false,
            },
            _ => false,
        },
        Binder::Parameter(0) if tree.class_of_method(scope).is_some() => tree
            .class_of_method(scope)
            .is_some_and(|class| named(tree.name(tree.scope(class).name))),
        Binder::Parameter(index) => {
            let annotation = tree
                .scope(scope)
                .parameters
                .get(index as usize)
                .and_then(|parameter| parameter.annotation);
            annotation.is_some_and(|annotation| {
                let mut names =
                    tree.within(annotation)
                        .into_iter()
                        .filter_map(|part| match tree.node(part) {
                            Node::Text(text) => Some(tree.name(text)),
                            _ => tree.last_name(part),
                        });
                names.any(named)
            })
        }
    }
}

/// Whether a call passes on the key under which the question's container lies.
fn names_key(project: &Project<'_>, key: Option<&str>, call: &Found) -> bool {
    let Some((key, tree)) = key.zip(project.tree(call.file)) else {
        return false;
    };
    let is_key =
        |value: &NodeId| matches!(tree.node(*value), Node::Text(text) if tree.name(text) == key);
    call.values.iter().any(is_key)
}

/// Stores and their callers in one list. A caller in the user's code comes before stores in libraries.
pub(crate) fn joined(
    project: &Project<'_>,
    stores: Vec<Found>,
    callers: Vec<crate::callers::Caller>,
) -> Vec<Found> {
    let library = stores
        .first()
        .is_some_and(|store| !project.is_user(store.file));
    let ahead = |caller: &crate::callers::Caller| {
        project.is_user(caller.found.file)
            && (library || caller.of_holder)
            && !caller.may_be_other
            && !runs_once(project, &caller.found)
    };
    let (first, last): (Vec<_>, Vec<_>) = callers.into_iter().partition(ahead);
    let first = first.into_iter().map(|caller| caller.found);
    first
        .chain(stores)
        .chain(last.into_iter().map(|caller| caller.found))
        .collect()
}

/// Callers of one step: the user's own first, those that run again and again before those that run once, those from
/// outside before those of the package (of one of `homes`) that offers the function.
pub(crate) fn sort_callers(
    project: &Project<'_>,
    question: &Question<'_>,
    homes: &[FileId],
    found: &mut Vec<Found>,
) {
    *found = outermost(std::mem::take(found));
    found.sort_by_cached_key(|call| {
        let by_name = call.sureness == Sureness::NameOnly;
        let at_import = runs_once(project, call);
        let once = sets_up(project, call);
        let passed = call.kind == Kind::Update;
        let same = !varies(project, call);
        let inside = homes
            .iter()
            .any(|&home| roots::top(project, home) == roots::top(project, call.file));
        (
            by_name,
            at_import,
            !project.is_user(call.file),
            !fits_held(project, question.held, call),
            !names_key(project, question.key, call),
            once,
            same,
            passed,
            inside,
            call.file,
            call.span,
        )
    });
}
