//! Referrers as JSON: a contract that programs outside read.

use heldby_retention::{RefcountAccount, ReferrerTree};
use serde::Serialize;

use super::{Answer, id, retained, type_of};

/// The version of the contract.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document {
    version: u32,
    /// How many objects were found; `objects` may have fewer.
    found: usize,
    objects: Vec<ObjectRow>,
}

#[derive(Serialize)]
struct ObjectRow {
    id: String,
    #[serde(rename = "type")]
    type_name: String,
    shallow: u64,
    retained: u64,
    reachable: bool,
    refcount: Option<RefcountRow>,
    paths: Vec<String>,
    /// Whether there may be more paths.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paths_cut: bool,
    referrers: Vec<ReferrerRow>,
    #[serde(skip_serializing_if = "is_zero")]
    cut: usize,
    /// References that say nothing about who holds: types, globals of functions, code.
    #[serde(skip_serializing_if = "is_zero")]
    machinery: usize,
}

/// A reference count, taken apart.
#[derive(Debug, Serialize)]
pub(crate) struct RefcountRow {
    total: u32,
    seen: u32,
    outside: u32,
}

impl From<RefcountAccount> for RefcountRow {
    fn from(account: RefcountAccount) -> Self {
        Self {
            total: account.total,
            seen: account.seen,
            outside: account.outside(),
        }
    }
}

#[derive(Serialize)]
struct ReferrerRow {
    kind: &'static str,
    reference: String,
    /// What the holder is called, where it has a name of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    id: Option<String>,
    #[serde(rename = "type")]
    type_name: Option<String>,
    referrers: Vec<ReferrerRow>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    seen_above: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cycle: bool,
    #[serde(skip_serializing_if = "is_zero")]
    cut: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Writes the answer.
///
/// # Errors
/// When JSON cannot be made of it, which would be a fault of ours.
pub(crate) fn to_json(answer: &Answer<'_>) -> serde_json::Result<String> {
    let heap = answer.heap;
    let objects = answer.objects.iter().map(|of| ObjectRow {
        id: id(heap, of.object),
        type_name: type_of(heap, of.object),
        shallow: heap.shallow_bytes(of.object),
        retained: retained(heap, answer.dominators, of.object),
        reachable: of.is_reachable,
        refcount: of.refcount.map(RefcountRow::from),
        paths: of.paths.paths.clone(),
        paths_cut: of.paths.is_cut,
        referrers: rows(answer, &of.tree, &of.tree.top),
        cut: of.tree.cut,
        machinery: of.tree.machinery,
    });
    serde_json::to_string_pretty(&Document {
        version: VERSION,
        found: answer.found,
        objects: objects.collect(),
    })
}

/// The depth of a tree is bounded by the number of its nodes, and that by the command; the recursion is as deep.
fn rows(answer: &Answer<'_>, tree: &ReferrerTree, nodes: &[usize]) -> Vec<ReferrerRow> {
    let heap = answer.heap;
    nodes
        .iter()
        .map(|&at| {
            let node = &tree.nodes[at];
            let referrer = &node.referrer;
            ReferrerRow {
                kind: referrer.kind.word(),
                reference: referrer.reference.clone(),
                name: referrer.anchor.clone(),
                id: referrer.owner.map(|owner| id(heap, owner)),
                type_name: referrer.owner.map(|owner| type_of(heap, owner)),
                referrers: rows(answer, tree, &node.referrers),
                seen_above: node.is_repeated,
                cycle: node.is_cycle,
                cut: node.cut,
            }
        })
        .collect()
}
