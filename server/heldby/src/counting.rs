//! From a finding's store sites to the lines that are counted in the program, and back.

use heldby_capture::CountedLines;
use heldby_finding::Finding;

/// The lines of each store site as they ran; `None` where these are not known any more.
pub(crate) fn lines_of(finding: &Finding) -> Vec<Option<CountedLines>> {
    let lines = |store: &heldby_finding::StorePlace| {
        let ran_at = store.ran_at.as_ref()?;
        Some(CountedLines {
            file: ran_at.file.clone(),
            first: ran_at.first,
            last: ran_at.last,
            function: store.enclosing.clone(),
        })
    };
    finding.stores.iter().map(lines).collect()
}

/// How often each site ran, from what was counted of those that have lines.
pub(crate) fn runs_of(sites: &[Option<CountedLines>], counted: &[Option<u64>]) -> Vec<Option<u64>> {
    let mut counted = counted.iter();
    let runs = |site: &Option<CountedLines>| {
        site.as_ref()
            .and_then(|_| counted.next().copied().flatten())
    };
    sites.iter().map(runs).collect()
}
