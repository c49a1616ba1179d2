//! CPython 3.14 and 3.15: tagged references in frames, tuples that know their hash.

use super::{FrameLayout, InterpreterFrameLayout, Layout, cpython_3_12, cpython_3_13};

/// Include/internal/pycore_interpframe_structs.h, pycore_stackref.h, Include/cpython/tupleobject.h; 3.15: Include/cpython/object.h.
pub(super) fn layout(minor: u32) -> Layout {
    Layout {
        frame: FrameLayout::Apart(InterpreterFrameLayout {
            stack_end_is_an_address: true,
            references_are_tagged: true,
            variables: 80,
            ..cpython_3_12::interpreter_frame()
        }),
        type_cached_keys: if minor == 14 { 864 } else { 872 },
        type_qualified_name: if minor == 14 { 856 } else { 864 },
        current: cpython_3_13::current(74, 192),
        tuple_items: 16,
        ..cpython_3_13::layout()
    }
}
