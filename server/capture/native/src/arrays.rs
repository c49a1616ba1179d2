//! Writes NumPy's arrays, of which the collector knows nothing: the items of object arrays, and what a view shows.

use std::io::Write;

use crate::classes::Container;
use crate::memory::Address;
use crate::sections::{Kind, Label};
use crate::walk::Walk;

/// `PyArrayObject_fields` (numpy/core/include/numpy/ndarraytypes.h), the same since NumPy 1.7; from the end of the header.
const DATA: u64 = 0;
const DIMENSION_COUNT: u64 = 8;
const DIMENSIONS: u64 = 16;
const STRIDES: u64 = 24;
const BASE: u64 = 32;
const DESCRIPTION: u64 = 40;
const FLAGS: u64 = 48;
/// `NPY_ARRAY_OWNDATA`: not so for a view, whose items are those of its base.
const OWNS_ITEMS: u32 = 4;
/// `PyArray_Descr.kind`, after the address of the type of its scalars.
const DESCRIPTION_KIND: u64 = 8;
const MOST_DIMENSIONS: i32 = 64;
const MOST_ITEMS: u64 = 33_000_000;

impl<W: Write> Walk<'_, W> {
    pub(crate) fn write_array(&mut self, class: u32, array: Address) {
        let start = self.group.items.len();
        self.each_item_of_array(array);
        let count = self.group.items.len() - start;
        self.group.lengths.push(count as u32);
        let references = self.references_of(class, array);
        self.label(class, array, &references, None);
        let objects = self.objects;
        let (base, description) = (
            objects.field(array, BASE),
            objects.field(array, DESCRIPTION),
        );
        if base != 0 {
            self.labels.push((Label::plain(Kind::View), base));
        }
        if description != 0 {
            let label = Label::named(Kind::Machinery, self.out.string(b"dtype"));
            self.labels.push((label, description));
        }
        self.references = references;
        self.write_labels();
    }

    /// The items of an array of objects, row by row.
    fn each_item_of_array(&mut self, array: Address) {
        let objects = self.objects;
        let memory = objects.memory;
        let description = objects.field(array, DESCRIPTION);
        let dimension_count = objects.field32(array, DIMENSION_COUNT).cast_signed();
        if description == 0
            || objects.field32(array, FLAGS) & OWNS_ITEMS == 0
            || memory.u8(description + objects.header + DESCRIPTION_KIND) != b'O'
            || !(0..=MOST_DIMENSIONS).contains(&dimension_count)
        {
            return;
        }
        let column = |start: Address| -> Vec<i64> {
            let places = 0..dimension_count.cast_unsigned();
            places
                .map(|place| memory.signed(start + u64::from(place) * 8))
                .collect()
        };
        let dimensions = column(objects.field(array, DIMENSIONS));
        let strides = column(objects.field(array, STRIDES));
        let count = dimensions.iter().try_fold(1_u64, |count, length| {
            count.checked_mul(u64::try_from(*length).ok()?)
        });
        let Some(count) = count.filter(|count| *count <= MOST_ITEMS) else {
            self.notes
                .push("the items of a large array were left out".to_owned());
            return;
        };
        let mut index = vec![0_i64; dimensions.len()];
        let mut place = objects.field(array, DATA);
        for _ in 0..count {
            let target = self.follow(memory.word(place));
            self.group.items.push(target);
            for dimension in (0..dimensions.len()).rev() {
                index[dimension] += 1;
                place = place.wrapping_add_signed(strides[dimension]);
                if index[dimension] < dimensions[dimension] {
                    break;
                }
                index[dimension] = 0;
                let back = strides[dimension].wrapping_mul(dimensions[dimension]);
                place = place.wrapping_add_signed(back.wrapping_neg());
            }
        }
    }

    /// What the items of an array are written as: they have places, as a list's do.
    pub(crate) const ARRAY_ITEMS: Container = Container::List;
}
