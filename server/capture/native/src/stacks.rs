//! The frames of all threads, taken just before the heap is.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::interpreter::Interpreter;
use crate::layout::{FrameLayout, shared};
use crate::memory::Address;
use crate::objects::Objects;
use crate::order::Order;

/// Frames, and the thread that runs each. Whoever has this has a reference to each frame, until [`Stacks::let_go`].
#[derive(Default)]
pub(crate) struct Stacks {
    /// Innermost first, thread by thread; true for the agent's own.
    frames: Vec<(Address, u64, bool)>,
    threads: FxHashMap<Address, u64>,
    /// Frames of greenlets that wait: to the interpreter they are frames that run.
    waiting: FxHashSet<Address>,
}

impl Stacks {
    /// Takes them; None when there is no memory for them. Nobody runs them meanwhile: the caller has the interpreter's lock, or, in a
    /// free-threaded build, is a child with no other threads.
    pub(crate) fn take(objects: &Objects, order: &Order) -> Option<Self> {
        let mut stacks = Self::default();
        let (of_threads, mut has_room) = if order.other_interpreters_run || objects.is_free_threaded
        {
            tops_of_this_interpreter(objects)
        } else {
            tops(objects, order.current_frames)
        };
        for (thread, top) in of_threads {
            has_room = stacks.take_all(objects, thread, top, order.agent_globals) && has_room;
        }
        if !has_room {
            stacks.let_go(&objects.interpreter);
            return None;
        }
        Some(stacks)
    }

    /// Takes the frames of a thread, and whether there was room for all.
    fn take_all(
        &mut self,
        objects: &Objects,
        thread: u64,
        top: Address,
        agent_globals: Address,
    ) -> bool {
        let mut frame = top;
        while frame != 0 {
            if self.frames.try_reserve(1).is_err() || self.threads.try_reserve(1).is_err() {
                objects.interpreter.let_go(frame);
                return false;
            }
            let is_agents = globals_of(objects, frame) == agent_globals;
            self.frames.push((frame, thread, is_agents));
            self.threads.insert(frame, thread);
            frame = match objects.layout.frame {
                FrameLayout::InObject(layout) => {
                    let back = objects.field(frame, layout.back);
                    if back != 0 {
                        objects.interpreter.keep(back);
                    }
                    back
                }
                FrameLayout::Apart(_) => objects.interpreter.frame_before(frame).unwrap_or(0),
            };
        }
        true
    }

    /// The program's frames and their threads.
    pub(crate) fn frames(&self) -> impl Iterator<Item = (Address, u64)> + '_ {
        let of_program = self.frames.iter().filter(|(_, _, is_agents)| !is_agents);
        of_program.map(|(frame, thread, _)| (*frame, *thread))
    }

    /// The agent's frames.
    pub(crate) fn agents_frames(&self) -> impl Iterator<Item = Address> + '_ {
        let of_agent = self.frames.iter().filter(|(_, _, is_agents)| *is_agents);
        of_agent.map(|(frame, _, _)| *frame)
    }

    /// The thread that runs a frame; 0 is none.
    pub(crate) fn thread_of(&self, frame: Address) -> u64 {
        self.threads.get(&frame).copied().unwrap_or(0)
    }

    /// Notes a frame of a greenlet; whether it was not known.
    pub(crate) fn add_waiting(&mut self, frame: Address) -> bool {
        !self.threads.contains_key(&frame) && self.waiting.insert(frame)
    }

    /// Whether a frame owns what it has as one that runs does.
    pub(crate) fn is_running(&self, frame: Address) -> bool {
        self.threads.contains_key(&frame) || self.waiting.contains(&frame)
    }

    /// How many references to a frame this has.
    pub(crate) fn held(&self, frame: Address) -> u32 {
        u32::from(self.threads.contains_key(&frame))
    }

    /// Gives the references back.
    pub(crate) fn let_go(self, interpreter: &Interpreter) {
        for (frame, _, _) in self.frames {
            interpreter.let_go(frame);
        }
    }
}

/// Threads and the frame of each, with a reference to it; and whether there was room for all.
type Tops = (Vec<(u64, Address)>, bool);

/// As `sys._current_frames` says it.
fn tops(objects: &Objects, current_frames: Address) -> Tops {
    let (mut of_threads, mut has_room) = (Vec::new(), true);
    let tops = objects.interpreter.call(current_frames);
    if tops == 0 {
        return (of_threads, has_room);
    }
    objects.each_entry(tops, |thread, frame| {
        has_room = has_room && of_threads.try_reserve(1).is_ok();
        if has_room {
            let thread = objects.integer(thread).unwrap_or(0).cast_unsigned();
            objects.interpreter.keep(frame);
            of_threads.push((thread, frame));
        }
    });
    // The table is no part of the program's heap.
    objects.interpreter.let_go(tops);
    (of_threads, has_room)
}

/// The same of the threads of this interpreter only: `sys._current_frames` makes frames for those of others too, and where these run
/// meanwhile it ends the process (CPython 3.12 and 3.13).
fn tops_of_this_interpreter(objects: &Objects) -> Tops {
    let mut found = Vec::new();
    let mut has_room = true;
    objects.interpreter.each_thread(|thread, frame| {
        has_room = has_room && found.try_reserve(1).is_ok();
        if has_room {
            found.push((thread, frame));
        } else {
            objects.interpreter.let_go(frame);
        }
    });
    // Where a state has its thread's identifier is known of the thread that runs this.
    // SAFETY: it asks for a number.
    let own = unsafe { libc::pthread_self() };
    let field_of_own = found.iter().find_map(|(state, _)| {
        let mut fields = (0..WORDS_OF_STATE).map(|word| word * 8);
        fields.find(|field| objects.memory.word(state + field) == own)
    });
    for (thread, _) in &mut found {
        *thread = field_of_own.map_or(0, |field| objects.memory.word(*thread + field));
    }
    (found, has_room)
}

/// So many words of `PyThreadState` are there in each version: `thread_id` is one of the first thirty.
const WORDS_OF_STATE: u64 = 30;

fn globals_of(objects: &Objects, frame: Address) -> Address {
    match objects.layout.frame {
        FrameLayout::InObject(layout) => objects.field(frame, layout.globals),
        FrameLayout::Apart(layout) => {
            let inner = objects.field(frame, shared::FRAME_OF_OBJECT);
            objects.memory.word(inner + layout.globals)
        }
    }
}
