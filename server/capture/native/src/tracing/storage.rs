//! From a container to the block that it grew last, where the block is one that only growing brings.

use crate::classes::Container;
use crate::layout::shared;
use crate::memory::Address;
use crate::objects::Objects;

use super::table::Place;

/// So many blocks of a deque are looked at.
const MOST_BLOCKS: u64 = 1 << 20;
/// `MAXFREEBLOCKS` of Modules/_collectionsmodule.c.
const MOST_KEPT_BLOCKS: u64 = 16;
/// `PyDict_MINSIZE`: tables of entries of this size are kept when they are freed, and given to the next dictionary, past the allocator.
const LEAST_DICTIONARY_SIZE: u64 = 8;

impl Objects {
    /// Where the container was made larger last, as far as that is noted.
    ///
    /// Nothing for what is never seen (items that lie in the object itself), and nothing for what may be of an earlier
    /// container: small dictionaries, and dictionaries that share their keys.
    pub(super) fn grown_at(
        &self,
        container: Container,
        object: Address,
        place_of: impl Fn(Address) -> Option<Place>,
    ) -> Option<Place> {
        match container {
            Container::List => place_of(self.field(object, shared::LIST_ITEMS)),
            Container::Set => place_of(self.field(object, shared::SET_TABLE)),
            Container::Dictionary => {
                let keys = self.field(object, shared::DICTIONARY_KEYS);
                let is_shared = self.field(object, shared::DICTIONARY_VALUES) != 0;
                (!is_shared && self.key_table(keys).size > LEAST_DICTIONARY_SIZE)
                    .then(|| place_of(keys))
                    .flatten()
            }
            Container::Deque => self.deque_grown_at(object, place_of),
            Container::Tuple => None,
        }
    }

    /// Blocks that are emptied are kept, and taken first: which instruction took one again is not seen. A deque that keeps its own
    /// must have all from the same place, but for those at the ends, one of which was made with the deque. Where what is
    /// kept is for any deque, more must have come from one place than can have been kept, and no more from elsewhere.
    fn deque_grown_at(
        &self,
        deque: Address,
        place_of: impl Fn(Address) -> Option<Place>,
    ) -> Option<Place> {
        let last = self.field(deque, shared::DEQUE_RIGHT_BLOCK);
        let mut block = self.field(deque, shared::DEQUE_LEFT_BLOCK);
        let leftmost = place_of(block);
        // Of what lies between the ends: the place that most may have come from, by the vote of R. Boyer and J Moore (MJRTY, 1981).
        let (mut most, mut lead): (Option<Place>, u64) = (None, 0);
        let mut blocks = Vec::new();
        for _ in 0..MOST_BLOCKS {
            if block == last {
                break;
            }
            block = self.memory.word(block + shared::DEQUE_BLOCK_RIGHT_LINK);
            let place = place_of(block);
            blocks.push(place);
            if place == most {
                lead += 1;
            } else if lead == 0 {
                (most, lead) = (place, 1);
            } else {
                lead -= 1;
            }
        }
        let rightmost = blocks.pop()?;
        let same = blocks.iter().filter(|place| **place == most).count() as u64;
        let others = blocks.len() as u64 - same;
        let is_certain = if self.layout.deques_share_blocks {
            same > MOST_KEPT_BLOCKS && others <= MOST_KEPT_BLOCKS
        } else {
            same > 0 && others == 0 && (leftmost == most || rightmost == most)
        };
        most.filter(|_| is_certain)
    }
}
