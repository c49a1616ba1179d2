//! Writes a dump file, section by section. For agents written in Rust, and for tests that need a file of their own.

use std::io::{self, Write};

use crate::section::{Codec, MAGIC, MAJOR_VERSION, MAX_SECTION_BYTES, MINOR_VERSION, Section, Tag};

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
#[derive(Debug)]
pub struct DumpWriter<W> {
    file: W,
    codec: Codec,
    sections: u64,
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
        Ok(Self {
            file,
            codec,
            sections: 0,
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
        let packed = match self.codec {
            Codec::None => None,
            Codec::Zlib => {
                let mut packer =
                    flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                packer.write_all(body)?;
                Some(packer.finish()?)
            }
            Codec::Zstd => Some(zstd::bulk::compress(body, 1)?),
        };
        let stored = packed.as_deref().unwrap_or(body);
        self.file
            .write_all(&Section::header(tag, self.codec, stored, plain))?;
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
