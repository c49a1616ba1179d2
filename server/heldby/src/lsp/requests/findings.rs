//! `heldby/findings`: all that is known, for clients with views of their own.

use heldby_finding::{Finding, Placement, Severity, StorePlace, words};
use serde::{Deserialize, Serialize};
use tower_lsp::ls_types::Location;

use super::Moment;
use crate::lsp::age;
use crate::lsp::diagnostics::is_silenced;
use crate::lsp::session::Session;
use crate::lsp::shown::{ShownFinding, Standing};

/// How they are wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FindingsParams {
    sort: Sort,
}

/// What comes first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Sort {
    /// The finding that matters most.
    #[default]
    Rank,
    /// The one that grew by most bytes between the first and the last dump.
    Growth,
    /// The one that holds most bytes.
    Retained,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FindingsResult {
    series: Vec<SeriesRow>,
    /// What to do to learn more.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
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
    /// What is held and how it grows, in few words.
    summary: String,
    /// The bytes it held in each dump, as a row of blocks.
    chart: String,
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

pub(crate) fn findings(session: &Session, params: &FindingsParams) -> FindingsResult {
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
        hint: shown.current().and_then(|view| hint(view.whole)),
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
    let grown = |row: &FindingRow| {
        let ends = row
            .retained_by_dump
            .first()
            .zip(row.retained_by_dump.last());
        ends.map_or(0, |(first, last)| last.saturating_sub(*first))
    };
    match params.sort {
        Sort::Rank => {}
        // Both keep the order of those that are alike.
        Sort::Growth => result
            .findings
            .sort_by_key(|row| std::cmp::Reverse(grown(row))),
        Sort::Retained => result
            .findings
            .sort_by_key(|row| std::cmp::Reverse(row.retained)),
    }
    result
}

fn hint(dumps: usize) -> Option<&'static str> {
    match dumps {
        1 => Some("Two more snapshots tell growth from size."),
        2 => Some("Take one more snapshot to tell growth from size."),
        _ => None,
    }
}

/// Numbers as blocks of growing height, the greatest the highest.
fn chart(numbers: &[u64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = numbers.iter().copied().max().unwrap_or(0).max(1);
    let block = |number: &u64| {
        let height = u128::from(*number) * (BLOCKS.len() as u128 - 1) / u128::from(most);
        // Below the number of blocks.
        BLOCKS[height as usize]
    };
    numbers.iter().map(block).collect()
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
        summary: super::commands::short(shown),
        chart: chart(&finding.growth.retained_bytes),
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

#[cfg(test)]
mod tests {
    use super::chart;

    #[test]
    fn a_chart_has_a_block_for_each_dump() {
        assert_eq!(chart(&[0, 50, 100]), "▁▄█");
        assert_eq!(chart(&[7, 7]), "██");
        assert_eq!(chart(&[0]), "▁");
        assert_eq!(chart(&[u64::MAX, 0]), "█▁");
    }
}
