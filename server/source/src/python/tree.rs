//! What this crate keeps of a Python file: its names, its expressions, its scopes, and what it does ([`Act`]s), flat
//! and in file order. Small enough to keep for every file that was ever of interest.

use rustc_hash::FxHashMap;

use crate::text::Span;

/// A name or short string of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sym(pub(super) u32);
/// An expression of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(super) u32);
/// A scope of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ScopeId(pub(super) u32);

impl NodeId {
    /// An expression that is not there to be seen.
    pub(crate) const UNKNOWN: Self = Self(u32::MAX);
}

impl ScopeId {
    /// The module itself.
    pub(crate) const MODULE: Self = Self(0);
}

/// Several things that lie together in a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kids {
    pub(super) start: u32,
    pub(super) len: u32,
}

/// An expression, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    /// `name`.
    Name(Sym),
    /// `of.name`.
    Attribute { of: NodeId, name: Sym },
    /// `of[key]`.
    Subscript { of: NodeId, key: NodeId },
    /// `callee(arguments)`; the kids are arguments.
    Call { callee: NodeId, arguments: Kids },
    /// `lambda`, as its scope.
    Lambda(ScopeId),
    /// One of these: `a or b`, `a if c else b`, `(x := a)`.
    Choice(Kids),
    /// `[…]`, `(…)`, `{…}`, with what stands in it.
    Display(Kids),
    /// `*of`, `**of`: its items, in a display or as arguments.
    Spread(NodeId),
    /// A short string.
    Text(Sym),
    /// `None`.
    None,
    /// A number, a long string …
    Constant,
    /// `a:b`, as a key.
    Slice(Kids),
    /// Anything else, with what stands in it.
    Other(Kids),
}

/// An argument of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Argument {
    /// `keyword=`.
    pub(crate) keyword: Option<Sym>,
    /// Its expression.
    pub(crate) value: NodeId,
}

/// Kinds of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    Module,
    Class,
    /// `def` and `lambda`.
    Function,
    Comprehension,
}

/// A parameter of a function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: Sym,
    /// With its annotation and default.
    pub(crate) span: Span,
    pub(crate) annotation: Option<NodeId>,
    pub(crate) default: Option<NodeId>,
    /// Can be given by position.
    pub(crate) positional: bool,
}

/// A decorator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decorator {
    pub(crate) expression: NodeId,
    /// With its `@`.
    pub(crate) span: Span,
}

/// A module, class, function, lambda or comprehension.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) kind: ScopeKind,
    pub(crate) name: Sym,
    /// As CPython writes it; empty for the module.
    pub(crate) qualname: String,
    pub(crate) parent: Option<ScopeId>,
    /// `class Name(…):`, `def name(…):`.
    pub(crate) header: Span,
    /// Where its first decorator, or it, starts.
    pub(crate) first: u32,
    pub(crate) decorators: Vec<Decorator>,
    pub(crate) parameters: Vec<Parameter>,
    /// Base classes.
    pub(crate) bases: Vec<NodeId>,
    /// What a lambda gives.
    pub(crate) result: Option<NodeId>,
}

/// Something a file does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    /// In which scope.
    pub(crate) scope: ScopeId,
    /// Where: a statement or an expression.
    pub(crate) span: Span,
    pub(crate) deed: Deed,
    pub(crate) run: Run,
}

impl Act {
    /// Target and value of an assignment.
    pub(crate) fn assigned(&self) -> Option<(NodeId, NodeId)> {
        match self.deed {
            Deed::Bind {
                target,
                value: Some(value),
                how: How::Assign | How::Annotated,
            } => Some((target, value)),
            _ => None,
        }
    }
}

/// How often an act runs when its function (or its module's body) does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Run {
    /// In a loop or a comprehension.
    pub(crate) repeats: bool,
    /// Branches around it: `if`, `else`, `except`, `case`.
    pub(crate) conditions: u8,
}

/// What is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    /// `target = value`, and its kin.
    Bind {
        target: NodeId,
        value: Option<NodeId>,
        how: How,
    },
    /// A call.
    Call(NodeId),
    /// `@decorator` on a function or class.
    Decorate { decorator: NodeId, of: ScopeId },
    /// `raise what`.
    Raise(NodeId),
    /// `return value`.
    Return(NodeId),
    /// `x[key]`, read.
    Item(NodeId),
}

/// How a target gets its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Assign,
    Annotated,
    /// `+=` and its kin.
    Augmented,
    /// By `-=` or `&=`: what is in the target gets no more by it.
    Reduced,
    /// Each item of the value: loops, comprehensions and unpacking.
    Each,
    /// `with value as target`.
    With,
    /// `except … as target`.
    Handler,
    /// The whole of `del target`.
    Delete,
}

/// What gives a name its meaning in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binder {
    /// `acts[_]`, a [`Deed::Bind`].
    Act(u32),
    /// `def` or `class`.
    Definition(ScopeId),
    /// `imports[_]`.
    Import(u32),
    /// Parameter number.
    Parameter(u32),
}

/// `import module as …`, `from module import name as …`, `from module import *`.
#[derive(Debug)]
pub(crate) struct Import {
    /// As written, without leading dots.
    pub(crate) module: String,
    /// Number of leading dots.
    pub(crate) level: u32,
    /// For `from` imports.
    pub(crate) name: Option<String>,
    /// Bound name; the one that is not bound is the star's.
    pub(crate) local: Option<Sym>,
}

/// A file.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(super) names: Vec<Box<str>>,
    pub(super) by_name: FxHashMap<Box<str>, Sym>,
    pub(super) nodes: Vec<Node>,
    pub(super) kids: Vec<NodeId>,
    pub(super) arguments: Vec<Argument>,
    pub(super) scopes: Vec<Scope>,
    /// In file order.
    pub(crate) acts: Vec<Act>,
    pub(crate) imports: Vec<Import>,
    pub(super) binders: FxHashMap<(ScopeId, Sym), Vec<Binder>>,
    /// Acts that bind an attribute of this name.
    pub(super) attribute_binds: FxHashMap<Sym, Vec<u32>>,
}

impl Tree {
    /// The name of a symbol.
    pub(crate) fn name(&self, sym: Sym) -> &str {
        self.names.get(sym.0 as usize).map_or("", |name| name)
    }

    /// The symbol of a name, if the file has it.
    pub(crate) fn sym(&self, name: &str) -> Option<Sym> {
        self.by_name.get(name).copied()
    }

    /// An expression.
    pub(crate) fn node(&self, id: NodeId) -> Node {
        self.nodes
            .get(id.0 as usize)
            .copied()
            .unwrap_or(Node::Constant)
    }

    /// Parts of a choice, a display or another expression.
    pub(crate) fn kids(&self, kids: Kids) -> &[NodeId] {
        self.kids
            .get(kids.start as usize..(kids.start + kids.len) as usize)
            .unwrap_or_default()
    }

    /// Arguments of a call.
    pub(crate) fn arguments(&self, kids: Kids) -> &[Argument] {
        self.arguments
            .get(kids.start as usize..(kids.start + kids.len) as usize)
            .unwrap_or_default()
    }

    /// A scope.
    pub(crate) fn scope(&self, id: ScopeId) -> &Scope {
        &self.scopes[id.0 as usize]
    }

    /// All scopes in file order; the module is the first.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = (ScopeId, &Scope)> {
        (0..).map(ScopeId).zip(&self.scopes)
    }

    /// What gives `name` its meaning in just this scope.
    pub(crate) fn binders(&self, scope: ScopeId, name: Sym) -> &[Binder] {
        self.binders.get(&(scope, name)).map_or(&[], Vec::as_slice)
    }

    /// Whether `x[key] = value` leaves no more in `x` than there was: `x[:] = []`, `x[:] = x[-100:]`.
    pub(crate) fn is_cut(&self, key: NodeId, value: NodeId) -> bool {
        let is_part = match self.node(value) {
            Node::Display(parts) => self.kids(parts).is_empty(),
            Node::Subscript { key, .. } => matches!(self.node(key), Node::Slice(_)),
            _ => false,
        };
        is_part && matches!(self.node(key), Node::Slice(_))
    }

    /// Acts that bind an attribute of this name, of anything.
    pub(crate) fn attribute_binds(&self, name: Sym) -> impl Iterator<Item = &Act> {
        self.attribute_binds
            .get(&name)
            .into_iter()
            .flatten()
            .filter_map(|&index| self.act(index))
    }

    /// An act by its number.
    pub(crate) fn act(&self, index: u32) -> Option<&Act> {
        self.acts.get(index as usize)
    }

    /// `b` of `b`, `a.b` and `a.b(…)`.
    pub(crate) fn last_name(&self, id: NodeId) -> Option<&str> {
        match self.node(id) {
            Node::Name(name) | Node::Attribute { name, .. } => Some(self.name(name)),
            Node::Call { callee, .. } => self.last_name(callee),
            _ => None,
        }
    }

    /// The innermost scope of `kind`s that `scope` is or lies in.
    pub(crate) fn enclosing(&self, scope: ScopeId, kind: ScopeKind) -> Option<ScopeId> {
        std::iter::successors(Some(scope), |&at| self.scope(at).parent)
            .find(|&at| self.scope(at).kind == kind)
    }

    /// The outermost function that `scope` is or lies in, up to the innermost class.
    pub(crate) fn outermost_function(&self, scope: ScopeId) -> Option<ScopeId> {
        std::iter::successors(Some(scope), |&at| self.scope(at).parent)
            .take_while(|&at| self.scope(at).kind != ScopeKind::Class)
            .filter(|&at| self.scope(at).kind == ScopeKind::Function)
            .last()
    }

    /// The class whose method `function` is.
    pub(crate) fn class_of_method(&self, function: ScopeId) -> Option<ScopeId> {
        self.scope(function)
            .parent
            .filter(|&parent| self.scope(parent).kind == ScopeKind::Class)
    }

    /// Whether a decorator's last name is `name`.
    pub(crate) fn is_decorated(&self, scope: ScopeId, name: &str) -> bool {
        self.scope(scope)
            .decorators
            .iter()
            .any(|decorator| self.last_name(decorator.expression) == Some(name))
    }

    /// An expression and all that it is made of, without what stands in lambdas.
    pub(crate) fn within(&self, id: NodeId) -> Vec<NodeId> {
        let mut all = vec![id];
        let mut next = 0;
        while let Some(&at) = all.get(next) {
            next += 1;
            match self.node(at) {
                Node::Attribute { of, .. } | Node::Spread(of) => all.push(of),
                Node::Subscript { of, key } => all.extend([of, key]),
                Node::Call { callee, arguments } => {
                    all.push(callee);
                    all.extend(
                        self.arguments(arguments)
                            .iter()
                            .map(|argument| argument.value),
                    );
                }
                Node::Choice(kids)
                | Node::Display(kids)
                | Node::Slice(kids)
                | Node::Other(kids) => all.extend(self.kids(kids)),
                Node::Name(_) | Node::Lambda(_) | Node::Text(_) | Node::None | Node::Constant => {}
            }
        }
        all
    }
}
