//! CPython 3.13: the values of attributes behind their object.

use super::{AttributesLayout, CurrentLayout, Layout, cpython_3_12};

/// Include/internal/pycore_object.h, pycore_dict.h, pycore_frame.h, Include/cpython/pystate.h.
pub(super) fn layout() -> Layout {
    Layout {
        attributes: AttributesLayout::ValuesBehind,
        current: current(70, 184),
        ..cpython_3_12::layout()
    }
}

/// Include/cpython/pystate.h: the state has the interpreter's frame itself.
pub(super) fn current(owner: u64, instructions_in_code: u64) -> CurrentLayout {
    CurrentLayout::InterpreterFrame {
        in_state: 72,
        in_frame_of_c: None,
        code: 0,
        previous: 8,
        instruction: 56,
        owner,
        least_own: 3,
        instructions_in_code,
    }
}
