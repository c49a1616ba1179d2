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

/// The text of a Python file, without a byte order mark: UTF-8, or Latin-1 and its kin where the first two lines declare
/// that. What is no UTF-8 although it should be is replaced by U+FFFD. `None` for other encodings and for more than 32 MiB.
///
/// The columns of a [`Site`] count the code points of this text.
#[must_use]
pub fn decode_source(bytes: &[u8]) -> Option<String> {
    Some(decode(bytes).text?.text)
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
    pub(crate) fn new(text: String) -> Self {
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

    /// The bytes of a range, none where it does not lie in the text.
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        let range = span.start as usize..span.end as usize;
        self.text.as_bytes().get(range).unwrap_or_default()
    }

    /// The range of a line, counted from 0, with its line end.
    pub(crate) fn line_span(&self, line: usize) -> Option<Span> {
        let start = *self.line_starts.get(line)?;
        let end = match self.line_starts.get(line + 1) {
            Some(&next) => next,
            None => u32::try_from(self.text.len()).ok()?,
        };
        Some(Span { start, end })
    }

    /// The range of a site, if the text has its lines. Columns behind the end of a line count as its end.
    pub(crate) fn span(&self, site: &Site) -> Option<Span> {
        let start = self.offset(site.line, site.column)?;
        let end = self.offset(site.end_line, site.end_column)?;
        (start <= end).then_some(Span { start, end })
    }

    fn offset(&self, line: u32, column: u32) -> Option<u32> {
        let whole = self.line_span(usize::try_from(line.checked_sub(1)?).ok()?)?;
        let (start, end) = (whole.start as usize, whole.end as usize);
        let line = self.text.get(start..end)?.trim_end_matches(['\n', '\r']);
        let before = usize::try_from(column.checked_sub(1)?).ok()?;
        let within = line
            .char_indices()
            .nth(before)
            .map_or(line.len(), |(at, _)| at);
        u32::try_from(start + within).ok()
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

/// The lines of `text`, without their endings (`\n`, `\r\n`, `\r`).
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match memchr::memchr2(b'\n', b'\r', rest) {
            None => Some(std::mem::take(&mut rest)),
            Some(end) => {
                let line = &rest[..end];
                let ending = if rest[end..].starts_with(b"\r\n") {
                    2
                } else {
                    1
                };
                rest = &rest[end + ending..];
                Some(line)
            }
        }
    })
}
