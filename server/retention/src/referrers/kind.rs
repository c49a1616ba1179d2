//! The ways in which one object holds another, in the words of the report.

/// How a referrer holds an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferrerKind {
    /// A global of a module.
    ModuleGlobal,
    /// An attribute of a class.
    ClassAttribute,
    /// An attribute of a function.
    FunctionAttribute,
    /// A local variable of a running frame, a generator or a coroutine.
    Local,
    /// A free variable of a function.
    Closure,
    /// The default value of a parameter.
    Default,
    /// The default value of a keyword-only parameter.
    KeywordDefault,
    /// An entry of a caching function.
    CacheEntry,
    /// An attribute of a thread-local object, in one thread.
    ThreadLocal,
    /// A value of a context variable.
    Context,
    /// An attribute of an instance.
    Attribute,
    /// A slot, or a member of a C structure.
    Slot,
    /// The object that a bound method is bound to.
    BoundSelf,
    /// A positional argument of a partial function.
    PartialArgument,
    /// A value in the table of annotations.
    Annotation,
    /// A value of a dictionary.
    DictValue,
    /// A key of a dictionary.
    DictKey,
    /// An item of a list.
    ListItem,
    /// An item of a tuple.
    TupleItem,
    /// A member of a set.
    SetItem,
    /// An item of a deque.
    DequeItem,
    /// A local variable of a frame that a stored traceback keeps.
    TracebackFrame,
    /// What a view shows.
    View,
    /// What an iterator goes over.
    Iterator,
    /// Held by C code.
    Native,
    /// Without a name.
    Other,
}

impl ReferrerKind {
    /// The report's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::ModuleGlobal => "module-global",
            Self::ClassAttribute => "class-attribute",
            Self::FunctionAttribute => "function-attribute",
            Self::Local => "local",
            Self::Closure => "closure",
            Self::Default => "default",
            Self::KeywordDefault => "keyword-default",
            Self::CacheEntry => "cache-entry",
            Self::ThreadLocal => "thread-local",
            Self::Context => "context",
            Self::Attribute => "attribute",
            Self::Slot => "slot",
            Self::BoundSelf => "bound-self",
            Self::PartialArgument => "partial-argument",
            Self::Annotation => "annotation",
            Self::DictValue => "dict-value",
            Self::DictKey => "dict-key",
            Self::ListItem => "list-item",
            Self::TupleItem => "tuple-item",
            Self::SetItem => "set-item",
            Self::DequeItem => "deque-item",
            Self::TracebackFrame => "traceback-frame",
            Self::View => "view",
            Self::Iterator => "iterator",
            Self::Native => "native",
            Self::Other => "other",
        }
    }
}
