//! The report as JSON: the contract that programs outside read.

use heldby_finding::{
    DumpSummary, Evidence, Finding, Holder, Place, Placement, ProcessReport, Role, Severity,
    StorePlace,
};
use serde::Serialize;

/// The version of the contract.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    dumps: Vec<DumpRow<'a>>,
    findings: Vec<FindingRow<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    processes: Vec<ProcessRow<'a>>,
}

#[derive(Serialize)]
struct ProcessRow<'a> {
    pid: u64,
    dumps: Vec<DumpRow<'a>>,
    findings: Vec<FindingRow<'a>>,
}

#[derive(Serialize)]
struct DumpRow<'a> {
    path: &'a str,
    objects: u64,
    references: u64,
    bytes: u64,
    agent: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    fallback: &'a str,
    problems: &'a [String],
}

#[derive(Serialize)]
struct FindingRow<'a> {
    id: &'a str,
    severity: &'static str,
    holder: HolderRow<'a>,
    holders: Vec<HolderRow<'a>>,
    access_path: &'a str,
    also_held_by: &'a [String],
    limits: LimitsRow<'a>,
    held: HeldRow<'a>,
    growth: GrowthRow<'a>,
    allocations: [(); 0],
    stores: Vec<StoreRow<'a>>,
    chain: Vec<HopRow<'a>>,
}

#[derive(Serialize)]
struct LimitsRow<'a> {
    bound: Option<&'a str>,
    removals: Vec<PlaceRow<'a>>,
    keys_hold_instances: bool,
}

#[derive(Serialize)]
struct HolderRow<'a> {
    kind: &'a str,
    path: &'a str,
    #[serde(rename = "type")]
    type_name: &'a str,
    definition: Option<PlaceRow<'a>>,
}

#[derive(Serialize)]
struct HeldRow<'a> {
    #[serde(rename = "type")]
    type_name: &'a str,
    count: u64,
    retained: u64,
}

#[derive(Serialize)]
struct GrowthRow<'a> {
    proven: bool,
    counts: &'a [u64],
    retained: &'a [u64],
}

#[derive(Serialize)]
struct HopRow<'a> {
    object: &'a str,
    reference: &'a str,
}

#[derive(Serialize)]
struct RangeRow {
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
struct PlaceRow<'a> {
    file: &'a str,
    #[serde(flatten)]
    range: Option<RangeRow>,
    evidence: &'static str,
    placement: &'static str,
}

#[derive(Serialize)]
struct StoreRow<'a> {
    #[serde(flatten)]
    place: PlaceRow<'a>,
    role: &'static str,
    /// Where it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<u64>,
}

/// Writes the report on all processes. The first one's dumps and findings stand at the top.
///
/// # Errors
/// When the text cannot be made, which no report causes.
pub(crate) fn to_json(reports: &[ProcessReport]) -> serde_json::Result<String> {
    let first = reports.first();
    let processes = if reports.len() > 1 { reports } else { &[] };
    serde_json::to_string_pretty(&Report {
        version: VERSION,
        dumps: first.map(dumps).unwrap_or_default(),
        findings: first.map(findings).unwrap_or_default(),
        processes: processes
            .iter()
            .map(|report| ProcessRow {
                pid: report.pid,
                dumps: dumps(report),
                findings: findings(report),
            })
            .collect(),
    })
}

fn dumps(report: &ProcessReport) -> Vec<DumpRow<'_>> {
    report.dumps.iter().map(dump).collect()
}

fn dump(dump: &DumpSummary) -> DumpRow<'_> {
    let DumpSummary {
        path,
        objects,
        references,
        bytes,
        agent,
        fallback,
        problems,
    } = dump;
    DumpRow {
        path,
        objects: *objects,
        references: *references,
        bytes: *bytes,
        agent,
        fallback,
        problems,
    }
}

fn findings(report: &ProcessReport) -> Vec<FindingRow<'_>> {
    report.findings.iter().map(finding).collect()
}

fn finding(finding: &Finding) -> FindingRow<'_> {
    FindingRow {
        id: &finding.id,
        severity: match finding.severity {
            Severity::Warning => "warning",
            Severity::Information => "information",
        },
        holder: holder(&finding.holder),
        holders: finding.holders.iter().map(holder).collect(),
        access_path: &finding.access_path,
        also_held_by: &finding.also_held_by,
        limits: LimitsRow {
            bound: finding.limits.bound.as_deref(),
            removals: finding.limits.removals.iter().map(place).collect(),
            keys_hold_instances: finding.limits.keys_hold_instances,
        },
        held: HeldRow {
            type_name: &finding.held.type_name,
            count: finding.held.count,
            retained: finding.held.retained_bytes,
        },
        growth: GrowthRow {
            proven: finding.growth.proven,
            counts: &finding.growth.counts,
            retained: &finding.growth.retained_bytes,
        },
        allocations: [],
        stores: finding.stores.iter().map(store).collect(),
        chain: finding
            .chain
            .iter()
            .map(|hop| HopRow {
                object: &hop.object,
                reference: &hop.reference,
            })
            .collect(),
    }
}

fn holder(holder: &Holder) -> HolderRow<'_> {
    HolderRow {
        kind: holder.kind,
        path: &holder.path,
        type_name: &holder.type_name,
        definition: holder.definition.as_ref().map(place),
    }
}

fn store(store: &StorePlace) -> StoreRow<'_> {
    StoreRow {
        place: place(&store.place),
        role: role(store.role),
        runs: store.runs,
    }
}

/// A role, as programs read it.
pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Store => "store",
        Role::Caller => "caller",
        Role::Call => "call",
        Role::Raise => "raise",
    }
}

/// Evidence, as programs read it.
pub(crate) fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Observed => "observed",
        Evidence::Confirmed => "confirmed",
        Evidence::Inferred => "inferred",
    }
}

/// A placement, as programs read it.
pub(crate) fn placement(placement: Placement) -> &'static str {
    match placement {
        Placement::Exact => "exact",
        Placement::Moved => "moved",
        Placement::Changed => "changed",
        Placement::Lost => "lost",
    }
}

fn place(place: &Place) -> PlaceRow<'_> {
    PlaceRow {
        file: &place.file,
        range: place.range.map(|range| RangeRow {
            line: range.line,
            column: range.column,
            end_line: range.end_line,
            end_column: range.end_column,
        }),
        evidence: evidence(place.evidence),
        placement: placement(place.placement),
    }
}
