//! From the parser's syntax tree to ours. Recursive: runs where [`super::nesting`] has made room.

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{
    self as ast, ExceptHandler, Expr, MatchCase, Pattern, Stmt,
};
use ruff_text_size::{Ranged, TextRange};
use rustc_hash::FxHashSet;

use super::tree::{
    Act, Argument, Binder, Decorator, Deed, How, Import, Kids, Node, NodeId, Parameter, Scope, ScopeId, ScopeKind, Sym, Tree,
};
use crate::text::Span;

/// Longer strings are no names.
const LONGEST_NAME_BYTES: usize = 100;

/// Lowers a module's body.
pub(super) fn lower(body: &[Stmt], text_bytes: usize) -> Tree {
    let mut lowering = Lowering { tree: Tree::default(), outer_names: FxHashSet::default() };
    let name = lowering.sym("<module>");
    lowering.tree.scopes.push(Scope {
        kind: ScopeKind::Module,
        name,
        qualname: String::new(),
        parent: None,
        header: Span { start: 0, end: u32::try_from(text_bytes).unwrap_or(u32::MAX) },
        first: 0,
        decorators: Vec::new(),
        parameters: Vec::new(),
        bases: Vec::new(),
    });
    lowering.body(body, ScopeId::MODULE);
    lowering.finish()
}

struct Lowering {
    tree: Tree,
    /// Names a scope declares `global` (true) or `nonlocal` (false).
    outer_names: FxHashSet<(ScopeId, Sym, bool)>,
}

impl Lowering {
    fn finish(self) -> Tree {
        let Self { mut tree, outer_names } = self;
        let mut outer_names: Vec<_> = outer_names.into_iter().collect();
        outer_names.sort_unstable();
        for (scope, name, global) in outer_names {
            let moved = tree.binders.remove(&(scope, name)).unwrap_or_default();
            let owner = if global {
                Some(ScopeId::MODULE)
            } else {
                std::iter::successors(tree.scope(scope).parent, |&at| tree.scope(at).parent).find(|&at| {
                    tree.scope(at).kind == ScopeKind::Function && tree.binders.contains_key(&(at, name))
                })
            };
            if let Some(owner) = owner {
                tree.binders.entry((owner, name)).or_default().extend(moved);
            }
        }
        tree
    }

    fn sym(&mut self, name: &str) -> Sym {
        if let Some(&sym) = self.tree.by_name.get(name) {
            return sym;
        }
        let sym = Sym(id(self.tree.names.len()));
        self.tree.names.push(name.into());
        self.tree.by_name.insert(name.into(), sym);
        sym
    }

    fn node(&mut self, node: Node, range: TextRange) -> NodeId {
        self.tree.nodes.push(node);
        self.tree.spans.push(span(range));
        NodeId(id(self.tree.nodes.len() - 1))
    }

    fn kids(&mut self, kids: &[NodeId]) -> Kids {
        let start = id(self.tree.kids.len());
        self.tree.kids.extend_from_slice(kids);
        Kids { start, len: id(kids.len()) }
    }

    fn act(&mut self, scope: ScopeId, span: Span, deed: Deed) -> u32 {
        self.tree.acts.push(Act { scope, span, deed });
        id(self.tree.acts.len() - 1)
    }

    fn bind_name(&mut self, scope: ScopeId, name: Sym, binder: Binder) {
        self.tree.binders.entry((scope, name)).or_default().push(binder);
    }

    fn body(&mut self, body: &[Stmt], scope: ScopeId) {
        for stmt in body {
            self.stmt(stmt, scope);
        }
    }

    fn stmt(&mut self, stmt: &Stmt, scope: ScopeId) {
        let whole = span(stmt.range());
        match stmt {
            Stmt::FunctionDef(def) => self.function(def, scope),
            Stmt::ClassDef(def) => self.class(def, scope),
            Stmt::Return(ret) => {
                if let Some(value) = &ret.value {
                    let value = self.expr(value, scope);
                    self.act(scope, whole, Deed::Return(value));
                }
            }
            Stmt::Delete(delete) => {
                for target in &delete.targets {
                    self.bind(target, None, How::Delete, whole, scope);
                }
            }
            Stmt::Assign(assign) => {
                let value = self.expr(&assign.value, scope);
                for target in &assign.targets {
                    self.bind(target, Some(value), How::Assign, whole, scope);
                }
            }
            Stmt::AugAssign(assign) => {
                let value = self.expr(&assign.value, scope);
                self.bind(&assign.target, Some(value), How::Augmented, whole, scope);
            }
            Stmt::AnnAssign(assign) => {
                let value = assign.value.as_deref().map(|value| self.expr(value, scope));
                self.bind(&assign.target, value, How::Annotated, whole, scope);
            }
            Stmt::TypeAlias(alias) => {
                let value = self.expr(&alias.value, scope);
                self.bind(&alias.name, Some(value), How::Assign, whole, scope);
            }
            Stmt::For(each) => {
                let value = self.expr(&each.iter, scope);
                let head = span(TextRange::new(stmt.start(), each.iter.end()));
                self.bind(&each.target, Some(value), How::Each, head, scope);
                self.body(&each.body, scope);
                self.body(&each.orelse, scope);
            }
            Stmt::While(each) => {
                self.expr(&each.test, scope);
                self.body(&each.body, scope);
                self.body(&each.orelse, scope);
            }
            Stmt::If(choice) => {
                self.expr(&choice.test, scope);
                self.body(&choice.body, scope);
                for clause in &choice.elif_else_clauses {
                    if let Some(test) = &clause.test {
                        self.expr(test, scope);
                    }
                    self.body(&clause.body, scope);
                }
            }
            Stmt::With(with) => {
                for item in &with.items {
                    let value = self.expr(&item.context_expr, scope);
                    if let Some(target) = &item.optional_vars {
                        let head = span(TextRange::new(item.context_expr.start(), target.end()));
                        self.bind(target, Some(value), How::With, head, scope);
                    }
                }
                self.body(&with.body, scope);
            }
            Stmt::Match(choice) => {
                let subject = self.expr(&choice.subject, scope);
                for case in &choice.cases {
                    self.case(case, subject, scope);
                }
            }
            Stmt::Raise(raise) => {
                if let Some(what) = &raise.exc {
                    let what = self.expr(what, scope);
                    self.act(scope, whole, Deed::Raise(what));
                }
                if let Some(cause) = &raise.cause {
                    self.expr(cause, scope);
                }
            }
            Stmt::Try(attempt) => {
                self.body(&attempt.body, scope);
                for ExceptHandler::ExceptHandler(handler) in &attempt.handlers {
                    let caught = handler.type_.as_deref().map(|caught| self.expr(caught, scope));
                    if let Some(name) = &handler.name {
                        let sym = self.sym(&name.id);
                        let target = self.node(Node::Name(sym), name.range);
                        let deed = Deed::Bind { target, value: caught, how: How::Handler };
                        let act = self.act(scope, span(name.range), deed);
                        self.bind_name(scope, sym, Binder::Act(act));
                    }
                    self.body(&handler.body, scope);
                }
                self.body(&attempt.orelse, scope);
                self.body(&attempt.finalbody, scope);
            }
            Stmt::Assert(assert) => {
                self.expr(&assert.test, scope);
                if let Some(message) = &assert.msg {
                    self.expr(message, scope);
                }
            }
            Stmt::Import(import) => {
                for alias in &import.names {
                    let (module, local) = match &alias.asname {
                        Some(asname) => (alias.name.as_str(), asname.as_str()),
                        None => {
                            let first = alias.name.split('.').next().unwrap_or_default();
                            (first, first)
                        }
                    };
                    self.import(scope, module, 0, None, Some(local));
                }
            }
            Stmt::ImportFrom(import) => {
                let module = import.module.as_ref().map_or("", |module| module.as_str());
                for alias in &import.names {
                    let name = alias.name.as_str();
                    let local = if name == "*" { None } else { Some(alias.asname.as_ref().map_or(name, |asname| asname.as_str())) };
                    self.import(scope, module, import.level, Some(name), local);
                }
            }
            Stmt::Global(declaration) => {
                for name in &declaration.names {
                    let sym = self.sym(&name.id);
                    self.outer_names.insert((scope, sym, true));
                }
            }
            Stmt::Nonlocal(declaration) => {
                for name in &declaration.names {
                    let sym = self.sym(&name.id);
                    self.outer_names.insert((scope, sym, false));
                }
            }
            Stmt::Expr(expr) => {
                self.expr(&expr.value, scope);
            }
            Stmt::Pass(_) | Stmt::Break(_) | Stmt::Continue(_) | Stmt::IpyEscapeCommand(_) => {}
        }
    }

    fn import(&mut self, scope: ScopeId, module: &str, level: u32, name: Option<&str>, local: Option<&str>) {
        let local = local.map(|local| self.sym(local));
        let index = id(self.tree.imports.len());
        self.tree.imports.push(Import { scope, module: module.to_owned(), level, name: name.map(str::to_owned), local });
        if let Some(local) = local {
            self.bind_name(scope, local, Binder::Import(index));
        }
    }

    fn case(&mut self, case: &MatchCase, subject: NodeId, scope: ScopeId) {
        let mut captures = Captures { names: Vec::new(), values: Vec::new() };
        captures.visit_pattern(&case.pattern);
        for value in captures.values {
            self.expr(value, scope);
        }
        for name in captures.names {
            let sym = self.sym(&name.id);
            let target = self.node(Node::Name(sym), name.range);
            let act = self.act(scope, span(name.range), Deed::Bind { target, value: Some(subject), how: How::With });
            self.bind_name(scope, sym, Binder::Act(act));
        }
        if let Some(guard) = &case.guard {
            self.expr(guard, scope);
        }
        self.body(&case.body, scope);
    }

    fn function(&mut self, def: &ast::StmtFunctionDef, scope: ScopeId) {
        let first = def.decorator_list.first().map_or(def.start(), Ranged::start);
        let head_start = def.decorator_list.last().map_or(def.start(), Ranged::end);
        let head_end = def.returns.as_deref().map_or(def.parameters.end(), Ranged::end);
        let header = Span { start: self.keyword_start(head_start, def.name.start(), def.is_async, "def"), end: u32::from(head_end) };
        let (decorators, parameters) = (self.decorators(&def.decorator_list, scope), self.parameters(&def.parameters, scope));
        if let Some(returns) = &def.returns {
            self.expr(returns, scope);
        }
        let inner = self.scope(ScopeKind::Function, &def.name.id, scope, header, u32::from(first));
        self.declare_parameters(inner, &parameters);
        self.decorate(inner, scope, decorators);
        let name = self.tree.scope(inner).name;
        self.bind_name(scope, name, Binder::Definition(inner));
        self.body(&def.body, inner);
    }

    fn class(&mut self, def: &ast::StmtClassDef, scope: ScopeId) {
        let first = def.decorator_list.first().map_or(def.start(), Ranged::start);
        let head_start = def.decorator_list.last().map_or(def.start(), Ranged::end);
        let head_end = def.arguments.as_deref().map_or(def.name.end(), Ranged::end);
        let header = Span { start: self.keyword_start(head_start, def.name.start(), false, "class"), end: u32::from(head_end) };
        let decorators = self.decorators(&def.decorator_list, scope);
        let mut bases = Vec::new();
        if let Some(arguments) = &def.arguments {
            bases.extend(arguments.args.iter().map(|base| self.expr(base, scope)));
            for keyword in &arguments.keywords {
                self.expr(&keyword.value, scope);
            }
        }
        let inner = self.scope(ScopeKind::Class, &def.name.id, scope, header, u32::from(first));
        self.tree.scopes[inner.0 as usize].bases = bases;
        self.decorate(inner, scope, decorators);
        let name = self.tree.scope(inner).name;
        self.bind_name(scope, name, Binder::Definition(inner));
        self.body(&def.body, inner);
    }

    /// Where `def`, `async def` or `class` starts: just before the name, the tokens between being single-spaced or not.
    fn keyword_start(&self, after_decorators: ruff_text_size::TextSize, name: ruff_text_size::TextSize, is_async: bool, keyword: &str) -> u32 {
        let width = keyword.len() + 1 + if is_async { "async ".len() } else { 0 };
        u32::from(name).saturating_sub(id(width)).max(u32::from(after_decorators))
    }

    fn decorators(&mut self, list: &[ast::Decorator], scope: ScopeId) -> Vec<Decorator> {
        let mut decorators = Vec::new();
        for decorator in list {
            let expression = self.expr(&decorator.expression, scope);
            decorators.push(Decorator { expression, span: span(decorator.range) });
        }
        decorators
    }

    fn decorate(&mut self, inner: ScopeId, scope: ScopeId, decorators: Vec<Decorator>) {
        for decorator in &decorators {
            self.act(scope, decorator.span, Deed::Decorate { decorator: decorator.expression, of: inner });
        }
        self.tree.scopes[inner.0 as usize].decorators = decorators;
    }

    fn scope(&mut self, kind: ScopeKind, name: &str, parent: ScopeId, header: Span, first: u32) -> ScopeId {
        let outer = self.tree.scope(parent);
        let qualname = match (kind, outer.kind) {
            (ScopeKind::Comprehension, _) => outer.qualname.clone(),
            (_, ScopeKind::Module) => name.to_owned(),
            (_, ScopeKind::Function | ScopeKind::Comprehension) if !outer.qualname.is_empty() => {
                format!("{}.<locals>.{name}", outer.qualname)
            }
            _ if outer.qualname.is_empty() => name.to_owned(),
            _ => format!("{}.{name}", outer.qualname),
        };
        let name = self.sym(name);
        self.tree.scopes.push(Scope {
            kind,
            name,
            qualname,
            parent: Some(parent),
            header,
            first,
            decorators: Vec::new(),
            parameters: Vec::new(),
            bases: Vec::new(),
        });
        ScopeId(id(self.tree.scopes.len() - 1))
    }

    fn parameters(&mut self, parameters: &ast::Parameters, scope: ScopeId) -> Vec<Parameter> {
        let mut lowered = Vec::new();
        let keyword_only = parameters.kwonlyargs.len();
        let count = parameters.posonlyargs.len() + parameters.args.len() + keyword_only;
        let each = parameters.posonlyargs.iter().chain(&parameters.args).chain(&parameters.kwonlyargs);
        for (index, with_default) in each.enumerate() {
            if let Some(default) = &with_default.default {
                self.expr(default, scope);
            }
            let positional = index < count - keyword_only;
            lowered.push(self.parameter(&with_default.parameter, with_default.range, positional, scope));
        }
        for variadic in parameters.vararg.iter().chain(&parameters.kwarg) {
            lowered.push(self.parameter(variadic, variadic.range, false, scope));
        }
        lowered
    }

    fn parameter(&mut self, parameter: &ast::Parameter, range: TextRange, positional: bool, scope: ScopeId) -> Parameter {
        let annotation = parameter.annotation.as_deref().map(|annotation| self.expr(annotation, scope));
        Parameter { name: self.sym(&parameter.name.id), span: span(range), annotation, positional }
    }

    fn declare_parameters(&mut self, function: ScopeId, parameters: &[Parameter]) {
        for (index, parameter) in parameters.iter().enumerate() {
            self.bind_name(function, parameter.name, Binder::Parameter(id(index)));
        }
        self.tree.scopes[function.0 as usize].parameters = parameters.to_vec();
    }

    /// Gives `target` the value: each name, attribute and subscript in it.
    fn bind(&mut self, target: &Expr, value: Option<NodeId>, how: How, whole: Span, scope: ScopeId) {
        match target {
            Expr::Tuple(ast::ExprTuple { elts, .. }) | Expr::List(ast::ExprList { elts, .. }) => {
                let parts = match value.map(|value| self.tree.node(value)) {
                    Some(Node::Display(kids)) if how == How::Assign && kids.len as usize == elts.len() => {
                        self.tree.kids(kids).to_vec()
                    }
                    _ => Vec::new(),
                };
                for (index, elt) in elts.iter().enumerate() {
                    match parts.get(index) {
                        Some(&part) => self.bind(elt, Some(part), how, whole, scope),
                        None if how == How::Delete => self.bind(elt, None, how, whole, scope),
                        None => self.bind(elt, value, How::Each, whole, scope),
                    }
                }
            }
            Expr::Starred(starred) => self.bind(&starred.value, value, How::Each, whole, scope),
            Expr::Name(name) => {
                let sym = self.sym(&name.id);
                let target = self.node(Node::Name(sym), name.range);
                let act = self.act(scope, whole, Deed::Bind { target, value, how });
                self.bind_name(scope, sym, Binder::Act(act));
            }
            _ => {
                let target = self.expr(target, scope);
                let act = self.act(scope, whole, Deed::Bind { target, value, how });
                if let Node::Attribute { name, .. } = self.tree.node(target) {
                    self.tree.attribute_binds.entry(name).or_default().push(act);
                }
            }
        }
    }

    fn exprs<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>, scope: ScopeId) -> Kids {
        let lowered: Vec<NodeId> = exprs.into_iter().map(|expr| self.expr(expr, scope)).collect();
        self.kids(&lowered)
    }

    fn expr(&mut self, expr: &Expr, scope: ScopeId) -> NodeId {
        let node = match expr {
            Expr::Name(name) => Node::Name(self.sym(&name.id)),
            Expr::Attribute(attribute) => {
                let of = self.expr(&attribute.value, scope);
                Node::Attribute { of, name: self.sym(&attribute.attr.id) }
            }
            Expr::Subscript(subscript) => {
                let of = self.expr(&subscript.value, scope);
                Node::Subscript { of, key: self.expr(&subscript.slice, scope) }
            }
            Expr::Call(call) => self.call(call, scope),
            Expr::BoolOp(choice) => Node::Choice(self.exprs(&choice.values, scope)),
            Expr::If(choice) => {
                self.expr(&choice.test, scope);
                Node::Choice(self.exprs([&*choice.body, &*choice.orelse], scope))
            }
            Expr::Named(named) => {
                let value = self.expr(&named.value, scope);
                let owner = std::iter::successors(Some(scope), |&at| self.tree.scope(at).parent)
                    .find(|&at| self.tree.scope(at).kind != ScopeKind::Comprehension)
                    .unwrap_or(scope);
                self.bind(&named.target, Some(value), How::Assign, span(named.range), owner);
                Node::Choice(self.kids(&[value]))
            }
            Expr::List(ast::ExprList { elts, .. }) | Expr::Tuple(ast::ExprTuple { elts, .. }) | Expr::Set(ast::ExprSet { elts, .. }) => {
                Node::Display(self.exprs(elts, scope))
            }
            Expr::Dict(dict) => {
                let parts = dict.items.iter().flat_map(|item| std::iter::once(&item.value).chain(&item.key));
                Node::Display(self.exprs(parts, scope))
            }
            Expr::ListComp(ast::ExprListComp { elt, generators, .. })
            | Expr::SetComp(ast::ExprSetComp { elt, generators, .. })
            | Expr::Generator(ast::ExprGenerator { elt, generators, .. }) => {
                self.comprehension(generators, [Some(&**elt), None], expr.range(), scope)
            }
            Expr::DictComp(comp) => self.comprehension(&comp.generators, [Some(&*comp.value), comp.key.as_deref()], expr.range(), scope),
            Expr::Lambda(lambda) => {
                let parameters = match &lambda.parameters {
                    Some(parameters) => self.parameters(parameters, scope),
                    None => Vec::new(),
                };
                let inner = self.scope(ScopeKind::Function, "<lambda>", scope, span(lambda.range), u32::from(lambda.start()));
                self.declare_parameters(inner, &parameters);
                let value = self.expr(&lambda.body, inner);
                self.act(inner, span(lambda.body.range()), Deed::Return(value));
                Node::Lambda(inner)
            }
            Expr::StringLiteral(string) if string.value.len() <= LONGEST_NAME_BYTES => Node::Text(self.sym(string.value.to_str())),
            Expr::NoneLiteral(_) => Node::None,
            Expr::StringLiteral(_)
            | Expr::BytesLiteral(_)
            | Expr::NumberLiteral(_)
            | Expr::BooleanLiteral(_)
            | Expr::EllipsisLiteral(_)
            | Expr::IpyEscapeCommand(_) => Node::Constant,
            _ => {
                let mut parts = Parts { parts: Vec::new() };
                visitor::walk_expr(&mut parts, expr);
                Node::Other(self.exprs(parts.parts, scope))
            }
        };
        self.node(node, expr.range())
    }

    fn call(&mut self, call: &ast::ExprCall, scope: ScopeId) -> Node {
        let callee = self.expr(&call.func, scope);
        let mut lowered = Vec::new();
        for value in &call.arguments.args {
            lowered.push(Argument { keyword: None, value: self.expr(value, scope) });
        }
        for keyword in &call.arguments.keywords {
            let value = self.expr(&keyword.value, scope);
            lowered.push(Argument { keyword: keyword.arg.as_ref().map(|name| self.sym(&name.id)), value });
        }
        let arguments = Kids { start: id(self.tree.arguments.len()), len: id(lowered.len()) };
        self.tree.arguments.append(&mut lowered);
        // The node that is made of this comes next.
        let node = NodeId(id(self.tree.nodes.len()));
        self.act(scope, span(call.range()), Deed::Call(node));
        Node::Call { callee, arguments }
    }

    fn comprehension(&mut self, generators: &[ast::Comprehension], results: [Option<&Expr>; 2], range: TextRange, scope: ScopeId) -> Node {
        let inner = self.scope(ScopeKind::Comprehension, "<comprehension>", scope, span(range), u32::from(range.start()));
        for (index, generator) in generators.iter().enumerate() {
            let value = self.expr(&generator.iter, if index == 0 { scope } else { inner });
            let head = span(TextRange::new(generator.target.start(), generator.iter.end()));
            self.bind(&generator.target, Some(value), How::Each, head, inner);
            for test in &generator.ifs {
                self.expr(test, inner);
            }
        }
        Node::Display(self.exprs(results.into_iter().flatten(), inner))
    }
}

/// Collects the expressions that stand directly in an expression.
struct Parts<'a> {
    parts: Vec<&'a Expr>,
}

impl<'a> Visitor<'a> for Parts<'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        self.parts.push(expr);
    }
}

/// Collects what a pattern binds, and the expressions in it.
struct Captures<'a> {
    names: Vec<&'a ast::Identifier>,
    values: Vec<&'a Expr>,
}

impl<'a> Visitor<'a> for Captures<'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        self.values.push(expr);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        match pattern {
            Pattern::MatchAs(ast::PatternMatchAs { name, .. }) | Pattern::MatchStar(ast::PatternMatchStar { name, .. }) => {
                self.names.extend(name);
            }
            Pattern::MatchMapping(mapping) => self.names.extend(&mapping.rest),
            _ => {}
        }
        visitor::walk_pattern(self, pattern);
    }
}

fn span(range: TextRange) -> Span {
    Span { start: u32::from(range.start()), end: u32::from(range.end()) }
}

/// Ids are 32 bits wide: a file of at most 32 MiB has fewer things in it.
fn id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
