//! How access paths are written: a root anchor, and the steps from there, as a programmer would write them.

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Written behind what comes before it: `.name`, `[3]`.
    Behind(String),
    /// Written around what comes before it: one thread's names of a thread-local object.
    OfThread,
}

impl From<String> for Step {
    fn from(text: String) -> Self {
        Self::Behind(text)
    }
}

/// A path from its anchor and its steps, the step next to the anchor first.
pub(crate) fn written<'a>(anchor: &str, steps: impl IntoIterator<Item = &'a Step>) -> String {
    let mut path = anchor.to_owned();
    for step in steps {
        match step {
            Step::Behind(text) => path.push_str(text),
            Step::OfThread => path = format!("<thread-local {path}>"),
        }
    }
    path
}

/// A function's qualified name without the marks of the functions around it.
pub(crate) fn without_locals(qualname: &str) -> String {
    qualname.replace(".<locals>", "")
}

/// A text as Python writes it.
pub(crate) fn python_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut written = String::with_capacity(text.len() + 2);
    written.push(quote);
    for character in text.chars() {
        match character {
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            character if character == quote => written.extend(['\\', character]),
            character if character.is_control() => {
                written.push_str(&format!("\\x{:02x}", character as u32))
            }
            character => written.push(character),
        }
    }
    written.push(quote);
    written
}
