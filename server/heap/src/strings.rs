//! The string table of a heap: all texts in one piece of memory, named by dense ids.

/// A row of the string table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StringId(pub u32);

impl StringId {
    /// No string.
    pub const NONE: Self = Self(u32::MAX);
}

/// Texts, one after the other.
#[derive(Debug, Clone)]
pub struct Strings {
    text: String,
    ends: Vec<u32>,
}

impl Default for Strings {
    fn default() -> Self {
        Self::new()
    }
}

impl Strings {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            text: String::new(),
            ends: Vec::new(),
        }
    }

    /// Adds a row. A table is full at 4 GiB of text: then the row is empty.
    pub fn push(&mut self, text: &str) -> StringId {
        let id = StringId(self.ends.len() as u32);
        if u32::try_from(self.text.len() + text.len()).is_ok() {
            self.text.push_str(text);
        }
        self.ends.push(self.text.len() as u32);
        id
    }

    /// The text of a row; empty for [`StringId::NONE`] and for rows that do not exist.
    pub fn get(&self, id: StringId) -> &str {
        let Some(&end) = self.ends.get(id.0 as usize) else {
            return "";
        };
        let start = if id.0 == 0 {
            0
        } else {
            self.ends[id.0 as usize - 1]
        };
        &self.text[start as usize..end as usize]
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}
