//! From what grows to what holds: access paths of the last dump, their named bindings, their holder.

use heldby_heap::{Heap, ObjectId, ReferenceKind, RootKind, StringId};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::binding::{
    Link, binding_at, context_variable_of, is_inside_context, links, module_file, named_code,
    named_function, table_of_modules,
};
use crate::cycles::GarbageType;
use crate::growth::{Counts, Growth, Rise, flattens};
use crate::known::{
    CARRIERS, CONTEXTS, EMPTY_SHELLS, FINALIZERS, KEPT_BY_DESIGN, KEPT_FOR_THE_ASKING,
    MODULE_BOOKKEEPING, RUNNING_THREADS, TABLE_OF_MODULES, TOOLS, WRITERS,
};
use crate::written::Writer;
use crate::{
    Analysis, BindingKind, NamedBinding, NamedFunction, PatternCounts, PatternId, PatternKey, Step,
    Territories, Territory,
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
    /// Set in a context variable.
    Set,
    /// In the callbacks of weak references.
    CalledBack,
    /// On the traceback of the exception that the name is bound to.
    Raised,
    /// In a reference cycle that nothing reaches, where nothing collects.
    Cycle,
}

/// An instruction that was seen to make containers larger. Lines and columns as in [`heldby_heap::GrowthPlace`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrownAt {
    /// The code, as a function's.
    pub function: NamedFunction,
    /// First line (1-based).
    pub line: u32,
    /// First byte in the line (1-based), 0 if not known.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// The byte after the last, 0 if not known.
    pub end_column: u32,
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
    /// The access paths' identities of other holdings that hold the same objects: freeing one of them alone frees nothing.
    pub together_with: Vec<u64>,
    /// Where the containers that hold were seen to grow last, those with most items first; empty where that was not observed.
    pub grown_at: Vec<GrownAt>,
    /// The keys of the cache that holds have instances of classes, or frames, in them.
    pub keys_hold_instances: bool,
    /// The number of items rises, though they hang elsewhere.
    grows_by_entries: bool,
    /// Nothing but what is known to be empty, in a container of the standard library's.
    is_empty_shells: bool,
}

/// Fewer dumps prove no growth.
const DUMPS_THAT_PROVE: usize = 3;
/// Of a cache's keys, and of what is in each, so many are looked at.
const KEYS_LOOKED_AT: usize = 8;
/// Of a container's items so many are asked who else holds them.
const ITEMS_LOOKED_AT: usize = 32;
/// What gains less in each interval may do so by chance.
const LEAST_STEADY_GAIN: u64 = 4;
/// Keys that retain so many times what the values do, which are nothing but containers, are what is told.
const HEAVIER: u64 = 4;
const CONTAINERS: &[&str] = &["list", "dict", "set", "tuple", "collections.deque"];
/// Places where containers of one access path were seen to grow, beyond which they say nothing more.
const MOST_PLACES: usize = 8;
/// Without proven growth, at most so many of the largest are told.
const LARGEST: usize = 10;
/// Without proven growth, a holding is worth telling from here on.
const LEAST_RETAINED_BYTES: u64 = 64 << 10;

/// Who gained fewer plain values, and fewer bytes, than these over all dumps has not grown: a program that starts sets a few late.
const LEAST_GAIN_OBJECTS: u64 = 8;
const LEAST_GAIN_BYTES: u64 = 512;

/// What the last dump of a series holds. `earlier`: the counts of the dumps before it, oldest first.
///
/// With three dumps or more: what rose in every interval. With fewer: what rose, and what retains most. `collector_is_off`: what is
/// garbage stays, and rises like everything else.
pub fn holdings(
    heap: &Heap,
    analysis: &Analysis,
    earlier: &[PatternCounts],
    territories: &Territories,
    collector_is_off: bool,
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
    context.one_of_each_container(&mut risen);
    context.take_modules_together(&mut risen);
    let holdings = risen
        .into_iter()
        .filter_map(|(pattern, rise)| context.holding(pattern, Some(rise)))
        .filter(|holding| !holding.gained_little());
    let mut bookkeeping = Vec::new();
    let mut worth_telling = Vec::new();
    for holding in holdings {
        match holding.worth() {
            Worth::Telling => worth_telling.push(holding),
            Worth::TellingIfAlone => bookkeeping.push(holding),
            Worth::Nothing => {}
        }
    }
    let mut holdings = worth_telling;
    drop_what_others_tell(&mut holdings);
    if holdings.is_empty() && earlier.len() + 1 >= DUMPS_THAT_PROVE {
        // Nothing of the program's explains it: then what the standard library keeps was given to it.
        bookkeeping.retain(|holding| gains_steadily(&holding.counts));
        holdings = bookkeeping;
    }
    context.bring_together(&mut holdings);
    if collector_is_off && earlier.len() + 1 >= DUMPS_THAT_PROVE {
        holdings.extend(context.cycles());
    }
    if earlier.len() + 1 < DUMPS_THAT_PROVE {
        let told: FxHashSet<u64> = holdings.iter().map(|holding| holding.identity).collect();
        let largest = context
            .largest()
            .into_iter()
            .filter_map(|pattern| context.holding(pattern, None));
        holdings.extend(
            largest
                .filter(|holding| {
                    holding.worth() == Worth::Telling && !told.contains(&holding.identity)
                })
                .take(LARGEST),
        );
    }
    holdings
}

/// Whether each interval gained the same: what is done once for each piece of work does, a cache that fills up does not. Of a
/// longer series the first interval does not count: the first dump brings something itself.
fn gains_steadily(counts: &[u64]) -> bool {
    let counts = if counts.len() > DUMPS_THAT_PROVE {
        &counts[1..]
    } else {
        counts
    };
    let mut gains = counts
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]));
    let first = gains.next().unwrap_or_default();
    first >= LEAST_STEADY_GAIN && gains.all(|gain| gain == first)
}

/// Whether a holding is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    Telling,
    /// The standard library's own bookkeeping.
    TellingIfAlone,
    Nothing,
}

/// A thread that runs brings frames of its own, and a context that is kept the values in it: who keeps the thread, or the
/// context, is told.
fn drop_what_others_tell(holdings: &mut Vec<Holding>) {
    // A finalizer goes with what it watches: where something else keeps that, this is told; where nothing else grows, what it
    // watches lives for ever.
    let is_finalizer = |holding: &Holding| {
        holding.bindings.first().is_some_and(|innermost| {
            innermost.module == "weakref" && innermost.name == FINALIZERS && !holding.holds_foreign
        })
    };
    if !holdings.iter().all(is_finalizer) {
        holdings.retain(|holding| !is_finalizer(holding));
    }
    let innermost = |holding: &Holding| holding.bindings.first().cloned();
    let of_threads = holdings.iter().any(|holding| {
        innermost(holding)
            .is_some_and(|one| one.module == "threading" && one.name == RUNNING_THREADS)
    });
    let of_contexts = holdings
        .iter()
        .any(|holding| CONTEXTS.contains(&holding.held_type.as_str()));
    holdings.retain(|holding| {
        let runs =
            holding.bindings.is_empty() && matches!(holding.held_type.as_str(), "frame" | "method");
        !(runs && of_threads || holding.how == How::Set && of_contexts)
    });
}

/// Whether objects of this type are values that hold nothing.
fn is_plain(type_name: &str) -> bool {
    matches!(
        type_name,
        "int" | "float" | "bool" | "complex" | "str" | "bytes" | "NoneType"
    )
}

/// Whether objects of this type keep their size for life.
fn is_immutable(type_name: &str) -> bool {
    matches!(type_name, "str" | "bytes" | "int" | "tuple" | "frozenset")
}

/// Whether the binding is the one of a known name: a global of a module, or an attribute of a class or of its subclasses.
fn is_known(binding: &NamedBinding, known: &(&str, &str, &str)) -> bool {
    let &(module, class, name) = known;
    let is_owner = if class.is_empty() {
        binding.classes.is_empty() && binding.module == module
    } else {
        let mut classes = binding.classes.iter();
        classes.any(|known| known.module == module && known.qualname == class)
    };
    binding.name == name && is_owner
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

    fn worth(&self) -> Worth {
        let Some(holder) = self.bindings.get(self.holder) else {
            return if self.holds_foreign {
                Worth::Telling
            } else {
                Worth::Nothing
            };
        };
        if self.is_empty_shells {
            return Worth::Nothing;
        }
        let innermost_is_in = |known: &[(&str, &str, &str)]| {
            let innermost = self.bindings.first();
            innermost.is_some_and(|innermost| known.iter().any(|known| is_known(innermost, known)))
        };
        if innermost_is_in(KEPT_BY_DESIGN) {
            return Worth::Nothing;
        }
        let is_writer = |binding: &NamedBinding| WRITERS.contains(&binding.type_name.as_str());
        if self.bindings.first().is_some_and(is_writer) {
            return Worth::Nothing;
        }
        let kept_for_the_asking = innermost_is_in(KEPT_FOR_THE_ASKING);
        let is_tool = |binding: &NamedBinding| {
            let package = binding.module.split('.').next().unwrap_or_default();
            TOOLS.contains(&package)
        };
        if self.bindings.iter().any(is_tool) {
            return Worth::Nothing;
        }
        if holder.kind == BindingKind::ModuleGlobal
            && MODULE_BOOKKEEPING.contains(&holder.name.as_str())
        {
            return Worth::TellingIfAlone;
        }
        if (holder.module.as_str(), holder.name.as_str()) == TABLE_OF_MODULES {
            // Of what is imported late there is an end.
            return Worth::TellingIfAlone;
        }
        if self.territory != Territory::StandardLibrary || self.holds_foreign || kept_for_the_asking
        {
            Worth::Telling
        } else {
            Worth::TellingIfAlone
        }
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

    /// Keys and values of the same container are one finding: the values', unless these only carry what is no object of its own, or are
    /// plain while the keys are not.
    fn one_of_each_container(&self, risen: &mut Vec<(PatternId, Rise)>) {
        let pattern = |id: PatternId| self.analysis.patterns.get(id);
        let is_empty_carrier = |id: PatternId| {
            let type_name = self.heap.type_name(pattern(id).first_type);
            CARRIERS.contains(&type_name.as_str()) && self.carried(id).is_none()
        };
        let parents_of = |wanted: &dyn Fn(PatternId) -> bool| -> FxHashSet<PatternId> {
            let wanted = risen.iter().filter(|(id, _)| wanted(*id));
            wanted.map(|(id, _)| pattern(*id).parent).collect()
        };
        let is_plain = |id: PatternId| {
            let types = self.analysis.patterns.types(id);
            types
                .iter()
                .all(|&(type_index, ..)| is_plain(&self.heap.type_name(type_index)))
        };
        let is_item = |id: PatternId| matches!(pattern(id).step, Step::Item | Step::Context);
        let is_key = |id: PatternId| pattern(id).step == Step::Key;
        let with_keys = parents_of(&is_key);
        let with_keys_that_matter = parents_of(&|id| is_key(id) && !is_plain(id));
        let mut weight_of_keys: FxHashMap<PatternId, u64> = FxHashMap::default();
        for (id, _) in risen.iter().filter(|(id, _)| is_key(*id)) {
            *weight_of_keys.entry(pattern(*id).parent).or_default() += pattern(*id).retained_bytes;
        }
        let says_less = |id: PatternId| {
            let parent = pattern(id).parent;
            // What has a name of the program's says more than its weight does.
            let type_name = self.heap.type_name(pattern(id).first_type);
            let keys = weight_of_keys.get(&parent).copied().unwrap_or_default();
            let weighs_little = CONTAINERS.contains(&type_name.as_str())
                && keys > HEAVIER.saturating_mul(pattern(id).retained_bytes);
            is_empty_carrier(id)
                || with_keys_that_matter.contains(&parent) && (is_plain(id) || weighs_little)
        };
        let with_items = parents_of(&|id| is_item(id) && !says_less(id));
        risen.retain(|(id, _)| {
            let parent = pattern(*id).parent;
            !(is_key(*id) && with_items.contains(&parent)
                || is_item(*id) && with_keys.contains(&parent) && says_less(*id))
        });
    }

    /// Each module has a name, and so an access path, of its own: that there are more and more shows in their table.
    fn take_modules_together(&self, risen: &mut [(PatternId, Rise)]) {
        let patterns = &self.analysis.patterns;
        for (id, rise) in risen {
            let pattern = patterns.get(*id);
            if pattern.step == Step::Key && self.is_table_of_modules(pattern.parent) {
                (*id, *rise) = (pattern.parent, Rise::Entries);
            }
        }
    }

    fn is_table_of_modules(&self, id: PatternId) -> bool {
        let sample = self.analysis.patterns.get(id).sample;
        self.analysis
            .chains
            .referrer(sample)
            .is_some_and(|(_, label)| {
                label.kind() == ReferenceKind::Root
                    && RootKind::from_code(label.value()) == Some(RootKind::Modules)
            })
    }

    fn holding(&self, id: PatternId, rise: Option<Rise>) -> Option<Holding> {
        let patterns = &self.analysis.patterns;
        let id = self.told_of_recursion(id);
        let pattern = patterns.get(id);
        let carried = self.carried(id);
        let what = carried.unwrap_or(id);
        let chain = links(&self.analysis.chains, pattern.sample);
        let repeated = self.repeated(id);
        // Of a chain of objects that each hold the next one, the first is what the program's names hold.
        let (chain, id) = match repeated.last() {
            Some(&first) => (self.upper_part(&chain, first), first),
            None => (chain, id),
        };
        let mut bindings: Vec<NamedBinding> = Vec::new();
        let mut places = Vec::new();
        for at in 0..chain.len() {
            if let Some(mut binding) = binding_at(self.heap, &chain, at) {
                binding.path = self.writer.path(&chain, at, id);
                places.push(at);
                bindings.push(binding);
            }
        }
        if rise == Some(Rise::Entries) && bindings.is_empty() && self.is_table_of_modules(id) {
            bindings.push(table_of_modules(self.heap, pattern.sample));
        }
        if let Some(variable) = bindings.first_mut()
            && variable.kind == BindingKind::ContextVariable
        {
            variable.type_name = "_contextvars.ContextVar".to_owned();
            if let Some((name, has_default)) =
                context_variable_of(self.heap, patterns.get(id).sample)
            {
                variable.name = name;
                variable.has_default = Some(has_default);
            }
        }
        if let Some(innermost) = bindings.first_mut() {
            // The standard library's containers are written in C, whatever their source says.
            innermost.object_classes.retain(|class| {
                let file = module_file(self.heap, &class.module).unwrap_or_default();
                self.territories.of_file(file) != Territory::StandardLibrary
            });
        }
        let innermost = places.first().copied().unwrap_or(chain.len());
        let between = &chain[..innermost.min(chain.len())];
        let is_slot = |link: &Link, name: &str| {
            link.kind == ReferenceKind::Slot && self.heap.text(link.name) == name
        };
        let is_set = between
            .iter()
            .any(|link| link.kind == ReferenceKind::Context)
            || bindings
                .first()
                .is_some_and(|binding| binding.kind == BindingKind::ContextVariable);
        let how = if between.iter().any(|link| is_slot(link, "__traceback__")) {
            How::Raised
        } else if between.iter().any(|link| is_slot(link, "__callback__"))
            || self.is_held_by_callbacks(pattern.sample)
        {
            How::CalledBack
        } else if is_set {
            How::Set
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
        let mut series = self.growth.series(pattern);
        for &more in &repeated {
            for (counts, more) in series
                .iter_mut()
                .zip(self.growth.series(patterns.get(more)))
            {
                counts.count += more.count;
                counts.retained_bytes = counts.retained_bytes.max(more.retained_bytes);
            }
        }
        let number = |counts: &Counts| {
            if rise == Some(Rise::Entries) {
                counts.entries
            } else {
                counts.count
            }
        };
        let counts: Vec<u64> = series.iter().map(number).collect();
        let retained_bytes: Vec<u64> = series.iter().map(|counts| counts.retained_bytes).collect();
        let types = patterns.types(what);
        let (held_type, held_count) = match (rise, types.first()) {
            (Some(Rise::Entries), _) => {
                self.most_common_item(pattern.sample).unwrap_or_else(|| {
                    (
                        "object".to_owned(),
                        counts.last().copied().unwrap_or_default(),
                    )
                })
            }
            (_, Some(&(type_index, count, _))) => {
                let repeated_ones = repeated.iter().map(|&more| patterns.get(more).count);
                let count = count + repeated_ones.sum::<u64>();
                (self.heap.type_name(type_index), count)
            }
            (_, None) => ("object".to_owned(), pattern.count),
        };
        let mut access_path = match bindings.first() {
            Some(table) if places.is_empty() => table.path.clone(),
            _ => self.writer.path(&chain, 0, id),
        };
        if rise == Some(Rise::Entries) {
            access_path.push_str("[*]");
        }
        let territory = bindings
            .get(holder)
            .map_or(Territory::StandardLibrary, |binding| {
                self.territory(binding)
            });
        let in_c_object = |link: &Link| {
            link.kind == ReferenceKind::Other && self.is_of_standard_library(link.referrer)
        };
        let innermost_is_standard = between.iter().any(in_c_object)
            || bindings
                .first()
                .is_some_and(|binding| self.territory(binding) == Territory::StandardLibrary);
        let holds_foreign = self.holds_foreign(pattern.sample);
        let growing = if rise == Some(Rise::Bytes) {
            &retained_bytes
        } else {
            &counts
        };
        Some(Holding {
            identity: patterns.get(id).identity,
            access_path,
            holder,
            how,
            held_type: held_type.clone(),
            held_count,
            held_names: self.held_names(pattern.sample),
            rises: rise.is_some(),
            flattens: flattens(growing),
            counts,
            retained_bytes,
            chain: self.writer.hops(&chain),
            territory,
            is_empty_shells: innermost_is_standard
                && !holds_foreign
                && EMPTY_SHELLS.contains(&held_type.as_str()),
            holds_foreign,
            together_with: Vec::new(),
            grown_at: if repeated.is_empty() {
                self.grown_at(id, rise)
            } else {
                Vec::new()
            },
            grows_by_entries: rise == Some(Rise::Entries),
            keys_hold_instances: self.keys_hold_instances(&chain),
            bindings,
        })
    }

    /// The part of a chain that is the access path `id`, which it goes through.
    fn upper_part(&self, chain: &[Link], id: PatternId) -> Vec<Link> {
        let mut levels = self.analysis.patterns.ancestors(id).count() - 1;
        let mut from = chain.len();
        while from > 0 && levels > 0 {
            from -= 1;
            // The tree of a context's values is no part of the path.
            levels -= usize::from(!is_inside_context(self.heap, chain[from].object));
        }
        chain[from..].to_vec()
    }

    /// Where the containers of what has risen were seen to grow.
    fn grown_at(&self, id: PatternId, rise: Option<Rise>) -> Vec<GrownAt> {
        let patterns = &self.analysis.patterns;
        let pattern = patterns.get(id);
        let container = match (rise, pattern.step) {
            (Some(Rise::Entries | Rise::Bytes), _) => id,
            (_, Step::Item | Step::ItemOfNative(_) | Step::Key) => pattern.parent,
            _ => return Vec::new(),
        };
        // A caching function's entries are stored by C code, for whoever calls it.
        if patterns.get(container).step == Step::Cache {
            return Vec::new();
        }
        let names = self.heap.names();
        let places = patterns.grown_at(container).into_iter();
        let place = |row: u32| {
            let place = names.growths.places.get(row as usize)?;
            let code = names.codes.get(&place.code)?;
            Some(GrownAt {
                function: named_code(self.heap, code),
                line: place.line,
                column: place.column,
                end_line: place.end_line,
                end_column: place.end_column,
            })
        };
        places.filter_map(place).take(MOST_PLACES).collect()
    }

    /// The cycles that only the collector would free, and which grow.
    fn cycles(&self) -> Vec<Holding> {
        let mut found = Vec::new();
        let mut told: FxHashSet<u32> = FxHashSet::default();
        // What has a class of the program's is told as that, not as the dictionaries in it.
        let is_own = |of_type: &&GarbageType| self.is_of_standard_library(of_type.some_object());
        let mut types: Vec<&GarbageType> = self.analysis.garbage.types().collect();
        types.sort_by_key(is_own);
        for of_type in types {
            let key = PatternKey(of_type.identity);
            let series = self.growth.series_of(key, of_type.counts());
            let rises = series.windows(2).all(|pair| pair[0].count < pair[1].count);
            if !rises || told.contains(&of_type.type_index) {
                continue;
            }
            let Some(cycle) = of_type.cycle(self.heap) else {
                continue;
            };
            let type_of = |object: ObjectId| self.heap.type_index(object);
            if let Some(holding) = self.cycle(of_type, &cycle, &series)
                && !holding.gained_little()
            {
                told.extend(cycle.iter().map(|link| type_of(link.object)));
                found.push(holding);
            }
            if found.len() == LARGEST {
                break;
            }
        }
        found
    }

    /// `None` where no name of the user's or a library's closes the cycle.
    fn cycle(&self, of_type: &GarbageType, cycle: &[Link], series: &[Counts]) -> Option<Holding> {
        let mut bindings: Vec<NamedBinding> = Vec::new();
        for at in 0..cycle.len() {
            if let Some(mut binding) = binding_at(self.heap, cycle, at) {
                let owner = self.heap.type_name(self.heap.type_index(binding.owner));
                let word = match binding.kind {
                    BindingKind::Closure => "<closure>.",
                    BindingKind::Local
                    | BindingKind::GeneratorFrame
                    | BindingKind::CoroutineFrame => "<local>.",
                    _ => "",
                };
                binding.path = format!("<cycle of {owner}>.{word}{}", binding.name);
                bindings.push(binding);
            }
        }
        bindings.retain(|binding| self.territory(binding) != Territory::StandardLibrary);
        // Of what there is most refers back: to one parent from many children.
        let number = |binding: &NamedBinding| {
            let type_index = self.heap.type_index(binding.owner);
            let mut types = self.analysis.garbage.types();
            types
                .find(|of_type| of_type.type_index == type_index)
                .map_or(0, |of_type| of_type.count)
        };
        let holder =
            (0..bindings.len()).max_by_key(|&at| (number(&bindings[at]), std::cmp::Reverse(at)))?;
        let sample = cycle.first()?.object;
        let counts: Vec<u64> = series.iter().map(|counts| counts.count).collect();
        Some(Holding {
            identity: of_type.identity,
            access_path: bindings[holder].path.clone(),
            holder,
            how: How::Cycle,
            held_type: self.heap.type_name(of_type.type_index),
            held_count: of_type.count,
            held_names: self.held_names(sample),
            rises: true,
            flattens: flattens(&counts),
            counts,
            retained_bytes: series.iter().map(|counts| counts.retained_bytes).collect(),
            chain: self.writer.hops(cycle),
            territory: self.territory(&bindings[holder]),
            holds_foreign: true,
            together_with: Vec::new(),
            grown_at: Vec::new(),
            keys_hold_instances: false,
            grows_by_entries: false,
            is_empty_shells: false,
            bindings,
        })
    }

    /// Whether an object's class is the standard library's, or built in.
    fn is_of_standard_library(&self, object: ObjectId) -> bool {
        let row = self
            .heap
            .names()
            .types
            .get(self.heap.type_index(object) as usize);
        row.is_some_and(|row| {
            let file = module_file(self.heap, self.heap.text(row.module)).unwrap_or_default();
            self.territories.of_file(file) == Territory::StandardLibrary
        })
    }

    /// Of the objects of a recursion, which all grow together, what is told: those whose class is the program's, before the lists and
    /// tokens between them.
    fn told_of_recursion(&self, id: PatternId) -> PatternId {
        let patterns = &self.analysis.patterns;
        let own = patterns.get(id);
        let is_own = |id: PatternId| !self.is_of_standard_library(patterns.get(id).sample);
        if !own.recurs || is_own(id) {
            return id;
        }
        // From where the path leads back to `id`, up to it.
        let mut ends = patterns
            .children
            .iter()
            .filter(|((above, ..), below)| **below == id && *above != own.parent)
            .map(|((above, ..), _)| *above)
            .collect::<Vec<_>>();
        ends.sort_unstable();
        let told = ends.into_iter().find_map(|end| {
            let circle = patterns.ancestors(end).map(|(at, _)| at);
            let circle: Vec<PatternId> = circle.take_while(|at| *at != id).collect();
            let mut downwards = circle.into_iter().rev();
            downwards.find(|&at| is_own(at) && patterns.get(at).recurs)
        });
        told.unwrap_or(id)
    }

    /// The access paths on which the one at hand repeats itself, as a linked list does: nearest first, its first object last.
    fn repeated(&self, id: PatternId) -> Vec<PatternId> {
        let patterns = &self.analysis.patterns;
        let own = patterns.get(id);
        // Two levels of the same kind are no recursion: one is where a deeper object was taken for the second level's.
        if !own.recurs {
            return Vec::new();
        }
        let mut above = patterns.ancestors(id).enumerate().skip(1);
        let first = above.find(|(_, (_, pattern))| {
            pattern.step == own.step && pattern.first_type == own.first_type
        });
        let Some((period, (first, _))) = first else {
            return Vec::new();
        };
        // `document.version.before`: the list begins with what has the same type under another name.
        let head = patterns
            .ancestors(first)
            .skip(1)
            .take(period)
            .find(|(_, pattern)| pattern.first_type == own.first_type);
        [first]
            .into_iter()
            .chain(head.map(|(head, _)| head))
            .collect()
    }

    /// What stands in the objects of an access path that only carry it: the values of a bounded cache, the arguments in a key.
    fn carried(&self, id: PatternId) -> Option<PatternId> {
        let patterns = &self.analysis.patterns;
        let pattern = patterns.get(id);
        let type_name = self.heap.type_name(pattern.first_type);
        let is_key_of_cache =
            pattern.step == Step::Key && patterns.get(pattern.parent).step == Step::Cache;
        let carries = CARRIERS.contains(&type_name.as_str());
        if !(carries || is_key_of_cache && type_name == "tuple") {
            return None;
        }
        let inside = patterns
            .iter()
            .filter(|(_, inside)| inside.parent == id && inside.count >= pattern.count)
            .filter(|(_, inside)| !is_immutable(&self.heap.type_name(inside.first_type)));
        inside
            .max_by_key(|(inner, inside)| (inside.retained_bytes, std::cmp::Reverse(*inner)))
            .map(|(inner, _)| inner)
    }

    /// Whether it is a weak reference whose callback has something of its own.
    fn is_held_by_callbacks(&self, object: ObjectId) -> bool {
        EMPTY_SHELLS.contains(&self.heap.type_name(self.heap.type_index(object)).as_str())
            && self.heap.references(object).any(|reference| {
                reference.label.kind() == ReferenceKind::Slot
                    && self.heap.text(StringId(reference.label.value())) == "__callback__"
                    && self.is_below(object, reference.target)
            })
    }

    /// Whether the chain of `target` goes through `object` next.
    fn is_below(&self, object: ObjectId, target: ObjectId) -> bool {
        self.analysis
            .chains
            .referrer(target)
            .is_some_and(|(referrer, _)| referrer == object)
    }

    /// Whether the keys of the cache on the chain have instances of the program's classes in them, or frames.
    fn keys_hold_instances(&self, chain: &[Link]) -> bool {
        let Some(cache) = chain.iter().find(|link| link.kind == ReferenceKind::Cache) else {
            return false;
        };
        let is_instance = |object: ObjectId| {
            let row = self
                .heap
                .names()
                .types
                .get(self.heap.type_index(object) as usize);
            row.is_some_and(|row| {
                let file = module_file(self.heap, self.heap.text(row.module));
                self.heap.text(row.qualname) == "frame"
                    || file.is_some_and(|file| {
                        self.territories.of_file(file) != Territory::StandardLibrary
                    })
            })
        };
        let keys = self.heap.references(cache.object);
        keys.filter(|reference| reference.label.kind() == ReferenceKind::DictKey)
            .take(KEYS_LOOKED_AT)
            .any(|key| {
                let parts = self.heap.references(key.target).map(|part| part.target);
                is_instance(key.target) || parts.take(KEYS_LOOKED_AT).any(is_instance)
            })
    }

    /// Which holdings hold the same objects: where a container's items have chains through another holding's.
    fn bring_together(&self, holdings: &mut [Holding]) {
        let patterns = &self.analysis.patterns;
        let of_identity: FxHashMap<u64, usize> = (0..holdings.len())
            .map(|at| (holdings[at].identity, at))
            .collect();
        let entries = patterns
            .iter()
            .filter(|(_, pattern)| of_identity.contains_key(&pattern.identity));
        for (_, pattern) in entries {
            let at = of_identity[&pattern.identity];
            if !holdings[at].grows_by_entries {
                continue;
            }
            let items = self
                .heap
                .references(pattern.sample)
                .filter(|reference| reference.label.kind().is_item())
                .take(ITEMS_LOOKED_AT);
            let mut others: Vec<u64> = items
                .filter_map(|item| {
                    let chains = &self.analysis.chains;
                    let held_at = patterns.of_object(self.heap, chains, item.target)?;
                    let mut above = patterns.ancestors(held_at);
                    above.find_map(|(_, above)| {
                        let other = *of_identity.get(&above.identity)?;
                        (other != at).then_some(above.identity)
                    })
                })
                .collect();
            others.sort_unstable();
            others.dedup();
            let own = pattern.identity;
            for other in &others {
                let back = &mut holdings[of_identity[other]].together_with;
                if !back.contains(&own) {
                    back.push(own);
                }
            }
            for other in others {
                if !holdings[at].together_with.contains(&other) {
                    holdings[at].together_with.push(other);
                }
            }
        }
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

    /// What hangs below an object, nearest first, without what says nothing about who holds; `own_only`: without what other
    /// chains lead to.
    fn below(&self, object: ObjectId, most: usize, own_only: bool) -> Vec<ObjectId> {
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
                let is_own = !own_only || self.is_below(object, reference.target);
                if !says_nothing && is_own && seen.insert(reference.target) {
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
        for object in self.below(object, 64, false) {
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
        self.below(object, 96, true).into_iter().any(|object| {
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
