//! A set of addresses in a bit for each eight bytes of the heap: a 64th of its size, and no entry is ever moved.

use crate::memory::Address;

const CHUNK_BITS: u32 = 20;
const WORDS: usize = (1 << CHUNK_BITS) / 8 / 64;
/// No address has this: the top bits of what is shifted out of an address are zero.
const NO_CHUNK: u64 = u64::MAX;

/// Addresses that are multiples of eight.
pub(crate) struct AddressSet {
    /// Open addressing: the part of the heap, and its place among the bits.
    directory: Vec<(u64, u32)>,
    chunks: Vec<Box<[u64; WORDS]>>,
    /// The part that was asked for last.
    last: (u64, u32),
}

impl AddressSet {
    pub(crate) fn new() -> Self {
        Self {
            directory: vec![(NO_CHUNK, 0); 1024],
            chunks: Vec::new(),
            last: (NO_CHUNK, 0),
        }
    }

    /// Adds an address; whether it was not there.
    #[inline]
    pub(crate) fn insert(&mut self, address: Address) -> bool {
        let part = address >> CHUNK_BITS;
        if self.last.0 != part {
            self.last = (part, self.chunk_for(part));
        }
        let (word, bit) = place(address);
        let word = &mut self.chunks[self.last.1 as usize][word];
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    #[inline]
    pub(crate) fn contains(&self, address: Address) -> bool {
        let part = address >> CHUNK_BITS;
        let (word, bit) = place(address);
        match self.find(part) {
            Ok(slot) => self.chunks[self.directory[slot].1 as usize][word] & bit != 0,
            Err(_) => false,
        }
    }

    /// The slot of a part, or the slot where it would be put.
    #[inline]
    fn find(&self, part: u64) -> Result<usize, usize> {
        let mask = self.directory.len() - 1;
        let mut slot = part.wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> 32 & mask;
        loop {
            match self.directory[slot].0 {
                found if found == part => return Ok(slot),
                NO_CHUNK => return Err(slot),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn chunk_for(&mut self, part: u64) -> u32 {
        match self.find(part) {
            Ok(slot) => self.directory[slot].1,
            Err(slot) => {
                let place = self.chunks.len() as u32;
                self.chunks.push(Box::new([0; WORDS]));
                self.directory[slot] = (part, place);
                if self.chunks.len() * 2 > self.directory.len() {
                    self.grow();
                }
                place
            }
        }
    }

    fn grow(&mut self) {
        let doubled = vec![(NO_CHUNK, 0); self.directory.len() * 2];
        for entry in std::mem::replace(&mut self.directory, doubled) {
            if entry.0 != NO_CHUNK
                && let Err(slot) = self.find(entry.0)
            {
                self.directory[slot] = entry;
            }
        }
    }
}

#[inline]
fn place(address: Address) -> (usize, u64) {
    let granule = (address as usize & ((1 << CHUNK_BITS) - 1)) >> 3;
    (granule >> 6, 1 << (granule & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_new_once() {
        let mut set = AddressSet::new();
        assert!(set.insert(0x7f00_0000_1000));
        assert!(!set.insert(0x7f00_0000_1000));
        assert!(set.insert(0x7f00_0000_1008));
        assert!(set.contains(0x7f00_0000_1008));
        assert!(!set.contains(0x7f00_0000_1010));
    }

    #[test]
    fn a_heap_in_many_parts_is_kept_apart() {
        let mut set = AddressSet::new();
        let addresses = || (0..5000_u64).map(|part| (part * 3) << CHUNK_BITS | 64);
        for address in addresses() {
            assert!(set.insert(address));
        }
        for address in addresses() {
            assert!(set.contains(address) && !set.contains(address + 8));
        }
    }
}
