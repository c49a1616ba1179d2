//! Source text without its whitespace: what stays the same when code is indented, wrapped or spaced in another way.
//!
//! Only ASCII whitespace is left out; the rest may be part of a name. What stands in strings is no exception: `', '` and `','`
//! count as the same.

/// `text` without whitespace. A single space stays between two words: `not x` is not `notx`.
pub(crate) fn bare(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text.iter().copied();
    let mut last = b' ';
    let mut held = None;
    std::iter::from_fn(move || {
        if let Some(byte) = held.take() {
            return Some(byte);
        }
        let mut spaced = false;
        let byte = rest.find(|&byte| {
            let space = byte.is_ascii_whitespace();
            spaced |= space;
            !space
        })?;
        let apart = spaced && is_word(last) && is_word(byte);
        last = byte;
        if apart {
            held = Some(byte);
            return Some(b' ');
        }
        Some(byte)
    })
}

/// Whether two texts differ in whitespace at most.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one == other || bare(one).eq(bare(other))
}

/// How many bytes of `text` are no whitespace.
pub(crate) fn count(text: &[u8]) -> usize {
    text.iter()
        .filter(|&&byte| !byte.is_ascii_whitespace())
        .count()
}

/// Where in `text` the byte stands that comes after `count` that are no whitespace; the end if there is none.
pub(crate) fn nth(text: &[u8], count: usize) -> usize {
    let mut solid = (0..)
        .zip(text)
        .filter(|&(_, &byte)| !byte.is_ascii_whitespace());
    solid.nth(count).map_or(text.len(), |(at, _)| at)
}

/// How many bytes of whitespace `text` begins with.
pub(crate) fn indentation(text: &[u8]) -> usize {
    text.iter()
        .take_while(|&&byte| byte.is_ascii_whitespace())
        .count()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}
