//! Heaps written as text, for tests: an indented line is held by the line above it.
//!
//! ```text
//! module gallery.views
//!   .UPLOADS: list
//!     [*]: bytes 4096 x3
//! module gallery.signals
//!   .stored: django.Signal
//!     .receivers: list
//! ```
//!
//! What hangs on the line `native` is held by C code. `.name` is a name in the namespace of a module, class or instance; `/name` a slot; `[*]` an item; `['key']` a dictionary's
//! value; `<default>.name`, `<closure>.name`, `<cache>` belong to a function; `local name` to a frame. After the type come the
//! own bytes (100 unless told) and, after an `x`, how many there are.

use std::collections::HashMap;

use heldby_heap::{CodeName, Heap, HeapBuilder, Label, Object, ReferenceKind, RootKind, StringId};

const NATIVE: &str = "native";
/// The referrer of what C code holds: the reference counts speak of a reference that nothing in the heap makes.
const NOBODY: u64 = 0;

struct Line<'a> {
    indent: usize,
    reference: &'a str,
    type_name: &'a str,
    bytes: u64,
    count: usize,
}

/// The objects of one line, and what they reference.
#[derive(Default)]
struct Objects {
    builder: HeapBuilder,
    rows: Vec<Vec<(u64, Label)>>,
    roots: Vec<(u64, RootKind)>,
    types: HashMap<String, u32>,
    texts: HashMap<String, StringId>,
}

fn parse(text: &str) -> Vec<Line<'_>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let indent = line.len() - line.trim_start().len();
            let line = line.trim();
            if line == NATIVE {
                return Line {
                    indent,
                    reference: "",
                    type_name: NATIVE,
                    bytes: 0,
                    count: 1,
                };
            }
            if let Some((kind, name)) = line
                .split_once(' ')
                .filter(|(kind, _)| ["module", "frame"].contains(kind))
            {
                return Line {
                    indent,
                    reference: name,
                    type_name: kind,
                    bytes: 100,
                    count: 1,
                };
            }
            let (reference, rest) = line.split_once(": ").expect("a line is `reference: type`");
            let mut words = rest.split(' ');
            let mut line = Line {
                indent,
                reference,
                type_name: words.next().expect("a type"),
                bytes: 100,
                count: 1,
            };
            for word in words {
                match word.strip_prefix('x') {
                    Some(count) => line.count = count.parse().expect("a count"),
                    None => line.bytes = word.parse().expect("own bytes"),
                }
            }
            line
        })
        .collect()
}

impl Objects {
    fn text(&mut self, text: &str) -> StringId {
        *self
            .texts
            .entry(text.to_owned())
            .or_insert_with(|| self.builder.strings.push(text))
    }

    /// Each type's own address is its number, and no object of the heap.
    fn type_index(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.types.get(name) {
            return known;
        }
        let (module, qualname) = name.rsplit_once('.').unwrap_or(("builtins", name));
        let index = self
            .builder
            .type_named(module, qualname, self.types.len() as u64 + 1);
        self.types.insert(name.to_owned(), index);
        index
    }

    fn add(&mut self, type_name: &str, bytes: u64) -> u64 {
        let type_index = self.type_index(type_name);
        let address = 0x10_0000 + self.rows.len() as u64 * 16;
        self.rows.push(Vec::new());
        let object = Object {
            address,
            type_index,
            shallow_bytes: bytes,
            refcount: 1,
        };
        assert!(self.builder.object(object).expect("few objects"));
        address
    }

    /// An object of the type; `function:app.log` is the function `log` of module `app`.
    fn made(&mut self, type_name: &str, bytes: u64) -> u64 {
        let Some((module, name)) = type_name
            .strip_prefix("function:")
            .and_then(|name| name.rsplit_once('.'))
        else {
            return self.add(type_name, bytes);
        };
        let (function, code) = (self.add("function", bytes), self.add("code", 100));
        let (file, module, qualname) = (
            self.text(&file_of(module)),
            self.text(module),
            self.text(name),
        );
        self.builder.name_code(
            code,
            CodeName {
                file,
                qualname,
                line: 1,
            },
        );
        self.builder.name_function(function, code, module, qualname);
        self.refer_by_name(function, code, ReferenceKind::Machinery, "__code__");
        function
    }

    fn refer(&mut self, from: u64, to: u64, kind: ReferenceKind, value: u32) {
        self.rows[(from as usize - 0x10_0000) / 16].push((to, Label::new(kind, value)));
    }

    fn refer_by_name(&mut self, from: u64, to: u64, kind: ReferenceKind, name: &str) {
        let name = self.text(name);
        self.refer(from, to, kind, name.0);
    }

    /// The dictionary behind an object's names, made on first use.
    fn namespace(&mut self, owner: u64) -> u64 {
        let known = self.rows[(owner as usize - 0x10_0000) / 16]
            .iter()
            .find(|(_, label)| label.kind() == ReferenceKind::Namespace);
        if let Some((namespace, _)) = known {
            return *namespace;
        }
        let namespace = self.add("dict", 64);
        self.refer(owner, namespace, ReferenceKind::Namespace, 0);
        namespace
    }

    fn hold(&mut self, owner: u64, object: u64, reference: &str, index: u32) {
        use ReferenceKind::*;
        if let Some(name) = reference.strip_prefix("<default>.") {
            self.refer_by_name(owner, object, Default, name);
        } else if let Some(name) = reference.strip_prefix("<closure>.") {
            let cell = self.add("cell", 40);
            self.refer_by_name(owner, cell, FreeVariable, name);
            self.refer(cell, object, CellContents, 0);
        } else if reference == "<cache>" {
            self.refer(owner, object, Cache, 0);
        } else if let Some(name) = reference.strip_prefix("local ") {
            self.refer_by_name(owner, object, Local, name);
        } else if let Some(name) = reference.strip_prefix('/') {
            self.refer_by_name(owner, object, Slot, name);
        } else if let Some(name) = reference.strip_prefix('.') {
            let namespace = self.namespace(owner);
            self.refer_by_name(namespace, object, DictValue, name);
        } else if let Some(key) = reference.strip_prefix("['") {
            self.refer_by_name(owner, object, DictValue, key.trim_end_matches("']"));
        } else {
            assert_eq!(reference, "[*]");
            self.refer(owner, object, ListItem, index);
        }
    }
}

/// The heap that the text describes. Modules lie in `/app/<name>.py`, those of `lib` in `/site-packages`, those of `std` in
/// `/python`.
pub(crate) fn heap(text: &str) -> Heap {
    let mut objects = Objects::default();
    // The objects of the lines above, outermost first, with their indent.
    let mut open: Vec<(usize, Vec<u64>)> = Vec::new();
    for line in parse(text) {
        while open
            .last()
            .is_some_and(|(indent, _)| *indent >= line.indent)
        {
            open.pop();
        }
        let mut made = Vec::new();
        match (line.type_name, open.last()) {
            (NATIVE, _) => made.push(NOBODY),
            ("module", _) => {
                let module = objects.add("module", 100);
                let namespace = objects.namespace(module);
                let (name, file) = (
                    objects.text(line.reference),
                    objects.text(&file_of(line.reference)),
                );
                objects.builder.name_module(module, namespace, name, file);
                objects.roots.push((module, RootKind::Modules));
                made.push(module);
            }
            ("frame", _) => {
                let (frame, code) = (objects.add("frame", 100), objects.add("code", 100));
                let (module, function) = line.reference.rsplit_once('.').expect("module.function");
                let (file, qualname) = (objects.text(&file_of(module)), objects.text(function));
                objects.builder.name_code(
                    code,
                    CodeName {
                        file,
                        qualname,
                        line: 1,
                    },
                );
                objects.builder.name_frame(frame, code, 1, 1);
                objects.refer_by_name(frame, code, ReferenceKind::Machinery, "f_code");
                objects.roots.push((frame, RootKind::Frame));
                made.push(frame);
            }
            (_, None) => panic!(
                "only modules and frames hang on nothing: {}",
                line.reference
            ),
            (type_name, Some((_, owners))) => {
                for owner in owners.clone() {
                    for index in 0..line.count {
                        let object = objects.made(type_name, line.bytes);
                        if owner != NOBODY {
                            objects.hold(owner, object, line.reference, index as u32);
                        }
                        made.push(object);
                    }
                }
            }
        }
        open.push((line.indent, made));
    }
    let mut references = objects.builder.references();
    for row in &objects.rows {
        references.of_next_object(row);
    }
    references.finish(&objects.roots)
}

fn file_of(module: &str) -> String {
    let folder = match module.split('.').next().unwrap_or_default() {
        "lib" => "/site-packages",
        "std" => "/python",
        _ => "/app",
    };
    format!("{folder}/{}.py", module.replace('.', "/"))
}
