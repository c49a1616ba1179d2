//! Containers that lie under a key of an object which keeps its attributes, or its entries, in a dictionary of its own: `app.state.seen`,
//! `app["sockets"]`. What stores into that dictionary is the object's own code, which runs once for each key; what makes the container
//! grow names the key.

use crate::inserts::{Verbs, inserts};
use crate::project::{At, FileId, Project};
use crate::python::{Node, NodeId, ScopeId, ScopeKind};
use crate::reach::{GIVES_ITEM, Place, Root, Sureness, Tracer};
use crate::stores::Found;
use crate::text::Span;
use crate::{Binding, roots};

/// Shorter keys are names of too much else.
const LEAST_KEY_LENGTH: usize = 3;

/// Searches for a container under the key, if the binding is a dictionary in which its owner has attributes or entries.
pub(crate) fn tracer<'s, 'a>(
    project: &'s Project<'a>,
    binding: &Binding,
    key: &str,
) -> Option<(Tracer<'s, 'a>, Vec<FileId>)> {
    let Binding::Attribute {
        classes,
        on_class: false,
        ..
    } = binding
    else {
        return None;
    };
    let classes = roots::classes(project, classes);
    let owner = *classes.first()?;
    let gives = project.hands_attributes_on(owner) || gives_items(project, owner);
    if !gives || key.len() < LEAST_KEY_LENGTH {
        return None;
    }
    let ways = [format!(".{key}"), format!("\"{key}\""), format!("'{key}'")];
    let mut files: Vec<FileId> = ways
        .iter()
        .flat_map(|written| project.mentioning(written))
        .filter(|&file| roots::near(project, owner.file, file))
        .collect();
    files.sort_unstable();
    files.dedup();
    let root = Root {
        place: Place::Keyed {
            classes,
            key: key.to_owned(),
        },
        depth: 1,
        copied: false,
    };
    Some((Tracer::new(project, vec![root]), files))
}

/// What stores into the container.
pub(crate) fn stores(tracer: &mut Tracer<'_, '_>, files: &[FileId]) -> Vec<Found> {
    inserts(tracer, files, &Verbs::Container)
}

/// Where the container is put under its key: in the user's code first, and where it runs once.
pub(crate) fn definition(tracer: &Tracer<'_, '_>, files: &[FileId]) -> Option<(FileId, Span)> {
    let mut found = Vec::new();
    for &file in files {
        let Some(tree) = tracer.project.tree(file) else {
            continue;
        };
        for act in &tree.acts {
            let Some((target, _)) = act.assigned() else {
                continue;
            };
            if is_entry(tracer, file, target, act.scope) {
                let in_function = tree.enclosing(act.scope, ScopeKind::Function).is_some();
                let is_user = tracer.project.is_user(file);
                found.push((!is_user, in_function, file, act.span));
            }
        }
    }
    found
        .into_iter()
        .min()
        .map(|(_, _, file, span)| (file, span))
}

/// Whether the target of an assignment is the entry itself, and not something in it.
fn is_entry(tracer: &Tracer<'_, '_>, file: FileId, target: NodeId, scope: ScopeId) -> bool {
    let Some(tree) = tracer.project.tree(file) else {
        return false;
    };
    let names_it = match tree.node(target) {
        Node::Attribute { .. } => true,
        Node::Subscript { key, .. } => matches!(tree.node(key), Node::Text(_)),
        _ => false,
    };
    names_it
        && tracer
            .reach(file, target, scope)
            .is_some_and(|reach| reach.depth == 1)
}

/// How surely `of` is the object that has the entries, for an attribute of it or (`by_item`) an item.
pub(crate) fn sureness(
    tracer: &Tracer<'_, '_>,
    (file, of, scope): (FileId, NodeId, ScopeId),
    classes: &[At],
    by_item: bool,
) -> Option<Sureness> {
    let owner = *classes.first()?;
    let gives = if by_item {
        gives_items(tracer.project, owner)
    } else {
        tracer.project.hands_attributes_on(owner)
    };
    if !gives {
        return None;
    }
    tracer.receiver_sureness(file, of, scope, classes, false)
}

fn gives_items(project: &Project<'_>, class: At) -> bool {
    project.defines_one_of(class, &[GIVES_ITEM])
}
