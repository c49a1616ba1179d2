//! Call hierarchy over referrers, for clients that ask for it: "incoming calls" are those who hold.

use serde_json::{Value, json};
use tower_lsp::ls_types::{
    CallHierarchyIncomingCall, CallHierarchyIncomingCallsParams, CallHierarchyItem,
    CallHierarchyPrepareParams, Location, SymbolKind, Uri,
};

use super::referrers::row;
use super::{Moment, objects};
use crate::lsp::session::Session;
use crate::lsp::shown::Asked;
use crate::referrers::type_of;

/// Holders of one object that are listed.
const MOST: usize = 100;

pub(crate) fn prepare(
    session: &Session,
    params: &CallHierarchyPrepareParams,
) -> Option<Vec<CallHierarchyItem>> {
    let moment = Moment::now(session)?;
    let asked = moment.view.asked.as_ref()?;
    let at = &params.text_document_position_params;
    let uri = &at.text_document.uri;
    let places = moment.all_in(uri);
    let items: Vec<CallHierarchyItem> = places
        .iter()
        .filter(|(_, located)| located.covers(at.position))
        .filter_map(|(shown, located)| {
            let sample = shown.sample?;
            let heap = asked.heap();
            Some(CallHierarchyItem {
                name: shown.finding.access_path.clone(),
                kind: SymbolKind::VARIABLE,
                tags: None,
                detail: Some(type_of(heap, sample)),
                uri: uri.clone(),
                range: located.range,
                selection_range: located.range,
                data: Some(
                    json!({"object": crate::referrers::id(heap, sample), "dump": asked.dump()}),
                ),
            })
        })
        .collect();
    let mut seen = Vec::new();
    let items: Vec<CallHierarchyItem> = items
        .into_iter()
        .filter(|item| {
            let is_new = !seen.contains(&item.name);
            seen.push(item.name.clone());
            is_new
        })
        .collect();
    (!items.is_empty()).then_some(items)
}

pub(crate) fn incoming(
    session: &Session,
    params: &CallHierarchyIncomingCallsParams,
) -> Option<Vec<CallHierarchyIncomingCall>> {
    let moment = Moment::now(session)?;
    let asked = moment.view.asked.as_ref()?;
    let heap = asked.heap();
    let data = params.item.data.as_ref()?;
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    // Of an earlier dump the address may be another object's by now.
    text("dump").filter(|dump| *dump == asked.dump())?;
    let address = text("object").and_then(objects::address)?;
    let object = objects::object_at(heap, address)?;
    let all = asked.referrers().of(object);
    let calls = all.shown.iter().take(MOST).map(|referrer| {
        let row = row(&moment, asked, referrer);
        let place = row.location.clone().unwrap_or_else(|| Location {
            uri: of_object(&moment, asked, row.id.as_deref())
                .unwrap_or_else(|| params.item.uri.clone()),
            range: Default::default(),
        });
        CallHierarchyIncomingCall {
            from: CallHierarchyItem {
                name: row.name.unwrap_or_else(|| {
                    format!(
                        "{} of {}",
                        row.reference,
                        row.type_name.clone().unwrap_or_default()
                    )
                }),
                kind: SymbolKind::VARIABLE,
                tags: None,
                detail: row.type_name,
                uri: place.uri,
                range: place.range,
                selection_range: place.range,
                data: row.id.map(|id| json!({"object": id, "dump": asked.dump()})),
            },
            from_ranges: vec![place.range],
        }
    });
    Some(calls.collect())
}

fn of_object(moment: &Moment<'_>, asked: &Asked, id: Option<&str>) -> Option<Uri> {
    use std::str::FromStr as _;
    let (series, dump) = (&moment.view.id, asked.dump());
    Uri::from_str(&format!("heldby://{series}/object/{}@{dump}.txt", id?)).ok()
}
