//! From a reader's stream of objects and references to a [`Heap`]: resolves addresses, finds what C code holds, and numbers
//! the objects in depth-first preorder.
//!
//! Whole-heap passes: one over the objects (their addresses), one over the references (resolved as they come), one count of
//! referrers, one depth-first walk, one copy into the new numbering.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::heap::{Heap, IMMORTAL_REFCOUNT, ObjectId, UNKNOWN_REFCOUNT};
use crate::modules_index::ModulesIndex;
use crate::rows::Rows;
use crate::{
    CodeName, FrameName, FunctionName, GrowthPlace, Growths, Label, ModuleName, Names,
    ReferenceKind, RootKind, StringId, Strings, TypeName,
};

const NONE: u32 = u32::MAX;

/// More objects or references than 32 bits can number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than 4294967290 objects or references: the heap cannot number them")]
pub struct TooLarge;

/// An object as a reader hands it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// Address: what references name it by.
    pub address: u64,
    /// Row of the type table, from [`HeapBuilder::type_at`].
    pub type_index: u32,
    /// Own bytes.
    pub shallow_bytes: u64,
    /// Reference count, [`IMMORTAL_REFCOUNT`] or [`UNKNOWN_REFCOUNT`].
    pub refcount: u32,
}

/// Takes objects and names. Then [`HeapBuilder::references`] takes references.
#[derive(Debug, Default)]
pub struct HeapBuilder {
    addresses: Vec<u64>,
    types: Vec<u32>,
    refcounts: Vec<u32>,
    sizes: Vec<u32>,
    large_sizes: Vec<(u32, u64)>,
    by_address: HashTable<u32>,
    type_rows: Vec<TypeName>,
    type_by_address: FxHashMap<u64, u32>,
    codes: Vec<(u64, CodeName)>,
    functions: Vec<(u64, u64, FunctionName)>,
    modules: Vec<(u64, u64, ModuleName)>,
    frames: Vec<(u64, u64, FrameName)>,
    growth_places: Vec<(u64, [u32; 4])>,
    growths: Vec<(u64, u32)>,
    /// The string table; readers add rows in the dump's order.
    pub strings: Strings,
}

fn hash(address: u64) -> u64 {
    FxBuildHasher.hash_one(address)
}

impl HeapBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an object. Returns false when its address was taken already: the object then exists, but nothing refers to it.
    ///
    /// # Errors
    /// [`TooLarge`] when there are more objects than ids.
    pub fn object(&mut self, object: Object) -> Result<bool, TooLarge> {
        let row = u32::try_from(self.addresses.len())
            .ok()
            .filter(|row| *row < NONE - 5)
            .ok_or(TooLarge)?;
        self.addresses.push(object.address);
        self.types.push(object.type_index);
        self.refcounts.push(object.refcount);
        match u32::try_from(object.shallow_bytes) {
            Ok(size) if size != u32::MAX => self.sizes.push(size),
            _ => {
                self.sizes.push(u32::MAX);
                self.large_sizes.push((row, object.shallow_bytes));
            }
        }
        let addresses = &self.addresses;
        let same = |other: &u32| addresses[*other as usize] == object.address;
        let rehash = |other: &u32| hash(addresses[*other as usize]);
        match self.by_address.entry(hash(object.address), same, rehash) {
            hashbrown::hash_table::Entry::Occupied(_) => Ok(false),
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(row);
                Ok(true)
            }
        }
    }

    /// The row of the type at this address, made on first use.
    pub fn type_at(&mut self, address: u64) -> u32 {
        *self.type_by_address.entry(address).or_insert_with(|| {
            let none = StringId::NONE;
            self.type_rows.push(TypeName {
                address,
                module: none,
                qualname: none,
                flags: 0,
                line: 0,
            });
            self.type_rows.len() as u32 - 1
        })
    }

    /// Names the type at `row.address`.
    pub fn name_type(&mut self, row: TypeName) {
        let index = self.type_at(row.address);
        self.type_rows[index as usize] = row;
    }

    /// A type with these names; for heaps that are made by hand.
    pub fn type_named(&mut self, module: &str, qualname: &str, address: u64) -> u32 {
        let (module, qualname) = (self.strings.push(module), self.strings.push(qualname));
        if address != 0 {
            self.name_type(TypeName {
                address,
                module,
                qualname,
                flags: 0,
                line: 0,
            });
            return self.type_at(address);
        }
        self.type_rows.push(TypeName {
            address,
            module,
            qualname,
            flags: 0,
            line: 0,
        });
        self.type_rows.len() as u32 - 1
    }

    /// Names the code object at `address`.
    pub fn name_code(&mut self, address: u64, row: CodeName) {
        self.codes.push((address, row));
    }

    /// Names the function at `address`, whose code object is at `code`.
    pub fn name_function(&mut self, address: u64, code: u64, module: StringId, qualname: StringId) {
        self.functions.push((
            address,
            code,
            FunctionName {
                code: None,
                module,
                qualname,
            },
        ));
    }

    /// Names a module by its address and its dictionary's (0: there is none).
    pub fn name_module(&mut self, address: u64, namespace: u64, name: StringId, file: StringId) {
        self.modules.push((
            address,
            namespace,
            ModuleName {
                object: None,
                namespace: None,
                name,
                file,
            },
        ));
    }

    /// Gives a file to the modules of this name that have none.
    pub fn name_module_file(&mut self, name: &str, file: StringId) {
        for (_, _, row) in &mut self.modules {
            if self.strings.get(row.file).is_empty() && self.strings.get(row.name) == name {
                row.file = file;
            }
        }
    }

    /// Describes the frame at `address`, whose code object is at `code`.
    pub fn name_frame(&mut self, address: u64, code: u64, thread: u64, line: u32) {
        self.frames.push((
            address,
            code,
            FrameName {
                code: None,
                thread,
                line,
            },
        ));
    }

    /// A place where containers grow: an instruction of the code object at `code`, with its lines and columns in the order of
    /// [`GrowthPlace`](crate::GrowthPlace). Returns its row.
    pub fn growth_place(&mut self, code: u64, at: [u32; 4]) -> u32 {
        self.growth_places.push((code, at));
        (self.growth_places.len() - 1) as u32
    }

    /// The container at `address` grew last at a place.
    pub fn growth(&mut self, address: u64, place: u32) {
        self.growths.push((address, place));
    }

    /// Number of objects so far.
    pub fn object_count(&self) -> usize {
        self.addresses.len()
    }

    /// The type index of the object at an address.
    pub fn type_of(&self, address: u64) -> Option<u32> {
        self.row_of(address).map(|row| self.types[row as usize])
    }

    /// How many objects were added before the one at an address.
    pub fn row_of(&self, address: u64) -> Option<u32> {
        self.by_address
            .find(hash(address), |row| {
                self.addresses[*row as usize] == address
            })
            .copied()
    }

    /// Goes on to the references.
    pub fn references(mut self) -> ReferenceBuilder {
        // A growing column holds up to twice what it needs, for as long as the heap lives.
        self.addresses.shrink_to_fit();
        self.types.shrink_to_fit();
        self.refcounts.shrink_to_fit();
        self.sizes.shrink_to_fit();
        let mut offsets = Vec::with_capacity(self.addresses.len() + 1);
        offsets.push(0);
        ReferenceBuilder {
            builder: self,
            rows: Rows {
                offsets,
                targets: Vec::new(),
            },
            labels: Vec::new(),
            dangling: 0,
        }
    }
}

/// Takes references, object by object in the order in which the objects were added.
#[derive(Debug)]
pub struct ReferenceBuilder {
    builder: HeapBuilder,
    rows: Rows,
    labels: Vec<Label>,
    dangling: u64,
}

impl ReferenceBuilder {
    /// Adds a reference of the object at hand to the object at `address`. A target that is no object of the dump is left out
    /// and counted.
    pub fn reference(&mut self, address: u64, label: Label) {
        match self.builder.row_of(address) {
            Some(row) if self.rows.targets.len() < (NONE - 5) as usize => {
                self.rows.targets.push(row);
                self.labels.push(label);
            }
            _ => self.dangling += u64::from(address != 0),
        }
    }

    /// Ends the references of the object at hand: what follows belongs to the next one.
    pub fn end_object(&mut self) {
        self.rows.offsets.push(self.rows.targets.len() as u32);
    }

    /// The references of the next object.
    pub fn of_next_object(&mut self, references: &[(u64, Label)]) {
        for &(address, label) in references {
            self.reference(address, label);
        }
        self.end_object();
    }

    /// Number of objects whose references have ended.
    pub fn ended_objects(&self) -> usize {
        self.rows.offsets.len() - 1
    }

    /// References so far whose target is not in the dump.
    pub fn dangling(&self) -> u64 {
        self.dangling
    }

    /// What the builder knows of objects.
    pub fn objects(&self) -> &HeapBuilder {
        &self.builder
    }

    /// The string table; a reader may add names of references.
    pub fn strings(&mut self) -> &mut Strings {
        &mut self.builder.strings
    }

    /// Makes the heap. `roots`: addresses where liveness starts, in order of preference for paths.
    pub fn finish(mut self, roots: &[(u64, RootKind)]) -> Heap {
        let count = self.builder.addresses.len();
        while self.ended_objects() < count {
            self.end_object();
        }
        self.rows.targets.shrink_to_fit();
        self.labels.shrink_to_fit();

        let mut root_references: Vec<(u32, Label)> = Vec::new();
        for &(address, kind) in roots {
            if let Some(row) = self.builder.row_of(address) {
                root_references.push((row, Label::new(ReferenceKind::Root, kind as u32)));
            }
        }
        let mut numbering = Numbering::new(count);
        for &(row, _) in &root_references {
            numbering.walk(&self.rows, row);
        }
        for row in self.held_by_native_code(&numbering) {
            if !numbering.is_numbered(row) {
                root_references.push((
                    row,
                    Label::new(ReferenceKind::Root, RootKind::Native as u32),
                ));
                numbering.walk(&self.rows, row);
            }
        }
        let reachable = numbering.order.len() + 1;
        numbering.append_rest();
        self.renumbered(numbering, root_references, reachable)
    }

    /// Rows that are not numbered yet and whose reference count exceeds the references seen, in the dump's order.
    fn held_by_native_code(&self, numbering: &Numbering) -> Vec<u32> {
        let mut seen = vec![0u32; self.builder.addresses.len()];
        for (&target, label) in self.rows.targets.iter().zip(&self.labels) {
            seen[target as usize] += u32::from(!label.is_described());
        }
        let is_held = |row: u32| match self.builder.refcounts[row as usize] {
            IMMORTAL_REFCOUNT => true,
            UNKNOWN_REFCOUNT => false,
            refcount => refcount > seen[row as usize],
        };
        (0..seen.len() as u32)
            .filter(|&row| !numbering.is_numbered(row) && is_held(row))
            .collect()
    }

    fn renumbered(
        self,
        numbering: Numbering,
        root_references: Vec<(u32, Label)>,
        reachable: usize,
    ) -> Heap {
        let Self {
            builder,
            rows,
            labels,
            ..
        } = self;
        let Numbering {
            number,
            order,
            parents,
            ..
        } = numbering;
        let count = order.len() + 1;

        let names = builder.names(&number);
        let HeapBuilder {
            addresses,
            types,
            refcounts,
            sizes,
            large_sizes,
            strings,
            ..
        } = builder;
        let addresses = permuted(addresses, &order, 0);
        let types = permuted(types, &order, NONE);
        let refcounts = permuted(refcounts, &order, UNKNOWN_REFCOUNT);
        let sizes = permuted(sizes, &order, 0);
        let mut large_sizes: Vec<_> = large_sizes
            .into_iter()
            .map(|(row, size)| (ObjectId::new(number[row as usize]), size))
            .collect();
        large_sizes.sort_unstable();

        let mut offsets = Vec::with_capacity(count + 1);
        let mut targets = Vec::with_capacity(rows.targets.len() + root_references.len());
        let mut new_labels = Vec::with_capacity(targets.capacity());
        offsets.push(0);
        for &(row, label) in &root_references {
            targets.push(number[row as usize]);
            new_labels.push(label);
        }
        offsets.push(targets.len() as u32);
        for &row in &order {
            let range = rows.range(row);
            targets.extend(
                rows.targets[range.clone()]
                    .iter()
                    .map(|&target| number[target as usize]),
            );
            new_labels.extend_from_slice(&labels[range]);
            offsets.push(targets.len() as u32);
        }
        Heap {
            addresses,
            types,
            refcounts,
            sizes,
            large_sizes,
            tree_parents: parents,
            references: Rows { offsets, targets },
            labels: new_labels,
            referrers: OnceLock::new(),
            modules_index: ModulesIndex::default(),
            reachable,
            strings,
            names,
        }
    }
}

impl HeapBuilder {
    /// Places in code that is in the dump, and what grew there.
    fn name_growths(&self, growths: &mut Growths, id: impl Fn(u64) -> Option<ObjectId>) {
        let mut rows = Vec::with_capacity(self.growth_places.len());
        for &(code, [line, column, end_line, end_column]) in &self.growth_places {
            let place = id(code).map(|code| GrowthPlace {
                code,
                line,
                column,
                end_line,
                end_column,
            });
            rows.push(place.map(|_| growths.places.len() as u32));
            growths.places.extend(place);
        }
        for &(address, place) in &self.growths {
            let row = rows.get(place as usize).copied().flatten();
            growths.of.extend(id(address).zip(row));
        }
    }

    fn names(&self, number: &[u32]) -> Names {
        let id = |address: u64| {
            self.row_of(address)
                .map(|row| ObjectId::new(number[row as usize]))
        };
        let mut names = Names {
            types: self.type_rows.clone(),
            ..Names::default()
        };
        for (index, row) in self.type_rows.iter().enumerate() {
            if let Some(object) = id(row.address) {
                names.type_objects.insert(object, index as u32);
            }
        }
        for &(address, row) in &self.codes {
            names.codes.extend(id(address).map(|object| (object, row)));
        }
        for &(address, code, row) in &self.functions {
            names.functions.extend(id(address).map(|object| {
                (
                    object,
                    FunctionName {
                        code: id(code),
                        ..row
                    },
                )
            }));
        }
        for &(address, code, row) in &self.frames {
            names.frames.extend(id(address).map(|object| {
                (
                    object,
                    FrameName {
                        code: id(code),
                        ..row
                    },
                )
            }));
        }
        self.name_growths(&mut names.growths, id);
        for &(address, namespace, row) in &self.modules {
            let row = ModuleName {
                object: id(address),
                namespace: id(namespace),
                ..row
            };
            let index = names.modules.len() as u32;
            for object in [row.object, row.namespace].into_iter().flatten() {
                names.module_of.entry(object).or_insert(index);
            }
            names.modules.push(row);
        }
        names
    }
}

/// A column in the new order, the root's value first.
fn permuted<T: Copy>(column: Vec<T>, order: &[u32], root: T) -> Vec<T> {
    std::iter::once(root)
        .chain(order.iter().map(|&row| column[row as usize]))
        .collect()
}

/// Depth-first preorder numbers; the root is 0.
struct Numbering {
    /// New number by row.
    number: Vec<u32>,
    /// Rows by new number, less one.
    order: Vec<u32>,
    /// Parent's new number by new number; the root's own is itself.
    parents: Vec<u32>,
    stack: Vec<OpenRow>,
}

struct OpenRow {
    number: u32,
    next: usize,
    end: usize,
}

impl Numbering {
    fn new(count: usize) -> Self {
        let mut parents = Vec::with_capacity(count + 1);
        parents.push(0);
        Self {
            number: vec![NONE; count],
            order: Vec::with_capacity(count),
            parents,
            stack: Vec::new(),
        }
    }

    fn is_numbered(&self, row: u32) -> bool {
        self.number[row as usize] != NONE
    }

    fn open(&mut self, row: u32, parent: u32, rows: &Rows) {
        self.order.push(row);
        let number = self.order.len() as u32;
        self.number[row as usize] = number;
        self.parents.push(parent);
        let range = rows.range(row);
        if !range.is_empty() {
            self.stack.push(OpenRow {
                number,
                next: range.start,
                end: range.end,
            });
        }
    }

    /// Numbers `row`, as a child of the root, and all that it reaches.
    fn walk(&mut self, rows: &Rows, row: u32) {
        if self.is_numbered(row) {
            return;
        }
        self.open(row, 0, rows);
        while let Some(top) = self.stack.last_mut() {
            if top.next == top.end {
                self.stack.pop();
                continue;
            }
            let target = rows.targets[top.next];
            top.next += 1;
            let parent = top.number;
            if !self.is_numbered(target) {
                self.open(target, parent, rows);
            }
        }
    }

    fn append_rest(&mut self) {
        for row in 0..self.number.len() as u32 {
            if !self.is_numbered(row) {
                self.order.push(row);
                self.number[row as usize] = self.order.len() as u32;
                self.parents.push(0);
            }
        }
    }
}
