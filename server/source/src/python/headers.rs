//! Where the header of a class or function stands: without its decorators, and without the colon.

use ruff_python_ast::{Decorator, StmtClassDef, StmtFunctionDef};
use ruff_text_size::Ranged;

use crate::text::Span;

/// `async def name(…) -> …`.
pub(super) fn of_function(def: &StmtFunctionDef, text: &str) -> Span {
    let end = def
        .returns
        .as_deref()
        .map_or(def.parameters.end(), Ranged::end);
    Span {
        start: keyword_start(&def.decorator_list, u32::from(def.start()), text),
        end: u32::from(end),
    }
}

/// `class Name(…)`.
pub(super) fn of_class(def: &StmtClassDef, text: &str) -> Span {
    let end = def.arguments.as_deref().map_or(def.name.end(), Ranged::end);
    Span {
        start: keyword_start(&def.decorator_list, u32::from(def.start()), text),
        end: u32::from(end),
    }
}

/// The parser lets a decorated definition start at its first decorator. Between the last one and the keyword stand
/// line ends, comments and indentation.
fn keyword_start(decorators: &[Decorator], start: u32, text: &str) -> u32 {
    let Some(last) = decorators.last() else {
        return start;
    };
    let bytes = text.as_bytes();
    let mut at = last.end().to_usize();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => {
                at += memchr::memchr2(b'\n', b'\r', &bytes[at..]).unwrap_or(bytes.len() - at);
            }
            b' ' | b'\t' | b'\x0c' | b'\n' | b'\r' | b'\\' => at += 1,
            _ => break,
        }
    }
    u32::try_from(at).unwrap_or(u32::MAX)
}
