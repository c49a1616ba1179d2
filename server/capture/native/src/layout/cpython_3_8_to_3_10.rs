//! CPython 3.8 to 3.10: frames in their objects, attributes in dictionaries.

use super::{
    AttributesLayout, CodeLayout, CurrentLayout, DictionaryKeysLayout, FrameLayout,
    FrameObjectLayout, FunctionLayout, IntegerLayout, Layout, TextLayout, VariablesLayout,
};

/// 3.8 and 3.9: Include/funcobject.h, Include/code.h, Include/frameobject.h (3.9: Include/cpython).
pub(super) fn layout_of_3_8_and_3_9(minor: u32) -> Layout {
    Layout {
        function: FunctionLayout {
            code: 0,
            globals: 8,
            defaults: 16,
            keyword_defaults: 24,
            closure: 32,
            module: 72,
            annotations: 80,
            qualified_name: 88,
        },
        type_cached_keys: 856,
        type_qualified_name: if minor == 8 { 848 } else { 840 },
        frame: frame(344),
        current: current(88, 1),
        ..layout_of_3_10()
    }
}

/// 3.10: Include/cpython/funcobject.h, Include/cpython/code.h, Include/cpython/frameobject.h.
pub(super) fn layout_of_3_10() -> Layout {
    Layout {
        text: TextLayout {
            ascii: 32,
            others: 56,
        },
        integers: IntegerLayout::SignedSize,
        dictionary_keys: DictionaryKeysLayout::Sized,
        attributes: AttributesLayout::Dictionary,
        function: FunctionLayout {
            globals: 0,
            qualified_name: 24,
            code: 32,
            defaults: 40,
            keyword_defaults: 48,
            closure: 56,
            module: 88,
            annotations: 96,
        },
        code: CodeLayout {
            argument_count: 0,
            keyword_only_count: 8,
            stack_size: 16,
            flags: 20,
            first_line: 24,
            file: 88,
            name: 96,
            names: 48,
            line_table: 104,
            variables: VariablesLayout::Apart {
                variables: 56,
                free: 64,
                cells: 72,
            },
        },
        frame: frame(336),
        current: current(80, 2),
        type_cached_keys: 856,
        type_qualified_name: 848,
        deques_share_blocks: true,
        tuple_items: 8,
        counts_have_32_bits: false,
    }
}

fn frame(variables: u64) -> FrameLayout {
    FrameLayout::InObject(FrameObjectLayout {
        back: 8,
        code: 16,
        builtins: 24,
        globals: 32,
        namespace: 40,
        variables,
    })
}

fn current(instruction: u64, bytes_an_instruction: u32) -> CurrentLayout {
    CurrentLayout::FrameObject {
        in_state: 24,
        code: 16,
        instruction,
        bytes_an_instruction,
        code_bytes: 32,
    }
}
