//! Where a binding is handed on: what else holds the same object, a parameter, an attribute, a function's result, and may store into it.

use memchr::memmem::Finder;

use super::Scan;
use crate::imports::{Meaning, Receiver};
use crate::limits::REMOVING_FUNCTIONS;
use crate::project::{At, FileId, Project};
use crate::python::{Act, Argument, Deed, How, Node, NodeId, ScopeKind};
use crate::reach::{GIVES_ITEM, Place, Reach, Root, Sureness};
use crate::stores::{Found, Kind};
use crate::{Role, roots};

/// Functions that take a function, and then its arguments.
const TAKING_FUNCTIONS: &[&str] = &[
    "partial",
    "partialmethod",
    "submit",
    "call_soon",
    "call_soon_threadsafe",
    "call_later",
    "call_at",
    "run_in_executor",
    "to_thread",
    "register",
    "apply_async",
    "start_new_thread",
    "add_done_callback",
];

/// The binding is given to something else that may store into it.
pub(super) struct Handed {
    pub(super) root: Root,
    /// The call that does so, and the function it is given to.
    pub(super) call: Option<(Found, At)>,
}

impl Handed {
    fn on(place: Place, reach: Reach, call: Option<(Found, At)>) -> Self {
        let root = Root {
            place,
            depth: reach.depth,
            copied: reach.copied,
        };
        Self { root, call }
    }
}

/// The files that may use what something holds.
pub(super) fn users_of(project: &Project<'_>, place: &Place) -> Vec<FileId> {
    match place {
        Place::Variable { at, .. }
        | Place::Function(at)
        | Place::OfFunction { function: at, .. } => vec![at.file],
        Place::OfModule { .. } | Place::OfGlobal { .. } => Vec::new(),
        Place::Instance { classes } | Place::Keyed { classes, .. } => {
            classes.iter().map(|class| class.file).collect()
        }
        Place::Result(at) => {
            let mut files = if place.name(project) == GIVES_ITEM {
                roots::module_users(project, at.file)
            } else {
                roots::callers_of(project, *at)
            };
            files.push(at.file);
            files
        }
        Place::Attribute { classes, name, .. } => {
            let mut homes: Vec<FileId> = classes.iter().map(|class| class.file).collect();
            let users = roots::attribute_users(project, &homes, name);
            homes.extend(users);
            homes
        }
    }
}

impl Scan<'_, '_, '_> {
    /// `self.items = ITEMS`, `self.options = OPTIONS.copy()`: the attribute holds it too, or what is in it.
    pub(super) fn kept(
        &self,
        act: &Act,
        target: NodeId,
        value: Option<NodeId>,
        how: How,
    ) -> Option<Handed> {
        let value = value?;
        if let Some(handed) = self.kept_by_field(act, target, value) {
            return Some(handed);
        }
        let (Node::Attribute { of, name }, How::Assign | How::Annotated) =
            (self.tree.node(target), how)
        else {
            return None;
        };
        let reach = self.reach_or_copy(value, act)?;
        let is_name = matches!(
            self.tree.node(value),
            Node::Name(_) | Node::Attribute { .. } | Node::Choice(_)
        );
        if !is_name && !reach.copied {
            return None;
        }
        let is_too_vague = reach.sureness == Sureness::NameOnly
            && !(self.by_name && self.is_only_attribute(value));
        if is_too_vague
            || reach.under_other_key
            || self
                .tracer
                .is_binding(self.file, target, act.scope)
                .is_some()
        {
            return None;
        }
        let project = self.tracer.project;
        let (class, on_class) = match project.receiver(self.file, of, act.scope) {
            Receiver::SelfOf(class) => (class, false),
            Receiver::ClassItself(class) => (class, true),
            _ => return None,
        };
        let place = Place::Attribute {
            classes: project.ancestry(class),
            name: self.tree.name(name).to_owned(),
            on_class,
        };
        Some(Handed::on(place, reach, None))
    }

    /// `items: list = field(default_factory=lambda: ITEMS)`: each instance that is given no other has it.
    fn kept_by_field(&self, act: &Act, target: NodeId, value: NodeId) -> Option<Handed> {
        let (Node::Name(name), Node::Call { arguments, .. }) =
            (self.tree.node(target), self.tree.node(value))
        else {
            return None;
        };
        if self.tree.scope(act.scope).kind != ScopeKind::Class {
            return None;
        }
        let is_default = |argument: &&Argument| {
            let keyword = argument.keyword.map(|keyword| self.tree.name(keyword));
            matches!(keyword, Some("default_factory" | "default" | "factory"))
        };
        let default = self
            .tree
            .arguments(arguments)
            .iter()
            .find(is_default)?
            .value;
        let (given, scope) = match self.tree.node(default) {
            Node::Lambda(lambda) => (self.tree.scope(lambda).result?, lambda),
            _ => (default, act.scope),
        };
        let reach = self.tracer.reach(self.file, given, scope)?;
        if reach.sureness == Sureness::NameOnly || reach.under_other_key {
            return None;
        }
        let (file, scope) = (self.file, act.scope);
        let place = Place::Attribute {
            classes: self.tracer.project.ancestry(At { file, scope }),
            name: self.tree.name(name).to_owned(),
            on_class: false,
        };
        Some(Handed::on(place, reach, None))
    }

    /// `def items(): return ITEMS`: a call of the function gives it.
    pub(super) fn returned(&self, act: &Act, value: NodeId) -> Option<Handed> {
        let reach = self.reach_or_copy(value, act)?;
        if reach.sureness == Sureness::NameOnly || reach.under_other_key {
            return None;
        }
        let function = At {
            file: self.file,
            scope: act.scope,
        };
        let project = self.tracer.project;
        let place = match self.tree.class_of_method(act.scope) {
            Some(scope) if self.tree.is_decorated(act.scope, "property") => Place::Attribute {
                classes: project.ancestry(At {
                    file: self.file,
                    scope,
                }),
                name: self.tree.name(self.tree.scope(act.scope).name).to_owned(),
                on_class: false,
            },
            _ => Place::Result(function),
        };
        Some(Handed::on(place, reach, None))
    }

    /// `fill(ITEMS)`: the parameter of the function holds it.
    pub(super) fn handed(
        &self,
        act: &Act,
        callee: NodeId,
        arguments: &[Argument],
        handed: &mut Vec<Handed>,
    ) {
        let name = self.tree.last_name(callee);
        if name.is_some_and(|name| REMOVING_FUNCTIONS.contains(&name)) {
            return;
        }
        for (index, argument) in arguments.iter().enumerate() {
            let Some(reach) = self.reach_or_copy(argument.value, act) else {
                continue;
            };
            if reach.sureness == Sureness::NameOnly || reach.under_other_key {
                continue;
            }
            let Some((function, skip, before)) = self.receiving(callee, &arguments[..index], act)
            else {
                return;
            };
            let Some(tree) = self.tracer.project.tree(function.file) else {
                return;
            };
            let mut parameters = tree.scope(function.scope).parameters.iter();
            let parameter = match argument.keyword {
                Some(keyword) => parameters
                    .find(|parameter| tree.name(parameter.name) == self.tree.name(keyword)),
                None => parameters
                    .nth(index - before + skip)
                    .filter(|parameter| parameter.positional),
            };
            let Some(parameter) = parameter else { continue };
            let place = Place::Variable {
                at: function,
                name: tree.name(parameter.name).to_owned(),
            };
            let values = arguments.iter().map(|argument| argument.value).collect();
            let call = self.found(act, reach, Kind::Update, Role::Caller, values);
            handed.push(Handed::on(place, reach, Some((call, function))));
        }
    }

    /// The function that gets an argument of a call, behind those `before`: the one that is called, or a function among those, for which the
    /// later ones are: `functools.partial(store, ITEMS)`, `pool.submit(store, ITEMS)`. With it how many of its parameters the call does not
    /// write, and how many arguments stand up to it.
    fn receiving(
        &self,
        callee: NodeId,
        before: &[Argument],
        act: &Act,
    ) -> Option<(At, usize, usize)> {
        let called = self.callee(callee, act);
        let is_own = called.is_some_and(|(function, _)| self.tracer.project.is_user(function.file));
        let name = self.tree.last_name(callee);
        let takes_one = name.is_some_and(|name| TAKING_FUNCTIONS.contains(&name));
        let mut given = before.iter().enumerate().filter(|_| takes_one && !is_own);
        let later = given.find_map(|(place, argument)| {
            let (function, skip) = self.callee(argument.value, act)?;
            Some((function, skip, place + 1))
        });
        later.or_else(|| called.map(|(function, skip)| (function, skip, 0)))
    }

    /// Whether no class but the roots' gives its instances an attribute of this name, in the package of this file and the user's code: then
    /// whose it is need not be known.
    fn is_only_attribute(&self, node: NodeId) -> bool {
        let Node::Attribute { name, .. } = self.tree.node(node) else {
            return false;
        };
        let name = self.tree.name(name);
        let project = self.tracer.project;
        let of_roots = |class: At| {
            self.tracer.roots.iter().any(|root| match &root.place {
                Place::Attribute {
                    classes, name: own, ..
                } => own == name && classes.contains(&class),
                _ => false,
            })
        };
        let lookups = &self.tracer.lookups;
        let Some(left) = lookups.get().checked_sub(1) else {
            return false;
        };
        lookups.set(left);
        let files = roots::attribute_users(project, &[self.file], name);
        !files.into_iter().any(|file| {
            let Some((tree, sym)) = project
                .tree(file)
                .and_then(|tree| Some((tree, tree.sym(name)?)))
            else {
                return false;
            };
            tree.attribute_binds(sym).any(|act| {
                let Deed::Bind { target, value, .. } = act.deed else {
                    return false;
                };
                let Node::Attribute { of, .. } = tree.node(target) else {
                    return false;
                };
                // `self.items = other.items` makes none.
                let makes_one = value.is_none_or(|value| {
                    !matches!(tree.node(value), Node::Attribute { name, .. } if name == sym)
                });
                makes_one
                    && match project.receiver(file, of, act.scope) {
                        Receiver::SelfOf(class) => !of_roots(class),
                        _ => false,
                    }
            })
        })
    }

    /// The method of this name, if the package of this file and the user's code have just one: then whose it is need not be known.
    fn only_method(&self, name: &str) -> Option<At> {
        let lookups = &self.tracer.lookups;
        lookups.set(lookups.get().checked_sub(1)?);
        let project = self.tracer.project;
        let home = roots::top(project, self.file);
        let definition = format!("def {name}(");
        let definition = Finder::new(&definition);
        let near = project
            .files()
            .filter(|&file| project.is_user(file) || roots::top(project, file) == home)
            .filter(|&file| project.mentions(file, &definition));
        let mut found = None;
        for file in near {
            let Some(tree) = project.tree(file) else {
                continue;
            };
            let methods = tree.scopes().filter(|(scope, what)| {
                tree.name(what.name) == name && tree.class_of_method(*scope).is_some()
            });
            for (scope, _) in methods {
                if found.replace(At { file, scope }).is_some() {
                    return None;
                }
            }
        }
        found
    }

    /// The function that a call runs, and how many of its parameters the call does not write.
    fn callee(&self, callee: NodeId, act: &Act) -> Option<(At, usize)> {
        let project = self.tracer.project;
        match project.meaning(self.file, callee, act.scope) {
            Some(Meaning::Function(function)) => return Some((function, 0)),
            Some(Meaning::Class(class)) => return Some((project.method(class, "__init__")?, 1)),
            _ => {}
        }
        let Node::Attribute { of, name } = self.tree.node(callee) else {
            return None;
        };
        let class = match project.receiver(self.file, of, act.scope) {
            Receiver::SelfOf(class)
            | Receiver::InstanceOf(class)
            | Receiver::ClassItself(class) => Some(class),
            Receiver::Other => return None,
            Receiver::Unknown => None,
        };
        let name = self.tree.name(name);
        let method = match class {
            Some(class) => project.method(class, name)?,
            None => self.only_method(name)?,
        };
        let is_static = project
            .tree(method.file)?
            .is_decorated(method.scope, "staticmethod");
        Some((method, usize::from(!is_static)))
    }
}
