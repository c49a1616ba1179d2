//! Stands between the interpreter and its allocators, and notes which instruction made each block larger.
//!
//! The interpreter calls an allocator's functions with its lock, but for what sub-interpreters with a lock of their own do: so the
//! table has a lock, which is free nearly always. Nothing here calls into the interpreter but the allocator below.
//!
//! An allocator that was put below another one's cannot be taken out: once installed it stays, and is told to do nothing.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use super::place::Current;
use super::table::{NoMemory, Place, PlaceRow, Table, Words};

/// `PyMemAllocatorEx` (Include/cpython/pymem.h).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Allocator {
    context: *mut c_void,
    malloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    calloc: unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void,
    realloc: unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void, *mut c_void),
}

/// `void PyMem_GetAllocator(PyMemAllocatorDomain, PyMemAllocatorEx *)`, and the same to set one.
pub(crate) type GetAllocator = unsafe extern "C" fn(c_int, *mut Allocator);
pub(crate) type SetAllocator = unsafe extern "C" fn(c_int, *const Allocator);

/// `PyMemAllocatorDomain`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Domain {
    /// `PYMEM_DOMAIN_MEM`: what containers keep their items in.
    Containers = 1,
    /// `PYMEM_DOMAIN_OBJ`: objects, and up to 3.13 the entries of dictionaries.
    Objects = 2,
}

/// The allocator that was there before, of each domain: an allocator's context.
struct Below(UnsafeCell<Option<Allocator>>);

// SAFETY: it is written once, with the interpreter's lock, before the interpreter learns of it; then only read.
unsafe impl Sync for Below {}

static BELOW_CONTAINERS: Below = Below(UnsafeCell::new(None));
static BELOW_OBJECTS: Below = Below(UnsafeCell::new(None));

struct Tracing {
    is_locked: AtomicBool,
    /// Whether blocks are noted.
    is_on: AtomicBool,
    /// What is in the table is not to be believed any more.
    is_broken: AtomicBool,
    notes: UnsafeCell<Option<Notes>>,
}

struct Notes {
    current: Current,
    table: Table,
}

// SAFETY: the notes are reached under the lock only.
unsafe impl Sync for Tracing {}

static TRACING: Tracing = Tracing {
    is_locked: AtomicBool::new(false),
    is_on: AtomicBool::new(false),
    is_broken: AtomicBool::new(false),
    notes: UnsafeCell::new(None),
};

/// So often the lock is asked for: who has it does a few steps, unless it does not exist any more, as in a process that was forked
/// in the wrong moment.
const MOST_TRIES: u32 = 1 << 22;

/// The lock, while it lives.
pub(crate) struct Held(());

impl Drop for Held {
    fn drop(&mut self) {
        TRACING.is_locked.store(false, Ordering::Release);
    }
}

/// Takes the lock. None, and tracing ends, where it is not to be had.
#[inline]
pub(crate) fn hold() -> Option<Held> {
    let mut tries = 0;
    while TRACING.is_locked.swap(true, Ordering::Acquire) {
        tries += 1;
        if tries == MOST_TRIES {
            give_up();
            return None;
        }
        std::hint::spin_loop();
    }
    Some(Held(()))
}

fn give_up() {
    TRACING.is_broken.store(true, Ordering::Relaxed);
    TRACING.is_on.store(false, Ordering::Relaxed);
}

#[inline]
fn with_notes<T>(work: impl FnOnce(&mut Notes) -> Result<T, NoMemory>) -> Option<T> {
    let _held = hold()?;
    // SAFETY: the lock is held.
    let notes = unsafe { &mut *TRACING.notes.get() };
    let done = work(notes.as_mut()?);
    if done.is_err() {
        give_up();
    }
    done.ok()
}

/// Notes where a block comes from.
#[inline]
fn note(block: *mut c_void, size: usize) {
    if block.is_null() {
        return;
    }
    with_notes(|notes| {
        let Notes { current, table } = notes;
        let row = match current.instruction() {
            Some((code, at)) => table.row_of(code, at, || current.fingerprint(code))?,
            None => PlaceRow::UNKNOWN,
        };
        table.insert(block as u64, row, Words::of_bytes(size))
    });
}

/// Notes the size of a block, and of its place what is known already.
#[inline]
fn note_as(block: *mut c_void, place: PlaceRow, size: Words) {
    with_notes(|notes| notes.table.insert(block as u64, place, size));
}

/// Whether a list that loses items may have asked for this: `list_resize` of Objects/listobject.c (since 3.9) has room for eight where
/// two are left, also where a list was made for just six or seven. One that grows from there mostly asks for more.
#[inline]
fn may_be_of_a_list_that_shrinks(before: Words, after: Words) -> bool {
    matches!(before.count(), 6 | 7) && after.count() == 8
}

#[inline]
fn is_on() -> bool {
    TRACING.is_on.load(Ordering::Relaxed)
}

/// # Safety
/// `context` is one of the two [`Below`], and it is filled.
#[inline]
unsafe fn below(context: *mut c_void) -> Allocator {
    // SAFETY: the caller's promise; the interpreter has the context only since the allocator below is known.
    let below = unsafe { &*(*context.cast::<Below>()).0.get() };
    match below {
        Some(allocator) => *allocator,
        None => std::process::abort(),
    }
}

// SAFETY of the four: each is called by the interpreter as its headers say, and hands its arguments on.

unsafe extern "C" fn malloc(context: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: see above.
    let block = unsafe {
        let below = below(context);
        (below.malloc)(below.context, size)
    };
    if is_on() {
        note(block, size);
    }
    block
}

unsafe extern "C" fn calloc(context: *mut c_void, count: usize, size: usize) -> *mut c_void {
    // SAFETY: see above.
    let block = unsafe {
        let below = below(context);
        (below.calloc)(below.context, count, size)
    };
    if is_on() {
        note(block, count.saturating_mul(size));
    }
    block
}

unsafe extern "C" fn realloc(context: *mut c_void, old: *mut c_void, size: usize) -> *mut c_void {
    let before = if is_on() && !old.is_null() {
        with_notes(|notes| Ok(notes.table.remove(old as u64))).flatten()
    } else {
        None
    };
    // SAFETY: see above.
    let block = unsafe {
        let below = below(context);
        (below.realloc)(below.context, old, size)
    };
    if is_on() {
        let after = Words::of_bytes(size);
        match before {
            // It stays as it was.
            Some((place, words)) if block.is_null() => note_as(old, place, words),
            None if block.is_null() => {}
            // From before tracing began: it may have become smaller.
            None if !old.is_null() => note_as(block, PlaceRow::UNKNOWN, after),
            Some((_, words))
                if words.is_beyond() || may_be_of_a_list_that_shrinks(words, after) =>
            {
                note_as(block, PlaceRow::UNKNOWN, after);
            }
            // What becomes smaller was not made larger here.
            Some((place, words)) if after <= words => note_as(block, place, after),
            _ => note(block, size),
        }
    }
    block
}

unsafe extern "C" fn free(context: *mut c_void, block: *mut c_void) {
    if is_on() && !block.is_null() {
        with_notes(|notes| Ok(notes.table.remove(block as u64)));
    }
    // SAFETY: see above.
    unsafe {
        let below = below(context);
        (below.free)(below.context, block);
    }
}

/// Begins to note, with an empty table.
///
/// # Safety
/// With the interpreter's lock; the functions are the interpreter's.
pub(crate) unsafe fn begin(
    current: Current,
    domains: &[Domain],
    get: GetAllocator,
    set: SetAllocator,
) -> Result<(), NoMemory> {
    end();
    let table = Table::new()?;
    {
        let _held = hold().ok_or(NoMemory)?;
        // SAFETY: the lock is held.
        unsafe { *TRACING.notes.get() = Some(Notes { current, table }) };
    }
    for domain in domains {
        let context = match domain {
            Domain::Containers => &BELOW_CONTAINERS,
            Domain::Objects => &BELOW_OBJECTS,
        };
        // SAFETY: the caller's promise. The context is written before the interpreter gets it, and never again: an allocator may lie
        // above that calls this one.
        unsafe {
            let below = &mut *context.0.get();
            if below.is_some() {
                continue;
            }
            let mut before = std::mem::MaybeUninit::<Allocator>::uninit();
            get(*domain as c_int, before.as_mut_ptr());
            *below = Some(before.assume_init());
            let own = Allocator {
                context: std::ptr::from_ref(context).cast_mut().cast(),
                malloc,
                calloc,
                realloc,
                free,
            };
            set(*domain as c_int, &raw const own);
        }
    }
    TRACING.is_broken.store(false, Ordering::Relaxed);
    TRACING.is_on.store(true, Ordering::Relaxed);
    Ok(())
}

/// Notes no more, and forgets what was noted.
pub(crate) fn end() {
    TRACING.is_on.store(false, Ordering::Relaxed);
    if let Some(_held) = hold() {
        // SAFETY: the lock is held.
        unsafe { *TRACING.notes.get() = None };
    }
}

/// Whether blocks are noted, and the interpreter comes by here: another tool may have put the allocators back that it had found.
///
/// # Safety
/// With the interpreter's lock, called by code of Python's; the functions are the interpreter's `PyMem_Malloc` and `PyMem_Free`.
pub(crate) unsafe fn is_alive(
    malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
) -> bool {
    if !is_on() {
        return false;
    }
    // SAFETY: the caller's promise.
    let block = unsafe { malloc(1) };
    let comes_by = with_notes(|notes| Ok(notes.table.has(block as u64))) == Some(true);
    // SAFETY: the caller's promise; it is not used any more.
    unsafe { free(block) };
    if !comes_by {
        give_up();
    }
    comes_by
}

/// What is noted of a block. `None` where nothing is to be believed.
pub(crate) fn place_of(block: u64) -> Option<Place> {
    // SAFETY: in the copy of the process, where nobody changes it, or with the interpreter's lock.
    let notes = unsafe { &*TRACING.notes.get() };
    let notes = notes.as_ref().filter(|_| is_on())?;
    notes.table.place_of(block)
}

/// Whether a place's code is what it was. The code must live.
pub(crate) fn is_still(place: &Place) -> bool {
    // SAFETY: as above.
    let notes = unsafe { &*TRACING.notes.get() };
    notes
        .as_ref()
        .is_some_and(|notes| notes.current.is_still(place))
}

/// Whether tracing was begun, and whether it was given up since.
pub(crate) fn state() -> (bool, bool) {
    (is_on(), TRACING.is_broken.load(Ordering::Relaxed))
}
