//! What a dump says about the source files of its process.

use serde::Deserialize;

/// A source file as the process knew it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SourceFile {
    /// Path, as the interpreter writes it.
    pub path: String,
    /// Bytes, as the interpreter recorded them when it compiled the file.
    #[serde(default)]
    pub size: Option<u64>,
    /// Content at the time of the dump: SHA-256 in lower-case hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The file on disk was not the one that ran.
    #[serde(default)]
    pub changed: bool,
    /// CRC-32 of each line without its ending; empty for files that are not the program's own.
    #[serde(skip)]
    pub line_checksums: Vec<u32>,
}
