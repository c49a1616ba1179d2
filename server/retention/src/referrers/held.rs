//! One step up: each reference to an object, and for what only implements a name, whoever has the name.

use heldby_heap::{Heap, Label, ObjectId, ReferenceKind, RootKind, StringId};
use rustc_hash::FxHashSet;

use super::{Referrer, ReferrerKind, Referrers, ReferrersOfObject};
use crate::access_path::{Step, python_text, without_locals};
use crate::binding::{frame_function, named_function, wrapped_function};
use crate::chains::price;
use crate::known::TOOLS;

/// More referrers of one object are counted, not named: the nearest to a root are.
const MOST_SOURCES: usize = 1_000;
/// A chain of tracebacks is not followed farther.
const MOST_TRACEBACKS: usize = 1_000;

/// A reference to the object at hand.
#[derive(Debug, Clone, Copy)]
struct Incoming {
    source: ObjectId,
    label: Label,
}

impl Referrers<'_> {
    /// Who holds an object, nearest to a root first. What restates another reference stands for it; what says nothing about who
    /// holds is told only where nothing else is.
    pub fn of(&self, object: ObjectId) -> ReferrersOfObject {
        let (incoming, cut) = self.incoming(object);
        let is_context_value = incoming
            .iter()
            .any(|reference| reference.label.kind() == ReferenceKind::Context);
        let described: FxHashSet<ObjectId> = incoming
            .iter()
            .filter(|reference| reference.label.is_described())
            .map(|reference| reference.source)
            .collect();
        let mut found = Found::default();
        let mut machinery = Vec::new();
        for &reference in &incoming {
            let is_part_of_a_context = is_context_value && self.is_of_a_context(reference.source);
            if self.is_machinery(reference.label) || self.is_of_a_tool(reference.source) {
                machinery.push(reference);
            } else if is_part_of_a_context || self.is_restated(reference, &described) {
                // A better name says the same.
            } else {
                self.add(&mut found, reference);
            }
        }
        let mut left_out = machinery.len();
        if found.shown.is_empty() {
            left_out = 0;
            for reference in machinery {
                let text = machinery_text(self.heap, reference.label);
                found.push(self.plain(ReferrerKind::Other, text, reference));
            }
        }
        let mut shown = found.shown;
        // Of several modules that have it, the one of its class is where it comes from; else the one with the shortest name.
        let own_module = self.module_of_type(object);
        shown.sort_by(|one, other| {
            let key = |referrer: &Referrer| {
                let anchor = referrer.anchor.as_deref().unwrap_or_default();
                let is_foreign = anchor != own_module;
                let depth = anchor.matches('.').count();
                (referrer.cost, referrer.kind, is_foreign, depth)
            };
            key(one)
                .cmp(&key(other))
                .then_with(|| one.anchor.cmp(&other.anchor))
                .then_with(|| one.owner.cmp(&other.owner))
                .then_with(|| natural(&one.reference).cmp(&natural(&other.reference)))
        });
        ReferrersOfObject {
            shown,
            cut,
            machinery: left_out,
        }
    }

    /// Whether it is an object of the debugger's, or a frame that runs its code: what the user looks at, it has in hand.
    fn is_of_a_tool(&self, object: ObjectId) -> bool {
        if let Some(frame) = self.heap.names().frames.get(&object) {
            let code = frame
                .code
                .and_then(|code| self.heap.names().codes.get(&code));
            let file = code.map_or("", |code| self.heap.text(code.file));
            // The module, or the package that it lies in.
            let mut ends = file.rsplit(['/', '\\']).take(2);
            return ends.any(|name| TOOLS.contains(&name.trim_end_matches(".py")));
        }
        let package = self.module_of_type(object).split('.').next();
        package.is_some_and(|package| TOOLS.contains(&package))
    }

    fn module_of_type(&self, object: ObjectId) -> &str {
        let row = self
            .heap
            .names()
            .types
            .get(self.heap.type_index(object) as usize);
        row.map_or("", |row| self.heap.text(row.module))
    }

    /// The references to an object, and how many were left out.
    fn incoming(&self, object: ObjectId) -> (Vec<Incoming>, usize) {
        let mut sources: Vec<ObjectId> = self.heap.referrers(object).collect();
        sources.dedup();
        let cut = sources.len().saturating_sub(MOST_SOURCES);
        if cut > 0 {
            sources.select_nth_unstable_by_key(MOST_SOURCES, |source| {
                (self.distance(*source), *source)
            });
            sources.truncate(MOST_SOURCES);
            sources.sort_unstable();
        }
        let incoming = sources
            .into_iter()
            .flat_map(|source| {
                self.heap
                    .references(source)
                    .filter(move |reference| reference.target == object)
                    .map(move |reference| Incoming {
                        source,
                        label: reference.label,
                    })
            })
            .collect();
        (incoming, cut)
    }

    /// The references to an object under one of these kinds.
    fn sources_by(&self, object: ObjectId, kind: ReferenceKind) -> Vec<Incoming> {
        let mut incoming = self.incoming(object).0;
        incoming.retain(|reference| reference.label.kind() == kind);
        incoming
    }

    fn text(&self, label: Label) -> &str {
        self.heap.text(StringId(label.value()))
    }

    /// Says nothing about who holds, or restates what described references say better.
    fn is_machinery(&self, label: Label) -> bool {
        match label.kind() {
            ReferenceKind::Machinery | ReferenceKind::Type | ReferenceKind::Stack => true,
            ReferenceKind::Slot => matches!(
                self.text(label),
                "__defaults__" | "__kwdefaults__" | "__closure__"
            ),
            _ => false,
        }
    }

    fn is_of_a_context(&self, source: ObjectId) -> bool {
        let name = self.heap.type_name(self.heap.type_index(source));
        let name = name.rsplit('.').next().unwrap_or_default();
        name == "Context" || name.starts_with("hamt")
    }

    /// Whether the reference's source is only part of something that references the object by a better name: the tuple of a
    /// function's default values.
    fn is_restated(&self, reference: Incoming, described: &FxHashSet<ObjectId>) -> bool {
        if described.is_empty() || reference.label.is_described() {
            return false;
        }
        let (of_source, _) = self.incoming(reference.source);
        !of_source.is_empty()
            && of_source.iter().all(|above| self.is_machinery(above.label))
            && of_source
                .iter()
                .any(|above| described.contains(&above.source))
    }

    /// Adds what one reference stands for.
    fn add(&self, found: &mut Found, reference: Incoming) {
        use ReferenceKind::*;
        let Incoming { source, label } = reference;
        let name = || self.text(label).to_owned();
        match label.kind() {
            DictValue | DictValueOfInteger | DictValueOfOther => self.add_value(found, reference),
            CellContents => self.add_contents(found, reference),
            TupleItem => {
                let partial = self.sources_by(source, Slot).into_iter().find(|above| {
                    self.text(above.label) == "args" && self.is_partial(above.source)
                });
                match partial {
                    Some(partial) => found.push(self.plain(
                        ReferrerKind::PartialArgument,
                        format!(".<args>[{}]", label.value()),
                        partial,
                    )),
                    None => found.push(self.item(ReferrerKind::TupleItem, reference)),
                }
            }
            ListItem => found.push(self.item(ReferrerKind::ListItem, reference)),
            DequeItem => found.push(self.item(ReferrerKind::DequeItem, reference)),
            SetMember => {
                found.push(self.plain(ReferrerKind::SetItem, ".<set>".to_owned(), reference))
            }
            DictKey => {
                found.push(self.plain(ReferrerKind::DictKey, ".<key>".to_owned(), reference))
            }
            Attribute => {
                found.push(self.plain(ReferrerKind::Attribute, format!(".{}", name()), reference))
            }
            Slot => found.push(match self.text(label) {
                "__self__" => self.plain(ReferrerKind::BoundSelf, ".<self>".to_owned(), reference),
                name => self.plain(ReferrerKind::Slot, format!(".{name}"), reference),
            }),
            Namespace | ThreadLocal => {
                let text = ".__dict__".to_owned();
                let names = self.heap.names();
                found.push(match names.module_of.get(&source) {
                    Some(&row) => {
                        let module = self.heap.text(names.modules[row as usize].name).to_owned();
                        self.anchored(ReferrerKind::Other, module, text, reference, source)
                    }
                    None => self.plain(ReferrerKind::Other, text, reference),
                });
            }
            FreeVariable => found.push(self.of_function(ReferrerKind::Closure, reference, source)),
            Default => found.push(self.of_function(ReferrerKind::Default, reference, source)),
            KeywordDefault => {
                found.push(self.of_function(ReferrerKind::KeywordDefault, reference, source))
            }
            Local => self.add_local(found, reference),
            Cache => found.push(self.plain(ReferrerKind::Other, ".<cache>".to_owned(), reference)),
            Iterates => {
                found.push(self.plain(ReferrerKind::Iterator, ".<next>".to_owned(), reference))
            }
            View => found.push(self.plain(ReferrerKind::View, ".<view>".to_owned(), reference)),
            Context => {
                found.push(self.plain(ReferrerKind::Context, ".<context>".to_owned(), reference))
            }
            Root => {
                if RootKind::from_code(label.value()) == Some(RootKind::Native) {
                    found.push(Referrer {
                        kind: ReferrerKind::Native,
                        reference: String::new(),
                        owner: None,
                        anchor: Some("<native>".to_owned()),
                        steps: Vec::new(),
                        cost: price(label),
                    });
                }
            }
            Machinery | Type | Stack => {}
            Other => found.push(self.plain(ReferrerKind::Other, ".?".to_owned(), reference)),
        }
    }

    /// A value of a dictionary: an attribute, where the dictionary is the namespace of something; an entry of a cache; else a
    /// value of the dictionary.
    fn add_value(&self, found: &mut Found, reference: Incoming) {
        let Incoming { source, label } = reference;
        let names = self.heap.names();
        let (above, _) = self.incoming(source);
        let mut is_plain = false;
        let mut is_namespace = false;
        if label.kind() == ReferenceKind::DictValue
            && let Some(&row) = names.module_of.get(&source)
        {
            let module = names.modules[row as usize];
            found.push(self.anchored(
                ReferrerKind::ModuleGlobal,
                self.heap.text(module.name).to_owned(),
                format!(".{}", self.text(label)),
                reference,
                module.object.unwrap_or(source),
            ));
            is_namespace = true;
        }
        let is_of_module = is_namespace;
        for &holder in &above {
            match holder.label.kind() {
                ReferenceKind::Namespace if label.kind() == ReferenceKind::DictValue => {
                    // The frame of a module's code has the module's globals for its locals.
                    if !is_of_module {
                        found.push(self.in_namespace(reference, holder));
                    }
                    is_namespace = true;
                }
                ReferenceKind::ThreadLocal if label.kind() == ReferenceKind::DictValue => {
                    let text = format!(".{}", self.text(label));
                    let mut referrer = self.plain(ReferrerKind::ThreadLocal, text.clone(), holder);
                    referrer.steps = vec![Step::OfThread, Step::Behind(text)];
                    found.push(referrer);
                    is_namespace = true;
                }
                ReferenceKind::Cache => {
                    found.push(self.cache_entry(self.key_text(label), holder));
                    is_namespace = true;
                }
                ReferenceKind::Slot if self.is_machinery(holder.label) => {}
                kind if kind == ReferenceKind::Machinery
                    || kind == ReferenceKind::Type
                    || kind == ReferenceKind::Stack => {}
                // Who runs a module's code, as `python -m` and debuggers do, has its globals in hand.
                ReferenceKind::Local if is_of_module => {}
                // The table in which a thread-local object keeps the namespaces of its threads.
                ReferenceKind::DictValueOfOther => {}
                _ => is_plain = true,
            }
        }
        let is_thread_local = above
            .iter()
            .any(|holder| holder.label.kind() == ReferenceKind::ThreadLocal);
        if !is_namespace || (is_plain && !is_thread_local) {
            let is_annotation = above.iter().any(|holder| {
                matches!(
                    holder.label.kind(),
                    ReferenceKind::Slot | ReferenceKind::DictValue
                ) && self.text(holder.label) == "__annotations__"
            });
            let kind = if is_annotation {
                ReferrerKind::Annotation
            } else {
                ReferrerKind::DictValue
            };
            found.push(self.plain(kind, self.key_text(label), reference));
        }
    }

    /// What a cell, an element of a cache or the buffer under a view contains.
    fn add_contents(&self, found: &mut Found, reference: Incoming) {
        let (above, _) = self.incoming(reference.source);
        let before = found.shown.len();
        for &holder in &above {
            match holder.label.kind() {
                ReferenceKind::FreeVariable => {
                    found.push(self.of_function(ReferrerKind::Closure, holder, holder.source))
                }
                ReferenceKind::Local => self.add_local(found, holder),
                ReferenceKind::View => {
                    found.push(self.plain(ReferrerKind::View, ".<view>".to_owned(), holder))
                }
                ReferenceKind::DictValue
                | ReferenceKind::DictValueOfInteger
                | ReferenceKind::DictValueOfOther
                    if !self.is_cell(reference.source) =>
                {
                    self.add_value(found, holder)
                }
                _ => {}
            }
        }
        if found.shown.len() == before {
            let text = ".cell_contents".to_owned();
            found.push(self.plain(ReferrerKind::Other, text, reference));
        }
    }

    fn is_cell(&self, object: ObjectId) -> bool {
        self.heap.type_name(self.heap.type_index(object)) == "cell"
    }

    fn is_partial(&self, object: ObjectId) -> bool {
        self.heap.type_name(self.heap.type_index(object)) == "functools.partial"
    }

    /// A local variable: of what runs or is suspended, or of a frame that only a traceback keeps.
    fn add_local(&self, found: &mut Found, reference: Incoming) {
        let frame = reference.source;
        let Some(row) = self.heap.names().frames.get(&frame) else {
            found.push(self.of_frame(reference, frame));
            return;
        };
        let is_running = row.thread != 0;
        if is_running {
            found.push(self.of_frame(reference, frame));
        }
        let before = found.shown.len();
        let mut tracebacks = Vec::new();
        for above in self.sources_by(frame, ReferenceKind::Slot) {
            match self.text(above.label) {
                "gi_frame" | "cr_frame" | "ag_frame" => {
                    found.push(self.of_frame(reference, above.source))
                }
                "tb_frame" => tracebacks.push(above.source),
                _ => {}
            }
        }
        for traceback in tracebacks {
            self.add_tracebacks(found, reference, traceback);
        }
        if found.shown.len() == before && !is_running {
            found.push(self.of_frame(reference, frame));
        }
    }

    /// A local of a frame under each exception (or else each stored traceback) whose traceback leads to it.
    fn add_tracebacks(&self, found: &mut Found, reference: Incoming, traceback: ObjectId) {
        let qualname = frame_function(self.heap, reference.source)
            .map_or(String::new(), |function| without_locals(&function.qualname));
        let text = format!(".<traceback>.{qualname}.{}", self.text(reference.label));
        let mut seen = FxHashSet::default();
        let mut waiting = vec![traceback];
        while let Some(traceback) = waiting.pop() {
            if !seen.insert(traceback) || seen.len() > MOST_TRACEBACKS {
                continue;
            }
            let mut is_stored = false;
            for above in self.incoming(traceback).0 {
                let name = match above.label.kind() {
                    ReferenceKind::Slot => self.text(above.label),
                    _ => "",
                };
                match name {
                    "tb_next" => waiting.push(above.source),
                    "__traceback__" => {
                        found.push(self.plain(ReferrerKind::TracebackFrame, text.clone(), above))
                    }
                    _ => is_stored |= !self.is_machinery(above.label),
                }
            }
            if is_stored {
                let stored = Incoming {
                    source: traceback,
                    label: reference.label,
                };
                found.push(self.plain(ReferrerKind::TracebackFrame, text.clone(), stored));
            }
        }
    }

    fn plain(&self, kind: ReferrerKind, text: String, reference: Incoming) -> Referrer {
        Referrer {
            kind,
            steps: vec![Step::Behind(text.clone())],
            reference: text,
            owner: Some(reference.source),
            anchor: None,
            cost: self.cost(reference),
        }
    }

    fn item(&self, kind: ReferrerKind, reference: Incoming) -> Referrer {
        self.plain(kind, format!("[{}]", reference.label.value()), reference)
    }

    fn anchored(
        &self,
        kind: ReferrerKind,
        anchor: String,
        text: String,
        reference: Incoming,
        owner: ObjectId,
    ) -> Referrer {
        Referrer {
            kind,
            steps: vec![Step::Behind(text.clone())],
            reference: text,
            owner: Some(owner),
            anchor: Some(anchor),
            cost: self.cost(reference),
        }
    }

    fn cost(&self, reference: Incoming) -> u32 {
        self.distance(reference.source)
            .saturating_add(price(reference.label))
    }

    /// An attribute: the dictionary that has it is the namespace of `holder`'s source.
    fn in_namespace(&self, reference: Incoming, holder: Incoming) -> Referrer {
        let names = self.heap.names();
        let owner = holder.source;
        let text = format!(".{}", self.text(reference.label));
        if let Some(&type_index) = names.type_objects.get(&owner) {
            let anchor = without_locals(&self.heap.type_name(type_index));
            return self.anchored(ReferrerKind::ClassAttribute, anchor, text, reference, owner);
        }
        if let Some(function) = named_function(self.heap, owner) {
            let anchor = dotted(&function.module, &without_locals(&function.qualname));
            return self.anchored(
                ReferrerKind::FunctionAttribute,
                anchor,
                text,
                reference,
                owner,
            );
        }
        if names.frames.contains_key(&owner) {
            let local = Incoming {
                source: owner,
                label: reference.label,
            };
            return self.of_frame(local, owner);
        }
        if let Some(&row) = names.module_of.get(&owner) {
            let anchor = self.heap.text(names.modules[row as usize].name).to_owned();
            return self.anchored(ReferrerKind::ModuleGlobal, anchor, text, reference, owner);
        }
        self.plain(ReferrerKind::Attribute, text, holder)
    }

    /// What a function has by name: a free variable, a default value.
    fn of_function(&self, kind: ReferrerKind, reference: Incoming, function: ObjectId) -> Referrer {
        let word = match kind {
            ReferrerKind::Closure => "<closure>",
            _ => "<default>",
        };
        let text = format!(".{}", self.text(reference.label));
        match named_function(self.heap, function) {
            Some(named) => {
                let qualname = without_locals(&named.qualname);
                let anchor = dotted(&named.module, &qualname) + "." + word;
                self.anchored(kind, anchor, text, reference, function)
            }
            None => self.plain(kind, format!(".{word}{text}"), reference),
        }
    }

    /// A local of a frame, generator or coroutine; `owner` is who has it.
    fn of_frame(&self, reference: Incoming, owner: ObjectId) -> Referrer {
        let text = format!(".{}", self.text(reference.label));
        match frame_function(self.heap, reference.source) {
            Some(named) => {
                let qualname = without_locals(&named.qualname);
                let anchor = dotted(&named.module, &qualname) + ".<local>";
                self.anchored(ReferrerKind::Local, anchor, text, reference, owner)
            }
            None => self.plain(ReferrerKind::Local, format!(".<local>{text}"), reference),
        }
    }

    fn cache_entry(&self, key: String, holder: Incoming) -> Referrer {
        match wrapped_function(self.heap, holder.source) {
            Some(named) => {
                let qualname = without_locals(&named.qualname);
                let anchor = dotted(&named.module, &qualname) + ".<cache>";
                self.anchored(ReferrerKind::CacheEntry, anchor, key, holder, holder.source)
            }
            None => self.plain(ReferrerKind::CacheEntry, format!(".<cache>{key}"), holder),
        }
    }

    /// A dictionary's key as Python writes it.
    fn key_text(&self, label: Label) -> String {
        match label.kind() {
            ReferenceKind::DictValue => format!("[{}]", python_text(self.text(label))),
            ReferenceKind::DictValueOfInteger => format!("[{}]", self.text(label)),
            _ => match self.heap.type_name(label.value()).as_str() {
                "?" => "[*]".to_owned(),
                name => format!("[<{name}>]"),
            },
        }
    }
}

/// Referrers without repeats.
#[derive(Debug, Default)]
struct Found {
    shown: Vec<Referrer>,
    seen: FxHashSet<(ReferrerKind, Option<ObjectId>, String)>,
}

impl Found {
    fn push(&mut self, referrer: Referrer) {
        let key = (referrer.kind, referrer.owner, referrer.reference.clone());
        if self.seen.insert(key) {
            self.shown.push(referrer);
        }
    }
}

fn machinery_text(heap: &Heap, label: Label) -> String {
    match label.kind() {
        ReferenceKind::Type => ".__class__".to_owned(),
        ReferenceKind::Stack => ".<stack>".to_owned(),
        _ => match heap.text(StringId(label.value())) {
            "" | "other" | "type" => ".?".to_owned(),
            name => format!(".{name}"),
        },
    }
}

fn dotted(module: &str, qualname: &str) -> String {
    if module.is_empty() {
        qualname.to_owned()
    } else {
        format!("{module}.{qualname}")
    }
}

/// Orders `[9]` before `[10]`.
fn natural(text: &str) -> (usize, &str) {
    (text.len(), text)
}
