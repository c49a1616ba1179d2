//! `heldby/findings`: all that is known, for clients with views of their own.

use heldby_finding::{Finding, Placement, Severity, StorePlace, words};
use serde::{Deserialize, Serialize};
use tower_lsp::ls_types::Location;

use super::Moment;
use crate::lsp::age;
use crate::lsp::diagnostics::is_silenced;
use crate::lsp::session::Session;
use crate::lsp::shown::{ShownFinding, Standing};

/// Nothing is asked for yet; room for filters.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct FindingsParams {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FindingsResult {
    series: Vec<SeriesRow>,
    /// Of the series that is shown.
    findings: Vec<FindingRow>,
    /// Those that settings or comments silence.
    ignored: Vec<FindingRow>,
    /// Titles of the session before that are gone.
    fixed: Vec<String>,
    /// Dumps that could not be read.
    problems: Vec<ProblemRow>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SeriesRow {
    id: String,
    pid: u64,
    program: String,
    current: bool,
    /// Whether there are enough dumps to tell growth from size.
    can_tell_growth: bool,
    dumps: Vec<DumpRow>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DumpRow {
    path: String,
    /// Milliseconds since the epoch.
    taken_at: u64,
    age: String,
    objects: u64,
    bytes: u64,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingRow {
    id: String,
    title: String,
    severity: &'static str,
    standing: &'static str,
    access_path: String,
    holder: HolderRow,
    held_type: String,
    held_count: u64,
    retained: u64,
    growth_proven: bool,
    counts: Vec<u64>,
    retained_by_dump: Vec<u64>,
    help: String,
    holders: Vec<HolderRow>,
    stores: Vec<SiteRow>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HolderRow {
    kind: &'static str,
    path: String,
    #[serde(rename = "type")]
    type_name: String,
    definition: Option<Location>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SiteRow {
    role: &'static str,
    evidence: &'static str,
    placement: &'static str,
    user: bool,
    enclosing: String,
    /// As the dump's machine knows it, for sites that are lost.
    file: String,
    location: Option<Location>,
}

#[derive(Debug, Serialize)]
struct ProblemRow {
    path: String,
    message: String,
}

pub(crate) fn findings(session: &Session) -> FindingsResult {
    let shown = session.shown();
    let problems = shown.problems.iter().map(|(path, message)| ProblemRow {
        path: path.display().to_string(),
        message: message.clone(),
    });
    let series = shown.series.iter().enumerate().map(|(at, view)| SeriesRow {
        id: view.id.clone(),
        pid: view.pid,
        program: view.program.clone(),
        current: Some(at) == shown.current,
        can_tell_growth: view.whole >= crate::lsp::shown::DUMPS_THAT_PROVE,
        dumps: view
            .dumps
            .iter()
            .map(|dump| DumpRow {
                path: dump.path.display().to_string(),
                taken_at: dump.taken_at_nanoseconds / 1_000_000,
                age: age::words(age::since(dump.taken_at_nanoseconds)),
                objects: dump.objects,
                bytes: dump.bytes,
                problems: dump.problems.clone(),
            })
            .collect(),
    });
    let mut result = FindingsResult {
        series: series.collect(),
        findings: Vec::new(),
        ignored: Vec::new(),
        fixed: shown
            .current()
            .map(|view| view.fixed.clone())
            .unwrap_or_default(),
        problems: problems.collect(),
    };
    if let Some(moment) = Moment::now(session) {
        let configuration = session.configuration();
        for shown in &moment.view.findings {
            let row = row(&moment, shown);
            if is_silenced(&shown.finding, &moment.places(), &configuration) {
                result.ignored.push(row);
            } else {
                result.findings.push(row);
            }
        }
    }
    result
}

fn row(moment: &Moment<'_>, shown: &ShownFinding) -> FindingRow {
    let finding: &Finding = &shown.finding;
    let holder = |holder: &heldby_finding::Holder| HolderRow {
        kind: holder.kind,
        path: holder.path.clone(),
        type_name: holder.type_name.clone(),
        definition: holder
            .definition
            .as_ref()
            .and_then(|definition| moment.locate(definition))
            .map(|located| located.location()),
    };
    FindingRow {
        id: finding.id.clone(),
        title: words::title(finding),
        severity: match finding.severity {
            Severity::Warning => "warning",
            Severity::Information => "information",
        },
        standing: match shown.standing {
            Standing::Unknown => "unknown",
            Standing::New => "new",
            Standing::StillThere => "stillThere",
            Standing::Before => "before",
        },
        access_path: finding.access_path.clone(),
        holder: holder(&finding.holder),
        held_type: finding.held.type_name.clone(),
        held_count: finding.held.count,
        retained: finding.held.retained_bytes,
        growth_proven: finding.growth.proven,
        counts: finding.growth.counts.clone(),
        retained_by_dump: finding.growth.retained_bytes.clone(),
        help: words::help(finding),
        holders: finding.holders.iter().map(holder).collect(),
        stores: finding
            .stores
            .iter()
            .map(|store| site(moment, store))
            .collect(),
    }
}

fn site(moment: &Moment<'_>, store: &StorePlace) -> SiteRow {
    let located = moment.locate(&store.place);
    let placement = located
        .as_ref()
        .map_or(Placement::Lost, |located| located.placement);
    SiteRow {
        role: crate::report_json::role(store.role),
        evidence: crate::report_json::evidence(store.place.evidence),
        placement: crate::report_json::placement(placement),
        user: store.user,
        enclosing: store.enclosing.clone(),
        file: store.place.file.clone(),
        location: located.map(|located| located.location()),
    }
}
