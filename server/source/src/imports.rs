//! What an expression means across files: a module, a class, a function or a variable, through imports, re-exports and
//! star imports; and whose instance it is, as far as that can be read.

use crate::ClassName;
use crate::project::{At, FileId, Project};
use crate::python::{Binder, Deed, How, Import, Node, NodeId, ScopeId, ScopeKind, Sym, Tree};
use crate::scopes::{self, owner};

/// What an expression stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A module, by its dotted name.
    Module(String),
    /// A class.
    Class(At),
    /// A function or method.
    Function(At),
    /// A variable of a scope.
    Variable(At, Sym),
}

/// What the receiver of an attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receiver {
    /// `self` in a method of the class, or `super()`.
    SelfOf(At),
    /// The class as an object: `cls`, `type(self)`, its name.
    ClassItself(At),
    /// An instance made elsewhere.
    InstanceOf(At),
    /// Certainly no instance or class: a module, a function.
    Other,
    /// Cannot tell.
    Unknown,
}

/// Chains of names longer than this are not followed.
const FUEL: u32 = 12;
/// The same for receivers, where each step can branch.
const RECEIVER_FUEL: u32 = 7;
/// How many of several possibilities are tried at each step.
const BRANCHES: usize = 4;
/// Functions of C code, or whose result depends on the platform: what they are called, and the class of what they give.
const RESULTS: &[(&str, &str, &str)] = &[
    ("get_running_loop", "asyncio.base_events", "BaseEventLoop"),
    ("get_event_loop", "asyncio.base_events", "BaseEventLoop"),
    ("new_event_loop", "asyncio.base_events", "BaseEventLoop"),
    ("current_task", "asyncio.tasks", "Task"),
];
/// Methods by which a class says how attributes of its instances are looked up.
const LOOKUPS: &[&str] = &["__getattr__", "__getattribute__"];

impl Project<'_> {
    /// What `node`, used in `scope`, stands for.
    pub(crate) fn meaning(&self, file: FileId, node: NodeId, scope: ScopeId) -> Option<Meaning> {
        self.meaning_within(file, node, scope, FUEL)
    }

    /// What a name, used in `scope`, stands for.
    pub(crate) fn name_meaning(&self, file: FileId, name: Sym, scope: ScopeId) -> Option<Meaning> {
        let tree = self.tree(file)?;
        match owner(tree, scope, name) {
            Some((owner, binders)) => self.bound(file, owner, name, binders, FUEL),
            None => self.starred(file, tree.name(name), FUEL),
        }
    }

    fn meaning_within(
        &self,
        file: FileId,
        node: NodeId,
        scope: ScopeId,
        fuel: u32,
    ) -> Option<Meaning> {
        let fuel = fuel.checked_sub(1)?;
        let tree = self.tree(file)?;
        match tree.node(node) {
            Node::Name(name) => match owner(tree, scope, name) {
                Some((owner, binders)) => self.bound(file, owner, name, binders, fuel),
                None => self.starred(file, tree.name(name), fuel),
            },
            Node::Attribute { of, name } => match self.meaning_within(file, of, scope, fuel)? {
                Meaning::Module(module) => self.member(&module, tree.name(name), fuel),
                Meaning::Class(class) => self.class_member(class, tree.name(name)),
                Meaning::Function(_) | Meaning::Variable(..) => None,
            },
            _ => None,
        }
    }

    fn bound(
        &self,
        file: FileId,
        scope: ScopeId,
        name: Sym,
        binders: &[Binder],
        fuel: u32,
    ) -> Option<Meaning> {
        let definition = |scope: ScopeId| {
            let at = At { file, scope };
            let is_class = self
                .tree(file)
                .is_some_and(|tree| tree.scope(scope).kind == ScopeKind::Class);
            if is_class {
                Meaning::Class(at)
            } else {
                Meaning::Function(at)
            }
        };
        let variable = Meaning::Variable(At { file, scope }, name);
        let mut unresolved = false;
        let assigned = binders.iter().any(|binder| self.gives_value(file, *binder));
        for binder in binders {
            match *binder {
                Binder::Definition(scope) => return Some(definition(scope)),
                Binder::Import(index) if !assigned => {
                    let import = self.tree(file)?.imports.get(index as usize)?;
                    // Of two imports, `try` one and `except` the other, the one whose module is there.
                    if let Some(meaning) = self.imported(file, import, fuel) {
                        return Some(meaning);
                    }
                    unresolved = true;
                }
                Binder::Import(_) | Binder::Act(_) | Binder::Parameter(_) => {}
            }
        }
        (!unresolved).then_some(variable)
    }

    /// Whether a binder gives a name a value that is not `None`: then it is a variable, whatever is imported besides.
    fn gives_value(&self, file: FileId, binder: Binder) -> bool {
        let Some(tree) = self.tree(file) else {
            return false;
        };
        let Binder::Act(index) = binder else {
            return matches!(binder, Binder::Parameter(_));
        };
        match tree.act(index).map(|act| act.deed) {
            Some(Deed::Bind {
                value: Some(value),
                how,
                ..
            }) => how != How::Handler && tree.node(value) != Node::None,
            _ => false,
        }
    }

    fn imported(&self, file: FileId, import: &Import, fuel: u32) -> Option<Meaning> {
        let module = self.absolute(file, import);
        match &import.name {
            None => Some(Meaning::Module(module)),
            Some(name) => self.member(&module, name, fuel.checked_sub(1)?),
        }
    }

    /// The dotted name of the module an import names.
    pub(crate) fn absolute(&self, file: FileId, import: &Import) -> String {
        if import.level == 0 {
            return import.module.clone();
        }
        let mut package = self.package(file);
        for _ in 1..import.level {
            package = package.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
        match (package, import.module.as_str()) {
            ("", module) => module.to_owned(),
            (package, "") => package.to_owned(),
            (package, module) => format!("{package}.{module}"),
        }
    }

    /// What `module.name` stands for.
    pub(crate) fn member(&self, module: &str, name: &str, fuel: u32) -> Option<Meaning> {
        let fuel = fuel.checked_sub(1)?;
        if let Some(file) = self.module(module)
            && let Some(tree) = self.tree(file)
        {
            if let Some(sym) = tree.sym(name) {
                let binders = tree.binders(ScopeId::MODULE, sym);
                if !binders.is_empty() {
                    return self.bound(file, ScopeId::MODULE, sym, binders, fuel);
                }
            }
            if let Some(meaning) = self.starred(file, name, fuel) {
                return Some(meaning);
            }
        }
        let submodule = format!("{module}.{name}");
        self.is_module(&submodule)
            .then_some(Meaning::Module(submodule))
    }

    /// What the star imports of the file, and of the files they name, bring under `name`.
    fn starred(&self, file: FileId, name: &str, fuel: u32) -> Option<Meaning> {
        let mut seen = vec![file];
        let mut next = 0;
        while let Some(&at) = seen.get(next) {
            next += 1;
            let Some(tree) = self.tree(at) else { continue };
            if at != file
                && let Some(sym) = tree.sym(name)
                && let binders @ [_, ..] = tree.binders(ScopeId::MODULE, sym)
            {
                return self.bound(at, ScopeId::MODULE, sym, binders, fuel);
            }
            for import in tree.imports.iter().filter(|import| import.local.is_none()) {
                if let Some(module) = self.module(&self.absolute(at, import))
                    && !seen.contains(&module)
                {
                    seen.push(module);
                }
            }
        }
        None
    }

    /// What `Class.name` stands for, if the class body defines it.
    fn class_member(&self, class: At, name: &str) -> Option<Meaning> {
        let tree = self.tree(class.file)?;
        let binders = tree.binders(class.scope, tree.sym(name)?);
        let Some(Binder::Definition(scope)) = binders.last() else {
            return None;
        };
        let at = At {
            file: class.file,
            scope: *scope,
        };
        Some(if tree.scope(*scope).kind == ScopeKind::Class {
            Meaning::Class(at)
        } else {
            Meaning::Function(at)
        })
    }

    /// The base classes of a class whose source is there.
    pub(crate) fn bases(&self, class: At) -> Vec<At> {
        let Some(tree) = self.tree(class.file) else {
            return Vec::new();
        };
        let scope = tree.scope(class.scope);
        let outer = scope.parent.unwrap_or(ScopeId::MODULE);
        let base = |&node| match self.meaning(class.file, node, outer) {
            Some(Meaning::Class(at)) if at != class => Some(at),
            _ => None,
        };
        scope.bases.iter().filter_map(base).collect()
    }

    /// The class and all its bases, nearest first.
    pub(crate) fn ancestry(&self, class: At) -> Vec<At> {
        let mut all = vec![class];
        let mut next = 0;
        while let Some(&at) = all.get(next) {
            for base in self.bases(at) {
                if !all.contains(&base) && all.len() < 64 {
                    all.push(base);
                }
            }
            next += 1;
        }
        all
    }

    /// The method that instances of the class have under that name.
    pub(crate) fn method(&self, class: At, name: &str) -> Option<At> {
        self.ancestry(class)
            .into_iter()
            .find_map(|at| match self.class_member(at, name)? {
                Meaning::Function(method) => Some(method),
                _ => None,
            })
    }

    /// Whether instances of the class may have attributes of other objects: it, or a class that it descends from, says itself how they
    /// are looked up. Proxies do.
    pub(crate) fn hands_attributes_on(&self, class: At) -> bool {
        self.defines_one_of(class, LOOKUPS)
    }

    /// Whether the class, or one that it descends from, says what one of these names is.
    pub(crate) fn defines_one_of(&self, class: At, names: &[&str]) -> bool {
        self.ancestry(class).into_iter().any(|at| {
            self.tree(at.file).is_some_and(|tree| {
                names.iter().any(|name| {
                    tree.sym(name)
                        .is_some_and(|sym| !tree.binders(at.scope, sym).is_empty())
                })
            })
        })
    }

    /// Whether the class makes classes: it descends from `type`.
    pub(crate) fn is_metaclass(&self, class: At) -> bool {
        self.ancestry(class).into_iter().any(|at| {
            let Some(tree) = self.tree(at.file) else {
                return false;
            };
            let names = tree
                .scope(at.scope)
                .bases
                .iter()
                .filter_map(|&base| tree.last_name(base));
            let mut names =
                names.filter(|name| matches!(*name, "type" | "ABCMeta" | "EnumMeta" | "EnumType"));
            names.next().is_some()
        })
    }

    /// What the receiver `node` of an attribute is.
    pub(crate) fn receiver(&self, file: FileId, node: NodeId, scope: ScopeId) -> Receiver {
        self.receiver_within(file, node, scope, RECEIVER_FUEL)
    }

    fn receiver_within(&self, file: FileId, node: NodeId, scope: ScopeId, fuel: u32) -> Receiver {
        let (Some(fuel), Some(tree)) = (fuel.checked_sub(1), self.tree(file)) else {
            return Receiver::Unknown;
        };
        match tree.node(node) {
            Node::Name(name) => {
                if let Some((owner, binders)) = owner(tree, scope, name)
                    && let Some(receiver) = self.first_parameter(file, owner, binders)
                {
                    return receiver;
                }
            }
            Node::Call { callee, arguments } => {
                let first = tree.arguments(arguments).first();
                match (tree.node(callee), first) {
                    (Node::Name(name), Some(first)) if tree.name(name) == "type" => {
                        return match self.receiver_within(file, first.value, scope, fuel) {
                            Receiver::SelfOf(class) | Receiver::InstanceOf(class) => {
                                Receiver::ClassItself(class)
                            }
                            other => other,
                        };
                    }
                    (Node::Name(name), _) if tree.name(name) == "super" => {
                        let method = tree.outermost_method(scope);
                        let class = method.and_then(|method| tree.class_of_method(method));
                        return class.map_or(Receiver::Unknown, |scope| {
                            Receiver::SelfOf(At { file, scope })
                        });
                    }
                    _ => {}
                }
                return match self.meaning_within(file, callee, scope, fuel) {
                    Some(Meaning::Class(class)) => Receiver::InstanceOf(class),
                    _ => self
                        .known_result(tree, callee)
                        .map_or(Receiver::Unknown, Receiver::InstanceOf),
                };
            }
            Node::Attribute { of, name } if tree.name(name) == "__class__" => {
                return match self.receiver_within(file, of, scope, fuel) {
                    Receiver::SelfOf(class) | Receiver::InstanceOf(class) => {
                        Receiver::ClassItself(class)
                    }
                    other => other,
                };
            }
            Node::Attribute { of, name } => {
                if let Receiver::SelfOf(class) = self.receiver_within(file, of, scope, fuel) {
                    return self
                        .attribute_class(class, tree.name(name), fuel)
                        .map_or(Receiver::Unknown, Receiver::InstanceOf);
                }
            }
            Node::Choice(kids) => {
                let mut parts = tree
                    .kids(kids)
                    .iter()
                    .take(BRANCHES)
                    .map(|&kid| self.receiver_within(file, kid, scope, fuel));
                return parts
                    .find(|part| *part != Receiver::Unknown)
                    .unwrap_or(Receiver::Unknown);
            }
            _ => {}
        }
        match self.meaning_within(file, node, scope, fuel) {
            Some(Meaning::Class(class)) => Receiver::ClassItself(class),
            Some(Meaning::Module(_) | Meaning::Function(_)) => Receiver::Other,
            Some(Meaning::Variable(at, name)) => self
                .variable_class(at, name, fuel)
                .map_or(Receiver::Unknown, Receiver::InstanceOf),
            None => Receiver::Unknown,
        }
    }

    /// The class of what a function of the standard library gives.
    fn known_result(&self, tree: &Tree, callee: NodeId) -> Option<At> {
        let function = tree.last_name(callee)?;
        let mut known = RESULTS.iter().filter(|known| known.0 == function);
        known.find_map(|&(_, module, qualname)| {
            let class = ClassName {
                module: module.to_owned(),
                qualname: qualname.to_owned(),
            };
            scopes::class(self, &class)
        })
    }

    /// `self` or `cls`, if that is what these binders make of a name of the function.
    fn first_parameter(
        &self,
        file: FileId,
        function: ScopeId,
        binders: &[Binder],
    ) -> Option<Receiver> {
        let tree = self.tree(file)?;
        if binders.first() != Some(&Binder::Parameter(0))
            || tree.is_decorated(function, "staticmethod")
        {
            return None;
        }
        let class = At {
            file,
            scope: tree.class_of_method(function)?,
        };
        let name = tree.name(tree.scope(function).name);
        let takes_class = tree.is_decorated(function, "classmethod")
            || matches!(name, "__new__" | "__init_subclass__" | "__class_getitem__")
            || self.is_metaclass(class);
        // In a metaclass `__new__` takes the metaclass; what it makes is told by its name only.
        Some(if takes_class {
            Receiver::ClassItself(class)
        } else {
            Receiver::SelfOf(class)
        })
    }

    /// The class of the instance a variable is given: by what it is assigned, or its annotation.
    fn variable_class(&self, at: At, name: Sym, fuel: u32) -> Option<At> {
        let tree = self.tree(at.file)?;
        tree.binders(at.scope, name)
            .iter()
            .take(BRANCHES)
            .find_map(|binder| match *binder {
                Binder::Act(index) => {
                    let act = tree.act(index)?;
                    let Deed::Bind {
                        value: Some(value),
                        how: How::Assign | How::Annotated | How::With,
                        ..
                    } = act.deed
                    else {
                        return None;
                    };
                    self.instance(at.file, value, act.scope, fuel)
                }
                Binder::Parameter(index) => {
                    let annotation = tree
                        .scope(at.scope)
                        .parameters
                        .get(index as usize)?
                        .annotation?;
                    let outer = tree.scope(at.scope).parent.unwrap_or(ScopeId::MODULE);
                    match self.meaning_within(at.file, annotation, outer, fuel)? {
                        Meaning::Class(class) => Some(class),
                        _ => None,
                    }
                }
                Binder::Definition(_) | Binder::Import(_) => None,
            })
    }

    fn instance(&self, file: FileId, value: NodeId, scope: ScopeId, fuel: u32) -> Option<At> {
        match self.receiver_within(file, value, scope, fuel) {
            Receiver::InstanceOf(class) | Receiver::SelfOf(class) => Some(class),
            _ => None,
        }
    }

    /// The class of the instance that methods of `class` give `self.name`, or its body gives `name`.
    fn attribute_class(&self, class: At, name: &str, fuel: u32) -> Option<At> {
        self.ancestry(class).into_iter().find_map(|at| {
            let tree = self.tree(at.file)?;
            let sym = tree.sym(name)?;
            let in_methods = tree
                .attribute_binds(sym)
                .take(4 * BRANCHES)
                .find_map(|act| {
                    let Deed::Bind {
                        target,
                        value: Some(value),
                        ..
                    } = act.deed
                    else {
                        return None;
                    };
                    let Node::Attribute { of, .. } = tree.node(target) else {
                        return None;
                    };
                    let Node::Name(receiver) = tree.node(of) else {
                        return None;
                    };
                    let (owner, binders) = owner(tree, act.scope, receiver)?;
                    let receiver = self.first_parameter(at.file, owner, binders)?;
                    (receiver == Receiver::SelfOf(at))
                        .then(|| self.instance(at.file, value, act.scope, fuel))?
                });
            in_methods.or_else(|| {
                self.variable_class(
                    At {
                        file: at.file,
                        scope: at.scope,
                    },
                    sym,
                    fuel,
                )
            })
        })
    }
}

impl Tree {
    /// The method that `scope` is or lies in, outermost function first.
    fn outermost_method(&self, scope: ScopeId) -> Option<ScopeId> {
        std::iter::successors(Some(scope), |&at| self.scope(at).parent)
            .filter(|&at| self.scope(at).kind == ScopeKind::Function)
            .find(|&at| self.class_of_method(at).is_some())
    }
}
