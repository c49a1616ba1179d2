//! Runs a script in a program that nothing was prepared for, in a thread that the program did not make.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::transmute;

use crate::interpreter::symbol;

/// Begins the thread; whether there is one.
pub(crate) fn begin(script: CString) -> bool {
    let thread = std::thread::Builder::new().name("heldby".to_owned());
    thread.spawn(move || run(&script)).is_ok()
}

fn run(script: &CStr) {
    let Ok(script) = script.to_str() else {
        return;
    };
    // Nothing of it stays in the namespace in which it runs.
    let quoted = script.replace('\\', "\\\\").replace('\'', "\\'");
    let text = format!("exec(open('{quoted}', encoding='ascii').read(), {{}})");
    let Ok(text) = CString::new(text) else {
        return;
    };
    let functions = [
        c"Py_IsInitialized",
        c"PyGILState_Ensure",
        c"PyRun_SimpleString",
        c"PyGILState_Release",
    ]
    .map(symbol);
    if functions.iter().any(|function| function.is_null()) {
        return;
    }
    // SAFETY: the types that the headers of CPython 3.8 to 3.15 give them (Include/pylifecycle.h, pystate.h, pythonrun.h); the thread
    // is attached before it runs anything, and what it was before, afterwards.
    unsafe {
        let is_initialized: unsafe extern "C" fn() -> c_int = transmute(functions[0]);
        let ensure: unsafe extern "C" fn() -> c_int = transmute(functions[1]);
        let run: unsafe extern "C" fn(*const c_char) -> c_int = transmute(functions[2]);
        let release: unsafe extern "C" fn(c_int) = transmute(functions[3]);
        if is_initialized() != 0 {
            let state = ensure();
            run(text.as_ptr());
            release(state);
        }
    }
}
