//! Which instruction of the program's the calling thread is executing: read where the interpreter keeps it.

use std::ffi::c_void;

use super::table::Place;
use crate::layout::{CodeLayout, CurrentLayout, Layout, shared};
use crate::memory::{Address, Memory};

/// Finds the instruction.
#[derive(Clone, Copy)]
pub(crate) struct Current {
    pub(crate) memory: Memory,
    pub(crate) state: unsafe extern "C" fn() -> *mut c_void,
    pub(crate) layout: CurrentLayout,
    pub(crate) code: CodeLayout,
}

/// Bytes of an object's header; tracing is for builds with one lock.
pub(crate) const HEADER: u64 = 16;
/// Frames of the interpreter's own, between those of the program's: so many at most lie on each other.
const MOST_OWN_FRAMES: usize = 8;
/// So many bytes of a code's line table tell it from others.
const MOST_OF_LINE_TABLE: usize = 1 << 12;

impl Current {
    pub(crate) fn new(
        memory: Memory,
        layout: &Layout,
        state: unsafe extern "C" fn() -> *mut c_void,
    ) -> Self {
        Self {
            memory,
            state,
            layout: layout.current,
            code: layout.code,
        }
    }

    /// Code object and instruction, in bytes from the first; None where no code of Python's runs in this thread.
    #[inline]
    pub(crate) fn instruction(&self) -> Option<(Address, u32)> {
        // SAFETY: the function only says which state is this thread's, and may be called by any.
        let state = unsafe { (self.state)() } as Address;
        if state == 0 {
            return None;
        }
        match self.layout {
            CurrentLayout::FrameObject {
                in_state,
                code,
                instruction,
                bytes_an_instruction,
                ..
            } => {
                let frame = self.memory.word(state + in_state);
                if frame == 0 {
                    return None;
                }
                let number = self.memory.u32(frame + HEADER + instruction);
                // A frame that has executed nothing yet has -1.
                (number.cast_signed() >= 0).then(|| {
                    let code = self.memory.word(frame + HEADER + code);
                    (code, number * bytes_an_instruction)
                })
            }
            CurrentLayout::InterpreterFrame {
                in_state,
                in_frame_of_c,
                code,
                previous,
                instruction,
                owner,
                least_own,
                instructions_in_code,
            } => {
                let mut at = self.memory.word(state + in_state);
                if let Some(offset) = in_frame_of_c {
                    at = self.memory.word(at + offset);
                }
                for _ in 0..MOST_OWN_FRAMES {
                    if at == 0 {
                        return None;
                    }
                    if self.memory.u8(at + owner) < least_own {
                        // The lowest bits say whether the reference is counted.
                        let code = self.memory.word(at + code) & !7;
                        let first = code + HEADER + instructions_in_code;
                        let bytes = self.memory.word(at + instruction).wrapping_sub(first);
                        return u32::try_from(bytes).ok().map(|bytes| (code, bytes));
                    }
                    at = self.memory.word(at + previous);
                }
                None
            }
        }
    }

    /// What tells code from other code that lies at the same address later: also from the same function of a module that was changed
    /// and loaded again, whose lines are others.
    pub(crate) fn fingerprint(&self, code: Address) -> u32 {
        let field = |offset| self.memory.word(code + HEADER + offset);
        let CodeLayout {
            file,
            name,
            first_line,
            line_table,
            ..
        } = self.code;
        let line = u64::from(self.memory.u32(code + HEADER + first_line));
        let lines = field(line_table);
        let length = self.memory.word(lines + HEADER + shared::SIZE);
        let read = usize::try_from(length)
            .map_or(MOST_OF_LINE_TABLE, |length| length.min(MOST_OF_LINE_TABLE));
        let lines = self
            .memory
            .bytes(lines + HEADER + shared::BYTES_DATA, read)
            .iter()
            .map(|byte| u64::from(*byte));
        let mixed = [field(file), field(name), line, field(0), length]
            .into_iter()
            .chain(lines)
            .fold(0_u64, |mixed, part| {
                (mixed.rotate_left(23) ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            });
        (mixed >> 32) as u32
    }

    /// Whether the code is what it was when the place was noted. Only for code that is known to live.
    pub(crate) fn is_still(&self, place: &Place) -> bool {
        self.fingerprint(place.code) == place.fingerprint
    }
}
