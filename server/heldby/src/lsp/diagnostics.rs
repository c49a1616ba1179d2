//! Findings as diagnostics: a warning on the line that creates the references, one on the user's own line that calls it, a hint
//! where the holder is defined.

use std::collections::BTreeMap;

use heldby_finding::{Finding, Place, Placement, Severity, StorePlace, words};
use serde_json::json;
use tower_lsp::ls_types::{
    CodeDescription, Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, NumberOrString,
    Uri,
};

use super::age;
use super::configuration::{Abilities, Configuration};
use super::explanations::Explanations;
use super::places::{Located, Places};
use super::shown::{ShownFinding, Standing, View};
use crate::silencing;

/// Names us in the list of an editor.
pub(crate) const SOURCE: &str = "heldby";
/// Places of the chain that a diagnostic names, holder first.
const MOST_HOPS: usize = 5;
/// Findings without proven growth that are drawn.
const MOST_INFORMATION: usize = 20;

/// What a diagnostic says of its finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Creates the references.
    Store,
    /// The user's own line that makes a library create them.
    Caller,
    /// Where the holder is defined.
    Definition,
}

impl Part {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Caller => "caller",
            Self::Definition => "definition",
        }
    }
}

/// A site of a finding in today's text, and what is drawn there.
#[derive(Debug, Clone)]
pub(crate) struct Drawn<'a> {
    pub(crate) shown: &'a ShownFinding,
    pub(crate) part: Part,
    pub(crate) located: Located,
    /// The store site that is drawn, if it is one.
    pub(crate) store: Option<&'a StorePlace>,
}

/// Which findings are drawn: not what is silenced, and of those without proven growth the largest.
pub(crate) fn drawn_findings<'a>(
    view: &'a View,
    places: &Places<'_>,
    configuration: &Configuration,
) -> Vec<&'a ShownFinding> {
    let mut information = 0;
    let is_drawn = |shown: &&ShownFinding| {
        let finding = &shown.finding;
        if is_silenced(finding, places, configuration) {
            return false;
        }
        if finding.severity == Severity::Warning {
            return true;
        }
        information += 1;
        information <= MOST_INFORMATION
    };
    view.findings.iter().filter(is_drawn).collect()
}

/// Whether the settings, or a comment on one of its lines, say that a finding is not to be told of.
pub(crate) fn is_silenced(
    finding: &Finding,
    places: &Places<'_>,
    configuration: &Configuration,
) -> bool {
    configuration.ignores(&finding.holder.path, &finding.access_path, &finding.id)
        || silencing::by_comment(finding, &|place| places.last_line(place))
}

/// The sites of a finding that are drawn.
pub(crate) fn sites<'a>(shown: &'a ShownFinding, places: &Places<'_>) -> Vec<Drawn<'a>> {
    let finding = &shown.finding;
    let mut drawn = Vec::new();
    let mut draw = |part, place: &Place, store: Option<&'a StorePlace>| {
        if let Some(located) = places.locate(place) {
            drawn.push(Drawn {
                shown,
                part,
                located,
                store,
            });
            return true;
        }
        false
    };
    let best = finding.stores.first();
    let has_store = best.is_some_and(|store| draw(Part::Store, &store.place, Some(store)));
    if let Some(caller) = finding.users_own_store() {
        draw(Part::Caller, &caller.place, Some(caller));
    }
    if let Some(definition) = &finding.holder.definition {
        let is_the_store = best.is_some_and(|store| store.place == *definition);
        if !is_the_store || !has_store {
            draw(Part::Definition, definition, None);
        }
    }
    drawn
}

/// All diagnostics of a series, by document.
pub(crate) fn diagnostics(
    view: &View,
    places: &Places<'_>,
    configuration: &Configuration,
    abilities: &Abilities,
    explanations: &Explanations,
) -> BTreeMap<String, (Uri, Vec<Diagnostic>)> {
    let age = age::words(age::since(view.taken_at_nanoseconds()));
    let mut found: BTreeMap<String, (Uri, Vec<Diagnostic>)> = BTreeMap::new();
    for shown in drawn_findings(view, places, configuration) {
        let finding = &shown.finding;
        let sites = sites(shown, places);
        let has_store = sites.iter().any(|site| site.part != Part::Definition);
        for site in &sites {
            let path = super::uris::path_of(&site.located.uri);
            let settings = configuration.of_file(path.as_deref());
            if finding.severity == Severity::Information && !settings.information {
                continue;
            }
            let diagnostic = Diagnostic {
                range: site.located.range,
                severity: Some(severity(site, has_store)),
                code: Some(NumberOrString::String(finding.holder.kind.to_owned())),
                code_description: abilities
                    .code_description
                    .then(|| explanations.uri(finding.holder.kind))
                    .flatten()
                    .map(|href| CodeDescription { href }),
                source: Some(SOURCE.to_owned()),
                message: message(site, view, &age),
                related_information: abilities
                    .related_information
                    .then(|| related(site, places))
                    .filter(|related| !related.is_empty()),
                tags: None,
                data: abilities.diagnostic_data.then(
                    || json!({"series": view.id, "finding": finding.id, "part": site.part.word()}),
                ),
            };
            let entry = found
                .entry(site.located.uri.as_str().to_owned())
                .or_insert_with(|| (site.located.uri.clone(), Vec::new()));
            entry.1.push(diagnostic);
        }
    }
    for (_, diagnostics) in found.values_mut() {
        diagnostics.sort_by_key(|diagnostic| {
            (
                diagnostic.range.start,
                diagnostic.severity != Some(DiagnosticSeverity::WARNING),
                diagnostic.message.clone(),
            )
        });
    }
    found
}

fn severity(site: &Drawn<'_>, has_store: bool) -> DiagnosticSeverity {
    let is_faint = site.shown.standing == Standing::Before
        || site.located.placement == Placement::Changed
        || (site.part == Part::Definition && has_store);
    if is_faint {
        return DiagnosticSeverity::HINT;
    }
    match site.shown.finding.severity {
        Severity::Warning => DiagnosticSeverity::WARNING,
        Severity::Information => DiagnosticSeverity::INFORMATION,
    }
}

fn message(site: &Drawn<'_>, view: &View, age: &str) -> String {
    let finding = &site.shown.finding;
    let title = words::title(finding);
    let mut message = match site.part {
        Part::Store => title,
        Part::Caller => format!("{title} (in the code that this calls)"),
        Part::Definition => {
            let held = words::held(finding);
            format!("{} holds {held}", words::holder(&finding.holder))
        }
    };
    match site.shown.standing {
        Standing::Before => {
            message
                .push_str("; seen in the session before, take three dumps of this one to compare");
        }
        Standing::New => message.push_str("; new since the session before"),
        Standing::StillThere => message.push_str("; still there since the session before"),
        Standing::Unknown => {}
    }
    if site.part != Part::Definition
        && finding.severity == Severity::Information
        && view.whole < super::shown::DUMPS_THAT_PROVE
    {
        message.push_str("; ");
        message.push_str(words::take_more_dumps());
    }
    if let Some(note) = words::placement_note(site.located.placement)
        && site.located.placement != Placement::Moved
    {
        message.push_str("; ");
        message.push_str(note);
    }
    let evidence = site.store.map(words::evidence_of).or_else(|| {
        let definition = finding.holder.definition.as_ref()?;
        Some(words::evidence(definition.evidence).to_owned())
    });
    message.push_str(" [");
    if let Some(evidence) = evidence {
        message.push_str(&evidence);
        message.push_str("; ");
    }
    message.push_str("dump ");
    message.push_str(age);
    message.push(']');
    message
}

/// The places of the chain, holder first; then the other lines that store.
fn related(site: &Drawn<'_>, places: &Places<'_>) -> Vec<DiagnosticRelatedInformation> {
    let finding = &site.shown.finding;
    let mut related: Vec<DiagnosticRelatedInformation> = Vec::new();
    let mut add = |place: &Place, message: String| {
        if related.len() >= MOST_HOPS {
            return;
        }
        let Some(located) = places.locate(place) else {
            return;
        };
        if located.location() == site.located.location()
            || related
                .iter()
                .any(|known| known.location == located.location())
        {
            return;
        }
        related.push(DiagnosticRelatedInformation {
            location: located.location(),
            message,
        });
    };
    if let Some(definition) = &finding.holder.definition {
        add(definition, words::definition_label(&finding.holder));
    }
    for (at, store) in finding.stores.iter().take(3).enumerate() {
        add(&store.place, words::store_label(store, at == 0));
    }
    for holder in &finding.holders {
        if holder.path != finding.holder.path
            && let Some(definition) = &holder.definition
        {
            add(
                definition,
                format!("on the chain: {}", words::holder(holder)),
            );
        }
    }
    related
}
