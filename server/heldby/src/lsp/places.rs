//! Where the sites of findings stand in the texts of today: what the editor shows, else what lies on disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use dashmap::DashMap;
use heldby_finding::{Place, Placement, Range as SourceRange};
use heldby_source::{Anchored, Anchors, Drift, Site};
use tower_lsp::ls_types::{Location, Position, Range, Uri};

use super::documents::{ContentHash, Documents, SourceText};
use super::positions::{Encoding, Lines};
use super::uris;
use crate::disk::read_source;

/// A site in a text of today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) uri: Uri,
    pub(crate) range: Range,
    pub(crate) placement: Placement,
}

impl Located {
    pub(crate) fn location(&self) -> Location {
        Location {
            uri: self.uri.clone(),
            range: self.range,
        }
    }

    pub(crate) fn covers(&self, position: Position) -> bool {
        self.range.start <= position && position <= self.range.end
    }
}

/// How many texts are remembered beyond those in use.
const MOST_REMEMBERED: usize = 32;

/// Sites of one text in another one.
type Anchorings = DashMap<Site, Anchored>;

/// What is derived from texts, by their content.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    anchors: DashMap<ContentHash, Arc<Anchors>>,
    /// Sites of a text in another one.
    drifted: DashMap<(ContentHash, ContentHash), Arc<Anchorings>>,
    /// The text in which the sites of a text were found last: what is typed next differs little from it.
    latest: DashMap<ContentHash, (Arc<SourceText>, Arc<Anchorings>)>,
    /// Files on disk, as they were when last looked at.
    files: DashMap<PathBuf, (Option<SystemTime>, u64, Arc<SourceText>)>,
    /// Where the file of a path lies.
    keys: DashMap<String, PathBuf>,
}

impl Derived {
    fn anchors(&self, text: &SourceText) -> Arc<Anchors> {
        if let Some(known) = self.anchors.get(&text.hash()) {
            return Arc::clone(&known);
        }
        let made = Arc::new(Anchors::of(text.lines.text().as_bytes()));
        self.anchors.insert(text.hash(), Arc::clone(&made));
        made
    }

    /// Forgets what old texts left behind: every keystroke makes a text.
    pub(crate) fn trim(&self) {
        if self.anchors.len() > MOST_REMEMBERED {
            self.anchors.clear();
        }
        if self.drifted.len() > MOST_REMEMBERED {
            self.drifted.clear();
        }
        if self.files.len() > MOST_REMEMBERED {
            self.files.clear();
        }
        if self.latest.len() > MOST_REMEMBERED {
            self.latest.clear();
        }
    }

    /// A new dump: files may be others by now.
    pub(crate) fn forget_files(&self) {
        self.keys.clear();
        self.files.clear();
    }

    fn key(&self, file: &str) -> PathBuf {
        if let Some(known) = self.keys.get(file) {
            return known.clone();
        }
        let key = uris::file_key(Path::new(file));
        self.keys.insert(file.to_owned(), key.clone());
        key
    }

    fn on_disk(&self, path: &Path) -> Option<Arc<SourceText>> {
        let metadata = std::fs::metadata(path).ok()?;
        let (modified, bytes) = (metadata.modified().ok(), metadata.len());
        if let Some(known) = self.files.get(path)
            && known.0 == modified
            && known.1 == bytes
        {
            return Some(Arc::clone(&known.2));
        }
        let text = heldby_source::decode_source(&read_source(path)?)?;
        let text = Arc::new(SourceText::new(Lines::new(text)));
        self.files
            .insert(path.to_owned(), (modified, bytes, Arc::clone(&text)));
        Some(text)
    }
}

/// Finds sites in the texts of one moment.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a> {
    pub(crate) documents: &'a Documents,
    pub(crate) derived: &'a Derived,
    pub(crate) encoding: Encoding,
    /// The texts in which the sites were found, by path.
    pub(crate) texts: &'a HashMap<String, Arc<SourceText>>,
}

impl Places<'_> {
    /// The place in today's text; `None` for what is not there any more, and where there is no file.
    pub(crate) fn locate(&self, place: &Place) -> Option<Located> {
        let range = place.range?;
        let key = self.derived.key(&place.file);
        let document = self.documents.of_file(&key);
        let uri = match document {
            Some(document) => document.uri.clone(),
            None => uris::uri_of(Path::new(&place.file))?,
        };
        let now = self.text_of(&key)?;
        let then = self.texts.get(&place.file);
        let (range, placement) = match then {
            Some(then) if then.hash() != now.hash() => self.drifted(then, &now, place, range)?,
            _ => (range, place.placement),
        };
        Some(Located {
            uri,
            range: now.lines.to_protocol(range, self.encoding),
            placement,
        })
    }

    /// The last line of a place, in today's text.
    pub(crate) fn last_line(&self, place: &Place) -> Option<String> {
        let located = self.locate(place)?;
        let text = self.text_of(&self.derived.key(&place.file))?;
        let line = text.lines.line(located.range.end.line as usize)?;
        Some(line.to_owned())
    }

    /// The text of a file: what the editor shows, else what lies on disk.
    fn text_of(&self, key: &Path) -> Option<Arc<SourceText>> {
        match self.documents.of_file(key) {
            Some(document) => Some(Arc::clone(&document.text)),
            None => self.derived.on_disk(key),
        }
    }

    fn drifted(
        &self,
        then: &Arc<SourceText>,
        now: &Arc<SourceText>,
        place: &Place,
        range: SourceRange,
    ) -> Option<(SourceRange, Placement)> {
        let site = Site {
            path: place.file.clone(),
            line: range.line,
            column: range.column,
            end_line: range.end_line,
            end_column: range.end_column,
        };
        let key = (then.hash(), now.hash());
        let sites = Arc::clone(&self.derived.drifted.entry(key).or_default());
        let known = sites.get(&site).map(|known| known.clone());
        let anchored = match known {
            Some(known) => known,
            None => {
                let anchored = self.untouched(then, now, &site).unwrap_or_else(|| {
                    let (old, new) = (self.derived.anchors(then), self.derived.anchors(now));
                    Drift::between(&old, &new).place(&site)
                });
                sites.insert(site, anchored.clone());
                anchored
            }
        };
        self.derived
            .latest
            .insert(then.hash(), (Arc::clone(now), sites));
        let (site, drift) = match anchored {
            Anchored::Exact(site) => (site, Placement::Exact),
            Anchored::Moved(site) => (site, Placement::Moved),
            Anchored::Changed(site) => (site, Placement::Changed),
            Anchored::Lost => return None,
        };
        let range = SourceRange {
            line: site.line,
            column: site.column,
            end_line: site.end_line,
            end_column: site.end_column,
        };
        // What was uncertain before does not become certain.
        let rank = |placement: &Placement| match placement {
            Placement::Exact => 0,
            Placement::Moved => 1,
            Placement::Changed => 2,
            Placement::Lost => 3,
        };
        let placement = [place.placement, drift].into_iter().max_by_key(rank)?;
        Some((range, placement))
    }

    /// The site, where it lies wholly before or behind what was edited since it was found last: no need to read the text again.
    fn untouched(&self, then: &SourceText, now: &SourceText, site: &Site) -> Option<Anchored> {
        let latest = self
            .derived
            .latest
            .get(&then.hash())
            .map(|latest| latest.clone());
        let in_latest = latest.as_ref().and_then(|(text, sites)| {
            match sites.get(site).map(|known| known.clone())? {
                Anchored::Exact(known) | Anchored::Moved(known) => Some((&**text, known)),
                Anchored::Changed(_) | Anchored::Lost => None,
            }
        });
        let (text, known) = in_latest.unwrap_or_else(|| (then, site.clone()));
        let shift = text
            .lines
            .shift_to(&now.lines, known.line, known.end_line)?;
        let line = |line: u32| line.checked_add_signed(shift);
        let moved = Site {
            line: line(known.line)?,
            end_line: line(known.end_line)?,
            ..known
        };
        Some(if moved == *site {
            Anchored::Exact(moved)
        } else {
            Anchored::Moved(moved)
        })
    }
}
