//! CPython 3.11: frames apart from their objects, attributes in arrays of values before their objects.

use super::{
    AttributesLayout, CodeLayout, CurrentLayout, DictionaryKeysLayout, FrameLayout,
    InterpreterFrameLayout, Layout, VariablesLayout, cpython_3_8_to_3_10,
};

/// Include/cpython/code.h, Include/internal/pycore_frame.h, pycore_dict.h.
pub(super) fn layout() -> Layout {
    Layout {
        dictionary_keys: DictionaryKeysLayout::Logarithmic,
        attributes: AttributesLayout::ValuesBefore,
        code: CodeLayout {
            flags: 32,
            argument_count: 40,
            keyword_only_count: 48,
            stack_size: 52,
            first_line: 56,
            file: 96,
            name: 112,
            names: 16,
            line_table: 120,
            variables: VariablesLayout::Together {
                names: 80,
                free_count: 76,
            },
        },
        frame: FrameLayout::Apart(InterpreterFrameLayout {
            function: 0,
            globals: 8,
            builtins: 16,
            namespace: 24,
            code: 32,
            stack_end: 64,
            stack_end_is_an_address: false,
            references_are_tagged: false,
            variables: 72,
            in_generator: 64,
        }),
        current: CurrentLayout::InterpreterFrame {
            in_state: 56,
            in_frame_of_c: Some(8),
            code: 32,
            previous: 48,
            instruction: 56,
            owner: 69,
            least_own: 3,
            instructions_in_code: 168,
        },
        deques_share_blocks: false,
        ..cpython_3_8_to_3_10::layout_of_3_10()
    }
}
