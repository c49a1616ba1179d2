//! The expressions of [`super::lower`], and what they bind: targets, walrus, comprehensions, patterns.

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{self as ast, Expr, MatchCase, Pattern};
use ruff_text_size::{Ranged, TextRange};

use super::lower::{Lowering, id, span};
use super::tree::{Argument, Binder, Deed, How, Kids, Node, NodeId, ScopeId, ScopeKind};
use crate::text::Span;

/// Longer strings are no names.
const LONGEST_NAME_BYTES: usize = 100;

impl Lowering<'_> {
    pub(super) fn case(&mut self, case: &MatchCase, subject: NodeId, scope: ScopeId) {
        let mut captures = Captures {
            names: Vec::new(),
            values: Vec::new(),
        };
        captures.visit_pattern(&case.pattern);
        for value in captures.values {
            self.expr(value, scope);
        }
        for name in captures.names {
            let sym = self.sym(&name.id);
            let target = self.node(Node::Name(sym));
            let act = self.act(
                scope,
                span(name.range),
                Deed::Bind {
                    target,
                    value: Some(subject),
                    how: How::With,
                },
            );
            self.bind_name(scope, sym, Binder::Act(act));
        }
        if let Some(guard) = &case.guard {
            self.expr(guard, scope);
        }
        self.branch(&case.body, scope);
    }

    /// Gives `target` the value: each name, attribute and subscript in it.
    pub(super) fn bind(
        &mut self,
        target: &Expr,
        value: Option<NodeId>,
        how: How,
        whole: Span,
        scope: ScopeId,
    ) {
        match target {
            Expr::Tuple(ast::ExprTuple { elts, .. }) | Expr::List(ast::ExprList { elts, .. }) => {
                let parts = match value.map(|value| self.tree.node(value)) {
                    Some(Node::Display(kids))
                        if how == How::Assign && kids.len as usize == elts.len() =>
                    {
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
                let target = self.node(Node::Name(sym));
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
        let lowered: Vec<NodeId> = exprs
            .into_iter()
            .map(|expr| self.expr(expr, scope))
            .collect();
        self.kids(&lowered)
    }

    pub(super) fn expr(&mut self, expr: &Expr, scope: ScopeId) -> NodeId {
        let node = match expr {
            Expr::Name(name) => Node::Name(self.sym(&name.id)),
            Expr::Attribute(attribute) => {
                let of = self.expr(&attribute.value, scope);
                Node::Attribute {
                    of,
                    name: self.sym(&attribute.attr.id),
                }
            }
            Expr::Subscript(subscript) => {
                let of = self.expr(&subscript.value, scope);
                let key = self.expr(&subscript.slice, scope);
                if subscript.ctx.is_load() {
                    let node = self.next_node();
                    self.act(scope, span(subscript.range), Deed::Item(node));
                }
                Node::Subscript { of, key }
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
                self.bind(
                    &named.target,
                    Some(value),
                    How::Assign,
                    span(named.range),
                    owner,
                );
                Node::Choice(self.kids(&[value]))
            }
            Expr::List(ast::ExprList { elts, .. })
            | Expr::Tuple(ast::ExprTuple { elts, .. })
            | Expr::Set(ast::ExprSet { elts, .. }) => Node::Display(self.exprs(elts, scope)),
            Expr::Dict(dict) => {
                let mut parts = Vec::new();
                for item in &dict.items {
                    let value = self.expr(&item.value, scope);
                    match &item.key {
                        Some(key) => parts.extend([value, self.expr(key, scope)]),
                        None => parts.push(self.node(Node::Spread(value))),
                    }
                }
                Node::Display(self.kids(&parts))
            }
            Expr::Starred(starred) => Node::Spread(self.expr(&starred.value, scope)),
            Expr::ListComp(ast::ExprListComp {
                elt, generators, ..
            })
            | Expr::SetComp(ast::ExprSetComp {
                elt, generators, ..
            })
            | Expr::Generator(ast::ExprGenerator {
                elt, generators, ..
            }) => self.comprehension(generators, [Some(&**elt), None], expr.range(), scope),
            Expr::DictComp(comp) => self.comprehension(
                &comp.generators,
                [Some(&*comp.value), comp.key.as_deref()],
                expr.range(),
                scope,
            ),
            Expr::Lambda(lambda) => {
                let parameters = match &lambda.parameters {
                    Some(parameters) => self.parameters(parameters, scope),
                    None => Vec::new(),
                };
                let inner = self.scope(
                    ScopeKind::Function,
                    "<lambda>",
                    scope,
                    span(lambda.range),
                    u32::from(lambda.start()),
                );
                self.declare_parameters(inner, &parameters);
                let outer = std::mem::take(&mut self.run);
                let value = self.expr(&lambda.body, inner);
                self.tree.scopes[inner.0 as usize].result = Some(value);
                self.act(inner, span(lambda.body.range()), Deed::Return(value));
                self.run = outer;
                Node::Lambda(inner)
            }
            Expr::StringLiteral(string) if string.value.len() <= LONGEST_NAME_BYTES => {
                Node::Text(self.sym(string.value.to_str()))
            }
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
                let kids = self.exprs(parts.parts, scope);
                match expr {
                    Expr::Slice(_) => Node::Slice(kids),
                    _ => Node::Other(kids),
                }
            }
        };
        self.node(node)
    }

    /// The node that is made next.
    fn next_node(&self) -> NodeId {
        NodeId(id(self.tree.nodes.len()))
    }

    fn call(&mut self, call: &ast::ExprCall, scope: ScopeId) -> Node {
        let callee = self.expr(&call.func, scope);
        let mut lowered = Vec::new();
        for value in &call.arguments.args {
            lowered.push(Argument {
                keyword: None,
                value: self.expr(value, scope),
            });
        }
        for keyword in &call.arguments.keywords {
            let mut value = self.expr(&keyword.value, scope);
            if keyword.arg.is_none() {
                value = self.node(Node::Spread(value));
            }
            lowered.push(Argument {
                keyword: keyword.arg.as_ref().map(|name| self.sym(&name.id)),
                value,
            });
        }
        let arguments = Kids {
            start: id(self.tree.arguments.len()),
            len: id(lowered.len()),
        };
        self.tree.arguments.append(&mut lowered);
        let node = self.next_node();
        self.act(scope, span(call.range()), Deed::Call(node));
        Node::Call { callee, arguments }
    }

    fn comprehension(
        &mut self,
        generators: &[ast::Comprehension],
        results: [Option<&Expr>; 2],
        range: TextRange,
        scope: ScopeId,
    ) -> Node {
        let inner = self.scope(
            ScopeKind::Comprehension,
            "<comprehension>",
            scope,
            span(range),
            u32::from(range.start()),
        );
        let outer = self.run;
        self.run.repeats = true;
        for (index, generator) in generators.iter().enumerate() {
            let value = self.expr(&generator.iter, if index == 0 { scope } else { inner });
            let head = span(TextRange::new(
                generator.target.start(),
                generator.iter.end(),
            ));
            self.bind(&generator.target, Some(value), How::Each, head, inner);
            for test in &generator.ifs {
                self.expr(test, inner);
            }
        }
        let results = self.exprs(results.into_iter().flatten(), inner);
        self.run = outer;
        Node::Display(results)
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
            Pattern::MatchAs(ast::PatternMatchAs { name, .. })
            | Pattern::MatchStar(ast::PatternMatchStar { name, .. }) => {
                self.names.extend(name);
            }
            Pattern::MatchMapping(mapping) => self.names.extend(&mapping.rest),
            _ => {}
        }
        visitor::walk_pattern(self, pattern);
    }
}
