//! Modules found by name, by file, and by what their globals are bound to: made at the first question, since few heaps are asked.

use std::sync::OnceLock;

use crate::{Heap, ModuleName, ObjectId, ReferenceKind, StringId};

/// A global of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Global {
    /// What it is bound to.
    pub value: ObjectId,
    /// Row of [`crate::Names::modules`].
    pub module: u32,
    /// Its name.
    pub name: StringId,
}

#[derive(Debug, Default)]
pub(crate) struct ModulesIndex {
    by_name: OnceLock<Vec<u32>>,
    by_file: OnceLock<Vec<u32>>,
    globals: OnceLock<Vec<Global>>,
}

impl Heap {
    /// The first module with this name.
    pub fn module_named(&self, name: &str) -> Option<&ModuleName> {
        let rows = &self.modules_index.by_name;
        self.first_module(rows, name, |module| module.name)
    }

    /// The first module of this file.
    pub fn module_of_file(&self, file: &str) -> Option<&ModuleName> {
        let rows = &self.modules_index.by_file;
        self.first_module(rows, file, |module| module.file)
    }

    fn first_module(
        &self,
        rows: &OnceLock<Vec<u32>>,
        wanted: &str,
        column: impl Fn(&ModuleName) -> StringId,
    ) -> Option<&ModuleName> {
        let modules = &self.names().modules;
        let text = |row: u32| self.text(column(&modules[row as usize]));
        let rows = rows.get_or_init(|| {
            let mut rows: Vec<u32> = (0..modules.len() as u32).collect();
            // Those of one text stay in the dump's order.
            rows.sort_by(|a, b| text(*a).cmp(text(*b)));
            rows
        });
        let at = rows.partition_point(|row| text(*row) < wanted);
        let row = rows.get(at).filter(|row| text(**row) == wanted)?;
        modules.get(*row as usize)
    }

    /// The globals of all modules, by what they are bound to. The first call looks at the namespace of each module.
    pub fn globals(&self) -> &[Global] {
        self.modules_index.globals.get_or_init(|| {
            let mut globals = Vec::new();
            for (row, module) in self.names().modules.iter().enumerate() {
                let namespace = module.namespace.into_iter();
                let entries = namespace.flat_map(|namespace| self.references(namespace));
                let values = entries.filter(|entry| entry.label.kind() == ReferenceKind::DictValue);
                globals.extend(values.map(|entry| Global {
                    value: entry.target,
                    module: row as u32,
                    name: StringId(entry.label.value()),
                }));
            }
            globals.sort_by_key(|global| (global.value, global.module));
            globals
        })
    }

    /// The globals that are bound to an object, by module in the dump's order.
    pub fn globals_bound_to(&self, object: ObjectId) -> &[Global] {
        let globals = self.globals();
        let rest = &globals[globals.partition_point(|global| global.value < object)..];
        &rest[..rest.partition_point(|global| global.value == object)]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use crate::{Heap, HeapBuilder, Label, Object, ObjectId, ReferenceKind, RootKind};

    /// `a.PHOTOS` and `b.pictures` are one dictionary, which has no name in the second module that is called `b`.
    fn heap() -> Heap {
        let mut builder = HeapBuilder::new();
        let dict = builder.type_named("builtins", "dict", 0);
        for address in [0x10, 0x20, 0x30, 0x40] {
            let object = Object {
                address,
                type_index: dict,
                shallow_bytes: 64,
                refcount: 1,
            };
            builder.object(object).unwrap();
        }
        let texts = [
            "b",
            "/b.py",
            "a",
            "/a.py",
            "/other/b.py",
            "PHOTOS",
            "pictures",
        ];
        let [b, b_py, a, a_py, other, photos, pictures] =
            texts.map(|text| builder.strings.push(text));
        builder.name_module(0, 0x20, b, b_py);
        builder.name_module(0, 0x10, a, a_py);
        builder.name_module(0, 0x30, b, other);
        let value = |name: crate::StringId| Label::new(ReferenceKind::DictValue, name.0);
        let mut references = builder.references();
        references.of_next_object(&[(0x40, value(photos))]);
        references.of_next_object(&[(0x40, value(pictures))]);
        references.of_next_object(&[]);
        references.of_next_object(&[]);
        references.finish(&[0x10, 0x20, 0x30].map(|address| (address, RootKind::Interpreter)))
    }

    #[test]
    fn a_module_is_found_by_its_name_and_by_its_file_the_first_of_several() {
        let heap = heap();
        let file_of = |name| Some(heap.text(heap.module_named(name)?.file));
        assert_eq!(file_of("a"), Some("/a.py"));
        assert_eq!(file_of("b"), Some("/b.py"));
        assert_eq!(file_of("c"), None);
        let name_of = |file| Some(heap.text(heap.module_of_file(file)?.name));
        assert_eq!(name_of("/other/b.py"), Some("b"));
        assert_eq!(name_of("/a"), None);
    }

    #[test]
    fn who_names_an_object_is_told_in_the_order_of_the_modules() {
        let heap = heap();
        let at = |address| {
            let mut objects = heap.objects();
            objects.find(|object| heap.address(*object) == address)
        };
        let names = |object: ObjectId| {
            let globals = heap.globals_bound_to(object).iter();
            let module = |row: u32| heap.text(heap.names().modules[row as usize].name);
            let written = globals
                .map(|global| format!("{}.{}", module(global.module), heap.text(global.name)));
            written.collect::<Vec<_>>()
        };
        assert_eq!(names(at(0x40).unwrap()), ["b.pictures", "a.PHOTOS"]);
        assert!(names(at(0x30).unwrap()).is_empty());
    }
}
