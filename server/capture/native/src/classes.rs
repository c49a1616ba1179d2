//! What is known of each class: how its objects are measured, what writes them, and what their references are called.

use std::io::Write;

use rustc_hash::FxHashMap;

use crate::layout::{AttributesLayout, FrameLayout, shared};
use crate::memory::Address;
use crate::objects::TypeModule;
use crate::sections::{Kind, Label, NO_STRING};
use crate::walk::{Failure, Walk};

/// What writes the objects of a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Writer {
    /// They reference nothing.
    Leaf,
    /// Items alone.
    Items(Container),
    /// Items, and what a subclass added.
    ItemsAndFields(Container),
    Function,
    Code,
    Frame,
    Module,
    Cell,
    Cache,
    CacheEntry,
    SeveralIterators,
    Context,
    ThreadLocal,
    Array,
    Greenlet,
    Type,
    /// By the names that the class has for what they reference.
    Fields,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Container {
    List,
    Tuple,
    Set,
    Deque,
    Dictionary,
}

impl Container {
    /// Of its items; a dictionary's have two.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::List => Kind::ListItem,
            Self::Tuple => Kind::TupleItem,
            Self::Set => Kind::SetMember,
            Self::Deque => Kind::DequeItem,
            Self::Dictionary => Kind::Other,
        }
    }
}

/// How objects are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measure {
    /// By basic size and item size.
    BySize,
    List,
    Dictionary,
    Set,
    Text,
    Integer,
    /// By this method of a built-in type.
    Method(Address),
}

/// Where an object has a reference under a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member {
    /// So many bytes behind its beginning.
    At(u64),
    /// As this `PyGetSetDef` says.
    Getter(Address),
}

/// What is known of a class.
pub(crate) struct Class {
    pub(crate) type_: Address,
    pub(crate) flags: u64,
    pub(crate) writer: Writer,
    pub(crate) measure: Measure,
    pub(crate) basic_bytes: u64,
    pub(crate) item_bytes: u64,
    /// What stands before each object.
    pub(crate) bytes_before: u64,
    pub(crate) members: Vec<(Label, Member)>,
    /// Of the attributes that objects have without a dictionary.
    pub(crate) names: Vec<Label>,
    pub(crate) has_namespace: bool,
    pub(crate) rest: Vec<Label>,
    /// Its objects are generators whose frame is in them.
    pub(crate) is_generator: bool,
    /// Where the values of attributes begin, behind the object; 0: not there.
    pub(crate) inline_values: u64,
    /// Its objects reference their values in their order, and then their type.
    pub(crate) is_plain: bool,
    /// The shape of objects that have these of the names.
    pub(crate) shapes: FxHashMap<u64, u32>,
}

/// What one class declares, for those that inherit from it.
pub(crate) struct Declared {
    measure: Option<Address>,
    /// The program's own: it is not asked.
    is_measured_by_program: bool,
    members: Vec<(Label, Member)>,
}

impl Declared {
    /// The `__sizeof__` that C code declares here.
    pub(crate) fn own_measure(&self) -> Option<Address> {
        self.measure
    }
}

impl<W: Write> Walk<'_, W> {
    /// Notes a type and writes its row.
    pub(crate) fn meet(&mut self, type_: Address) -> Result<u32, Failure> {
        if let Some(found) = self.class_of_type.get(&type_) {
            return Ok(*found);
        }
        let objects = self.objects;
        let order = objects.order(type_);
        let flags = objects.type_flags(type_);
        let (module, qualified_name) = objects.name_of_type(type_);
        let mut in_namespace = None;
        let mut line = 0;
        self.each_entry_of_type(type_, |walk, key, value| {
            if walk.objects.text_is(key, "__module__") {
                in_namespace = Some(value);
            } else if walk.objects.text_is(key, "__firstlineno__")
                && walk.objects.type_of(value) == walk.objects.integer_type
            {
                let number = walk.objects.integer(value).unwrap_or(0);
                line = u32::try_from(number).unwrap_or(0) & (u32::MAX >> 1);
            }
        });
        let c_name = match &module {
            TypeModule::Known(module) => Some((module.clone(), qualified_name.clone())),
            TypeModule::InNamespace if flags & shared::IS_IMMUTABLE != 0 => in_namespace
                .filter(|module| objects.is_text(*module))
                .map(|module| {
                    let mut text = Vec::new();
                    objects.append_text(module, usize::MAX, &mut text);
                    (text, qualified_name.clone())
                }),
            TypeModule::InNamespace => None,
        };
        let module = match module {
            TypeModule::Known(module) => self.out.string(&module),
            TypeModule::InNamespace => in_namespace.map_or(NO_STRING, |text| self.string_of(text)),
        };
        let name = self.out.string(&qualified_name);
        self.rows
            .types
            .push((type_, [module, name, flags as u32, line]));

        let is_c_type = |module: &[u8], name: &[u8]| {
            c_name
                .as_ref()
                .is_some_and(|found| found.0 == module && found.1 == name)
        };
        let is_cache_entry = is_c_type(b"functools", b"_lru_list_elem");
        let is_of_c = |name: &[u8]| order.iter().any(|base| self.is_c_type(*base, name));
        let (writer, is_exact) = if is_of_c(b"numpy.ndarray") {
            (Writer::Array, false)
        } else if is_of_c(b"greenlet.greenlet") {
            (Writer::Greenlet, false)
        } else {
            self.writer_for(type_, flags, &order, is_cache_entry)
        };
        let declared: Vec<u32> = order.iter().map(|base| self.declared(*base)).collect();
        let mut class = Class {
            type_,
            flags,
            writer,
            measure: self.measure_of(type_, &declared),
            basic_bytes: objects.field(type_, shared::TYPE_BASIC_SIZE),
            item_bytes: objects.field(type_, shared::TYPE_ITEM_SIZE),
            bytes_before: self.bytes_before(flags),
            members: Vec::new(),
            names: Vec::new(),
            has_namespace: false,
            rest: Vec::new(),
            is_generator: false,
            inline_values: 0,
            is_plain: false,
            shapes: FxHashMap::default(),
        };
        if !is_exact {
            for base in &declared {
                class
                    .members
                    .extend_from_slice(&self.declarations[*base as usize].members);
            }
            let rest = order
                .iter()
                .find_map(|base| self.order.rest.iter().find(|(known, _)| known == base));
            if let Some((_, rest)) = rest {
                for (kind, name) in rest {
                    let name = if name.is_empty() {
                        NO_STRING
                    } else {
                        self.out.string(name.as_bytes())
                    };
                    class.rest.push(Label { kind: *kind, name });
                }
            }
            self.find_names(&mut class, &order);
        }
        if self.is_measured_by_program(type_) {
            // The header of the collector alone is counted then.
            class.bytes_before = class.bytes_before.min(self.objects.collector_header());
        }
        let number = self.classes.len() as u32;
        self.classes.push(class);
        self.class_of_type.insert(type_, number);
        Ok(number)
    }

    /// Whether C code declares a type under this name.
    fn is_c_type(&self, type_: Address, name: &[u8]) -> bool {
        let objects = self.objects;
        objects.type_flags(type_) & shared::IS_HEAP_TYPE == 0
            && objects
                .memory
                .c_text(objects.field(type_, shared::TYPE_NAME))
                == name
    }

    fn find_names(&mut self, class: &mut Class, order: &[Address]) {
        let objects = self.objects;
        class.has_namespace = objects.field(class.type_, shared::TYPE_DICTIONARY_OFFSET) != 0;
        let attributes = objects.layout.attributes;
        if attributes != AttributesLayout::Dictionary
            && class.flags & shared::HAS_MANAGED_DICTIONARY != 0
        {
            for key in objects.cached_keys(class.type_) {
                let label = if objects.is_text(key) {
                    Label::named(Kind::Attribute, self.string_of(key))
                } else {
                    Label::OTHER
                };
                class.names.push(label);
            }
            if attributes == AttributesLayout::ValuesBehind
                && class.flags & shared::HAS_INLINE_VALUES != 0
            {
                class.inline_values = class.basic_bytes;
            }
            class.is_plain = class.members.is_empty()
                && class.names.len() <= 64
                && order.iter().all(|base| {
                    *base == self.types.object
                        || objects.type_flags(*base) & shared::IS_HEAP_TYPE != 0
                });
        }
        class.is_generator = matches!(objects.layout.frame, FrameLayout::Apart(_))
            && self.types.generators.contains(&class.type_);
    }

    /// What writes the objects of a type, and whether they reference nothing but what that knows.
    fn writer_for(
        &self,
        type_: Address,
        flags: u64,
        order: &[Address],
        is_cache_entry: bool,
    ) -> (Writer, bool) {
        if self.order.leaves.contains(&type_) {
            return (Writer::Leaf, true);
        }
        if flags & shared::IS_TYPE != 0 {
            return (Writer::Type, false);
        }
        let types = &self.types;
        let containers = [
            (types.dictionary, Container::Dictionary),
            (types.list, Container::List),
            (types.tuple, Container::Tuple),
            (types.set, Container::Set),
            (types.frozenset, Container::Set),
            (types.deque, Container::Deque),
        ];
        let exact = [
            (types.function, Writer::Function),
            (types.code, Writer::Code),
            (types.frame, Writer::Frame),
            (types.module, Writer::Module),
            (types.cell, Writer::Cell),
            (types.cache, Writer::Cache),
            (types.context, Writer::Context),
        ];
        if let Some((_, container)) = containers.iter().find(|(known, _)| *known == type_) {
            return (Writer::Items(*container), true);
        }
        if let Some((_, writer)) = exact.iter().find(|(known, _)| *known == type_) {
            return (*writer, true);
        }
        if types.several_iterators.contains(&type_) {
            return (Writer::SeveralIterators, false);
        }
        if is_cache_entry {
            return (Writer::CacheEntry, true);
        }
        if let Some((_, container)) = containers.iter().find(|(known, _)| order.contains(known)) {
            return (Writer::ItemsAndFields(*container), false);
        }
        let inherited = [
            (types.module, Writer::Module),
            (types.cache, Writer::Cache),
            (types.thread_local, Writer::ThreadLocal),
        ];
        let found = inherited.iter().find(|(known, _)| order.contains(known));
        (found.map_or(Writer::Fields, |(_, writer)| *writer), false)
    }

    fn bytes_before(&self, flags: u64) -> u64 {
        let mut bytes = 0;
        if flags & shared::HAS_COLLECTOR != 0 {
            bytes += self.objects.collector_header();
        }
        if self.objects.layout.attributes != AttributesLayout::Dictionary
            && flags & (shared::HAS_MANAGED_DICTIONARY | shared::HAS_MANAGED_WEAKREF) != 0
        {
            bytes += 16;
        }
        bytes
    }

    /// The first `__sizeof__` of a built-in type among the bases.
    fn measure_of(&self, type_: Address, declared: &[u32]) -> Measure {
        let bases = declared
            .iter()
            .map(|base| &self.declarations[*base as usize]);
        let Some(method) = bases.filter_map(|base| base.measure).next() else {
            return Measure::BySize;
        };
        let types = &self.types;
        match type_ {
            _ if method == types.object_measure => Measure::BySize,
            _ if type_ == types.list => Measure::List,
            _ if type_ == types.dictionary => Measure::Dictionary,
            _ if type_ == types.set || type_ == types.frozenset => Measure::Set,
            _ if type_ == types.text => Measure::Text,
            _ if type_ == types.integer => Measure::Integer,
            _ => Measure::Method(method),
        }
    }

    /// Whether the first `__sizeof__` among the bases is the program's.
    fn is_measured_by_program(&mut self, type_: Address) -> bool {
        for base in self.objects.order(type_) {
            let declared = self.declared(base) as usize;
            let declared = &self.declarations[declared];
            if declared.is_measured_by_program || declared.measure.is_some() {
                return declared.is_measured_by_program;
            }
        }
        false
    }

    /// What a class declares, kept for those that inherit from it.
    fn declared(&mut self, type_: Address) -> u32 {
        if let Some(found) = self.declared_by_type.get(&type_) {
            return *found;
        }
        let objects = self.objects;
        let mut declared = Declared {
            measure: None,
            is_measured_by_program: false,
            members: Vec::new(),
        };
        let getters = self.getters_of(type_);
        self.each_entry_of_type(type_, |walk, key, value| {
            let kind = objects.type_of(value);
            if kind == walk.types.member_descriptor {
                declared.members.extend(walk.member(key, value));
            } else if walk.objects.text_is(key, "__sizeof__") {
                if kind == walk.types.method_descriptor {
                    declared.measure = Some(value);
                } else {
                    declared.is_measured_by_program = true;
                }
            } else if kind == walk.types.getset_descriptor
                && objects.field(value, 0) == type_
                && let Some(name) = getters.iter().find(|name| objects.text_is(key, name))
            {
                let definition = objects.field(value, shared::DESCRIPTOR_DEFINITION);
                let label = Label::named(Kind::Slot, walk.out.string(name.as_bytes()));
                declared.members.push((label, Member::Getter(definition)));
            }
        });
        let number = self.declarations.len() as u32;
        self.declarations.push(declared);
        self.declared_by_type.insert(type_, number);
        number
    }

    /// A slot, or a member of a C structure that is a reference.
    fn member(&mut self, key: Address, descriptor: Address) -> Option<(Label, Member)> {
        let objects = self.objects;
        let definition = objects.field(descriptor, shared::DESCRIPTOR_DEFINITION);
        let kind = objects.memory.u32(definition + shared::MEMBER_TYPE);
        if kind != shared::MEMBER_IS_OBJECT && kind != shared::MEMBER_IS_OBJECT_OR_MISSING {
            return None;
        }
        let label = if objects.text_is(key, "__dict__") {
            Label::NAMESPACE
        } else {
            let name = objects.field(descriptor, shared::DESCRIPTOR_NAME);
            Label::named(Kind::Slot, self.string_of(name))
        };
        let offset = objects.memory.word(definition + shared::MEMBER_OFFSET);
        Some((label, Member::At(offset)))
    }

    /// The definition of a getter that a type or one of its bases has; 0 is none.
    pub(crate) fn getter(&mut self, type_: Address, wanted: &str) -> Address {
        let mut found = 0;
        for base in self.objects.order(type_) {
            self.each_entry_of_type(base, |walk, key, value| {
                if found == 0
                    && walk.objects.text_is(key, wanted)
                    && walk.objects.type_of(value) == walk.types.getset_descriptor
                {
                    found = walk.objects.field(value, shared::DESCRIPTOR_DEFINITION);
                }
            });
        }
        found
    }

    fn getters_of(&self, type_: Address) -> Vec<String> {
        if let Some((_, names)) = self.order.getters.iter().find(|(known, _)| *known == type_) {
            return names.clone();
        }
        let objects = self.objects;
        let is_from_c = objects.type_flags(type_) & shared::IS_HEAP_TYPE == 0
            || objects.type_flags(type_) & shared::IS_IMMUTABLE != 0;
        if !is_from_c {
            return Vec::new();
        }
        let (module, name) = objects.name_of_type(type_);
        // Cheap before dear: few types have such a name.
        let mut candidates = self
            .order
            .getters_by_name
            .iter()
            .filter(|(_, known, _)| known.as_bytes() == name);
        let found = candidates.find(|(known, _, _)| match &module {
            TypeModule::Known(module) => module == known.as_bytes(),
            TypeModule::InNamespace => self.module_in_namespace(type_) == known.as_bytes(),
        });
        found.map(|(_, _, names)| names.clone()).unwrap_or_default()
    }

    fn module_in_namespace(&self, type_: Address) -> Vec<u8> {
        let mut text = Vec::new();
        let dictionary = self.objects.interpreter.dictionary_of_type(type_);
        if dictionary != 0 {
            self.objects.each_entry(dictionary, |key, value| {
                if self.objects.text_is(key, "__module__") && self.objects.is_text(value) {
                    self.objects.append_text(value, usize::MAX, &mut text);
                }
            });
        }
        text
    }

    /// Calls `visit` with the entries of a type's namespace whose keys are texts.
    fn each_entry_of_type(
        &mut self,
        type_: Address,
        mut visit: impl FnMut(&mut Self, Address, Address),
    ) {
        let objects = self.objects;
        let dictionary = objects.interpreter.dictionary_of_type(type_);
        if dictionary == 0 {
            return;
        }
        objects.each_entry(dictionary, |key, value| {
            if objects.is_text(key) {
                visit(self, key, value);
            }
        });
    }
}
