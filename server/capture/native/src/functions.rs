//! Writes what a program is made of: functions, code, modules, types.

use std::io::Write;

use crate::layout::shared;
use crate::memory::Address;
use crate::sections::{Kind, Label, NO_STRING};
use crate::walk::{Failure, Walk};

impl<W: Write> Walk<'_, W> {
    fn machinery(&mut self, name: &str) -> Label {
        Label::named(Kind::Machinery, self.out.string(name.as_bytes()))
    }

    fn slot(&mut self, name: &str) -> Label {
        Label::named(Kind::Slot, self.out.string(name.as_bytes()))
    }

    pub(crate) fn write_function(&mut self, class: u32, function: Address) {
        let references = self.references_of(class, function);
        let objects = self.objects;
        let layout = objects.layout.function;
        let part = |offset| objects.field(function, offset);
        let (code, globals) = (part(layout.code), part(layout.globals));
        let (closure, defaults) = (part(layout.closure), part(layout.defaults));
        let (keywords, annotations) = (part(layout.keyword_defaults), part(layout.annotations));
        let type_ = self.classes[class as usize].type_;
        self.labels.clear();
        let mut has_namespace = false;
        for reference in references.iter().copied() {
            let label = if reference == code {
                self.machinery("__code__")
            } else if reference == globals {
                self.machinery("__globals__")
            } else if reference == closure {
                self.slot("__closure__")
            } else if reference == defaults {
                self.slot("__defaults__")
            } else if reference == keywords {
                self.slot("__kwdefaults__")
            } else if self.is_dictionary(reference) {
                if reference == self.order.builtins {
                    self.machinery("__builtins__")
                } else if reference == annotations {
                    self.slot("__annotations__")
                } else if has_namespace {
                    self.machinery("other")
                } else {
                    has_namespace = true;
                    self.name_namespace(reference);
                    Label::NAMESPACE
                }
            } else if reference == type_ {
                Label::TYPE
            } else {
                self.machinery("other")
            };
            self.labels.push((label, reference));
        }
        self.references = references;
        self.describe_parameters(code, closure, defaults, keywords);
        self.write_labels();
        let (module, name) = (part(layout.module), part(layout.qualified_name));
        let module = if module == 0 {
            NO_STRING
        } else {
            self.string_of(module)
        };
        let name = self.string_of(name);
        self.rows.functions.push((function, code, [module, name]));
        if self.is_dictionary(globals) {
            self.strange_namespaces.insert(globals);
        }
    }

    /// What a function holds under the names of its parameters and free variables.
    fn describe_parameters(
        &mut self,
        code: Address,
        closure: Address,
        defaults: Address,
        keywords: Address,
    ) {
        let objects = self.objects;
        if closure != 0 {
            let names = objects.free_variables(code);
            for (name, cell) in names.into_iter().zip(objects.tuple(closure)) {
                let name = self.string_of(name);
                let label = Label::named(Kind::FreeVariable, name).described();
                self.labels.push((label, cell));
            }
        }
        if defaults != 0 && objects.type_of(defaults) == self.types.tuple {
            let (positional, names) = objects.parameters(code);
            let values = objects.tuple(defaults);
            let positional = &names[..positional.min(names.len())];
            let first = positional.len().saturating_sub(values.len());
            for (name, value) in positional[first..].iter().zip(values) {
                let name = self.string_of(*name);
                let label = Label::named(Kind::Default, name).described();
                self.labels.push((label, value));
            }
        }
        if keywords != 0 && self.is_dictionary(keywords) {
            objects.each_entry(keywords, |name, value| {
                if objects.is_text(name) {
                    let name = self.string_of(name);
                    let label = Label::named(Kind::KeywordDefault, name).described();
                    self.labels.push((label, value));
                }
            });
        }
    }

    pub(crate) fn write_code(&mut self, code: Address) {
        self.labels.clear();
        let objects = self.objects;
        for (name, offset) in self.code_parts() {
            let part = objects.memory.word(code + offset);
            if part != 0 && part != self.order.none {
                self.labels
                    .push((Label::named(Kind::Machinery, name), part));
            }
        }
        if objects.is_free_threaded {
            self.label_cached_parts(code);
        }
        self.write_labels();
        let layout = objects.layout.code;
        let file = self.string_of(objects.field(code, layout.file));
        let name = self.string_of(objects.field(code, layout.name));
        let line = objects.field32(code, layout.first_line);
        self.note_file(file);
        self.rows
            .codes
            .push((code, [file, name, if line >> 31 == 0 { line } else { 0 }]));
    }

    /// What code keeps once it was asked for: in a free-threaded build the collector knows these objects, and nobody else has them.
    fn label_cached_parts(&mut self, code: Address) {
        let objects = self.objects;
        let mut getters = Vec::new();
        let dictionary = objects.interpreter.dictionary_of_type(self.types.code);
        objects.each_entry(dictionary, |name, value| {
            let is_cached = ["co_varnames", "co_cellvars", "co_freevars"]
                .iter()
                .any(|cached| objects.text_is(name, cached));
            if is_cached && objects.type_of(value) == self.types.getset_descriptor {
                getters.push((name, objects.field(value, shared::DESCRIPTOR_DEFINITION)));
            }
        });
        for (name, definition) in getters {
            let part = objects.interpreter.ask_getter(definition, code);
            if part != 0 {
                let label = Label::named(Kind::Machinery, self.string_of(name));
                self.labels.push((label, part));
            }
        }
    }

    /// Name and offset of what the type of code says that it holds; the collector does not know.
    fn code_parts(&mut self) -> Vec<(u32, u64)> {
        if self.parts_of_code.is_empty() {
            let dictionary = self.objects.interpreter.dictionary_of_type(self.types.code);
            let objects = self.objects;
            let mut parts = Vec::new();
            objects.each_entry(dictionary, |name, value| {
                if objects.type_of(value) != self.types.member_descriptor {
                    return;
                }
                let definition = objects.field(value, shared::DESCRIPTOR_DEFINITION);
                let kind = objects.memory.u32(definition + shared::MEMBER_TYPE);
                if kind == shared::MEMBER_IS_OBJECT || kind == shared::MEMBER_IS_OBJECT_OR_MISSING {
                    let offset = objects.memory.word(definition + shared::MEMBER_OFFSET);
                    parts.push((self.string_of(name), offset));
                }
            });
            self.parts_of_code = parts;
        }
        self.parts_of_code.clone()
    }

    pub(crate) fn note_file(&mut self, path: u32) {
        if path != NO_STRING && self.out.text(path).ends_with(b".py") {
            self.files.insert(path);
        }
    }

    pub(crate) fn write_module(&mut self, class: u32, module: Address) {
        let namespace = self.objects.field(module, shared::MODULE_DICTIONARY);
        let references = if self.lists_dead_objects(namespace) {
            vec![namespace]
        } else {
            self.references_of(class, module)
        };
        let type_ = self.classes[class as usize].type_;
        self.labels.clear();
        for reference in references.iter().copied() {
            let label = if reference == namespace {
                self.name_namespace(reference);
                Label::NAMESPACE
            } else if reference == type_ {
                Label::TYPE
            } else {
                Label::OTHER
            };
            self.labels.push((label, reference));
        }
        self.references = references;
        self.write_labels();
        if namespace != 0 && self.is_dictionary(namespace) {
            self.module_namespaces.insert(namespace);
            self.describe_namespace(module, namespace);
        }
    }

    /// Whether a module must not be asked what it references (<https://github.com/python/cpython/issues/122695>).
    fn lists_dead_objects(&self, namespace: Address) -> bool {
        let names = &self.order.modules_that_list_dead_objects;
        if names.is_empty() || namespace == 0 || !self.is_dictionary(namespace) {
            return false;
        }
        let objects = self.objects;
        let mut lists = false;
        objects.each_entry(namespace, |key, value| {
            lists = lists
                || objects.text_is(key, "__name__")
                    && names.iter().any(|name| objects.text_is(value, name));
        });
        lists
    }

    fn describe_namespace(&mut self, module: Address, namespace: Address) {
        let objects = self.objects;
        let (mut name, mut file) = (NO_STRING, NO_STRING);
        objects.each_entry(namespace, |key, value| {
            if objects.text_is(key, "__name__") {
                name = self.string_of(value);
            } else if objects.text_is(key, "__file__") {
                file = self.string_of(value);
            }
        });
        self.note_file(file);
        self.rows.modules.push((module, namespace, [name, file]));
    }

    /// Globals of functions that no module has.
    pub(crate) fn write_strange_namespaces(&mut self) {
        let mut strange: Vec<Address> = self
            .strange_namespaces
            .difference(&self.module_namespaces)
            .copied()
            .filter(|namespace| !self.own.contains(*namespace))
            .collect();
        strange.sort_unstable();
        for namespace in strange {
            self.describe_namespace(0, namespace);
        }
    }

    pub(crate) fn write_type(&mut self, class: u32, type_: Address) -> Result<(), Failure> {
        self.meet(type_)?;
        let objects = self.objects;
        let mut references = self.references_of(class, type_);
        let (order, bases) = (
            objects.field(type_, shared::TYPE_ORDER),
            objects.field(type_, shared::TYPE_BASES),
        );
        // A type that the interpreter has not made ready has neither.
        let bases = if order == 0 { 0 } else { bases };
        if objects.type_flags(type_) & shared::IS_HEAP_TYPE == 0 {
            // The collector does not follow the types that C code declares.
            references.clear();
            let dictionary = objects.interpreter.dictionary_of_type(type_);
            references.extend(
                [dictionary, order, bases]
                    .into_iter()
                    .filter(|part| *part != 0),
            );
        }
        let metatype = self.classes[class as usize].type_;
        self.labels.clear();
        let mut has_namespace = false;
        for reference in references.iter().copied() {
            let label = if reference == order {
                self.machinery("__mro__")
            } else if reference == bases {
                self.machinery("__bases__")
            } else if !has_namespace && self.is_dictionary(reference) {
                has_namespace = true;
                self.name_namespace(reference);
                Label::NAMESPACE
            } else if reference == metatype {
                Label::TYPE
            } else {
                self.machinery("type")
            };
            self.labels.push((label, reference));
        }
        self.references = references;
        self.write_labels();
        Ok(())
    }
}
