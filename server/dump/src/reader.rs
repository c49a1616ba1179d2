//! Reads a dump file: preamble, pass over names and objects, pass over references.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use heldby_heap::{Cancel, Heap};

use crate::pass_names::NamesPass;
use crate::pass_references::{ReferencesPass, resolved};
use crate::section::{END_BYTES, MAGIC, PREAMBLE_BYTES, SectionReader};
use crate::{DumpError, Header, MAJOR_VERSION, Problem, SourceFile};

/// A dump that was read.
#[derive(Debug)]
pub struct Dump {
    /// About the process.
    pub header: Header,
    /// Its objects and references.
    pub heap: Heap,
    /// Its source files.
    pub source_files: Vec<SourceFile>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// Reads the dump at `path`.
///
/// Cost: two passes over the file, buffers of one block of objects at a time, and the heap.
///
/// # Errors
/// [`DumpError`] when nothing can be read, or somebody cancelled.
pub fn read(path: &Path, cancel: &Cancel) -> Result<Dump, DumpError> {
    let io_error = |source: io::Error| DumpError::Io {
        path: path.to_owned(),
        source,
    };
    let mut sections = open(path)?;
    let mut names = NamesPass::new();
    let end = names
        .run(&mut sections, cancel)
        .map_err(|error| error.with_path(path))?;
    if names.builder.object_count() == 0 {
        let problem = names
            .problems
            .into_iter()
            .next()
            .unwrap_or(Problem::CutOff { offset: end });
        return Err(DumpError::Nothing {
            path: path.to_owned(),
            problem,
        });
    }
    let NamesPass {
        builder,
        blocks,
        shapes,
        keys,
        header,
        source_files,
        roots,
        links,
        problems,
        repeated,
        ..
    } = names;
    let (links, lost_links) = resolved(links, &builder);
    let mut references = ReferencesPass {
        shapes,
        keys,
        references: builder.references(),
        links,
        problems,
    };
    for block in &blocks {
        cancel.check()?;
        references.block(&mut sections, block).map_err(io_error)?;
    }
    let ReferencesPass {
        references,
        mut problems,
        ..
    } = references;
    if repeated > 0 {
        problems.push(Problem::Repeated { count: repeated });
    }
    let dangling = references.dangling() + lost_links;
    if dangling > 0 {
        problems.push(Problem::Dangling { count: dangling });
    }
    cancel.check()?;
    let heap = references.finish(&roots);
    Ok(Dump {
        header: Header::from_members(&header),
        heap,
        source_files,
        problems,
    })
}

/// Whether the file ends as a whole dump does: one that does not is damaged, or still being written.
///
/// # Errors
/// [`DumpError`] when the file cannot be read, or is no dump.
pub fn is_finished(path: &Path) -> Result<bool, DumpError> {
    let mut sections = open(path)?;
    let Some(offset) = sections.length().checked_sub(END_BYTES) else {
        return Ok(false);
    };
    let section = sections
        .section_at(offset)
        .map_err(|source| DumpError::Io {
            path: path.to_owned(),
            source,
        })?;
    Ok(section.is_ok_and(|section| &section.tag.0 == b"END "))
}

/// Reads only what the dump says about its process, from the front of the file.
///
/// # Errors
/// [`DumpError`] when the file is no dump or its front is damaged.
pub fn read_header(path: &Path) -> Result<Header, DumpError> {
    let io_error = |source: io::Error| DumpError::Io {
        path: path.to_owned(),
        source,
    };
    let nothing = |problem| DumpError::Nothing {
        path: path.to_owned(),
        problem,
    };
    let mut sections = open(path)?;
    let section = sections
        .section_at(PREAMBLE_BYTES)
        .map_err(io_error)?
        .map_err(nothing)?;
    let mut body = Vec::new();
    sections
        .body(&section, &mut body)
        .map_err(io_error)?
        .map_err(nothing)?;
    let members = (&section.tag.0 == b"HEAD")
        .then(|| serde_json::from_slice(&body).ok())
        .flatten();
    match members {
        Some(members) => Ok(Header::from_members(&members)),
        None => Err(nothing(
            section.inconsistent("a dump starts with its header"),
        )),
    }
}

fn open(path: &Path) -> Result<SectionReader<BufReader<File>>, DumpError> {
    let io_error = |source: io::Error| DumpError::Io {
        path: path.to_owned(),
        source,
    };
    // Before it is opened: opening a pipe waits for somebody who writes into it.
    let metadata = std::fs::metadata(path).map_err(io_error)?;
    if metadata.is_dir() {
        return Err(io_error(io::Error::new(
            io::ErrorKind::IsADirectory,
            "is a folder, not a dump",
        )));
    }
    if !metadata.is_file() {
        return Err(io_error(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is a pipe or a device, not a dump",
        )));
    }
    let mut file = File::open(path).map_err(io_error)?;
    let metadata = file.metadata().map_err(io_error)?;
    let mut front = Vec::new();
    Read::by_ref(&mut file)
        .take(PREAMBLE_BYTES)
        .read_to_end(&mut front)
        .map_err(io_error)?;
    if front.is_empty() {
        return Err(DumpError::Empty {
            path: path.to_owned(),
        });
    }
    if !front.starts_with(&MAGIC[..front.len().min(MAGIC.len())]) {
        return Err(DumpError::Foreign {
            path: path.to_owned(),
            found: first_bytes(&front),
        });
    }
    if (front.len() as u64) < PREAMBLE_BYTES {
        let problem = Problem::CutOff {
            offset: front.len() as u64,
        };
        return Err(DumpError::Nothing {
            path: path.to_owned(),
            problem,
        });
    }
    let major = u16::from_le_bytes([front[8], front[9]]);
    if major > MAJOR_VERSION {
        return Err(DumpError::TooNew {
            path: path.to_owned(),
            found: major,
        });
    }
    // The length may be 0 for what is no regular file; then nothing after the preamble is read.
    Ok(SectionReader::new(
        BufReader::with_capacity(1 << 16, file),
        metadata.len(),
    ))
}

fn first_bytes(front: &[u8]) -> String {
    let front = &front[..front.len().min(8)];
    if front.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        format!("{:?}", String::from_utf8_lossy(front))
    } else {
        front
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" ")
    }
}
