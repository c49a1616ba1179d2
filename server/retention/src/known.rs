//! What is known not to be a leak of the program: data, not code.

/// Packages whose objects are never a finding: the debugger's and the capture's own.
pub(crate) const TOOLS: &[&str] = &[
    "heldby_agent",
    "heldby_run",
    "debugpy",
    "pydevd",
    "_pydevd_bundle",
    "_pydev_bundle",
    "_pydevd_frame_eval",
    "_pydev_runfiles",
    "pydevd_file_utils",
    "pydevd_plugins",
    "_debugpy",
];

/// Globals that Python code keeps for itself in every module, by name.
pub(crate) const MODULE_BOOKKEEPING: &[&str] = &[
    "__warningregistry__",
    "__builtins__",
    "__annotations__",
    "__path__",
];

/// What the standard library keeps until the program ends, for the asking: growth there is the caller's doing, though all
/// that is held is the standard library's own. Module, class (none for a global), name.
pub(crate) const KEPT_FOR_THE_ASKING: &[(&str, &str, &str)] = &[
    // Each name given to `logging.getLogger` has a logger from then on.
    ("logging", "Manager", "loggerDict"),
    // A thread that was started and has not ended.
    ("threading", "", RUNNING_THREADS),
    // A finalizer waits for the end of what it watches.
    ("weakref", "finalize", FINALIZERS),
];

/// The attribute of `weakref.finalize` that has each finalizer which waits.
pub(crate) const FINALIZERS: &str = "_registry";

/// The attribute that has the entries of a dictionary with weak keys: each goes when its key does.
pub(crate) const WEAKLY_KEYED: (&str, &str, &str) = ("weakref", "WeakKeyDictionary", "data");

/// The global of `threading` that has each thread which runs.
pub(crate) const RUNNING_THREADS: &str = "_active";

/// What libraries keep on purpose, and bound or let the user clear. Module, class (none for a global), name.
pub(crate) const KEPT_BY_DESIGN: &[(&str, &str, &str)] = &[
    // A notebook's cells and their results, which it offers as `In` and `Out`; `%reset` clears them.
    ("IPython.core.history", "HistoryManager", "_trait_values"),
    ("IPython.core.history", "HistoryManager", "outputs"),
    ("IPython.core.history", "HistoryManager", "exceptions"),
    (
        "IPython.core.interactiveshell",
        "InteractiveShell",
        "user_ns_hidden",
    ),
    ("__main__", "", "_ih"),
    ("__main__", "", "_oh"),
    ("__main__", "", "_dh"),
    // Compiled patterns: 512 at most, the oldest go.
    ("re", "", "_cache"),
    ("re", "", "_cache2"),
    // Signatures of messages that came in, against replays: `digest_history_size` bounds them.
    ("jupyter_client.session", "Session", "_trait_values"),
];

/// Attributes whose dictionary has the attributes of an object by their names, as a `__dict__` has.
pub(crate) const NAMESPACES: &[&str] = &[
    // Objects of traitlets, of which Jupyter is made.
    "_trait_values",
    // Models of pydantic's: what of them is private.
    "__pydantic_private__",
];

/// The module that runs the cells of a notebook, each of which leaves names in `__main__`.
pub(crate) const SHELL_OF_NOTEBOOKS: &str = "IPython.core.interactiveshell";

/// What all the names of a namespace are called together.
pub(crate) const ALL_NAMES: &str = "__dict__";

/// Types of which the standard library's own containers keep empty ones for a while, and which hold nothing then: a weak
/// reference until its container is tidied, a timer that was cancelled until its time comes.
pub(crate) const EMPTY_SHELLS: &[&str] = &[
    "weakref.ReferenceType",
    "weakref",
    "weakref.KeyedRef",
    "asyncio.events.TimerHandle",
    "asyncio.events.Handle",
];

/// Types that are written in C, in modules that are written in Python, some of which have a class of the same name that takes their place
/// where there is no C: what that one's source says of its attributes never runs.
pub(crate) const WRITTEN_IN_C: &[&str] = &[
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.deque",
    "datetime.timezone",
    "functools.partial",
    "operator.attrgetter",
    "operator.itemgetter",
    "operator.methodcaller",
    "xml.etree.ElementTree.Element",
    "xml.etree.ElementTree.TreeBuilder",
    "xml.etree.ElementTree.XMLParser",
    "zoneinfo.ZoneInfo",
];

/// The type whose objects make the entries that are read and not there.
pub(crate) const MAKES_WHAT_IS_READ: &str = "collections.defaultdict";

/// Types of the standard library's whose lists of texts wait to be written: a few kilobytes at most.
pub(crate) const WRITERS: &[&str] = &["_io.TextIOWrapper"];

/// What contexts and their variables are called; before Python 3.9 without their module.
pub(crate) const CONTEXTS: [&str; 2] = ["_contextvars.Context", "Context"];
pub(crate) const CONTEXT_VARIABLES: [&str; 2] = ["_contextvars.ContextVar", "ContextVar"];

/// Types that stand between a container and what was put into it: the entry of a bounded `lru_cache`, and the key that a
/// cache makes of several arguments.
pub(crate) const CARRIERS: &[&str] = &["functools._lru_list_elem", "functools._HashedSeq"];

/// What a program calls the table of all modules.
pub(crate) const TABLE_OF_MODULES: (&str, &str) = ("sys", "modules");
