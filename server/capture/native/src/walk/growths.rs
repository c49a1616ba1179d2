//! Where containers were last made larger, as a section.

use std::io::Write;

use rustc_hash::FxHashMap;

use super::{Failure, Walk};
use crate::classes::Container;
use crate::memory::Address;
use crate::tracing::{Location, Locations};

/// A section has so many containers at most, 12 bytes each.
const GROWTHS_A_SECTION: usize = 1 << 22;

impl<W: Write> Walk<'_, W> {
    /// Writes where containers were last made larger: what is known of code that lives yet, is the code that ran, and added to them.
    pub(super) fn write_growths(&mut self) -> Result<(), Failure> {
        let Some(locations) = Locations::find() else {
            return Ok(());
        };
        let mut places: Vec<(Address, Location)> = Vec::new();
        let mut rows: FxHashMap<(Address, u32), Option<u32>> = FxHashMap::default();
        let mut believed: FxHashMap<(Address, u32, Container), bool> = FxHashMap::default();
        let mut containers: Vec<(Address, u32)> = Vec::new();
        for growth in std::mem::take(&mut self.growths) {
            let (code, instruction) = (growth.code(), growth.instruction());
            let is_believed = *believed
                .entry((code, instruction, growth.container))
                .or_insert_with(|| {
                    self.seen.contains(code)
                        && !self.own.contains(code)
                        && self.objects.type_of(code) == self.types.code
                        && growth.is_of_this_code()
                        && !growth.may_add_nothing(&self.objects)
                });
            if !is_believed {
                continue;
            }
            let row = *rows.entry((code, instruction)).or_insert_with(|| {
                let location = locations.of(code, instruction)?;
                places.push((code, location));
                u32::try_from(places.len() - 1).ok()
            });
            containers.extend(row.map(|row| (growth.object, row)));
        }
        // Columns are counted from 1, and 0 is none.
        let number = |from_c: i32, first: i32| u32::try_from(from_c + first).unwrap_or(0);
        for containers in containers.chunks(GROWTHS_A_SECTION) {
            self.out.section(b"TRAC", |body| {
                body.u32(containers.len() as u32);
                body.u32(places.len() as u32);
                containers.iter().for_each(|row| body.u64(row.0));
                containers.iter().for_each(|row| body.u32(row.1));
                places.iter().for_each(|(code, _)| body.u64(*code));
                places
                    .iter()
                    .for_each(|(_, at)| body.u32(number(at.line, 0)));
                places
                    .iter()
                    .for_each(|(_, at)| body.u32(number(at.column, 1)));
                places
                    .iter()
                    .for_each(|(_, at)| body.u32(number(at.end_line, 0)));
                places
                    .iter()
                    .for_each(|(_, at)| body.u32(number(at.end_column, 1)));
            })?;
        }
        Ok(())
    }
}
