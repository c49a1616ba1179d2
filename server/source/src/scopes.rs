//! Scopes of one file: which scope a name belongs to where it is used, and which scope a qualified name means.

use crate::project::{At, Project};
use crate::python::{Binder, ScopeId, ScopeKind, Sym, Tree};
use crate::{ClassName, FunctionName};

/// The scope that gives `name` its meaning when it is used in `scope`, with what does so. `None`: a built-in, or
/// something a star import brought.
pub(crate) fn owner(tree: &Tree, scope: ScopeId, name: Sym) -> Option<(ScopeId, &[Binder])> {
    let mut at = Some(scope);
    while let Some(here) = at {
        let visible = tree.scope(here).kind != ScopeKind::Class || here == scope;
        let binders = tree.binders(here, name);
        if visible && !binders.is_empty() {
            return Some((here, binders));
        }
        at = tree.scope(here).parent;
    }
    None
}

/// The scope of a class, if its source is there. Of several of that name the last counts: it is the one that stays.
pub(crate) fn class(project: &Project<'_>, class: &ClassName) -> Option<At> {
    let file = project.module(&class.module)?;
    let tree = project.tree(file)?;
    let named = tree
        .scopes()
        .filter(|(_, scope)| scope.kind == ScopeKind::Class && scope.qualname == class.qualname);
    named.last().map(|(scope, _)| At { file, scope })
}

/// The scope of a function, if its source is there: by qualified name and first line, else by what is known.
pub(crate) fn function(project: &Project<'_>, function: &FunctionName) -> Option<At> {
    let file = project.at_path(&function.path)?;
    let tree = project.tree(file)?;
    let last_name = function.qualname.rsplit('.').next().unwrap_or_default();
    let fit = |scope: ScopeId| {
        let def = tree.scope(scope);
        let line_fits = function.line > 0
            && (project.line(file, def.first) == Some(function.line)
                || project.line(file, def.header.start) == Some(function.line));
        let name_fits = tree.name(def.name) == last_name;
        match (def.qualname == function.qualname, line_fits, name_fits) {
            (true, true, _) => 4,
            (false, true, true) => 3,
            (true, false, _) => 2,
            (false, false, true) => 1,
            _ => 0,
        }
    };
    let functions = tree
        .scopes()
        .filter(|(_, scope)| scope.kind == ScopeKind::Function)
        .map(|(scope, _)| scope);
    let best = functions
        .map(|scope| (fit(scope), std::cmp::Reverse(scope)))
        .filter(|(fit, _)| *fit > 0)
        .max()?;
    Some(At {
        file,
        scope: best.1.0,
    })
}

/// The scope that defines a variable which `function` uses: a function around it, or it.
pub(crate) fn variable_owner(
    tree: &Tree,
    function: ScopeId,
    name: Sym,
    free: bool,
) -> Option<ScopeId> {
    let from = if free {
        tree.scope(function).parent?
    } else {
        function
    };
    std::iter::successors(Some(from), |&at| tree.scope(at).parent)
        .filter(|&at| {
            matches!(
                tree.scope(at).kind,
                ScopeKind::Function | ScopeKind::Comprehension
            )
        })
        .find(|&at| !tree.binders(at, name).is_empty())
}
