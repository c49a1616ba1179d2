//! One dump, from the order to the file with its name: what runs in the program, and what in the child.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Instant;

use heldby_dump::Codec;
use libc::pid_t;
use serde_json::json;

use crate::builtin_types::Types;
use crate::collector::Rings;
use crate::interpreter::{self, Interpreter, MissingSymbol};
use crate::layout::Layout;
use crate::memory::{Address, Memory};
use crate::objects::Objects;
use crate::order::Order;
use crate::probes;
use crate::process::{self, Ending, Side};
use crate::sections::Sections;
use crate::shared_report::SharedReport;
use crate::source_files;
use crate::stacks::Stacks;
use crate::tracing;
use crate::walk::{Failure, Walk};

/// Why no dump was begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the order is not understood: {0}")]
    Order(#[from] serde_json::Error),
    #[error("the order lacks a type")]
    Types,
    #[error("CPython {0} is not known to it")]
    Version(String),
    #[error("the types of this interpreter are laid out otherwise")]
    Header,
    #[error(transparent)]
    Symbol(#[from] MissingSymbol),
    #[error("no process could be made: {0}")]
    Clone(std::io::Error),
    #[error("no memory")]
    Memory,
    #[error("the collector showed no object")]
    Collector,
}

/// A dump that a child is taking, or has taken.
pub(crate) struct Dump {
    pid: pid_t,
    report: SharedReport,
    unfinished: String,
    ending: Ending,
    /// Nanoseconds for which the program stood still.
    stood_still: u64,
}

impl Dump {
    /// Begins a dump: when this returns, the program may go on.
    ///
    /// # Safety
    /// The calling thread is attached to the interpreter, and has its lock where it has one; the addresses of the order are those of
    /// live objects, of what their names say.
    pub(crate) unsafe fn begin(order: &[u8], own: &[Address]) -> Result<Self, Refusal> {
        let began = Instant::now();
        if !crate::MEMORY.prepare() {
            return Err(Refusal::Memory);
        }
        let order: Order = serde_json::from_slice(order)?;
        let (minor, version) =
            interpreter::version().ok_or_else(|| Refusal::Version("?".to_owned()))?;
        let layout = Layout::of(minor).ok_or(Refusal::Version(version))?;
        // SAFETY: in the program only frames and the table of them are read, while the interpreter's lock is held or the threads stand
        // still; the rest is read in the child, whose memory nobody else changes.
        let memory = unsafe { Memory::standing_still() };
        let types = Types::of(&order).ok_or(Refusal::Types)?;
        let (header, is_free_threaded) = header_of(memory, types.object).ok_or(Refusal::Header)?;
        let interpreter = Interpreter::find(memory, header)?;
        let objects = Objects {
            memory,
            interpreter,
            layout,
            is_free_threaded,
            header,
            text_type: types.text,
            integer_type: types.integer,
            least_digits: order.least_digits,
        };
        let report = SharedReport::new().ok_or(Refusal::Memory)?;
        let mut stacks = Stacks::default();
        if !is_free_threaded {
            stacks = Stacks::take(&objects, &order).ok_or(Refusal::Memory)?;
        }
        // SAFETY: the caller's promise; it is the agent's code that calls.
        let tracing = unsafe { tracing::state() };
        let mut tracked = Vec::new();
        let side = {
            // The copy must not have the notes half changed.
            let _unchanged = (tracing == tracing::State::On).then(tracing::hook::hold);
            if is_free_threaded {
                clone_while_threads_stand_still(&interpreter, &mut tracked, || {
                    // Without memory for the frames the rest of the dump will have none either, and says so.
                    stacks = Stacks::take(&objects, &order).unwrap_or_default();
                })
            } else {
                process::clone().map_err(Refusal::Clone)
            }
        };
        match side {
            Ok(Side::Parent(pid)) => {
                stacks.let_go(&interpreter);
                Ok(Self {
                    pid,
                    report,
                    unfinished: order.unfinished,
                    ending: Ending::Running,
                    stood_still: began.elapsed().as_nanos() as u64,
                })
            }
            Ok(Side::Child) => {
                if !is_free_threaded {
                    process::settle_as_child();
                }
                let work = Work {
                    objects,
                    types,
                    stacks,
                    minor,
                    order: &order,
                    own,
                    tracked,
                    tracing,
                };
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    work.run().map_err(|failure| failure_as_json(&failure))
                }));
                let outcome = outcome
                    .unwrap_or_else(|_| Err(json!({ "failure": "it failed", "is_lasting": true })));
                let (cpu, private) = process::used_by_this_process();
                let said = match &outcome {
                    Ok(count) => json!({
                        "objects": count,
                        "cpu_nanoseconds": cpu,
                        "private_bytes": private,
                    }),
                    Err(failure) => {
                        // What is there is no dump.
                        let _ = fs::remove_file(&order.unfinished);
                        failure.clone()
                    }
                };
                report.say(&said.to_string());
                process::end(i32::from(outcome.is_err()))
            }
            Err(refusal) => {
                stacks.let_go(&interpreter);
                Err(refusal)
            }
        }
    }

    /// Whether the child has ended; waits for that as many milliseconds at most.
    pub(crate) fn has_ended(&mut self, milliseconds: i32) -> bool {
        if self.ending == Ending::Running {
            if milliseconds > 0 {
                process::wait_a_while(self.pid, milliseconds);
            }
            self.ending = process::ending(self.pid);
            if !matches!(self.ending, Ending::Running | Ending::Code(0)) {
                // What a child that was killed had begun is no dump.
                let _ = fs::remove_file(&self.unfinished);
            }
        }
        self.ending != Ending::Running
    }

    /// What there is to say of it, as JSON: `failure` when there is no dump.
    pub(crate) fn report(&self) -> String {
        let said = match self.ending {
            Ending::Running => json!({}),
            Ending::Code(_) => {
                serde_json::from_str(&self.report.text()).unwrap_or_else(|_| json!({}))
            }
            Ending::Signal(number) => {
                // SIGKILL comes from outside, and what a child had to wait for need not be there the next time.
                let is_lasting = ![libc::SIGKILL, libc::SIGALRM].contains(&number);
                let how = match number {
                    libc::SIGALRM => "stood still, and was ended".to_owned(),
                    _ => format!("was ended by signal {number}"),
                };
                json!({
                    "failure": format!("the process that took it {how}"),
                    "is_lasting": is_lasting,
                })
            }
            Ending::Unknown => json!({ "failure": "the process that took it is not to be found" }),
        };
        let mut said = said;
        said["stood_still_nanoseconds"] = json!(self.stood_still);
        said["pid"] = json!(self.pid);
        said.to_string()
    }
}

/// Why there is no dump; `errno` where the file cannot be written, which nobody else could either.
fn failure_as_json(failure: &Failure) -> serde_json::Value {
    json!({
        "failure": failure.to_string(),
        "is_lasting": failure.is_lasting(),
        "errno": failure.os_error(),
    })
}

/// Bytes of an object's header, and whether the build is free-threaded: `object` itself has as many.
fn header_of(memory: Memory, object_type: Address) -> Option<(u64, bool)> {
    use crate::layout::shared::TYPE_BASIC_SIZE;

    [(16, false), (32, true)]
        .into_iter()
        .find(|(header, _)| memory.word(object_type + header + TYPE_BASIC_SIZE) == *header)
}

/// In a free-threaded build the interpreter stops all other threads while it shows its objects: the child is made when the first is
/// shown, and is shown the rest. In the program those threads would go on with what was seen of them before: the frames are for the child
/// to take.
fn clone_while_threads_stand_still(
    interpreter: &Interpreter,
    tracked: &mut Vec<Address>,
    begin_as_child: impl FnOnce(),
) -> Result<Side, Refusal> {
    let mut begin_as_child = Some(begin_as_child);
    let mut side = None;
    interpreter.show_all_objects(|object| {
        if side.is_none() {
            side = Some(process::clone());
            if matches!(side, Some(Ok(Side::Child))) {
                interpreter.forget_who_waits_for_its_lock();
                // From here on it is ended if it stands still.
                process::settle_as_child();
                if let Some(begin) = begin_as_child.take() {
                    begin();
                }
            }
        }
        let is_child = matches!(side, Some(Ok(Side::Child)));
        if is_child {
            tracked.push(object);
        }
        is_child
    });
    side.ok_or(Refusal::Collector)?.map_err(Refusal::Clone)
}

/// What the child does.
struct Work<'a> {
    objects: Objects,
    types: Types,
    stacks: Stacks,
    minor: u32,
    order: &'a Order,
    own: &'a [Address],
    tracked: Vec<Address>,
    tracing: tracing::State,
}

impl Drop for Dump {
    /// A dump that nobody waits for any more is ended.
    fn drop(&mut self) {
        if self.ending == Ending::Running {
            process::kill(self.pid);
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

impl Work<'_> {
    /// Writes the dump, and returns how many objects are in it.
    fn run(self) -> Result<u64, Failure> {
        let order = self.order;
        let objects = self.objects;
        let tracked = if objects.is_free_threaded {
            Tracked::Listed(self.tracked)
        } else {
            let rings = Rings::find(objects.memory, &objects.interpreter, self.minor, order);
            Tracked::InRings(rings.ok_or(Failure::NoRings)?)
        };
        probes::check(objects, order, &self.types)?;
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&order.unfinished)?;
        let codec = match order.codec.as_str() {
            "zlib" => Codec::Zlib,
            "zstd" => Codec::Zstd,
            _ => Codec::None,
        };
        let mut out = Sections::new(BufWriter::with_capacity(1 << 18, file), codec)?;
        let head = order.head.to_string();
        out.section(b"HEAD", |body| body.bytes(head.as_bytes()))?;
        let mut walk = Walk::new(objects, order, self.types, self.stacks, out, self.own);
        walk.is_traced = self.tracing == tracing::State::On;
        let (mut out, files, mut notes) = walk.run(&tracked)?;
        if order.other_interpreters_run {
            notes.push(
                "other interpreters of the process ran meanwhile: what they have is left out"
                    .to_owned(),
            );
        }
        if self.tracing == tracing::State::Broken {
            notes.push("store sites are not observed any more: another tool has taken over the interpreter's allocators".to_owned());
        }
        source_files::write(&mut out, files, &order.library_folders)?;
        let head = json!({ "side_effects": {}, "notes": notes }).to_string();
        out.section(b"HEAD", |body| body.bytes(head.as_bytes()))?;
        let count = out.objects;
        let mut file = out.finish()?;
        process::wait_for_disk();
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&order.unfinished, &order.path)?;
        Ok(count)
    }
}

/// What the collector tracks.
pub(crate) enum Tracked {
    InRings(Rings),
    Listed(Vec<Address>),
}

impl Tracked {
    /// Calls `visit` with each object.
    pub(crate) fn each(&self, objects: &Objects, mut visit: impl FnMut(Address)) {
        match self {
            Self::InRings(rings) => {
                rings.each(objects.memory, objects.collector_header(), visit);
            }
            Self::Listed(all) => all.iter().for_each(|object| visit(*object)),
        }
    }
}
