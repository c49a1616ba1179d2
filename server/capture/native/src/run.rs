//! Runs a script in a program that nothing was prepared for, in a thread that the program did not make.
//!
//! Up to CPython 3.13 an interpreter that ends has each thread which asks for its lock leave by `pthread_exit`, in the middle of whatever it
//! was called by (`take_gil` in Python/ceval_gil.h). That unwinds the thread's stack, and may not be caught: so the thread is not one of the
//! standard library's, which catches whatever comes, each call into the interpreter may unwind, and nothing that has to be dropped is alive
//! around it.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::fs;
use std::mem::transmute;
use std::os::unix::ffi::OsStrExt as _;
use std::panic::catch_unwind;
use std::path::Path;
use std::ptr::null_mut;

use crate::interpreter::symbol;
use crate::process::with_signals_blocked;

/// Bytes of the thread's stack, as the standard library's threads have: the interpreter compiles and runs a short script on it.
const STACK: usize = 2 << 20;

/// Begins the thread; whether there is one.
pub(crate) fn begin(script: CString) -> bool {
    let script = script.into_raw();
    // A signal that is sent to the program is for its own threads: one of them may wait for it.
    let begun = with_signals_blocked(|| {
        // SAFETY: places to write into; attributes that were initialized; a function of the type that threads begin with, but for
        // what it may do at its end, which is what `pthread_exit` does in any thread.
        unsafe {
            let mut attributes = std::mem::zeroed();
            if libc::pthread_attr_init(&raw mut attributes) != 0 {
                return false;
            }
            libc::pthread_attr_setdetachstate(&raw mut attributes, libc::PTHREAD_CREATE_DETACHED);
            libc::pthread_attr_setstacksize(&raw mut attributes, STACK);
            let run = transmute::<
                extern "C-unwind" fn(*mut c_void) -> *mut c_void,
                extern "C" fn(*mut c_void) -> *mut c_void,
            >(run);
            let mut thread = std::mem::zeroed();
            let error =
                libc::pthread_create(&raw mut thread, &raw const attributes, run, script.cast());
            libc::pthread_attr_destroy(&raw mut attributes);
            error == 0
        }
    });
    if !begun {
        // SAFETY: it came from `into_raw`, and no thread has it.
        drop(unsafe { CString::from_raw(script) });
    }
    begun
}

/// What `heldby capture` looks for beside the script, when there is no answer.
const FAILED: &str = "answer.failed";

/// The thread. `script` is the path, from [`CString::into_raw`].
extern "C-unwind" fn run(script: *mut c_void) -> *mut c_void {
    let script: *mut c_char = script.cast();
    let text = catch_unwind(|| read(script)).unwrap_or(null_mut());
    if text.is_null() {
        return null_mut();
    }
    // It may have waited for the interpreter's lock until whoever wanted it had given it up.
    let has_run = run_text(text, script);
    let _ = catch_unwind(|| {
        if !has_run {
            let reason = "its interpreter does not run the agent: a hook of the program's may forbid it (sys.addaudithook)";
            let _ = fs::write(path(script).with_file_name(FAILED), reason);
        }
        // SAFETY: both came from `into_raw`, and nobody else has them.
        unsafe {
            drop(CString::from_raw(text));
            drop(CString::from_raw(script));
        }
    });
    null_mut()
}

fn path<'a>(script: *const c_char) -> &'a Path {
    // SAFETY: a text that lives until the thread is done.
    Path::new(OsStr::from_bytes(
        unsafe { CStr::from_ptr(script) }.to_bytes(),
    ))
}

/// Names the thread, and reads the script; null where it is not to be had.
fn read(script: *const c_char) -> *mut c_char {
    // SAFETY: this thread's name, of less than 16 bytes.
    unsafe { libc::pthread_setname_np(libc::pthread_self(), c"heldby".as_ptr()) };
    let text = fs::read(path(script)).ok().map(CString::new);
    text.and_then(Result::ok)
        .map_or(null_mut(), CString::into_raw)
}

/// Whether it ran to its end, or is not wanted any more. Nothing of it is told to the program, and no name of the program's stands for another in it.
fn run_text(text: *const c_char, script: *const c_char) -> bool {
    const FILE_INPUT: c_int = 257;

    let functions = [
        c"Py_IsInitialized",
        c"PyGILState_Ensure",
        c"PyGILState_Release",
        c"PyEval_GetBuiltins",
        c"PyDict_New",
        c"PyDict_SetItemString",
        c"PyRun_StringFlags",
        c"PyErr_Clear",
        c"Py_DecRef",
    ]
    .map(symbol);
    if functions.iter().any(|function| function.is_null()) {
        return false;
    }
    type Object = *mut c_void;
    // SAFETY: the types that the headers of CPython 3.8 to 3.15 give them (Include/pylifecycle.h, pystate.h, ceval.h, dictobject.h,
    // pythonrun.h, pyerrors.h, object.h); the thread is attached before it runs anything, and what it was before, afterwards.
    unsafe {
        let is_initialized: unsafe extern "C-unwind" fn() -> c_int = transmute(functions[0]);
        let ensure: unsafe extern "C-unwind" fn() -> c_int = transmute(functions[1]);
        let release: unsafe extern "C-unwind" fn(c_int) = transmute(functions[2]);
        let builtins: unsafe extern "C-unwind" fn() -> Object = transmute(functions[3]);
        let new_dictionary: unsafe extern "C-unwind" fn() -> Object = transmute(functions[4]);
        let set_item: unsafe extern "C-unwind" fn(Object, *const c_char, Object) -> c_int =
            transmute(functions[5]);
        let run: unsafe extern "C-unwind" fn(
            *const c_char,
            c_int,
            Object,
            Object,
            *mut c_void,
        ) -> Object = transmute(functions[6]);
        let clear_error: unsafe extern "C-unwind" fn() = transmute(functions[7]);
        let forget: unsafe extern "C-unwind" fn(Object) = transmute(functions[8]);
        if is_initialized() == 0 {
            return false;
        }
        let state = ensure();
        if !path(script).exists() {
            release(state);
            return true;
        }
        let names = new_dictionary();
        let mut result = null_mut();
        if !names.is_null() && set_item(names, c"__builtins__".as_ptr(), builtins()) == 0 {
            result = run(text, FILE_INPUT, names, names, null_mut());
        }
        clear_error();
        // Neither need be there.
        forget(result);
        forget(names);
        release(state);
        !result.is_null()
    }
}
