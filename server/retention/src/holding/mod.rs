//! From what grows to what holds: access paths of the last dump, their named bindings, their holder.

mod garbage_cycles;
mod held;
mod holder;
mod keys_and_values;
mod names;
mod recursion;
mod together;
mod worth;

use std::cell::OnceCell;

use heldby_heap::{Heap, ObjectId, Reference, ReferenceKind, RootKind, StringId};
use rustc_hash::FxHashSet;

use crate::binding::{
    Link, binding_at, context_variable_of, is_immutable, links, module_file, named_code,
    names_of_namespace, table_of_modules,
};
use crate::growth::{Counts, Growth, Rise, flattens};
use crate::known::{ALL_NAMES, EMPTY_SHELLS, MAKES_WHAT_IS_READ, WEAKLY_KEYED};
use crate::written::Writer;
use crate::{
    Analysis, BindingKind, NamedBinding, NamedFunction, Pattern, PatternCounts, PatternId, Step,
    Territories, Territory,
};
use worth::{Worth, drop_what_others_tell, gains_steadily, is_known};

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
    /// The text key under which the innermost binding's object, a dictionary of containers, has the one that holds.
    pub key: Option<String>,
    /// A container between the innermost binding and what is held makes the entries that are read and not there: `defaultdict`.
    pub makes_what_is_read: bool,
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
    /// What is held are values of a dictionary with weak keys: each goes when its key does.
    pub keys_are_weak: bool,
    /// The number of items rises, though they hang elsewhere.
    grows_by_entries: bool,
    /// Nothing but what is known to be empty, in a container of the standard library's.
    is_empty_shells: bool,
}

/// Fewer dumps prove no growth.
const DUMPS_THAT_PROVE: usize = 3;
/// Places where containers of one access path were seen to grow, beyond which they say nothing more.
const MOST_PLACES: usize = 8;
/// Of a dictionary of containers so many are looked at.
const MOST_KEYS: usize = 256;
/// Without proven growth, at most so many of the largest are told.
const LARGEST: usize = 10;
/// Without proven growth, a holding is worth telling from here on.
const LEAST_RETAINED_BYTES: u64 = 64 << 10;

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
        classes_with_named_instances: OnceCell::new(),
    };
    let mut risen = growth.topmost();
    risen.retain(|&(id, rise)| rise != Rise::Bytes || !context.keeps_room_only(id));
    context.one_of_each_container(&mut risen);
    context.take_names_together(&mut risen);
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

/// Whether objects of this type are values that hold nothing.
fn is_plain(type_name: &str) -> bool {
    matches!(
        type_name,
        "int" | "float" | "bool" | "complex" | "str" | "bytes" | "NoneType"
    )
}

struct Context<'a> {
    heap: &'a Heap,
    analysis: &'a Analysis,
    territories: &'a Territories,
    growth: &'a Growth<'a>,
    writer: Writer<'a>,
    /// Type indices; made when it is first asked.
    classes_with_named_instances: OnceCell<FxHashSet<u32>>,
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
        let grows_below = self.begins_with_the_same(&repeated);
        let (chain, id) = match repeated.as_slice() {
            [first, ..] if grows_below => (self.once_through(&chain, id, *first), id),
            [.., first] => (self.upper_part(&chain, *first), *first),
            [] => (chain, id),
        };
        let (bindings, places) = self.named_bindings(&chain, id, rise, pattern.sample);
        let innermost = places.first().copied().unwrap_or(chain.len());
        let between = &chain[..innermost.min(chain.len())];
        let how = self.how(between, bindings.first(), pattern, rise);
        let key = self.key(
            between,
            how,
            patterns.types(what).first().map(|held| held.0),
        );
        let holder = self.holder(&bindings);
        let new_names = (rise == Some(Rise::Names))
            .then(|| self.new_names(id))
            .flatten();
        let sample = new_names
            .as_ref()
            .map_or(pattern.sample, |names| names.sample);
        let mut series = match &new_names {
            Some(names) => names.series.clone(),
            None => self.growth.series(pattern),
        };
        let counts_entries =
            matches!(rise, Some(Rise::Entries | Rise::Names)) && new_names.is_none();
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
            if counts_entries {
                counts.entries
            } else {
                counts.count
            }
        };
        let counts: Vec<u64> = series.iter().map(number).collect();
        let retained_bytes: Vec<u64> = series.iter().map(|counts| counts.retained_bytes).collect();
        let types = patterns.types(what);
        let last_count = counts.last().copied().unwrap_or_default();
        let (held_type, held_count) = match (&new_names, types.first()) {
            (Some(names), _) => (self.heap.type_name(names.type_index), last_count),
            _ if counts_entries => self
                .most_common_item(pattern.sample)
                .unwrap_or_else(|| ("object".to_owned(), last_count)),
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
        match rise {
            Some(Rise::Entries) => access_path.push_str("[*]"),
            Some(Rise::Names) => {
                access_path.push('.');
                access_path.push_str(ALL_NAMES);
                access_path.push_str("[*]");
            }
            _ => {}
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
        let holds_foreign = self.holds_foreign(sample);
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
            key,
            makes_what_is_read: self.makes_what_is_read(between, bindings.first()),
            held_type: held_type.clone(),
            held_count,
            held_names: self.held_names(sample),
            rises: rise.is_some(),
            flattens: flattens(growing),
            counts,
            retained_bytes,
            chain: match new_names {
                Some(names) => self
                    .writer
                    .hops(&links(&self.analysis.chains, names.sample)),
                None => self.writer.hops(&chain),
            },
            territory,
            is_empty_shells: innermost_is_standard
                && !holds_foreign
                && EMPTY_SHELLS.contains(&held_type.as_str()),
            holds_foreign,
            together_with: Vec::new(),
            grown_at: if repeated.is_empty() || grows_below {
                self.grown_at(id, rise)
            } else {
                Vec::new()
            },
            grows_by_entries: counts_entries,
            keys_hold_instances: self.keys_hold_instances(&chain),
            keys_are_weak: bindings
                .first()
                .is_some_and(|innermost| is_known(innermost, &WEAKLY_KEYED)),
            bindings,
        })
    }

    /// The named bindings on a chain, innermost first, and the links at which they stand: none for the table of modules, which is named itself.
    fn named_bindings(
        &self,
        chain: &[Link],
        id: PatternId,
        rise: Option<Rise>,
        sample: ObjectId,
    ) -> (Vec<NamedBinding>, Vec<usize>) {
        let mut bindings: Vec<NamedBinding> = Vec::new();
        let mut places = Vec::new();
        if rise == Some(Rise::Names)
            && let Some(mut names) = names_of_namespace(self.heap, chain)
        {
            names.path = format!("{}.{ALL_NAMES}", self.writer.path(chain, 0, id));
            places.push(0);
            bindings.push(names);
        }
        for at in 0..chain.len() {
            if let Some(mut binding) = binding_at(self.heap, chain, at) {
                binding.path = self.writer.path(chain, at, id);
                places.push(at);
                bindings.push(binding);
            }
        }
        if rise == Some(Rise::Entries) && bindings.is_empty() && self.is_table_of_modules(id) {
            bindings.push(table_of_modules(self.heap, sample));
        }
        if let Some(variable) = bindings.first_mut()
            && variable.kind == BindingKind::ContextVariable
        {
            variable.type_name = "_contextvars.ContextVar".to_owned();
            if let Some((name, has_default)) =
                context_variable_of(self.heap, self.analysis.patterns.get(id).sample)
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
        (bindings, places)
    }

    /// How what is held hangs on its innermost binding, with these links between.
    fn how(
        &self,
        between: &[Link],
        innermost: Option<&NamedBinding>,
        pattern: &Pattern,
        rise: Option<Rise>,
    ) -> How {
        let is_slot = |link: &Link, name: &str| {
            link.kind == ReferenceKind::Slot && self.heap.text(link.name) == name
        };
        let is_set = between
            .iter()
            .any(|link| link.kind == ReferenceKind::Context)
            || innermost.is_some_and(|binding| binding.kind == BindingKind::ContextVariable);
        if between.iter().any(|link| is_slot(link, "__traceback__")) {
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
                Some(Rise::Entries | Rise::Names) => true,
                // What cannot be changed grows by being bound anew.
                Some(Rise::Bytes) => !is_immutable(&self.heap.type_name(pattern.first_type)),
                _ => false,
            };
            match items + u32::from(is_container) {
                0 => How::Bound,
                depth => How::Items { depth },
            }
        }
    }

    /// The key of the outermost of several containers under which the next one lies; of two, the key whose container has most
    /// items of the type that is held.
    fn key(&self, between: &[Link], how: How, held_type: Option<u32>) -> Option<String> {
        let outermost = between
            .last()
            .filter(|link| link.kind == ReferenceKind::DictValue)?;
        let How::Items { depth: 2.. } = how else {
            return None;
        };
        let items = |container: ObjectId| {
            let is_held = |reference: &Reference| {
                let type_index = self.heap.type_index(reference.target);
                reference.label.kind().is_item() && held_type.is_none_or(|held| held == type_index)
            };
            self.heap.references(container).filter(is_held).count()
        };
        let entries = self.heap.references(outermost.referrer);
        let by_key = entries
            .filter(|entry| entry.label.kind() == ReferenceKind::DictValue)
            .take(MOST_KEYS)
            .map(|entry| (items(entry.target), entry.label.value()));
        let most = by_key.max_by_key(|&(items, key)| (items, std::cmp::Reverse(key)));
        let name = match (how, most) {
            (How::Items { depth: 2 }, Some((items_of_most, key)))
                if items_of_most > items(outermost.object) =>
            {
                StringId(key)
            }
            _ => outermost.name,
        };
        Some(self.heap.text(name).to_owned())
    }

    /// Whether one of the containers makes the entries that are read and not there.
    fn makes_what_is_read(&self, between: &[Link], innermost: Option<&NamedBinding>) -> bool {
        let does = |type_name: &str| type_name == MAKES_WHAT_IS_READ;
        innermost.is_some_and(|innermost| does(&innermost.type_name))
            || between
                .iter()
                .any(|link| does(&self.heap.type_name(self.heap.type_index(link.referrer))))
    }

    /// Where the containers of what has risen were seen to grow.
    fn grown_at(&self, id: PatternId, rise: Option<Rise>) -> Vec<GrownAt> {
        let patterns = &self.analysis.patterns;
        let pattern = patterns.get(id);
        let container = match (rise, pattern.step) {
            (Some(Rise::Entries | Rise::Names | Rise::Bytes), _) => id,
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
}
