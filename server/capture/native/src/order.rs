//! What the Python side of the agent orders: one JSON text for each dump.

use std::collections::HashMap;

use serde::Deserialize;

use crate::memory::Address;
use crate::probes::Probe;

/// Everything that is known before the walk begins. Addresses are those of objects of the program's that live as long as the agent does.
#[derive(Debug, Deserialize)]
pub(crate) struct Order {
    /// Where the dump is written, before it gets its name.
    pub(crate) unfinished: String,
    /// The dump's name.
    pub(crate) path: String,
    /// Whether the texts of dictionary keys are written.
    pub(crate) keys: bool,
    /// `none`, `zlib` or `zstd`.
    pub(crate) codec: String,
    /// The first `HEAD` section.
    pub(crate) head: serde_json::Value,
    /// `gc.get_threshold()`.
    pub(crate) thresholds: [i32; 3],
    /// Built-in types by names of ours.
    pub(crate) types: HashMap<String, Address>,
    /// Types whose objects reference nothing.
    pub(crate) leaves: Vec<Address>,
    /// What the references of built-in types are called that only their order tells apart.
    pub(crate) rest: Vec<(Address, Vec<(u32, String)>)>,
    /// Attributes that C code answers for, by type.
    pub(crate) getters: Vec<(Address, Vec<String>)>,
    /// The same for types that are not loaded for the agent's sake, by module and name.
    pub(crate) getters_by_name: Vec<(String, String, Vec<String>)>,
    /// `sys.modules`.
    pub(crate) modules: Address,
    /// The namespace of `builtins`.
    pub(crate) builtins: Address,
    /// The agent's namespace.
    pub(crate) agent_globals: Address,
    /// `sys._current_frames`.
    pub(crate) current_frames: Address,
    /// Other interpreters of the process have locks of their own and run meanwhile: nothing of theirs may be looked at.
    pub(crate) other_interpreters_run: bool,
    /// `contextvars.Context.items`.
    pub(crate) context_items: Address,
    /// `None`.
    pub(crate) none: Address,
    /// What `sys.getsizeof` counts before types that C code declares.
    pub(crate) bytes_before_static_types: u64,
    /// Digits for which an integer has room at least: patch releases differ.
    pub(crate) least_digits: u64,
    /// Names of modules that tell the collector of freed objects, too.
    pub(crate) modules_that_list_dead_objects: Vec<String>,
    /// Folders of libraries: no lines of their files are written.
    pub(crate) library_folders: Vec<String>,
    /// Plain objects (of type `object`) of the program's that the probes reference, too, and how often.
    pub(crate) referenced_by_probes: Vec<(Address, u32)>,
    /// Objects whose parts are known.
    pub(crate) probes: Vec<Probe>,
}
