//! `heldby/expression`: what the cursor is on, as an expression that a debugger can look up without calling anything.

use serde::Serialize;
use tower_lsp::ls_types::TextDocumentPositionParams;

use crate::lsp::documents;
use crate::lsp::session::Session;

#[derive(Debug, Serialize)]
pub(crate) struct ExpressionResult {
    expression: String,
}

pub(crate) fn expression(
    session: &Session,
    params: &TextDocumentPositionParams,
) -> Option<ExpressionResult> {
    let documents = documents::snapshot();
    let lines = &documents.get(&params.text_document.uri)?.text.lines;
    let offset = lines.offset(params.position, session.documents.encoding());
    let (start, end) = heldby_source::expression_at(lines.text(), u32::try_from(offset).ok()?)?;
    let expression = lines.text().get(start as usize..end as usize)?.to_owned();
    Some(ExpressionResult { expression })
}
