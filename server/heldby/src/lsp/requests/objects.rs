//! Documents without a file, `heldby://…`: who references an object, or what a finding holds. A client that cannot show those is
//! given a file.

use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr as _;

use anyhow::Context as _;
use heldby_heap::{Heap, ObjectId};
use serde::{Deserialize, Serialize};
use tower_lsp::ls_types::Uri;

use crate::lsp::session::Session;
use crate::lsp::shown::{Asked, ShownFinding, View};
use crate::lsp::{explanations, uris};
use crate::referrers::{Limits, Wanted, answer, to_text};

/// Levels and objects of a document.
const LIMITS: Limits = Limits {
    depth: 20,
    count: 100,
};

/// Which document.
#[derive(Debug, Deserialize)]
pub(crate) struct DocumentParams {
    pub(crate) uri: Uri,
}

/// Its text.
#[derive(Debug, Serialize)]
pub(crate) struct DocumentText {
    pub(crate) text: String,
}

/// Stands for the series that is shown, whichever that is.
const SHOWN: &str = "shown";

/// The text of `heldby://SERIES/finding/ID`, `heldby://SERIES/object/0x…@DUMP` or `heldby://SERIES/type/NAME`; `None` for what is not there
/// (any more).
pub(crate) fn text(session: &Session, uri: &Uri) -> Option<String> {
    let rest = uri.as_str().strip_prefix("heldby://")?;
    let (series, rest) = rest.split_once('/')?;
    let (what, name) = rest.split_once('/')?;
    let name = name.strip_suffix(".txt").unwrap_or(name);
    let view = session
        .view()
        .filter(|view| series == SHOWN || view.id == series)?;
    let asked = view.asked.as_ref()?;
    match what {
        "finding" => {
            let shown = view
                .findings
                .iter()
                .find(|shown| shown.finding.id == name)?;
            Some(of_finding(asked, shown))
        }
        "type" => Some(of_wanted(asked, &Wanted::OfType(name.to_owned()))),
        "object" => {
            let (object, dump) = name.split_once('@').unwrap_or((name, ""));
            (dump.is_empty() || dump == asked.dump())
                .then(|| Some(of_wanted(asked, &Wanted::At(address(object)?))))?
        }
        _ => None,
    }
}

/// An address as `0x…` or decimal.
pub(crate) fn address(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The object at an address.
pub(crate) fn object_at(heap: &Heap, address: u64) -> Option<ObjectId> {
    heap.objects()
        .find(|object| heap.address(*object) == address)
}

fn of_finding(asked: &Asked, shown: &ShownFinding) -> String {
    of_wanted(asked, &Wanted::AtPath(shown.finding.access_path.clone()))
}

fn of_wanted(asked: &Asked, wanted: &Wanted) -> String {
    let answer = answer(
        asked.heap(),
        &asked.newest.analysis.dominators,
        &asked.distances,
        wanted,
        LIMITS,
        heldby_retention::Breadth::TowardsRoots,
    );
    match answer {
        Ok(answer) => to_text(&answer),
        Err(error) => format!("{error:#}\n"),
    }
}

/// What a document is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    /// What a finding holds.
    Finding(&'a ShownFinding),
    /// The objects of a class.
    Type(&'a str),
}

/// A document that tells who references something.
pub(crate) fn document_of(session: &Session, view: &View, about: About<'_>) -> anyhow::Result<Uri> {
    let name = match about {
        About::Finding(shown) => format!("finding/{}.txt", shown.finding.id),
        About::Type(name) => format!("type/{name}.txt"),
    };
    if session.abilities().virtual_documents {
        let uri = format!("heldby://{}/{name}", view.id);
        return Uri::from_str(&uri).map_err(|_| anyhow::anyhow!("{uri} is no URI"));
    }
    let asked = view
        .asked
        .as_ref()
        .context("the dump is not in memory any more")?;
    let text = match about {
        About::Finding(shown) => of_finding(asked, shown),
        About::Type(name) => of_wanted(asked, &Wanted::OfType(name.to_owned())),
    };
    let name: String = name
        .chars()
        .map(|letter| match letter {
            letter if letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_') => letter,
            _ => '-',
        })
        .collect();
    let path = private_file(&format!("{}-{name}", view.id), &text)?;
    uris::uri_of(&path).context("the file has no URI")
}

/// A file of the user's alone: names of a program may be nobody else's business.
fn private_file(name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let folder = explanations::cache_folder()
        .context("there is no folder for it: set XDG_CACHE_HOME or HOME")?
        .join("heldby")
        .join("referrers");
    let write = || -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(&folder)?;
        // Made with access for its owner only.
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(text.as_bytes())?;
        let path = folder.join(name);
        file.persist(&path)?;
        Ok(path)
    };
    write().with_context(|| folder.display().to_string())
}
