//! Reads objects of the built-in types: what they are made of, by the layout of this interpreter.

use crate::interpreter::Interpreter;
use crate::layout::{DictionaryKeysLayout, IntegerLayout, Layout, VariablesLayout, shared};
use crate::memory::{Address, Memory};

/// An immortal object's count is a pattern of high bits since 3.12 and 999999999 before; no real count comes near.
const LEAST_IMMORTAL_COUNT: u64 = 900_000_000;
/// What a dump has in place of an immortal object's count, and of one that is too large.
const IMMORTAL: u32 = 0xFFFF_FFFF;

/// Objects, as the interpreter at hand keeps them.
#[derive(Clone, Copy)]
pub(crate) struct Objects {
    pub(crate) memory: Memory,
    pub(crate) interpreter: Interpreter,
    pub(crate) layout: Layout,
    pub(crate) is_free_threaded: bool,
    /// Bytes of an object's header.
    pub(crate) header: u64,
    pub(crate) text_type: Address,
    pub(crate) integer_type: Address,
    /// For which there is room in an integer at least.
    pub(crate) least_digits: u64,
}

impl Objects {
    #[inline]
    pub(crate) fn type_of(&self, object: Address) -> Address {
        self.memory.word(object + self.header - 8)
    }

    /// A word of an object, counted from the end of its header.
    #[inline]
    pub(crate) fn field(&self, object: Address, offset: u64) -> u64 {
        self.memory.word(object + self.header + offset)
    }

    #[inline]
    pub(crate) fn field32(&self, object: Address, offset: u64) -> u32 {
        self.memory.u32(object + self.header + offset)
    }

    /// What the collector keeps before an object.
    pub(crate) fn collector_header(&self) -> u64 {
        if self.is_free_threaded { 0 } else { 16 }
    }

    /// The reference count as a dump has it, without `ours`.
    #[inline]
    pub(crate) fn count(&self, object: Address, ours: u32) -> u32 {
        let count = if self.is_free_threaded {
            let local = self.memory.u32(object + 12);
            if local == u32::MAX {
                return IMMORTAL;
            }
            let shared = self.memory.signed(object + 16) >> 2;
            let deferred = i64::from(self.memory.u8(object + 11) & 0x40 != 0);
            let sum = i64::from(local) + shared;
            // One of them is the interpreter's own (PEP 703).
            u64::try_from(sum - if sum > 0 { deferred } else { 0 }).unwrap_or(0)
        } else if self.layout.counts_have_32_bits {
            u64::from(self.memory.u32(object))
        } else {
            self.memory.word(object)
        };
        if count >= LEAST_IMMORTAL_COUNT {
            return IMMORTAL;
        }
        (count as u32).saturating_sub(ours)
    }

    // Types.

    pub(crate) fn type_flags(&self, type_: Address) -> u64 {
        self.field(type_, shared::TYPE_FLAGS)
    }

    /// The bases in the order of resolution, the type itself first; the type alone where the interpreter has not made it ready.
    pub(crate) fn order(&self, type_: Address) -> Vec<Address> {
        let order = self.field(type_, shared::TYPE_ORDER);
        if order == 0 {
            return vec![type_];
        }
        self.tuple(order).collect()
    }

    /// Module and qualified name, as the interpreter says them.
    pub(crate) fn name_of_type(&self, type_: Address) -> (TypeModule, Vec<u8>) {
        let name = self.memory.c_text(self.field(type_, shared::TYPE_NAME));
        if self.type_flags(type_) & shared::IS_HEAP_TYPE != 0 {
            let mut qualified = Vec::new();
            let text = self.field(type_, self.layout.type_qualified_name);
            if text == 0 || !self.append_text(text, usize::MAX, &mut qualified) {
                qualified = name.to_vec();
            }
            return (TypeModule::InNamespace, qualified);
        }
        match name.iter().rposition(|byte| *byte == b'.') {
            Some(dot) => (
                TypeModule::Known(name[..dot].to_vec()),
                name[dot + 1..].to_vec(),
            ),
            None => (TypeModule::Known(b"builtins".to_vec()), name.to_vec()),
        }
    }

    // Containers.

    #[inline]
    pub(crate) fn size_field(&self, object: Address) -> u64 {
        self.field(object, shared::SIZE)
    }

    /// The items of a tuple, 0 where there is none yet.
    pub(crate) fn tuple(&self, tuple: Address) -> impl ExactSizeIterator<Item = Address> + use<> {
        self.words(
            tuple + self.header + self.layout.tuple_items,
            self.size_field(tuple),
        )
    }

    /// The items of a list, 0 where there is none.
    pub(crate) fn list(&self, list: Address) -> impl ExactSizeIterator<Item = Address> + use<> {
        self.words(self.field(list, shared::LIST_ITEMS), self.size_field(list))
    }

    fn words(&self, start: Address, count: u64) -> impl ExactSizeIterator<Item = Address> + use<> {
        let memory = self.memory;
        // A table has no more words than the memory of a process.
        let count = usize::try_from(count.min(1 << 40)).unwrap_or(0);
        (0..count).map(move |place| memory.word(start + place as u64 * 8))
    }

    /// Calls `visit` with the members of a set.
    pub(crate) fn each_member(&self, set: Address, mut visit: impl FnMut(Address)) {
        let (table, mask) = (
            self.field(set, shared::SET_TABLE),
            self.field(set, shared::SET_MASK),
        );
        for place in 0..=mask {
            let entry = table + place * 16;
            let key = self.memory.word(entry);
            // Where a member was removed stands a key that is nobody's, with a hash that no object has.
            if key != 0 && self.memory.signed(entry + 8) != -1 {
                visit(key);
            }
        }
    }

    /// Calls `visit` with key and value of the entries of a dictionary.
    #[inline]
    pub(crate) fn each_entry(&self, dictionary: Address, mut visit: impl FnMut(Address, Address)) {
        let (keys, values) = (
            self.field(dictionary, shared::DICTIONARY_KEYS),
            self.field(dictionary, shared::DICTIONARY_VALUES),
        );
        if self.field(dictionary, shared::DICTIONARY_USED) == 0 {
            return;
        }
        if values != 0 {
            // The values stand apart, in an order of their own.
            let mut place = 0;
            while let Some((key, value)) = self.interpreter.next_entry(dictionary, &mut place) {
                visit(key, value);
            }
            return;
        }
        let table = self.key_table(keys);
        for place in 0..table.count {
            let entry = table.entries + place * table.entry_bytes;
            let value = self.memory.word(entry + table.key_offset + 8);
            if value != 0 {
                visit(self.memory.word(entry + table.key_offset), value);
            }
        }
    }

    pub(crate) fn key_table(&self, keys: Address) -> KeyTable {
        let memory = self.memory;
        match self.layout.dictionary_keys {
            DictionaryKeysLayout::Sized => {
                let size = memory.word(keys + 8);
                let index_bytes = match size {
                    ..=0xFF => size,
                    0x100..=0xFFFF => size * 2,
                    0x1_0000..=0xFFFF_FFFF => size * 4,
                    _ => size * 8,
                };
                KeyTable {
                    size,
                    entries: keys + 40 + index_bytes,
                    count: memory.word(keys + 32),
                    entry_bytes: 24,
                    key_offset: 8,
                    bytes: 40 + index_bytes,
                }
            }
            DictionaryKeysLayout::Logarithmic => {
                let index_bytes = 1 << memory.u8(keys + 9).min(40);
                let has_hashes = memory.u8(keys + 10) == 0;
                KeyTable {
                    size: 1 << memory.u8(keys + 8).min(40),
                    entries: keys + 32 + index_bytes,
                    count: memory.word(keys + 24),
                    entry_bytes: if has_hashes { 24 } else { 16 },
                    key_offset: if has_hashes { 8 } else { 0 },
                    bytes: 32 + index_bytes,
                }
            }
        }
    }

    /// Bytes of a dictionary without the collector's header; None when the keys are shared with others.
    pub(crate) fn dictionary_bytes(&self, dictionary: Address, basic_bytes: u64) -> Option<u64> {
        if self.field(dictionary, shared::DICTIONARY_VALUES) != 0 {
            return None;
        }
        let keys = self.field(dictionary, shared::DICTIONARY_KEYS);
        // The keys of all empty dictionaries are one table.
        if self.memory.word(keys) != 1 {
            return Some(basic_bytes);
        }
        let table = self.key_table(keys);
        Some(basic_bytes + table.bytes + table.size * 2 / 3 * table.entry_bytes)
    }

    /// The names that the objects of a type share (`ht_cached_keys`), 0 for what is none. Since 3.11.
    pub(crate) fn cached_keys(&self, type_: Address) -> Vec<Address> {
        let keys = self.field(type_, self.layout.type_cached_keys);
        if keys == 0 {
            return Vec::new();
        }
        let table = self.key_table(keys);
        if table.entry_bytes != 16 || table.count > 1 << 16 {
            return Vec::new();
        }
        (0..table.count)
            .map(|place| self.memory.word(table.entries + place * 16))
            .collect()
    }

    // Texts and integers.

    pub(crate) fn is_text(&self, object: Address) -> bool {
        object != 0 && self.type_of(object) == self.text_type
    }

    /// Number of code points of a text.
    pub(crate) fn text_length(&self, text: Address) -> usize {
        self.field(text, shared::TEXT_LENGTH) as usize
    }

    /// Bytes of a text whose characters are all ASCII, without the collector's header; None for another.
    #[inline]
    pub(crate) fn ascii_text_bytes(&self, text: Address) -> Option<u64> {
        let (_, is_compact, is_ascii) = self.text_state(text);
        (is_compact && is_ascii).then(|| {
            self.header + self.layout.text.ascii + self.field(text, shared::TEXT_LENGTH) + 1
        })
    }

    /// Bytes of a character, whether all is one block, whether all is ASCII.
    fn text_state(&self, text: Address) -> (u32, bool, bool) {
        let state = self.field32(text, shared::TEXT_STATE);
        (state >> 2 & 7, state & 1 << 5 != 0, state & 1 << 6 != 0)
    }

    /// Appends the first `most` characters in UTF-8, lone surrogates as three bytes; whether there was a text to be read.
    pub(crate) fn append_text(&self, text: Address, most: usize, out: &mut Vec<u8>) -> bool {
        let (bytes_each, is_compact, is_ascii) = self.text_state(text);
        let behind = |offset| text + self.header + offset;
        let data = match (is_compact, is_ascii) {
            (true, true) => behind(self.layout.text.ascii),
            (true, false) => behind(self.layout.text.others),
            (false, _) => self.memory.word(behind(self.layout.text.others)),
        };
        if data == 0 {
            return false;
        }
        let count = self.text_length(text).min(most);
        if is_ascii {
            out.extend_from_slice(self.memory.bytes(data, count));
            return true;
        }
        let raw = self.memory.bytes(data, count * bytes_each as usize);
        match bytes_each {
            1 => raw
                .iter()
                .for_each(|byte| append_code_point(u32::from(*byte), out)),
            2 => raw.chunks_exact(2).for_each(|pair| {
                append_code_point(u32::from(u16::from_le_bytes([pair[0], pair[1]])), out);
            }),
            4 => raw.chunks_exact(4).for_each(|four| {
                append_code_point(
                    u32::from_le_bytes([four[0], four[1], four[2], four[3]]),
                    out,
                );
            }),
            _ => return false,
        }
        true
    }

    /// Whether a text is this one.
    pub(crate) fn text_is(&self, text: Address, expected: &str) -> bool {
        if !self.is_text(text) || self.text_length(text) != expected.len() {
            return false;
        }
        let (_, is_compact, is_ascii) = self.text_state(text);
        is_compact
            && is_ascii
            && self
                .memory
                .bytes(text + self.header + self.layout.text.ascii, expected.len())
                == expected.as_bytes()
    }

    /// Number of digits of an integer, and whether it is negative.
    fn digits(&self, integer: Address) -> (u64, bool) {
        let word = self.size_field(integer);
        match self.layout.integers {
            IntegerLayout::SignedSize => {
                let size = word.cast_signed();
                (size.unsigned_abs(), size < 0)
            }
            IntegerLayout::Tagged => (word >> 3, word & 3 == 2),
        }
    }

    /// An integer's value, if it has at most 64 bits with its sign.
    pub(crate) fn integer(&self, integer: Address) -> Option<i64> {
        let (digits, is_negative) = self.digits(integer);
        // Before 3.12 zero has no digit, since then one.
        if digits > 3 {
            return None;
        }
        let mut value = 0_i128;
        for place in (0..digits).rev() {
            value = value << 30 | i128::from(self.field32(integer, 8 + place * 4));
        }
        i64::try_from(if is_negative { -value } else { value }).ok()
    }

    /// Bytes of an integer.
    #[inline]
    pub(crate) fn integer_bytes(&self, integer: Address) -> u64 {
        let (digits, _) = self.digits(integer);
        self.header + 8 + digits.max(self.least_digits) * 4
    }

    // Code.

    /// Calls `visit` with the names of the variables, cells and free variables of a code object, in the order in which frames have them.
    pub(crate) fn each_variable(&self, code: Address, mut visit: impl FnMut(usize, Address)) {
        let mut place = 0;
        let mut each = |tuple: Address| {
            if tuple != 0 {
                for name in self.tuple(tuple) {
                    visit(place, name);
                    place += 1;
                }
            }
        };
        match self.layout.code.variables {
            VariablesLayout::Together { names, .. } => each(self.field(code, names)),
            VariablesLayout::Apart {
                variables,
                cells,
                free,
            } => {
                for part in [variables, cells, free] {
                    each(self.field(code, part));
                }
            }
        }
    }

    /// How many variables, cells and free variables there are.
    pub(crate) fn variable_count(&self, code: Address) -> u64 {
        let length = |offset| match self.field(code, offset) {
            0 => 0,
            tuple => self.size_field(tuple),
        };
        match self.layout.code.variables {
            VariablesLayout::Together { names, .. } => length(names),
            VariablesLayout::Apart {
                variables,
                cells,
                free,
            } => length(variables) + length(cells) + length(free),
        }
    }

    /// The names of parameters: how many positional ones there are, then those and the keyword-only ones.
    pub(crate) fn parameters(&self, code: Address) -> (usize, Vec<Address>) {
        let layout = &self.layout.code;
        let positional = self.field32(code, layout.argument_count) as usize;
        let all = positional + self.field32(code, layout.keyword_only_count) as usize;
        let names = match layout.variables {
            VariablesLayout::Together { names, .. } => names,
            VariablesLayout::Apart { variables, .. } => variables,
        };
        let names = self.tuple(self.field(code, names)).take(all).collect();
        (positional, names)
    }

    /// The names of free variables.
    pub(crate) fn free_variables(&self, code: Address) -> Vec<Address> {
        match self.layout.code.variables {
            VariablesLayout::Together { names, free_count } => {
                let names = self.tuple(self.field(code, names));
                let before = names
                    .len()
                    .saturating_sub(self.field32(code, free_count) as usize);
                names.skip(before).collect()
            }
            VariablesLayout::Apart { free, .. } => self.tuple(self.field(code, free)).collect(),
        }
    }
}

/// Where a type says which module it is of.
pub(crate) enum TypeModule {
    /// Under `__module__`.
    InNamespace,
    /// In its name.
    Known(Vec<u8>),
}

/// The table of a dictionary's keys.
pub(crate) struct KeyTable {
    /// Places in the index.
    pub(crate) size: u64,
    entries: Address,
    count: u64,
    entry_bytes: u64,
    key_offset: u64,
    /// Without the entries.
    bytes: u64,
}

fn append_code_point(code_point: u32, out: &mut Vec<u8>) {
    if let Some(c) = char::from_u32(code_point) {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        // A lone surrogate.
        out.extend_from_slice(&[
            0xE0 | (code_point >> 12 & 0xF) as u8,
            0x80 | (code_point >> 6 & 0x3F) as u8,
            0x80 | (code_point & 0x3F) as u8,
        ]);
    }
}
