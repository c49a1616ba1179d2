//! Writes the dump's sections, and the tables of texts and shapes that they refer to.

use std::hash::Hasher as _;
use std::io::Write;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use heldby_dump::{Codec, DumpWriter, Tag, WriteError};
use rustc_hash::FxHasher;

/// No text.
pub(crate) const NO_STRING: u32 = u32::MAX;
/// Added to a kind: the reference restates what others carry.
pub(crate) const DESCRIBED: u32 = 256;

/// Kinds of reference, as `FORMAT.md` numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Kind {
    Other = 0,
    Attribute = 1,
    Slot = 2,
    ListItem = 3,
    TupleItem = 4,
    SetMember = 5,
    DequeItem = 6,
    Namespace = 9,
    Type = 10,
    FreeVariable = 11,
    CellContents = 12,
    Default = 13,
    KeywordDefault = 14,
    Local = 15,
    Cache = 16,
    Machinery = 17,
    Stack = 18,
    Iterates = 19,
    View = 20,
    ThreadLocal = 21,
    Context = 22,
}

/// What a reference is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Label {
    pub(crate) kind: u32,
    pub(crate) name: u32,
}

impl Label {
    pub(crate) const OTHER: Self = Self::plain(Kind::Other);
    pub(crate) const TYPE: Self = Self::plain(Kind::Type);
    pub(crate) const NAMESPACE: Self = Self::plain(Kind::Namespace);
    pub(crate) const STACK: Self = Self::plain(Kind::Stack);

    pub(crate) const fn plain(kind: Kind) -> Self {
        Self::named(kind, NO_STRING)
    }

    pub(crate) const fn named(kind: Kind, name: u32) -> Self {
        Self {
            kind: kind as u32,
            name,
        }
    }

    pub(crate) fn described(self) -> Self {
        Self {
            kind: self.kind | DESCRIBED,
            ..self
        }
    }
}

/// Texts, each once, in the order in which they came.
struct Strings {
    text: Vec<u8>,
    ends: Vec<usize>,
    rows: HashTable<u32>,
    written: usize,
}

impl Strings {
    fn get(&self, row: u32) -> &[u8] {
        get_string(&self.text, &self.ends, row)
    }

    fn row(&mut self, text: &[u8]) -> u32 {
        let (all, ends) = (&self.text, &self.ends);
        let found = self.rows.entry(
            hash_bytes(text),
            |row| get_string(all, ends, *row) == text,
            |row| hash_bytes(get_string(all, ends, *row)),
        );
        match found {
            Entry::Occupied(row) => *row.get(),
            Entry::Vacant(place) => {
                let row = self.ends.len() as u32;
                place.insert(row);
                self.text.extend_from_slice(text);
                self.ends.push(self.text.len());
                row
            }
        }
    }
}

fn get_string<'a>(text: &'a [u8], ends: &[usize], row: u32) -> &'a [u8] {
    let row = row as usize;
    let start = if row == 0 { 0 } else { ends[row - 1] };
    &text[start..ends[row]]
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Rows of labels, each once.
struct Shapes {
    labels: Vec<Label>,
    ends: Vec<usize>,
    rows: HashTable<u32>,
    written: usize,
}

impl Shapes {
    fn row(&mut self, shape: &[Label]) -> u32 {
        let (all, ends) = (&self.labels, &self.ends);
        let found = self.rows.entry(
            hash_labels(shape),
            |row| get_shape(all, ends, *row) == shape,
            |row| hash_labels(get_shape(all, ends, *row)),
        );
        match found {
            Entry::Occupied(row) => *row.get(),
            Entry::Vacant(place) => {
                let row = self.ends.len() as u32;
                place.insert(row);
                self.labels.extend_from_slice(shape);
                self.ends.push(self.labels.len());
                row
            }
        }
    }
}

fn get_shape<'a>(labels: &'a [Label], ends: &[usize], row: u32) -> &'a [Label] {
    let row = row as usize;
    let start = if row == 0 { 0 } else { ends[row - 1] };
    &labels[start..ends[row]]
}

fn hash_labels(labels: &[Label]) -> u64 {
    let mut hasher = FxHasher::default();
    for label in labels {
        hasher.write_u64(u64::from(label.kind) << 32 | u64::from(label.name));
    }
    hasher.finish()
}

/// A dump being written.
pub(crate) struct Sections<W> {
    out: DumpWriter<W>,
    strings: Strings,
    shapes: Shapes,
    body: Vec<u8>,
    /// Objects written so far.
    pub(crate) objects: u64,
}

impl<W: Write> Sections<W> {
    pub(crate) fn new(file: W, codec: Codec) -> Result<Self, WriteError> {
        Ok(Self {
            out: DumpWriter::new(file, codec)?,
            strings: Strings {
                text: Vec::new(),
                ends: Vec::new(),
                rows: HashTable::new(),
                written: 0,
            },
            shapes: Shapes {
                labels: Vec::new(),
                ends: Vec::new(),
                rows: HashTable::new(),
                written: 0,
            },
            body: Vec::new(),
            objects: 0,
        })
    }

    /// The row of a text in UTF-8.
    pub(crate) fn string(&mut self, text: &[u8]) -> u32 {
        self.strings.row(text)
    }

    /// The text of a row.
    pub(crate) fn text(&self, row: u32) -> &[u8] {
        if row == NO_STRING {
            &[]
        } else {
            self.strings.get(row)
        }
    }

    /// The labels of a row.
    pub(crate) fn labels(&self, row: u32) -> &[Label] {
        get_shape(&self.shapes.labels, &self.shapes.ends, row)
    }

    /// The row of a shape.
    pub(crate) fn shape(&mut self, labels: &[Label]) -> u32 {
        self.shapes.row(labels)
    }

    /// Writes a section, after the rows of tables that it may refer to. `fill` puts its body together.
    pub(crate) fn section(
        &mut self,
        tag: &[u8; 4],
        fill: impl FnOnce(&mut Body<'_>),
    ) -> Result<(), WriteError> {
        crate::process::go_on();
        self.flush_tables()?;
        self.write(tag, fill)
    }

    fn write(&mut self, tag: &[u8; 4], fill: impl FnOnce(&mut Body<'_>)) -> Result<(), WriteError> {
        self.body.clear();
        fill(&mut Body(&mut self.body));
        self.out.section(Tag(*tag), &self.body)
    }

    fn flush_tables(&mut self) -> Result<(), WriteError> {
        let strings = &mut self.strings;
        let first = std::mem::replace(&mut strings.written, strings.ends.len());
        if first < strings.ends.len() {
            let start = if first == 0 {
                0
            } else {
                strings.ends[first - 1]
            };
            self.body.clear();
            let mut body = Body(&mut self.body);
            body.u32((strings.ends.len() - first) as u32);
            let mut before = start;
            for end in &strings.ends[first..] {
                body.u32((end - before) as u32);
                before = *end;
            }
            body.bytes(&strings.text[start..]);
            self.out.section(Tag(*b"STRS"), &self.body)?;
        }
        let shapes = &mut self.shapes;
        let first = std::mem::replace(&mut shapes.written, shapes.ends.len());
        if first < shapes.ends.len() {
            let start = if first == 0 {
                0
            } else {
                shapes.ends[first - 1]
            };
            let labels = &shapes.labels[start..];
            self.body.clear();
            let mut body = Body(&mut self.body);
            body.u32((shapes.ends.len() - first) as u32);
            body.u32(labels.len() as u32);
            let mut before = start;
            for end in &shapes.ends[first..] {
                body.u32((end - before) as u32);
                before = *end;
            }
            labels.iter().for_each(|label| body.u32(label.kind));
            labels.iter().for_each(|label| body.u32(label.name));
            self.out.section(Tag(*b"SHAP"), &self.body)?;
        }
        Ok(())
    }

    /// Writes the end marker, and gives the file back.
    pub(crate) fn finish(self) -> Result<W, WriteError> {
        self.out.finish(self.objects)
    }
}

/// The body of a section being put together: columns of numbers, little-endian.
pub(crate) struct Body<'a>(&'a mut Vec<u8>);

impl Body<'_> {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// A count, and the zero that stands behind it.
    pub(crate) fn count(&mut self, count: usize) {
        self.u32(count as u32);
        self.u32(0);
    }

    pub(crate) fn column32(&mut self, numbers: &[u32]) {
        self.0.reserve(numbers.len() * 4);
        numbers.iter().for_each(|number| self.u32(*number));
    }

    pub(crate) fn column64(&mut self, numbers: &[u64]) {
        self.0.reserve(numbers.len() * 8);
        numbers.iter().for_each(|number| self.u64(*number));
    }
}
