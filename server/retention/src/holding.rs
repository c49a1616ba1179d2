//! From what grows to what holds: access paths of the last dump, their named bindings, their holder.

use heldby_heap::{Heap, ObjectId, ReferenceKind};
use rustc_hash::FxHashSet;

use crate::binding::{binding_at, links, module_file, named_function};
use crate::growth::{Counts, Growth, Rise, flattens};
use crate::known::{MODULE_BOOKKEEPING, TOOLS};
use crate::written::Writer;
use crate::{
    Analysis, BindingKind, NamedBinding, PatternCounts, PatternId, Step, Territories, Territory,
};

/// One reference of a chain, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The referrer: `list`, `module gallery.views`.
    pub object: String,
    /// Its reference: `[11]`, `.UPLOADS`.
    pub reference: String,
}

/// How what is held hangs on the innermost binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As items, with so many containers between.
    Items {
        /// 1 for `X.append(o)`, 2 for `X[k].append(o)`.
        depth: u32,
    },
    /// It is what the name is bound to.
    Bound,
    /// On the traceback of the exception that the name is bound to.
    Raised,
}

/// What one access path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Names the access path across dumps and runs.
    pub identity: u64,
    /// `gallery.views.UPLOADS[*]`.
    pub access_path: String,
    /// Named bindings on the chain, innermost first. Empty when C code holds.
    pub bindings: Vec<NamedBinding>,
    /// Row of the holder in `bindings`.
    pub holder: usize,
    /// How it hangs on the innermost binding.
    pub how: How,
    /// Most retaining type, its objects, and what all of them retain.
    pub held_type: String,
    /// Objects of that type.
    pub held_count: u64,
    /// Last names of the types, classes and functions held, most retaining first.
    pub held_names: Vec<String>,
    /// Objects (or items) at the path, one number a dump, oldest first.
    pub counts: Vec<u64>,
    /// Bytes they retain, likewise.
    pub retained_bytes: Vec<u64>,
    /// Rose in every interval.
    pub rises: bool,
    /// Gains less and less.
    pub flattens: bool,
    /// From the held object's first referrer to the root.
    pub chain: Vec<Hop>,
    /// Whose code has the holder.
    pub territory: Territory,
    /// Classes or functions of the user's or of a library's are held, not only the standard library's own.
    pub holds_foreign: bool,
}

/// Fewer dumps prove no growth.
const DUMPS_THAT_PROVE: usize = 3;
/// Without proven growth, at most so many of the largest are told.
const LARGEST: usize = 10;
/// Without proven growth, a holding is worth telling from here on.
const LEAST_RETAINED_BYTES: u64 = 64 << 10;

/// Who gained fewer plain values, and fewer bytes, than these over all dumps has not grown: a program that starts sets a few late.
const LEAST_GAIN_OBJECTS: u64 = 8;
const LEAST_GAIN_BYTES: u64 = 512;

/// What the last dump of a series holds. `earlier`: the counts of the dumps before it, oldest first.
///
/// With three dumps or more: what rose in every interval. With fewer: what rose, and what retains most.
pub fn holdings(
    heap: &Heap,
    analysis: &Analysis,
    earlier: &[PatternCounts],
    territories: &Territories,
) -> Vec<Holding> {
    let growth = Growth::new(&analysis.patterns, earlier);
    let context = Context {
        heap,
        analysis,
        territories,
        growth: &growth,
        writer: Writer {
            heap,
            patterns: &analysis.patterns,
        },
    };
    let mut risen = growth.topmost();
    one_of_each_container(analysis, &mut risen);
    let mut holdings: Vec<Holding> = risen
        .into_iter()
        .filter_map(|(pattern, rise)| context.holding(pattern, Some(rise)))
        .filter(|holding| holding.is_worth_telling() && !holding.gained_little())
        .collect();
    if earlier.len() + 1 < DUMPS_THAT_PROVE {
        let told: FxHashSet<u64> = holdings.iter().map(|holding| holding.identity).collect();
        let largest = context
            .largest()
            .into_iter()
            .filter_map(|pattern| context.holding(pattern, None));
        holdings.extend(
            largest
                .filter(|holding| holding.is_worth_telling() && !told.contains(&holding.identity))
                .take(LARGEST),
        );
    }
    holdings
}

/// Whether objects of this type keep their size for life.
fn is_immutable(type_name: &str) -> bool {
    matches!(type_name, "str" | "bytes" | "int" | "tuple" | "frozenset")
}

/// Keys and values of the same container are one finding: the values'.
fn one_of_each_container(analysis: &Analysis, risen: &mut Vec<(PatternId, Rise)>) {
    let parent_of = |id: PatternId| analysis.patterns.get(id).parent;
    let with_items: FxHashSet<PatternId> = risen
        .iter()
        .filter(|(id, _)| analysis.patterns.get(*id).step == Step::Item)
        .map(|(id, _)| parent_of(*id))
        .collect();
    risen.retain(|(id, _)| {
        analysis.patterns.get(*id).step != Step::Key || !with_items.contains(&parent_of(*id))
    });
}

impl Holding {
    fn gained_little(&self) -> bool {
        let gain = |numbers: &[u64]| match (numbers.first(), numbers.last()) {
            (Some(first), Some(last)) => last.saturating_sub(*first),
            _ => 0,
        };
        !self.holds_foreign
            && gain(&self.counts) < LEAST_GAIN_OBJECTS
            && gain(&self.retained_bytes) < LEAST_GAIN_BYTES
    }

    fn is_worth_telling(&self) -> bool {
        let Some(holder) = self.bindings.get(self.holder) else {
            return self.holds_foreign;
        };
        let is_tool = |binding: &NamedBinding| {
            let package = binding.module.split('.').next().unwrap_or_default();
            TOOLS.contains(&package)
        };
        if self.bindings.iter().any(is_tool) {
            return false;
        }
        if holder.kind == BindingKind::ModuleGlobal
            && MODULE_BOOKKEEPING.contains(&holder.name.as_str())
        {
            return false;
        }
        self.territory != Territory::StandardLibrary || self.holds_foreign
    }
}

struct Context<'a> {
    heap: &'a Heap,
    analysis: &'a Analysis,
    territories: &'a Territories,
    growth: &'a Growth<'a>,
    writer: Writer<'a>,
}

impl Context<'_> {
    /// Containers' items that retain most, topmost on their chains.
    fn largest(&self) -> Vec<PatternId> {
        let patterns = &self.analysis.patterns;
        let mut largest: Vec<PatternId> = patterns
            .iter()
            .filter(|(_, pattern)| {
                pattern.step == Step::Item && pattern.retained_bytes >= LEAST_RETAINED_BYTES
            })
            .filter(|(id, _)| {
                patterns.ancestors(*id).skip(1).all(|(_, above)| {
                    !matches!(above.step, Step::Item | Step::Key | Step::Machinery(_))
                })
            })
            .map(|(id, _)| id)
            .collect();
        largest.sort_by_key(|id| (std::cmp::Reverse(patterns.get(*id).retained_bytes), *id));
        largest.truncate(4 * LARGEST);
        largest
    }

    fn holding(&self, id: PatternId, rise: Option<Rise>) -> Option<Holding> {
        let patterns = &self.analysis.patterns;
        let pattern = patterns.get(id);
        let chain = links(&self.analysis.chains, pattern.sample);
        let mut bindings: Vec<NamedBinding> = Vec::new();
        let mut places = Vec::new();
        for at in 0..chain.len() {
            if let Some(mut binding) = binding_at(self.heap, &chain, at) {
                binding.path = self.writer.path(&chain, at, id);
                places.push(at);
                bindings.push(binding);
            }
        }
        let innermost = places.first().copied().unwrap_or(chain.len());
        let between = &chain[..innermost.min(chain.len())];
        let how = if between.iter().any(|link| {
            link.kind == ReferenceKind::Slot && self.heap.text(link.name) == "__traceback__"
        }) {
            How::Raised
        } else {
            let items = between.iter().filter(|link| link.kind.is_item()).count() as u32;
            let is_container = match rise {
                Some(Rise::Entries) => true,
                // What cannot be changed grows by being bound anew.
                Some(Rise::Bytes) => !is_immutable(&self.heap.type_name(pattern.first_type)),
                _ => false,
            };
            match items + u32::from(is_container) {
                0 => How::Bound,
                depth => How::Items { depth },
            }
        };
        let holder = self.holder(&bindings);
        let series = self.growth.series(pattern);
        let number = |counts: &Counts| {
            if rise == Some(Rise::Entries) {
                counts.entries
            } else {
                counts.count
            }
        };
        let counts: Vec<u64> = series.iter().map(number).collect();
        let retained_bytes: Vec<u64> = series.iter().map(|counts| counts.retained_bytes).collect();
        let types = patterns.types(id);
        let (held_type, held_count) = match (rise, types.first()) {
            (Some(Rise::Entries), _) => {
                self.most_common_item(pattern.sample).unwrap_or_else(|| {
                    (
                        "object".to_owned(),
                        counts.last().copied().unwrap_or_default(),
                    )
                })
            }
            (_, Some(&(type_index, count, _))) => (self.heap.type_name(type_index), count),
            (_, None) => ("object".to_owned(), pattern.count),
        };
        let mut access_path = self.writer.path(&chain, 0, id);
        if rise == Some(Rise::Entries) {
            access_path.push_str("[*]");
        }
        let territory = bindings
            .get(holder)
            .map_or(Territory::StandardLibrary, |binding| {
                self.territory(binding)
            });
        let growing = if rise == Some(Rise::Bytes) {
            &retained_bytes
        } else {
            &counts
        };
        Some(Holding {
            identity: pattern.identity,
            access_path,
            holder,
            how,
            held_type,
            held_count,
            held_names: self.held_names(pattern.sample),
            rises: rise.is_some(),
            flattens: flattens(growing),
            counts,
            retained_bytes,
            chain: self.writer.hops(&chain),
            territory,
            holds_foreign: self.holds_foreign(pattern.sample),
            bindings,
        })
    }

    /// The innermost binding; but where that lies inside a reusable class, the binding of the instance.
    fn holder(&self, bindings: &[NamedBinding]) -> usize {
        let mut holder = 0;
        while let (Some(inner), Some(outer)) = (bindings.get(holder), bindings.get(holder + 1)) {
            let is_attribute = matches!(
                inner.kind,
                BindingKind::InstanceAttribute | BindingKind::Slot
            );
            if !is_attribute || outer.object != inner.owner || !self.is_reusable(inner, outer) {
                break;
            }
            holder += 1;
        }
        holder
    }

    /// Whether the class of `inner`'s instance is one that others make instances of: a library's class bound in another
    /// package, or a class with several instances that are bound by name.
    fn is_reusable(&self, inner: &NamedBinding, outer: &NamedBinding) -> bool {
        fn package(module: &str) -> &str {
            module.split('.').next().unwrap_or_default()
        }
        if package(&inner.module) != package(&outer.module)
            && self.territory(inner) != Territory::User
        {
            return true;
        }
        if !matches!(
            outer.kind,
            BindingKind::ModuleGlobal | BindingKind::ClassAttribute
        ) {
            return false;
        }
        self.has_two_named_instances(self.heap.type_index(inner.owner))
    }

    /// Whether two objects of the class are globals of modules or attributes of classes.
    fn has_two_named_instances(&self, class: u32) -> bool {
        let names = self.heap.names();
        let of_modules = names.modules.iter().filter_map(|module| module.namespace);
        let of_classes = names.type_objects.keys().flat_map(|class| {
            let references = self.heap.references(*class);
            references
                .filter(|reference| reference.label.kind() == ReferenceKind::Namespace)
                .map(|reference| reference.target)
        });
        let mut first = None;
        of_modules
            .chain(of_classes)
            .flat_map(|namespace| self.heap.references(namespace))
            .any(|reference| {
                let is_instance = reference.label.kind() == ReferenceKind::DictValue
                    && self.heap.type_index(reference.target) == class;
                is_instance && *first.get_or_insert(reference.target) != reference.target
            })
    }

    fn territory(&self, binding: &NamedBinding) -> Territory {
        match &binding.function {
            Some(function) => self.territories.of_file(&function.file),
            None => self
                .territories
                .of_file(module_file(self.heap, &binding.module).unwrap_or_default()),
        }
    }

    fn most_common_item(&self, container: ObjectId) -> Option<(String, u64)> {
        let mut counts: rustc_hash::FxHashMap<u32, u64> = rustc_hash::FxHashMap::default();
        for reference in self.heap.references(container).filter(|reference| {
            reference.label.kind().is_item() && reference.label.kind() != ReferenceKind::DictKey
        }) {
            *counts
                .entry(self.heap.type_index(reference.target))
                .or_default() += 1;
        }
        let (type_index, count) = counts
            .into_iter()
            .max_by_key(|&(type_index, count)| (count, std::cmp::Reverse(type_index)))?;
        Some((self.heap.type_name(type_index), count))
    }

    /// What hangs below an object, nearest first, without what says nothing about who holds.
    fn below(&self, object: ObjectId, most: usize) -> Vec<ObjectId> {
        let mut found = vec![object];
        let mut seen: FxHashSet<ObjectId> = found.iter().copied().collect();
        let mut next = 0;
        while let Some(&object) = found.get(next) {
            next += 1;
            for reference in self.heap.references(object) {
                let says_nothing = matches!(
                    reference.label.kind(),
                    ReferenceKind::Machinery | ReferenceKind::Type
                );
                if found.len() >= most {
                    return found;
                }
                if !says_nothing && seen.insert(reference.target) {
                    found.push(reference.target);
                }
            }
        }
        found
    }

    /// Last names of the program's classes and functions at and below an object, nearest first.
    fn held_names(&self, object: ObjectId) -> Vec<String> {
        let names = self.heap.names();
        let mut held: Vec<String> = Vec::new();
        for object in self.below(object, 64) {
            let qualname = if let Some(function) = names.functions.get(&object) {
                self.heap.text(function.qualname)
            } else if let Some(&type_index) = names.type_objects.get(&object) {
                self.heap.text(names.types[type_index as usize].qualname)
            } else {
                self.heap
                    .text(names.types[self.heap.type_index(object) as usize].qualname)
            };
            let last = qualname.rsplit('.').next().unwrap_or_default();
            if !last.is_empty() && !held.iter().any(|known| known == last) {
                held.push(last.to_owned());
            }
        }
        held.truncate(8);
        held
    }

    /// Whether classes or functions that are not the standard library's are held.
    fn holds_foreign(&self, object: ObjectId) -> bool {
        let names = self.heap.names();
        let is_foreign_module = |module: &str| {
            let file = module_file(self.heap, module).unwrap_or_default();
            self.territories.of_file(file) != Territory::StandardLibrary
        };
        self.below(object, 96).into_iter().any(|object| {
            if let Some(function) = named_function(self.heap, object) {
                return self.territories.of_file(&function.file) != Territory::StandardLibrary;
            }
            let type_index = names
                .type_objects
                .get(&object)
                .copied()
                .unwrap_or_else(|| self.heap.type_index(object));
            let Some(row) = names.types.get(type_index as usize) else {
                return false;
            };
            is_foreign_module(self.heap.text(row.module))
        })
    }
}
