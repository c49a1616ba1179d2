//! Where CPython keeps the parts of its objects: one table for each version, and for versions that share it one file.
//!
//! Offsets of an object's fields are counted from the end of its header (Include/object.h: 16 bytes, 32 in a free-threaded build), so
//! that one table serves both builds. What all versions share stands here.

mod cpython_3_11;
mod cpython_3_12;
mod cpython_3_13;
mod cpython_3_14;
mod cpython_3_8_to_3_10;

/// What differs between versions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) text: TextLayout,
    pub(crate) integers: IntegerLayout,
    pub(crate) dictionary_keys: DictionaryKeysLayout,
    pub(crate) attributes: AttributesLayout,
    pub(crate) function: FunctionLayout,
    pub(crate) code: CodeLayout,
    pub(crate) frame: FrameLayout,
    pub(crate) current: CurrentLayout,
    /// `struct _heaptypeobject`: `ht_cached_keys`, of no use before 3.11.
    pub(crate) type_cached_keys: u64,
    /// `struct _heaptypeobject`: `ht_qualname`.
    pub(crate) type_qualified_name: u64,
    /// Emptied blocks are kept for any deque, not for the one that had them: whose block comes from where nobody knows then.
    pub(crate) deques_share_blocks: bool,
    /// The first item of a tuple.
    pub(crate) tuple_items: u64,
    /// The low 32 bits of the count are all of it (since 3.12, where the high bits of these say that the object is immortal).
    pub(crate) counts_have_32_bits: bool,
}

/// `PyASCIIObject` and `PyCompactUnicodeObject` (Include/cpython/unicodeobject.h).
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextLayout {
    /// Where the characters of an ASCII text begin.
    pub(crate) ascii: u64,
    /// Where those of another begin, or, of one that is not compact, where their address is.
    pub(crate) others: u64,
}

/// `struct _longobject` (Include/cpython/longintrepr.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntegerLayout {
    /// The number of digits has the sign of the integer.
    SignedSize,
    /// The number of digits stands above three bits, of which the lowest two say the sign.
    Tagged,
}

/// `struct _dictkeysobject` (Include/internal/pycore_dict.h, up to 3.10 Objects/dict-common.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DictionaryKeysLayout {
    /// Up to 3.10: the size as a number, entries of hash, key and value.
    Sized,
    /// Since 3.11: the logarithm of the size, entries without hash where all keys are texts.
    Logarithmic,
}

/// Where the instance of a class of Python's has its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributesLayout {
    /// In a dictionary only.
    Dictionary,
    /// 3.11: the address of its values stands 32 bytes before it, that of a dictionary 24.
    ValuesBefore,
    /// 3.12: one word for both, 24 bytes before; its lowest bit says which.
    OneWordBefore,
    /// Since 3.13: the values lie behind it; the dictionary stands before it.
    ValuesBehind,
}

/// `PyFunctionObject` (Include/cpython/funcobject.h).
#[derive(Clone, Copy, Debug)]
pub(crate) struct FunctionLayout {
    pub(crate) code: u64,
    pub(crate) globals: u64,
    pub(crate) qualified_name: u64,
    pub(crate) defaults: u64,
    pub(crate) keyword_defaults: u64,
    pub(crate) closure: u64,
    pub(crate) module: u64,
    pub(crate) annotations: u64,
}

/// `PyCodeObject` (Include/cpython/code.h).
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeLayout {
    pub(crate) argument_count: u64,
    pub(crate) keyword_only_count: u64,
    pub(crate) stack_size: u64,
    pub(crate) flags: u64,
    pub(crate) first_line: u64,
    pub(crate) file: u64,
    /// `co_qualname`, before 3.11 `co_name`.
    pub(crate) name: u64,
    /// `co_names`.
    pub(crate) names: u64,
    /// `co_linetable`, before 3.10 `co_lnotab`: a bytes object.
    pub(crate) line_table: u64,
    pub(crate) variables: VariablesLayout,
}

/// Where a code object has the names of its variables.
#[derive(Clone, Copy, Debug)]
pub(crate) enum VariablesLayout {
    /// Tuples of variables, cells and free variables.
    Apart {
        variables: u64,
        cells: u64,
        free: u64,
    },
    /// Since 3.11 one tuple; the free ones come last.
    Together { names: u64, free_count: u64 },
}

/// Where a frame has its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FrameLayout {
    /// Up to 3.10 all is in the frame object (Include/frameobject.h, Include/cpython/frameobject.h).
    InObject(FrameObjectLayout),
    /// Since 3.11 in a frame of the interpreter's own, whose address the object has (Include/internal/pycore_frame.h).
    Apart(InterpreterFrameLayout),
}

/// Counted from the end of the frame object's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameObjectLayout {
    pub(crate) back: u64,
    pub(crate) code: u64,
    pub(crate) builtins: u64,
    pub(crate) globals: u64,
    pub(crate) namespace: u64,
    pub(crate) variables: u64,
}

/// Counted from the beginning of the interpreter's frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InterpreterFrameLayout {
    pub(crate) code: u64,
    pub(crate) function: u64,
    pub(crate) globals: u64,
    pub(crate) builtins: u64,
    pub(crate) namespace: u64,
    pub(crate) stack_end: u64,
    /// What stands at `stack_end` is an address, 0 while it changes; else the number of places in use, -1 while it changes.
    pub(crate) stack_end_is_an_address: bool,
    /// The lowest bit of a reference says that it is borrowed, both that it is a number.
    pub(crate) references_are_tagged: bool,
    pub(crate) variables: u64,
    /// Where a generator has its frame, from the end of its header.
    pub(crate) in_generator: u64,
}

/// The way from the state of a thread (Include/cpython/pystate.h) to the instruction that it executes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CurrentLayout {
    /// Up to 3.10: the frame object; its parts counted from the end of its header.
    FrameObject {
        in_state: u64,
        code: u64,
        /// `f_lasti`, 32 bits.
        instruction: u64,
        bytes_an_instruction: u32,
        /// Where code has the bytes object with its instructions, from the end of its header: `co_code`.
        code_bytes: u64,
    },
    /// Since 3.11: the interpreter's frame.
    InterpreterFrame {
        in_state: u64,
        /// Up to 3.12 the state has the frame of the C code, and that the interpreter's.
        in_frame_of_c: Option<u64>,
        code: u64,
        previous: u64,
        /// The address of the instruction.
        instruction: u64,
        owner: u64,
        /// From this one on, the owner is the interpreter itself.
        least_own: u8,
        /// Where code has its instructions, from the end of its header.
        instructions_in_code: u64,
    },
}

impl Layout {
    /// The table of a version of CPython 3, if there is one.
    pub(crate) fn of(minor: u32) -> Option<Self> {
        Some(match minor {
            8 | 9 => cpython_3_8_to_3_10::layout_of_3_8_and_3_9(minor),
            10 => cpython_3_8_to_3_10::layout_of_3_10(),
            11 => cpython_3_11::layout(),
            12 => cpython_3_12::layout(),
            13 => cpython_3_13::layout(),
            14 | 15 => cpython_3_14::layout(minor),
            _ => return None,
        })
    }
}

/// Include/object.h and its neighbours: what no version has changed, from the end of the header.
pub(crate) mod shared {
    /// `PyVarObject.ob_size`.
    pub(crate) const SIZE: u64 = 0;

    /// `struct _typeobject`.
    pub(crate) const TYPE_NAME: u64 = 8;
    pub(crate) const TYPE_BASIC_SIZE: u64 = 16;
    pub(crate) const TYPE_ITEM_SIZE: u64 = 24;
    pub(crate) const TYPE_FLAGS: u64 = 152;
    pub(crate) const TYPE_TRAVERSE: u64 = 168;
    pub(crate) const TYPE_DICTIONARY: u64 = 248;
    pub(crate) const TYPE_DICTIONARY_OFFSET: u64 = 272;
    pub(crate) const TYPE_IS_COLLECTED: u64 = 312;
    pub(crate) const TYPE_BASES: u64 = 320;
    pub(crate) const TYPE_ORDER: u64 = 328;

    /// `Py_TPFLAGS_…`.
    pub(crate) const HAS_INLINE_VALUES: u64 = 1 << 2;
    pub(crate) const HAS_MANAGED_WEAKREF: u64 = 1 << 3;
    pub(crate) const HAS_MANAGED_DICTIONARY: u64 = 1 << 4;
    pub(crate) const IS_IMMUTABLE: u64 = 1 << 8;
    pub(crate) const IS_HEAP_TYPE: u64 = 1 << 9;
    pub(crate) const HAS_COLLECTOR: u64 = 1 << 14;
    pub(crate) const IS_TYPE: u64 = 1 << 31;

    /// `PyListObject`.
    pub(crate) const LIST_ITEMS: u64 = 8;
    pub(crate) const LIST_ALLOCATED: u64 = 16;
    /// `PyDictObject`.
    pub(crate) const DICTIONARY_USED: u64 = 0;
    pub(crate) const DICTIONARY_KEYS: u64 = 16;
    pub(crate) const DICTIONARY_VALUES: u64 = 24;
    /// `dequeobject` and its blocks (Modules/_collectionsmodule.c).
    pub(crate) const DEQUE_LEFT_BLOCK: u64 = 8;
    pub(crate) const DEQUE_RIGHT_BLOCK: u64 = 16;
    pub(crate) const DEQUE_BLOCK_RIGHT_LINK: u64 = 520;
    /// `PySetObject`.
    pub(crate) const SET_MASK: u64 = 16;
    pub(crate) const SET_TABLE: u64 = 24;
    pub(crate) const SET_SMALL_TABLE: u64 = 48;
    /// `PyBytesObject.ob_sval`.
    pub(crate) const BYTES_DATA: u64 = 16;
    /// `PyModuleObject`, `PyCellObject`, the mapping under a proxy: the first field.
    pub(crate) const MODULE_DICTIONARY: u64 = 0;
    /// `PyASCIIObject`.
    pub(crate) const TEXT_LENGTH: u64 = 0;
    pub(crate) const TEXT_STATE: u64 = 16;
    /// `PyFrameObject.f_frame`, since 3.11.
    pub(crate) const FRAME_OF_OBJECT: u64 = 8;
    /// `PyDescrObject`, and behind it the definition: `PyMemberDef`, `PyGetSetDef` (Include/descrobject.h).
    pub(crate) const DESCRIPTOR_NAME: u64 = 8;
    pub(crate) const DESCRIPTOR_DEFINITION: u64 = 24;
    pub(crate) const MEMBER_TYPE: u64 = 8;
    pub(crate) const MEMBER_OFFSET: u64 = 16;
    pub(crate) const MEMBER_IS_OBJECT: u32 = 6;
    pub(crate) const MEMBER_IS_OBJECT_OR_MISSING: u32 = 16;
    pub(crate) const GETTER_FUNCTION: u64 = 8;
    pub(crate) const GETTER_CLOSURE: u64 = 32;
    /// `PyContextVar.var_name` (Include/internal/pycore_context.h).
    pub(crate) const CONTEXT_VARIABLE_NAME: u64 = 0;
    /// `lru_list_elem` (Modules/_functoolsmodule.c).
    pub(crate) const CACHE_ENTRY_KEY: u64 = 24;
    pub(crate) const CACHE_ENTRY_RESULT: u64 = 32;

    /// `CO_…` of code.
    pub(crate) const CODE_IS_OPTIMIZED: u32 = 1;
    pub(crate) const CODE_IS_OF_A_GENERATOR: u32 = 0x20 | 0x80 | 0x200;
}
