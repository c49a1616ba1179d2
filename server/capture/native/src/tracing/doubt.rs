//! Instructions that may have given a container another block, and added nothing to it: nothing is told of these.
//!
//! What C code does between two blocks nobody sees, but its names are known. A set that loses many members moves to a table of its
//! own size, or to a larger one (`set_difference_update_internal` of Objects/setobject.c), and one that keeps what another has too
//! takes the table of a set that was made for this (`set_swap_bodies`). A deque that is turned, as it is to lose an item from its
//! middle, needs a block before it gives one back (Modules/_collectionsmodule.c). A dictionary that shares its keys gets some of its
//! own before it loses one (Objects/dictobject.c), up to 3.10 in each way, since then by `popitem`.

use crate::classes::Container;
use crate::layout::{CurrentLayout, shared};
use crate::memory::Address;
use crate::objects::Objects;

/// What code calls that has such instructions: where one of these is called through another name, its own stands in the code too.
const OF_SETS: &[&str] = &[
    "difference_update",
    "intersection_update",
    "__isub__",
    "__iand__",
    "isub",
    "iand",
];
const OF_DEQUES: &[&str] = &["rotate", "remove", "__delitem__", "delitem"];
const OF_DICTIONARIES: &[&str] = &["popitem"];
const OF_DICTIONARIES_TO_3_10: &[&str] = &[
    "popitem",
    "pop",
    "__delitem__",
    "delitem",
    "__delattr__",
    "delattr",
];

/// Instructions up to 3.10 (Include/opcode.h), whose numbers did not change from 3.8 on.
mod to_3_10 {
    pub(super) const INPLACE_SUBTRACT: u8 = 56;
    pub(super) const INPLACE_AND: u8 = 77;
    pub(super) const STORE_SUBSCRIPT: u8 = 60;
    pub(super) const DELETE_SUBSCRIPT: u8 = 61;
    pub(super) const STORE_ATTRIBUTE: u8 = 95;
    pub(super) const DELETE_ATTRIBUTE: u8 = 96;
}

/// Arguments of instructions since 3.11 (`NB_…` of Include/opcode.h). The numbers of the instructions are others in each version: where
/// another one has such an argument, nothing is told of that either.
const INPLACE_AND: u8 = 14;
const INPLACE_SUBTRACT: u8 = 23;
/// `del a[0]` has none; what adds to a deque has one.
const NO_ARGUMENT: u8 = 0;

impl Objects {
    /// Whether a place may be one that adds nothing to such a container. The code must live, and be the one that ran.
    pub(super) fn may_add_nothing(
        &self,
        container: Container,
        code: Address,
        instruction: u32,
    ) -> bool {
        let at = u64::from(instruction);
        match self.layout.current {
            CurrentLayout::FrameObject { code_bytes, .. } => {
                let bytes = self.field(code, code_bytes) + self.header + shared::BYTES_DATA;
                let operation = self.memory.u8(bytes + at);
                use to_3_10::*;
                match (container, operation) {
                    (Container::Set, INPLACE_SUBTRACT | INPLACE_AND)
                    | (Container::Dictionary, DELETE_SUBSCRIPT | DELETE_ATTRIBUTE) => true,
                    (Container::Dictionary, STORE_SUBSCRIPT | STORE_ATTRIBUTE) => false,
                    (Container::Dictionary, _) => self.uses(code, OF_DICTIONARIES_TO_3_10),
                    (Container::Set, _) => self.uses(code, OF_SETS),
                    (Container::Deque, _) => self.uses(code, OF_DEQUES),
                    (Container::List | Container::Tuple, _) => false,
                }
            }
            CurrentLayout::InterpreterFrame {
                instructions_in_code,
                ..
            } => {
                let first = code + self.header + instructions_in_code;
                let argument = self.memory.u8(first + at + 1);
                match (container, argument) {
                    (Container::Set, INPLACE_AND | INPLACE_SUBTRACT)
                    | (Container::Deque, NO_ARGUMENT) => true,
                    (Container::Set, _) => self.uses(code, OF_SETS),
                    (Container::Deque, _) => self.uses(code, OF_DEQUES),
                    (Container::Dictionary, _) => self.uses(code, OF_DICTIONARIES),
                    (Container::List | Container::Tuple, _) => false,
                }
            }
        }
    }

    /// Whether code has one of these names, anywhere: by which name something is called where it adds nothing, is not asked.
    fn uses(&self, code: Address, names: &[&str]) -> bool {
        self.tuple(self.field(code, self.layout.code.names))
            .any(|name| names.iter().any(|known| self.text_is(name, known)))
    }
}
