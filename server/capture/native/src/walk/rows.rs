//! Rows about named things: they are gathered, and written when there are enough for a section.

use std::io::Write;

use super::{Failure, Walk};
use crate::memory::Address;
use crate::sections::Label;

/// Rows about named things, until there are enough for a section.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) types: Vec<(Address, [u32; 4])>,
    pub(crate) codes: Vec<(Address, [u32; 3])>,
    pub(crate) functions: Vec<(Address, Address, [u32; 2])>,
    pub(crate) modules: Vec<(Address, Address, [u32; 2])>,
    pub(crate) frames: Vec<(Address, Address, u64, u32)>,
    pub(crate) links: Vec<(Address, Address, Label)>,
    pub(super) text_keys: Vec<(Address, u32)>,
    pub(super) integer_keys: Vec<(Address, i64)>,
}

impl<W: Write> Walk<'_, W> {
    /// Writes the rows about named things of which there are at least so many.
    pub(super) fn flush_rows(&mut self, least: usize) -> Result<(), Failure> {
        let rows = &mut self.rows;
        let is_due = |length: usize| length > 0 && length >= least;
        if is_due(rows.types.len()) {
            let types = std::mem::take(&mut rows.types);
            self.out.section(b"TYPE", |body| {
                body.count(types.len());
                types.iter().for_each(|row| body.u64(row.0));
                for column in 0..4 {
                    types.iter().for_each(|row| body.u32(row.1[column]));
                }
            })?;
        }
        if is_due(rows.codes.len()) {
            let codes = std::mem::take(&mut rows.codes);
            self.out.section(b"CODE", |body| {
                body.count(codes.len());
                codes.iter().for_each(|row| body.u64(row.0));
                for column in 0..3 {
                    codes.iter().for_each(|row| body.u32(row.1[column]));
                }
            })?;
        }
        for (tag, wanted) in [(b"FUNC", true), (b"MODU", false)] {
            let rows = if wanted {
                &mut self.rows.functions
            } else {
                &mut self.rows.modules
            };
            if is_due(rows.len()) {
                let taken = std::mem::take(rows);
                self.out.section(tag, |body| {
                    body.count(taken.len());
                    taken.iter().for_each(|row| body.u64(row.0));
                    taken.iter().for_each(|row| body.u64(row.1));
                    for column in 0..2 {
                        taken.iter().for_each(|row| body.u32(row.2[column]));
                    }
                })?;
            }
        }
        let rows = &mut self.rows;
        if is_due(rows.frames.len()) {
            let frames = std::mem::take(&mut rows.frames);
            self.out.section(b"FRAM", |body| {
                body.count(frames.len());
                frames.iter().for_each(|row| body.u64(row.0));
                frames.iter().for_each(|row| body.u64(row.1));
                frames.iter().for_each(|row| body.u64(row.2));
                frames.iter().for_each(|row| body.u32(row.3));
            })?;
        }
        let rows = &mut self.rows;
        if is_due(rows.links.len()) {
            let links = std::mem::take(&mut rows.links);
            self.out.section(b"LINK", |body| {
                body.count(links.len());
                links.iter().for_each(|row| body.u64(row.0));
                links.iter().for_each(|row| body.u64(row.1));
                links.iter().for_each(|row| body.u32(row.2.kind));
                links.iter().for_each(|row| body.u32(row.2.name));
            })?;
        }
        let rows = &mut self.rows;
        if is_due(rows.text_keys.len()) {
            let keys = std::mem::take(&mut rows.text_keys);
            self.out.section(b"KEYS", |body| {
                body.count(keys.len());
                keys.iter().for_each(|row| body.u64(row.0));
                keys.iter().for_each(|row| body.u32(row.1));
            })?;
        }
        let rows = &mut self.rows;
        if is_due(rows.integer_keys.len()) {
            let keys = std::mem::take(&mut rows.integer_keys);
            self.out.section(b"KEYI", |body| {
                body.count(keys.len());
                keys.iter().for_each(|row| body.u64(row.0));
                keys.iter().for_each(|row| body.u64(row.1.cast_unsigned()));
            })?;
        }
        Ok(())
    }
}
