//! From a container to the block that it grew last, where the block is one that only growing brings.

use crate::classes::Container;
use crate::layout::shared;
use crate::memory::Address;
use crate::objects::Objects;

use super::table::Place;

/// So many blocks of a deque are looked at.
const MOST_BLOCKS: u64 = 1 << 20;
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
    /// kept is for any deque, all may be from a line that has nothing to do with this one: another that is filled and dropped
    /// again and again gives it one after the other.
    fn deque_grown_at(
        &self,
        deque: Address,
        place_of: impl Fn(Address) -> Option<Place>,
    ) -> Option<Place> {
        if self.layout.deques_share_blocks {
            return None;
        }
        let last = self.field(deque, shared::DEQUE_RIGHT_BLOCK);
        let mut block = self.field(deque, shared::DEQUE_LEFT_BLOCK);
        let leftmost = place_of(block);
        let mut between = Vec::new();
        for _ in 0..MOST_BLOCKS {
            if block == last {
                break;
            }
            block = self.memory.word(block + shared::DEQUE_BLOCK_RIGHT_LINK);
            between.push(place_of(block));
        }
        let rightmost = between.pop()?;
        let place = *between.first()?;
        let is_certain = between.iter().all(|found| *found == place)
            && (leftmost == place || rightmost == place);
        place.filter(|_| is_certain)
    }
}
