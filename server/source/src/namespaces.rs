//! All the names of a module, a class or an object as one container: `globals()`, `vars(x)`, `x.__dict__`, and `setattr(x, name, …)`
//! where the name is computed.

use crate::imports::Meaning;
use crate::project::{FileId, Project};
use crate::python::{Argument, Node, NodeId, ScopeId, Tree};
use crate::roots;

/// What the binding of all names is called.
pub(crate) const ALL_NAMES: &str = "__dict__";

/// What is written to get at them.
const WAYS: &[&str] = &["setattr(", "__setattr__(", "vars(", "globals(", ".__dict__"];

/// A namespace, as a call gives it.
pub(crate) enum Given {
    /// That of the module that calls.
    OfModule,
    /// That of an object.
    Of(NodeId),
}

/// The namespace that a call gives.
pub(crate) fn given(tree: &Tree, callee: NodeId, arguments: &[Argument]) -> Option<Given> {
    let Node::Name(name) = tree.node(callee) else {
        return None;
    };
    match (tree.name(name), arguments) {
        ("globals", []) => Some(Given::OfModule),
        ("vars", [of]) => Some(Given::Of(of.value)),
        _ => None,
    }
}

/// The object whose attribute a call sets, and the value, where the attribute's name is computed: `setattr(x, name, value)`.
pub(crate) fn set(tree: &Tree, callee: NodeId, arguments: &[Argument]) -> Option<(NodeId, NodeId)> {
    let (of, name, value) = match (tree.node(callee), tree.last_name(callee)?, arguments) {
        (_, "setattr", [of, name, value]) => (of.value, name, value),
        // `object.__setattr__(x, name, value)`, `super().__setattr__(name, value)`.
        (Node::Attribute { .. }, "__setattr__", [of, name, value]) => (of.value, name, value),
        (Node::Attribute { of, .. }, "__setattr__", [name, value]) => (of, name, value),
        _ => return None,
    };
    (!matches!(tree.node(name.value), Node::Text(_))).then_some((of, value.value))
}

/// Whether an expression is the module of a file.
pub(crate) fn is_module(
    project: &Project<'_>,
    (file, node, scope): (FileId, NodeId, ScopeId),
    module: FileId,
) -> bool {
    if let Some(Meaning::Module(name)) = project.meaning(file, node, scope) {
        return project.module(&name) == Some(module);
    }
    // `sys.modules[__name__]`.
    project.tree(file).is_some_and(|tree| {
        let Node::Subscript { of, key } = tree.node(node) else {
            return false;
        };
        file == module
            && tree.last_name(of) == Some("modules")
            && matches!(tree.node(key), Node::Name(name) if tree.name(name) == "__name__")
    })
}

/// The files that may get at all names of what is made in `homes`.
pub(crate) fn users(project: &Project<'_>, homes: &[FileId]) -> Vec<FileId> {
    let mut files: Vec<FileId> = WAYS
        .iter()
        .flat_map(|way| project.mentioning(way))
        .collect();
    files.sort_unstable();
    files.dedup();
    files.retain(|&file| {
        let home = |&home: &FileId| roots::top(project, home) == roots::top(project, file);
        project.is_user(file) || homes.iter().any(home)
    });
    files
}
