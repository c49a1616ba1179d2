//! Sections of a dump file: headers, bodies, codecs and checksums.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use crate::Problem;

/// First bytes of a dump.
pub(crate) const MAGIC: [u8; 8] = *b"\x89HELDBY\n";
/// The format's major version that this crate writes, and the newest it reads.
pub const MAJOR_VERSION: u16 = 1;
/// The format's minor version that this crate writes.
pub(crate) const MINOR_VERSION: u16 = 2;
/// Bytes before the first section.
pub(crate) const PREAMBLE_BYTES: u64 = 16;
/// Bytes of a section's header.
pub(crate) const HEADER_BYTES: u64 = 32;
/// Bytes of the last section: its header, and two numbers.
pub(crate) const END_BYTES: u64 = HEADER_BYTES + 16;
/// Most bytes of a section's body, packed or not.
pub const MAX_SECTION_BYTES: u64 = 256 << 20;

/// The four letters that name a section.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(pub [u8; 4]);

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// Not at all.
    None = 0,
    /// RFC 1950.
    Zlib = 1,
    /// RFC 8878.
    Zstd = 2,
}

/// A section's header, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section {
    pub(crate) tag: Tag,
    /// Where the header starts.
    pub(crate) offset: u64,
    codec: u8,
    stored: u64,
    plain: u64,
    checksum: u32,
}

impl Section {
    pub(crate) fn header(
        tag: Tag,
        codec: Codec,
        stored: &[u8],
        plain: u64,
    ) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[..4].copy_from_slice(&tag.0);
        bytes[4] = codec as u8;
        bytes[8..16].copy_from_slice(&(stored.len() as u64).to_le_bytes());
        bytes[16..24].copy_from_slice(&plain.to_le_bytes());
        bytes[24..28].copy_from_slice(&crc32fast::hash(stored).to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn end(&self) -> u64 {
        self.offset + HEADER_BYTES + self.stored
    }

    pub(crate) fn damaged(&self, reason: &'static str) -> Problem {
        Problem::DamagedSection {
            tag: self.tag,
            offset: self.offset,
            reason,
        }
    }

    pub(crate) fn inconsistent(&self, reason: &'static str) -> Problem {
        Problem::Inconsistent {
            tag: self.tag,
            offset: self.offset,
            reason,
        }
    }
}

/// Reads sections off a file of known length.
#[derive(Debug)]
pub(crate) struct SectionReader<R> {
    file: R,
    length: u64,
    packed: Vec<u8>,
}

impl<R: Read + Seek> SectionReader<R> {
    pub(crate) fn new(file: R, length: u64) -> Self {
        Self {
            file,
            length,
            packed: Vec::new(),
        }
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The section that starts at `offset`; `Err(Ok(problem))` when there is no whole one.
    pub(crate) fn section_at(&mut self, offset: u64) -> io::Result<Result<Section, Problem>> {
        if self.length.saturating_sub(offset) < HEADER_BYTES {
            return Ok(Err(Problem::CutOff {
                offset: self.length,
            }));
        }
        let mut bytes = [0; HEADER_BYTES as usize];
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(&mut bytes)?;
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if crc32fast::hash(&bytes[..28]) != u32_at(28) {
            return Ok(Err(Problem::DamagedHeader { offset }));
        }
        let section = Section {
            tag: Tag([bytes[0], bytes[1], bytes[2], bytes[3]]),
            offset,
            codec: bytes[4],
            stored: u64_at(8),
            plain: u64_at(16),
            checksum: u32_at(24),
        };
        if section.stored > MAX_SECTION_BYTES || section.plain > MAX_SECTION_BYTES {
            return Ok(Err(Problem::DamagedHeader { offset }));
        }
        if section.stored > self.length - offset - HEADER_BYTES {
            return Ok(Err(Problem::CutOff {
                offset: self.length,
            }));
        }
        Ok(Ok(section))
    }

    /// Reads a section's body into `body`, checked and unpacked.
    pub(crate) fn body(
        &mut self,
        section: &Section,
        body: &mut Vec<u8>,
    ) -> io::Result<Result<(), Problem>> {
        self.file
            .seek(SeekFrom::Start(section.offset + HEADER_BYTES))?;
        let stored = if section.codec == Codec::None as u8 {
            &mut *body
        } else {
            &mut self.packed
        };
        stored.clear();
        stored.resize(section.stored as usize, 0);
        self.file.read_exact(stored)?;
        if crc32fast::hash(stored) != section.checksum {
            return Ok(Err(section.damaged("its checksum does not match")));
        }
        // One byte more than promised may come out, and no more: enough to tell.
        let limit = section.plain + 1;
        let unpacked = match section.codec {
            0 => Ok(()),
            1 => {
                body.clear();
                flate2::read::ZlibDecoder::new(&self.packed[..])
                    .take(limit)
                    .read_to_end(body)
                    .map(|_| ())
            }
            2 => {
                body.clear();
                zstd::stream::read::Decoder::with_buffer(&self.packed[..])
                    .and_then(|decoder| decoder.take(limit).read_to_end(body))
                    .map(|_| ())
            }
            _ => return Ok(Err(section.damaged("an unknown codec"))),
        };
        if unpacked.is_err() {
            return Ok(Err(section.damaged("it cannot be unpacked")));
        }
        if body.len() as u64 != section.plain {
            return Ok(Err(section.damaged("its size is not what its header says")));
        }
        Ok(Ok(()))
    }
}
