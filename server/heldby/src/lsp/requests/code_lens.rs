//! `textDocument/codeLens`: above the definition of a holder and of a class, what is held. Off until asked for.

use serde_json::json;
use tower_lsp::ls_types::{CodeLens, CodeLensParams, Command};

use super::{Moment, commands};
use crate::lsp::diagnostics::drawn_findings;
use crate::lsp::session::Session;

pub(crate) fn code_lenses(session: &Session, params: &CodeLensParams) -> Option<Vec<CodeLens>> {
    let uri = &params.text_document.uri;
    let path = crate::lsp::uris::path_of(uri);
    let configuration = session.configuration();
    if !configuration.of_file(path.as_deref()).code_lenses {
        return Some(Vec::new());
    }
    let moment = Moment::now(session)?;
    let mut lenses = Vec::new();
    for shown in drawn_findings(&moment.view, &moment.places(), &configuration) {
        let finding = &shown.finding;
        let definition = finding.holder.definition.as_ref();
        let located = definition
            .and_then(|definition| moment.locate(definition))
            .filter(|located| located.uri == *uri);
        if let Some(located) = located {
            let argument = json!({"series": moment.view.id, "finding": finding.id});
            lenses.push(CodeLens {
                range: located.range,
                command: Some(Command {
                    title: commands::short(shown),
                    command: commands::GO_TO_STORE.to_owned(),
                    arguments: Some(vec![argument]),
                }),
                data: None,
            });
        }
    }
    for site in moment.class_sites(uri) {
        lenses.push(CodeLens {
            range: site.located.range,
            command: Some(Command {
                title: site.words(),
                command: commands::SHOW_REFERRERS.to_owned(),
                arguments: Some(vec![
                    json!({"series": moment.view.id, "type": site.class.name}),
                ]),
            }),
            data: None,
        });
    }
    lenses.sort_by_key(|lens| lens.range.start);
    Some(lenses)
}
