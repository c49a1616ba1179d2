//! Calls into C code that keep what they are given, where no object of Python's has the reference: found by what is held.

use crate::Role;
use crate::imports::Meaning;
use crate::project::{FileId, Project};
use crate::python::{Act, Binder, Deed, Node, NodeId, Run, ScopeId, Tree};
use crate::ranking::fits_held;
use crate::reach::Sureness;
use crate::scopes::owner;
use crate::stores::{Found, Kind, decorated};

/// Functions that keep their arguments in the interpreter's own state: module, function.
const KEEPERS: &[(&str, &str)] = &[
    // Until the program ends, or `atexit.unregister`.
    ("atexit", "register"),
    // Until the program ends: there is no way to take one back.
    ("os", "register_at_fork"),
    // Until another handler is set for the signal.
    ("signal", "signal"),
    // Until the program ends: audit hooks cannot be removed.
    ("sys", "addaudithook"),
    // Until the program ends, or `codecs.unregister`.
    ("codecs", "register"),
    ("codecs", "register_error"),
];

/// The global in which each module keeps the warnings that it gave.
pub(crate) const WARNING_REGISTRY: &str = "__warningregistry__";

/// The warnings that the functions of a module give with a text that is not always the same.
pub(crate) fn warnings(project: &Project<'_>, module: &str) -> Vec<Found> {
    let Some((file, tree)) = project
        .module(module)
        .and_then(|file| Some((file, project.tree(file)?)))
    else {
        return Vec::new();
    };
    let calls = tree.acts.iter().filter_map(|act| {
        let Deed::Call(call) = act.deed else {
            return None;
        };
        let Node::Call { callee, arguments } = tree.node(call) else {
            return None;
        };
        let message = tree.arguments(arguments).first()?.value;
        let is_constant = matches!(tree.node(message), Node::Text(_) | Node::Constant);
        let warns = tree
            .last_name(callee)
            .is_some_and(|name| matches!(name, "warn" | "warn_explicit"))
            && is_of_module(project, file, tree, callee, act.scope, "warnings");
        (warns && !is_constant).then(|| found(file, act, vec![message]))
    });
    let mut calls: Vec<Found> = calls.collect();
    calls.retain(|call| !runs_once(project, call));
    calls
}

fn found(file: FileId, act: &Act, values: Vec<NodeId>) -> Found {
    Found {
        file,
        scope: act.scope,
        span: act.span,
        role: Role::Call,
        kind: Kind::Insert,
        sureness: Sureness::Resolved,
        depth: 0,
        run: act.run,
        values,
        decorated: decorated(act),
        under_other_key: false,
    }
}

/// The calls of keepers that pass on what is held, in the user's code first.
pub(crate) fn calls(project: &Project<'_>, held: &[String]) -> Vec<Found> {
    let mut found_calls = Vec::new();
    for (module, function) in KEEPERS {
        for file in project.mentioning(module) {
            let Some(tree) = project.tree(file) else {
                continue;
            };
            for act in &tree.acts {
                let (callee, values) = match act.deed {
                    Deed::Call(call) => match tree.node(call) {
                        Node::Call { callee, arguments } => {
                            let arguments = tree.arguments(arguments).iter();
                            (callee, arguments.map(|argument| argument.value).collect())
                        }
                        _ => continue,
                    },
                    Deed::Decorate { decorator, .. } => (decorator, Vec::new()),
                    _ => continue,
                };
                if tree.last_name(callee) != Some(function)
                    || !is_of_module(project, file, tree, callee, act.scope, module)
                {
                    continue;
                }
                found_calls.push(found(file, act, values));
            }
        }
    }
    found_calls.retain(|call| fits_held(project, held, call) && !runs_once(project, call));
    found_calls.sort_by_key(|call| (!project.is_user(call.file), call.file, call.span));
    found_calls
}

/// What a module's body calls once does not grow.
fn runs_once(project: &Project<'_>, call: &Found) -> bool {
    let tree = project.tree(call.file);
    let at_import = tree.is_some_and(|tree| tree.outermost_function(call.scope).is_none());
    at_import && call.run == Run::default()
}

/// Whether `callee` is `module.function`, or a name that is imported from the module.
fn is_of_module(
    project: &Project<'_>,
    file: FileId,
    tree: &Tree,
    callee: NodeId,
    scope: ScopeId,
    module: &str,
) -> bool {
    match tree.node(callee) {
        Node::Attribute { of, .. } => {
            project.meaning(file, of, scope) == Some(Meaning::Module(module.to_owned()))
        }
        Node::Name(name) => owner(tree, scope, name).is_some_and(|(_, binders)| {
            binders.iter().any(|binder| match *binder {
                Binder::Import(index) => tree
                    .imports
                    .get(index as usize)
                    .is_some_and(|import| import.module == module),
                _ => false,
            })
        }),
        _ => false,
    }
}
