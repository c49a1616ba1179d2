//! heldby-native: takes a dump of the Python process that has loaded it, while the program goes on.
//!
//! The Python agent loads this library and hands it an [order](order). The library copies the process; the copy decodes the heap and
//! writes the dump, and the program goes on as soon as the copy is made. Nothing here is linked to Python: what it needs of the interpreter is
//! looked up by name at run time, and where objects have their parts stands in [one table a version](layout). A copy that crashes over
//! a wrong table ends without a dump, and the agent takes it by itself.
//!
//! Nine functions in all, eight of them for the agent alone. None panics across the boundary.

#![cfg(all(
    target_os = "linux",
    target_pointer_width = "64",
    target_endian = "little"
))]

mod address_set;
mod allocator;
mod arrays;
mod builtin_types;
mod classes;
mod collector;
mod dump;
mod frames;
mod functions;
mod interpreter;
mod layout;
mod memory;
mod objects;
mod order;
mod probes;
mod process;
mod references;
mod run;
mod sections;
mod shared_report;
mod source_files;
mod special;
mod stacks;
mod threads;
mod tracing;
mod walk;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt::{Display, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use classes::Container;
use dump::Dump;

#[global_allocator]
static MEMORY: allocator::OwnMemory = allocator::OwnMemory::new();

/// What both sides must agree on: it rises with every change of the functions below or of the order.
const INTERFACE: u32 = 3;

/// The number of the interface between the agent and this library.
#[unsafe(no_mangle)]
pub extern "C" fn heldby_native_interface() -> u32 {
    INTERFACE
}

/// Begins a dump. Returns what the functions below take, or null; then the reason stands in `reason`, a text of at most
/// `reason_bytes` with its end.
///
/// # Safety
/// To be called with the interpreter's lock (`ctypes.PyDLL`). `order` has `order_bytes` bytes, an order whose addresses are right; `own`
/// has `own_count` addresses of objects that are not to be in the dump; `reason` has room. The lengths are C integers: ctypes hands
/// on those, and bytes, without making objects for them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heldby_native_begin(
    order: *const u8,
    order_bytes: c_int,
    own: *const u64,
    own_count: c_int,
    reason: *mut u8,
    reason_bytes: c_int,
) -> *mut c_void {
    let length = |number: c_int| usize::try_from(number).unwrap_or(0);
    let begun = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's promise.
        unsafe {
            let order = std::slice::from_raw_parts(order, length(order_bytes));
            let own = std::slice::from_raw_parts(own, length(own_count));
            Dump::begin(order, own)
        }
    }));
    match begun {
        Ok(Ok(dump)) => Box::into_raw(Box::new(dump)).cast(),
        Ok(Err(refusal)) => {
            // SAFETY: the caller's promise.
            unsafe { put_text(&refusal, reason, length(reason_bytes)) };
            std::ptr::null_mut()
        }
        Err(_) => {
            // SAFETY: the caller's promise.
            unsafe { put_text("it failed", reason, length(reason_bytes)) };
            std::ptr::null_mut()
        }
    }
}

/// 1 when the dump has ended, well or not; 0 when it is going on. Waits for the end as many milliseconds at most, and no longer than
/// until a signal comes; the interpreter's lock is not needed (`ctypes.CDLL`).
///
/// # Safety
/// `dump` came from [`heldby_native_begin`] and was not given to [`heldby_native_end`]; nobody else uses it meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heldby_native_wait(dump: *mut c_void, milliseconds: i32) -> i32 {
    // SAFETY: the caller's promise.
    let dump = unsafe { &mut *dump.cast::<Dump>() };
    let ended = catch_unwind(AssertUnwindSafe(|| dump.has_ended(milliseconds)));
    i32::from(ended.unwrap_or(true))
}

/// Puts what there is to say of a dump that has ended into `report`, a JSON text of at most `report_bytes` with its end, and forgets
/// the dump.
///
/// # Safety
/// As for [`heldby_native_wait`], for the last time; `report` has room.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heldby_native_end(
    dump: *mut c_void,
    report: *mut u8,
    report_bytes: usize,
) {
    // SAFETY: the caller's promise: it came from `Box::into_raw`.
    let dump = unsafe { Box::from_raw(dump.cast::<Dump>()) };
    let text = catch_unwind(AssertUnwindSafe(|| dump.report())).unwrap_or_default();
    // SAFETY: the caller's promise.
    unsafe { put_text(&text, report, report_bytes) };
}

/// Has the interpreter run a script, in a thread of its own, and returns at once: 0, or 1 when no thread could be made. For debuggers,
/// which call it in a process that they have stopped: the interpreter's lock is not needed, and is waited for by the thread.
///
/// # Safety
/// `script` is the path of a file, a C text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heldby_native_run(script: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let script = unsafe { CStr::from_ptr(script) }.to_owned();
    let begun = catch_unwind(AssertUnwindSafe(|| run::begin(script)));
    c_int::from(!begun.unwrap_or(false))
}

/// Begins to note which instruction makes each container's storage larger; with `all`, each object. `code` is the address of the code
/// object that calls this. Returns 0; or 1, and the reason in `reason` as in [`heldby_native_begin`].
///
/// # Safety
/// To be called with the interpreter's lock (`ctypes.PyDLL`); `reason` has room. This library must stay loaded from then on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heldby_native_trace(
    code: u64,
    all: c_int,
    reason: *mut u8,
    reason_bytes: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    let begun = catch_unwind(AssertUnwindSafe(|| unsafe {
        tracing::begin(code, all != 0)
    }));
    let said = match begun {
        Ok(Ok(())) => return 0,
        Ok(Err(refusal)) => refusal.to_string(),
        Err(_) => "it failed".to_owned(),
    };
    // SAFETY: the caller's promise.
    unsafe { put_text(said, reason, reason_bytes) };
    1
}

/// The line where a container was last made larger, 0 if that is not known: what the agent checks tracing by. `kind` is 0 of a list, 1
/// of a set, 2 of a deque, 3 of a dictionary.
///
/// # Safety
/// To be called with the interpreter's lock; `object` is the address of a container of this kind that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heldby_native_traced(object: u64, kind: c_int) -> c_int {
    let container = match kind {
        0 => Container::List,
        1 => Container::Set,
        2 => Container::Deque,
        _ => Container::Dictionary,
    };
    // SAFETY: the caller's promise.
    let found = catch_unwind(AssertUnwindSafe(|| unsafe {
        tracing::line_of(container, object)
    }));
    found.ok().flatten().unwrap_or(0)
}

/// Gives the program's other threads a trace function (`expected` is then `None`), or takes it from them (`function` is). 0 when that is
/// done; the number of threads that have another one, in which case none is given; -1 where it cannot be done.
///
/// # Safety
/// To be called with the interpreter's lock, in CPython up to 3.11; the four are addresses of `sys.settrace`, `sys.gettrace`, and of objects
/// that live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heldby_native_trace_threads(
    settrace: u64,
    gettrace: u64,
    expected: u64,
    function: u64,
) -> c_int {
    let object = |address: u64| address as *mut c_void;
    let done = catch_unwind(AssertUnwindSafe(|| {
        if interpreter::version().is_none_or(|(minor, _)| minor > 11) {
            return None;
        }
        let none = interpreter::symbol(c"_Py_NoneStruct");
        let begins = object(expected) == none;
        // SAFETY: the caller's promise.
        unsafe {
            threads::trace(
                object(settrace),
                object(gettrace),
                object(expected),
                object(function),
                begins,
            )
        }
    }));
    let others = done.ok().flatten();
    others.map_or(-1, |others| c_int::try_from(others).unwrap_or(c_int::MAX))
}

/// Notes no more, and forgets what was noted.
#[unsafe(no_mangle)]
pub extern "C" fn heldby_native_trace_end() {
    // It allocates nothing, and so does not fail; a panic must not go on all the same.
    let _ = catch_unwind(tracing::hook::end);
}

/// Writes a text and its end, as far as there is room, and asks for no memory: there may be none.
///
/// # Safety
/// `place` has room for `room` bytes.
unsafe fn put_text(text: impl Display, place: *mut u8, room: usize) {
    struct Place {
        at: *mut u8,
        room: usize,
    }

    impl std::fmt::Write for Place {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let length = text.floor_char_boundary(self.room);
            // SAFETY: there is room for so many bytes.
            unsafe {
                self.at.copy_from_nonoverlapping(text.as_ptr(), length);
                self.at = self.at.add(length);
            }
            self.room -= length;
            Ok(())
        }
    }

    if room == 0 {
        return;
    }
    let mut place = Place {
        at: place,
        room: room - 1,
    };
    // It takes what there is room for, and refuses nothing.
    let _ = write!(place, "{text}");
    // SAFETY: room for the end was left.
    unsafe { place.at.write(0) };
}
