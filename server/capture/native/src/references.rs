//! Names what the objects of ordinary classes reference: what the collector is told, by the places where the class says that names are.

use std::io::Write;

use crate::classes::{Container, Member};
use crate::layout::{AttributesLayout, FrameLayout, InterpreterFrameLayout};
use crate::memory::Address;
use crate::sections::{Kind, Label};
use crate::walk::Walk;

/// Before an object, since 3.12: its dictionary, or its values (Include/internal/pycore_object.h: MANAGED_DICT_OFFSET).
const DICTIONARY_BEFORE: u64 = 24;
/// The same in a free-threaded build, where nothing of the collector's stands there.
const DICTIONARY_BEFORE_FREE_THREADED: u64 = 8;
/// 3.11: the values' address.
const VALUES_BEFORE: u64 = 32;
/// `struct _dictvalues` behind an object: how many there is room for, and whether they are valid; then the values.
const VALUES_VALID: u64 = 3;
const VALUES: u64 = 8;

impl<W: Write> Walk<'_, W> {
    pub(crate) fn write_fields(&mut self, class: u32, object: Address) {
        let references = self.references_of(class, object);
        match self.shape_of_plain(class, object, &references) {
            Some(shape) => {
                for reference in &references {
                    let target = self.follow(*reference);
                    self.group.fields.push(target);
                }
                self.group.shapes.push(shape);
            }
            None => {
                self.label(class, object, &references, None);
                self.write_labels();
            }
        }
        self.references = references;
    }

    /// Objects of a container's subclass: items as the container has them, then what the subclass added.
    pub(crate) fn write_items_and_fields(
        &mut self,
        container: Container,
        class: u32,
        object: Address,
    ) {
        let (keys_before, items_before) = (self.group.keys.len(), self.group.items.len());
        self.write_items(container, class, object);
        let mut items: rustc_hash::FxHashSet<Address> =
            self.group.items[items_before..].iter().copied().collect();
        items.extend(&self.group.keys[keys_before..]);
        let references = self.references_of(class, object);
        self.label(class, object, &references, Some(&items));
        self.write_labels();
        self.references = references;
    }

    /// What an object references. The list is to be put back.
    pub(crate) fn references_of(&mut self, class: u32, object: Address) -> Vec<Address> {
        let mut references = std::mem::take(&mut self.references);
        references.clear();
        let class = &self.classes[class as usize];
        let interpreter = self.objects.interpreter;
        interpreter.references(object, class.type_, &mut references);
        if class.inline_values != 0 {
            // The collector is told of the values only when a dictionary lies over them.
            let dictionary = self.objects.memory.word(object - self.dictionary_before());
            if dictionary != 0 && !references.contains(&dictionary) {
                references.push(dictionary);
            }
        }
        references
    }

    fn dictionary_before(&self) -> u64 {
        if self.objects.is_free_threaded {
            DICTIONARY_BEFORE_FREE_THREADED
        } else {
            DICTIONARY_BEFORE
        }
    }

    /// Where the values of an object's attributes begin, and how many there are at most; None when they are in a dictionary.
    fn values_of(&self, class: u32, object: Address) -> Option<(Address, usize)> {
        let class = &self.classes[class as usize];
        let memory = self.objects.memory;
        let count = class.names.len();
        if count == 0 {
            return None;
        }
        match self.objects.layout.attributes {
            AttributesLayout::Dictionary => None,
            AttributesLayout::ValuesBefore => {
                let values = memory.word(object - VALUES_BEFORE);
                (values != 0).then_some((values, count))
            }
            AttributesLayout::OneWordBefore => {
                let word = memory.word(object - DICTIONARY_BEFORE);
                (word & 1 == 1).then_some((word + 1, count))
            }
            AttributesLayout::ValuesBehind => {
                let values = object + class.inline_values;
                if class.inline_values == 0 || memory.u8(values + VALUES_VALID) == 0 {
                    return None;
                }
                Some((values + VALUES, count.min(usize::from(memory.u8(values)))))
            }
        }
    }

    /// The shape of an object that has nothing but values of its class's names, and its type. Most objects of a program's do.
    fn shape_of_plain(
        &mut self,
        class: u32,
        object: Address,
        references: &[Address],
    ) -> Option<u32> {
        let known = &self.classes[class as usize];
        if !known.is_plain {
            return None;
        }
        let (values, count) = self.values_of(class, object)?;
        let mut present = 0_u64;
        let mut expected = references.iter();
        for place in 0..count {
            let value = self.objects.memory.word(values + place as u64 * 8);
            if value != 0 {
                if expected.next() != Some(&value) {
                    return None;
                }
                present |= 1 << place;
            }
        }
        if expected.next() != Some(&known.type_) || expected.next().is_some() {
            return None;
        }
        if let Some(shape) = known.shapes.get(&present) {
            return Some(*shape);
        }
        self.shape.clear();
        for (place, name) in known.names.iter().enumerate() {
            if present & 1 << place != 0 {
                self.shape.push(*name);
            }
        }
        self.shape.push(Label::TYPE);
        let shape = self.out.shape(&self.shape);
        self.classes[class as usize].shapes.insert(present, shape);
        Some(shape)
    }

    /// Labels each reference of an object, but those unnamed ones that are items of the container that it is.
    pub(crate) fn label(
        &mut self,
        class: u32,
        object: Address,
        references: &[Address],
        items: Option<&rustc_hash::FxHashSet<Address>>,
    ) {
        self.find_candidates(class, object, references);
        self.labels.clear();
        let (mut has_namespace, mut unnamed, mut first) = (false, 0, 0);
        for reference in references {
            // They mostly come in the order of the names.
            let found = self.candidates[first..]
                .iter()
                .position(|(address, _)| address == reference);
            let mut label = match found {
                Some(0) => {
                    first += 1;
                    self.candidates[first - 1].1
                }
                Some(place) => self.candidates.remove(first + place).1,
                None if items.is_some_and(|items| items.contains(reference)) => continue,
                None => {
                    let label = self.unnamed(class, *reference, unnamed);
                    unnamed += usize::from(label != Label::TYPE);
                    label
                }
            };
            if label == Label::NAMESPACE {
                if has_namespace {
                    label = Label::OTHER;
                } else {
                    has_namespace = true;
                    self.name_namespace(*reference);
                }
            }
            self.labels.push((label, *reference));
        }
        if has_namespace && !self.classes[class as usize].names.is_empty() {
            // The dictionary lies over the values: it carries them, and a second count of them would be wrong.
            for (label, _) in &mut self.labels {
                if label.kind == Kind::Attribute as u32 {
                    *label = label.described();
                }
            }
        }
    }

    /// What may name the references of an object: address and label, the better first.
    fn find_candidates(&mut self, class: u32, object: Address, references: &[Address]) {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let known = &self.classes[class as usize];
        let objects = self.objects;
        for (label, member) in &known.members {
            let value = match member {
                Member::At(offset) => objects.memory.word(object + offset),
                Member::Getter(definition) => objects.interpreter.ask_getter(*definition, object),
            };
            if value != 0 {
                candidates.push((value, *label));
            }
        }
        if objects.layout.attributes == AttributesLayout::ValuesBehind && !known.names.is_empty() {
            // Before the values: one of them may be the dictionary itself.
            let dictionary = objects.memory.word(object - self.dictionary_before());
            if dictionary != 0 {
                candidates.push((dictionary, Label::NAMESPACE));
            }
        }
        if let Some((values, count)) = self.values_of(class, object) {
            for (place, name) in known.names.iter().take(count).enumerate() {
                let value = objects.memory.word(values + place as u64 * 8);
                if value != 0 {
                    candidates.push((value, *name));
                }
            }
        }
        if known.is_generator
            && let FrameLayout::Apart(layout) = objects.layout.frame
            && references
                .iter()
                .any(|reference| objects.type_of(*reference) == self.types.function)
        {
            // It has its function until it ends; then its frame is forgotten.
            let frame = object + objects.header + layout.in_generator;
            self.add_generator_parts(&layout, frame, &mut candidates);
        }
        self.candidates = candidates;
    }

    /// What may be in the frame of a generator that has not ended; the stack's old contents too.
    fn add_generator_parts(
        &mut self,
        layout: &InterpreterFrameLayout,
        frame: Address,
        candidates: &mut Vec<(Address, Label)>,
    ) {
        let objects = self.objects;
        let code = layout.without_tags(objects.memory.word(frame + layout.code));
        if code == 0 || objects.type_of(code) != self.types.code {
            return;
        }
        let first = frame + layout.variables;
        objects.each_variable(code, |place, name| {
            let value = layout.without_tags(objects.memory.word(first + place as u64 * 8));
            if value != 0 {
                let name = self.string_of(name);
                candidates.push((value, Label::named(Kind::Local, name)));
            }
        });
        let variables = objects.variable_count(code);
        let stack = u64::from(objects.field32(code, objects.layout.code.stack_size));
        for place in variables..variables + stack {
            let value = layout.without_tags(objects.memory.word(first + place * 8));
            if value != 0 {
                candidates.push((value, Label::STACK));
            }
        }
    }

    /// The name of a reference that nothing else names; `place` counts those that are not to the type.
    pub(crate) fn unnamed(&self, class: u32, reference: Address, place: usize) -> Label {
        let class = &self.classes[class as usize];
        if reference == class.type_ {
            Label::TYPE
        } else if class.has_namespace && self.objects.type_of(reference) == self.types.dictionary {
            Label::NAMESPACE
        } else {
            class.rest.get(place).copied().unwrap_or(Label::OTHER)
        }
    }

    /// Writes the references that were labelled.
    pub(crate) fn write_labels(&mut self) {
        let labels = std::mem::take(&mut self.labels);
        self.shape.clear();
        self.shape.extend(labels.iter().map(|(label, _)| *label));
        let shape = self.out.shape(&self.shape);
        self.group.shapes.push(shape);
        for (_, reference) in &labels {
            let target = self.follow(*reference);
            self.group.fields.push(target);
        }
        self.labels = labels;
    }

    /// Whether an object is a dictionary of exactly that type.
    pub(crate) fn is_dictionary(&self, object: Address) -> bool {
        self.objects.type_of(object) == self.types.dictionary
    }
}

impl InterpreterFrameLayout {
    /// The address that a word of a frame has; 0: none.
    #[inline]
    pub(crate) fn without_tags(&self, word: u64) -> Address {
        const TAGS: u64 = 3;
        match (self.references_are_tagged, word & TAGS) {
            (false, _) => word,
            (true, TAGS) => 0,
            (true, _) => word & !TAGS,
        }
    }

    /// Whether the frame owns what a word of it references.
    pub(crate) fn owns(&self, word: u64) -> bool {
        const BORROWED: u64 = 1;
        !self.references_are_tagged || word & BORROWED == 0
    }
}
