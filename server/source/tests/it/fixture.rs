//! Programs with marks. A fixture is a text of several files:
//!
//! ```python
//! #- gallery/cache.py
//! CACHE = {}
//! #^^^^^^^^^ definition
//! def remember(request):
//!     CACHE[request.id] = request
//! #   ^^^^^^^^^^^^^^^^^^^^^^^^^^^ store
//! ```
//!
//! A mark stands below its line, carets below its columns (`#` directly before a caret counts as one). `…` after the
//! carets: the site goes on in the next lines. A number after the word is the place in the list of stores. What is
//! marked is all that may be found. Files below `lib/` are not the user's.

use std::collections::BTreeMap;
use std::sync::Arc;

use heldby_source::{
    Answer, Binding, ClassName, FunctionName, Growth, Module, Question, Role, Site, SourceFiles,
    Sources,
};

/// A program's files, by path.
pub(crate) struct Files(pub(crate) BTreeMap<String, Arc<[u8]>>);

impl SourceFiles for Files {
    fn read(&self, path: &str) -> Option<Arc<[u8]>> {
        self.0.get(path).cloned()
    }
}

impl Files {
    pub(crate) fn parse(fixture: &str) -> Self {
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        let mut path = "main.py".to_owned();
        for line in fixture.trim_start_matches('\n').lines() {
            if let Some(name) = line.strip_prefix("#- ") {
                path = name.trim().to_owned();
                files.entry(path.clone()).or_default();
            } else {
                let text = files.entry(path.clone()).or_default();
                text.push_str(line);
                text.push('\n');
            }
        }
        Self(
            files
                .into_iter()
                .map(|(path, text)| (path, Arc::from(text.into_bytes())))
                .collect(),
        )
    }

    pub(crate) fn modules(&self) -> Vec<Module> {
        let module = |path: &String| {
            let user = !path.starts_with("lib/");
            let name = path
                .trim_start_matches("lib/")
                .trim_end_matches(".py")
                .trim_end_matches("/__init__")
                .replace('/', ".");
            Module {
                name,
                path: path.clone(),
                user,
            }
        };
        self.0.keys().map(module).collect()
    }
}

/// What a question asks, in the words of a test.
pub(crate) struct Ask {
    pub(crate) bindings: Vec<Binding>,
    pub(crate) holder: usize,
    pub(crate) growth: Growth,
    pub(crate) held: Vec<String>,
}

impl Ask {
    pub(crate) fn held(mut self, names: &[&str]) -> Self {
        self.held = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub(crate) fn depth(mut self, depth: u32) -> Self {
        self.growth = Growth::Items { depth };
        self
    }

    pub(crate) fn by(mut self, outer: Binding) -> Self {
        self.bindings.push(outer);
        self.holder = self.bindings.len() - 1;
        self
    }
}

pub(crate) fn items(binding: Binding) -> Ask {
    Ask {
        bindings: vec![binding],
        holder: 0,
        growth: Growth::Items { depth: 1 },
        held: Vec::new(),
    }
}

pub(crate) fn bound(binding: Binding) -> Ask {
    Ask {
        growth: Growth::Bound,
        ..items(binding)
    }
}

pub(crate) fn raised(binding: Binding) -> Ask {
    Ask {
        growth: Growth::Raised,
        ..items(binding)
    }
}

pub(crate) fn global(path: &str) -> Binding {
    let (module, name) = path.rsplit_once('.').unwrap();
    Binding::ModuleGlobal {
        module: module.to_owned(),
        name: name.to_owned(),
    }
}

/// `classes`: `module:Qual.name`, the class and its bases.
pub(crate) fn attribute(classes: &[&str], name: &str) -> Binding {
    Binding::Attribute {
        classes: classes.iter().map(|class| class_name(class)).collect(),
        name: name.to_owned(),
        on_class: false,
    }
}

pub(crate) fn class_attribute(classes: &[&str], name: &str) -> Binding {
    Binding::Attribute {
        classes: classes.iter().map(|class| class_name(class)).collect(),
        name: name.to_owned(),
        on_class: true,
    }
}

pub(crate) fn class_name(class: &str) -> ClassName {
    let (module, qualname) = class.split_once(':').unwrap();
    ClassName {
        module: module.to_owned(),
        qualname: qualname.to_owned(),
    }
}

pub(crate) fn function(path: &str, qualname: &str) -> FunctionName {
    FunctionName {
        path: path.to_owned(),
        qualname: qualname.to_owned(),
        line: 0,
    }
}

/// Asks, and compares all that is found with all that is marked.
pub(crate) fn check(ask: &Ask, fixture: &str) {
    let files = Files::parse(fixture);
    let sources = Sources::new(&files, files.modules());
    let question = Question {
        bindings: &ask.bindings,
        holder: ask.holder,
        growth: ask.growth,
        held: &ask.held,
        container: &[],
        key: None,
        makes_what_is_read: false,
        is_remade: false,
    };
    let answer = sources.answer(&question);
    assert_eq!(sources.problems(), [], "the fixture is sound");
    let ranked = marks(&files).into_iter().any(|mark| mark.3.is_some());
    let mut expected: Vec<Mark> = marks(&files);
    let mut found = found(&answer, ranked);
    for mark in &mut found {
        let goes_on = |other: &&mut Mark| {
            other.0 == mark.0
                && other.1.0 == mark.1.0
                && other.1.1 == mark.1.1
                && other.1.2 == ELSEWHERE
        };
        if let Some(other) = expected.iter_mut().find(goes_on) {
            other.1 = mark.1;
        }
        if ranked
            && !expected.iter().any(|other| other == mark)
            && expected.iter().any(|other| {
                (&other.0, other.1, other.2, other.3) == (&mark.0, mark.1, mark.2, None)
            })
        {
            mark.3 = None;
        }
    }
    expected.sort();
    found.sort();
    assert_eq!(show(&found), show(&expected), "found, marked");
}

const ELSEWHERE: u32 = u32::MAX;

/// Path, (line, column, end line, end column), word, place in the list.
type Mark = (String, (u32, u32, u32, u32), &'static str, Option<usize>);

fn show(marks: &[Mark]) -> String {
    let line = |(path, (line, column, end_line, end_column), word, rank): &Mark| {
        let rank = rank.map_or(String::new(), |rank| format!(" {rank}"));
        format!("{path}:{line}:{column}-{end_line}:{end_column} {word}{rank}\n")
    };
    marks.iter().map(line).collect()
}

fn found(answer: &Answer, ranked: bool) -> Vec<Mark> {
    let at = |site: &Site| (site.line, site.column, site.end_line, site.end_column);
    let definitions = answer
        .definitions
        .iter()
        .flatten()
        .map(|site| (site.path.clone(), at(site), "definition", None));
    let stores = answer.stores.iter().enumerate().map(|(index, store)| {
        let word = match store.role {
            Role::Store => "store",
            Role::Caller => "caller",
            Role::Call => "call",
            Role::Raise => "raise",
        };
        (
            store.site.path.clone(),
            at(&store.site),
            word,
            ranked.then_some(index + 1),
        )
    });
    definitions.chain(stores).collect()
}

fn marks(files: &Files) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (path, bytes) in &files.0 {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut line_number = 0;
        for (number, line) in (1..).zip(text.lines()) {
            let carets = line.chars().filter(|&c| c == '^').count();
            let is_mark =
                line.starts_with('#') && carets > 0 && line[1..].trim_start().starts_with('^');
            if !is_mark {
                line_number = number;
                continue;
            }
            let joined = line.starts_with("#^");
            let first = if joined {
                0
            } else {
                line.chars().position(|c| c == '^').unwrap()
            };
            let last = line
                .chars()
                .collect::<Vec<_>>()
                .iter()
                .rposition(|&c| c == '^')
                .unwrap();
            let rest: String = line.chars().skip(last + 1).collect();
            let goes_on = rest.contains('…');
            let mut words = rest.split_whitespace().filter(|word| *word != "…");
            let word = match words.next().unwrap() {
                "definition" => "definition",
                "store" => "store",
                "caller" => "caller",
                "call" => "call",
                "raise" => "raise",
                other => panic!("no such mark: {other}"),
            };
            let rank = words.next().map(|rank| rank.parse().unwrap());
            let (start, end) = (first as u32 + 1, last as u32 + 2);
            let range = if goes_on {
                (line_number, start, ELSEWHERE, 0)
            } else {
                (line_number, start, line_number, end)
            };
            marks.push((path.clone(), range, word, rank));
        }
    }
    marks
}
