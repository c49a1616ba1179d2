//! Runs a script in a program that nothing was prepared for, in a thread that the program did not make.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs;
use std::mem::transmute;
use std::path::Path;
use std::ptr::null_mut;

use crate::interpreter::symbol;
use crate::process::with_signals_blocked;

/// Begins the thread; whether there is one.
pub(crate) fn begin(script: CString) -> bool {
    let thread = std::thread::Builder::new().name("heldby".to_owned());
    // A signal that is sent to the program is for its own threads: one of them may wait for it.
    with_signals_blocked(|| thread.spawn(move || run(&script)).is_ok())
}

/// What `heldby capture` looks for beside the script, when there is no answer.
const FAILED: &str = "answer.failed";

fn run(script: &CStr) {
    let Ok(path) = script.to_str() else {
        return;
    };
    let path = Path::new(path);
    let Ok(Ok(text)) = fs::read(path).map(CString::new) else {
        return;
    };
    // It may have waited for the interpreter's lock until whoever wanted it had given it up.
    if !run_text(&text, || path.exists()) {
        let reason = "its interpreter does not run the agent: a hook of the program's may forbid it (sys.addaudithook)";
        let _ = fs::write(path.with_file_name(FAILED), reason);
    }
}

/// Whether it ran to its end, or is not wanted any more. Nothing of it is told to the program, and no name of the program's stands for another in it.
fn run_text(text: &CStr, is_wanted: impl Fn() -> bool) -> bool {
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
        let is_initialized: unsafe extern "C" fn() -> c_int = transmute(functions[0]);
        let ensure: unsafe extern "C" fn() -> c_int = transmute(functions[1]);
        let release: unsafe extern "C" fn(c_int) = transmute(functions[2]);
        let builtins: unsafe extern "C" fn() -> Object = transmute(functions[3]);
        let new_dictionary: unsafe extern "C" fn() -> Object = transmute(functions[4]);
        let set_item: unsafe extern "C" fn(Object, *const c_char, Object) -> c_int =
            transmute(functions[5]);
        let run: unsafe extern "C" fn(*const c_char, c_int, Object, Object, *mut c_void) -> Object =
            transmute(functions[6]);
        let clear_error: unsafe extern "C" fn() = transmute(functions[7]);
        let forget: unsafe extern "C" fn(Object) = transmute(functions[8]);
        if is_initialized() == 0 {
            return false;
        }
        let state = ensure();
        if !is_wanted() {
            release(state);
            return true;
        }
        let names = new_dictionary();
        let mut result = null_mut();
        if !names.is_null() && set_item(names, c"__builtins__".as_ptr(), builtins()) == 0 {
            result = run(text.as_ptr(), FILE_INPUT, names, names, null_mut());
        }
        clear_error();
        // Neither need be there.
        forget(result);
        forget(names);
        release(state);
        !result.is_null()
    }
}
