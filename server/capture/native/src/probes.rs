//! Tries the layout of this interpreter on objects whose parts are known, in the child, before anything of the program's is read.
//!
//! A wrong table would name references wrongly, or end the child. Either way there is no dump, and the agent takes it by itself.

use std::io::{Sink, sink};

use heldby_dump::Codec;
use serde::Deserialize;

use crate::builtin_types::Types;
use crate::memory::Address;
use crate::objects::Objects;
use crate::order::Order;
use crate::sections::{Label, NO_STRING, Sections};
use crate::stacks::Stacks;
use crate::walk::{Failure, Walk};

/// What must be found out about an object.
#[derive(Debug, Deserialize)]
pub(crate) struct Probe {
    /// For the message.
    pub(crate) what: String,
    pub(crate) object: Address,
    /// `sys.getsizeof`.
    pub(crate) bytes: u64,
    /// The reference count, where it is known.
    #[serde(default)]
    pub(crate) count: Option<u32>,
    /// Kind, name and target of some of its references.
    #[serde(default)]
    references: Vec<(u32, Option<String>, Address)>,
    /// Its items, or values, in order.
    #[serde(default)]
    items: Vec<Address>,
    #[serde(default)]
    keys: Vec<Address>,
    /// Some of the texts in rows about it.
    #[serde(default)]
    texts: Vec<String>,
    /// Whether the collector's lists have it.
    #[serde(default)]
    pub(crate) is_tracked: bool,
}

/// What was found out about an object.
pub(crate) struct Described {
    pub(crate) bytes: u64,
    pub(crate) count: u32,
    pub(crate) references: Vec<(Label, Address)>,
    pub(crate) items: Vec<Address>,
    pub(crate) keys: Vec<Address>,
    /// Rows of the table of texts.
    pub(crate) texts: Vec<u32>,
}

/// Describes each probe, and compares.
pub(crate) fn check(objects: Objects, order: &Order, types: &Types) -> Result<(), Failure> {
    let out = Sections::new(sink(), Codec::None)?;
    let mut walk = Walk::new(objects, order, types.clone(), Stacks::default(), out, &[]);
    for probe in &order.probes {
        let found = walk.describe(probe.object)?;
        if let Some(wrong) = difference(&walk, probe, &found) {
            return Err(Failure::Probe(format!("{} of {}", wrong, probe.what)));
        }
    }
    Ok(())
}

/// What is not as it should be.
fn difference(walk: &Walk<'_, Sink>, probe: &Probe, found: &Described) -> Option<String> {
    if found.bytes != probe.bytes {
        return Some(format!("the size ({} for {})", found.bytes, probe.bytes));
    }
    if probe.count.is_some_and(|count| count != found.count) {
        return Some(format!("the reference count ({})", found.count));
    }
    if found.items != probe.items || found.keys != probe.keys {
        return Some("an item".to_owned());
    }
    let text = |row: u32| (row != NO_STRING).then(|| walk.out.text(row));
    for (kind, name, target) in &probe.references {
        let is_found = found.references.iter().any(|(label, reference)| {
            label.kind == *kind
                && reference == target
                && text(label.name) == name.as_deref().map(str::as_bytes)
        });
        if !is_found {
            return Some(format!("the reference {}", name.as_deref().unwrap_or("?")));
        }
    }
    let missing = probe.texts.iter().find(|expected| {
        !found
            .texts
            .iter()
            .any(|row| text(*row) == Some(expected.as_bytes()))
    });
    missing.map(|expected| format!("the text {expected}"))
}
