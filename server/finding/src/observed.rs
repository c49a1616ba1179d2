//! Store sites that were seen: what an allocation trace says of a holder's containers, and what the source says, in one list.

use heldby_retention::GrownAt;
use heldby_source::{Site, SourceFiles, decode_source};

use crate::placing::Placing;
use crate::{Evidence, Place, Placement, RanAt, Range, Role, StorePlace};

/// Where a container was seen to grow, in today's text.
pub(crate) struct Seen {
    /// Path, as the dump writes it.
    pub(crate) path: String,
    /// Qualified name of the function around it; empty at the top level of a module.
    pub(crate) enclosing: String,
    range: Range,
    /// The columns are the interpreter's; else the whole line stands for what is on it.
    has_columns: bool,
    placement: Placement,
    ran_at: RanAt,
}

impl Seen {
    /// None where the line was changed since.
    pub(crate) fn of(
        grown: &GrownAt,
        placing: &Placing<'_>,
        files: &dyn SourceFiles,
    ) -> Option<Self> {
        let path = &grown.function.file;
        let (line, placement) = placing.line_today(path, grown.line)?;
        let end_line = line + grown.end_line.saturating_sub(grown.line);
        let text = decode_source(&files.read(path)?)?;
        let line_of = |number: u32| text.lines().nth(number as usize - 1);
        let first = line_of(line)?;
        let has_columns = grown.column > 0 && grown.end_column > 0;
        let range = if has_columns {
            Range {
                line,
                column: code_points(first, grown.column),
                end_line,
                end_column: code_points(line_of(end_line)?, grown.end_column),
            }
        } else {
            let indent = first.chars().take_while(|c| c.is_whitespace()).count();
            Range {
                line,
                column: indent as u32 + 1,
                end_line: line,
                end_column: first.trim_end().chars().count() as u32 + 1,
            }
        };
        let name = &grown.function.code_qualname;
        let enclosing = if name == "<module>" { "" } else { name };
        Some(Self {
            path: path.clone(),
            enclosing: enclosing.to_owned(),
            range,
            has_columns,
            placement,
            ran_at: RanAt {
                file: path.clone(),
                first: grown.line,
                last: grown.end_line.max(grown.line),
            },
        })
    }

    /// Whether a site found by reading is what was seen: they have the line in common, and columns, where these are known.
    pub(crate) fn is_at(&self, site: &Site) -> bool {
        let starts_before = |end: (u32, u32)| (self.range.line, self.range.column) < end;
        let ends_behind = |start: (u32, u32)| start < (self.range.end_line, self.range.end_column);
        let (start, end) = if self.has_columns {
            ((site.line, site.column), (site.end_line, site.end_column))
        } else {
            ((site.line, 0), (site.end_line, u32::MAX))
        };
        self.path == site.path && starts_before(end) && ends_behind(start)
    }

    /// As a store of its own.
    pub(crate) fn into_store(self, file: String, user: bool) -> StorePlace {
        StorePlace {
            place: Place {
                file,
                range: Some(self.range),
                evidence: Evidence::Observed,
                placement: self.placement,
            },
            role: Role::Store,
            enclosing: self.enclosing,
            user,
            runs_once: false,
            ran_at: Some(self.ran_at),
            runs: None,
        }
    }
}

/// From a byte of a line in UTF-8 to a code point, both counted from 1.
fn code_points(line: &str, byte: u32) -> u32 {
    let before = &line[..line.floor_char_boundary(byte as usize - 1)];
    before.chars().count() as u32 + 1
}

/// Puts what was seen and what was read together: what was seen of the user's own comes first. `sites`: of `stores`, in their order.
/// `removals`: lines that take entries out, which make no container larger for what it holds.
pub(crate) fn with_seen(
    mut stores: Vec<StorePlace>,
    sites: &[Site],
    removals: &[Site],
    seen: Vec<Seen>,
    place: impl Fn(&str) -> (String, bool),
) -> Vec<StorePlace> {
    let mut more = Vec::new();
    for seen in seen {
        let mut is_known = false;
        for (store, site) in stores.iter_mut().zip(sites) {
            if seen.is_at(site) {
                store.place.evidence = Evidence::Observed;
                is_known = true;
            }
        }
        if !is_known && !removals.iter().any(|removal| seen.is_at(removal)) {
            let (file, user) = place(&seen.path);
            more.push(seen.into_store(file, user));
        }
    }
    stores.append(&mut more);
    stores.sort_by_key(|store| !(store.user && store.place.evidence == Evidence::Observed));
    stores
}
