//! The expression that a position in a text is about: a name, what follows it up to there, no call.

use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{Expr, ExprContext, Stmt};
use ruff_text_size::{Ranged as _, TextRange, TextSize};

/// The range in bytes of the innermost name, attribute or item at an offset, of which nothing calls code but by an attribute's or
/// an item's own access.
pub(super) fn expression_at(suite: &[Stmt], offset: u32) -> Option<(u32, u32)> {
    let mut finder = Finder {
        offset: TextSize::from(offset),
        found: None,
    };
    finder.visit_body(suite);
    let range = finder.found?;
    Some((u32::from(range.start()), u32::from(range.end())))
}

struct Finder {
    offset: TextSize,
    found: Option<TextRange>,
}

impl Visitor<'_> for Finder {
    fn visit_expr(&mut self, expression: &Expr) {
        if !expression.range().contains_inclusive(self.offset) {
            return;
        }
        // In `a.b.c` the name under the cursor says how far: `b` means `a.b`.
        let names_it = match expression {
            Expr::Name(name) => name.ctx != ExprContext::Del,
            Expr::Attribute(attribute) => attribute.attr.range.contains_inclusive(self.offset),
            Expr::Subscript(subscript) => subscript.value.range().end() <= self.offset,
            _ => false,
        };
        if names_it && is_plain(expression) {
            self.found = Some(expression.range());
        }
        walk_expr(self, expression);
    }
}

/// Whether evaluating it only looks things up.
fn is_plain(expression: &Expr) -> bool {
    match expression {
        Expr::Name(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::BytesLiteral(_)
        | Expr::BooleanLiteral(_)
        | Expr::NoneLiteral(_) => true,
        Expr::Attribute(attribute) => is_plain(&attribute.value),
        Expr::Subscript(subscript) => is_plain(&subscript.value) && is_plain(&subscript.slice),
        Expr::Tuple(tuple) => tuple.elts.iter().all(is_plain),
        Expr::UnaryOp(operation) => is_plain(&operation.operand),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::expression_at;

    /// The expression at the mark `$`.
    fn at(marked: &str) -> Option<&str> {
        let offset = marked.find('$').expect("a mark");
        let text: String = marked.replace('$', "");
        let (start, end) = expression_at(&text, u32::try_from(offset).expect("short"))?;
        let (start, end) = (start as usize, end as usize);
        // The mark is inside or at an end of it.
        let shift = |at: usize| if at > offset { at + 1 } else { at };
        Some(marked[shift(start)..shift(end)].trim_matches('$'))
    }

    #[test]
    fn the_name_under_the_cursor_says_how_far() {
        assert_eq!(at("pho$to.data.size"), Some("pho$to"));
        assert_eq!(at("photo.da$ta.size"), Some("photo.da$ta"));
        assert_eq!(at("photo.data.size$"), Some("photo.data.size"));
        assert_eq!(at("upload(pho$to)"), Some("pho$to"));
        assert_eq!(at("def f(x):\n    x.i$tems[0] = 1\n"), Some("x.i$tems"));
        assert_eq!(at("x.items[0$]"), Some("x.items[0$]"));
        assert_eq!(at("x.items[in$dex]"), Some("in$dex"));
    }

    #[test]
    fn nothing_is_called() {
        assert_eq!(at("make().na$me"), None);
        assert_eq!(at("photos[f()$]"), None);
        assert_eq!(at("x = 1  # no na$me"), None);
    }
}
