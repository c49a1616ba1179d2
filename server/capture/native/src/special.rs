//! Writes objects that keep what they hold in a way of their own: cells, caches, iterators, contexts, thread-local objects.

use std::io::Write;

use rustc_hash::FxHashSet;

use crate::layout::{FrameLayout, shared};
use crate::memory::Address;
use crate::sections::{Kind, Label};
use crate::walk::Walk;

impl<W: Write> Walk<'_, W> {
    pub(crate) fn write_cell(&mut self, class: u32, cell: Address) {
        let references = self.references_of(class, cell);
        self.labels.clear();
        let label = Label::plain(Kind::CellContents);
        self.labels
            .extend(references.iter().map(|reference| (label, *reference)));
        self.references = references;
        self.write_labels();
    }

    pub(crate) fn write_cache(&mut self, class: u32, cache: Address) {
        let mut references = self.references_of(class, cache);
        let entries = self.entries_of_cache(&references);
        if entries != 0 {
            self.leave_out_entries(entries, &mut references);
        }
        let wrapped = Label::named(Kind::Machinery, self.out.string(b"__wrapped__"));
        let type_ = self.classes[class as usize].type_;
        self.labels.clear();
        let mut is_behind = false;
        for reference in references.iter().copied() {
            let label = if reference == entries && !is_behind {
                is_behind = true;
                Label::plain(Kind::Cache)
            } else if self.is_dictionary(reference) {
                self.name_namespace(reference);
                Label::NAMESPACE
            } else if self.objects.type_of(reference) == self.types.function {
                wrapped
            } else if reference == type_ {
                Label::TYPE
            } else {
                Label::OTHER
            };
            self.labels.push((label, reference));
        }
        self.references = references;
        self.write_labels();
    }

    /// The dictionary of a cache's entries: of a bounded cache one that has such entries, for results come before it; else the first.
    fn entries_of_cache(&mut self, references: &[Address]) -> Address {
        let mut first = 0;
        for reference in references.iter().copied() {
            if !self.is_dictionary(reference) {
                continue;
            }
            if first == 0 {
                first = reference;
            }
            let mut of_first_entry = 0;
            self.objects.each_entry(reference, |_, value| {
                if of_first_entry == 0 {
                    of_first_entry = value;
                }
            });
            if of_first_entry != 0 && self.is_cache_entry(of_first_entry) {
                return reference;
            }
        }
        first
    }

    fn is_cache_entry(&mut self, object: Address) -> bool {
        let (_, name) = self.objects.name_of_type(self.objects.type_of(object));
        name == b"_lru_list_elem"
    }

    /// Takes the references of a bounded cache's entries from those of the cache: key, result and, since 3.9, type of each. They are
    /// written with the entries.
    fn leave_out_entries(&mut self, entries: Address, references: &mut Vec<Address>) {
        let mut keys = FxHashSet::default();
        let mut entry_type = 0;
        let objects = self.objects;
        objects.each_entry(entries, |_, value| {
            if entry_type == 0 || objects.type_of(value) == entry_type {
                if entry_type == 0 && self.is_cache_entry(value) {
                    entry_type = objects.type_of(value);
                }
                if entry_type != 0 {
                    keys.insert(objects.field(value, shared::CACHE_ENTRY_KEY));
                }
            }
        });
        if entry_type == 0 {
            return;
        }
        let mut left = Vec::new();
        let mut place = 0;
        while place < references.len() {
            let reference = references[place];
            if reference == entries || place + 1 == references.len() || !keys.remove(&reference) {
                left.push(reference);
                place += 1;
                continue;
            }
            let has_type = references.get(place + 2) == Some(&entry_type);
            place += if has_type { 3 } else { 2 };
        }
        *references = left;
    }

    pub(crate) fn write_cache_entry(&mut self, class: u32, entry: Address) {
        let objects = self.objects;
        let key = Label::named(Kind::Slot, self.out.string(b"key"));
        let parts = [
            (key, objects.field(entry, shared::CACHE_ENTRY_KEY)),
            (
                Label::plain(Kind::CellContents),
                objects.field(entry, shared::CACHE_ENTRY_RESULT),
            ),
        ];
        self.labels.clear();
        self.labels.extend(parts);
        let class = &self.classes[class as usize];
        if class.flags & shared::IS_HEAP_TYPE != 0 {
            self.labels.push((Label::TYPE, class.type_));
        }
        self.write_labels();
    }

    /// Greenlets: those that wait have frames, which no thread has.
    pub(crate) fn write_greenlet(&mut self, class: u32, greenlet: Address) {
        let references = self.references_of(class, greenlet);
        self.label(class, greenlet, &references, None);
        self.references = references;
        let type_ = self.classes[class as usize].type_;
        let getter = self.getter(type_, "gr_frame");
        let mut frame = match getter {
            0 => 0,
            getter => self
                .objects
                .interpreter
                .ask_getter_for_good(getter, greenlet),
        };
        if frame != 0 {
            let label = Label::named(Kind::Slot, self.out.string(b"gr_frame")).described();
            self.labels.push((label, frame));
        }
        self.write_labels();
        while frame != 0 && self.stacks.add_waiting(frame) {
            self.follow(frame);
            frame = match self.objects.layout.frame {
                FrameLayout::InObject(layout) => self.objects.field(frame, layout.back),
                FrameLayout::Apart(_) => self.objects.interpreter.frame_before(frame).unwrap_or(0),
            };
        }
    }

    /// `map` and `zip`: the tuple in which they keep what they go over says nothing.
    pub(crate) fn write_several_iterators(&mut self, class: u32, object: Address) {
        let references = self.references_of(class, object);
        self.label(class, object, &references, None);
        self.references = references;
        let first = self.classes[class as usize].rest.first().copied();
        let objects = self.objects;
        let tuple = self.labels.iter().find(|(label, target)| {
            Some(*label) == first && objects.type_of(*target) == self.types.tuple
        });
        if let Some((_, tuple)) = tuple.copied() {
            let label = Label::plain(Kind::Iterates).described();
            self.labels
                .extend(objects.tuple(tuple).map(|iterator| (label, iterator)));
        }
        self.write_labels();
    }

    /// Contexts: beside what they are made of, the value of each variable, which is told as the variable's.
    pub(crate) fn write_context(&mut self, class: u32, context: Address) {
        let references = self.references_of(class, context);
        self.labels.clear();
        for reference in references.iter().copied() {
            let label = self.unnamed(class, reference, usize::MAX);
            self.labels.push((label, reference));
        }
        self.references = references;
        self.write_labels();
        let objects = self.objects;
        objects.interpreter.each_pair(
            self.order.context_items,
            context,
            objects.header + objects.layout.tuple_items,
            |variable, value| {
                let (variable, value) = (self.follow(variable), self.follow(value));
                if variable != 0 && value != 0 {
                    let name = objects.field(variable, shared::CONTEXT_VARIABLE_NAME);
                    let label = Label::named(Kind::Context, self.string_of(name)).described();
                    self.rows.links.push((variable, value, label));
                }
            },
        );
    }

    /// Thread-local objects: each keeps a namespace for each thread, in a table by an object of that thread.
    pub(crate) fn write_thread_local(&mut self, class: u32, object: Address) {
        let references = self.references_of(class, object);
        self.label(class, object, &references, None);
        let threads = Label::named(Kind::Machinery, self.out.string(b"threads"));
        let objects = self.objects;
        let mut namespaces = Vec::new();
        let mut labels = std::mem::take(&mut self.labels);
        for (label, reference) in &mut labels {
            if self.is_dictionary(*reference) && self.is_table_of_threads(*reference) {
                *label = threads;
                objects.each_entry(*reference, |_, value| namespaces.push(value));
            }
        }
        self.labels = labels;
        self.references = references;
        for namespace in namespaces {
            if self.is_dictionary(namespace) {
                let label = Label::plain(Kind::ThreadLocal).described();
                self.labels.push((label, namespace));
                self.name_namespace(namespace);
            }
        }
        self.write_labels();
    }

    fn is_table_of_threads(&mut self, table: Address) -> bool {
        let objects = self.objects;
        let mut is_table = true;
        objects.each_entry(table, |key, _| {
            // Up to 3.12 weak references are its keys, since 3.13 the objects themselves.
            is_table = is_table
                && (objects.type_of(key) == self.types.weak_reference
                    || objects.name_of_type(objects.type_of(key)).1 == b"_localdummy");
        });
        is_table
    }
}
