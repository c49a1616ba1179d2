//! What a reference is called: its kind and its name in 32 bits.

/// The kinds of reference; the numbers up to 22 are those of the dump format (`FORMAT.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ReferenceKind {
    /// Not named by the writer.
    Other = 0,
    /// Instance attribute; value: string.
    Attribute = 1,
    /// Slot, or a member of a C structure; value: string.
    Slot = 2,
    /// Item of a list; value: index.
    ListItem = 3,
    /// Item of a tuple; value: index.
    TupleItem = 4,
    /// Member of a set.
    SetMember = 5,
    /// Item of a deque; value: index.
    DequeItem = 6,
    /// Value of a dictionary under a text key; value: string.
    DictValue = 7,
    /// Key of a dictionary.
    DictKey = 8,
    /// From a module, type or instance to its own `__dict__`.
    Namespace = 9,
    /// To the object's type.
    Type = 10,
    /// From a function to the cell of a free variable; value: string.
    FreeVariable = 11,
    /// From a cell to its contents.
    CellContents = 12,
    /// Default value of a parameter; value: string.
    Default = 13,
    /// Default value of a keyword-only parameter; value: string.
    KeywordDefault = 14,
    /// Local variable of a frame, generator or coroutine; value: string.
    Local = 15,
    /// From a caching function to what holds its entries.
    Cache = 16,
    /// Says nothing about who holds: globals, code, builtins, base classes; value: string.
    Machinery = 17,
    /// On a frame's evaluation stack.
    Stack = 18,
    /// From an iterator to what it goes over.
    Iterates = 19,
    /// From a view (of a dictionary, a mapping, a buffer) to what it shows.
    View = 20,
    /// From a thread-local object to the namespace of one thread.
    ThreadLocal = 21,
    /// From a context variable to a value that some context has for it; value: string, the name that the variable was given.
    Context = 22,
    /// Value of a dictionary under an integer key; value: string (its decimal digits).
    DictValueOfInteger = 23,
    /// Value of a dictionary under any other key; value: type index of the key.
    DictValueOfOther = 24,
    /// From the synthetic root; value: [`RootKind`].
    Root = 25,
}

impl ReferenceKind {
    const ALL: [Self; 26] = [
        Self::Other,
        Self::Attribute,
        Self::Slot,
        Self::ListItem,
        Self::TupleItem,
        Self::SetMember,
        Self::DequeItem,
        Self::DictValue,
        Self::DictKey,
        Self::Namespace,
        Self::Type,
        Self::FreeVariable,
        Self::CellContents,
        Self::Default,
        Self::KeywordDefault,
        Self::Local,
        Self::Cache,
        Self::Machinery,
        Self::Stack,
        Self::Iterates,
        Self::View,
        Self::ThreadLocal,
        Self::Context,
        Self::DictValueOfInteger,
        Self::DictValueOfOther,
        Self::Root,
    ];

    /// The kind with this number, if there is one.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }

    /// Whether a dump can name it; the others are made while one is read.
    pub fn is_of_the_format(self) -> bool {
        self <= Self::Context
    }

    /// Whether the label's value is a row of the string table.
    pub fn is_named_by_string(self) -> bool {
        use ReferenceKind::*;
        matches!(
            self,
            Attribute
                | Slot
                | DictValue
                | FreeVariable
                | Default
                | KeywordDefault
                | Local
                | Machinery
                | DictValueOfInteger
                | Context
        )
    }

    /// Whether it leads from a container to one of the things put in it.
    pub fn is_item(self) -> bool {
        use ReferenceKind::*;
        matches!(
            self,
            ListItem
                | TupleItem
                | SetMember
                | DequeItem
                | DictValue
                | DictKey
                | DictValueOfInteger
                | DictValueOfOther
        )
    }
}

/// Where liveness starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RootKind {
    /// The table of modules.
    Modules = 1,
    /// A frame of a thread.
    Frame = 2,
    /// The interpreter's own state.
    Interpreter = 3,
    /// Held by C code: its reference count says more than the dump's references do, and nothing else reaches it.
    Native = 4,
}

impl RootKind {
    /// The kind with this number of the dump format, if there is one.
    pub fn from_code(code: u32) -> Option<Self> {
        [Self::Modules, Self::Frame, Self::Interpreter, Self::Native]
            .into_iter()
            .find(|kind| *kind as u32 == code)
    }
}

const VALUE_BITS: u32 = 26;
const DESCRIBED: u32 = 1 << 31;

/// The largest value a label can carry; a larger index is stored as this one.
pub const MAX_LABEL_VALUE: u32 = (1 << VALUE_BITS) - 1;

/// A reference's kind and name: 1 bit described, 5 bits kind, 26 bits value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(u32);

impl Label {
    /// A label; `value` beyond [`MAX_LABEL_VALUE`] is cut to it.
    pub fn new(kind: ReferenceKind, value: u32) -> Self {
        Self((kind as u32) << VALUE_BITS | value.min(MAX_LABEL_VALUE))
    }

    /// The same label for a described reference: one that restates, under a better name, what other references carry.
    pub fn described(self) -> Self {
        Self(self.0 | DESCRIBED)
    }

    /// Whether it restates other references. Described references count for paths, not for reference counts.
    pub fn is_described(self) -> bool {
        self.0 & DESCRIBED != 0
    }

    /// The kind.
    pub fn kind(self) -> ReferenceKind {
        let code = (self.0 & !DESCRIBED) >> VALUE_BITS;
        ReferenceKind::from_code(code).unwrap_or(ReferenceKind::Other)
    }

    /// The name: what it is depends on the kind.
    pub fn value(self) -> u32 {
        self.0 & MAX_LABEL_VALUE
    }
}
