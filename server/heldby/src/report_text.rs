//! The report as text: findings as annotated source, as a compiler prints its warnings.
//!
//! Styles are always written; whoever prints strips them where they are not wanted.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::{Effects, Style};
use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level, Message, Origin, Renderer, Snippet,
};
use heldby_finding::{
    DumpSummary, Finding, Holder, Place, Placement, ProcessReport, Range, Severity, StorePlace,
    words,
};

/// Store sites shown beside the best one.
const MORE_STORES: usize = 2;
/// Findings for information that get a line.
const MOST_INFORMATION: usize = 10;
/// Fewer dumps prove no growth.
const DUMPS_THAT_PROVE: usize = 3;
/// A larger file is not source that anybody wrote.
const MOST_BYTES: u64 = 32 << 20;

const BOLD: Style = Style::new().effects(Effects::BOLD);

/// The report on all processes.
pub(crate) fn to_text(reports: &[ProcessReport]) -> String {
    to_text_below(std::env::current_dir().ok(), reports)
}

/// The report, with paths relative to `here`.
fn to_text_below(here: Option<PathBuf>, reports: &[ProcessReport]) -> String {
    let mut text = Text {
        renderer: Renderer::styled(),
        sources: Sources::new(here),
        out: String::new(),
    };
    for report in reports {
        if reports.len() > 1 {
            text.heading(report);
        }
        text.process(report);
    }
    text.out
}

/// The text as it is written.
struct Text {
    renderer: Renderer,
    sources: Sources,
    out: String,
}

impl Text {
    fn heading(&mut self, report: &ProcessReport) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        let heading = format!("process {} ({})", report.pid, dumps(report.dumps.len()));
        self.bold(&heading);
        self.out.push('\n');
    }

    fn process(&mut self, report: &ProcessReport) {
        for (path, problem) in problems(&report.dumps) {
            self.line(Level::NOTE, &format!("{path}: {problem}"));
        }
        let (warnings, information): (Vec<&Finding>, Vec<&Finding>) = report
            .findings
            .iter()
            .partition(|finding| finding.severity == Severity::Warning);
        self.gap(report);
        for finding in &warnings {
            let group = self.warning(finding);
            self.render(group);
            self.out.push('\n');
        }
        for finding in information.iter().take(MOST_INFORMATION) {
            let at = match best_store(finding).map(|store| &store.place) {
                Some(place) => format!(" ({})", self.sources.address(place)),
                None => String::new(),
            };
            let title = format!("{}{at}", words::title(finding));
            self.line(information_level(), &title);
        }
        if let Some(left_out) = information
            .len()
            .checked_sub(MOST_INFORMATION)
            .filter(|count| *count > 0)
        {
            let words = format!("and {left_out} more for information: `--format json` has them");
            self.line(information_level(), &words);
        }
        if !information.is_empty() {
            self.out.push('\n');
        }
        self.end(report, warnings.len(), information.len());
    }

    /// A blank line between the problems and the findings.
    fn gap(&mut self, report: &ProcessReport) {
        if !problems(&report.dumps).is_empty() {
            self.out.push('\n');
        }
    }

    /// The last lines: what the report could not tell, and the sum.
    fn end(&mut self, report: &ProcessReport, warnings: usize, information: usize) {
        let read: Vec<&DumpSummary> = report
            .dumps
            .iter()
            .filter(|dump| dump.objects > 0)
            .collect();
        if read.len() < DUMPS_THAT_PROVE {
            self.line(Level::NOTE, words::take_more_dumps());
        } else if !report.findings.iter().any(|finding| finding.growth.proven) {
            self.bold(&format!("nothing grows in all {}", dumps(read.len())));
        }
        let found = match (warnings, information) {
            (0, 0) => "no findings".to_owned(),
            _ => format!(
                "{warnings} warning{}, {information} for information",
                if warnings == 1 { "" } else { "s" }
            ),
        };
        let last = match read.last() {
            Some(dump) => format!(
                " ({} objects, {} in the last)",
                dump.objects,
                words::bytes(dump.bytes)
            ),
            None => String::new(),
        };
        let read = dumps(read.len());
        self.bold(&format!(
            "{found} in {read} of process {}{last}",
            report.pid
        ));
    }

    /// A finding with its source.
    fn warning(&mut self, finding: &Finding) -> Group<'static> {
        let Drawn { elements, notes } = self.sources.draw(&marks(finding));
        let mut group = Group::with_title(
            Level::WARNING
                .primary_title(words::title(finding))
                .id(finding.holder.kind),
        )
        .elements(elements)
        .element(fact("held", words::held(finding)));
        if let Some(growth) = words::growth(finding) {
            group = group.element(fact("growth", growth));
        }
        if let Some(chain) = words::chain(finding) {
            group = group.element(fact("chain", chain));
        }
        for holder in finding
            .holders
            .iter()
            .filter(|holder| **holder != finding.holder)
        {
            group = group.element(fact("through", self.other_holder(holder)));
        }
        let more = finding.stores.len().saturating_sub(1 + MORE_STORES);
        let more = match more {
            0 => None,
            1 => Some("stored at 1 more place: `--format json` has it".to_owned()),
            _ => Some(format!(
                "stored at {more} more places: `--format json` has them"
            )),
        };
        group
            .elements(
                notes
                    .into_iter()
                    .chain(more)
                    .chain(words::notes(finding))
                    .map(|note| Level::NOTE.message(clean(&note))),
            )
            .element(Level::HELP.message(clean(&words::help(finding))))
    }

    fn other_holder(&self, holder: &Holder) -> String {
        let words = words::holder(holder);
        match &holder.definition {
            Some(place) => format!("{words}, {}", self.sources.address(place)),
            None => words,
        }
    }

    /// One line with a level before it.
    fn line(&mut self, level: Level<'static>, words: &str) {
        self.render(Group::with_title(level.secondary_title(clean(words))));
    }

    fn render(&mut self, group: Group<'_>) {
        self.out.push_str(&self.renderer.render(&[group]));
        self.out.push('\n');
    }

    fn bold(&mut self, words: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.out, "{BOLD}{}{BOLD:#}", clean(words));
    }
}

/// A place that a finding speaks of.
struct Mark<'a> {
    place: &'a Place,
    /// What stands under it.
    label: String,
    /// What stands before its address where it cannot be drawn.
    words: String,
    is_primary: bool,
}

/// The places of a finding, in the order in which they are shown: the best store, the holder, more stores.
fn marks(finding: &Finding) -> Vec<Mark<'_>> {
    let best = best_store(finding);
    let mut marks: Vec<Mark<'_>> = best.iter().map(|store| store_mark(store, true)).collect();
    if let Some(place) = &finding.holder.definition {
        let label = words::definition_label(&finding.holder);
        marks.push(Mark {
            place,
            words: format!("{label}, defined at"),
            label,
            is_primary: best.is_none(),
        });
    }
    let others = finding
        .stores
        .iter()
        .filter(|store| !best.is_some_and(|best| std::ptr::eq(best, *store)));
    marks.extend(
        others
            .take(MORE_STORES)
            .map(|store| store_mark(store, false)),
    );
    marks
}

fn store_mark(store: &StorePlace, is_primary: bool) -> Mark<'_> {
    Mark {
        place: &store.place,
        label: words::store_label(store, is_primary),
        words: words::store_words(store, is_primary).to_owned(),
        is_primary,
    }
}

/// The store that the finding shows first: the best one of the user's own code that can make something grow, where there is any.
fn best_store(finding: &Finding) -> Option<&StorePlace> {
    finding
        .stores
        .iter()
        .find(|store| store.user && !store.runs_once)
        .or(finding.stores.first())
}

fn information_level() -> Level<'static> {
    Level::INFO.with_name(words::severity(Severity::Information))
}

/// A line of what is known: `= held: …`.
fn fact(name: &'static str, words: String) -> Message<'static> {
    Level::INFO.with_name(name).message(clean(&words))
}

fn dumps(count: usize) -> String {
    format!("{count} dump{}", if count == 1 { "" } else { "s" })
}

/// What is to be noted of the dumps, each once, with the dumps that have it.
fn problems(dumps: &[DumpSummary]) -> Vec<(String, String)> {
    let mut problems: Vec<(&str, usize, String)> = Vec::new();
    for dump in dumps {
        let fallback = (!dump.fallback.is_empty()).then(|| words::fallback(&dump.fallback));
        for problem in dump.problems.iter().cloned().chain(fallback) {
            match problems.iter_mut().find(|(_, _, known)| *known == problem) {
                Some((_, more, _)) => *more += 1,
                None => problems.push((&dump.path, 0, problem)),
            }
        }
    }
    let named = problems
        .into_iter()
        .map(|(path, more, problem)| match more {
            0 => (path.to_owned(), problem),
            _ => (format!("{path} and {more} more"), problem),
        });
    named.collect()
}

/// Words of a dump's, without what a terminal would take as a command.
fn clean(words: &str) -> String {
    let visible = |character: char| {
        if character.is_control() {
            '\u{fffd}'
        } else {
            character
        }
    };
    words.chars().map(visible).collect()
}

/// What becomes of marks: what is drawn, and what can only be said.
struct Drawn {
    elements: Vec<Element<'static>>,
    notes: Vec<String>,
}

/// Source files on this machine, each read once.
struct Sources {
    here: Option<PathBuf>,
    files: HashMap<String, Option<Source>>,
}

impl Sources {
    /// Paths below `here` are shown relative to it.
    fn new(here: Option<PathBuf>) -> Self {
        Self {
            here,
            files: HashMap::new(),
        }
    }

    /// `views.py:31`, and what became of the line since.
    fn address(&self, place: &Place) -> String {
        let file = self.shown(&place.file);
        let address = match place.range {
            Some(range) => format!("{file}:{}", range.line),
            None => file,
        };
        match words::placement_note(place.placement) {
            Some(note) => format!("{address}, {note}"),
            None => address,
        }
    }

    fn shown(&self, file: &str) -> String {
        let below = self
            .here
            .as_deref()
            .and_then(|here| Path::new(file).strip_prefix(here).ok());
        clean(&below.map_or_else(|| file.to_owned(), |path| path.display().to_string()))
    }

    /// One snippet a file, in the order of the marks; what has no text to draw on is said in words.
    fn draw(&mut self, marks: &[Mark<'_>]) -> Drawn {
        let mut drawn = Drawn {
            elements: Vec::new(),
            notes: Vec::new(),
        };
        let mut files: Vec<(&str, Vec<(&Mark<'_>, Range)>)> = Vec::new();
        for mark in marks {
            match (
                self.drawable(mark.place),
                files.iter_mut().find(|(file, _)| *file == mark.place.file),
            ) {
                (Some(range), Some((_, ranges))) => ranges.push((mark, range)),
                (Some(range), None) => files.push((&mark.place.file, vec![(mark, range)])),
                (None, _) if mark.is_primary => {
                    let origin = Origin::path(self.shown(&mark.place.file));
                    drawn.elements.push(Element::Origin(match mark.place.range {
                        Some(range) => origin.line(range.line as usize),
                        None => origin,
                    }));
                    drawn
                        .notes
                        .push(match words::placement_note(mark.place.placement) {
                            Some(note) if !mark.label.contains(note) => {
                                format!("{}; {note}", mark.label)
                            }
                            _ => mark.label.clone(),
                        });
                }
                (None, _) => {
                    drawn
                        .notes
                        .push(format!("{} {}", mark.words, self.address(mark.place)))
                }
            }
        }
        for (file, ranges) in files {
            let shown = self.shown(file);
            if let Some(Some(source)) = self.files.get(file) {
                drawn
                    .elements
                    .push(Element::Cause(source.snippet(shown, &ranges)));
            }
        }
        drawn
    }

    /// The range of the place, if it can be drawn on the file's text.
    fn drawable(&mut self, place: &Place) -> Option<Range> {
        let range = place.range?;
        if matches!(place.placement, Placement::Changed | Placement::Lost) {
            return None;
        }
        let source = self
            .files
            .entry(place.file.clone())
            .or_insert_with(|| Source::read(&place.file));
        source.as_ref()?.span(range)?;
        Some(range)
    }
}

/// A file's text.
struct Source {
    /// The lines, each ended by one `\n`.
    text: String,
    /// Where they start, and the end of the text.
    line_starts: Vec<usize>,
}

impl Source {
    fn read(path: &str) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        if !metadata.is_file() || metadata.len() > MOST_BYTES {
            return None;
        }
        Some(Self::new(&std::fs::read(path).ok()?))
    }

    fn new(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut text = decode(bytes).replace("\r\n", "\n").replace('\r', "\n");
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(ends).collect();
        Self { text, line_starts }
    }

    /// The bytes of a range; `None` when the text has no such range.
    fn span(&self, range: Range) -> Option<ops::Range<usize>> {
        let start = self.offset(range.line, range.column)?;
        let end = self.offset(range.end_line, range.end_column)?;
        (start <= end).then_some(start..end)
    }

    fn offset(&self, line: u32, column: u32) -> Option<usize> {
        let line = (line as usize).checked_sub(1)?;
        let (start, end) = (
            *self.line_starts.get(line)?,
            *self.line_starts.get(line + 1)?,
        );
        let line = self.text.get(start..end - 1)?;
        let before = (column as usize).checked_sub(1)?;
        let mut ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
        ends.nth(before).map(|at| start + at)
    }

    /// The lines of the ranges, with what is to be said under them.
    fn snippet(
        &self,
        shown: String,
        ranges: &[(&Mark<'_>, Range)],
    ) -> Snippet<'static, Annotation<'static>> {
        let first = ranges
            .iter()
            .map(|(_, range)| range.line)
            .min()
            .unwrap_or(1) as usize;
        let last = ranges
            .iter()
            .map(|(_, range)| range.end_line)
            .max()
            .unwrap_or(1) as usize;
        let start = self.line_starts.get(first - 1).copied().unwrap_or_default();
        let end = self
            .line_starts
            .get(last)
            .copied()
            .unwrap_or(self.text.len());
        let annotations = ranges.iter().filter_map(|(mark, range)| {
            let span = self.span(*range)?;
            let kind = if mark.is_primary {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            Some(
                kind.span(span.start - start..span.end - start)
                    .label(clean(&mark.label)),
            )
        });
        Snippet::source(self.text[start..end].to_owned())
            .line_start(first)
            .path(shown)
            .annotations(annotations)
    }
}

/// UTF-8, else, where an encoding is declared, Latin-1: it has a character for every byte, so that columns stay right.
fn decode(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let declares = |line: &[u8]| String::from_utf8_lossy(line).contains("coding");
    if bytes.split(|byte| *byte == b'\n').take(2).any(declares) {
        bytes.iter().copied().map(char::from).collect()
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    }
}

#[cfg(test)]
mod tests;
