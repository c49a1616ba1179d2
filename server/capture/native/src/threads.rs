//! Trace functions for the threads that run already: `sys.settrace` knows the calling thread only.
//!
//! Up to 3.11 a thread's state may be put in the place of the caller's as long as the interpreter's lock is held: what the
//! interpreter is then told of "this thread" it is told of that one. Later versions have `sys.monitoring` instead.

use std::ffi::c_void;
use std::mem::transmute;

use crate::interpreter::symbol;

type Object = *mut c_void;

/// Functions of the interpreter (Include/pystate.h, Include/cpython/pystate.h, Include/abstract.h, Include/pyerrors.h).
struct Threads {
    get: unsafe extern "C" fn() -> Object,
    swap: unsafe extern "C" fn(Object) -> Object,
    interpreter: unsafe extern "C" fn() -> Object,
    first: unsafe extern "C" fn(Object) -> Object,
    next: unsafe extern "C" fn(Object) -> Object,
    call: unsafe extern "C" fn(Object, ...) -> Object,
    clear_error: unsafe extern "C" fn(),
    let_go: unsafe extern "C" fn(Object),
}

impl Threads {
    fn find() -> Option<Self> {
        let found = |name| Some(symbol(name)).filter(|found| !found.is_null());
        // The function that names the interpreter is of 3.9; before, the first one is the main one.
        let interpreter =
            found(c"PyInterpreterState_Get").or_else(|| found(c"PyInterpreterState_Main"))?;
        // SAFETY: the types are those of the headers named above.
        unsafe {
            Some(Self {
                get: transmute::<Object, unsafe extern "C" fn() -> Object>(found(
                    c"PyThreadState_Get",
                )?),
                swap: transmute::<Object, unsafe extern "C" fn(Object) -> Object>(found(
                    c"PyThreadState_Swap",
                )?),
                interpreter: transmute::<Object, unsafe extern "C" fn() -> Object>(interpreter),
                first: transmute::<Object, unsafe extern "C" fn(Object) -> Object>(found(
                    c"PyInterpreterState_ThreadHead",
                )?),
                next: transmute::<Object, unsafe extern "C" fn(Object) -> Object>(found(
                    c"PyThreadState_Next",
                )?),
                call: transmute::<Object, unsafe extern "C" fn(Object, ...) -> Object>(found(
                    c"PyObject_CallFunctionObjArgs",
                )?),
                clear_error: transmute::<Object, unsafe extern "C" fn()>(found(c"PyErr_Clear")?),
                let_go: transmute::<Object, unsafe extern "C" fn(Object)>(found(c"Py_DecRef")?),
            })
        }
    }

    /// The threads but this one.
    fn others(&self) -> Vec<Object> {
        let mut found = Vec::new();
        // SAFETY: the lock is held, and what adds a thread to the list or takes one from it does not run meanwhile: see `trace`.
        unsafe {
            let own = (self.get)();
            let mut state = (self.first)((self.interpreter)());
            while !state.is_null() {
                if state != own {
                    found.push(state);
                }
                state = (self.next)(state);
            }
        }
        found
    }

    /// Calls a function as if in another thread, with one argument or none. What it returned, which may be gone.
    ///
    /// # Safety
    /// With the interpreter's lock, up to 3.11; `function` is one of C that runs nothing of the program's.
    unsafe fn call_in(&self, state: Object, function: Object, argument: Object) -> Object {
        // SAFETY: the caller's promise. A null argument ends the list.
        unsafe {
            let own = (self.swap)(state);
            let returned = (self.call)(function, argument, std::ptr::null_mut::<c_void>());
            if returned.is_null() {
                (self.clear_error)();
            } else {
                (self.let_go)(returned);
            }
            (self.swap)(own);
            returned
        }
    }
}

/// Has all other threads traced by `function` that are traced by `expected` now. How many are not, in which case, when tracing is to
/// begin, nothing is done. None where the interpreter does not have what this takes.
///
/// # Safety
/// With the interpreter's lock, up to 3.11. `settrace` and `gettrace` are the interpreter's functions; all are objects that live.
pub(crate) unsafe fn trace(
    settrace: Object,
    gettrace: Object,
    expected: Object,
    function: Object,
    is_begun: bool,
) -> Option<usize> {
    let threads = Threads::find()?;
    let null = std::ptr::null_mut();
    let (expecting, others): (Vec<Object>, Vec<Object>) = threads
        .others()
        .into_iter()
        // SAFETY: the caller's promise.
        .partition(|state| unsafe { threads.call_in(*state, gettrace, null) } == expected);
    if is_begun && !others.is_empty() {
        return Some(others.len());
    }
    for state in expecting {
        // SAFETY: the caller's promise.
        unsafe { threads.call_in(state, settrace, function) };
    }
    Some(others.len())
}
