//! Writes a dump file, section by section. For agents written in Rust, and for tests that need a file of their own.

use std::fmt;
use std::io::{self, Write};

use crate::section::{Codec, MAGIC, MAJOR_VERSION, MAX_SECTION_BYTES, MINOR_VERSION, Section, Tag};

/// Fast before small.
const ZSTD_LEVEL: i32 = 1;

/// Why a section could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file could not take it.
    #[error("writing the dump: {0}")]
    Io(#[from] io::Error),
    /// The body is larger than a section may be.
    #[error("section {tag} has {bytes} bytes, a section may have {MAX_SECTION_BYTES}")]
    TooLarge {
        /// Which.
        tag: Tag,
        /// How large.
        bytes: u64,
    },
}

/// A dump being written.
pub struct DumpWriter<W> {
    file: W,
    codec: Codec,
    sections: u64,
    /// Its tables are made once.
    zstd: Option<zstd::bulk::Compressor<'static>>,
    packed: Vec<u8>,
}

impl<W> fmt::Debug for DumpWriter<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DumpWriter")
            .field("codec", &self.codec)
            .field("sections", &self.sections)
            .finish_non_exhaustive()
    }
}

impl<W: Write> DumpWriter<W> {
    /// Writes the preamble.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn new(mut file: W, codec: Codec) -> Result<Self, WriteError> {
        file.write_all(&MAGIC)?;
        file.write_all(&MAJOR_VERSION.to_le_bytes())?;
        file.write_all(&MINOR_VERSION.to_le_bytes())?;
        file.write_all(&[0; 4])?;
        let zstd = match codec {
            Codec::Zstd => Some(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
            _ => None,
        };
        Ok(Self {
            file,
            codec,
            sections: 0,
            zstd,
            packed: Vec::new(),
        })
    }

    /// Writes a section. What its body holds is described in `FORMAT.md`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn section(&mut self, tag: Tag, body: &[u8]) -> Result<(), WriteError> {
        let plain = body.len() as u64;
        if plain > MAX_SECTION_BYTES {
            return Err(WriteError::TooLarge { tag, bytes: plain });
        }
        self.packed.clear();
        match (self.codec, &mut self.zstd) {
            (Codec::Zlib, _) => {
                let packed = std::mem::take(&mut self.packed);
                let mut packer =
                    flate2::write::ZlibEncoder::new(packed, flate2::Compression::fast());
                packer.write_all(body)?;
                self.packed = packer.finish()?;
            }
            (Codec::Zstd, Some(packer)) => {
                self.packed
                    .reserve(zstd::zstd_safe::compress_bound(body.len()));
                packer.compress_to_buffer(body, &mut self.packed)?;
            }
            _ => {}
        }
        // A small section may grow by being packed.
        let is_packed = self.codec != Codec::None && self.packed.len() < body.len();
        let (codec, stored) = if is_packed {
            (self.codec, &self.packed[..])
        } else {
            (Codec::None, body)
        };
        self.file
            .write_all(&Section::header(tag, codec, stored, plain))?;
        self.file.write_all(stored)?;
        self.sections += 1;
        Ok(())
    }

    /// Writes the end marker and gives the file back.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn finish(mut self, objects: u64) -> Result<W, WriteError> {
        let mut body = self.sections.to_le_bytes().to_vec();
        body.extend_from_slice(&objects.to_le_bytes());
        self.section(Tag(*b"END "), &body)?;
        self.file.flush()?;
        Ok(self.file)
    }
}
