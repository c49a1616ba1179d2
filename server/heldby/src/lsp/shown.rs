//! What is shown: the findings of one series, with all that a request needs to answer at once. Immutable; a new one replaces it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use heldby_finding::{Evidence, Finding, Place, Placement, Range, Severity, StorePlace};
use heldby_heap::{Heap, ObjectId};
use heldby_retention::{Breadth, Distances, RefcountAccount, Referrers, TreeLimits, objects_at};

use super::documents::SourceText;
use super::library::CountedPlace;
use super::positions::Lines;
use crate::disk::LocalFiles;
use crate::referrers::{ObjectAnswer, object_text};
use crate::series::{Newest, Series};

/// Referrers of a sample in a hover.
const TREE_IN_A_HOVER: TreeLimits = TreeLimits {
    depth: 8,
    referrers: 5,
    nodes: 24,
    breadth: Breadth::TowardsRoots,
};
const PATHS_IN_A_HOVER: usize = 5;
/// An access path that stands for more objects than these has a sample of the first ones only.
const MOST_SAMPLES: usize = 10_000;

/// A dump of a series.
#[derive(Debug, Clone)]
pub(crate) struct ShownDump {
    pub(crate) path: PathBuf,
    pub(crate) taken_at_nanoseconds: u64,
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) problems: Vec<String>,
}

/// How a finding stands to the session before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There was no session before, or it cannot be told yet.
    Unknown,
    New,
    StillThere,
    /// Of the session before; the present one has too few dumps to say.
    Before,
}

/// A finding, and what a hover tells beside it.
#[derive(Debug, Clone)]
pub(crate) struct ShownFinding {
    pub(crate) finding: Finding,
    pub(crate) standing: Standing,
    /// One of the objects held, in the newest dump.
    pub(crate) sample: Option<ObjectId>,
    /// Its referrers and its reference count.
    pub(crate) referrers: Option<String>,
}

/// Objects of one class.
#[derive(Debug, Clone)]
pub(crate) struct ClassCount {
    pub(crate) type_index: u32,
    pub(crate) name: String,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// A class of the user's, where its source is.
#[derive(Debug, Clone)]
pub(crate) struct ClassSite {
    pub(crate) class: ClassCount,
    pub(crate) place: Place,
}

/// The newest dump's heap, and what answers questions about it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) newest: Arc<Newest>,
    pub(crate) distances: Distances,
    pub(crate) files: LocalFiles,
}

impl Asked {
    pub(crate) fn heap(&self) -> &Heap {
        &self.newest.heap
    }

    pub(crate) fn referrers(&self) -> Referrers<'_> {
        Referrers::new(self.heap(), &self.distances)
    }

    /// Tells this dump from others: an address of one is another object's in the next.
    pub(crate) fn dump(&self) -> String {
        format!("{:x}", self.newest.header.taken_at_nanoseconds)
    }
}

/// One series as it is shown.
#[derive(Debug)]
pub(crate) struct View {
    /// Names the series.
    pub(crate) id: String,
    pub(crate) pid: u64,
    /// What runs: `manage.py runserver`.
    pub(crate) program: String,
    pub(crate) argv: Vec<String>,
    pub(crate) dumps: Vec<ShownDump>,
    /// Dumps that growth is read off.
    pub(crate) whole: usize,
    pub(crate) findings: Vec<ShownFinding>,
    /// Titles of the findings of the session before that are gone.
    pub(crate) fixed: Vec<String>,
    /// Counts by the last name of the class.
    pub(crate) classes: HashMap<String, Vec<ClassCount>>,
    pub(crate) class_sites: Vec<ClassSite>,
    /// The texts in which the sites of the findings were found, by their path on this machine.
    pub(crate) texts: HashMap<String, Arc<SourceText>>,
    /// `None` once another series is shown.
    pub(crate) asked: Option<Asked>,
}

/// Fewer dumps prove no growth, nor that it ended.
pub(crate) const DUMPS_THAT_PROVE: usize = 3;

impl View {
    /// Makes what is shown of a series; its newest dump must have been read.
    pub(crate) fn of(series: &Series, id: String, files: LocalFiles) -> Option<Self> {
        let newest = Arc::clone(series.newest()?);
        let findings = series.findings(&files);
        let classes = classes(&newest.heap);
        let class_sites = class_sites(series, &files, &classes);
        let mut texts = HashMap::new();
        let of_classes = class_sites.iter().map(|site| &site.place);
        let places = findings.iter().flat_map(|finding| {
            let definitions = finding
                .holders
                .iter()
                .filter_map(|holder| holder.definition.as_ref());
            definitions.chain(finding.stores.iter().map(|store| &store.place))
        });
        for place in places.chain(of_classes) {
            if !texts.contains_key(&place.file)
                && let Some(text) = files.text_at(&place.file)
            {
                texts.insert(
                    place.file.clone(),
                    Arc::new(SourceText::new(Lines::new(text))),
                );
            }
        }
        let distances = Distances::of(&newest.heap, &newest.analysis.chains);
        let asked = Asked {
            newest,
            distances,
            files,
        };
        let findings = findings
            .into_iter()
            .map(|finding| shown(&asked, finding))
            .collect();
        let header = &asked.newest.header;
        let summaries: HashMap<String, _> = series
            .summaries()
            .into_iter()
            .map(|summary| (summary.path.clone(), summary))
            .collect();
        let dumps = series.dumps().iter().map(|dump| {
            let summary = summaries.get(&dump.path.display().to_string());
            ShownDump {
                path: dump.path.clone(),
                taken_at_nanoseconds: dump.taken_at_nanoseconds,
                objects: summary.map_or(0, |summary| summary.objects),
                bytes: summary.map_or(0, |summary| summary.bytes),
                problems: summary
                    .map(|summary| summary.problems.clone())
                    .unwrap_or_default(),
            }
        });
        Some(Self {
            id,
            pid: series.process.pid,
            program: program(&header.argv),
            argv: header.argv.clone(),
            dumps: dumps.collect(),
            whole: series.whole_len(),
            findings,
            fixed: Vec::new(),
            classes,
            class_sites,
            texts,
            asked: Some(asked),
        })
    }

    /// The moment of the newest dump.
    /// Ranks the store sites that were counted.
    pub(crate) fn confirm(&mut self, counted: &[CountedPlace]) {
        if counted.is_empty() {
            return;
        }
        for shown in &mut self.findings {
            let runs_of = |store: &StorePlace| {
                let ran_at = store.ran_at.as_ref()?;
                let mut counted = counted.iter();
                let found = counted.find(|place| {
                    (&place.file, place.first, place.last)
                        == (&ran_at.file, ran_at.first, ran_at.last)
                });
                found.map(|place| place.runs)
            };
            let runs: Vec<Option<u64>> = shown.finding.stores.iter().map(runs_of).collect();
            if runs.iter().any(Option::is_some) {
                heldby_finding::confirm(&mut shown.finding, &runs);
            }
        }
    }

    pub(crate) fn taken_at_nanoseconds(&self) -> u64 {
        self.dumps
            .iter()
            .map(|dump| dump.taken_at_nanoseconds)
            .max()
            .unwrap_or_default()
    }

    /// The same without the heap: what stays of a series that is not shown.
    pub(crate) fn without_heap(&self) -> Self {
        Self {
            id: self.id.clone(),
            pid: self.pid,
            program: self.program.clone(),
            argv: self.argv.clone(),
            dumps: self.dumps.clone(),
            whole: self.whole,
            findings: self.findings.clone(),
            fixed: self.fixed.clone(),
            classes: HashMap::new(),
            class_sites: Vec::new(),
            texts: self.texts.clone(),
            asked: None,
        }
    }

    /// Compares with the session before of the same program: until this one can tell growth, the old findings stay, faintly;
    /// then each is fixed or still there.
    pub(crate) fn compare(&mut self, before: &View) {
        let can_tell = self.whole >= DUMPS_THAT_PROVE;
        let is_leak = |shown: &&ShownFinding| {
            shown.finding.severity == Severity::Warning && shown.standing != Standing::Before
        };
        let old: HashMap<&str, &ShownFinding> = before
            .findings
            .iter()
            .filter(is_leak)
            .map(|shown| (shown.finding.id.as_str(), shown))
            .collect();
        for shown in &mut self.findings {
            let was_there = old.contains_key(shown.finding.id.as_str());
            if shown.finding.severity == Severity::Warning {
                shown.standing = if was_there {
                    Standing::StillThere
                } else {
                    Standing::New
                };
            }
        }
        let present: Vec<&str> = self
            .findings
            .iter()
            .filter(|shown| !can_tell || shown.finding.severity == Severity::Warning)
            .map(|shown| shown.finding.id.as_str())
            .collect();
        let gone: Vec<ShownFinding> = before
            .findings
            .iter()
            .filter(is_leak)
            .filter(|shown| !present.contains(&shown.finding.id.as_str()))
            .cloned()
            .collect();
        if can_tell {
            self.fixed = gone
                .iter()
                .map(|shown| heldby_finding::words::title(&shown.finding))
                .collect();
            return;
        }
        for mut shown in gone {
            shown.standing = Standing::Before;
            shown.sample = None;
            shown.referrers = None;
            let places = shown
                .finding
                .stores
                .iter()
                .map(|store| &store.place.file)
                .chain(
                    shown
                        .finding
                        .holders
                        .iter()
                        .filter_map(|holder| Some(&holder.definition.as_ref()?.file)),
                );
            for file in places {
                if let Some(text) = before.texts.get(file) {
                    self.texts
                        .entry(file.clone())
                        .or_insert_with(|| Arc::clone(text));
                }
            }
            self.findings.push(shown);
        }
    }
}

/// What runs, without the folders of its path.
fn program(argv: &[String]) -> String {
    let mut words = argv.iter();
    let first = words.next().map(|word| {
        word.rsplit(['/', '\\'])
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    first
        .into_iter()
        .chain(words.take(3).cloned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn shown(asked: &Asked, finding: Finding) -> ShownFinding {
    let sample = sample(asked.heap(), &finding);
    ShownFinding {
        referrers: sample.map(|object| text_of(asked, object)),
        sample,
        standing: Standing::Unknown,
        finding,
    }
}

/// One of the objects held, of the type that retains most where there is one.
fn sample(heap: &Heap, finding: &Finding) -> Option<ObjectId> {
    let objects = objects_at(heap, &finding.access_path).ok()?;
    let is_of_type =
        |object: &&ObjectId| heap.type_name(heap.type_index(**object)) == finding.held.type_name;
    let fitting = objects.iter().take(MOST_SAMPLES).find(is_of_type);
    fitting.or(objects.first()).copied()
}

/// Who holds an object, in a few lines.
pub(crate) fn text_of(asked: &Asked, object: ObjectId) -> String {
    let referrers = asked.referrers();
    let answer = ObjectAnswer {
        object,
        is_reachable: referrers.is_reachable(object),
        refcount: RefcountAccount::of(asked.heap(), object),
        paths: referrers.paths(object, PATHS_IN_A_HOVER),
        tree: referrers.tree(object, TREE_IN_A_HOVER),
    };
    object_text(asked.heap(), &asked.newest.analysis.dominators, &answer)
}

/// Where the user's classes that have objects are defined.
fn class_sites(
    series: &Series,
    files: &LocalFiles,
    classes: &HashMap<String, Vec<ClassCount>>,
) -> Vec<ClassSite> {
    let wanted: HashMap<u32, &ClassCount> = classes
        .values()
        .flatten()
        .map(|class| (class.type_index, class))
        .collect();
    let lines = series.class_lines(files, &|type_index| wanted.contains_key(&type_index));
    let site = |(type_index, site): (u32, heldby_source::Site)| {
        Some(ClassSite {
            class: (*wanted.get(&type_index)?).clone(),
            place: Place {
                file: files.local_path(&site.path),
                range: Some(Range {
                    line: site.line,
                    column: site.column,
                    end_line: site.end_line,
                    end_column: site.end_column,
                }),
                evidence: Evidence::Inferred,
                placement: Placement::Exact,
            },
        })
    };
    lines.into_iter().filter_map(site).collect()
}

/// One pass over the objects.
fn classes(heap: &Heap) -> HashMap<String, Vec<ClassCount>> {
    let mut counts = vec![(0u64, 0u64); heap.names().types.len()];
    for object in heap.objects() {
        if let Some((count, bytes)) = counts.get_mut(heap.type_index(object) as usize) {
            *count += 1;
            *bytes += heap.shallow_bytes(object);
        }
    }
    let mut classes: HashMap<String, Vec<ClassCount>> = HashMap::new();
    for (index, (count, bytes)) in counts.into_iter().enumerate() {
        let Ok(type_index) = u32::try_from(index) else {
            continue;
        };
        if count > 0 {
            let name = heap.type_name(type_index);
            let last = name.rsplit('.').next().unwrap_or_default().to_owned();
            classes.entry(last).or_default().push(ClassCount {
                type_index,
                name,
                count,
                bytes,
            });
        }
    }
    classes
}

/// All series that are loaded, and the one that is shown.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Oldest first.
    pub(crate) series: Vec<Arc<View>>,
    /// Place of the one that is shown.
    pub(crate) current: Option<usize>,
    /// Dumps that could not be read.
    pub(crate) problems: Vec<(PathBuf, String)>,
}

impl Shown {
    pub(crate) fn current(&self) -> Option<&Arc<View>> {
        self.series.get(self.current?)
    }
}
