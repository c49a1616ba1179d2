//! The second pass: the references of each block of objects, resolved and labelled.

use std::io::{self, Read, Seek};

use heldby_heap::{HeapBuilder, Label, ReferenceBuilder, ReferenceKind};
use rustc_hash::FxHashMap;

use crate::Problem;
use crate::body::{Body, Column64, Short};
use crate::pass_names::{Block, Key, Link, Shapes};
use crate::section::{Section, SectionReader};

/// Bit 8 of a kind: the reference restates others.
const DESCRIBED: u32 = 256;

#[derive(Debug)]
pub(crate) struct ReferencesPass {
    pub(crate) shapes: Shapes,
    pub(crate) keys: FxHashMap<u64, Key>,
    pub(crate) references: ReferenceBuilder,
    /// Further references, the last object's first.
    pub(crate) links: Vec<ResolvedLink>,
    pub(crate) problems: Vec<Problem>,
}

/// A reference of a `LINK` section whose source is an object of the dump.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResolvedLink {
    row: u32,
    link: Link,
}

/// Resolves the sources of further references, and orders them by these, last first. A source that is not in the dump is
/// left out: its number is the second value.
pub(crate) fn resolved(links: Vec<Link>, builder: &HeapBuilder) -> (Vec<ResolvedLink>, u64) {
    let count = links.len();
    let mut resolved: Vec<ResolvedLink> = links
        .into_iter()
        .filter_map(|link| {
            let row = builder.row_of(link.source)?;
            Some(ResolvedLink { row, link })
        })
        .collect();
    resolved.sort_by_key(|resolved| std::cmp::Reverse(resolved.row));
    let lost = count - resolved.len();
    (resolved, lost as u64)
}

/// One section's rows, cut into columns: object by object in the block's order.
enum Rows<'a> {
    Items {
        kind: ReferenceKind,
        lengths: Box<dyn Iterator<Item = u32> + 'a>,
        targets: Box<dyn Iterator<Item = u64> + 'a>,
    },
    Entries {
        lengths: Box<dyn Iterator<Item = u32> + 'a>,
        keys: Box<dyn Iterator<Item = u64> + 'a>,
        values: Box<dyn Iterator<Item = u64> + 'a>,
    },
    Fields {
        shapes: Box<dyn Iterator<Item = u32> + 'a>,
        targets: Box<dyn Iterator<Item = u64> + 'a>,
    },
}

impl ReferencesPass {
    /// Reads a block's references.
    pub(crate) fn block<R: Read + Seek>(
        &mut self,
        sections: &mut SectionReader<R>,
        block: &Block,
    ) -> io::Result<()> {
        debug_assert_eq!(self.references.ended_objects(), block.first);
        let mut bodies = Vec::with_capacity(block.sections.len());
        for section in &block.sections {
            let mut body = Vec::new();
            match sections.body(section, &mut body)? {
                Ok(()) => bodies.push((section, body)),
                Err(problem) => self.problems.push(problem),
            }
        }
        let mut rows = Vec::with_capacity(bodies.len());
        for (section, body) in &bodies {
            match self.rows(section, Body(body), block.count) {
                Ok(columns) => rows.push(columns),
                Err(reason) => self.problems.push(section.inconsistent(reason)),
            }
        }
        for _ in 0..block.count {
            for columns in &mut rows {
                emit(columns, &mut self.references, &self.shapes, &self.keys);
            }
            self.add_links();
            self.references.end_object();
        }
        Ok(())
    }

    /// Adds the further references of the object at hand.
    fn add_links(&mut self) {
        let row = self.references.ended_objects();
        while let Some(next) = self.links.pop_if(|next| next.row as usize <= row) {
            if next.row as usize == row {
                let Link {
                    target, kind, name, ..
                } = next.link;
                self.references.reference(target, label_of(kind, name));
            }
        }
    }

    fn rows<'a>(
        &self,
        section: &Section,
        mut body: Body<'a>,
        count: usize,
    ) -> Result<Rows<'a>, &'static str> {
        let short = |_: Short| "it is shorter than its counts say";
        let first = body.u32().map_err(short)?;
        let second = body.u32().map_err(short)?;
        let rows = if &section.tag.0 == b"ITEM" {
            second
        } else {
            first
        };
        if rows as usize != count {
            return Err("it has another number of rows than its objects");
        }
        let lengths = body.column32(count).map_err(short)?;
        let total = if &section.tag.0 == b"FLDS" {
            let mut total = 0usize;
            for shape in lengths.iter() {
                let row = self
                    .shapes
                    .row(shape)
                    .ok_or("it names a shape that does not exist")?;
                total = total
                    .checked_add(row.len())
                    .ok_or("its rows are too long")?;
            }
            total
        } else {
            lengths.sum().ok_or("its rows are too long")?
        };
        let targets: Column64<'a> = body.column64(total).map_err(short)?;
        let rows = match &section.tag.0 {
            b"ITEM" => {
                let kind = ReferenceKind::from_code(first)
                    .filter(|kind| kind.is_item())
                    .ok_or("it names a kind that has no items")?;
                Rows::Items {
                    kind,
                    lengths: Box::new(lengths.iter()),
                    targets: Box::new(targets.iter()),
                }
            }
            b"DICT" => {
                let values = body.column64(total).map_err(short)?;
                Rows::Entries {
                    lengths: Box::new(lengths.iter()),
                    keys: Box::new(targets.iter()),
                    values: Box::new(values.iter()),
                }
            }
            _ => Rows::Fields {
                shapes: Box::new(lengths.iter()),
                targets: Box::new(targets.iter()),
            },
        };
        body.end().map_err(short)?;
        Ok(rows)
    }
}

/// The label that a kind and a name of the format stand for.
fn label_of(code: u32, name: u32) -> Label {
    let kind = ReferenceKind::from_code(code & !DESCRIBED).filter(|kind| kind.is_of_the_format());
    let label = Label::new(kind.unwrap_or(ReferenceKind::Other), name);
    if code & DESCRIBED == 0 {
        label
    } else {
        label.described()
    }
}

/// Adds the references that one section has for the object at hand.
fn emit(
    rows: &mut Rows<'_>,
    references: &mut ReferenceBuilder,
    shapes: &Shapes,
    keys: &FxHashMap<u64, Key>,
) {
    match rows {
        Rows::Items {
            kind,
            lengths,
            targets,
        } => {
            let length = lengths.next().unwrap_or_default();
            for (index, target) in (0..length).zip(targets) {
                references.reference(target, Label::new(*kind, index));
            }
        }
        Rows::Entries {
            lengths,
            keys: key_addresses,
            values,
        } => {
            let length = lengths.next().unwrap_or_default();
            // The count comes first: a zip takes from its left side before it asks its right.
            for (_, (key, value)) in (0..length).zip(key_addresses.zip(values)) {
                let label = match keys.get(&key) {
                    Some(Key::Text(text)) => Label::new(ReferenceKind::DictValue, text.0),
                    Some(Key::Integer(text)) => {
                        Label::new(ReferenceKind::DictValueOfInteger, text.0)
                    }
                    None => Label::new(
                        ReferenceKind::DictValueOfOther,
                        references.objects().type_of(key).unwrap_or(u32::MAX),
                    ),
                };
                references.reference(key, Label::new(ReferenceKind::DictKey, 0));
                references.reference(value, label);
            }
        }
        Rows::Fields {
            shapes: shape_column,
            targets,
        } => {
            let row = shape_column
                .next()
                .and_then(|shape| shapes.row(shape))
                .unwrap_or_default();
            for (&(code, name), target) in row.iter().zip(targets) {
                references.reference(target, label_of(code, name));
            }
        }
    }
}
