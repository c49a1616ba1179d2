//! The statements of a module, each with the definition around it: all that placing sites in edited text needs of the
//! syntax, for less than [`super::parse`] takes. Recursive: runs where [`super::nesting`] has made room.

use ruff_python_ast::{Decorator, ExceptHandler, Expr, Stmt};
use ruff_text_size::{Ranged, TextRange};

use super::headers;
use super::lower::{id, span};
use crate::text::Span;

/// The statements and definitions of a module.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// In file order; the module itself is the first.
    pub(crate) definitions: Vec<Definition>,
    /// In file order. No two overlap.
    pub(crate) statements: Vec<Statement>,
}

/// The module, a class or a function.
#[derive(Debug)]
pub(crate) struct Definition {
    /// As CPython writes it; empty for the module.
    pub(crate) qualname: String,
    /// Index of the definition around it.
    pub(crate) parent: Option<u32>,
    /// `class Name(…)`, `def name(…)`; empty for the module.
    pub(crate) header: Span,
    /// From its first decorator to its last statement.
    pub(crate) whole: Span,
    function: bool,
}

/// A simple statement, or what stands before the colon of a compound one: a block is never part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    /// Without comments and line ends around it.
    pub(crate) span: Span,
    /// Index of the innermost definition around it. A header and its decorators belong to what they define.
    pub(crate) definition: u32,
    /// It is an assignment or a call, and so can create a reference.
    pub(crate) stores: bool,
}

/// The outline of a module's body.
pub(super) fn outline(body: &[Stmt], text: &str) -> Outline {
    let whole = Span {
        start: 0,
        end: id(text.len()),
    };
    let module = Definition {
        qualname: String::new(),
        parent: None,
        header: Span::default(),
        whole,
        function: false,
    };
    let mut outliner = Outliner {
        text,
        outline: Outline {
            definitions: vec![module],
            statements: Vec::new(),
        },
    };
    outliner.body(body, 0);
    outliner.outline
}

struct Outliner<'t> {
    text: &'t str,
    outline: Outline,
}

impl Outliner<'_> {
    fn body(&mut self, body: &[Stmt], definition: u32) {
        for stmt in body {
            self.stmt(stmt, definition);
        }
    }

    fn stmt(&mut self, stmt: &Stmt, definition: u32) {
        match stmt {
            Stmt::FunctionDef(def) => {
                let header = headers::of_function(def, self.text);
                let inner = self.define(&def.name.id, definition, header, def.range, true);
                self.header(&def.decorator_list, header, inner);
                self.body(&def.body, inner);
            }
            Stmt::ClassDef(def) => {
                let header = headers::of_class(def, self.text);
                let inner = self.define(&def.name.id, definition, header, def.range, false);
                self.header(&def.decorator_list, header, inner);
                self.body(&def.body, inner);
            }
            Stmt::For(each) => {
                self.head(stmt, &*each.iter, definition);
                self.body(&each.body, definition);
                self.body(&each.orelse, definition);
            }
            Stmt::While(each) => {
                self.head(stmt, &*each.test, definition);
                self.body(&each.body, definition);
                self.body(&each.orelse, definition);
            }
            Stmt::If(choice) => {
                self.head(stmt, &*choice.test, definition);
                self.body(&choice.body, definition);
                for clause in &choice.elif_else_clauses {
                    if let Some(test) = &clause.test {
                        self.head(clause, test, definition);
                    }
                    self.body(&clause.body, definition);
                }
            }
            Stmt::With(with) => {
                if let Some(last) = with.items.last() {
                    self.head(stmt, last, definition);
                }
                self.body(&with.body, definition);
            }
            Stmt::Match(choice) => {
                self.head(stmt, &*choice.subject, definition);
                for case in &choice.cases {
                    match &case.guard {
                        Some(guard) => self.head(case, &**guard, definition),
                        None => self.head(case, &case.pattern, definition),
                    }
                    self.body(&case.body, definition);
                }
            }
            Stmt::Try(attempt) => {
                self.body(&attempt.body, definition);
                for ExceptHandler::ExceptHandler(handler) in &attempt.handlers {
                    match (&handler.name, &handler.type_) {
                        (Some(name), _) => self.head(handler, name, definition),
                        (None, Some(caught)) => self.head(handler, &**caught, definition),
                        (None, None) => {}
                    }
                    self.body(&handler.body, definition);
                }
                self.body(&attempt.orelse, definition);
                self.body(&attempt.finalbody, definition);
            }
            Stmt::Assign(_) | Stmt::AugAssign(_) | Stmt::AnnAssign(_) => {
                self.statement(span(stmt.range()), definition, true);
            }
            Stmt::Expr(expr) => {
                let stores = matches!(*expr.value, Expr::Call(_));
                self.statement(span(stmt.range()), definition, stores);
            }
            Stmt::Return(_)
            | Stmt::Delete(_)
            | Stmt::TypeAlias(_)
            | Stmt::Raise(_)
            | Stmt::Assert(_)
            | Stmt::Import(_)
            | Stmt::ImportFrom(_)
            | Stmt::Global(_)
            | Stmt::Nonlocal(_)
            | Stmt::Pass(_)
            | Stmt::Break(_)
            | Stmt::Continue(_)
            | Stmt::IpyEscapeCommand(_) => {
                self.statement(span(stmt.range()), definition, false);
            }
        }
    }

    fn define(
        &mut self,
        name: &str,
        parent: u32,
        header: Span,
        whole: TextRange,
        function: bool,
    ) -> u32 {
        let outer = &self.outline.definitions[parent as usize];
        let qualname = match (parent, outer.function) {
            (0, _) => name.to_owned(),
            (_, true) => format!("{}.<locals>.{name}", outer.qualname),
            (_, false) => format!("{}.{name}", outer.qualname),
        };
        self.outline.definitions.push(Definition {
            qualname,
            parent: Some(parent),
            header,
            whole: span(whole),
            function,
        });
        id(self.outline.definitions.len() - 1)
    }

    fn header(&mut self, decorators: &[Decorator], header: Span, definition: u32) {
        for decorator in decorators {
            self.statement(span(decorator.range), definition, false);
        }
        self.statement(header, definition, false);
    }

    fn head(&mut self, first: &impl Ranged, last: &impl Ranged, definition: u32) {
        let span = Span {
            start: u32::from(first.start()),
            end: u32::from(last.end()),
        };
        self.statement(span, definition, false);
    }

    /// In a broken text a statement can end with what is left of the file, or be empty.
    fn statement(&mut self, span: Span, definition: u32, stores: bool) {
        let text = self.text.as_bytes();
        let text = text.get(span.start as usize..span.end as usize);
        let length = text.unwrap_or_default().trim_ascii_end().len();
        if length > 0 {
            self.outline.statements.push(Statement {
                span: Span {
                    start: span.start,
                    end: span.start + id(length),
                },
                definition,
                stores,
            });
        }
    }
}
