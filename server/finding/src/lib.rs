//! heldby-finding: joins what the heap says (retention) with what the text says (source) into findings: their identity,
//! their ranking and their words.

mod confirmed;
pub mod explanations;
mod join;
mod observed;
mod placing;
pub mod words;

pub use confirmed::confirm;
pub use join::{Module, Program, findings};
pub use placing::SourceFact;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Growth proven by at least three dumps.
    Warning,
    /// Everything else that is worth knowing.
    Information,
}

/// How a site is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// An allocation trace of the holder's own storage names the line.
    Observed,
    /// A counter saw the line run.
    Confirmed,
    /// Found by reading the source.
    Inferred,
}

/// Where a site of the dump stands in today's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// The file is as it was, or the lines are where they were.
    Exact,
    /// The same lines, elsewhere in the file.
    Moved,
    /// The lines were changed since the dump.
    Changed,
    /// Not found any more.
    Lost,
}

/// What a store site does; the same four as `heldby_source::Role`.
pub use heldby_source::Role;

/// Lines and columns of a site: 1-based, columns in code points, end column exclusive, end line inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range {
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column after the last.
    pub end_column: u32,
}

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Absolute path of the file on this machine.
    pub file: String,
    /// Where in it; `None` when the site is lost.
    pub range: Option<Range>,
    /// How it is known.
    pub evidence: Evidence,
    /// Where it stands in today's text.
    pub placement: Placement,
}

/// A store site of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePlace {
    /// Where.
    pub place: Place,
    /// What it does.
    pub role: Role,
    /// Qualified name of the function around it; empty at the top level of a module.
    pub enclosing: String,
    /// Lies in the user's own code.
    pub user: bool,
    /// Runs once in the program's life, as far as the source tells.
    pub runs_once: bool,
    /// Where it stood in the text that ran; `None` where that is not known any more.
    pub ran_at: Option<RanAt>,
    /// How often it ran while that was counted.
    pub runs: Option<u64>,
}

/// Lines of a file as the program has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanAt {
    /// The file, as the program names it.
    pub file: String,
    /// First line (1-based).
    pub first: u32,
    /// Last line.
    pub last: u32,
}

/// A named binding on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// `module-global`, `class-attribute` …: the holder kinds of the JSON report.
    pub kind: &'static str,
    /// Access path, `gallery.views.UPLOADS`.
    pub path: String,
    /// Type of the object that is bound, `list`.
    pub type_name: String,
    /// Where it is created or bound.
    pub definition: Option<Place>,
}

/// What is held, and how it grew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Most retaining type.
    pub type_name: String,
    /// How many of that type.
    pub count: u64,
    /// Bytes freed if all that the access path holds went.
    pub retained_bytes: u64,
}

/// Growth over the series, oldest first, one number a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// At least three dumps, and a rise in every interval.
    pub proven: bool,
    /// Objects at the access path.
    pub counts: Vec<u64>,
    /// Bytes they retain.
    pub retained_bytes: Vec<u64>,
}

/// One reference of the chain from what is held to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The referrer: `list`, `module gallery.views`.
    pub object: String,
    /// Its reference: `[11]`, `.UPLOADS`.
    pub reference: String,
}

/// What the source says of how far a holder grows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// The bound that its definition gives it, as written: `maxsize=1000`.
    pub bound: Option<String>,
    /// Lines that take entries out.
    pub removals: Vec<Place>,
    /// It is a cache, and its keys have instances of classes in them, which rarely come again.
    pub keys_hold_instances: bool,
    /// Its entries go when their keys do.
    pub keys_are_weak: bool,
}

/// One holder, one access path: what it holds, how it grew, and where in the source that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable across runs of the same program.
    pub id: String,
    /// How grave.
    pub severity: Severity,
    /// The holder.
    pub holder: Holder,
    /// All named bindings of the chain, innermost first, the holder among them.
    pub holders: Vec<Holder>,
    /// What grows: `gallery.views.UPLOADS[*]`.
    pub access_path: String,
    /// Other holders of the same objects, by access path: freeing one alone frees nothing.
    pub also_held_by: Vec<String>,
    /// What limits the growth, as far as the source says.
    pub limits: Limits,
    /// What is held.
    pub held: Held,
    /// How it grew.
    pub growth: Growth,
    /// Store sites, best first.
    pub stores: Vec<StorePlace>,
    /// From the held object's first referrer to the root.
    pub chain: Vec<Hop>,
}

impl Finding {
    /// The user's own line that makes it happen, where the best store site is not the user's.
    pub fn users_own_store(&self) -> Option<&StorePlace> {
        let (best, others) = self.stores.split_first()?;
        if best.user {
            return None;
        }
        others.iter().find(|store| store.user && !store.runs_once)
    }
}

/// One dump of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpSummary {
    /// Path as given.
    pub path: String,
    /// Objects read.
    pub objects: u64,
    /// References read.
    pub references: u64,
    /// Sum of their shallow sizes.
    pub bytes: u64,
    /// The agent that took it.
    pub agent: String,
    /// Why another agent took it than was wanted; empty where that is not so.
    pub fallback: String,
    /// What could not be read, and what the capture could not see, in words.
    pub problems: Vec<String>,
}

/// The report on one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessReport {
    /// Process id.
    pub pid: u64,
    /// Its dumps, oldest first.
    pub dumps: Vec<DumpSummary>,
    /// Its findings, best first.
    pub findings: Vec<Finding>,
}
