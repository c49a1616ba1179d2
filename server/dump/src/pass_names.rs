//! The first pass: header, strings, objects, names. It notes where the references of each block of objects stand.

use std::io::{self, Read, Seek};
use std::path::Path;

use heldby_heap::{
    Cancel, Cancelled, CodeName, HeapBuilder, Object, RootKind, StringId, TooLarge, TypeName,
    UNKNOWN_REFCOUNT,
};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use crate::body::{Body, Short};
use crate::main_script::{MAIN, MainScript};
use crate::section::{PREAMBLE_BYTES, Section, SectionReader};
use crate::{DumpError, Problem, SourceFile};

/// Objects of one type, and where their references stand.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) sections: Vec<Section>,
}

/// Rows of the shape table, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    ends: Vec<u32>,
    references: Vec<(u32, u32)>,
}

impl Shapes {
    /// Kind and name of each reference of a shape.
    pub(crate) fn row(&self, shape: u32) -> Option<&[(u32, u32)]> {
        let end = *self.ends.get(shape as usize)?;
        let start = if shape == 0 {
            0
        } else {
            self.ends[shape as usize - 1]
        };
        self.references.get(start as usize..end as usize)
    }
}

/// The text of a dictionary key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key {
    Text(StringId),
    Integer(StringId),
}

/// A further reference, of a `LINK` section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) source: u64,
    pub(crate) target: u64,
    pub(crate) kind: u32,
    pub(crate) name: u32,
}

pub(crate) enum PassError {
    Io(io::Error),
    TooLarge(TooLarge),
    Cancelled(Cancelled),
}

impl PassError {
    pub(crate) fn with_path(self, path: &Path) -> DumpError {
        match self {
            Self::Io(source) => DumpError::Io {
                path: path.to_owned(),
                source,
            },
            Self::TooLarge(source) => DumpError::TooLarge {
                path: path.to_owned(),
                source,
            },
            Self::Cancelled(cancelled) => cancelled.into(),
        }
    }
}

enum SectionError {
    Inconsistent(&'static str),
    TooLarge(TooLarge),
}

impl From<Short> for SectionError {
    fn from(_: Short) -> Self {
        Self::Inconsistent("it is shorter than its counts say")
    }
}

#[derive(Debug)]
pub(crate) struct NamesPass {
    pub(crate) builder: HeapBuilder,
    pub(crate) blocks: Vec<Block>,
    pub(crate) shapes: Shapes,
    pub(crate) keys: FxHashMap<u64, Key>,
    pub(crate) header: Map<String, Value>,
    pub(crate) source_files: Vec<SourceFile>,
    pub(crate) roots: Vec<(u64, RootKind)>,
    pub(crate) links: Vec<Link>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) repeated: u64,
    lines: FxHashMap<StringId, Vec<u32>>,
    main_script: MainScript,
    integers: Vec<(u64, i64)>,
    /// A section of strings could not be read: what number the later ones have is not known.
    strings_lost: bool,
    /// The same for shapes.
    shapes_lost: bool,
    /// The objects at hand could not be read: their references belong to nobody.
    orphaned: bool,
}

impl NamesPass {
    pub(crate) fn new() -> Self {
        Self {
            builder: HeapBuilder::new(),
            blocks: Vec::new(),
            shapes: Shapes::default(),
            keys: FxHashMap::default(),
            header: Map::new(),
            source_files: Vec::new(),
            roots: Vec::new(),
            links: Vec::new(),
            problems: Vec::new(),
            repeated: 0,
            lines: FxHashMap::default(),
            main_script: MainScript::default(),
            integers: Vec::new(),
            strings_lost: false,
            shapes_lost: false,
            orphaned: true,
        }
    }

    /// Reads all sections; returns where the reading ended.
    pub(crate) fn run<R: Read + Seek>(
        &mut self,
        sections: &mut SectionReader<R>,
        cancel: &Cancel,
    ) -> Result<u64, PassError> {
        let mut offset = PREAMBLE_BYTES;
        let mut body = Vec::new();
        let end = loop {
            cancel.check().map_err(PassError::Cancelled)?;
            let section = match sections.section_at(offset).map_err(PassError::Io)? {
                Ok(section) => section,
                Err(problem) => {
                    self.problems.push(problem);
                    break offset;
                }
            };
            offset = section.end();
            match &section.tag.0 {
                b"END " => break offset,
                b"ITEM" | b"DICT" | b"FLDS" => {
                    if let Some(block) = self.blocks.last_mut().filter(|_| !self.orphaned) {
                        block.sections.push(section);
                    }
                    continue;
                }
                _ => {}
            }
            if &section.tag.0 == b"OBJS" {
                self.orphaned = true;
            }
            let problem = match sections.body(&section, &mut body).map_err(PassError::Io)? {
                Err(problem) => problem,
                Ok(()) => match self.section(&section, Body(&body)) {
                    Ok(()) => continue,
                    Err(SectionError::Inconsistent(reason)) => section.inconsistent(reason),
                    Err(SectionError::TooLarge(error)) => return Err(PassError::TooLarge(error)),
                },
            };
            self.problems.push(problem);
            self.strings_lost |= &section.tag.0 == b"STRS";
            self.shapes_lost |= &section.tag.0 == b"SHAP";
        };
        self.join_lines();
        self.name_main_script();
        self.name_integers();
        Ok(end)
    }

    fn name_main_script(&mut self) {
        let strings = &mut self.builder.strings;
        if let Some(file) = self.main_script.file(strings, &self.header) {
            let file = strings.push(&file);
            self.builder.name_module_file(MAIN, file);
        }
    }

    /// The digits of integer keys become rows of the string table: only now, behind the dump's own rows.
    fn name_integers(&mut self) {
        for (address, value) in self.integers.drain(..) {
            let text = self.builder.strings.push(&value.to_string());
            self.keys.insert(address, Key::Integer(text));
        }
    }

    fn join_lines(&mut self) {
        let mut lines: FxHashMap<&str, Vec<u32>> = self
            .lines
            .drain()
            .map(|(path, checksums)| (self.builder.strings.get(path), checksums))
            .collect();
        for file in &mut self.source_files {
            file.line_checksums = lines.remove(file.path.as_str()).unwrap_or_default();
        }
    }

    fn section(&mut self, section: &Section, mut body: Body<'_>) -> Result<(), SectionError> {
        match &section.tag.0 {
            b"HEAD" => match serde_json::from_slice::<Map<String, Value>>(body.0) {
                Ok(members) => self.header.extend(members),
                Err(_) => return Err(SectionError::Inconsistent("it is not a JSON object")),
            },
            b"FILE" => match serde_json::from_slice::<Vec<SourceFile>>(body.0) {
                Ok(files) => self.source_files.extend(files),
                Err(_) => {
                    return Err(SectionError::Inconsistent(
                        "it is not a JSON array of files",
                    ));
                }
            },
            b"STRS" if !self.strings_lost => self.strings(body)?,
            b"SHAP" if !self.shapes_lost => self.shape_rows(body)?,
            b"OBJS" => self.objects(body)?,
            b"KEYS" => {
                let count = body.count()?;
                let (addresses, texts) = (body.column64(count)?, body.column32(count)?);
                body.end()?;
                self.keys.extend(
                    addresses
                        .iter()
                        .zip(texts.iter().map(|text| Key::Text(StringId(text)))),
                );
            }
            b"KEYI" => {
                let count = body.count()?;
                let (addresses, values) = (body.column64(count)?, body.column64(count)?);
                body.end()?;
                self.integers
                    .extend(addresses.iter().zip(values.iter().map(u64::cast_signed)));
            }
            b"LINE" => {
                let (path, count) = (StringId(body.u32()?), body.u32()? as usize);
                let checksums = body.column32(count)?;
                body.end()?;
                self.lines.insert(path, checksums.iter().collect());
            }
            b"ROOT" => {
                let count = body.count()?;
                let (addresses, kinds) = (body.column64(count)?, body.column32(count)?);
                body.end()?;
                let known = addresses
                    .iter()
                    .zip(kinds.iter())
                    .filter_map(|(address, kind)| Some((address, RootKind::from_code(kind)?)));
                self.roots.extend(known);
            }
            b"LINK" => self.links(body)?,
            b"TRAC" => self.growths(body)?,
            b"TYPE" | b"CODE" | b"FUNC" | b"MODU" | b"FRAM" => self.names(&section.tag.0, body)?,
            // A section of a later minor version.
            _ => {}
        }
        Ok(())
    }

    fn links(&mut self, mut body: Body<'_>) -> Result<(), SectionError> {
        let count = body.count()?;
        let (sources, targets) = (body.column64(count)?, body.column64(count)?);
        let (kinds, names) = (body.column32(count)?, body.column32(count)?);
        body.end()?;
        let ends = sources.iter().zip(targets.iter());
        let labels = kinds.iter().zip(names.iter());
        let links = ends
            .zip(labels)
            .map(|((source, target), (kind, name))| Link {
                source,
                target,
                kind,
                name,
            });
        self.links.extend(links);
        Ok(())
    }

    fn growths(&mut self, mut body: Body<'_>) -> Result<(), SectionError> {
        let (count, place_count) = (body.u32()? as usize, body.u32()? as usize);
        let (containers, rows) = (body.column64(count)?, body.column32(count)?);
        let codes = body.column64(place_count)?;
        let (lines, columns) = (body.column32(place_count)?, body.column32(place_count)?);
        let (end_lines, end_columns) = (body.column32(place_count)?, body.column32(place_count)?);
        body.end()?;
        let starts = lines.iter().zip(columns.iter());
        let ends = end_lines.iter().zip(end_columns.iter());
        let places = codes.iter().zip(starts.zip(ends));
        let places: Vec<u32> = places
            .map(|(code, ((line, column), (end_line, end_column)))| {
                let at = [line, column, end_line, end_column];
                self.builder.growth_place(code, at)
            })
            .collect();
        for (container, row) in containers.iter().zip(rows.iter()) {
            let Some(&place) = places.get(row as usize) else {
                return Err(SectionError::Inconsistent(
                    "it names a place that it does not have",
                ));
            };
            self.builder.growth(container, place);
        }
        Ok(())
    }

    fn strings(&mut self, mut body: Body<'_>) -> Result<(), SectionError> {
        let count = body.u32()? as usize;
        let lengths = body.column32(count)?;
        let Some(total) = lengths.sum().filter(|total| *total == body.0.len()) else {
            return Err(Short.into());
        };
        let mut body = Body(body.bytes(total)?);
        for length in lengths.iter() {
            let text = String::from_utf8_lossy(body.bytes(length as usize)?);
            self.builder.strings.push(&text);
        }
        Ok(body.end()?)
    }

    fn shape_rows(&mut self, mut body: Body<'_>) -> Result<(), SectionError> {
        let (count, total) = (body.u32()? as usize, body.u32()? as usize);
        let (lengths, kinds, names) = (
            body.column32(count)?,
            body.column32(total)?,
            body.column32(total)?,
        );
        body.end()?;
        if lengths.sum() != Some(total) {
            return Err(SectionError::Inconsistent(
                "its shapes have another number of references than it says",
            ));
        }
        let mut end = self.shapes.references.len() as u32;
        for length in lengths.iter() {
            end += length;
            self.shapes.ends.push(end);
        }
        self.shapes
            .references
            .extend(kinds.iter().zip(names.iter()));
        Ok(())
    }

    fn objects(&mut self, mut body: Body<'_>) -> Result<(), SectionError> {
        let type_address = body.u64()?;
        let count = body.u32()? as usize;
        let width = body.u32()? & 0xff;
        let addresses = body.column64(count)?;
        let refcounts = body.column32(count)?;
        let (narrow, wide) = match width {
            4 => (Some(body.column32(count)?), None),
            8 => (None, Some(body.column64(count)?)),
            _ => return Err(SectionError::Inconsistent("sizes are 4 or 8 bytes wide")),
        };
        body.end()?;
        let first = self.builder.object_count();
        let type_index = self.builder.type_at(type_address);
        let mut narrow_sizes = narrow.unwrap_or_default().iter();
        let mut wide_sizes = wide.unwrap_or_default().iter();
        for (address, refcount) in addresses.iter().zip(refcounts.iter()) {
            let shallow_bytes = narrow_sizes
                .next()
                .map(u64::from)
                .or_else(|| wide_sizes.next())
                .unwrap_or_default();
            let refcount = if refcount == 0 {
                UNKNOWN_REFCOUNT
            } else {
                refcount
            };
            let fresh = self.builder.object(Object {
                address,
                type_index,
                shallow_bytes,
                refcount,
            });
            self.repeated += u64::from(!fresh.map_err(SectionError::TooLarge)?);
        }
        self.blocks.push(Block {
            first,
            count,
            sections: Vec::new(),
        });
        self.orphaned = false;
        Ok(())
    }

    fn names(&mut self, tag: &[u8; 4], mut body: Body<'_>) -> Result<(), SectionError> {
        let builder = &mut self.builder;
        let count = body.count()?;
        let addresses = body.column64(count)?;
        match tag {
            b"TYPE" => {
                let (modules, qualnames) = (body.column32(count)?, body.column32(count)?);
                let (flags, lines) = (body.column32(count)?, body.column32(count)?);
                body.end()?;
                let rows = addresses
                    .iter()
                    .zip(modules.iter().zip(qualnames.iter()))
                    .zip(flags.iter().zip(lines.iter()));
                for ((address, (module, qualname)), (flags, line)) in rows {
                    builder.name_type(TypeName {
                        address,
                        module: StringId(module),
                        qualname: StringId(qualname),
                        flags,
                        line,
                    });
                }
            }
            b"CODE" => {
                let (files, qualnames, lines) = (
                    body.column32(count)?,
                    body.column32(count)?,
                    body.column32(count)?,
                );
                body.end()?;
                let rows = addresses
                    .iter()
                    .zip(files.iter())
                    .zip(qualnames.iter().zip(lines.iter()));
                for ((address, file), (qualname, line)) in rows {
                    self.main_script.code(address, StringId(file));
                    builder.name_code(
                        address,
                        CodeName {
                            file: StringId(file),
                            qualname: StringId(qualname),
                            line,
                        },
                    );
                }
            }
            _ => {
                let seconds = body.column64(count)?;
                if tag == b"FRAM" {
                    let (threads, lines) = (body.column64(count)?, body.column32(count)?);
                    body.end()?;
                    let rows = addresses
                        .iter()
                        .zip(seconds.iter())
                        .zip(threads.iter().zip(lines.iter()));
                    for ((address, code), (thread, line)) in rows {
                        builder.name_frame(address, code, thread, line);
                    }
                    return Ok(());
                }
                let (thirds, fourths) = (body.column32(count)?, body.column32(count)?);
                body.end()?;
                let rows = addresses
                    .iter()
                    .zip(seconds.iter())
                    .zip(thirds.iter().zip(fourths.iter()));
                for ((address, second), (third, fourth)) in rows {
                    match tag {
                        b"FUNC" => {
                            let (module, qualname) = (StringId(third), StringId(fourth));
                            self.main_script
                                .function(second, builder.strings.get(module));
                            builder.name_function(address, second, module, qualname);
                        }
                        _ => {
                            builder.name_module(address, second, StringId(third), StringId(fourth))
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
