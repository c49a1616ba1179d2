//! `textDocument/codeAction`: from a diagnostic to the holder, to the line that stores, to the referrers; and a way to silence it.

use serde_json::json;
use tower_lsp::ls_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams, CodeActionResponse, Command,
    Diagnostic, NumberOrString,
};

use super::{Moment, touch};
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
    let mut sites = moment.drawn_in(&params.text_document.uri);
    sites.retain(|site| touch(site.located.range, params.range));
    sites.sort_by_key(|site| site.part == Part::Definition);
    for site in &sites {
        let diagnostic = params
            .context
            .diagnostics
            .iter()
            .find(|diagnostic| is_of(diagnostic, site));
        for command in commands_at(&moment, site) {
            let key = (site.shown.finding.id.as_str(), command.title.clone());
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
    commands.push(command(
        format!("Ignore this holder `{}`", finding.holder.path),
        commands::IGNORE,
        json!({}),
    ));
    commands
}
