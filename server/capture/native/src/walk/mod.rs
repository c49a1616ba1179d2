//! The walk over the heap: each object once, grouped by type, and what it references.

mod growths;
mod items;
mod names;
mod rows;
mod sizes;

use std::io::Write;

use heldby_dump::WriteError;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::address_set::AddressSet;
use crate::builtin_types::Types;
use crate::classes::{Class, Container, Declared, Writer};
use crate::dump::Tracked;
use crate::memory::Address;
use crate::objects::Objects;
use crate::order::Order;
use crate::probes::Described;
use crate::sections::{Label, Sections};
use crate::stacks::Stacks;
use crate::tracing::Growth;
use rows::Rows;

/// A group is written when it has so many objects or references.
const OBJECTS_A_GROUP: usize = 1 << 14;
const REFERENCES_A_GROUP: usize = 1 << 18;
/// Rows about named things are written when there are so many.
const ROWS_A_SECTION: usize = 1 << 14;

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

/// Objects of one type that were seen and are not written yet.
struct Bucket {
    type_: Address,
    waiting: Vec<Address>,
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
            let is_agents = self.is_arguments(object) || self.is_left_over(object);
            if !is_agents && self.follow(object) == 0 {
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

    /// Whether an object is a function that the agent has made in passing: a free-threaded build frees functions when it collects garbage,
    /// not before.
    fn is_left_over(&mut self, object: Address) -> bool {
        let objects = self.objects;
        let is_it = objects.is_free_threaded
            && objects.type_of(object) == self.types.function
            && self
                .own
                .contains(objects.field(object, objects.layout.function.globals));
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
}
