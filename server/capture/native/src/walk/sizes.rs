//! How many bytes an object has of its own.

use std::io::Write;

use super::Walk;
use crate::classes::Measure;
use crate::layout::shared;
use crate::memory::Address;

impl<W: Write> Walk<'_, W> {
    pub(super) fn size(&mut self, class: u32, object: Address) -> u64 {
        let objects = self.objects;
        let known = &self.classes[class as usize];
        let by_size = || {
            let items = if known.item_bytes == 0 {
                0
            } else {
                objects
                    .size_field(object)
                    .cast_signed()
                    .wrapping_mul(known.item_bytes.cast_signed())
            };
            known.basic_bytes.saturating_add_signed(items)
        };
        let without_before = match known.measure {
            Measure::BySize => by_size(),
            Measure::List => known.basic_bytes + objects.field(object, shared::LIST_ALLOCATED) * 8,
            Measure::Dictionary => match objects.dictionary_bytes(object, known.basic_bytes) {
                Some(bytes) => bytes,
                None => self.asked_size(object, self.dictionary_measure()),
            },
            Measure::Set => {
                let small = object + objects.header + shared::SET_SMALL_TABLE;
                let table = if objects.field(object, shared::SET_TABLE) == small {
                    0
                } else {
                    (objects.field(object, shared::SET_MASK) + 1) * 16
                };
                known.basic_bytes + table
            }
            Measure::Text => match objects.ascii_text_bytes(object) {
                Some(bytes) => bytes,
                None => self.asked_size(object, self.measure_in(self.types.text)),
            },
            Measure::Integer => objects.integer_bytes(object),
            Measure::Method(method) => self.asked_size(object, method),
        };
        let known = &self.classes[class as usize];
        let is_static_type = known.flags & shared::IS_TYPE != 0
            && objects.type_flags(object) & shared::IS_HEAP_TYPE == 0;
        if is_static_type {
            without_before + self.order.bytes_before_static_types
        } else {
            without_before + known.bytes_before
        }
    }

    pub(super) fn asked_size(&self, object: Address, method: Address) -> u64 {
        let asked = self.objects.interpreter.ask_number(method, object);
        u64::try_from(asked.unwrap_or(0)).unwrap_or(0)
    }

    fn dictionary_measure(&self) -> Address {
        self.measure_in(self.types.dictionary)
    }

    /// The `__sizeof__` that a built-in type declares.
    fn measure_in(&self, type_: Address) -> Address {
        let declared = self.declared_by_type.get(&type_);
        declared
            .and_then(|number| self.declarations[*number as usize].own_measure())
            .unwrap_or(self.types.object_measure)
    }
}
