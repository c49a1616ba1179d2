//! Callers: the lines that make a store in a helper, a registration method or a library happen. That is what a
//! programmer can change when the store itself is not theirs.

use rustc_hash::FxHashSet;

use crate::imports::{Meaning, Receiver};
use crate::inserts::{Verbs, inserts};
use crate::project::{At, FileId, Project};
use crate::python::{Binder, Deed, How, Node, NodeId, ScopeId, ScopeKind, Tree};
use crate::reach::{Place, Root, Sureness, Tracer};
use crate::scopes::owner;
use crate::stores::{self, Found};
use crate::{Binding, Question, Role, ranking, roots};

/// A call that makes a store happen.
pub(crate) struct Caller {
    pub(crate) found: Found,
    /// Called on the holder itself: `photo_stored.connect(…)`.
    pub(crate) of_holder: bool,
    /// Known by the method's name only.
    pub(crate) may_be_other: bool,
}

/// Callers listed, at most.
const MOST: usize = 6;
/// Steps from the store out to the user's code.
const MOST_STEPS: usize = 4;
/// Functions whose callers are looked for, each step.
const MOST_FUNCTIONS: usize = 4;
/// Classes taken for subclasses of one, at most.
const MOST_SUBCLASSES: usize = 32;
/// A method defined in more files than this is told from others by its receiver only.
const DISTINCTIVE_FILES: usize = 2;
/// Method names that mean something else on most objects.
const COMMON: &[&str] = &[
    "append",
    "add",
    "insert",
    "extend",
    "setdefault",
    "update",
    "get",
    "put",
    "set",
    "pop",
    "push",
    "run",
    "call",
    "close",
    "open",
    "read",
    "write",
    "send",
    "save",
    "load",
    "start",
    "stop",
    "register",
    "connect",
    "format",
    "join",
    "split",
    "copy",
    "items",
    "keys",
    "values",
    "__call__",
    "__getitem__",
    "__setitem__",
    "__enter__",
    "__exit__",
    "__get__",
    "__set__",
    "__iter__",
    "__next__",
    "__del__",
];

/// The callers of the stores of the question's binding `innermost`. `outer`: the bindings from there to the holder.
pub(crate) fn find(
    project: &Project<'_>,
    question: &Question<'_>,
    innermost: &Binding,
    outer: &[Binding],
    stores: &[Found],
) -> Vec<Caller> {
    if !outer.is_empty() {
        let on_holder = on_holder(project, question, outer, stores);
        let fits = |caller: &Caller| ranking::fits_held(project, question.held, &caller.found);
        if on_holder.iter().any(fits) {
            return on_holder;
        }
        if !on_holder.is_empty() {
            // Another name may have the holder, too: `loop = asyncio.get_running_loop()`.
            let mut callers = of_helpers(project, question, stores);
            callers.retain(|caller| {
                !caller.may_be_other && project.is_user(caller.found.file) && fits(caller)
            });
            callers.extend(on_holder);
            callers.truncate(MOST);
            return callers;
        }
    }
    // A cached function is called by its callers; that a variable is not reset is nobody else's doing.
    if matches!(
        innermost,
        Binding::Cache { .. } | Binding::UnnamedContextVariables { .. }
    ) {
        return Vec::new();
    }
    of_helpers(project, question, stores)
}

/// Calls on the holder of methods that store.
fn on_holder(
    project: &Project<'_>,
    question: &Question<'_>,
    outer: &[Binding],
    stores: &[Found],
) -> Vec<Caller> {
    let methods = storing_methods(project, stores);
    if methods.is_empty() {
        return Vec::new();
    }
    let (mut places, mut files) = (Vec::new(), Vec::new());
    for binding in outer {
        let (more_places, more_files) = roots::of(project, binding);
        places.extend(more_places);
        files.extend(more_files);
    }
    files.sort_unstable();
    files.dedup();
    let mut tracer = Tracer::new(project, places);
    roots::add_aliases(&mut tracer, &mut files);
    let mut found = inserts(&mut tracer, &files, &Verbs::Methods(&methods));
    found.retain(|call| call.sureness < Sureness::NameOnly);
    let homes: Vec<FileId> = stores.iter().map(|store| store.file).collect();
    ranking::sort_callers(project, question, &homes, &mut found);
    found.truncate(MOST);
    let caller = |found| Caller {
        found,
        of_holder: true,
        may_be_other: false,
    };
    found.into_iter().map(caller).collect()
}

/// Names of the methods that the stores stand in, and of methods that call those on `self`.
fn storing_methods(project: &Project<'_>, stores: &[Found]) -> FxHashSet<String> {
    let mut names = FxHashSet::default();
    let mut classes = Vec::new();
    for store in stores
        .iter()
        .filter(|store| store.sureness < Sureness::NameOnly)
    {
        let Some(tree) = project.tree(store.file) else {
            continue;
        };
        let Some(function) = tree.outermost_function(store.scope) else {
            continue;
        };
        let Some(class) = tree.class_of_method(function) else {
            continue;
        };
        let name = tree.name(tree.scope(function).name);
        if name != "__init__" {
            names.insert(name.to_owned());
            classes.push(At {
                file: store.file,
                scope: class,
            });
        }
    }
    classes.sort_unstable();
    classes.dedup();
    loop {
        let before = names.len();
        for class in &classes {
            let Some(tree) = project.tree(class.file) else {
                continue;
            };
            for act in &tree.acts {
                let Deed::Call(call) = act.deed else { continue };
                let Node::Call { callee, .. } = tree.node(call) else {
                    continue;
                };
                let Node::Attribute { of, name } = tree.node(callee) else {
                    continue;
                };
                if names.contains(tree.name(name))
                    && matches!(project.receiver(class.file, of, act.scope), Receiver::SelfOf(own) if own == *class)
                    && let Some(function) = tree.outermost_function(act.scope)
                    && tree.class_of_method(function) == Some(class.scope)
                {
                    let caller = tree.name(tree.scope(function).name);
                    if caller != "__init__" {
                        names.insert(caller.to_owned());
                    }
                }
            }
        }
        if names.len() == before {
            return names;
        }
    }
}

/// Callers of the functions that the stores stand in, step by step out to the user's code.
fn of_helpers(project: &Project<'_>, question: &Question<'_>, stores: &[Found]) -> Vec<Caller> {
    let mut functions: Vec<At> = Vec::new();
    for store in stores
        .iter()
        .filter(|store| store.sureness < Sureness::NameOnly)
    {
        let worth_it = !project.is_user(store.file) || stores_what_it_is_given(project, store);
        if worth_it && let Some(function) = helper(project, store) {
            functions.push(function);
        }
    }
    let in_library = functions
        .iter()
        .all(|function| !project.is_user(function.file));
    let mut callers: Vec<Caller> = Vec::new();
    let mut seen: FxHashSet<At> = FxHashSet::default();
    for step in 0..if in_library { MOST_STEPS } else { 1 } {
        functions.retain(|function| seen.insert(*function));
        let mut step_calls = Vec::new();
        for &function in functions.iter().take(MOST_FUNCTIONS) {
            step_calls.extend(calls_of(project, function));
        }
        // Further out, a mere name is too little.
        step_calls.retain(|call| {
            step == 0 || call.sureness < Sureness::NameOnly || project.is_user(call.file)
        });
        let homes: Vec<FileId> = functions.iter().map(|function| function.file).collect();
        ranking::sort_callers(project, question, &homes, &mut step_calls);
        let fits = |call: &Found| ranking::fits_held(project, question.held, call);
        if step == 0 && step_calls.iter().any(fits) {
            step_calls.retain(|call| project.is_user(call.file) || fits(call));
        }
        functions = step_calls
            .iter()
            .filter_map(|call| helper(project, call))
            .collect();
        let reached = step_calls.iter().any(|call| project.is_user(call.file));
        // Of library code in between a few lines do.
        step_calls.truncate(if reached { MOST - 1 } else { MOST / 2 });
        callers.extend(step_calls.into_iter().map(|found| {
            let may_be_other = found.sureness == Sureness::NameOnly;
            Caller {
                found,
                of_holder: false,
                may_be_other,
            }
        }));
        if reached || functions.is_empty() {
            break;
        }
    }
    callers.sort_by_key(|caller| !project.is_user(caller.found.file));
    callers.truncate(MOST);
    callers
}

/// The function whose callers make a store happen: the outermost one around it, in its class.
fn helper(project: &Project<'_>, store: &Found) -> Option<At> {
    let scope = project.tree(store.file)?.outermost_function(store.scope)?;
    Some(At {
        file: store.file,
        scope,
    })
}

/// Whether what is stored is, or comes from, a parameter of a function around the store.
fn stores_what_it_is_given(project: &Project<'_>, store: &Found) -> bool {
    let Some(tree) = project.tree(store.file) else {
        return false;
    };
    store
        .values
        .iter()
        .any(|&value| is_given(tree, value, store.scope, 3))
}

fn is_given(tree: &Tree, value: NodeId, scope: ScopeId, steps: u32) -> bool {
    let Some(steps) = steps.checked_sub(1) else {
        return false;
    };
    match tree.node(value) {
        Node::Name(name) => {
            let Some((owner, binders)) = owner(tree, scope, name) else {
                return false;
            };
            binders.iter().take(4).any(|binder| match *binder {
                Binder::Parameter(0) if tree.class_of_method(owner).is_some() => {
                    tree.is_decorated(owner, "staticmethod")
                        || matches!(
                            tree.name(tree.scope(owner).name),
                            "__init__" | "__new__" | "__post_init__"
                        )
                }
                Binder::Parameter(_) => true,
                Binder::Act(index) => match tree.act(index).map(|act| (act.deed, act.scope)) {
                    Some((
                        Deed::Bind {
                            value: Some(value),
                            how: How::Assign | How::Annotated,
                            ..
                        },
                        scope,
                    )) => is_given(tree, value, scope, steps),
                    _ => false,
                },
                Binder::Definition(_) | Binder::Import(_) => false,
            })
        }
        Node::Choice(kids) | Node::Display(kids) => tree
            .kids(kids)
            .iter()
            .any(|&kid| is_given(tree, kid, scope, steps)),
        _ => false,
    }
}

/// Calls of a function or method; for what runs when an instance is made, calls of its class and subclasses.
fn calls_of(project: &Project<'_>, function: At) -> Vec<Found> {
    let Some(tree) = project.tree(function.file) else {
        return Vec::new();
    };
    let name = tree.name(tree.scope(function.scope).name);
    let class = tree.class_of_method(function.scope).map(|scope| At {
        file: function.file,
        scope,
    });
    let mut found = match (class, name) {
        (Some(class), "__init__" | "__new__" | "__post_init__") => constructions(project, class),
        _ => {
            let mut files = roots::callers_of(project, function);
            let mut tracer = Tracer::new(
                project,
                vec![Root {
                    place: Place::Function(function),
                    depth: 0,
                    copied: false,
                }],
            );
            roots::add_aliases(&mut tracer, &mut files);
            let mut found = stores::calls(&tracer, &files, Role::Caller);
            if class.is_none() || !is_distinctive(project, name) {
                found.retain(|call| call.sureness < Sureness::NameOnly);
            }
            found
        }
    };
    found.retain(|call| {
        let Some(tree) = project.tree(call.file) else {
            return false;
        };
        let inside = std::iter::successors(Some(call.scope), |&at| tree.scope(at).parent);
        call.file != function.file || !inside.into_iter().any(|scope| scope == function.scope)
    });
    found
}

/// Whether few files define something of that name.
fn is_distinctive(project: &Project<'_>, name: &str) -> bool {
    !COMMON.contains(&name)
        && project.mentioning(&format!("def {name}(")).len() <= DISTINCTIVE_FILES
}

/// Calls that make an instance of the class, or of a subclass.
fn constructions(project: &Project<'_>, class: At) -> Vec<Found> {
    let mut family = vec![class];
    let mut files: Vec<FileId> = Vec::new();
    let mut next = 0;
    while let Some(&one) = family.get(next) {
        next += 1;
        let Some(tree) = project.tree(one.file) else {
            continue;
        };
        let users = roots::class_users(project, one, tree.name(tree.scope(one.scope).name));
        for &file in &users {
            let Some(tree) = project.tree(file) else {
                continue;
            };
            for (scope, _) in tree
                .scopes()
                .filter(|(_, scope)| scope.kind == ScopeKind::Class && !scope.bases.is_empty())
            {
                let at = At { file, scope };
                if family.len() < MOST_SUBCLASSES
                    && !family.contains(&at)
                    && project.bases(at).contains(&one)
                {
                    family.push(at);
                }
            }
        }
        files.extend(users);
    }
    files.sort_unstable();
    files.dedup();
    let names: FxHashSet<&str> = family
        .iter()
        .filter_map(|at| {
            project
                .tree(at.file)
                .map(|tree| tree.name(tree.scope(at.scope).name))
        })
        .collect();
    let mut found = Vec::new();
    for file in files {
        let Some(tree) = project.tree(file) else {
            continue;
        };
        for act in &tree.acts {
            let Deed::Call(call) = act.deed else { continue };
            let Node::Call { callee, arguments } = tree.node(call) else {
                continue;
            };
            let in_family = |at: &At| family.iter().position(|one| one == at);
            let position = match tree.node(callee) {
                Node::Name(name) | Node::Attribute { name, .. }
                    if names.contains(tree.name(name)) || is_renamed(tree, act.scope, callee) =>
                {
                    match project.meaning(file, callee, act.scope) {
                        Some(Meaning::Class(at)) => in_family(&at),
                        _ => None,
                    }
                }
                Node::Name(_) if tree.last_name(callee) == Some("cls") => {
                    match project.receiver(file, callee, act.scope) {
                        Receiver::ClassItself(at) => in_family(&at),
                        _ => None,
                    }
                }
                _ => None,
            };
            let Some(position) = position else { continue };
            let sureness = if position == 0 {
                Sureness::Resolved
            } else {
                Sureness::Base
            };
            let values = tree
                .arguments(arguments)
                .iter()
                .map(|argument| argument.value)
                .collect();
            let (scope, span, kind) = (act.scope, act.span, stores::Kind::Insert);
            found.push(Found {
                file,
                scope,
                span,
                role: Role::Caller,
                kind,
                sureness,
                depth: 0,
                run: act.run,
                values,
                decorated: None,
                under_other_key: false,
            });
        }
    }
    found
}

/// Whether a name is imported under another one.
fn is_renamed(tree: &Tree, scope: ScopeId, callee: NodeId) -> bool {
    let Node::Name(name) = tree.node(callee) else {
        return false;
    };
    let Some((_, binders)) = owner(tree, scope, name) else {
        return false;
    };
    binders.iter().any(|binder| match *binder {
        Binder::Import(index) => tree
            .imports
            .get(index as usize)
            .is_some_and(|import| import.name.as_deref() != Some(tree.name(name))),
        _ => false,
    })
}
