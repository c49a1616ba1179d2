//! Texts of the program's that name things: keys of dictionaries, what namespaces have.

use std::io::Write;

use super::Walk;
use crate::memory::Address;
use crate::sections::NO_STRING;

/// Code points of a key.
const KEY_LENGTH: usize = 40;
/// Nobody names a variable longer.
const NAME_LENGTH: usize = 200;

impl<W: Write> Walk<'_, W> {
    /// The row of an object that is a text; none for another.
    pub(crate) fn string_of(&mut self, text: Address) -> u32 {
        if !self.objects.is_text(text) {
            return NO_STRING;
        }
        self.text.clear();
        self.objects.append_text(text, usize::MAX, &mut self.text);
        self.out.string(&self.text)
    }

    pub(super) fn name_key(&mut self, key: Address) {
        if !self.named_keys.insert(key) {
            return;
        }
        let type_ = self.objects.type_of(key);
        if type_ == self.types.text {
            self.text.clear();
            self.objects.append_text(key, KEY_LENGTH, &mut self.text);
            if self.objects.text_length(key) > KEY_LENGTH {
                self.text.extend_from_slice("\u{2026}".as_bytes());
            }
            let row = self.out.string(&self.text);
            self.rows.text_keys.push((key, row));
        } else if type_ == self.types.integer
            && let Some(value) = self.objects.integer(key)
        {
            self.rows.integer_keys.push((key, value));
        }
    }

    /// Names in a namespace are names of the program: they are written even where keys are not, and whole.
    pub(crate) fn name_namespace(&mut self, namespace: Address) {
        let objects = self.objects;
        if objects.type_of(namespace) != self.types.dictionary {
            return;
        }
        objects.each_entry(namespace, |key, _| {
            if !self.order.keys {
                self.name_key(key);
            }
            if objects.is_text(key)
                && (KEY_LENGTH + 1..=NAME_LENGTH).contains(&objects.text_length(key))
            {
                self.named_keys.insert(key);
                let row = self.string_of(key);
                self.rows.text_keys.push((key, row));
            }
        });
    }
}
