//! Source text: from the bytes of a file to text, and from offsets in it to lines and columns.

use crate::Site;

/// A range of bytes of a decoded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: u32,
    /// Byte after the last.
    pub(crate) end: u32,
}

impl Span {
    /// Whether `other` lies in this range (and is not it).
    pub(crate) fn surrounds(self, other: Self) -> bool {
        self != other && self.start <= other.start && other.end <= self.end
    }
}

/// A file's text and where its lines start.
#[derive(Debug)]
pub(crate) struct Text {
    /// The text, without a byte order mark.
    pub(crate) text: String,
    line_starts: Vec<u32>,
}

/// A decoded file, or why it is none.
pub(crate) struct Decoded {
    /// The text, where there is one.
    pub(crate) text: Option<Text>,
    /// What is wrong with it.
    pub(crate) problem: Option<String>,
}

/// Larger files are data, not programs.
const LARGEST_FILE_BYTES: usize = 32 << 20;

/// Decodes a Python file as PEP 263 says: UTF-8, unless its first two lines declare otherwise.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    if bytes.len() > LARGEST_FILE_BYTES {
        return Decoded {
            text: None,
            problem: Some(format!(
                "not read: larger than {} MiB",
                LARGEST_FILE_BYTES >> 20
            )),
        };
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Decoded {
            text: Some(Text::new(text.to_owned())),
            problem: None,
        };
    }
    match declared_encoding(bytes).as_deref() {
        Some(
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "iso-8859-15" | "l1" | "cp1252"
            | "windows-1252",
        ) => Decoded {
            text: Some(Text::new(bytes.iter().copied().map(char::from).collect())),
            problem: None,
        },
        None | Some("utf-8" | "utf8") => Decoded {
            text: Some(Text::new(String::from_utf8_lossy(bytes).into_owned())),
            problem: Some("not UTF-8: read with replacement characters".to_owned()),
        },
        Some(other) => Decoded {
            text: None,
            problem: Some(format!("not read: encoded in {other}")),
        },
    }
}

/// The name in `coding: name` or `coding=name` of a comment in the first two lines.
fn declared_encoding(bytes: &[u8]) -> Option<String> {
    for line in bytes.split(|&byte| byte == b'\n').take(2) {
        let Some(comment) = memchr::memchr(b'#', line) else {
            continue;
        };
        let Some(at) = memchr::memmem::find(&line[comment..], b"coding") else {
            continue;
        };
        let rest = &line[comment + at + "coding".len()..];
        let Some((b':' | b'=', rest)) = rest.split_first() else {
            continue;
        };
        let name: String = rest
            .iter()
            .skip_while(|byte| byte.is_ascii_whitespace())
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
            .map(|&byte| char::from(byte.to_ascii_lowercase()))
            .collect();
        return Some(name.replace('_', "-"));
    }
    None
}

impl Text {
    fn new(text: String) -> Self {
        let bytes = text.as_bytes();
        let mut line_starts = vec![0];
        for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            let carriage_return_of_pair = bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n');
            if !carriage_return_of_pair {
                line_starts.push(u32::try_from(at + 1).unwrap_or(u32::MAX));
            }
        }
        Self { text, line_starts }
    }

    /// 1-based line of an offset.
    pub(crate) fn line(&self, offset: u32) -> u32 {
        u32::try_from(self.line_starts.partition_point(|&start| start <= offset))
            .unwrap_or(u32::MAX)
    }

    /// 1-based line and column of an offset; the column counts code points.
    fn position(&self, offset: u32) -> (u32, u32) {
        let line = self.line(offset);
        let start = self
            .line_starts
            .get(line as usize - 1)
            .copied()
            .unwrap_or_default() as usize;
        let before = self.text.get(start..offset as usize).unwrap_or_default();
        (
            line,
            u32::try_from(before.chars().count())
                .unwrap_or(u32::MAX)
                .saturating_add(1),
        )
    }

    /// The site of a range in the file at `path`.
    pub(crate) fn site(&self, path: &str, span: Span) -> Site {
        let (line, column) = self.position(span.start);
        let (end_line, end_column) = self.position(span.end);
        Site {
            path: path.to_owned(),
            line,
            column,
            end_line,
            end_column,
        }
    }
}
