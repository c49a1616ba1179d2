//! What a dump says about its process.

use serde_json::{Map, Value};

/// Names a process and the program that it ran: dumps that share it are a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// Process id.
    pub pid: u64,
    /// Start of the process in nanoseconds since the epoch, 0 if the dump does not know.
    pub started_at_nanoseconds: u64,
    /// Start of the program in that process, likewise: a process may turn into another program (`exec`).
    pub program_started_at_nanoseconds: u64,
}

/// The `HEAD` sections of a dump, joined. What a dump does not say is empty, 0 or false.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// `cpython`.
    pub runtime: String,
    /// `3.11.7`.
    pub version: String,
    /// Process id.
    pub pid: u64,
    /// Start of the process in nanoseconds since the epoch.
    pub process_start_nanoseconds: u64,
    /// When the interpreter began in the process, in nanoseconds since the epoch.
    pub program_start_nanoseconds: u64,
    /// When the dump was taken, in nanoseconds since the epoch.
    pub taken_at_nanoseconds: u64,
    /// It was taken when the process was ending.
    pub at_exit: bool,
    /// Taken to answer a question about one object, at any moment: it says nothing of what the program does between two dumps.
    pub for_question: bool,
    /// Name and version of the agent that took it.
    pub agent: String,
    /// Why the native agent did not take it, where one was at hand.
    pub fallback: String,
    /// Path of the interpreter.
    pub executable: String,
    /// `sys.argv`.
    pub argv: Vec<String>,
    /// The working folder.
    pub working_folder: String,
    /// `sys.prefix` and its kin.
    pub prefixes: Vec<String>,
    /// Folders of the standard library.
    pub standard_library: Vec<String>,
    /// Folders of installed packages.
    pub library_folders: Vec<String>,
    /// The program keeps the garbage collector from running: what is garbage stays.
    pub collector_is_off: bool,
    /// Counts of what the capture could not undo, by name.
    pub side_effects: Vec<(String, u64)>,
    /// What the agent could not see, and why.
    pub notes: Vec<String>,
}

impl Header {
    pub(crate) fn from_members(members: &Map<String, Value>) -> Self {
        let text = |name: &str| {
            members
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let number = |name: &str| {
            members
                .get(name)
                .and_then(Value::as_u64)
                .unwrap_or_default()
        };
        let texts = |name: &str| {
            let values = members
                .get(name)
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default();
            values
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let collector = members.get("garbage_collector");
        let is_collecting = collector.and_then(|collector| collector.get("enabled")?.as_bool());
        let side_effects = members.get("side_effects").and_then(Value::as_object);
        Self {
            runtime: text("runtime"),
            version: text("version"),
            pid: number("pid"),
            process_start_nanoseconds: number("process_start"),
            program_start_nanoseconds: number("program_start"),
            taken_at_nanoseconds: number("taken_at"),
            at_exit: text("moment") == "exit",
            for_question: text("moment") == "question",
            agent: text("agent"),
            fallback: text("fallback"),
            executable: text("executable"),
            argv: texts("argv"),
            working_folder: text("working_folder"),
            prefixes: texts("prefixes"),
            standard_library: texts("standard_library"),
            library_folders: texts("library_folders"),
            collector_is_off: is_collecting == Some(false),
            side_effects: side_effects
                .into_iter()
                .flatten()
                .filter_map(|(name, count)| {
                    Some((name.clone(), count.as_u64().filter(|count| *count > 0)?))
                })
                .collect(),
            notes: texts("notes"),
        }
    }

    /// The process that the dump is of.
    pub fn process(&self) -> ProcessKey {
        ProcessKey {
            pid: self.pid,
            started_at_nanoseconds: self.process_start_nanoseconds,
            program_started_at_nanoseconds: self.program_start_nanoseconds,
        }
    }
}
