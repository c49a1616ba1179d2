//! CPython 3.12: one word before an object for its values or its dictionary, texts without a second form, immortal objects.

use super::{
    AttributesLayout, CodeLayout, CurrentLayout, FrameLayout, IntegerLayout,
    InterpreterFrameLayout, Layout, TextLayout, VariablesLayout, cpython_3_11,
};

/// Include/cpython/code.h, unicodeobject.h, longintrepr.h, Include/internal/pycore_frame.h, pycore_object.h.
pub(super) fn layout() -> Layout {
    Layout {
        text: TextLayout {
            ascii: 24,
            others: 40,
        },
        integers: IntegerLayout::Tagged,
        attributes: AttributesLayout::OneWordBefore,
        code: CodeLayout {
            flags: 32,
            argument_count: 36,
            keyword_only_count: 44,
            stack_size: 48,
            first_line: 52,
            file: 96,
            name: 112,
            names: 16,
            line_table: 120,
            variables: VariablesLayout::Together {
                names: 80,
                free_count: 72,
            },
        },
        frame: FrameLayout::Apart(interpreter_frame()),
        current: CurrentLayout::InterpreterFrame {
            in_state: 56,
            in_frame_of_c: Some(0),
            code: 0,
            previous: 8,
            instruction: 56,
            owner: 70,
            least_own: 3,
            instructions_in_code: 176,
        },
        type_cached_keys: 864,
        type_qualified_name: 856,
        counts_have_32_bits: true,
        ..cpython_3_11::layout()
    }
}

pub(super) fn interpreter_frame() -> InterpreterFrameLayout {
    InterpreterFrameLayout {
        code: 0,
        function: 16,
        globals: 24,
        builtins: 32,
        namespace: 40,
        stack_end: 64,
        stack_end_is_an_address: false,
        references_are_tagged: false,
        variables: 72,
        in_generator: 56,
    }
}
