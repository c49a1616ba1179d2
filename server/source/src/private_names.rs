//! Names that begin with two underscores: in a class the compiler puts the class's name before them, so that a heap has other names for
//! them than the source (https://docs.python.org/3/reference/expressions.html#private-name-mangling).

use crate::Binding;
use crate::project::{At, FileId, Project};
use crate::python::{ScopeId, ScopeKind};

/// The binding as the source writes it: `__items` of the class `Pool`, for `_Pool__items`.
pub(crate) fn as_written(binding: &Binding) -> Binding {
    if let Binding::Attribute {
        classes,
        name,
        on_class,
    } = binding
    {
        for class in classes {
            if let Some(written) = written_in(last_name(&class.qualname), name) {
                return Binding::Attribute {
                    classes: vec![class.clone()],
                    name: written.to_owned(),
                    on_class: *on_class,
                };
            }
        }
    }
    binding.clone()
}

/// What a class of that name writes for the attribute, if it is a private one of its.
fn written_in<'n>(class: &str, name: &'n str) -> Option<&'n str> {
    let class = class.trim_start_matches('_');
    let written = name.strip_prefix('_')?.strip_prefix(class)?;
    (!class.is_empty() && is_private(written)).then_some(written)
}

fn last_name(qualname: &str) -> &str {
    qualname.rsplit('.').next().unwrap_or(qualname)
}

/// Whether the compiler puts a class's name before it.
fn is_private(name: &str) -> bool {
    name.starts_with("__") && !name.ends_with("__")
}

/// Whether the name, used in a scope, is one of that class: a private one is where the class's own text has it, and nowhere else.
pub(crate) fn belongs_to(
    project: &Project<'_>,
    name: &str,
    class: Option<&At>,
    (file, scope): (FileId, ScopeId),
) -> bool {
    if !is_private(name) {
        return true;
    }
    let around = project
        .tree(file)
        .and_then(|tree| tree.enclosing(scope, ScopeKind::Class));
    around.map(|scope| At { file, scope }).as_ref() == class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_classes_are_put_before_private_names() {
        assert_eq!(written_in("Pool", "_Pool__items"), Some("__items"));
        assert_eq!(written_in("_Pool", "_Pool__items"), Some("__items"));
        assert_eq!(written_in("Other", "_Pool__items"), None);
        assert_eq!(written_in("Pool", "_Pool_items"), None);
        assert_eq!(written_in("Pool", "_Pool__items__"), None);
        assert_eq!(written_in("Pool", "__items"), None);
        assert_eq!(written_in("__", "___items"), None);
        assert_eq!(last_name("make.<locals>.Pool"), "Pool");
    }
}
