//! Which instruction each block of memory was last made larger by: 16 bytes a block, and each instruction once.
//!
//! Both tables are open addressing with linear probing (D. Knuth, The Art of Computer Programming 3, 6.4). An entry is taken
//! out by moving those behind it, so that no marks are left: blocks come and go as long as the program runs.

/// An instruction of a code object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Address of the code object.
    pub(crate) code: u64,
    /// Bytes from the beginning of its instructions.
    pub(crate) instruction: u32,
    /// What the code was like: the address may be another one's since.
    pub(crate) fingerprint: u32,
}

/// The row of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlaceRow(u32);

impl PlaceRow {
    /// Nobody knows by which instruction. The block's size is: what becomes smaller later must not look as if it grew.
    pub(crate) const UNKNOWN: Self = Self(u32::MAX);
}

/// Of a block, as far as it is noted: what containers keep their items in are whole words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Words(u32);

impl Words {
    pub(crate) fn of_bytes(bytes: usize) -> Self {
        Self(u32::try_from(bytes.div_ceil(8)).unwrap_or(u32::MAX))
    }

    pub(crate) fn count(self) -> u32 {
        self.0
    }

    /// It is larger than a number says, nobody knows by how much.
    pub(crate) fn is_beyond(self) -> bool {
        self.0 == u32::MAX
    }
}

#[derive(Clone, Copy)]
struct Block {
    /// 0: nothing stands here.
    address: u64,
    place: u32,
    size: Words,
}

const NO_BLOCK: Block = Block {
    address: 0,
    place: 0,
    size: Words(0),
};
/// Code that is made as the program runs could bring any number: what comes after so many is not traced.
const MOST_PLACES: usize = 1 << 20;
const FIRST_BLOCKS: usize = 1 << 14;
const FIRST_PLACES: usize = 1 << 10;

/// There is no memory for a larger table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

pub(crate) struct Table {
    blocks: Vec<Block>,
    block_count: usize,
    places: Vec<Place>,
    /// Rows of `places`, plus 1.
    rows: Vec<u32>,
}

fn hash(number: u64) -> usize {
    // The golden ratio's bits: addresses that lie beside each other come far apart.
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) as usize
}

fn hash_of_place(code: u64, instruction: u32) -> usize {
    hash(code ^ u64::from(instruction).rotate_left(40))
}

fn filled<T: Clone>(value: T, length: usize) -> Result<Vec<T>, NoMemory> {
    let mut made = Vec::new();
    made.try_reserve_exact(length).map_err(|_| NoMemory)?;
    made.resize(length, value);
    Ok(made)
}

impl Table {
    pub(crate) fn new() -> Result<Self, NoMemory> {
        Ok(Self {
            blocks: filled(NO_BLOCK, FIRST_BLOCKS)?,
            block_count: 0,
            places: Vec::new(),
            rows: filled(0, FIRST_PLACES)?,
        })
    }

    /// The row of an instruction. `fingerprint` is asked for where it has none yet.
    #[inline]
    pub(crate) fn row_of(
        &mut self,
        code: u64,
        instruction: u32,
        fingerprint: impl FnOnce() -> u32,
    ) -> Result<PlaceRow, NoMemory> {
        let mask = self.rows.len() - 1;
        let mut slot = hash_of_place(code, instruction) & mask;
        while let Some(row) = self.rows[slot].checked_sub(1) {
            let place = &self.places[row as usize];
            if place.code == code && place.instruction == instruction {
                return Ok(PlaceRow(row));
            }
            slot = (slot + 1) & mask;
        }
        if self.places.len() >= MOST_PLACES {
            return Ok(PlaceRow::UNKNOWN);
        }
        let row = self.places.len() as u32;
        self.places.try_reserve(1).map_err(|_| NoMemory)?;
        self.places.push(Place {
            code,
            instruction,
            fingerprint: fingerprint(),
        });
        self.rows[slot] = row + 1;
        if self.places.len() * 2 > self.rows.len() {
            self.grow_rows()?;
        }
        Ok(PlaceRow(row))
    }

    fn grow_rows(&mut self) -> Result<(), NoMemory> {
        let mut rows = filled(0, self.rows.len() * 2)?;
        let mask = rows.len() - 1;
        for (row, place) in (1..).zip(&self.places) {
            let mut slot = hash_of_place(place.code, place.instruction) & mask;
            while rows[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            rows[slot] = row;
        }
        self.rows = rows;
        Ok(())
    }

    /// Notes the place of a block.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        address: u64,
        place: PlaceRow,
        size: Words,
    ) -> Result<(), NoMemory> {
        let block = Block {
            address,
            place: place.0,
            size,
        };
        let (slot, is_new) = self.slot_of(address);
        self.blocks[slot] = block;
        if is_new {
            self.block_count += 1;
            if self.block_count * 4 > self.blocks.len() * 3 {
                self.grow_blocks()?;
            }
        }
        Ok(())
    }

    /// Forgets a block; its place and size, if it was noted.
    #[inline]
    pub(crate) fn remove(&mut self, address: u64) -> Option<(PlaceRow, Words)> {
        let (mut hole, is_new) = self.slot_of(address);
        if is_new {
            return None;
        }
        let found = self.blocks[hole];
        let mask = self.blocks.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let block = self.blocks[at];
            if block.address == 0 {
                break;
            }
            // It may move to the hole unless it would then stand before where its search begins.
            let home = hash(block.address >> 3) & mask;
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.blocks[hole] = block;
                hole = at;
            }
        }
        self.blocks[hole] = NO_BLOCK;
        self.block_count -= 1;
        Some((PlaceRow(found.place), found.size))
    }

    /// Whether a block is noted.
    pub(crate) fn has(&self, address: u64) -> bool {
        address != 0 && !self.slot_of(address).1
    }

    /// Where a block was last made larger.
    pub(crate) fn place_of(&self, address: u64) -> Option<Place> {
        let (slot, is_new) = self.slot_of(address);
        if address == 0 || is_new {
            return None;
        }
        self.places.get(self.blocks[slot].place as usize).copied()
    }

    /// The slot of a block, and whether it would be new there.
    #[inline]
    fn slot_of(&self, address: u64) -> (usize, bool) {
        let mask = self.blocks.len() - 1;
        let mut slot = hash(address >> 3) & mask;
        loop {
            match self.blocks[slot].address {
                0 => return (slot, true),
                found if found == address => return (slot, false),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn grow_blocks(&mut self) -> Result<(), NoMemory> {
        let larger = filled(NO_BLOCK, self.blocks.len() * 2)?;
        for block in std::mem::replace(&mut self.blocks, larger) {
            if block.address != 0 {
                let (slot, _) = self.slot_of(block.address);
                self.blocks[slot] = block;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn row(table: &mut Table, code: u64, instruction: u32) -> PlaceRow {
        table.row_of(code, instruction, || 7).expect("memory")
    }

    #[test]
    fn a_block_has_the_place_that_it_was_given_last() {
        let mut table = Table::new().expect("memory");
        let (first, second) = (row(&mut table, 0x100, 2), row(&mut table, 0x100, 4));
        assert_eq!(first, row(&mut table, 0x100, 2));
        table
            .insert(0x1000, first, Words::of_bytes(32))
            .expect("memory");
        table
            .insert(0x1000, second, Words::of_bytes(64))
            .expect("memory");
        assert_eq!(
            table.place_of(0x1000).map(|place| place.instruction),
            Some(4)
        );
        assert_eq!(table.remove(0x1000), Some((second, Words::of_bytes(64))));
        assert_eq!(table.place_of(0x1000), None);
        assert_eq!(table.remove(0x1000), None);
        assert_eq!(table.place_of(0), None);
    }

    #[test]
    fn a_block_of_which_only_the_size_is_known_has_no_place() {
        let mut table = Table::new().expect("memory");
        table
            .insert(0x1000, PlaceRow::UNKNOWN, Words::of_bytes(32))
            .expect("memory");
        assert!(table.has(0x1000));
        assert_eq!(table.place_of(0x1000), None);
        assert!(Words::of_bytes(8 << 32).is_beyond());
    }

    /// Against a map: a hundred thousand blocks come and go in an order that looks like chance.
    #[test]
    fn blocks_come_and_go_and_no_other_is_touched() {
        let mut table = Table::new().expect("memory");
        let mut expected: HashMap<u64, u32> = HashMap::new();
        let mut state = 1_u64;
        for step in 0..400_000_u32 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let address = ((state >> 40) % 100_000 + 1) * 16;
            if state >> 63 == 0 {
                let place = row(&mut table, 0x5000 + u64::from(step % 3000) * 64, step % 7);
                table
                    .insert(address, place, Words::of_bytes(16))
                    .expect("memory");
                expected.insert(address, place.0);
            } else {
                let removed = table.remove(address).map(|(place, _)| place.0);
                assert_eq!(removed, expected.remove(&address));
            }
        }
        assert_eq!(table.block_count, expected.len());
        for (address, place) in expected {
            assert_eq!(
                table.place_of(address),
                table.places.get(place as usize).copied()
            );
        }
    }
}
