//! Observed store sites: which instruction made each container's storage larger last.
//!
//! The interpreter's allocators are [hooked](hook): each block that they give is noted in a [table](table), together with the
//! [instruction](place) that asks for it. When a dump is taken, the copy of the process goes from a container to its
//! [storage](storage), and from there to the instruction. A trace whose code does not live any more is thrown away, and one that is in
//! [doubt](doubt).

mod doubt;
pub(crate) mod hook;
mod place;
mod storage;
mod table;

use std::ffi::{c_int, c_void};
use std::mem::transmute;

use hook::Domain;
use place::Current;
use table::Place;

use crate::classes::Container;
use crate::interpreter::{self, symbol};
use crate::layout::{Layout, shared};
use crate::memory::{Address, Memory};
use crate::objects::Objects;

/// Why nothing is traced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("CPython {0} is not known to it")]
    Version(String),
    #[error("this interpreter has no lock, which tracing needs")]
    FreeThreaded,
    #[error("the interpreter has no {0}")]
    Symbol(&'static str),
    #[error("this thread's frames are laid out otherwise")]
    Frame,
    #[error("no memory")]
    Memory,
}

/// Lines and columns of what an instruction stands for: lines 1-based, columns in bytes from 0, the end exclusive; -1 where the
/// interpreter does not know. `PyCode_Addr2Location` (Include/cpython/code.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    pub(crate) line: c_int,
    pub(crate) column: c_int,
    pub(crate) end_line: c_int,
    pub(crate) end_column: c_int,
}

/// Begins to trace: the storage of containers, or all objects. `code`: the code object that runs when this is called.
///
/// # Safety
/// With the interpreter's lock.
pub(crate) unsafe fn begin(code: Address, all: bool) -> Result<(), Refusal> {
    let (minor, version) =
        interpreter::version().ok_or_else(|| Refusal::Version("?".to_owned()))?;
    let layout = Layout::of(minor).ok_or(Refusal::Version(version))?;
    // SAFETY: the calling thread has the interpreter's lock, and only words of its own state and frames are read.
    let memory = unsafe { Memory::standing_still() };
    let object = needed(c"PyBaseObject_Type", "PyBaseObject_Type")? as Address;
    if memory.word(object + place::HEADER + shared::TYPE_BASIC_SIZE) != place::HEADER {
        return Err(Refusal::FreeThreaded);
    }
    let state = [
        c"_PyThreadState_UncheckedGet",
        c"PyThreadState_GetUnchecked",
    ]
    .map(symbol)
    .into_iter()
    .find(|found| !found.is_null())
    .ok_or(Refusal::Symbol("PyThreadState_GetUnchecked"))?;
    // SAFETY: the symbols have the types that Include/cpython/pystate.h and pymem.h give them.
    let (state, get, set) = unsafe {
        (
            transmute::<*mut c_void, unsafe extern "C" fn() -> *mut c_void>(state),
            transmute::<*mut c_void, hook::GetAllocator>(needed(
                c"PyMem_GetAllocator",
                "PyMem_GetAllocator",
            )?),
            transmute::<*mut c_void, hook::SetAllocator>(needed(
                c"PyMem_SetAllocator",
                "PyMem_SetAllocator",
            )?),
        )
    };
    let current = Current::new(memory, &layout, state);
    if current.instruction().is_none_or(|(found, _)| found != code) {
        return Err(Refusal::Frame);
    }
    let domains: &[Domain] = if all {
        &[Domain::Containers, Domain::Objects]
    } else {
        &[Domain::Containers]
    };
    // SAFETY: the caller's promise.
    unsafe { hook::begin(current, domains, get, set) }.map_err(|_| Refusal::Memory)
}

fn needed(name: &'static std::ffi::CStr, text: &'static str) -> Result<*mut c_void, Refusal> {
    let found = symbol(name);
    if found.is_null() {
        return Err(Refusal::Symbol(text));
    }
    Ok(found)
}

/// What a dump says of tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Off,
    On,
    /// It was begun, and is not to be believed any more.
    Broken,
}

/// Looks whether the interpreter's allocators are still hooked.
///
/// # Safety
/// With the interpreter's lock, called by code of Python's.
pub(crate) unsafe fn state() -> State {
    let (malloc, free) = (symbol(c"PyMem_Malloc"), symbol(c"PyMem_Free"));
    if malloc.is_null() || free.is_null() {
        return State::Off;
    }
    let (is_on, is_broken) = hook::state();
    // SAFETY: the symbols have these types (Include/pymem.h); the caller's promise.
    let is_alive = is_on
        && unsafe {
            hook::is_alive(
                transmute::<*mut c_void, unsafe extern "C" fn(usize) -> *mut c_void>(malloc),
                transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(free),
            )
        };
    match (is_alive, is_on || is_broken) {
        (true, _) => State::On,
        (false, true) => State::Broken,
        (false, false) => State::Off,
    }
}

/// Finds what instructions stand for: code of the interpreter's that only reads.
#[derive(Clone, Copy)]
pub(crate) struct Locations {
    line: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    /// Since 3.11.
    location: Option<
        unsafe extern "C" fn(
            *mut c_void,
            c_int,
            *mut c_int,
            *mut c_int,
            *mut c_int,
            *mut c_int,
        ) -> c_int,
    >,
}

impl Locations {
    pub(crate) fn find() -> Option<Self> {
        let line = symbol(c"PyCode_Addr2Line");
        // SAFETY: the symbols have the types that Include/cpython/code.h (3.8: Include/code.h) gives them.
        (!line.is_null()).then(|| unsafe {
            Self {
                line: transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void, c_int) -> c_int>(
                    line,
                ),
                location: transmute::<
                    *mut c_void,
                    Option<
                        unsafe extern "C" fn(
                            *mut c_void,
                            c_int,
                            *mut c_int,
                            *mut c_int,
                            *mut c_int,
                            *mut c_int,
                        ) -> c_int,
                    >,
                >(symbol(c"PyCode_Addr2Location")),
            }
        })
    }

    /// Of an instruction of code that lives.
    pub(crate) fn of(&self, code: Address, instruction: u32) -> Option<Location> {
        let at = c_int::try_from(instruction).ok()?;
        let code = code as *mut c_void;
        let mut found = Location {
            line: -1,
            column: -1,
            end_line: -1,
            end_column: -1,
        };
        // SAFETY: a live code object; the places that are written are `found`'s.
        unsafe {
            match self.location {
                Some(location) => {
                    location(
                        code,
                        at,
                        &raw mut found.line,
                        &raw mut found.column,
                        &raw mut found.end_line,
                        &raw mut found.end_column,
                    );
                }
                None => found.line = (self.line)(code, at),
            }
        }
        (found.line > 0).then_some(found)
    }
}

/// Where a container was last made larger. The place's code may be gone.
pub(crate) fn grown_at(objects: &Objects, container: Container, object: Address) -> Option<Growth> {
    let place = objects.grown_at(container, object, hook::place_of)?;
    Some(Growth {
        container,
        object,
        place,
    })
}

/// The line where a container was last made larger, for the agent's own check; None if that is not known.
///
/// # Safety
/// With the interpreter's lock; `object` is a live container of this kind.
pub(crate) unsafe fn line_of(container: Container, object: Address) -> Option<c_int> {
    let (minor, _) = interpreter::version()?;
    // SAFETY: the lock keeps the object as it is.
    let memory = unsafe { Memory::standing_still() };
    let objects = Objects {
        memory,
        interpreter: interpreter::Interpreter::find(memory, place::HEADER).ok()?,
        layout: Layout::of(minor)?,
        is_free_threaded: false,
        header: place::HEADER,
        text_type: symbol(c"PyUnicode_Type") as Address,
        integer_type: 0,
        least_digits: 0,
    };
    let growth = grown_at(&objects, container, object)?;
    if !growth.is_of_this_code() || growth.may_add_nothing(&objects) {
        return None;
    }
    let location = Locations::find()?.of(growth.code(), growth.instruction())?;
    Some(location.line)
}

/// A container, and the instruction that made it larger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    pub(crate) container: Container,
    pub(crate) object: Address,
    place: Place,
}

impl Growth {
    pub(crate) fn code(&self) -> Address {
        self.place.code
    }

    pub(crate) fn instruction(&self) -> u32 {
        self.place.instruction
    }

    /// Whether the code is the one that ran. Only where there is live code at its address.
    pub(crate) fn is_of_this_code(&self) -> bool {
        hook::is_still(&self.place)
    }

    /// Whether the instruction may have added nothing. Only of code that is the one that ran.
    pub(crate) fn may_add_nothing(&self, objects: &Objects) -> bool {
        objects.may_add_nothing(self.container, self.place.code, self.place.instruction)
    }
}
