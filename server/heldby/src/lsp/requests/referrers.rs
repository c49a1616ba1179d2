//! `heldby/referrers`: the referrer tree of one object, one level at a time, in pages.

use heldby_finding::{Evidence, Place, Placement, Range as SourceRange, words};
use heldby_heap::{Heap, IMMORTAL_REFCOUNT, ObjectId};
use heldby_retention::{RefcountAccount, Referrer, objects_at};
use heldby_source::SourceFiles as _;
use serde::{Deserialize, Serialize};
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::ls_types::Location;

use super::{Moment, objects};
use crate::lsp::session::Session;
use crate::lsp::shown::Asked;
use crate::refcount_words;
use crate::referrers::{RefcountRow, Wanted, id, objects as wanted_objects, retained, type_of};

/// Objects and referrers in one answer, unless told.
const PAGE: usize = 50;
const MOST_PATHS: usize = 20;

/// What is asked: one of the first four names the object.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ReferrersParams {
    /// Its address, `0x…`.
    object: Option<String>,
    /// The dump whose object that is, from an earlier answer; else of the one that is shown.
    dump: Option<String>,
    /// A finding: what it holds.
    finding: Option<String>,
    /// An access path.
    path: Option<String>,
    /// A class, by its qualified or last name.
    #[serde(rename = "type")]
    of_type: Option<String>,
    /// The first referrer of the page.
    offset: usize,
    /// How many of a page.
    limit: Option<usize>,
}

/// The object, and a page of its referrers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReferrersResult {
    id: String,
    /// What `id`, and those of the referrers, are addresses in.
    dump: String,
    #[serde(rename = "type")]
    type_name: String,
    shallow: u64,
    retained: u64,
    reachable: bool,
    refcount: Option<RefcountRow>,
    /// All this in words.
    summary: String,
    /// Access paths, best first.
    paths: Vec<String>,
    /// How many objects fit the question; this is the first.
    found: usize,
    referrers: Vec<ReferrerRow>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<usize>,
    /// References that are left out because there are too many.
    cut: usize,
    /// References of the interpreter's own that say nothing about who holds.
    machinery: usize,
}

/// One way in which the object is held.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReferrerRow {
    pub(crate) kind: &'static str,
    pub(crate) reference: String,
    /// The access path that begins here, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The referrer; ask for its own with it. `null` for C code.
    pub(crate) id: Option<String>,
    #[serde(rename = "type")]
    pub(crate) type_name: Option<String>,
    /// Whether the referrer has referrers worth asking for.
    pub(crate) has_referrers: bool,
    /// Where the source has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<Location>,
}

pub(crate) fn referrers(session: &Session, params: &ReferrersParams) -> Result<ReferrersResult> {
    let moment = Moment::now(session)
        .ok_or_else(|| Error::invalid_params("no dump is loaded: `heldby.load` loads one"))?;
    let asked = moment.view.asked.as_ref().ok_or_else(|| {
        Error::invalid_params("the dump is not in memory any more: show its series again")
    })?;
    if params
        .dump
        .as_ref()
        .is_some_and(|dump| *dump != asked.dump())
    {
        return Err(Error::invalid_params(
            "another dump is shown by now, in which this address is another object's: ask again",
        ));
    }
    let heap = asked.heap();
    let (object, found) = object(&moment, asked, params)?;
    let referrers = asked.referrers();
    let all = referrers.of(object);
    let limit = params.limit.unwrap_or(PAGE).clamp(1, 1000);
    let page: Vec<ReferrerRow> = all
        .shown
        .iter()
        .skip(params.offset)
        .take(limit)
        .map(|referrer| row(&moment, asked, referrer))
        .collect();
    let next = params.offset + page.len();
    let account = RefcountAccount::of(heap, object);
    let retained_bytes = retained(heap, &asked.newest.analysis.dominators, object);
    Ok(ReferrersResult {
        summary: summary(heap, object, retained_bytes, account),
        id: id(heap, object),
        dump: asked.dump(),
        type_name: type_of(heap, object),
        shallow: heap.shallow_bytes(object),
        retained: retained_bytes,
        reachable: referrers.is_reachable(object),
        refcount: account.map(RefcountRow::from),
        paths: referrers.paths(object, MOST_PATHS).paths,
        found,
        next_offset: (next < all.shown.len() && !page.is_empty()).then_some(next),
        referrers: page,
        cut: all.cut,
        machinery: all.machinery,
    })
}

/// `gallery.models.Photo, 48 B, keeps 1.1 KiB alive; reference count 2: 2 references seen in the heap`
fn summary(
    heap: &Heap,
    object: ObjectId,
    retained_bytes: u64,
    account: Option<RefcountAccount>,
) -> String {
    let is_immortal = heap.refcount(object) == IMMORTAL_REFCOUNT;
    let counted = refcount_words::lines(heap, object, account, is_immortal);
    format!(
        "{}, {}, keeps {} alive; {}",
        type_of(heap, object),
        words::bytes(heap.shallow_bytes(object)),
        words::bytes(retained_bytes),
        counted.first().map_or("", String::as_str),
    )
}

fn object(
    moment: &Moment<'_>,
    asked: &Asked,
    params: &ReferrersParams,
) -> Result<(ObjectId, usize)> {
    let heap = asked.heap();
    let none = |what: String| Error::invalid_params(what);
    if let Some(text) = &params.object {
        let address = objects::address(text)
            .ok_or_else(|| none(format!("{text} is no address: 0x… or decimal")))?;
        let object = objects::object_at(heap, address)
            .ok_or_else(|| none(format!("no object of the dump is at {text}")))?;
        return Ok((object, 1));
    }
    if let Some(finding) = &params.finding {
        let shown = moment
            .view
            .findings
            .iter()
            .find(|shown| shown.finding.id == *finding)
            .ok_or_else(|| none("no such finding".to_owned()))?;
        let count = usize::try_from(shown.finding.held.count).unwrap_or(usize::MAX);
        let sample = shown
            .sample
            .ok_or_else(|| none("the objects of this finding have no access path".to_owned()))?;
        return Ok((sample, count));
    }
    let found = match (&params.path, &params.of_type) {
        (Some(path), _) => objects_at(heap, path).map_err(|error| none(error.to_string()))?,
        (None, Some(name)) => wanted_objects(heap, &Wanted::OfType(name.clone()))
            .map_err(|error| none(format!("{error:#}")))?,
        (None, None) => {
            return Err(none(
                "`object`, `finding`, `path` or `type` says which object".to_owned(),
            ));
        }
    };
    let first = found.first().copied();
    first
        .map(|object| (object, found.len()))
        .ok_or_else(|| none("there is no such object".to_owned()))
}

/// One referrer with its place in the source.
pub(crate) fn row(moment: &Moment<'_>, asked: &Asked, referrer: &Referrer) -> ReferrerRow {
    let heap = asked.heap();
    let is_end = asked.referrers().is_end(referrer);
    ReferrerRow {
        kind: referrer.kind.word(),
        reference: referrer.reference.clone(),
        name: referrer
            .anchor
            .as_ref()
            .map(|anchor| format!("{anchor}{}", referrer.reference)),
        id: referrer.owner.map(|owner| id(heap, owner)),
        type_name: referrer.owner.map(|owner| type_of(heap, owner)),
        has_referrers: referrer.owner.is_some() && !is_end,
        location: location(moment, asked, referrer),
    }
}

/// Where the source has a referrer: the definition of a holder that is known; else the frame's line, the function, the class.
pub(crate) fn location(
    moment: &Moment<'_>,
    asked: &Asked,
    referrer: &Referrer,
) -> Option<Location> {
    let heap = asked.heap();
    if let Some(anchor) = &referrer.anchor {
        let path = format!("{anchor}{}", referrer.reference);
        let holders = moment
            .view
            .findings
            .iter()
            .flat_map(|shown| &shown.finding.holders);
        let known = holders
            .filter(|holder| holder.path == path)
            .find_map(|holder| moment.locate(holder.definition.as_ref()?));
        if let Some(known) = known {
            return Some(known.location());
        }
    }
    let (file, line) = line_of(heap, referrer.owner?)?;
    let local = asked.files.local_path(&file);
    // Without the text there is nothing to show.
    asked.files.read(&file)?;
    let place = Place {
        file: local,
        range: Some(SourceRange {
            line,
            column: 1,
            end_line: line,
            end_column: 1,
        }),
        evidence: Evidence::Inferred,
        placement: Placement::Exact,
    };
    moment.locate(&place).map(|located| located.location())
}

/// File and line of a frame, function, code object, class or module.
fn line_of(heap: &Heap, object: ObjectId) -> Option<(String, u32)> {
    let names = heap.names();
    let of_code = |code: Option<ObjectId>| {
        let code = names.codes.get(&code?)?;
        Some((heap.text(code.file).to_owned(), code.line))
    };
    if let Some(frame) = names.frames.get(&object) {
        let (file, first) = of_code(frame.code)?;
        return Some((file, if frame.line > 0 { frame.line } else { first }));
    }
    if let Some(function) = names.functions.get(&object) {
        return of_code(function.code);
    }
    if names.codes.contains_key(&object) {
        return of_code(Some(object));
    }
    if let Some(row) = names.module_of.get(&object) {
        let module = names.modules.get(*row as usize)?;
        return Some((heap.text(module.file).to_owned(), 1));
    }
    let type_index = names
        .type_objects
        .get(&object)
        .copied()
        .unwrap_or_else(|| heap.type_index(object));
    let name = names.types.get(type_index as usize)?;
    if name.line == 0 {
        return None;
    }
    let module = names
        .modules
        .iter()
        .find(|module| module.name == name.module)?;
    Some((heap.text(module.file).to_owned(), name.line))
}
