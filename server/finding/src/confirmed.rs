//! Store sites that were counted in the running program: evidence, and another order.

use crate::{Evidence, Finding, Role};

/// Says of the finding's store sites how often each ran, `None` where that is not known, and puts those first that did. Among sites of the
/// same role those that ran more often come before those that ran less.
pub fn confirm(finding: &mut Finding, runs: &[Option<u64>]) {
    let mut roles: Vec<Role> = Vec::new();
    for (store, runs) in finding.stores.iter_mut().zip(runs) {
        if !roles.contains(&store.role) {
            roles.push(store.role);
        }
        store.runs = *runs;
        let ran = runs.is_some_and(|runs| runs > 0);
        match store.place.evidence {
            Evidence::Inferred if ran => store.place.evidence = Evidence::Confirmed,
            Evidence::Confirmed if !ran => store.place.evidence = Evidence::Inferred,
            _ => {}
        }
    }
    finding.stores.sort_by_key(|store| {
        let runs = store.runs.unwrap_or_default();
        let role = roles.iter().position(|role| *role == store.role);
        (runs == 0, role, std::cmp::Reverse(runs))
    });
}
