//! Deep nesting: parsing, lowering and dropping a syntax tree recurse. How deep is bounded here from the text, before;
//! deep files get a stack of their own, absurdly deep ones are refused.

/// Up to this depth the caller's stack serves.
const SHALLOW: u32 = 48;
/// Beyond this depth a file is not parsed.
const DEEPEST: u32 = 3_000;
/// For files in between. Reserved, not used, memory: only touched pages count.
const DEEP_STACK_BYTES: usize = 256 << 20;

/// Runs `parse` with a stack that serves for `text`.
pub(super) fn with_room_for<T: Send>(
    text: &str,
    parse: impl FnOnce() -> T + Send,
) -> Result<T, String> {
    let depth = deepest(text.as_bytes());
    if depth <= SHALLOW {
        return Ok(parse());
    }
    if depth > DEEPEST {
        return Err("not parsed: nested too deeply".to_owned());
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("heldby-parse".to_owned())
            .stack_size(DEEP_STACK_BYTES)
            .spawn_scoped(scope, parse)
            .map_err(|error| format!("not parsed: {error}"))?
            .join()
            .map_err(|_| "not parsed: the parser gave up".to_owned())
    })
}

/// An upper bound, roughly, of the depth of the syntax tree: open brackets and indentation, and at each bracket level
/// the operators and words since the last comma or end of line.
fn deepest(bytes: &[u8]) -> u32 {
    let mut open: Vec<u32> = Vec::new();
    let (mut chain, mut sum, mut deepest, mut indent) = (0_u32, 0_u32, 0_u32, 0_u32);
    let mut at = 0;
    let mut line_start = true;
    while let Some(&byte) = bytes.get(at) {
        if line_start && open.is_empty() {
            let width = bytes[at..]
                .iter()
                .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\x0c'))
                .count();
            indent = u32::try_from(width).unwrap_or(u32::MAX);
            at += width;
            line_start = false;
            continue;
        }
        match byte {
            b'\n' | b'\r' => {
                line_start = true;
                if open.is_empty() {
                    chain = 0;
                }
            }
            b'\\' if matches!(bytes.get(at + 1), Some(b'\n' | b'\r')) => at += 1,
            b'#' => {
                at += memchr::memchr2(b'\n', b'\r', &bytes[at..]).unwrap_or(bytes.len() - at);
                continue;
            }
            b'"' | b'\'' => {
                at = after_string(bytes, at);
                continue;
            }
            b'(' | b'[' | b'{' => {
                open.push(chain);
                sum = sum.saturating_add(chain).saturating_add(1);
                chain = 0;
            }
            b')' | b']' | b'}' => {
                if let Some(outer) = open.pop() {
                    sum -= outer + 1;
                    chain = outer + 1;
                }
            }
            b',' | b';' => chain = 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let word = bytes[at..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                    .count();
                let keyword = matches!(
                    &bytes[at..at + word],
                    b"not"
                        | b"lambda"
                        | b"if"
                        | b"else"
                        | b"await"
                        | b"and"
                        | b"or"
                        | b"in"
                        | b"is"
                        | b"yield"
                        | b"from"
                        | b"case"
                );
                if keyword {
                    chain = chain.saturating_add(1);
                }
                at += word;
                deepest = deepest.max(sum.saturating_add(chain).saturating_add(indent));
                continue;
            }
            b'+' | b'-' | b'*' | b'/' | b'%' | b'@' | b'&' | b'|' | b'^' | b'~' | b'<' | b'>'
            | b'=' | b'!' | b'.' | b':' => {
                chain = chain.saturating_add(1);
            }
            _ => {}
        }
        deepest = deepest.max(sum.saturating_add(chain).saturating_add(indent));
        at += 1;
    }
    deepest
}

/// The offset after the string that starts at `at`. An unfinished one ends with its line, or with the file.
fn after_string(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let triple = bytes[at..].starts_with(&[quote, quote, quote]);
    let mut here = at + if triple { 3 } else { 1 };
    while let Some(&byte) = bytes.get(here) {
        match byte {
            b'\\' => here += 1,
            b'\n' if !triple => return here,
            _ if byte == quote && !triple => return here + 1,
            _ if byte == quote && bytes[here..].starts_with(&[quote, quote, quote]) => {
                return here + 3;
            }
            _ => {}
        }
        here += 1;
    }
    bytes.len()
}
