//! All that is said to people about findings: the same words in the terminal, in CI and in the editor.

use crate::{Evidence, Finding, Holder, Placement, Role, Severity, StorePlace};

/// Longer series are cut in the middle in titles, so that these stay one line.
const NUMBERS_OF_A_TITLE: usize = 4;
/// Longer series are cut in the middle in notes.
const NUMBERS_OF_A_NOTE: usize = 8;
/// Longer chains are cut in the middle.
const HOPS_OF_A_CHAIN: usize = 12;

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// What the finding is, in one line: `keeps 12 bytes objects (48.0 MiB) alive through gallery.views.UPLOADS: +4 a dump`.
pub fn title(finding: &Finding) -> String {
    let gain = gain(finding)
        .map(|gain| format!(": {gain}"))
        .unwrap_or_default();
    format!(
        "keeps {} ({}) alive through {}{gain}",
        objects(&finding.held.type_name, finding.held.count),
        bytes(finding.held.retained_bytes),
        finding.holder.path,
    )
}

/// A severity, as it stands before a title.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Information => "info",
    }
}

/// That the native agent did not take a dump, and why.
pub fn fallback(reason: &str) -> String {
    format!("the pure-Python agent took the dump, for the native one could not: {reason}")
}

/// A size: `512 B`, `1.5 KiB`, `48.0 MiB`.
pub fn bytes(bytes: u64) -> String {
    let unit = unit_of(bytes);
    format!("{} {}", in_unit(bytes, unit), UNITS[unit])
}

/// How many of a type: `12 bytes objects`, `1 dict object`.
pub fn objects(type_name: &str, count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    if type_name.is_empty() {
        format!("{count} object{plural}")
    } else {
        format!("{count} {type_name} object{plural}")
    }
}

/// What is held: `12 bytes objects, 48.0 MiB`.
pub fn held(finding: &Finding) -> String {
    let held = &finding.held;
    format!(
        "{}, {}",
        objects(&held.type_name, held.count),
        bytes(held.retained_bytes)
    )
}

/// How it went: `4 → 8 → 12 objects, 16.0 → 32.0 → 48.0 MiB`; nothing with fewer than two dumps.
pub fn growth(finding: &Finding) -> Option<String> {
    let counts = &finding.growth.counts;
    if counts.len() < 2 {
        return None;
    }
    Some(format!(
        "{} objects, {}",
        series(counts.iter().map(u64::to_string), NUMBERS_OF_A_NOTE),
        sizes(&finding.growth.retained_bytes, NUMBERS_OF_A_NOTE),
    ))
}

/// The chain, from what is held to the root: `bytes ← list[11] ← module gallery.views.UPLOADS`.
pub fn chain(finding: &Finding) -> Option<String> {
    if finding.chain.is_empty() {
        return None;
    }
    let held = match finding.held.type_name.as_str() {
        "" => "object",
        name => name,
    };
    let hops = finding
        .chain
        .iter()
        .map(|hop| format!("{}{}", hop.object, hop.reference));
    let words = std::iter::once(held.to_owned()).chain(hops);
    Some(cut(words.collect(), HOPS_OF_A_CHAIN).join(" ← "))
}

/// A kind of holder in words. A kind that is not known is its own word.
pub fn holder_kind(kind: &str) -> &str {
    match kind {
        "module-global" => "module global",
        "class-attribute" => "class attribute",
        "instance-attribute" => "instance attribute",
        "default-argument" => "default argument",
        "closure" => "closure variable",
        "local" => "local variable",
        "function-cache" => "cache of a function",
        "function-attribute" => "function attribute",
        "context-variable" => "context variable",
        "generator-frame" => "local variable of a suspended generator",
        "coroutine-frame" => "local variable of a suspended coroutine",
        "exception-traceback" => "traceback of a kept exception",
        "reference-cycle" => "reference cycle",
        "weakref-callback" => "callback of a weak reference",
        "native" => "reference held by native code",
        other => other,
    }
}

/// What a named holder is: ``list, module global `gallery.views.UPLOADS` `` with its article.
pub fn holder(holder: &Holder) -> String {
    let kind = holder_kind(holder.kind);
    if holder.type_name.is_empty() {
        return format!("{} `{}`", with_article(kind), holder.path);
    }
    format!(
        "{}, {kind} `{}`",
        with_article(&holder.type_name),
        holder.path
    )
}

/// What stands under the definition: ``the holder: a list, module global `gallery.views.UPLOADS` ``.
pub fn definition_label(definition: &Holder) -> String {
    format!("the holder: {}", holder(definition))
}

/// What stands under a store site. `is_best` tells the one that the finding names from those beside it.
pub fn store_label(store: &StorePlace, is_best: bool) -> String {
    let does = match (store.role, is_best) {
        (Role::Store, true) => "creates the references",
        (Role::Store, false) => "also creates such references",
        (Role::Caller, true) => "creates the references, in what it calls",
        (Role::Caller, false) => "calls the code that creates the references",
        (Role::Call, true) => "this call creates the references",
        (Role::Call, false) => "this call also creates such references",
        (Role::Raise, true) => "raises the exception that keeps the references",
        (Role::Raise, false) => "also raises the exception that keeps the references",
    };
    let moved = match store.place.placement {
        Placement::Exact => String::new(),
        placement => placement_note(placement)
            .map(|note| format!("; {note}"))
            .unwrap_or_default(),
    };
    format!("{does}; {}{moved}", evidence_of(store))
}

/// What a site does, as it stands before a bare place: `also stored at views.py:40`.
pub fn store_words(store: &StorePlace, is_best: bool) -> &'static str {
    match (store.role, is_best) {
        (Role::Store, true) => "stored at",
        (Role::Store, false) => "also stored at",
        (Role::Caller, _) => "called from",
        (Role::Call, true) => "kept by the call at",
        (Role::Call, false) => "also kept by the call at",
        (Role::Raise, true) => "raised at",
        (Role::Raise, false) => "also raised at",
    }
}

/// How a site is known, in words.
pub fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Observed => "observed in an allocation trace",
        Evidence::Confirmed => "confirmed: it was seen to run",
        Evidence::Inferred => "inferred from the source",
    }
}

/// How a store site is known, and how often it ran, where that was counted.
pub fn evidence_of(store: &StorePlace) -> String {
    let known = evidence(store.place.evidence);
    match (store.place.evidence, store.runs) {
        (_, None) => known.to_owned(),
        (_, Some(0)) => format!("{known}, and did not run while that was counted"),
        (Evidence::Confirmed, Some(runs)) => format!("confirmed: ran {}", times(runs)),
        (_, Some(runs)) => format!("{known}; ran {}", times(runs)),
    }
}

fn times(runs: u64) -> String {
    match runs {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{runs} times"),
    }
}

/// What is to be said about a site that is not where the dump saw it.
pub fn placement_note(placement: Placement) -> Option<&'static str> {
    match placement {
        Placement::Exact => None,
        Placement::Moved => Some("moved since the dump"),
        Placement::Changed => Some("changed since the dump"),
        Placement::Lost => Some("no longer there: changed since the dump"),
    }
}

/// What to do next, by the kind of the holder.
pub fn help(finding: &Finding) -> String {
    let Holder {
        kind,
        path,
        type_name,
        ..
    } = &finding.holder;
    let is_raised = finding
        .stores
        .first()
        .is_some_and(|store| store.role == Role::Raise);
    match *kind {
        kind if is_raised || kind == "exception-traceback" => raised_help(path),
        "module-global" => format!(
            "`{path}` lives as long as the program: {}",
            empty_or_bound(type_name)
        ),
        "class-attribute" => format!(
            "`{path}` is shared by all instances and lives as long as the program: {}; if each instance is to have \
             its own, create it in `__init__`",
            empty_or_bound(type_name)
        ),
        "instance-attribute" | "slot" => format!(
            "`{path}` lives as long as its instance: {}; or let the instance go with its work",
            empty_or_bound(type_name)
        ),
        "function-attribute" => format!(
            "`{path}` lives as long as the function: {}",
            empty_or_bound(type_name)
        ),
        "default-argument" => format!(
            "a default is created once, by the `def`, and all calls share it: make it `None`, and create {} inside \
             the function",
            if type_name.is_empty() {
                "the value".to_owned()
            } else {
                format!("the {type_name}")
            }
        ),
        "function-cache" => "give the cache a `maxsize`; leave it off methods and away from arguments that belong to \
                             one request: its keys keep `self` and every argument alive"
            .to_owned(),
        "closure" => format!(
            "the function keeps `{path}` as long as it lives itself: drop or unregister the function when its work is \
             done, or hand it what it needs as an argument; else {}",
            empty_or_bound(type_name)
        ),
        "local" => format!(
            "the frame that has `{path}` is still running: {}, or `del` the variable before the long part begins",
            empty_or_bound(type_name)
        ),
        "generator-frame" => format!(
            "`{path}` lives until the generator ends: exhaust it or `close()` it, or drop who keeps it"
        ),
        "coroutine-frame" => format!(
            "`{path}` lives until the coroutine ends: await it with a timeout, or cancel its task and let the task go"
        ),
        "thread-local" => format!(
            "`{path}` lives as long as its thread, and threads of a pool live as long as the program: clear it when \
             each job ends"
        ),
        "context-variable" => format!(
            "`{path}` keeps what was set: `reset()` it with the token of `set()` when the work is done, and mind that \
             tasks copy their context"
        ),
        "reference-cycle" => format!(
            "make one reference of the cycle at `{path}` a `weakref`, or break it when the work is done; see whether \
             `gc` is disabled or frozen"
        ),
        "weakref-callback" => "let the callback hold no strong reference to what it watches: hand it a key instead, or \
                               use `weakref.finalize` with plain arguments"
            .to_owned(),
        "native" => "native code holds them, where the interpreter cannot see: close, release or unregister what was \
                     handed to the library, or look for a missing `Py_DECREF` in the extension"
            .to_owned(),
        _ => format!("`{path}` is not let go: {}", empty_or_bound(type_name)),
    }
}

/// What is to be known before one mends it: other holders of the same objects, and what limits the growth.
pub fn notes(finding: &Finding) -> Vec<String> {
    let mut notes = Vec::new();
    if let [others @ .., last] = finding.also_held_by.as_slice() {
        let others = others.iter().map(|path| format!("`{path}`, "));
        notes.push(format!(
            "the same objects are held by {}`{last}`, too: freeing one of them alone frees nothing",
            others.collect::<String>()
        ));
    }
    if let Some(bound) = &finding.limits.bound {
        notes.push(format!(
            "it is bounded (`{bound}`), and was not full yet in the last dump"
        ));
    }
    if finding.limits.keys_hold_instances {
        notes.push(
            "the keys of this cache hold instances: they are kept alive by it, too, and rarely come again".to_owned(),
        );
    }
    if finding.limits.keys_are_weak {
        notes.push(
            "an entry goes when its key does: something else keeps the keys alive, or the values themselves refer to them".to_owned(),
        );
    }
    if let Some(place) = finding.limits.removals.first() {
        let line = place.range.map_or(0, |range| range.line);
        let file = place.file.rsplit(['/', '\\']).next().unwrap_or_default();
        notes.push(format!(
            "entries are taken out at {file}:{line}: less often than they come, or on a condition that was not met yet"
        ));
    }
    if finding.stores.is_empty() && finding.holder.definition.is_some() {
        notes.push(
            "no line of the source was found that stores there: it is reached in a way that is not followed, or by code that is made at run time, or by C code".to_owned(),
        );
    }
    notes
}

/// What to do about any finding with fewer than three dumps.
pub fn take_more_dumps() -> &'static str {
    "take at least three dumps of the same process to tell growth from size"
}

fn raised_help(path: &str) -> String {
    format!(
        "raise a new exception each time instead of the shared `{path}`: every `raise` adds frames, with all their \
         locals, to the traceback of a kept exception (`with_traceback(None)` clears it)"
    )
}

/// How a container of that type is emptied or bounded.
fn empty_or_bound(type_name: &str) -> String {
    let short = type_name.rsplit('.').next().unwrap_or(type_name);
    match short {
        "dict" | "defaultdict" | "OrderedDict" | "Counter" => {
            "drop entries when their work is done (`pop`, `del`), or bound it; where the values live elsewhere, a \
             `weakref.WeakValueDictionary` does it"
        }
        "list" | "deque" => {
            "drop entries when their work is done (`remove`, `clear`), or bound it: a `deque(maxlen=…)` keeps the newest"
        }
        "set" => {
            "drop entries when their work is done (`discard`, `clear`), or bound it; where they live elsewhere, a \
             `weakref.WeakSet` does it"
        }
        _ => "take out again what was put there when its work is done (remove, unregister, disconnect), or bound it",
    }
    .to_owned()
}

/// What was gained from dump to dump: `+4 a dump` where it is always the same, else the numbers themselves. Where only the
/// size rises, the sizes.
pub fn gain(finding: &Finding) -> Option<String> {
    let growth = &finding.growth;
    if let [first, .., last] = growth.counts.as_slice()
        && last > first
    {
        let numbers = || series(growth.counts.iter().map(u64::to_string), NUMBERS_OF_A_TITLE);
        return Some(match same_gain(&growth.counts) {
            Some(gain) => format!("+{gain} a dump"),
            None => numbers(),
        });
    }
    match growth.retained_bytes.as_slice() {
        [first, .., last] if last > first => Some(match same_gain(&growth.retained_bytes) {
            Some(gain) => format!("+{} a dump", bytes(gain)),
            None => sizes(&growth.retained_bytes, NUMBERS_OF_A_TITLE),
        }),
        _ => None,
    }
}

/// The gain of every interval, where it is the same one in at least two.
fn same_gain(numbers: &[u64]) -> Option<u64> {
    let mut gains = numbers
        .windows(2)
        .map(|pair| pair[1].checked_sub(pair[0]).filter(|gain| *gain > 0));
    let first = gains.next()??;
    let mut others = gains.peekable();
    others.peek()?;
    others.all(|gain| gain == Some(first)).then_some(first)
}

/// `16.0 → 32.0 → 48.0 MiB`: all in the unit of the largest, or in the next smaller one where that would hide a change.
fn sizes(numbers: &[u64], most: usize) -> String {
    let largest = unit_of(numbers.iter().copied().max().unwrap_or_default());
    let hides = |unit: usize| {
        let hidden =
            |pair: &[u64]| pair[0] != pair[1] && in_unit(pair[0], unit) == in_unit(pair[1], unit);
        numbers.windows(2).any(hidden)
    };
    let unit = if hides(largest) {
        largest.saturating_sub(1)
    } else {
        largest
    };
    let words = series(numbers.iter().map(|bytes| in_unit(*bytes, unit)), most);
    format!("{words} {}", UNITS[unit])
}

fn series(numbers: impl Iterator<Item = String>, most: usize) -> String {
    cut(numbers.collect(), most).join(" → ")
}

/// At most that many words: the middle gives way to an ellipsis.
fn cut(mut words: Vec<String>, most: usize) -> Vec<String> {
    if words.len() > most {
        let after = most / 2;
        words.splice(most - after..words.len() - after, ["…".to_owned()]);
    }
    words
}

/// The largest unit in which the size is at least one, after rounding.
fn unit_of(bytes: u64) -> usize {
    let mut unit = 0;
    while unit + 1 < UNITS.len() && tenths(bytes, unit) >= 1024 * 10 {
        unit += 1;
    }
    unit
}

fn in_unit(bytes: u64, unit: usize) -> String {
    match (unit, tenths(bytes, unit)) {
        (0, _) => bytes.to_string(),
        (_, tenths) => format!("{}.{}", tenths / 10, tenths % 10),
    }
}

/// The size in tenths of the unit, rounded.
fn tenths(bytes: u64, unit: usize) -> u128 {
    let one = 1_u128 << (10 * unit);
    (u128::from(bytes) * 10 + one / 2) / one
}

fn with_article(noun: &str) -> String {
    let article = match noun.chars().next() {
        Some('a' | 'e' | 'i' | 'o' | 'A' | 'E' | 'I' | 'O') => "an",
        _ => "a",
    };
    format!("{article} {noun}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explanations::KINDS;
    use crate::{Growth, Held, Hop, Limits, Place};

    const MIB: u64 = 1 << 20;

    fn holder_of(kind: &'static str, type_name: &str) -> Holder {
        Holder {
            kind,
            path: "gallery.views.UPLOADS".to_owned(),
            type_name: type_name.to_owned(),
            definition: None,
        }
    }

    fn finding(counts: &[u64], retained_bytes: &[u64]) -> Finding {
        let hop = |object: &str, reference: &str| Hop {
            object: object.to_owned(),
            reference: reference.to_owned(),
        };
        Finding {
            id: "1".to_owned(),
            severity: Severity::Warning,
            holder: holder_of("module-global", "list"),
            holders: Vec::new(),
            access_path: "gallery.views.UPLOADS[*]".to_owned(),
            held: Held {
                type_name: "bytes".to_owned(),
                count: counts.last().copied().unwrap_or_default(),
                retained_bytes: retained_bytes.last().copied().unwrap_or_default(),
            },
            growth: Growth {
                proven: counts.len() > 2,
                counts: counts.to_vec(),
                retained_bytes: retained_bytes.to_vec(),
            },
            also_held_by: Vec::new(),
            limits: Limits::default(),
            stores: Vec::new(),
            chain: vec![hop("list", "[11]"), hop("module gallery.views", ".UPLOADS")],
        }
    }

    fn store(role: Role, placement: Placement) -> StorePlace {
        StorePlace {
            place: Place {
                file: "/a/views.py".to_owned(),
                range: None,
                evidence: Evidence::Inferred,
                placement,
            },
            role,
            enclosing: String::new(),
            user: true,
            runs_once: false,
            ran_at: None,
            runs: None,
        }
    }

    #[test]
    fn title_says_the_gain_of_each_dump() {
        let finding = finding(&[4, 8, 12], &[16 * MIB, 32 * MIB, 48 * MIB]);
        assert_eq!(
            title(&finding),
            "keeps 12 bytes objects (48.0 MiB) alive through gallery.views.UPLOADS: +4 a dump"
        );
    }

    #[test]
    fn title_says_the_numbers_where_the_gain_differs() {
        let end = |counts: &[u64], sizes: &[u64]| {
            let title = title(&finding(counts, sizes));
            title
                .split_once("UPLOADS")
                .map(|(_, end)| end.to_owned())
                .unwrap_or_default()
        };
        assert_eq!(end(&[4, 8, 15], &[1, 2, 3]), ": 4 → 8 → 15");
        assert_eq!(end(&[4, 8], &[1, 2]), ": 4 → 8");
        assert_eq!(end(&[1, 2, 3, 5, 8], &[]), ": 1 → 2 → … → 5 → 8");
        assert_eq!(end(&[12], &[1]), "", "a single dump shows no growth");
        assert_eq!(end(&[8, 8, 8], &[7, 7, 7]), "");
        assert_eq!(end(&[8, 6, 4], &[7, 6, 5]), "");
        assert_eq!(
            end(&[1, 1, 1], &[MIB, 3 * MIB, 5 * MIB]),
            ": +2.0 MiB a dump",
            "a buffer that grows is still one object"
        );
        assert_eq!(
            end(&[1, 1, 1], &[MIB, 3 * MIB, 4 * MIB]),
            ": 1.0 → 3.0 → 4.0 MiB"
        );
        assert_eq!(end(&[], &[]), "");
    }

    #[test]
    fn sizes_have_one_decimal_and_the_unit_that_fits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(MIB - 1), "1.0 MiB", "never 1024.0 KiB");
        assert_eq!(bytes(48 * MIB), "48.0 MiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
    }

    #[test]
    fn growth_has_one_unit_and_hides_no_change() {
        assert_eq!(
            growth(&finding(&[4, 8, 12], &[16 * MIB, 32 * MIB, 48 * MIB])).as_deref(),
            Some("4 → 8 → 12 objects, 16.0 → 32.0 → 48.0 MiB")
        );
        assert_eq!(
            growth(&finding(
                &[1, 2, 3],
                &[MIB, MIB + 5 * 1024, MIB + 10 * 1024]
            ))
            .as_deref(),
            Some("1 → 2 → 3 objects, 1024.0 → 1029.0 → 1034.0 KiB")
        );
        assert_eq!(growth(&finding(&[12], &[MIB])), None);
    }

    #[test]
    fn chain_runs_from_what_is_held_to_the_root() {
        let mut finding = finding(&[12], &[MIB]);
        assert_eq!(
            chain(&finding).as_deref(),
            Some("bytes ← list[11] ← module gallery.views.UPLOADS")
        );
        finding.chain = vec![finding.chain[0].clone(); 40];
        let long = chain(&finding).unwrap_or_default();
        assert_eq!(long.matches(" ← ").count(), HOPS_OF_A_CHAIN);
        assert!(long.contains(" ← … ← "), "{long}");
        finding.chain.clear();
        assert_eq!(chain(&finding), None);
    }

    #[test]
    fn labels_name_holder_role_evidence_and_placement() {
        assert_eq!(
            definition_label(&holder_of("module-global", "list")),
            "the holder: a list, module global `gallery.views.UPLOADS`"
        );
        assert_eq!(
            definition_label(&holder_of("class-attribute", "OrderedDict")),
            "the holder: an OrderedDict, class attribute `gallery.views.UPLOADS`"
        );
        assert_eq!(
            definition_label(&holder_of("native", "")),
            "the holder: a reference held by native code `gallery.views.UPLOADS`"
        );
        assert_eq!(
            store_label(&store(Role::Store, Placement::Exact), true),
            "creates the references; inferred from the source"
        );
        assert_eq!(
            store_label(&store(Role::Raise, Placement::Moved), true),
            "raises the exception that keeps the references; inferred from the source; moved since the dump"
        );
        assert_eq!(
            store_words(&store(Role::Store, Placement::Lost), false),
            "also stored at"
        );
    }

    #[test]
    fn every_kind_has_words_and_help_of_its_own() {
        let mut seen = Vec::new();
        // A slot is an attribute, and mended as one.
        for kind in KINDS.into_iter().filter(|kind| *kind != "slot") {
            let mut finding = finding(&[12], &[MIB]);
            finding.holder = holder_of(kind, "dict");
            let help = help(&finding);
            assert!(!help.contains("is not let go"), "{kind}: {help}");
            assert!(!seen.contains(&help), "{kind}: {help}");
            assert!(!holder_kind(kind).contains('-') || kind == "thread-local");
            seen.push(help);
        }
    }

    #[test]
    fn notes_name_other_holders_and_limits() {
        let mut finding = finding(&[4, 8, 12], &[MIB, 2 * MIB, 3 * MIB]);
        finding.stores = vec![store(Role::Store, Placement::Exact)];
        assert_eq!(notes(&finding), Vec::<String>::new());
        finding.also_held_by = vec!["a.A".to_owned(), "b.B".to_owned()];
        finding.limits.bound = Some("maxsize=1000".to_owned());
        assert_eq!(
            notes(&finding),
            [
                "the same objects are held by `a.A`, `b.B`, too: freeing one of them alone frees nothing",
                "it is bounded (`maxsize=1000`), and was not full yet in the last dump"
            ]
        );
    }

    #[test]
    fn help_fits_the_holder() {
        let mut finding = finding(&[12], &[MIB]);
        assert!(help(&finding).contains("`deque(maxlen=…)`"));
        finding.holder = holder_of("default-argument", "dict");
        assert!(
            help(&finding).ends_with("make it `None`, and create the dict inside the function")
        );
        finding.holder = holder_of("module-global", "django.dispatch.dispatcher.Signal");
        assert!(help(&finding).contains("disconnect"));
        finding.holder = holder_of("module-global", "gallery.errors.Broken");
        finding.stores = vec![store(Role::Raise, Placement::Exact)];
        assert!(help(&finding).starts_with("raise a new exception each time"));
    }
}
