//! `textDocument/inlayHint`: behind the definition of a holder, what it holds. Off until asked for.

use tower_lsp::ls_types::{
    InlayHint, InlayHintLabel, InlayHintLabelPart, InlayHintLabelPartTooltip, InlayHintParams,
    Position,
};

use super::{Moment, commands, touch};
use crate::lsp::diagnostics::{Part, drawn_findings};
use crate::lsp::session::Session;

pub(crate) fn inlay_hints(session: &Session, params: &InlayHintParams) -> Option<Vec<InlayHint>> {
    let uri = &params.text_document.uri;
    let path = crate::lsp::uris::path_of(uri);
    let configuration = session.configuration();
    if !configuration.of_file(path.as_deref()).inlay_hints {
        return Some(Vec::new());
    }
    let moment = Moment::now(session)?;
    let document = moment.document(uri)?;
    let encoding = session.documents.encoding();
    let end_of = |line| document.text.lines.end_of(line, encoding);
    let mut hints: Vec<InlayHint> = Vec::new();
    for shown in drawn_findings(&moment.view, &moment.places(), &configuration) {
        let finding = &shown.finding;
        let definition = finding.holder.definition.as_ref();
        let Some(located) = definition
            .and_then(|definition| moment.locate(definition))
            .filter(|located| located.uri == *uri && touch(located.range, params.range))
        else {
            continue;
        };
        let end = end_of(located.range.start.line);
        let store = finding
            .stores
            .iter()
            .find_map(|store| moment.locate(&store.place));
        let label = InlayHintLabelPart {
            value: commands::short(shown),
            tooltip: Some(InlayHintLabelPartTooltip::String(format!(
                "{}: {}",
                Part::Definition.word(),
                heldby_finding::words::holder(&finding.holder)
            ))),
            location: store.map(|store| store.location()),
            command: None,
        };
        hints.push(hint(end, InlayHintLabel::LabelParts(vec![label])));
    }
    for site in moment.class_sites(uri) {
        if touch(site.located.range, params.range) {
            let end = end_of(site.located.range.start.line);
            hints.push(hint(end, InlayHintLabel::String(site.words())));
        }
    }
    hints.sort_by_key(|hint| hint.position);
    Some(hints)
}

fn hint(position: Position, label: InlayHintLabel) -> InlayHint {
    InlayHint {
        position,
        label,
        kind: None,
        text_edits: None,
        tooltip: None,
        padding_left: Some(true),
        padding_right: None,
        data: None,
    }
}
