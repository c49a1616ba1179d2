//! Definition sites: where a binding is created.

use memchr::memmem::Finder;

use crate::imports::{Meaning, Receiver};
use crate::namespaces::ALL_NAMES;
use crate::project::{At, FileId, Project};
use crate::python::{Act, Binder, Deed, How, Node, NodeId, ScopeId, ScopeKind, Sym, Tree};
use crate::reach::{Place, Root, Tracer};
use crate::scopes::{self, owner};
use crate::text::Span;
use crate::{Binding, Growth, roots, stores};

/// Where the binding is created: a statement, the header of a class or function, a parameter, or a decorator. A container that has another
/// name already is created where it was given that: `jobs = scheduler.jobs`.
pub(crate) fn definition(
    project: &Project<'_>,
    binding: &Binding,
    growth: Growth,
) -> Option<(FileId, Span)> {
    let takes_items = matches!(growth, Growth::Items { .. });
    let found = named_here(project, binding, takes_items)?;
    let named_before = || {
        let tree = project.tree(found.0).filter(|_| takes_items)?;
        let mut acts = tree.acts.iter().filter(|act| act.span == found.1);
        let (act, value) = acts.find_map(|act| Some((act, act.assigned()?.1)))?;
        let Place::Attribute {
            classes,
            name,
            on_class,
        } = roots::attribute_meant(project, found.0, value, act.scope)?
        else {
            return None;
        };
        attribute(project, &classes, &name, on_class, takes_items)
    };
    Some(named_before().unwrap_or(found))
}

/// Where the binding's own name is given.
fn named_here(
    project: &Project<'_>,
    binding: &Binding,
    takes_items: bool,
) -> Option<(FileId, Span)> {
    match binding {
        Binding::ModuleGlobal { module, name } => module_global(project, module, name),
        Binding::Attribute {
            classes,
            name,
            on_class,
        } => {
            let known: Vec<At> = classes
                .iter()
                .filter_map(|class| scopes::class(project, class))
                .collect();
            attribute(project, &known, name, *on_class, takes_items)
                .or_else(|| elsewhere(project, &known, name, *on_class))
                .or_else(|| {
                    let class = known.first().filter(|_| name == ALL_NAMES)?;
                    Some((
                        class.file,
                        project.tree(class.file)?.scope(class.scope).header,
                    ))
                })
        }
        Binding::Default {
            function,
            parameter,
        } => {
            let at = scopes::function(project, function)?;
            let tree = project.tree(at.file)?;
            let mut parameters = tree.scope(at.scope).parameters.iter();
            Some((
                at.file,
                parameters
                    .find(|own| tree.name(own.name) == parameter)?
                    .span,
            ))
        }
        Binding::Closure { function, name } | Binding::Local { function, name } => {
            let at = scopes::function(project, function)?;
            let tree = project.tree(at.file)?;
            let sym = tree.sym(name)?;
            let free = matches!(binding, Binding::Closure { .. });
            let scope = scopes::variable_owner(tree, at.scope, sym, free)
                .or_else(|| scopes::variable_owner(tree, at.scope, sym, false))?;
            Some((at.file, variable(tree, scope, sym)?))
        }
        Binding::Cache { function } => cache(project, scopes::function(project, function)?),
        Binding::UnnamedContextVariables { name, has_default } => {
            let made = context_variables(project, name, *has_default);
            let best = made
                .iter()
                .min_by_key(|made| (!project.is_user(made.file), made.file, made.span))?;
            Some((best.file, best.span))
        }
        Binding::FunctionAttribute { function, name, .. } => {
            let at = scopes::function(project, function)?;
            let (places, files) = roots::of(project, binding);
            let tracer = Tracer::new(project, places);
            let assigned = first_assignment(&tracer, &files, name);
            // What no line of the user's assigns a decorator did.
            let is_near = |file: FileId| project.is_user(file) || !project.is_user(at.file);
            assigned.filter(|(file, _)| is_near(*file)).or_else(|| {
                let def = project.tree(at.file)?.scope(at.scope);
                let decorator = def.decorators.last().map(|decorator| decorator.span);
                Some((at.file, decorator.unwrap_or(def.header)))
            })
        }
    }
}

/// A context variable that is made as the program runs.
pub(crate) struct MadeVariable {
    pub(crate) file: FileId,
    pub(crate) span: Span,
    /// What is given it, or the container that it is put into.
    pub(crate) place: Place,
}

/// The context variables that functions make, as far as they can be the one of that name: those that a module makes have its
/// names.
pub(crate) fn context_variables(
    project: &Project<'_>,
    name: &str,
    has_default: Option<bool>,
) -> Vec<MadeVariable> {
    let mut made = Vec::new();
    for file in project.mentioning("ContextVar(") {
        let Some(tree) = project.tree(file) else {
            continue;
        };
        for act in &tree.acts {
            let Some((target, value)) = act.assigned() else {
                continue;
            };
            let Node::Call { arguments, .. } = tree.node(value) else {
                continue;
            };
            let arguments = tree.arguments(arguments);
            let other_name = arguments.first().is_some_and(|first| {
                matches!(tree.node(first.value), Node::Text(text) if tree.name(text) != name)
            });
            let gives_default = arguments.iter().any(|argument| {
                argument
                    .keyword
                    .is_some_and(|keyword| tree.name(keyword) == "default")
            });
            let is_made = tree.last_name(value) == Some("ContextVar")
                && (name.is_empty() || !other_name)
                && has_default.is_none_or(|has_default| has_default == gives_default);
            if !is_made || tree.enclosing(act.scope, ScopeKind::Function).is_none() {
                continue;
            }
            let target = match tree.node(target) {
                Node::Subscript { of, .. } => of,
                _ => target,
            };
            if let Some(place) = place_of(project, file, target, act.scope) {
                let span = act.span;
                made.push(MadeVariable { file, span, place });
            }
        }
    }
    made
}

/// What a target of an assignment stands for: a variable, or an attribute of `self`.
fn place_of(project: &Project<'_>, file: FileId, target: NodeId, scope: ScopeId) -> Option<Place> {
    let tree = project.tree(file)?;
    match tree.node(target) {
        Node::Name(name) => Some(Place::Variable {
            at: At {
                file,
                scope: owner(tree, scope, name)?.0,
            },
            name: tree.name(name).to_owned(),
        }),
        Node::Attribute { of, name } => match project.receiver(file, of, scope) {
            Receiver::SelfOf(class) => Some(Place::Attribute {
                classes: project.ancestry(class),
                name: tree.name(name).to_owned(),
                on_class: false,
            }),
            _ => None,
        },
        _ => None,
    }
}

/// The statement that binds a name of a module, here or where it is imported from.
fn module_global(project: &Project<'_>, module: &str, name: &str) -> Option<(FileId, Span)> {
    match project.member(module, name, 8)? {
        Meaning::Variable(at, sym) => {
            Some((at.file, variable(project.tree(at.file)?, at.scope, sym)?))
        }
        Meaning::Class(at) | Meaning::Function(at) => {
            Some((at.file, project.tree(at.file)?.scope(at.scope).header))
        }
        Meaning::Module(_) => None,
    }
}

/// The best of the statements that bind a variable: one in its own scope that gives it more than `None`.
fn variable(tree: &Tree, scope: ScopeId, name: Sym) -> Option<Span> {
    let rank = |binder: &Binder| match *binder {
        Binder::Act(index) => {
            let act = tree.act(index)?;
            let Deed::Bind { value, how, .. } = act.deed else {
                return None;
            };
            let nothing = value.is_none_or(|value| keeps_nothing(tree, value));
            let plain = matches!(how, How::Assign | How::Annotated);
            (how != How::Delete).then_some(((nothing, act.scope != scope, !plain), act.span))
        }
        Binder::Definition(definition) => {
            Some(((false, false, false), tree.scope(definition).header))
        }
        Binder::Parameter(index) => Some((
            (false, false, false),
            tree.scope(scope).parameters.get(index as usize)?.span,
        )),
        Binder::Import(_) => None,
    };
    tree.binders(scope, name)
        .iter()
        .filter_map(rank)
        .min()
        .map(|(_, span)| span)
}

/// `None`, and weak containers, hold nothing.
fn keeps_nothing(tree: &Tree, value: NodeId) -> bool {
    match tree.node(value) {
        Node::None => true,
        Node::Call { callee, .. } => tree
            .last_name(callee)
            .is_some_and(|name| name.starts_with("Weak")),
        _ => false,
    }
}

/// The statement that gives instances of the first class (or that class) the attribute.
fn attribute(
    project: &Project<'_>,
    classes: &[At],
    name: &str,
    on_class: bool,
    takes_items: bool,
) -> Option<(FileId, Span)> {
    let mut candidates = Vec::new();
    for (order, &class) in classes.iter().enumerate() {
        let Some(tree) = project.tree(class.file) else {
            continue;
        };
        let Some(sym) = tree.sym(name) else { continue };
        let is_meta = on_class && order > 0 && project.is_metaclass(class);
        let mut candidate = |stage: u32, value: Option<NodeId>, span: Span| {
            let nothing = takes_items && value.is_none_or(|value| keeps_nothing(tree, value));
            candidates.push(((nothing, stage, order, span), class.file));
        };
        for act in tree.attribute_binds(sym) {
            let Deed::Bind { target, value, how } = act.deed else {
                continue;
            };
            let Node::Attribute { of, .. } = tree.node(target) else {
                continue;
            };
            if matches!(how, How::Delete | How::Augmented | How::Reduced) {
                continue;
            }
            let receiver = project.receiver(class.file, of, act.scope);
            let Some(method) = method_of(tree, act.scope, class.scope) else {
                continue;
            };
            let method_name = tree.name(tree.scope(method).name);
            let of_class = receiver == Receiver::ClassItself(class);
            let fits = if on_class {
                of_class
            } else {
                receiver == Receiver::SelfOf(class)
            };
            let made = matches!(method_name, "__new__")
                && receiver == Receiver::Unknown
                && on_class == is_meta;
            if fits || made {
                let setup = matches!(
                    method_name,
                    "__init__" | "__new__" | "__post_init__" | "__init_subclass__"
                );
                candidate(if setup && !on_class { 0 } else { 2 }, value, act.span);
            }
        }
        for act in bound_in_body(tree, class.scope, sym) {
            let Deed::Bind { value, .. } = act.deed else {
                continue;
            };
            if !is_meta {
                candidate(
                    if on_class { 0 } else { 1 },
                    value.or(Some(NodeId::UNKNOWN)),
                    act.span,
                );
            }
        }
        if let Some(slot) = slot(tree, class.scope, name) {
            candidate(3, None, slot);
        }
        let nested = tree
            .binders(class.scope, sym)
            .iter()
            .find_map(|binder| match binder {
                Binder::Definition(definition) => Some(*definition),
                _ => None,
            });
        // A method that is nothing more is an attribute of the class: what an instance has in its place was given it elsewhere.
        let makes_it = |definition: &ScopeId| {
            let scope = tree.scope(*definition);
            on_class || scope.kind != ScopeKind::Function || !scope.decorators.is_empty()
        };
        if let Some(nested) = nested.filter(makes_it) {
            candidate(0, Some(NodeId::UNKNOWN), tree.scope(nested).header);
        }
    }
    candidates
        .into_iter()
        .min()
        .map(|((.., span), file)| (file, span))
}

/// The method of `class` that `scope` is or lies in.
fn method_of(tree: &Tree, scope: ScopeId, class: ScopeId) -> Option<ScopeId> {
    std::iter::successors(Some(scope), |&at| tree.scope(at).parent).find(|&at| {
        tree.scope(at).kind == ScopeKind::Function && tree.class_of_method(at) == Some(class)
    })
}

fn bound_in_body(tree: &Tree, class: ScopeId, name: Sym) -> impl Iterator<Item = &Act> {
    tree.binders(class, name)
        .iter()
        .filter_map(|binder| match *binder {
            Binder::Act(index) => tree.act(index),
            _ => None,
        })
}

/// `__slots__ = (…, "name", …)`.
fn slot(tree: &Tree, class: ScopeId, name: &str) -> Option<Span> {
    let slots = tree.sym("__slots__")?;
    bound_in_body(tree, class, slots).find_map(|act| {
        let Deed::Bind {
            value: Some(value), ..
        } = act.deed
        else {
            return None;
        };
        let names =
            |part: NodeId| matches!(tree.node(part), Node::Text(text) if tree.name(text) == name);
        tree.within(value)
            .into_iter()
            .any(names)
            .then_some(act.span)
    })
}

/// An assignment to the attribute of anything: near the classes first, then in the user's code.
fn elsewhere(
    project: &Project<'_>,
    classes: &[At],
    name: &str,
    on_class: bool,
) -> Option<(FileId, Span)> {
    let place = Place::Attribute {
        classes: classes.to_vec(),
        name: name.to_owned(),
        on_class,
    };
    let tracer = Tracer::new(
        project,
        vec![Root {
            place,
            depth: 0,
            copied: false,
        }],
    );
    let near: Vec<FileId> = classes.iter().map(|class| class.file).collect();
    first_assignment(&tracer, &near, name).or_else(|| {
        let mut files = project.mentioning(&format!(".{name}"));
        files.retain(|&file| project.is_user(file));
        first_assignment(&tracer, &files, name).or_else(|| set_by_name(&tracer, name))
    })
}

/// `setattr(of, "name", …)` in the user's code.
fn set_by_name(tracer: &Tracer<'_, '_>, name: &str) -> Option<(FileId, Span)> {
    let project = tracer.project;
    let mut files = project.mentioning("setattr");
    let finder = Finder::new(name);
    files.retain(|&file| project.is_user(file) && project.mentions(file, &finder));
    let assigned = stores::assignments(tracer, &files).into_iter();
    let first = assigned.min_by_key(|assigned| (assigned.sureness, assigned.file, assigned.span));
    first.map(|assigned| (assigned.file, assigned.span))
}

/// The surest, then first, assignment to an attribute of that name.
fn first_assignment(
    tracer: &Tracer<'_, '_>,
    files: &[FileId],
    name: &str,
) -> Option<(FileId, Span)> {
    let mut best = None;
    for &file in files {
        let Some(tree) = tracer.project.tree(file) else {
            continue;
        };
        let Some(sym) = tree.sym(name) else { continue };
        for act in tree.attribute_binds(sym) {
            let Some((target, _)) = act.assigned() else {
                continue;
            };
            if let Some(sureness) = tracer.is_binding(file, target, act.scope)
                && best.is_none_or(|(surest, _)| sureness < surest)
            {
                best = Some((sureness, (file, act.span)));
            }
        }
    }
    best.map(|(_, site)| site)
}

/// The caching decorator of a function, or the statement that wraps it.
fn cache(project: &Project<'_>, function: At) -> Option<(FileId, Span)> {
    let tree = project.tree(function.file)?;
    let def = tree.scope(function.scope);
    if let Some(decorator) = def
        .decorators
        .iter()
        .find(|decorator| names_a_cache(tree, decorator.expression))
    {
        return Some((function.file, decorator.span));
    }
    if let Some(wrapped) = wrapping(project, function) {
        return Some(wrapped);
    }
    let decorator = def.decorators.last().map(|decorator| decorator.span);
    Some((function.file, decorator.unwrap_or(def.header)))
}

/// `cached = lru_cache()(function)`.
fn wrapping(project: &Project<'_>, function: At) -> Option<(FileId, Span)> {
    wrappers(project, function, || roots::callers_of(project, function))
        .into_iter()
        .next()
        .map(|(file, act, _)| (file, act.span))
}

/// The assignments whose value is a call that is given the function, with their targets: in the function's file, else those in other
/// files whose call is that of a cache.
/// `callers`: the files that may name the function.
fn wrappers<'p>(
    project: &'p Project<'_>,
    function: At,
    callers: impl FnOnce() -> Vec<FileId>,
) -> Vec<(FileId, &'p Act, NodeId)> {
    let near = wrappers_in(project, function.file, function);
    if !near.is_empty() {
        return near;
    }
    callers()
        .into_iter()
        .filter(|&file| file != function.file)
        .flat_map(|file| wrappers_in(project, file, function))
        .collect()
}

/// Those of one file.
fn wrappers_in<'p>(
    project: &'p Project<'_>,
    file: FileId,
    function: At,
) -> Vec<(FileId, &'p Act, NodeId)> {
    let Some(tree) = project.tree(file) else {
        return Vec::new();
    };
    let is_lambda = |node: NodeId| matches!(tree.node(node), Node::Lambda(scope) if At { file, scope } == function);
    let is_method = |act: &Act, node: NodeId| {
        let Node::Attribute { of, name } = tree.node(node) else {
            return false;
        };
        let Receiver::SelfOf(class) = project.receiver(file, of, act.scope) else {
            return false;
        };
        match project.method(class, tree.name(name)) {
            Some(method) => method == function,
            // A class that is to be mixed with others.
            None => is_method_below(project, class, tree.name(name), function),
        }
    };
    let wraps = |act: &'p Act| {
        let (target, value) = act.assigned()?;
        let Node::Call { callee, arguments } = tree.node(value) else {
            return None;
        };
        if file != function.file && !names_a_cache(tree, callee) {
            return None;
        }
        let is_given = tree.arguments(arguments).iter().any(|argument| {
            is_lambda(argument.value)
                || project.meaning(file, argument.value, act.scope)
                    == Some(Meaning::Function(function))
                || is_method(act, argument.value)
        });
        is_given.then_some((file, act, target))
    };
    tree.acts.iter().filter_map(wraps).collect()
}

/// Whether the function is a method of that name in a class that descends from this one.
fn is_method_below(project: &Project<'_>, class: At, name: &str, function: At) -> bool {
    let home = project
        .tree(function.file)
        .filter(|tree| tree.name(tree.scope(function.scope).name) == name);
    let own = home.and_then(|tree| tree.class_of_method(function.scope));
    own.is_some_and(|scope| {
        let own = At {
            file: function.file,
            scope,
        };
        project.ancestry(own).contains(&class)
    })
}

/// Whether a part of an expression is called after caches.
fn names_a_cache(tree: &Tree, node: NodeId) -> bool {
    tree.within(node)
        .into_iter()
        .filter_map(|part| tree.last_name(part))
        .any(|name| {
            let name = name.to_ascii_lowercase();
            name.contains("cache") || name.contains("memo")
        })
}

/// The variables and attributes that stand for a wrapped function.
pub(crate) fn wrapped_places(
    project: &Project<'_>,
    function: At,
    callers: &[FileId],
) -> Vec<Place> {
    let place = |(file, act, target): (FileId, &Act, NodeId)| {
        let tree = project.tree(file)?;
        match tree.node(target) {
            Node::Name(name) => {
                let scope = owner(tree, act.scope, name)?.0;
                let at = At { file, scope };
                let name = tree.name(name).to_owned();
                if tree.scope(scope).kind == ScopeKind::Class {
                    Some(Place::Attribute {
                        classes: vec![at],
                        name,
                        on_class: true,
                    })
                } else {
                    Some(Place::Variable { at, name })
                }
            }
            Node::Attribute { of, name } => match project.receiver(file, of, act.scope) {
                Receiver::SelfOf(class) => Some(Place::Attribute {
                    classes: project.ancestry(class),
                    name: tree.name(name).to_owned(),
                    on_class: false,
                }),
                _ => None,
            },
            _ => None,
        }
    };
    wrappers(project, function, || callers.to_vec())
        .into_iter()
        .filter_map(place)
        .collect()
}
