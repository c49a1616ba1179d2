//! From a binding of the question to where a search for it starts, and to the files worth searching.

use memchr::memmem::Finder;

use crate::imports::{Meaning, Receiver};
use crate::namespaces::{self, ALL_NAMES};
use crate::project::{At, FileId, Project};
use crate::python::{Binder, Deed, Node, NodeId, ScopeId, Tree};
use crate::reach::{Place, Root, Sureness, Tracer};
use crate::scopes;
use crate::{Binding, ClassName, FunctionName, definitions};

/// Other names under which a binding is imported that are followed into further files, at most.
const MOST_ALIASES: usize = 64;

/// Where a search for the binding starts, and in which files.
pub(crate) fn of(project: &Project<'_>, binding: &Binding) -> (Vec<Root>, Vec<FileId>) {
    let (places, files) = places(project, binding).unwrap_or_default();
    (
        places
            .into_iter()
            .map(|place| Root {
                place,
                depth: 0,
                copied: false,
            })
            .collect(),
        files,
    )
}

fn places(project: &Project<'_>, binding: &Binding) -> Option<(Vec<Place>, Vec<FileId>)> {
    match binding {
        Binding::ModuleGlobal { module, name } => {
            let Some(file) = project.module(module) else {
                let mut files = project.mentioning(&format!(".{name}"));
                files.retain(|&file| project.is_user(file));
                let place = Place::OfModule {
                    module: module.clone(),
                    name: name.clone(),
                };
                return Some((vec![place], files));
            };
            let mut places = vec![Place::Variable {
                at: At {
                    file,
                    scope: ScopeId::MODULE,
                },
                name: name.clone(),
            }];
            let mut files = if name == ALL_NAMES {
                namespaces::users(project, &[file])
            } else {
                importers(project, file, name)
            };
            if let Some(Meaning::Variable(at, sym)) = project.member(module, name, 8)
                && let Some(tree) = project.tree(at.file)
                && at.file != file
            {
                let real = tree.name(sym);
                files.extend(importers(project, at.file, real));
                places.push(Place::Variable {
                    at,
                    name: real.to_owned(),
                });
            }
            Some((places, sorted(files)))
        }
        Binding::Attribute {
            classes: names,
            name,
            on_class,
        } => {
            let classes = classes(project, names);
            let mut files: Vec<FileId> = classes.iter().map(|class| class.file).collect();
            files.extend(if name == ALL_NAMES {
                namespaces::users(project, &files)
            } else {
                attribute_users(project, &files, name)
            });
            let mut places = vec![Place::Attribute {
                classes: classes.clone(),
                name: name.clone(),
                on_class: *on_class,
            }];
            if *on_class {
                places.extend(classes.into_iter().map(|at| Place::Variable {
                    at,
                    name: name.clone(),
                }));
            }
            Some((places, sorted(files)))
        }
        Binding::Default {
            function,
            parameter,
        } => {
            let at = scopes::function(project, function)?;
            Some((
                vec![Place::Variable {
                    at,
                    name: parameter.clone(),
                }],
                vec![at.file],
            ))
        }
        Binding::Closure { function, name } | Binding::Local { function, name } => {
            let free = matches!(binding, Binding::Closure { .. });
            let (file, place) = variable_of(project, function, name, free)?;
            Some((vec![place], vec![file]))
        }
        Binding::Cache { function } => {
            let at = scopes::function(project, function)?;
            let mut places = vec![Place::Function(at)];
            let mut files = callers_of(project, at);
            for place in definitions::wrapped_places(project, at, &files) {
                files.extend(match &place {
                    Place::Variable { at, name } => importers(project, at.file, name),
                    other => attribute_users(project, &[at.file], other.name(project)),
                });
                places.push(place);
            }
            Some((places, sorted(files)))
        }
        Binding::FunctionAttribute {
            function,
            name,
            wrapper,
            free_variable,
        } => {
            let at = scopes::function(project, function)?;
            let mut places = vec![Place::OfFunction {
                function: at,
                name: name.clone(),
            }];
            let mut files = if name == ALL_NAMES {
                namespaces::users(project, &[at.file])
            } else {
                project.mentioning(&format!(".{name}"))
            };
            files.retain(|&file| file == at.file || near(project, at.file, file));
            files.extend(callers_of(project, at));
            if let Some(wrapper) = wrapper {
                // What sets attributes of a wrapper calls it by a name of its own.
                if let Some(wrapper) = scopes::function(project, wrapper).filter(|own| *own != at) {
                    files.push(wrapper.file);
                    places.push(Place::OfFunction {
                        function: wrapper,
                        name: name.clone(),
                    });
                }
                let variable = free_variable.as_ref();
                if let Some((file, place)) =
                    variable.and_then(|variable| variable_of(project, wrapper, variable, true))
                {
                    files.push(file);
                    places.push(place);
                }
            }
            Some((places, sorted(files)))
        }
        Binding::UnnamedContextVariables { name, has_default } => {
            let made = definitions::context_variables(project, name, *has_default);
            let mut files: Vec<FileId> = made.iter().map(|made| made.file).collect();
            let mut places: Vec<Place> = Vec::new();
            for made in &made {
                if let Place::Attribute { classes, name, .. } = &made.place {
                    let homes: Vec<FileId> = classes.iter().map(|class| class.file).collect();
                    files.extend(attribute_users(project, &homes, name));
                }
                if !places.contains(&made.place) {
                    places.push(made.place.clone());
                }
            }
            Some((places, sorted(files)))
        }
    }
}

/// The classes whose source is there, each once.
pub(crate) fn classes(project: &Project<'_>, names: &[ClassName]) -> Vec<At> {
    let mut classes: Vec<At> = Vec::new();
    for class in names
        .iter()
        .filter_map(|class| scopes::class(project, class))
    {
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    classes
}

/// A variable of a function, or a free one, and the file that has it.
fn variable_of(
    project: &Project<'_>,
    function: &FunctionName,
    name: &str,
    free: bool,
) -> Option<(FileId, Place)> {
    let at = scopes::function(project, function)?;
    let tree = project.tree(at.file)?;
    let sym = tree.sym(name)?;
    let scope = scopes::variable_owner(tree, at.scope, sym, free)
        .or_else(|| scopes::variable_owner(tree, at.scope, sym, false))?;
    let place = Place::Variable {
        at: At {
            file: at.file,
            scope,
        },
        name: name.to_owned(),
    };
    Some((at.file, place))
}

/// The files that may use a variable of the module: its own, and those that name both it and its package.
fn importers(project: &Project<'_>, home: FileId, name: &str) -> Vec<FileId> {
    let mut files = project.mentioning(name);
    let package = top(project, home);
    let finder = Finder::new(package);
    files.retain(|&file| {
        file == home || top(project, file) == package || project.mentions(file, &finder)
    });
    files
}

/// The files that may use an attribute: the user's, and those of the packages of its classes.
pub(crate) fn attribute_users(project: &Project<'_>, homes: &[FileId], name: &str) -> Vec<FileId> {
    let mut files = project.mentioning(&format!(".{name}"));
    files.retain(|&file| {
        project.is_user(file)
            || homes
                .iter()
                .any(|&home| top(project, home) == top(project, file))
    });
    files
}

/// The files that may call a function or method.
pub(crate) fn callers_of(project: &Project<'_>, function: At) -> Vec<FileId> {
    let place = Place::Function(function);
    let name = place.name(project);
    let is_method = project
        .tree(function.file)
        .is_some_and(|tree| tree.class_of_method(function.scope).is_some());
    if is_method {
        let mut files = project.mentioning(&format!(".{name}"));
        files.retain(|&file| near(project, function.file, file));
        files
    } else {
        importers(project, function.file, name)
    }
}

/// The user's files that may import something of a file, whatever it is called.
pub(crate) fn module_users(project: &Project<'_>, home: FileId) -> Vec<FileId> {
    let module = project.module_name(home).rsplit('.').next();
    let mut files = project.mentioning(module.unwrap_or_default());
    files.retain(|&file| project.is_user(file));
    files
}

/// Adds the attribute as one of the object that a global has, where that is what holds the object.
pub(crate) fn add_owner(
    project: &Project<'_>,
    attribute: &Binding,
    owner: Option<&Binding>,
    (roots, files): (&mut Vec<Root>, &mut Vec<FileId>),
) {
    if let (
        Binding::Attribute { name, .. },
        Some(Binding::ModuleGlobal {
            module,
            name: global,
        }),
    ) = (attribute, owner)
        && let Some(file) = project.module(module)
    {
        let place = Place::OfGlobal {
            file,
            global: global.clone(),
            name: name.clone(),
        };
        roots.push(Root {
            place,
            depth: 0,
            copied: false,
        });
        // Whoever else uses it uses the attribute.
        files.push(file);
        files.sort_unstable();
        files.dedup();
    }
}

/// Whether `file` is the user's, or of the same top package as `home`, or names that package.
pub(crate) fn near(project: &Project<'_>, home: FileId, file: FileId) -> bool {
    let package = top(project, home);
    project.is_user(file)
        || top(project, file) == package
        || project.mentions(file, &Finder::new(package))
}

/// The files that may name a class, by its module and name.
pub(crate) fn class_users(project: &Project<'_>, class: At, name: &str) -> Vec<FileId> {
    importers(project, class.file, name)
}

/// The top package of a file's module.
pub(crate) fn top<'s>(project: &'s Project<'_>, file: FileId) -> &'s str {
    let name = match (project.module_name(file), project.package(file)) {
        ("__main__", package) if !package.is_empty() => package,
        (name, _) => name,
    };
    name.split('.').next().unwrap_or(name)
}

fn sorted(mut files: Vec<FileId>) -> Vec<FileId> {
    files.sort_unstable();
    files.dedup();
    files
}

/// Of the assignments of one variable so many are looked at: a file may be nothing but such.
const MOST_BINDERS: usize = 8;

/// Whether a variable is given a value that is made of what the roots hold.
fn is_made_of(tracer: &Tracer<'_, '_>, file: FileId, tree: &Tree, binders: &[Binder]) -> bool {
    binders.iter().take(MOST_BINDERS).any(|binder| {
        let Binder::Act(index) = *binder else {
            return false;
        };
        let Some(act) = tree.act(index) else {
            return false;
        };
        let Deed::Bind {
            value: Some(value), ..
        } = act.deed
        else {
            return false;
        };
        let is_it = |part: NodeId| {
            let reach = tracer.reach(file, part, act.scope);
            reach.is_some_and(|reach| reach.depth == 0)
        };
        tree.within(value).into_iter().any(is_it)
    })
}

/// What the binding was given holds the same object: `wrapper.cache = cache`, `jobs = scheduler.jobs`.
pub(crate) fn add_given(tracer: &mut Tracer<'_, '_>, files: &mut Vec<FileId>) {
    let mut given: Vec<Place> = Vec::new();
    for &file in files.iter() {
        let Some(tree) = tracer.project.tree(file) else {
            continue;
        };
        for act in &tree.acts {
            if let Some((target, value)) = act.assigned() {
                given.extend(given_place(tracer, (file, act.scope), target, value));
            }
        }
    }
    for place in given {
        if let Place::Attribute { classes, name, .. } = &place {
            let homes: Vec<FileId> = classes.iter().map(|class| class.file).collect();
            files.extend(attribute_users(tracer.project, &homes, name));
            files.extend(homes);
        }
        tracer.add_root(Root {
            place,
            depth: 0,
            copied: false,
        });
    }
    files.sort_unstable();
    files.dedup();
}

/// What the value is that an assignment gives the binding, if it does.
fn given_place(
    tracer: &Tracer<'_, '_>,
    (file, scope): (FileId, ScopeId),
    target: NodeId,
    value: NodeId,
) -> Option<Place> {
    let tree = tracer.project.tree(file)?;
    let target_name = tree.last_name(target)?;
    let mut names = tracer
        .roots
        .iter()
        .map(|root| root.place.name(tracer.project));
    // Most assignments are to something else, which is quickly seen.
    if !names.any(|name| name == target_name) {
        return None;
    }
    match (tree.node(target), tree.node(value)) {
        (_, Node::Attribute { .. }) => {
            let sureness = tracer.is_binding(file, target, scope)?;
            (sureness < Sureness::NameOnly)
                .then(|| attribute_meant(tracer.project, file, value, scope))?
        }
        (Node::Attribute { .. }, Node::Name(name)) => {
            let sureness = tracer.is_binding(file, target, scope)?;
            let (owner, binders) = scopes::owner(tree, scope, name)?;
            // `copy = x.items.copy(); …; x.items = copy`: that is the one, whatever `x` is.
            let is_it = owner != ScopeId::MODULE
                && (sureness < Sureness::NameOnly || is_made_of(tracer, file, tree, binders));
            is_it.then(|| Place::Variable {
                at: At { file, scope: owner },
                name: tree.name(name).to_owned(),
            })
        }
        _ => None,
    }
}

/// The attribute that an expression is, where the class of its object is known: `self.failures`, `scheduler.jobs`.
pub(crate) fn attribute_meant(
    project: &Project<'_>,
    file: FileId,
    node: NodeId,
    scope: ScopeId,
) -> Option<Place> {
    let tree = project.tree(file)?;
    let Node::Attribute { of, name } = tree.node(node) else {
        return None;
    };
    let (class, on_class) = match project.receiver(file, of, scope) {
        Receiver::SelfOf(class) | Receiver::InstanceOf(class) => (class, false),
        Receiver::ClassItself(class) => (class, true),
        Receiver::Other | Receiver::Unknown => return None,
    };
    Some(Place::Attribute {
        classes: project.ancestry(class),
        name: tree.name(name).to_owned(),
        on_class,
    })
}

/// Lets other files import the binding by the other names that `files` give it: `from m import A as B`, `B = A`.
pub(crate) fn add_aliases(tracer: &mut Tracer<'_, '_>, files: &mut Vec<FileId>) {
    let mut aliases: Vec<(At, String, u32)> = Vec::new();
    let mut more: Vec<FileId> = Vec::new();
    for &file in files.iter() {
        let Some(tree) = tracer.project.tree(file) else {
            continue;
        };
        let at = At {
            file,
            scope: ScopeId::MODULE,
        };
        for act in tree.acts.iter().filter(|act| act.scope == ScopeId::MODULE) {
            let Some((target, value)) = act.assigned() else {
                continue;
            };
            let (Node::Name(name), Node::Name(_) | Node::Attribute { .. }) =
                (tree.node(target), tree.node(value))
            else {
                continue;
            };
            if let Some(reach) = tracer.reach(file, value, act.scope)
                && reach.sureness < Sureness::NameOnly
            {
                aliases.push((at, tree.name(name).to_owned(), reach.depth));
            }
        }
        for import in &tree.imports {
            if let (Some(name), Some(local)) = (&import.name, import.local)
                && tree.name(local) != name
                && tracer
                    .roots
                    .iter()
                    .any(|root| root.place.name(tracer.project) == name)
            {
                let is_new = tracer.aliases.insert(tree.name(local).to_owned());
                if is_new && tracer.aliases.len() <= MOST_ALIASES {
                    more.extend(importers(tracer.project, file, tree.name(local)));
                }
            }
        }
    }
    for (at, name, depth) in aliases {
        let place = Place::Variable {
            at,
            name: name.clone(),
        };
        if tracer.add_root(Root {
            place,
            depth,
            copied: false,
        }) {
            more.extend(importers(tracer.project, at.file, &name));
        }
    }
    files.append(&mut more);
    files.sort_unstable();
    files.dedup();
}
