//! The walk over the heap: each object once, grouped by type, and what it references.

use std::io::Write;

use heldby_dump::WriteError;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::address_set::AddressSet;
use crate::classes::{Class, Container, Declared, Measure, Writer};
use crate::dump::Tracked;
use crate::layout::shared;
use crate::memory::Address;
use crate::objects::Objects;
use crate::order::Order;
use crate::probes::Described;
use crate::sections::{Label, NO_STRING, Sections};
use crate::stacks::Stacks;
use crate::tracing::{self, Growth, Location, Locations};

/// A group is written when it has so many objects or references.
const OBJECTS_A_GROUP: usize = 1 << 14;
const REFERENCES_A_GROUP: usize = 1 << 18;
/// One container's items must fit into a section; a dictionary's entries are two each.
const MOST_ITEMS: usize = 33_000_000;
/// Code points of a key.
const KEY_LENGTH: usize = 40;
/// Nobody names a variable longer.
const NAME_LENGTH: usize = 200;
/// Rows about named things are written when there are so many.
const ROWS_A_SECTION: usize = 1 << 14;
/// The same of containers that are known to have grown, 12 bytes each.
const GROWTHS_A_SECTION: usize = 1 << 22;

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the collector's lists of objects were not found")]
    NoRings,
    #[error("the collector's lists of objects lack {0}")]
    NotListed(String),
    #[error("this interpreter keeps objects otherwise than it knows: {0} is wrong")]
    Probe(String),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("the file cannot be written: {0}")]
    File(#[from] std::io::Error),
}

impl Failure {
    /// The system's number for what it refused.
    pub(crate) fn os_error(&self) -> Option<i32> {
        match self {
            Self::Write(WriteError::Io(error)) | Self::File(error) => error.raw_os_error(),
            _ => None,
        }
    }

    /// Whether the next dump would fail for the same reason.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::NoRings | Self::NotListed(_) | Self::Probe(_))
    }
}

/// The built-in types that the walk treats apart.
#[derive(Clone)]
pub(crate) struct Types {
    pub(crate) object: Address,
    pub(crate) object_measure: Address,
    pub(crate) list: Address,
    pub(crate) tuple: Address,
    pub(crate) dictionary: Address,
    pub(crate) set: Address,
    pub(crate) frozenset: Address,
    pub(crate) deque: Address,
    pub(crate) text: Address,
    pub(crate) integer: Address,
    pub(crate) function: Address,
    pub(crate) code: Address,
    pub(crate) frame: Address,
    pub(crate) module: Address,
    pub(crate) cell: Address,
    pub(crate) cache: Address,
    pub(crate) context: Address,
    pub(crate) thread_local: Address,
    pub(crate) weak_reference: Address,
    pub(crate) member_descriptor: Address,
    pub(crate) getset_descriptor: Address,
    pub(crate) method_descriptor: Address,
    pub(crate) generators: [Address; 3],
    pub(crate) several_iterators: [Address; 3],
}

impl Types {
    /// By the names of the order; None when one is missing.
    pub(crate) fn of(order: &Order) -> Option<Self> {
        let get = |name: &str| order.types.get(name).copied();
        Some(Self {
            object: get("object")?,
            object_measure: get("object.__sizeof__")?,
            list: get("list")?,
            tuple: get("tuple")?,
            dictionary: get("dict")?,
            set: get("set")?,
            frozenset: get("frozenset")?,
            deque: get("deque")?,
            text: get("str")?,
            integer: get("int")?,
            function: get("function")?,
            code: get("code")?,
            frame: get("frame")?,
            module: get("module")?,
            cell: get("cell")?,
            cache: get("lru_cache")?,
            context: get("Context")?,
            thread_local: get("local")?,
            weak_reference: get("weakref")?,
            member_descriptor: get("member_descriptor")?,
            getset_descriptor: get("getset_descriptor")?,
            method_descriptor: get("method_descriptor")?,
            generators: [
                get("generator")?,
                get("coroutine")?,
                get("async_generator")?,
            ],
            several_iterators: [get("map")?, get("zip")?, get("zip_longest")?],
        })
    }
}

/// Objects of one type that were seen and are not written yet.
struct Bucket {
    type_: Address,
    waiting: Vec<Address>,
}

/// Rows about named things, until there are enough for a section.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) types: Vec<(Address, [u32; 4])>,
    pub(crate) codes: Vec<(Address, [u32; 3])>,
    pub(crate) functions: Vec<(Address, Address, [u32; 2])>,
    pub(crate) modules: Vec<(Address, Address, [u32; 2])>,
    pub(crate) frames: Vec<(Address, Address, u64, u32)>,
    pub(crate) links: Vec<(Address, Address, Label)>,
    text_keys: Vec<(Address, u32)>,
    integer_keys: Vec<(Address, i64)>,
}

/// Columns of the group that is being put together.
#[derive(Default)]
pub(crate) struct Group {
    addresses: Vec<Address>,
    counts: Vec<u32>,
    sizes: Vec<u64>,
    pub(crate) lengths: Vec<u32>,
    pub(crate) keys: Vec<Address>,
    pub(crate) items: Vec<Address>,
    pub(crate) shapes: Vec<u32>,
    pub(crate) fields: Vec<Address>,
}

impl Group {
    fn is_full(&self) -> bool {
        self.addresses.len() >= OBJECTS_A_GROUP
            || self.keys.len() + self.items.len() + self.fields.len() >= REFERENCES_A_GROUP
    }

    fn clear(&mut self) {
        self.addresses.clear();
        self.counts.clear();
        self.sizes.clear();
        self.lengths.clear();
        self.keys.clear();
        self.items.clear();
        self.shapes.clear();
        self.fields.clear();
    }
}

/// The dump so far, the paths of source files in it, and what is to be noted of it.
pub(crate) type Written<W> = (Sections<W>, Vec<Vec<u8>>, Vec<String>);

/// One walk.
pub(crate) struct Walk<'a, W> {
    pub(crate) objects: Objects,
    pub(crate) order: &'a Order,
    pub(crate) types: Types,
    pub(crate) stacks: Stacks,
    pub(crate) out: Sections<W>,
    seen: AddressSet,
    pub(crate) own: AddressSet,
    named_keys: AddressSet,
    buckets: Vec<Bucket>,
    bucket_of_type: FxHashMap<Address, u32>,
    last_bucket: (Address, u32),
    /// Buckets that have waiting objects.
    waiting: Vec<u32>,
    is_following: bool,
    /// Objects of the agent's that the collector's lists have.
    own_met: FxHashSet<Address>,
    pub(crate) classes: Vec<Class>,
    pub(crate) class_of_type: FxHashMap<Address, u32>,
    pub(crate) declarations: Vec<Declared>,
    pub(crate) declared_by_type: FxHashMap<Address, u32>,
    pub(crate) rows: Rows,
    pub(crate) group: Group,
    pub(crate) module_namespaces: FxHashSet<Address>,
    pub(crate) strange_namespaces: FxHashSet<Address>,
    /// Rows of the texts of source files' paths.
    pub(crate) files: FxHashSet<u32>,
    pub(crate) notes: Vec<String>,
    /// Name and offset of what code holds.
    pub(crate) parts_of_code: Vec<(u32, u64)>,
    /// Whether it was noted where containers grow.
    pub(crate) is_traced: bool,
    growths: Vec<Growth>,
    text: Vec<u8>,
    pub(crate) references: Vec<Address>,
    pub(crate) labels: Vec<(Label, Address)>,
    pub(crate) candidates: Vec<(Address, Label)>,
    pub(crate) shape: Vec<Label>,
}

impl<'a, W: Write> Walk<'a, W> {
    pub(crate) fn new(
        objects: Objects,
        order: &'a Order,
        types: Types,
        stacks: Stacks,
        out: Sections<W>,
        own: &[Address],
    ) -> Self {
        let mut walk = Self {
            objects,
            order,
            types,
            stacks,
            out,
            seen: AddressSet::new(),
            own: AddressSet::new(),
            named_keys: AddressSet::new(),
            buckets: Vec::new(),
            bucket_of_type: FxHashMap::default(),
            last_bucket: (0, 0),
            waiting: Vec::new(),
            is_following: true,
            own_met: FxHashSet::default(),
            classes: Vec::new(),
            class_of_type: FxHashMap::default(),
            declarations: Vec::new(),
            declared_by_type: FxHashMap::default(),
            rows: Rows::default(),
            group: Group::default(),
            module_namespaces: FxHashSet::default(),
            strange_namespaces: FxHashSet::default(),
            files: FxHashSet::default(),
            notes: Vec::new(),
            parts_of_code: Vec::new(),
            is_traced: false,
            growths: Vec::new(),
            text: Vec::new(),
            references: Vec::new(),
            labels: Vec::new(),
            candidates: Vec::new(),
            shape: Vec::new(),
        };
        for address in own {
            walk.disown(*address);
        }
        let agents_frames: Vec<Address> = walk.stacks.agents_frames().collect();
        agents_frames
            .into_iter()
            .for_each(|frame| walk.disown(frame));
        walk
    }

    /// Leaves an object out: it is the agent's.
    fn disown(&mut self, object: Address) {
        self.own.insert(object);
        self.seen.insert(object);
    }

    /// Writes the heap, and returns the paths of source files in it.
    pub(crate) fn run(mut self, tracked: &Tracked) -> Result<Written<W>, Failure> {
        self.write_roots()?;
        self.meet_all(tracked)?;
        while let Some(bucket) = self.waiting.pop() {
            self.write_bucket(bucket)?;
        }
        self.write_strange_namespaces();
        self.flush_rows(0)?;
        self.write_growths()?;
        let files = self
            .files
            .iter()
            .map(|row| self.out.text(*row).to_vec())
            .collect();
        Ok((self.out, files, self.notes))
    }

    fn write_roots(&mut self) -> Result<(), Failure> {
        let mut roots = vec![(self.order.modules, 1)];
        roots.extend(self.stacks.frames().map(|(frame, _)| (frame, 2)));
        roots.push((self.order.builtins, 3));
        self.out.section(b"ROOT", |body| {
            body.count(roots.len());
            roots.iter().for_each(|(address, _)| body.u64(*address));
            roots.iter().for_each(|(_, kind)| body.u32(*kind));
        })?;
        for (address, _) in roots {
            self.follow(address);
        }
        Ok(())
    }

    /// Notes all that the collector knows.
    fn meet_all(&mut self, tracked: &Tracked) -> Result<(), Failure> {
        let objects = self.objects;
        tracked.each(&objects, |object| {
            if !self.is_arguments(object) && self.follow(object) == 0 {
                self.own_met.insert(object);
            }
        });
        let mut probes = self.order.probes.iter();
        match probes.find(|probe| probe.is_tracked && !self.own_met.contains(&probe.object)) {
            Some(missing) => Err(Failure::NotListed(missing.what.clone())),
            None => Ok(()),
        }
    }

    /// What is found out about one object, and nothing else: nothing is written.
    pub(crate) fn describe(&mut self, object: Address) -> Result<Described, Failure> {
        self.is_following = false;
        let class = self.meet(self.objects.type_of(object))?;
        self.group.clear();
        self.rows = Rows::default();
        self.write_object(class, object)?;
        let labels = self.group.shapes.first().map(|row| self.out.labels(*row));
        let labels = labels.unwrap_or_default().iter().copied();
        let rows = &self.rows;
        let of_functions = rows.functions.iter().flat_map(|row| row.2);
        let of_code = rows.codes.iter().flat_map(|row| [row.1[0], row.1[1]]);
        let of_keys = rows.text_keys.iter().map(|row| row.1);
        let first = |column: &[u32]| column.first().copied().unwrap_or(0);
        Ok(Described {
            bytes: self.group.sizes.first().copied().unwrap_or(0),
            count: first(&self.group.counts),
            references: labels.zip(self.group.fields.iter().copied()).collect(),
            items: self.group.items.clone(),
            keys: self.group.keys.clone(),
            texts: of_functions.chain(of_code).chain(of_keys).collect(),
        })
    }

    /// Whether an object is the tuple of arguments with which this library was called.
    fn is_arguments(&mut self, object: Address) -> bool {
        let objects = self.objects;
        let is_it = objects.type_of(object) == self.types.tuple
            && objects.size_field(object) > 0
            && self.own.contains(objects.tuple(object).next().unwrap_or(0));
        if is_it {
            self.disown(object);
        }
        is_it
    }

    /// Notes what is referenced for the first time, and returns what is written as the reference's target.
    #[inline]
    pub(crate) fn follow(&mut self, object: Address) -> Address {
        if object == 0 {
            return 0;
        }
        if self.seen.insert(object) {
            if self.is_following {
                self.wait(object);
            }
        } else if self.own.contains(object) {
            return 0;
        }
        object
    }

    #[inline]
    fn wait(&mut self, object: Address) {
        let type_ = self.objects.type_of(object);
        if type_ != self.last_bucket.0 {
            let next = self.buckets.len() as u32;
            let number = *self.bucket_of_type.entry(type_).or_insert(next);
            if number == next {
                self.buckets.push(Bucket {
                    type_,
                    waiting: Vec::new(),
                });
            }
            self.last_bucket = (type_, number);
        }
        let number = self.last_bucket.1;
        let bucket = &mut self.buckets[number as usize];
        if bucket.waiting.is_empty() {
            self.waiting.push(number);
        }
        bucket.waiting.push(object);
    }

    fn write_bucket(&mut self, bucket: u32) -> Result<(), Failure> {
        let type_ = self.buckets[bucket as usize].type_;
        let class = self.meet(type_)?;
        let mut waiting = std::mem::take(&mut self.buckets[bucket as usize].waiting);
        // In the order of their addresses: what is read then lies side by side, and the columns are packed better.
        waiting.sort_unstable();
        for object in &waiting {
            self.write_object(class, *object)?;
            if self.group.is_full() {
                self.flush_group(class)?;
            }
        }
        self.flush_group(class)?;
        self.flush_rows(ROWS_A_SECTION)
    }

    fn write_object(&mut self, class: u32, object: Address) -> Result<(), Failure> {
        let writer = self.classes[class as usize].writer;
        let ours = if writer == Writer::Frame {
            self.stacks.held(object)
        } else if self.classes[class as usize].type_ == self.types.object {
            let probed = &self.order.referenced_by_probes;
            let found = probed.iter().find(|(known, _)| *known == object);
            found.map_or(0, |(_, count)| *count)
        } else {
            0
        };
        let count = self.objects.count(object, ours);
        let size = self.size(class, object);
        self.group.addresses.push(object);
        self.group.counts.push(count);
        self.group.sizes.push(size);
        match writer {
            Writer::Leaf => {}
            Writer::Items(container) => self.write_items(container, class, object),
            Writer::ItemsAndFields(container) => {
                self.write_items_and_fields(container, class, object);
            }
            Writer::Function => self.write_function(class, object),
            Writer::Code => self.write_code(object),
            Writer::Frame => self.write_frame(class, object),
            Writer::Module => self.write_module(class, object),
            Writer::Cell => self.write_cell(class, object),
            Writer::Cache => self.write_cache(class, object),
            Writer::CacheEntry => self.write_cache_entry(class, object),
            Writer::SeveralIterators => self.write_several_iterators(class, object),
            Writer::Context => self.write_context(class, object),
            Writer::ThreadLocal => self.write_thread_local(class, object),
            Writer::Array => self.write_array(class, object),
            Writer::Greenlet => self.write_greenlet(class, object),
            Writer::Type => self.write_type(class, object)?,
            Writer::Fields => self.write_fields(class, object),
        }
        Ok(())
    }

    fn flush_group(&mut self, class: u32) -> Result<(), Failure> {
        let group = std::mem::take(&mut self.group);
        if group.addresses.is_empty() {
            return Ok(());
        }
        let class = &self.classes[class as usize];
        let count = group.addresses.len();
        let width = if group.sizes.iter().all(|size| *size <= u64::from(u32::MAX)) {
            4
        } else {
            8
        };
        self.out.section(b"OBJS", |body| {
            body.u64(class.type_);
            body.u32(count as u32);
            body.u32(width);
            body.column64(&group.addresses);
            body.column32(&group.counts);
            if width == 4 {
                group.sizes.iter().for_each(|size| body.u32(*size as u32));
            } else {
                body.column64(&group.sizes);
            }
        })?;
        self.out.objects += count as u64;
        let container = match class.writer {
            Writer::Items(container) | Writer::ItemsAndFields(container) => Some(container),
            Writer::Array => Some(Self::ARRAY_ITEMS),
            _ => None,
        };
        match container {
            Some(Container::Dictionary) => self.out.section(b"DICT", |body| {
                body.count(count);
                body.column32(&group.lengths);
                body.column64(&group.keys);
                body.column64(&group.items);
            })?,
            Some(container) => self.out.section(b"ITEM", |body| {
                body.u32(container.kind() as u32);
                body.u32(count as u32);
                body.column32(&group.lengths);
                body.column64(&group.items);
            })?,
            None => {}
        }
        if !group.shapes.is_empty() {
            self.out.section(b"FLDS", |body| {
                body.count(count);
                body.column32(&group.shapes);
                body.column64(&group.fields);
            })?;
        }
        self.group = group;
        self.group.clear();
        Ok(())
    }

    /// Whether an object was seen.
    pub(crate) fn is_known(&self, object: Address) -> bool {
        self.seen.contains(object)
    }

    // Sizes.

    fn size(&mut self, class: u32, object: Address) -> u64 {
        let objects = self.objects;
        let known = &self.classes[class as usize];
        let by_size = || {
            let items = if known.item_bytes == 0 {
                0
            } else {
                objects
                    .size_field(object)
                    .cast_signed()
                    .wrapping_mul(known.item_bytes.cast_signed())
            };
            known.basic_bytes.saturating_add_signed(items)
        };
        let without_before = match known.measure {
            Measure::BySize => by_size(),
            Measure::List => known.basic_bytes + objects.field(object, shared::LIST_ALLOCATED) * 8,
            Measure::Dictionary => match objects.dictionary_bytes(object, known.basic_bytes) {
                Some(bytes) => bytes,
                None => self.asked_size(object, self.dictionary_measure()),
            },
            Measure::Set => {
                let small = object + objects.header + shared::SET_SMALL_TABLE;
                let table = if objects.field(object, shared::SET_TABLE) == small {
                    0
                } else {
                    (objects.field(object, shared::SET_MASK) + 1) * 16
                };
                known.basic_bytes + table
            }
            Measure::Text => match objects.ascii_text_bytes(object) {
                Some(bytes) => bytes,
                None => self.asked_size(object, self.measure_in(self.types.text)),
            },
            Measure::Integer => objects.integer_bytes(object),
            Measure::Method(method) => self.asked_size(object, method),
        };
        let known = &self.classes[class as usize];
        let is_static_type = known.flags & shared::IS_TYPE != 0
            && objects.type_flags(object) & shared::IS_HEAP_TYPE == 0;
        if is_static_type {
            without_before + self.order.bytes_before_static_types
        } else {
            without_before + known.bytes_before
        }
    }

    fn asked_size(&self, object: Address, method: Address) -> u64 {
        let asked = self.objects.interpreter.ask_number(method, object);
        u64::try_from(asked.unwrap_or(0)).unwrap_or(0)
    }

    fn dictionary_measure(&self) -> Address {
        self.measure_in(self.types.dictionary)
    }

    /// The `__sizeof__` that a built-in type declares.
    fn measure_in(&self, type_: Address) -> Address {
        let declared = self.declared_by_type.get(&type_);
        declared
            .and_then(|number| self.declarations[*number as usize].own_measure())
            .unwrap_or(self.types.object_measure)
    }

    // Containers.

    /// Writes the items of a container; what it is was said by its class.
    pub(crate) fn write_items(&mut self, container: Container, class: u32, object: Address) {
        let start = self.group.items.len();
        let objects = self.objects;
        match container {
            Container::Dictionary => {
                objects.each_entry(object, |key, value| {
                    let key_target = self.follow(key);
                    self.group.keys.push(key_target);
                    let target = self.follow(value);
                    self.group.items.push(target);
                    if self.order.keys {
                        self.name_key(key);
                    }
                });
            }
            Container::List => {
                for item in objects.list(object) {
                    let target = self.follow(item);
                    self.group.items.push(target);
                }
            }
            Container::Tuple => {
                for item in objects.tuple(object) {
                    let target = self.follow(item);
                    self.group.items.push(target);
                }
            }
            Container::Set => objects.each_member(object, |member| {
                let target = self.follow(member);
                self.group.items.push(target);
            }),
            Container::Deque => {
                let mut references = std::mem::take(&mut self.references);
                self.deque_items(class, object, &mut references);
                for item in &references {
                    let target = self.follow(*item);
                    self.group.items.push(target);
                }
                self.references = references;
            }
        }
        let count = self.group.items.len() - start;
        let most = if container == Container::Dictionary {
            MOST_ITEMS / 2
        } else {
            MOST_ITEMS
        };
        if count > most {
            self.notes
                .push(format!("{count} items of a large container were left out"));
            self.group.items.truncate(start);
            self.group.keys.truncate(start);
        }
        let count = self.group.items.len() - start;
        self.group.lengths.push(count as u32);
        if self.is_traced {
            self.growths
                .extend(tracing::grown_at(&objects, container, object));
        }
    }

    /// A deque's own items: the last of what it references, as many as it says.
    pub(crate) fn deque_items(&self, class: u32, object: Address, items: &mut Vec<Address>) {
        items.clear();
        let objects = self.objects;
        let type_ = self.classes[class as usize].type_;
        objects.interpreter.references(object, type_, items);
        let count = objects.size_field(object) as usize;
        items.drain(..items.len().saturating_sub(count));
    }

    // Names.

    /// The row of an object that is a text; none for another.
    pub(crate) fn string_of(&mut self, text: Address) -> u32 {
        if !self.objects.is_text(text) {
            return NO_STRING;
        }
        self.text.clear();
        self.objects.append_text(text, usize::MAX, &mut self.text);
        self.out.string(&self.text)
    }

    fn name_key(&mut self, key: Address) {
        if !self.named_keys.insert(key) {
            return;
        }
        let type_ = self.objects.type_of(key);
        if type_ == self.types.text {
            self.text.clear();
            self.objects.append_text(key, KEY_LENGTH, &mut self.text);
            if self.objects.text_length(key) > KEY_LENGTH {
                self.text.extend_from_slice("\u{2026}".as_bytes());
            }
            let row = self.out.string(&self.text);
            self.rows.text_keys.push((key, row));
        } else if type_ == self.types.integer
            && let Some(value) = self.objects.integer(key)
        {
            self.rows.integer_keys.push((key, value));
        }
    }

    /// Names in a namespace are names of the program: they are written even where keys are not, and whole.
    pub(crate) fn name_namespace(&mut self, namespace: Address) {
        let objects = self.objects;
        if objects.type_of(namespace) != self.types.dictionary {
            return;
        }
        objects.each_entry(namespace, |key, _| {
            if !self.order.keys {
                self.name_key(key);
            }
            if objects.is_text(key)
                && (KEY_LENGTH + 1..=NAME_LENGTH).contains(&objects.text_length(key))
            {
                self.named_keys.insert(key);
                let row = self.string_of(key);
                self.rows.text_keys.push((key, row));
            }
        });
    }

    /// Writes where containers were last made larger: what is known of code that lives yet, is the code that ran, and added to them.
    fn write_growths(&mut self) -> Result<(), Failure> {
        let Some(locations) = Locations::find() else {
            return Ok(());
        };
        let mut places: Vec<(Address, Location)> = Vec::new();
        let mut rows: FxHashMap<(Address, u32), Option<u32>> = FxHashMap::default();
        let mut believed: FxHashMap<(Address, u32, Container), bool> = FxHashMap::default();
        let mut containers: Vec<(Address, u32)> = Vec::new();
        for growth in std::mem::take(&mut self.growths) {
            let (code, instruction) = (growth.code(), growth.instruction());
            let is_believed = *believed
                .entry((code, instruction, growth.container))
                .or_insert_with(|| {
                    self.seen.contains(code)
                        && !self.own.contains(code)
                        && self.objects.type_of(code) == self.types.code
                        && growth.is_of_this_code()
                        && !growth.may_add_nothing(&self.objects)
                });
            if !is_believed {
                continue;
            }
            let row = *rows.entry((code, instruction)).or_insert_with(|| {
                let location = locations.of(code, instruction)?;
                places.push((code, location));
                u32::try_from(places.len() - 1).ok()
            });
            containers.extend(row.map(|row| (growth.object, row)));
        }
        // Columns are counted from 1, and 0 is none.
        let number = |from_c: i32, first: i32| u32::try_from(from_c + first).unwrap_or(0);
        for containers in containers.chunks(GROWTHS_A_SECTION) {
            self.out.section(b"TRAC", |body| {
                body.u32(containers.len() as u32);
                body.u32(places.len() as u32);
                containers.iter().for_each(|row| body.u64(row.0));
                containers.iter().for_each(|row| body.u32(row.1));
                places.iter().for_each(|(code, _)| body.u64(*code));
                places
                    .iter()
                    .for_each(|(_, at)| body.u32(number(at.line, 0)));
                places
                    .iter()
                    .for_each(|(_, at)| body.u32(number(at.column, 1)));
                places
                    .iter()
                    .for_each(|(_, at)| body.u32(number(at.end_line, 0)));
                places
                    .iter()
                    .for_each(|(_, at)| body.u32(number(at.end_column, 1)));
            })?;
        }
        Ok(())
    }

    /// Writes the rows about named things of which there are at least so many.
    fn flush_rows(&mut self, least: usize) -> Result<(), Failure> {
        let rows = &mut self.rows;
        let is_due = |length: usize| length > 0 && length >= least;
        if is_due(rows.types.len()) {
            let types = std::mem::take(&mut rows.types);
            self.out.section(b"TYPE", |body| {
                body.count(types.len());
                types.iter().for_each(|row| body.u64(row.0));
                for column in 0..4 {
                    types.iter().for_each(|row| body.u32(row.1[column]));
                }
            })?;
        }
        if is_due(rows.codes.len()) {
            let codes = std::mem::take(&mut rows.codes);
            self.out.section(b"CODE", |body| {
                body.count(codes.len());
                codes.iter().for_each(|row| body.u64(row.0));
                for column in 0..3 {
                    codes.iter().for_each(|row| body.u32(row.1[column]));
                }
            })?;
        }
        for (tag, wanted) in [(b"FUNC", true), (b"MODU", false)] {
            let rows = if wanted {
                &mut self.rows.functions
            } else {
                &mut self.rows.modules
            };
            if is_due(rows.len()) {
                let taken = std::mem::take(rows);
                self.out.section(tag, |body| {
                    body.count(taken.len());
                    taken.iter().for_each(|row| body.u64(row.0));
                    taken.iter().for_each(|row| body.u64(row.1));
                    for column in 0..2 {
                        taken.iter().for_each(|row| body.u32(row.2[column]));
                    }
                })?;
            }
        }
        let rows = &mut self.rows;
        if is_due(rows.frames.len()) {
            let frames = std::mem::take(&mut rows.frames);
            self.out.section(b"FRAM", |body| {
                body.count(frames.len());
                frames.iter().for_each(|row| body.u64(row.0));
                frames.iter().for_each(|row| body.u64(row.1));
                frames.iter().for_each(|row| body.u64(row.2));
                frames.iter().for_each(|row| body.u32(row.3));
            })?;
        }
        let rows = &mut self.rows;
        if is_due(rows.links.len()) {
            let links = std::mem::take(&mut rows.links);
            self.out.section(b"LINK", |body| {
                body.count(links.len());
                links.iter().for_each(|row| body.u64(row.0));
                links.iter().for_each(|row| body.u64(row.1));
                links.iter().for_each(|row| body.u32(row.2.kind));
                links.iter().for_each(|row| body.u32(row.2.name));
            })?;
        }
        let rows = &mut self.rows;
        if is_due(rows.text_keys.len()) {
            let keys = std::mem::take(&mut rows.text_keys);
            self.out.section(b"KEYS", |body| {
                body.count(keys.len());
                keys.iter().for_each(|row| body.u64(row.0));
                keys.iter().for_each(|row| body.u32(row.1));
            })?;
        }
        let rows = &mut self.rows;
        if is_due(rows.integer_keys.len()) {
            let keys = std::mem::take(&mut rows.integer_keys);
            self.out.section(b"KEYI", |body| {
                body.count(keys.len());
                keys.iter().for_each(|row| body.u64(row.0));
                keys.iter().for_each(|row| body.u64(row.1.cast_unsigned()));
            })?;
        }
        Ok(())
    }
}
