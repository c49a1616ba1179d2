//! Positions: the protocol counts lines from 0 and columns in units that client and server agree on; findings count lines and
//! columns from 1, columns in code points.

use heldby_finding::Range as SourceRange;
use tower_lsp::ls_types::{Position, PositionEncodingKind, Range};

/// What the columns of the protocol count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Bytes.
    Utf8,
    /// 16-bit units: what every client understands.
    Utf16,
    /// Code points.
    Utf32,
}

impl Encoding {
    /// The best of those that the client offers. Bytes need no counting.
    pub(crate) fn negotiated(offered: Option<&[PositionEncodingKind]>) -> Self {
        let offered = offered.unwrap_or_default();
        if offered.contains(&PositionEncodingKind::UTF8) {
            Self::Utf8
        } else if offered.contains(&PositionEncodingKind::UTF32)
            && !offered.contains(&PositionEncodingKind::UTF16)
        {
            Self::Utf32
        } else {
            Self::Utf16
        }
    }

    pub(crate) fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
            Self::Utf32 => PositionEncodingKind::UTF32,
        }
    }

    fn units(self, character: char) -> usize {
        match self {
            Self::Utf8 => character.len_utf8(),
            Self::Utf16 => character.len_utf16(),
            Self::Utf32 => 1,
        }
    }

    fn length(self, text: &str) -> u32 {
        number(
            text.chars()
                .map(|character| self.units(character))
                .sum::<usize>(),
        )
    }
}

/// A text and where its lines begin. Lines end at `\n`, `\r\n` and `\r`, as in Python and in the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lines {
    text: String,
    starts: Vec<usize>,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

impl Lines {
    pub(crate) fn new(text: String) -> Self {
        let starts = line_starts(&text);
        Self { text, starts }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Replaces a range by another text.
    pub(crate) fn replace(&mut self, range: Range, encoding: Encoding, by: &str) {
        let start = self.offset(range.start, encoding);
        let end = self.offset(range.end, encoding).max(start);
        self.text.replace_range(start..end, by);
        self.starts = line_starts(&self.text);
    }

    /// A line without its ending, 0-based.
    pub(crate) fn line(&self, line: usize) -> Option<&str> {
        let start = *self.starts.get(line)?;
        let end = self.starts.get(line + 1).copied();
        let end = end.unwrap_or(self.text.len());
        Some(self.text.get(start..end)?.trim_end_matches(['\n', '\r']))
    }

    /// The position behind a line's last character.
    pub(crate) fn end_of(&self, line: u32, encoding: Encoding) -> Position {
        let text = self.line(line as usize).unwrap_or_default();
        Position::new(line, encoding.length(text))
    }

    /// The byte at a position. What lies behind the end of a line or of the text is its end.
    pub(crate) fn offset(&self, position: Position, encoding: Encoding) -> usize {
        let line = position.line as usize;
        let (Some(start), Some(text)) = (self.starts.get(line), self.line(line)) else {
            return self.text.len();
        };
        let mut units = position.character as usize;
        for (at, character) in text.char_indices() {
            let of_this = encoding.units(character);
            if units < of_this {
                return start + at;
            }
            units -= of_this;
        }
        start + text.len()
    }

    /// By how many lines a stretch of lines (1-based, both ends in it) stands lower in a later text, if all that differs lies before
    /// or behind it.
    pub(crate) fn shift_to(&self, later: &Self, first: u32, last: u32) -> Option<i32> {
        let (old, new) = (self.text.as_bytes(), later.text.as_bytes());
        let start = *self.starts.get((first as usize).checked_sub(1)?)?;
        // To where the next line begins: a line is whole with its end.
        let end = self.starts.get(last as usize).copied();
        if end.is_some_and(|end| new.get(..end) == Some(&old[..end])) {
            return Some(0);
        }
        let behind = &old[start..];
        if start == 0 || !new.ends_with(behind) {
            return None;
        }
        let line = later
            .starts
            .binary_search(&(new.len() - behind.len()))
            .ok()?;
        i32::try_from(line as i64 + 1 - i64::from(first)).ok()
    }

    /// The range of the protocol.
    pub(crate) fn to_protocol(&self, range: SourceRange, encoding: Encoding) -> Range {
        Range {
            start: self.position(range.line, range.column, encoding),
            end: self.position(range.end_line, range.end_column, encoding),
        }
    }

    /// The range of bytes of the text, on the borders of characters.
    pub(crate) fn range(&self, bytes: std::ops::Range<usize>, encoding: Encoding) -> Range {
        let position = |at: usize| {
            let line = self.starts.partition_point(|start| *start <= at).max(1) - 1;
            let before = self
                .starts
                .get(line)
                .and_then(|start| self.text.get(*start..at));
            Position {
                line: u32::try_from(line).unwrap_or(u32::MAX),
                character: encoding.length(before.unwrap_or_default()),
            }
        };
        Range {
            start: position(bytes.start),
            end: position(bytes.end),
        }
    }

    fn position(&self, line: u32, column: u32, encoding: Encoding) -> Position {
        let line = line.saturating_sub(1);
        let text = self.line(line as usize).unwrap_or_default();
        let mark = usize::from(line == 0 && text.starts_with(BYTE_ORDER_MARK));
        let column = column.saturating_sub(1) as usize + mark;
        let before = text
            .char_indices()
            .nth(column)
            .map_or(text, |(at, _)| &text[..at]);
        Position {
            line,
            character: encoding.length(before),
        }
    }

    /// The name at a position: `Photo` of `photos.Photo(x)`.
    pub(crate) fn word_at(&self, position: Position, encoding: Encoding) -> Option<&str> {
        let offset = self.offset(position, encoding);
        let (before, after) = self.text.split_at_checked(offset)?;
        let is_of_name = |character: char| character == '_' || character.is_alphanumeric();
        let start = before
            .char_indices()
            .rev()
            .take_while(|(_, character)| is_of_name(*character))
            .last()
            .map_or(offset, |(at, _)| at);
        let end = after
            .char_indices()
            .find(|(_, character)| !is_of_name(*character))
            .map_or(self.text.len(), |(at, _)| offset + at);
        let word = self.text.get(start..end)?;
        word.chars()
            .next()
            .is_some_and(|first| !first.is_numeric())
            .then_some(word)
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (at, byte) in bytes.iter().enumerate() {
        let ends_line = *byte == b'\n'
            || (*byte == b'\r' && bytes.get(at + 1).is_none_or(|next| *next != b'\n'));
        if ends_line {
            starts.push(at + 1);
        }
    }
    starts
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(line: u32, from: u32, to: u32) -> SourceRange {
        SourceRange {
            line,
            column: from,
            end_line: line,
            end_column: to,
        }
    }

    fn columns(text: &str, line: u32, from: u32, to: u32, encoding: Encoding) -> (u32, u32) {
        let range = Lines::new(text.to_owned()).to_protocol(range(line, from, to), encoding);
        assert_eq!(range.start.line, line - 1);
        (range.start.character, range.end.character)
    }

    #[test]
    fn columns_are_counted_in_the_units_agreed_on() {
        // An emoji, and a letter with a combining mark, before the name `x`.
        let text = "a = 1\r\n\t'🦀e\u{301}', x\r\n";
        assert_eq!(columns(text, 2, 9, 10, Encoding::Utf32), (8, 9));
        assert_eq!(columns(text, 2, 9, 10, Encoding::Utf16), (9, 10));
        assert_eq!(columns(text, 2, 9, 10, Encoding::Utf8), (12, 13));
    }

    #[test]
    fn a_byte_order_mark_that_the_client_kept_is_a_column() {
        assert_eq!(columns("\u{feff}x = []", 1, 1, 2, Encoding::Utf16), (1, 2));
    }

    #[test]
    fn what_lies_behind_the_end_is_the_end() {
        assert_eq!(columns("x\n", 1, 5, 9, Encoding::Utf16), (1, 1));
        let lines = Lines::new("ab\ncd".to_owned());
        let end = Position::new(7, 0);
        assert_eq!(lines.offset(end, Encoding::Utf16), 5);
        assert_eq!(lines.offset(Position::new(0, 99), Encoding::Utf16), 2);
    }

    #[test]
    fn a_position_inside_a_character_is_before_it() {
        let lines = Lines::new("🦀x".to_owned());
        assert_eq!(lines.offset(Position::new(0, 1), Encoding::Utf16), 0);
        assert_eq!(lines.offset(Position::new(0, 2), Encoding::Utf16), 4);
    }

    #[test]
    fn lines_before_and_behind_an_edit_are_known_without_reading() {
        let old = Lines::new("a\nb\nc\nd".to_owned());
        let shift =
            |text: &str, first, last| old.shift_to(&Lines::new(text.to_owned()), first, last);
        // Behind it, before it, on it; and at the end of the text, where a line has no end of its own.
        assert_eq!(shift("a\nx\ny\nc\nd", 3, 4), Some(1));
        assert_eq!(shift("a\nx\ny\nc\nd", 1, 1), Some(0));
        assert_eq!(shift("a\nx\ny\nc\nd", 2, 2), None);
        assert_eq!(shift("a\nb\nc\nd", 4, 4), Some(0));
        assert_eq!(shift("a\nb\nc\nde", 4, 4), None);
        assert_eq!(shift("c\nd", 3, 4), Some(-2));
        // The same bytes, but no longer a line of their own.
        assert_eq!(shift("a\nbc\nd", 3, 4), None);
        assert_eq!(shift("", 1, 1), None);
    }

    #[test]
    fn words_are_names() {
        let lines = Lines::new("keep(photos.Photo_1(größe))".to_owned());
        let word = |column| lines.word_at(Position::new(0, column), Encoding::Utf32);
        assert_eq!(word(12), Some("Photo_1"));
        assert_eq!(word(19), Some("Photo_1"));
        assert_eq!(word(22), Some("größe"));
        assert_eq!(word(27), None);
    }

    #[test]
    fn every_way_to_end_a_line() {
        let lines = Lines::new("a\rb\r\nc\nd".to_owned());
        let all: Vec<_> = (0..5).map(|line| lines.line(line)).collect();
        assert_eq!(all, [Some("a"), Some("b"), Some("c"), Some("d"), None]);
    }
}
