//! Python: from text to the [`Tree`] the rest of the crate reads. The parser's own types end here.

mod expression;
mod headers;
mod lower;
mod lower_expressions;
mod mends;
mod nesting;
mod outline;
mod tree;

pub(crate) use outline::{Definition, Outline, Statement};
pub(crate) use tree::{
    Act, Argument, Binder, Deed, How, Import, Kids, Node, NodeId, Run, ScopeId, ScopeKind, Sym,
    Tree,
};

/// A parsed file.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// What the program does.
    pub(crate) tree: Tree,
    /// First syntax error: where (byte offset) and what.
    pub(crate) error: Option<(u32, String)>,
}

/// Parses a module. A broken one gives what could be read of it, with its first error.
pub(crate) fn parse(text: &str) -> Result<Parsed, String> {
    nesting::with_room_for(text, || {
        let parsed =
            ruff_python_parser::parse_unchecked_source(text, ruff_python_ast::PySourceType::Python);
        let error = parsed
            .errors()
            .first()
            .map(|error| (u32::from(error.location.start()), error.error.to_string()));
        Parsed {
            tree: lower::lower(parsed.suite(), text),
            error,
        }
    })
}

/// The outline of a module, and whether it is sound: a broken one gives what could be read of it.
pub(crate) fn outline(text: &str) -> Result<(Outline, bool), String> {
    nesting::with_room_for(text, || {
        let parsed =
            ruff_python_parser::parse_unchecked_source(text, ruff_python_ast::PySourceType::Python);
        (
            outline::outline(parsed.suite(), text),
            parsed.errors().is_empty(),
        )
    })
}

/// The expression at a byte offset that can be looked up without calling code: its range in bytes.
pub(crate) fn expression_at(text: &str, offset: u32) -> Option<(u32, u32)> {
    nesting::with_room_for(text, || {
        let parsed =
            ruff_python_parser::parse_unchecked_source(text, ruff_python_ast::PySourceType::Python);
        expression::expression_at(parsed.suite(), offset)
    })
    .ok()
    .flatten()
}

/// The mend for what leaks at a byte offset; none where the text is broken.
pub(crate) fn mend(text: &str, mendable: crate::Mendable, offset: u32) -> Option<crate::Mend> {
    nesting::with_room_for(text, || {
        let parsed =
            ruff_python_parser::parse_unchecked_source(text, ruff_python_ast::PySourceType::Python);
        if !parsed.errors().is_empty() {
            return None;
        }
        let suite = parsed.suite();
        match mendable {
            crate::Mendable::DefaultArgument => mends::default_argument(suite, text, offset),
            crate::Mendable::FunctionCache => mends::function_cache(suite, text, offset),
        }
    })
    .ok()
    .flatten()
}
