//! What an expression reaches: the object of a binding, or something in it. This is where scoping, imports, aliases
//! and receivers come together; everything that looks for a use of a binding asks here.

use std::cell::{Cell, RefCell};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::imports::{Meaning, Receiver};
use crate::namespaces::{self, ALL_NAMES, Given};
use crate::project::{At, FileId, Project};
use crate::python::{Act, Binder, Deed, How, Kids, Node, NodeId, ScopeId, Sym, Tree};
use crate::scopes::owner;
use crate::{keyed, private_names};

/// How surely an expression reaches the binding; surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Sureness {
    /// A name that scoping and imports resolve, or `self` in the class itself.
    Resolved,
    /// `self` in a base class, an instance whose class can be read.
    Base,
    /// Through a subclass of the class.
    Subclass,
    /// Some object with an attribute of that name.
    NameOnly,
}

/// An expression reaches the binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Containers between the binding and what is reached: 0 for the bound object, 1 for an item of it.
    pub(crate) depth: u32,
    pub(crate) sureness: Sureness,
    /// It is a shallow copy of what lies there: another container, whose items are the same.
    pub(crate) copied: bool,
    /// It lies under a key that is another one than the question's: `STATE["logs"]`, where `STATE["jobs"]` is asked about.
    pub(crate) under_other_key: bool,
}

/// Where a search starts: something that holds the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) place: Place,
    /// Containers between the binding of the question and what this one holds.
    pub(crate) depth: u32,
    /// It holds a shallow copy, as in [`Reach`].
    pub(crate) copied: bool,
}

impl Root {
    /// What reaches it reaches this.
    fn reached(&self, sureness: Sureness) -> Reach {
        Reach {
            depth: self.depth,
            sureness,
            copied: self.copied,
            under_other_key: false,
        }
    }
}

/// Something that holds an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A variable of a module, or of a function (parameters too).
    Variable { at: At, name: String },
    /// An attribute of instances of the first class, or of that class. The rest: its bases and metaclass. A class whose
    /// source is not there is left out.
    Attribute {
        classes: Vec<At>,
        name: String,
        on_class: bool,
    },
    /// An attribute of the object that a global has, whatever its class.
    OfGlobal {
        /// The module of the global.
        file: FileId,
        global: String,
        name: String,
    },
    /// A global of a module that has no source: `sys.path`.
    OfModule { module: String, name: String },
    /// An attribute of a function.
    OfFunction { function: At, name: String },
    /// The function itself: for caches, and callers.
    Function(At),
    /// What the function returns.
    Result(At),
    /// What an instance of the first class gives for a key, as an attribute or an item.
    Keyed { classes: Vec<At>, key: String },
    /// The instance itself, of the first class: `self` in the methods of these classes.
    Instance { classes: Vec<At> },
}

impl Place {
    /// The name that a file mentions which uses it.
    pub(crate) fn name<'s>(&'s self, project: &'s Project<'_>) -> &'s str {
        match self {
            Self::Variable { name, .. }
            | Self::Attribute { name, .. }
            | Self::OfGlobal { name, .. }
            | Self::OfModule { name, .. }
            | Self::OfFunction { name, .. } => name,
            Self::Function(at) | Self::Result(at) => project
                .tree(at.file)
                .map_or("", |tree| tree.name(tree.scope(at.scope).name)),
            Self::Keyed { key, .. } => key,
            Self::Instance { .. } => "self",
        }
    }
}

/// Methods that give an item of their receiver.
const ITEM_METHODS: &[&str] = &["setdefault", "get", "__getitem__", "peek", "peekitem"];
/// Methods that give the receiver's items to a loop, and functions that do so for their argument.
const ITEMS_METHODS: &[&str] = &["values", "items", "keys", "copy", "__iter__"];
const ITEMS_FUNCTIONS: &[&str] = &[
    "list",
    "tuple",
    "sorted",
    "reversed",
    "iter",
    "enumerate",
    "set",
    "zip",
    "next",
    "islice",
];

/// The method by which a class says what `x[key]` gives.
pub(crate) const GIVES_ITEM: &str = "__getitem__";

/// Functions and classes that make a shallow copy of their first argument.
const COPYING_FUNCTIONS: &[&str] = &["copy", "dict", "list", "OrderedDict", "deque"];

/// Helpers and attributes that a binding is handed to, at most.
const MOST_ROOTS: usize = 64;
/// Methods of unknown objects that are looked for by their name alone, at most.
const MOST_LOOKUPS: u32 = 64;
/// Names and parts of expressions followed one after another, at most.
const MOST_STEPS: u32 = 100;

/// Finds what expressions reach, from several roots at once.
pub(crate) struct Tracer<'s, 'a> {
    pub(crate) project: &'s Project<'a>,
    pub(crate) roots: Vec<Root>,
    /// The text key of the innermost binding's object that is asked about, if there is one.
    pub(crate) key: Option<String>,
    /// Other names that files import the roots by.
    pub(crate) aliases: FxHashSet<String>,
    steps: Cell<u32>,
    /// Names of methods that may still be looked for in all files: a file may call thousands.
    pub(crate) lookups: Cell<u32>,
    variables: RefCell<FxHashMap<(At, Sym), Option<Reach>>>,
}

impl<'s, 'a> Tracer<'s, 'a> {
    pub(crate) fn new(project: &'s Project<'a>, roots: Vec<Root>) -> Self {
        Self {
            project,
            roots,
            key: None,
            aliases: FxHashSet::default(),
            steps: Cell::new(0),
            lookups: Cell::new(MOST_LOOKUPS),
            variables: RefCell::default(),
        }
    }

    /// Adds a root; whether it is a new one, or was a copy until now. What was remembered without it is forgotten.
    pub(crate) fn add_root(&mut self, root: Root) -> bool {
        let has_room = self.roots.len() < MOST_ROOTS;
        match self.roots.iter_mut().find(|own| own.place == root.place) {
            Some(known) if known.copied && !root.copied => *known = root,
            Some(_) => return false,
            None if has_room => self.roots.push(root),
            None => return false,
        }
        self.variables.borrow_mut().clear();
        true
    }

    /// What `node`, used in `scope`, reaches. A copy is not it.
    pub(crate) fn reach(&self, file: FileId, node: NodeId, scope: ScopeId) -> Option<Reach> {
        self.reach_or_copy(file, node, scope)
            .filter(|reach| !reach.copied)
    }

    /// What `node`, used in `scope`, reaches, or what it is a copy of.
    pub(crate) fn reach_or_copy(
        &self,
        file: FileId,
        node: NodeId,
        scope: ScopeId,
    ) -> Option<Reach> {
        self.deeper(|| self.reach_here(file, node, scope))
    }

    /// Runs one step of a search, unless it has gone too deep: chains of aliases can be as long as a file.
    fn deeper(&self, step: impl FnOnce() -> Option<Reach>) -> Option<Reach> {
        if self.steps.get() >= MOST_STEPS {
            return None;
        }
        self.steps.set(self.steps.get() + 1);
        let reach = step();
        self.steps.set(self.steps.get() - 1);
        reach
    }

    fn reach_here(&self, file: FileId, node: NodeId, scope: ScopeId) -> Option<Reach> {
        let tree = self.project.tree(file)?;
        match tree.node(node) {
            Node::Name(name) => self
                .name(file, name, scope)
                .or_else(|| self.instance(file, node, scope)),
            Node::Attribute { of, name } => self
                .attribute(file, node, of, tree.name(name), scope)
                .or_else(|| self.field_of_tuple(file, of, tree.name(name), scope)),
            Node::Subscript { of, key } => match self.named_item(file, of, key, scope) {
                Some(reach) => Some(reach),
                None => self
                    .reach_or_copy(file, of, scope)
                    .map(|reach| self.under(reach, tree, key).item())
                    .or_else(|| self.got_by_key(file, of, scope)),
            },
            Node::Call { callee, arguments } => self
                .call(file, callee, arguments, scope)
                .or_else(|| self.instance(file, node, scope)),
            Node::Choice(kids) => {
                let reaches = tree
                    .kids(kids)
                    .iter()
                    .filter_map(|&kid| self.reach_or_copy(file, kid, scope));
                reaches.min_by_key(|reach| (reach.copied, reach.sureness))
            }
            // `{**DEFAULTS, key: value}`, `[*ITEMS]`.
            Node::Display(kids) => tree.kids(kids).iter().find_map(|&kid| {
                let Node::Spread(of) = tree.node(kid) else {
                    return None;
                };
                self.reach_or_copy(file, of, scope).map(Reach::copy)
            }),
            _ => None,
        }
    }

    /// What is under a key of what was reached.
    pub(crate) fn under(&self, reach: Reach, tree: &Tree, key: NodeId) -> Reach {
        let is_other = match (&self.key, tree.node(key)) {
            (Some(wanted), Node::Text(text)) => reach.depth == 0 && tree.name(text) != wanted,
            _ => false,
        };
        Reach {
            under_other_key: reach.under_other_key || is_other,
            ..reach
        }
    }

    /// `self`, and `super()`, in a method of the class of an object that is a container itself.
    fn instance<'r>(&'r self, file: FileId, node: NodeId, scope: ScopeId) -> Option<Reach> {
        let of_root = |root: &'r Root| match &root.place {
            Place::Instance { classes } => Some((classes.as_slice(), root)),
            _ => None,
        };
        let (classes, root) = self.roots.iter().find_map(of_root)?;
        let Receiver::SelfOf(class) = self.project.receiver(file, node, scope) else {
            return None;
        };
        let sureness = match classes.iter().position(|own| *own == class)? {
            0 => Sureness::Resolved,
            _ => Sureness::Base,
        };
        Some(root.reached(sureness))
    }

    fn name(&self, file: FileId, name: Sym, scope: ScopeId) -> Option<Reach> {
        let tree = self.project.tree(file)?;
        let Some((owner, binders)) = owner(tree, scope, name) else {
            return self.meant(file, None, name, scope);
        };
        let at = At { file, scope: owner };
        self.root_variable(at, tree.name(name))
            .or_else(|| {
                binders.iter().find_map(|binder| match *binder {
                    Binder::Import(index) => {
                        let import = tree.imports.get(index as usize)?;
                        self.could_mean(import.name.as_deref()?)
                            .then(|| self.meant(file, None, name, scope))?
                    }
                    Binder::Definition(scope) => self.root_of(
                        |place| *place == Place::Function(At { file, scope }),
                        Sureness::Resolved,
                    ),
                    Binder::Act(_) | Binder::Parameter(_) => None,
                })
            })
            .or_else(|| self.variable(at, name))
    }

    /// Whether a name of another file is worth resolving: files are parsed for it.
    fn could_mean(&self, name: &str) -> bool {
        self.aliases.contains(name)
            || self
                .roots
                .iter()
                .any(|root| root.place.name(self.project) == name)
    }

    /// What a name or dotted name reaches by what it means.
    fn meant(
        &self,
        file: FileId,
        node: Option<NodeId>,
        name: Sym,
        scope: ScopeId,
    ) -> Option<Reach> {
        if node.is_some()
            || self
                .project
                .tree(file)
                .is_some_and(|tree| crate::scopes::owner(tree, scope, name).is_none())
        {
            let text = self.project.tree(file)?.name(name);
            if !self.could_mean(text) {
                return None;
            }
        }
        let meaning = match node {
            Some(node) => self.project.meaning(file, node, scope)?,
            None => self.project.name_meaning(file, name, scope)?,
        };
        match meaning {
            Meaning::Variable(at, name) => {
                let text = self.project.tree(at.file)?.name(name);
                self.root_variable(at, text)
                    .or_else(|| self.variable(at, name))
            }
            Meaning::Function(at) => {
                self.root_of(|place| *place == Place::Function(at), Sureness::Resolved)
            }
            Meaning::Class(_) | Meaning::Module(_) => None,
        }
    }

    fn root_of(&self, fits: impl Fn(&Place) -> bool, sureness: Sureness) -> Option<Reach> {
        let root = self.roots.iter().find(|root| fits(&root.place))?;
        Some(root.reached(sureness))
    }

    /// Whether the target of an assignment is the binding itself, and how surely.
    pub(crate) fn is_binding(
        &self,
        file: FileId,
        target: NodeId,
        scope: ScopeId,
    ) -> Option<Sureness> {
        let tree = self.project.tree(file)?;
        let reach = match tree.node(target) {
            Node::Name(name) => {
                let at = At {
                    file,
                    scope: owner(tree, scope, name)?.0,
                };
                self.root_variable(at, tree.name(name))?
            }
            Node::Attribute { .. } => self.reach_or_copy(file, target, scope)?,
            Node::Subscript { of, key } => self.named_item(file, of, key, scope)?,
            _ => return None,
        };
        (reach.depth == 0 && !reach.copied).then_some(reach.sureness)
    }

    /// What the attribute `name` of `of` reaches, as `getattr` and `setattr` mean it.
    pub(crate) fn named_attribute(
        &self,
        file: FileId,
        of: NodeId,
        name: &str,
        scope: ScopeId,
    ) -> Option<Reach> {
        self.attribute(file, of, of, name, scope)
    }

    /// Whether the expression is a function that has one of the roots as its attribute.
    pub(crate) fn of_function(&self, file: FileId, node: NodeId, scope: ScopeId) -> Option<Reach> {
        let is_root = |place: &Place| matches!(place, Place::OfFunction { .. });
        self.roots.iter().find(|root| is_root(&root.place))?;
        self.root_of(
            |place| matches!(place, Place::OfFunction { function, .. } if self.can_mean(file, node, scope, *function)),
            Sureness::Resolved,
        )
    }

    /// Whether the expression is the function, or one of those that a name has in turn: `wrapper`, defined in each branch.
    fn can_mean(&self, file: FileId, node: NodeId, scope: ScopeId, function: At) -> bool {
        if self.project.meaning(file, node, scope) == Some(Meaning::Function(function)) {
            return true;
        }
        let is_definition = |binder: &Binder| matches!(binder, Binder::Definition(defined) if *defined == function.scope);
        self.project.tree(file).is_some_and(|tree| {
            let Node::Name(name) = tree.node(node) else {
                return false;
            };
            let owner = owner(tree, scope, name).filter(|_| file == function.file);
            // What a decorator is given is what its wrapper stands for, and has the same attributes.
            let is_of_decorator = |scope: ScopeId, binders: &[Binder]| {
                let mut around = std::iter::successors(tree.scope(function.scope).parent, |&at| {
                    tree.scope(at).parent
                });
                let is_given = match binders {
                    [Binder::Parameter(0)] => tree.class_of_method(scope).is_none(),
                    [Binder::Parameter(_)] => true,
                    _ => false,
                };
                is_given && around.any(|at| at == scope)
            };
            owner.is_some_and(|(scope, binders)| {
                binders.iter().any(is_definition) || is_of_decorator(scope, binders)
            })
        })
    }

    fn root_variable(&self, at: At, name: &str) -> Option<Reach> {
        let fits = |place: &Place| matches!(place, Place::Variable { at: own, name: own_name } if *own == at && own_name == name);
        self.root_of(fits, Sureness::Resolved)
    }

    /// What a variable reaches by what it is assigned.
    fn variable(&self, at: At, name: Sym) -> Option<Reach> {
        if let Some(known) = self.variables.borrow().get(&(at, name)) {
            return *known;
        }
        self.variables.borrow_mut().insert((at, name), None);
        let tree = self.project.tree(at.file)?;
        let reaches = tree
            .binders(at.scope, name)
            .iter()
            .filter_map(|binder| match *binder {
                Binder::Act(index) => self.given(at.file, tree.act(index)?),
                Binder::Parameter(index) => {
                    let function = tree.scope(at.scope);
                    self.reach_or_copy(
                        at.file,
                        function.parameters.get(index as usize)?.default?,
                        function.parent?,
                    )
                }
                Binder::Definition(_) | Binder::Import(_) => None,
            });
        let reach = reaches.min_by_key(|reach| (reach.copied, reach.sureness));
        self.variables.borrow_mut().insert((at, name), reach);
        reach
    }

    /// What the target of an assignment reaches by its value.
    fn given(&self, file: FileId, act: &Act) -> Option<Reach> {
        let Deed::Bind {
            value: Some(value),
            how,
            ..
        } = act.deed
        else {
            return None;
        };
        // The iterable of a comprehension's first loop belongs to the scope around it; looking from inside finds the
        // same, short of shadowing.
        match how {
            How::Assign | How::Annotated | How::With => self.reach_or_copy(file, value, act.scope),
            How::Each => self.items(file, value, act.scope),
            How::Augmented | How::Reduced | How::Handler | How::Delete => None,
        }
    }

    /// What the items of an expression reach, as a loop over it sees them.
    fn items(&self, file: FileId, node: NodeId, scope: ScopeId) -> Option<Reach> {
        self.deeper(|| self.items_here(file, node, scope))
    }

    fn items_here(&self, file: FileId, node: NodeId, scope: ScopeId) -> Option<Reach> {
        let tree = self.project.tree(file)?;
        if let Node::Call { callee, arguments } = tree.node(node) {
            match tree.node(callee) {
                Node::Attribute { of, name } if ITEMS_METHODS.contains(&tree.name(name)) => {
                    return self.items(file, of, scope);
                }
                Node::Name(name) | Node::Attribute { name, .. }
                    if ITEMS_FUNCTIONS.contains(&tree.name(name)) =>
                {
                    let arguments = tree.arguments(arguments);
                    return arguments
                        .iter()
                        .find_map(|argument| self.items(file, argument.value, scope));
                }
                _ => {}
            }
        }
        self.reach_or_copy(file, node, scope).map(Reach::item)
    }

    fn call(&self, file: FileId, callee: NodeId, arguments: Kids, scope: ScopeId) -> Option<Reach> {
        let tree = self.project.tree(file)?;
        if let Node::Attribute { of, name } = tree.node(callee)
            && ITEM_METHODS.contains(&tree.name(name))
        {
            let reach = self.reach_or_copy(file, of, scope)?;
            let key = tree.arguments(arguments).first();
            let reach = key.map_or(reach, |key| self.under(reach, tree, key.value));
            return Some(reach.item());
        }
        let arguments = tree.arguments(arguments);
        // `DEFAULTS.copy()`, `dict(DEFAULTS)`, `copy.copy(DEFAULTS)`.
        let copied = match (tree.node(callee), arguments) {
            (Node::Attribute { of, name }, []) if tree.name(name) == "copy" => Some(of),
            (Node::Name(_) | Node::Attribute { .. }, [of, ..])
                if tree
                    .last_name(callee)
                    .is_some_and(|name| COPYING_FUNCTIONS.contains(&name)) =>
            {
                Some(of.value)
            }
            _ => None,
        };
        if let Some(copied) = copied
            && let Some(reach) = self.reach_or_copy(file, copied, scope)
        {
            return Some(reach.copy());
        }
        match namespaces::given(tree, callee, arguments) {
            Some(Given::OfModule) => {
                let scope = ScopeId::MODULE;
                return self.root_variable(At { file, scope }, ALL_NAMES);
            }
            Some(Given::Of(of)) => return self.attribute(file, of, of, ALL_NAMES, scope),
            None => {}
        }
        if let (Node::Name(name), [of, named, ..]) = (tree.node(callee), arguments)
            && tree.name(name) == "getattr"
            && let Node::Text(attribute) = tree.node(named.value)
        {
            return self.attribute(file, of.value, of.value, tree.name(attribute), scope);
        }
        // `getattr(self, phase)`: any of the attributes.
        if let (Node::Name(name), [of, ..]) = (tree.node(callee), arguments)
            && tree.name(name) == "getattr"
            && let Receiver::SelfOf(class) = self.project.receiver(file, of.value, scope)
        {
            return self.root_of(
                |place| matches!(place, Place::Attribute { classes, .. } if classes.contains(&class)),
                Sureness::Subclass,
            );
        }
        self.returned(file, callee, scope)
    }

    /// What a call of an accessor gives: `def registry(): return REGISTRY`.
    fn returned(&self, file: FileId, callee: NodeId, scope: ScopeId) -> Option<Reach> {
        let tree = self.project.tree(file)?;
        let name = tree.last_name(callee)?;
        self.roots.iter().find_map(|root| {
            let Place::Result(function) = root.place else {
                return None;
            };
            if root.place.name(self.project) != name {
                return None;
            }
            let sureness = match (self.project.meaning(file, callee, scope), tree.node(callee)) {
                (Some(Meaning::Function(meant)), _) => {
                    (meant == function).then_some(Sureness::Resolved)
                }
                (_, Node::Attribute { of, .. }) => {
                    self.method_sureness(file, of, name, scope, function)
                }
                _ => None,
            };
            let sureness = sureness.filter(|sureness| *sureness < Sureness::NameOnly)?;
            Some(root.reached(sureness))
        })
    }

    /// What `of[key]` gives, where a class says so: `def __getitem__(self, key): return self.items[key]`.
    fn got_by_key(&self, file: FileId, of: NodeId, scope: ScopeId) -> Option<Reach> {
        self.roots.iter().find_map(|root| {
            let Place::Result(function) = root.place else {
                return None;
            };
            let sureness = self.method_sureness(file, of, GIVES_ITEM, scope, function)?;
            (sureness < Sureness::NameOnly).then_some(root.reached(sureness))
        })
    }

    /// `globals()["NAME"]`, `self.__dict__["attr"]`, `vars(x)["attr"]`.
    fn named_item(&self, file: FileId, of: NodeId, key: NodeId, scope: ScopeId) -> Option<Reach> {
        let tree = self.project.tree(file)?;
        let Node::Text(key) = tree.node(key) else {
            return None;
        };
        let of_key = self.roots.iter().find_map(|root| match &root.place {
            Place::Keyed { classes, key: own } if own == tree.name(key) => {
                let sureness = keyed::sureness(self, (file, of, scope), classes, true)?;
                Some(root.reached(sureness))
            }
            _ => None,
        });
        if of_key.is_some() {
            return of_key;
        }
        match tree.node(of) {
            Node::Attribute { of: owner, name } if tree.name(name) == "__dict__" => {
                self.attribute(file, owner, owner, tree.name(key), scope)
            }
            Node::Call { callee, arguments } => {
                match (tree.last_name(callee), tree.arguments(arguments)) {
                    (Some("globals"), []) => self.root_variable(
                        At {
                            file,
                            scope: ScopeId::MODULE,
                        },
                        tree.name(key),
                    ),
                    (Some("vars"), [owner]) => {
                        self.attribute(file, owner.value, owner.value, tree.name(key), scope)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What `of.name` reaches. `node` is the whole expression, or `of` where there is none.
    fn attribute(
        &self,
        file: FileId,
        node: NodeId,
        of: NodeId,
        name: &str,
        scope: ScopeId,
    ) -> Option<Reach> {
        if node != of
            && let Some(tree) = self.project.tree(file)
            && let Some(sym) = tree.sym(name)
            && let Some(reach) = self.meant(file, Some(node), sym, scope)
        {
            return Some(reach);
        }
        let mut best: Option<Reach> = None;
        for root in &self.roots {
            let sureness = match &root.place {
                Place::Attribute {
                    classes,
                    name: own,
                    on_class,
                } if own == name
                    && private_names::belongs_to(
                        self.project,
                        name,
                        classes.first(),
                        (file, scope),
                    ) =>
                {
                    self.receiver_sureness(file, of, scope, classes, *on_class)
                }
                Place::OfGlobal {
                    file: home,
                    global,
                    name: own,
                } if own == name => self
                    .is_global(file, of, scope, (*home, global))
                    .then_some(Sureness::Resolved),
                Place::OfModule { module, name: own } if own == name => {
                    let meaning = self.project.meaning(file, of, scope);
                    let is_it = meaning.is_some_and(
                        |meaning| matches!(meaning, Meaning::Module(meant) if meant == *module),
                    );
                    is_it.then_some(Sureness::Resolved)
                }
                Place::OfFunction {
                    function,
                    name: own,
                } if own == name => self
                    .can_mean(file, of, scope, *function)
                    .then_some(Sureness::Resolved),
                Place::Variable { at, name: own } if own == name && name == ALL_NAMES => {
                    namespaces::is_module(self.project, (file, of, scope), at.file)
                        .then_some(Sureness::Resolved)
                }
                Place::Keyed { classes, key } if key == name => {
                    keyed::sureness(self, (file, of, scope), classes, false)
                }
                Place::Function(function) if node != of => {
                    self.method_sureness(file, of, name, scope, *function)
                }
                _ => None,
            };
            if let Some(sureness) = sureness
                && best.is_none_or(|best| sureness < best.sureness)
            {
                best = Some(root.reached(sureness));
            }
        }
        best
    }

    /// Whether an expression is the global of a module.
    fn is_global(
        &self,
        file: FileId,
        node: NodeId,
        scope: ScopeId,
        (home, global): (FileId, &str),
    ) -> bool {
        let Some(Meaning::Variable(at, name)) = self.project.meaning(file, node, scope) else {
            return false;
        };
        at == At {
            file: home,
            scope: ScopeId::MODULE,
        } && self
            .project
            .tree(home)
            .is_some_and(|tree| tree.name(name) == global)
    }

    /// A field of a named tuple is an item of it.
    fn field_of_tuple(
        &self,
        file: FileId,
        of: NodeId,
        name: &str,
        scope: ScopeId,
    ) -> Option<Reach> {
        let (Receiver::InstanceOf(class) | Receiver::SelfOf(class)) =
            self.project.receiver(file, of, scope)
        else {
            return None;
        };
        let tree = self.project.tree(class.file)?;
        let mut bases = tree.scope(class.scope).bases.iter();
        let is_tuple = bases.any(|&base| {
            tree.last_name(base)
                .is_some_and(|name| matches!(name, "NamedTuple" | "namedtuple"))
        });
        let is_field = !tree.binders(class.scope, tree.sym(name)?).is_empty();
        if !is_tuple || !is_field {
            return None;
        }
        self.reach_or_copy(file, of, scope).map(Reach::item)
    }

    /// How surely `of` is an instance of the first class (or, `on_class`, that class).
    pub(crate) fn receiver_sureness(
        &self,
        file: FileId,
        of: NodeId,
        scope: ScopeId,
        classes: &[At],
        on_class: bool,
    ) -> Option<Sureness> {
        let position = |class: At| classes.iter().position(|&own| own == class);
        let of_class = |class: At| match position(class) {
            Some(0) => Some(Sureness::Resolved),
            Some(_) => Some(Sureness::Base),
            None if classes.is_empty() => Some(Sureness::NameOnly),
            None => {
                let own = classes.first()?;
                self.project
                    .ancestry(class)
                    .contains(own)
                    .then_some(Sureness::Subclass)
            }
        };
        match self.project.receiver(file, of, scope) {
            Receiver::SelfOf(class) => of_class(class),
            Receiver::InstanceOf(class) => of_class(class).or_else(|| self.through_proxy(class)),
            Receiver::ClassItself(class) if on_class || self.project.is_metaclass(class) => {
                of_class(class)
            }
            // `self` of a metaclass's instance, and `cls.__new__(cls)`: the class is at hand, the instance is not.
            Receiver::ClassItself(_) | Receiver::Other => None,
            Receiver::Unknown => Some(
                self.made_in_new(file, of, scope, classes)
                    .unwrap_or(Sureness::NameOnly),
            ),
        }
    }

    /// How surely an instance of the class stands for another object.
    fn through_proxy(&self, class: At) -> Option<Sureness> {
        self.project
            .hands_attributes_on(class)
            .then_some(Sureness::NameOnly)
    }

    /// A local of `__new__` or of a class method is most likely the instance that is made there.
    fn made_in_new(
        &self,
        file: FileId,
        of: NodeId,
        scope: ScopeId,
        classes: &[At],
    ) -> Option<Sureness> {
        let tree = self.project.tree(file)?;
        let Node::Name(name) = tree.node(of) else {
            return None;
        };
        let (owner, binders) = owner(tree, scope, name)?;
        let class = At {
            file,
            scope: tree.class_of_method(owner)?,
        };
        let makes = tree.name(tree.scope(owner).name) == "__new__"
            || tree.is_decorated(owner, "classmethod");
        let assigned = binders
            .iter()
            .any(|binder| matches!(binder, Binder::Act(_)));
        (makes && assigned && classes.contains(&class)).then_some(Sureness::Base)
    }

    /// How surely `of.name` is the method `function`.
    fn method_sureness(
        &self,
        file: FileId,
        of: NodeId,
        name: &str,
        scope: ScopeId,
        function: At,
    ) -> Option<Sureness> {
        let tree = self.project.tree(function.file)?;
        if tree.name(tree.scope(function.scope).name) != name {
            return None;
        }
        let class = At {
            file: function.file,
            scope: tree.class_of_method(function.scope)?,
        };
        let receiver = self.project.receiver(file, of, scope);
        match receiver {
            Receiver::SelfOf(of) | Receiver::InstanceOf(of) | Receiver::ClassItself(of) => {
                let ancestry = self.project.ancestry(of);
                if ancestry.contains(&class) {
                    Some(if of == class {
                        Sureness::Resolved
                    } else {
                        Sureness::Base
                    })
                } else if self.project.ancestry(class).contains(&of) {
                    Some(Sureness::Subclass)
                } else {
                    matches!(receiver, Receiver::InstanceOf(_))
                        .then(|| self.through_proxy(of))
                        .flatten()
                }
            }
            Receiver::Other => None,
            Receiver::Unknown => Some(Sureness::NameOnly),
        }
    }
}

impl Reach {
    /// An item of what is reached.
    fn item(self) -> Self {
        Self {
            depth: self.depth + 1,
            copied: false,
            ..self
        }
    }

    /// A shallow copy of what is reached.
    fn copy(self) -> Self {
        Self {
            copied: true,
            ..self
        }
    }
}
