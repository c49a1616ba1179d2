//! Records the source files of the heap: content hashes, and a checksum of each line of the program's own.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

use heldby_dump::WriteError;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::sections::Sections;

#[derive(Serialize)]
struct FileRow<'a> {
    path: &'a str,
    size: u64,
    mtime: i64,
    sha256: Option<String>,
    changed: bool,
}

/// Writes the rows of the files that can be read.
pub(crate) fn write<W: Write>(
    out: &mut Sections<W>,
    mut paths: Vec<Vec<u8>>,
    library_folders: &[String],
) -> Result<(), WriteError> {
    paths.sort_unstable();
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    for path in &paths {
        let file = OsStr::from_bytes(path);
        let (Ok(path), Ok(status)) = (std::str::from_utf8(path), fs::metadata(file)) else {
            continue;
        };
        let content = fs::read(file).ok();
        rows.push(FileRow {
            path,
            size: status.size(),
            mtime: status.mtime(),
            sha256: content.as_deref().map(hexadecimal_hash),
            changed: false,
        });
        let is_of_library = library_folders.iter().any(|folder| {
            path.strip_prefix(folder.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        });
        if let (false, Some(content)) = (is_of_library, content) {
            lines.push((path, checksums_of_lines(&content)));
        }
    }
    let json = serde_json::to_vec(&rows).unwrap_or_else(|_| b"[]".to_vec());
    out.section(b"FILE", |body| body.bytes(&json))?;
    for (path, checksums) in lines {
        let path = out.string(path.as_bytes());
        out.section(b"LINE", |body| {
            body.u32(path);
            body.u32(checksums.len() as u32);
            body.column32(&checksums);
        })?;
    }
    Ok(())
}

fn hexadecimal_hash(content: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(content) {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

/// Of each line without its line ending: `\n`, `\r\n` or `\r`.
fn checksums_of_lines(content: &[u8]) -> Vec<u32> {
    let mut checksums = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let (line, after) = match end {
            None => (rest, rest.len()),
            Some(end) if rest[end..].starts_with(b"\r\n") => (&rest[..end], end + 2),
            Some(end) => (&rest[..end], end + 1),
        };
        checksums.push(crc32fast::hash(line));
        rest = &rest[after..];
    }
    checksums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_three_ways() {
        let of = |text: &[u8]| crc32fast::hash(text);
        assert_eq!(
            checksums_of_lines(b"a\nb\r\n\rc"),
            [of(b"a"), of(b"b"), of(b""), of(b"c")]
        );
        assert_eq!(checksums_of_lines(b"a\n"), [of(b"a")]);
        assert!(checksums_of_lines(b"").is_empty());
    }
}
