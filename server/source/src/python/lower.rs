//! From the parser's syntax tree to ours. Recursive: runs where [`super::nesting`] has made room.

use ruff_python_ast::{self as ast, ExceptHandler, Stmt};
use ruff_text_size::{Ranged, TextRange};
use rustc_hash::FxHashSet;

use super::headers;
use super::tree::{
    Act, Binder, Decorator, Deed, How, Import, Kids, Node, NodeId, Parameter, Run, Scope, ScopeId,
    ScopeKind, Sym, Tree,
};
use crate::text::Span;

/// Lowers the body of the module whose text this is.
pub(super) fn lower(body: &[Stmt], text: &str) -> Tree {
    let mut lowering = Lowering {
        text,
        tree: Tree::default(),
        outer_names: FxHashSet::default(),
        run: Run::default(),
    };
    let name = lowering.sym("<module>");
    lowering.tree.scopes.push(Scope {
        kind: ScopeKind::Module,
        name,
        qualname: String::new(),
        parent: None,
        header: Span {
            start: 0,
            end: id(text.len()),
        },
        first: 0,
        decorators: Vec::new(),
        parameters: Vec::new(),
        bases: Vec::new(),
        result: None,
    });
    lowering.body(body, ScopeId::MODULE);
    lowering.finish()
}

pub(super) struct Lowering<'t> {
    text: &'t str,
    pub(super) tree: Tree,
    /// Names a scope declares `global` (true) or `nonlocal` (false).
    outer_names: FxHashSet<(ScopeId, Sym, bool)>,
    /// How often what comes next runs.
    pub(super) run: Run,
}

impl Lowering<'_> {
    fn finish(self) -> Tree {
        let Self {
            mut tree,
            outer_names,
            ..
        } = self;
        let mut outer_names: Vec<_> = outer_names.into_iter().collect();
        outer_names.sort_unstable();
        for (scope, name, global) in outer_names {
            let moved = tree.binders.remove(&(scope, name)).unwrap_or_default();
            let owner = if global {
                Some(ScopeId::MODULE)
            } else {
                std::iter::successors(tree.scope(scope).parent, |&at| tree.scope(at).parent).find(
                    |&at| {
                        tree.scope(at).kind == ScopeKind::Function
                            && tree.binders.contains_key(&(at, name))
                    },
                )
            };
            if let Some(owner) = owner {
                tree.binders.entry((owner, name)).or_default().extend(moved);
            }
        }
        tree
    }

    pub(super) fn sym(&mut self, name: &str) -> Sym {
        if let Some(&sym) = self.tree.by_name.get(name) {
            return sym;
        }
        let sym = Sym(id(self.tree.names.len()));
        self.tree.names.push(name.into());
        self.tree.by_name.insert(name.into(), sym);
        sym
    }

    pub(super) fn node(&mut self, node: Node) -> NodeId {
        self.tree.nodes.push(node);
        NodeId(id(self.tree.nodes.len() - 1))
    }

    pub(super) fn kids(&mut self, kids: &[NodeId]) -> Kids {
        let start = id(self.tree.kids.len());
        self.tree.kids.extend_from_slice(kids);
        Kids {
            start,
            len: id(kids.len()),
        }
    }

    pub(super) fn act(&mut self, scope: ScopeId, span: Span, deed: Deed) -> u32 {
        let run = self.run;
        self.tree.acts.push(Act {
            scope,
            span,
            deed,
            run,
        });
        id(self.tree.acts.len() - 1)
    }

    pub(super) fn bind_name(&mut self, scope: ScopeId, name: Sym, binder: Binder) {
        self.tree
            .binders
            .entry((scope, name))
            .or_default()
            .push(binder);
    }

    pub(super) fn body(&mut self, body: &[Stmt], scope: ScopeId) {
        for stmt in body {
            self.stmt(stmt, scope);
        }
    }

    /// A body that runs again and again.
    fn loop_body(&mut self, body: &[Stmt], scope: ScopeId) {
        let outer = self.run;
        self.run.repeats = true;
        self.body(body, scope);
        self.run = outer;
    }

    /// A body that runs on a condition.
    pub(super) fn branch(&mut self, body: &[Stmt], scope: ScopeId) {
        let outer = self.run;
        self.run.conditions = outer.conditions.saturating_add(1);
        self.body(body, scope);
        self.run = outer;
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
                let how = match assign.op {
                    ast::Operator::Sub | ast::Operator::BitAnd => How::Reduced,
                    _ => How::Augmented,
                };
                self.bind(&assign.target, Some(value), how, whole, scope);
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
                self.loop_body(&each.body, scope);
                self.body(&each.orelse, scope);
            }
            Stmt::While(each) => {
                self.expr(&each.test, scope);
                self.loop_body(&each.body, scope);
                self.body(&each.orelse, scope);
            }
            Stmt::If(choice) => {
                self.expr(&choice.test, scope);
                self.branch(&choice.body, scope);
                for clause in &choice.elif_else_clauses {
                    if let Some(test) = &clause.test {
                        self.expr(test, scope);
                    }
                    self.branch(&clause.body, scope);
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
                    let caught = handler
                        .type_
                        .as_deref()
                        .map(|caught| self.expr(caught, scope));
                    if let Some(name) = &handler.name {
                        let sym = self.sym(&name.id);
                        let target = self.node(Node::Name(sym));
                        let deed = Deed::Bind {
                            target,
                            value: caught,
                            how: How::Handler,
                        };
                        let act = self.act(scope, span(name.range), deed);
                        self.bind_name(scope, sym, Binder::Act(act));
                    }
                    self.branch(&handler.body, scope);
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
                    let local = if name == "*" {
                        None
                    } else {
                        Some(alias.asname.as_ref().map_or(name, |asname| asname.as_str()))
                    };
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

    fn import(
        &mut self,
        scope: ScopeId,
        module: &str,
        level: u32,
        name: Option<&str>,
        local: Option<&str>,
    ) {
        let local = local.map(|local| self.sym(local));
        let index = id(self.tree.imports.len());
        self.tree.imports.push(Import {
            module: module.to_owned(),
            level,
            name: name.map(str::to_owned),
            local,
        });
        if let Some(local) = local {
            self.bind_name(scope, local, Binder::Import(index));
        }
    }

    fn function(&mut self, def: &ast::StmtFunctionDef, scope: ScopeId) {
        let first = def
            .decorator_list
            .first()
            .map_or(def.start(), Ranged::start);
        let header = headers::of_function(def, self.text);
        let (decorators, parameters) = (
            self.decorators(&def.decorator_list, scope),
            self.parameters(&def.parameters, scope),
        );
        if let Some(returns) = &def.returns {
            self.expr(returns, scope);
        }
        let inner = self.scope(
            ScopeKind::Function,
            &def.name.id,
            scope,
            header,
            u32::from(first),
        );
        self.declare_parameters(inner, &parameters);
        self.decorate(inner, scope, decorators);
        let name = self.tree.scope(inner).name;
        self.bind_name(scope, name, Binder::Definition(inner));
        let outer = std::mem::take(&mut self.run);
        self.body(&def.body, inner);
        self.run = outer;
    }

    fn class(&mut self, def: &ast::StmtClassDef, scope: ScopeId) {
        let first = def
            .decorator_list
            .first()
            .map_or(def.start(), Ranged::start);
        let header = headers::of_class(def, self.text);
        let decorators = self.decorators(&def.decorator_list, scope);
        let mut bases = Vec::new();
        if let Some(arguments) = &def.arguments {
            bases.extend(arguments.args.iter().map(|base| self.expr(base, scope)));
            for keyword in &arguments.keywords {
                self.expr(&keyword.value, scope);
            }
        }
        let inner = self.scope(
            ScopeKind::Class,
            &def.name.id,
            scope,
            header,
            u32::from(first),
        );
        self.tree.scopes[inner.0 as usize].bases = bases;
        self.decorate(inner, scope, decorators);
        let name = self.tree.scope(inner).name;
        self.bind_name(scope, name, Binder::Definition(inner));
        self.body(&def.body, inner);
    }

    fn decorators(&mut self, list: &[ast::Decorator], scope: ScopeId) -> Vec<Decorator> {
        let mut decorators = Vec::new();
        for decorator in list {
            let expression = self.expr(&decorator.expression, scope);
            decorators.push(Decorator {
                expression,
                span: span(decorator.range),
            });
        }
        decorators
    }

    fn decorate(&mut self, inner: ScopeId, scope: ScopeId, decorators: Vec<Decorator>) {
        for decorator in &decorators {
            self.act(
                scope,
                decorator.span,
                Deed::Decorate {
                    decorator: decorator.expression,
                    of: inner,
                },
            );
        }
        self.tree.scopes[inner.0 as usize].decorators = decorators;
    }

    pub(super) fn scope(
        &mut self,
        kind: ScopeKind,
        name: &str,
        parent: ScopeId,
        header: Span,
        first: u32,
    ) -> ScopeId {
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
            result: None,
        });
        ScopeId(id(self.tree.scopes.len() - 1))
    }

    pub(super) fn parameters(
        &mut self,
        parameters: &ast::Parameters,
        scope: ScopeId,
    ) -> Vec<Parameter> {
        let mut lowered = Vec::new();
        let keyword_only = parameters.kwonlyargs.len();
        let count = parameters.posonlyargs.len() + parameters.args.len() + keyword_only;
        let each = parameters
            .posonlyargs
            .iter()
            .chain(&parameters.args)
            .chain(&parameters.kwonlyargs);
        for (index, with_default) in each.enumerate() {
            let default = with_default
                .default
                .as_deref()
                .map(|default| self.expr(default, scope));
            let positional = index < count - keyword_only;
            let parameter = self.parameter(
                &with_default.parameter,
                with_default.range,
                positional,
                scope,
            );
            lowered.push(Parameter {
                default,
                ..parameter
            });
        }
        for variadic in parameters.vararg.iter().chain(&parameters.kwarg) {
            lowered.push(self.parameter(variadic, variadic.range, false, scope));
        }
        lowered
    }

    fn parameter(
        &mut self,
        parameter: &ast::Parameter,
        range: TextRange,
        positional: bool,
        scope: ScopeId,
    ) -> Parameter {
        let annotation = parameter
            .annotation
            .as_deref()
            .map(|annotation| self.expr(annotation, scope));
        Parameter {
            name: self.sym(&parameter.name.id),
            span: span(range),
            annotation,
            default: None,
            positional,
        }
    }

    pub(super) fn declare_parameters(&mut self, function: ScopeId, parameters: &[Parameter]) {
        for (index, parameter) in parameters.iter().enumerate() {
            self.bind_name(function, parameter.name, Binder::Parameter(id(index)));
        }
        self.tree.scopes[function.0 as usize].parameters = parameters.to_vec();
    }
}

pub(super) fn span(range: TextRange) -> Span {
    Span {
        start: u32::from(range.start()),
        end: u32::from(range.end()),
    }
}

/// Ids are 32 bits wide: a file of at most 32 MiB has fewer things in it.
pub(super) fn id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
