//! The report as text: findings as annotated source, as a compiler prints its warnings.

use heldby_finding::ProcessReport;

/// The report on all processes.
pub fn to_text(reports: &[ProcessReport]) -> String {
    format!("{reports:#?}")
}
