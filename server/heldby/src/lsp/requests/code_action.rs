//! `textDocument/codeAction`: from a diagnostic to the holder, to the line that stores, to the referrers; a mend where that is
//! mechanical; and a way to silence it.

use std::collections::HashMap;

use heldby_source::{Mend, Mendable};
use serde_json::json;
use tower_lsp::ls_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams, CodeActionResponse, Command,
    Diagnostic, DocumentChanges, NumberOrString, OneOf, OptionalVersionedTextDocumentIdentifier,
    TextDocumentEdit, TextEdit, Uri, WorkspaceEdit,
};

use super::{Moment, touch};
use crate::lsp::configuration::CONFIRM;
use crate::lsp::diagnostics::{Drawn, Part, SOURCE};
use crate::lsp::requests::commands;
use crate::lsp::session::Session;

pub(crate) fn code_action(
    session: &Session,
    params: &CodeActionParams,
) -> Option<CodeActionResponse> {
    let wanted = |kind: &CodeActionKind| {
        let Some(only) = &params.context.only else {
            return true;
        };
        only.iter().any(|wanted| {
            let (wanted, kind) = (wanted.as_str(), kind.as_str());
            kind == wanted
                || kind
                    .strip_prefix(wanted)
                    .is_some_and(|rest| wanted.is_empty() || rest.starts_with('.'))
        })
    };
    if !wanted(&CodeActionKind::QUICKFIX) {
        return None;
    }
    let moment = Moment::now(session)?;
    let literals = session.abilities().code_action_literals;
    let mut actions: Vec<CodeActionOrCommand> = Vec::new();
    let mut told: Vec<(&str, String)> = Vec::new();
    let mut mended: Vec<&str> = Vec::new();
    let mut sites = moment.drawn_in(&params.text_document.uri);
    sites.retain(|site| touch(site.located.range, params.range));
    sites.sort_by_key(|site| site.part == Part::Definition);
    for site in &sites {
        let diagnostic = params
            .context
            .diagnostics
            .iter()
            .find(|diagnostic| is_of(diagnostic, site));
        let finding = site.shown.finding.id.as_str();
        if literals
            && !mended.contains(&finding)
            && let Some(mend) = mend_of(&moment, site, &params.text_document.uri)
        {
            mended.push(finding);
            actions.push(CodeActionOrCommand::CodeAction(CodeAction {
                edit: Some(as_edit(&moment, &params.text_document.uri, &mend)),
                title: mend.title,
                kind: Some(CodeActionKind::QUICKFIX),
                diagnostics: diagnostic.map(|diagnostic| vec![diagnostic.clone()]),
                ..CodeAction::default()
            }));
        }
        for command in commands_at(&moment, site) {
            let key = (finding, command.title.clone());
            if told.contains(&key) {
                continue;
            }
            told.push(key);
            actions.push(if literals {
                CodeActionOrCommand::CodeAction(CodeAction {
                    title: command.title.clone(),
                    kind: Some(CodeActionKind::QUICKFIX),
                    diagnostics: diagnostic.map(|diagnostic| vec![diagnostic.clone()]),
                    is_preferred: Some(told.len() == 1),
                    command: Some(command),
                    ..CodeAction::default()
                })
            } else {
                CodeActionOrCommand::Command(command)
            });
        }
    }
    Some(actions)
}

/// What mends a finding, where its holder is defined in the document that is asked about.
fn mend_of(moment: &Moment<'_>, site: &Drawn<'_>, uri: &Uri) -> Option<Mend> {
    let holder = &site.shown.finding.holder;
    let mendable = match holder.kind {
        "default-argument" => Mendable::DefaultArgument,
        "function-cache" => Mendable::FunctionCache,
        _ => return None,
    };
    let definition = moment.locate(holder.definition.as_ref()?)?;
    if definition.uri != *uri {
        return None;
    }
    let lines = &moment.document(uri)?.text.lines;
    let offset = lines.offset(definition.range.start, moment.session.documents.encoding());
    // The mark of a decorator stands before it, the expression begins behind the `@`.
    let behind_mark = usize::from(lines.text()[offset..].starts_with('@'));
    heldby_source::mend(
        lines.text(),
        mendable,
        u32::try_from(offset + behind_mark).ok()?,
    )
}

/// The change of the document as the client takes it.
fn as_edit(moment: &Moment<'_>, uri: &Uri, mend: &Mend) -> WorkspaceEdit {
    let Some(document) = moment.document(uri) else {
        return WorkspaceEdit::default();
    };
    let encoding = moment.session.documents.encoding();
    let edits = mend.edits.iter().map(|edit| TextEdit {
        range: document
            .text
            .lines
            .range(edit.start as usize..edit.end as usize, encoding),
        new_text: edit.text.clone(),
    });
    if moment.session.abilities().document_changes {
        return WorkspaceEdit {
            document_changes: Some(DocumentChanges::Edits(vec![TextDocumentEdit {
                text_document: OptionalVersionedTextDocumentIdentifier {
                    uri: uri.clone(),
                    version: Some(document.version),
                },
                edits: edits.map(OneOf::Left).collect(),
            }])),
            ..WorkspaceEdit::default()
        };
    }
    WorkspaceEdit {
        changes: Some(HashMap::from([(uri.clone(), edits.collect())])),
        ..WorkspaceEdit::default()
    }
}

fn is_of(diagnostic: &Diagnostic, site: &Drawn<'_>) -> bool {
    if diagnostic.source.as_deref() != Some(SOURCE) {
        return false;
    }
    match diagnostic
        .data
        .as_ref()
        .and_then(|data| data.get("finding"))
    {
        Some(finding) => finding == site.shown.finding.id.as_str(),
        None => {
            diagnostic.range == site.located.range
                && diagnostic.code
                    == Some(NumberOrString::String(
                        site.shown.finding.holder.kind.to_owned(),
                    ))
        }
    }
}

/// What can be done at a site, the nearest holder first.
fn commands_at(moment: &Moment<'_>, site: &Drawn<'_>) -> Vec<Command> {
    let finding = &site.shown.finding;
    let command = |title: String, name: &str, more: serde_json::Value| {
        let mut argument = json!({"series": moment.view.id, "finding": finding.id});
        if let (Some(argument), Some(more)) = (argument.as_object_mut(), more.as_object()) {
            argument.extend(more.clone());
        }
        Command {
            title,
            command: name.to_owned(),
            arguments: Some(vec![argument]),
        }
    };
    let mut commands = Vec::new();
    let here = site.located.location();
    let mut holders: Vec<_> = finding.holders.iter().collect();
    // The holder itself is what is looked for; then what lies nearest to what is held.
    holders.sort_by_key(|holder| holder.path != finding.holder.path);
    for holder in holders {
        let located = holder
            .definition
            .as_ref()
            .and_then(|definition| moment.locate(definition));
        if located.is_some_and(|located| located.location() != here) {
            commands.push(command(
                format!("Go to holder `{}`", holder.path),
                commands::GO_TO_HOLDER,
                json!({"holder": holder.path}),
            ));
        }
    }
    let store = finding
        .stores
        .iter()
        .find_map(|store| moment.locate(&store.place));
    if store.is_some_and(|store| store.location() != here) {
        commands.push(command(
            format!("Go to store site of `{}`", finding.holder.path),
            commands::GO_TO_STORE,
            json!({}),
        ));
    }
    if moment.view.asked.is_some() {
        commands.push(command(
            format!("Show referrers of `{}`", finding.access_path),
            commands::SHOW_REFERRERS,
            json!({}),
        ));
    }
    if moment.session.abilities().counts_lines && !finding.stores.is_empty() {
        commands.push(command(
            format!(
                "Count how often the lines run that store into `{}`",
                finding.holder.path
            ),
            CONFIRM,
            json!({}),
        ));
    }
    commands.push(command(
        format!("Ignore this holder `{}`", finding.holder.path),
        commands::IGNORE,
        json!({}),
    ));
    commands
}
