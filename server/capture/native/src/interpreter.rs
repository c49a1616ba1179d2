//! The interpreter's own functions, looked up in the process at run time: this library is linked to no Python.
//!
//! All of them are C code of the interpreter's or of its extension modules, and run nothing of the program's.

use std::ffi::{CStr, c_char, c_int, c_longlong, c_void};
use std::mem::transmute;

use crate::layout::shared;
use crate::memory::{Address, Memory};

type Object = *mut c_void;
type Visit = extern "C" fn(Object, *mut c_void) -> c_int;
type Traverse = unsafe extern "C" fn(Object, Visit, *mut c_void) -> c_int;
type Show = extern "C" fn(Object, *mut c_void) -> c_int;
type Getter = unsafe extern "C" fn(Object, *mut c_void) -> Object;

/// A symbol that this library cannot do without is not there.
#[derive(Debug, thiserror::Error)]
#[error("the interpreter has no {0}")]
pub(crate) struct MissingSymbol(&'static str);

/// Functions of the interpreter.
#[derive(Clone, Copy)]
pub(crate) struct Interpreter {
    memory: Memory,
    header: u64,
    none: Address,
    call: unsafe extern "C" fn(Object, ...) -> Object,
    dictionary_next: unsafe extern "C" fn(Object, *mut isize, *mut Object, *mut Object) -> c_int,
    iterator_next: unsafe extern "C" fn(Object) -> Object,
    long_value: unsafe extern "C" fn(Object) -> c_longlong,
    clear_error: unsafe extern "C" fn(),
    let_go: unsafe extern "C" fn(Object),
    keep: unsafe extern "C" fn(Object),
    frame_line: unsafe extern "C" fn(Object) -> c_int,
    /// Since 3.9.
    frame_back: Option<unsafe extern "C" fn(Object) -> Object>,
    /// Since 3.12, where the dictionaries of built-in types are the interpreter's.
    type_dictionary: Option<unsafe extern "C" fn(Object) -> Object>,
    /// Since 3.9.
    current_state: Option<unsafe extern "C" fn() -> Object>,
    show_all: Option<unsafe extern "C" fn(Show, *mut c_void)>,
    runtime: Address,
    /// The other interpreters of the process.
    first_state: Option<unsafe extern "C" fn() -> Object>,
    next_state: Option<unsafe extern "C" fn(Object) -> Object>,
    /// The threads of an interpreter, and the frame of one. Since 3.9.
    first_thread: Option<unsafe extern "C" fn(Object) -> Object>,
    next_thread: Option<unsafe extern "C" fn(Object) -> Object>,
    frame_of_thread: Option<unsafe extern "C" fn(Object) -> Object>,
}

/// Null when there is none: as a function, none.
pub(crate) fn symbol(name: &'static CStr) -> *mut c_void {
    // SAFETY: a search in the symbols of this process, which changes nothing.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}

fn needed(name: &'static CStr) -> Result<*mut c_void, MissingSymbol> {
    let found = symbol(name);
    if found.is_null() {
        return Err(MissingSymbol(name.to_str().unwrap_or("symbol")));
    }
    Ok(found)
}

/// `major.minor…` as the interpreter says it, and its minor number.
pub(crate) fn version() -> Option<(u32, String)> {
    let found = needed(c"Py_GetVersion").ok()?;
    // SAFETY: `const char *Py_GetVersion(void)` (Include/pylifecycle.h), a static text.
    let text = unsafe {
        let get: unsafe extern "C" fn() -> *const c_char = transmute(found);
        CStr::from_ptr(get())
    };
    let text = text.to_str().ok()?;
    let number = text.split_whitespace().next()?;
    let (major, rest) = number.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    (major == "3").then_some((minor.parse().ok()?, number.to_owned()))
}

impl Interpreter {
    /// Looks the functions up.
    ///
    /// # Errors
    /// [`MissingSymbol`].
    pub(crate) fn find(memory: Memory, header: u64) -> Result<Self, MissingSymbol> {
        // SAFETY: each symbol has the type that the headers of CPython 3.8 to 3.15 give it (Include/abstract.h, dictobject.h,
        // longobject.h, pyerrors.h, object.h, frameobject.h or pyframe.h, cpython/pystate.h, cpython/gcmodule.h or objimpl.h).
        unsafe {
            Ok(Self {
                memory,
                header,
                none: needed(c"_Py_NoneStruct")? as Address,
                call: transmute::<Object, unsafe extern "C" fn(Object, ...) -> Object>(needed(
                    c"PyObject_CallFunctionObjArgs",
                )?),
                dictionary_next: transmute::<
                    Object,
                    unsafe extern "C" fn(Object, *mut isize, *mut Object, *mut Object) -> c_int,
                >(needed(c"PyDict_Next")?),
                iterator_next: transmute::<Object, unsafe extern "C" fn(Object) -> Object>(needed(
                    c"PyIter_Next",
                )?),
                long_value: transmute::<Object, unsafe extern "C" fn(Object) -> c_longlong>(
                    needed(c"PyLong_AsLongLong")?,
                ),
                clear_error: transmute::<Object, unsafe extern "C" fn()>(needed(c"PyErr_Clear")?),
                let_go: transmute::<Object, unsafe extern "C" fn(Object)>(needed(c"Py_DecRef")?),
                keep: transmute::<Object, unsafe extern "C" fn(Object)>(needed(c"Py_IncRef")?),
                frame_line: transmute::<Object, unsafe extern "C" fn(Object) -> c_int>(needed(
                    c"PyFrame_GetLineNumber",
                )?),
                frame_back: transmute::<Object, Option<unsafe extern "C" fn(Object) -> Object>>(
                    symbol(c"PyFrame_GetBack"),
                ),
                type_dictionary: transmute::<Object, Option<unsafe extern "C" fn(Object) -> Object>>(
                    symbol(c"PyType_GetDict"),
                ),
                current_state: transmute::<Object, Option<unsafe extern "C" fn() -> Object>>(
                    symbol(c"PyInterpreterState_Get"),
                ),
                show_all: transmute::<Object, Option<unsafe extern "C" fn(Show, *mut c_void)>>(
                    symbol(c"PyUnstable_GC_VisitObjects"),
                ),
                runtime: needed(c"_PyRuntime")? as Address,
                first_state: transmute::<Object, Option<unsafe extern "C" fn() -> Object>>(symbol(
                    c"PyInterpreterState_Head",
                )),
                next_state: transmute::<Object, Option<unsafe extern "C" fn(Object) -> Object>>(
                    symbol(c"PyInterpreterState_Next"),
                ),
                first_thread: transmute::<Object, Option<unsafe extern "C" fn(Object) -> Object>>(
                    symbol(c"PyInterpreterState_ThreadHead"),
                ),
                next_thread: transmute::<Object, Option<unsafe extern "C" fn(Object) -> Object>>(
                    symbol(c"PyThreadState_Next"),
                ),
                frame_of_thread: transmute::<Object, Option<unsafe extern "C" fn(Object) -> Object>>(
                    symbol(c"PyThreadState_GetFrame"),
                ),
            })
        }
    }

    /// Where the state of the current interpreter begins that has the collector's lists; of the runtime before 3.9.
    pub(crate) fn state(&self) -> Address {
        match self.current_state {
            // SAFETY: the calling thread is attached to the interpreter.
            Some(get) => unsafe { get() as Address },
            None => self.runtime,
        }
    }

    /// The states of the other interpreters of the process. Since 3.9, where each has a collector of its own.
    pub(crate) fn other_states(&self) -> Vec<Address> {
        let mut found = Vec::new();
        if let (Some(current), Some(first), Some(next)) =
            (self.current_state, self.first_state, self.next_state)
        {
            // SAFETY: the list of interpreters, which changes only under a lock of the runtime's; in a child nobody changes it.
            unsafe {
                let current = current();
                let mut state = first();
                while !state.is_null() && found.len() < 10_000 {
                    if state != current {
                        found.push(state as Address);
                    }
                    state = next(state);
                }
            }
        }
        found
    }

    /// Calls `visit` with the state of each thread of this interpreter and its frame, with a reference that is the visitor's. Since 3.9.
    pub(crate) fn each_thread(&self, mut visit: impl FnMut(Address, Address)) {
        let (Some(current), Some(first), Some(next), Some(frame_of)) = (
            self.current_state,
            self.first_thread,
            self.next_thread,
            self.frame_of_thread,
        ) else {
            return;
        };
        // SAFETY: the threads of the interpreter whose lock the calling thread has: none comes or goes without it.
        unsafe {
            let mut thread = first(current());
            while !thread.is_null() {
                let frame = frame_of(thread);
                if !frame.is_null() {
                    visit(thread as Address, frame as Address);
                }
                thread = next(thread);
            }
        }
    }

    /// What an object references, in the order in which the collector is told: nothing, if the collector has nothing to do with it.
    #[inline]
    pub(crate) fn references(&self, object: Address, type_: Address, found: &mut Vec<Address>) {
        let field = |offset| self.memory.word(type_ + self.header + offset);
        if field(shared::TYPE_FLAGS) & shared::HAS_COLLECTOR == 0 {
            return;
        }
        let (is_collected, traverse) = (
            field(shared::TYPE_IS_COLLECTED),
            field(shared::TYPE_TRAVERSE),
        );
        // SAFETY: `int (*inquiry)(PyObject *)` and `int (*traverseproc)(PyObject *, visitproc, void *)` of the object's own type
        // (Include/object.h), asked as the collector asks them; the visitor gets back the address of `found`.
        unsafe {
            if is_collected != 0 {
                let is_collected: unsafe extern "C" fn(Object) -> c_int =
                    transmute(is_collected as Object);
                if is_collected(object as Object) == 0 {
                    return;
                }
            }
            if traverse != 0 {
                let traverse: Traverse = transmute(traverse as Object);
                traverse(object as Object, note, std::ptr::from_mut(found).cast());
            }
        }
    }

    /// Key and value of the entries of a dictionary from a place on; the place is moved on.
    pub(crate) fn next_entry(
        &self,
        dictionary: Address,
        place: &mut isize,
    ) -> Option<(Address, Address)> {
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a dictionary, and places to write into; the references that come are borrowed.
        let found = unsafe {
            (self.dictionary_next)(dictionary as Object, place, &raw mut key, &raw mut value)
        };
        (found != 0).then_some((key as Address, value as Address))
    }

    /// A type's dictionary; 0 is none.
    pub(crate) fn dictionary_of_type(&self, type_: Address) -> Address {
        match self.type_dictionary {
            Some(get) => {
                // SAFETY: a type.
                let dictionary = unsafe { get(type_ as Object) };
                self.let_go(dictionary as Address);
                dictionary as Address
            }
            None => self
                .memory
                .word(type_ + self.header + shared::TYPE_DICTIONARY),
        }
    }

    /// What a `PyGetSetDef` gives for an object, which somebody else has too; 0 is nothing, and `None` counts as nothing.
    pub(crate) fn ask_getter(&self, definition: Address, object: Address) -> Address {
        let value = self.ask_getter_for_good(definition, object);
        self.let_go(value);
        value
    }

    /// The same for what the getter may have made, which nobody else has: it stays.
    pub(crate) fn ask_getter_for_good(&self, definition: Address, object: Address) -> Address {
        let function = self.memory.word(definition + shared::GETTER_FUNCTION);
        let closure = self.memory.word(definition + shared::GETTER_CLOSURE);
        // SAFETY: `PyObject *(*getter)(PyObject *, void *)` of a built-in type, with an object of that type.
        let value = unsafe {
            let get: Getter = transmute(function as Object);
            get(object as Object, closure as Object)
        } as Address;
        if value == 0 {
            self.clear_error();
        }
        if value == self.none { 0 } else { value }
    }

    /// What a method of a built-in type returns as a number.
    pub(crate) fn ask_number(&self, method: Address, object: Address) -> Option<i64> {
        // SAFETY: a method descriptor and an object of its type; the list of arguments ends with a null.
        let value = unsafe {
            (self.call)(
                method as Object,
                object as Object,
                std::ptr::null_mut::<c_void>(),
            )
        };
        if value.is_null() {
            self.clear_error();
            return None;
        }
        // SAFETY: an object; what is no integer is an error, which is cleared.
        let number = unsafe { (self.long_value)(value) };
        self.let_go(value as Address);
        if number < 0 {
            self.clear_error();
            return None;
        }
        Some(number)
    }

    /// Calls `visit` with each pair that a method of a built-in type returns an iterable's iterator of.
    pub(crate) fn each_pair(
        &self,
        method: Address,
        object: Address,
        tuple_items: u64,
        mut visit: impl FnMut(Address, Address),
    ) {
        // SAFETY: as in `ask_number`.
        let iterator = unsafe {
            (self.call)(
                method as Object,
                object as Object,
                std::ptr::null_mut::<c_void>(),
            )
        };
        if iterator.is_null() {
            return self.clear_error();
        }
        loop {
            // SAFETY: an iterator of the interpreter's own.
            let pair = unsafe { (self.iterator_next)(iterator) } as Address;
            if pair == 0 {
                break;
            }
            let items = pair + tuple_items;
            visit(self.memory.word(items), self.memory.word(items + 8));
            self.let_go(pair);
        }
        self.clear_error();
        self.let_go(iterator as Address);
    }

    /// The line at which a frame is; 0 is unknown.
    pub(crate) fn line_of_frame(&self, frame: Address) -> u32 {
        // SAFETY: a frame object.
        let line = unsafe { (self.frame_line)(frame as Object) };
        u32::try_from(line).unwrap_or(0)
    }

    /// The frame that called a frame, with a reference that is the caller's; 0 is none. None before 3.9, where the object has it.
    pub(crate) fn frame_before(&self, frame: Address) -> Option<Address> {
        // SAFETY: a frame object.
        self.frame_back
            .map(|back| unsafe { back(frame as Object) } as Address)
    }

    /// Calls a function without arguments; its result with a reference that is the caller's, 0 for an error.
    pub(crate) fn call(&self, function: Address) -> Address {
        // SAFETY: a callable object; the list of arguments ends with a null.
        let result = unsafe { (self.call)(function as Object, std::ptr::null_mut::<c_void>()) };
        if result.is_null() {
            self.clear_error();
        }
        result as Address
    }

    /// Gives a reference back.
    pub(crate) fn let_go(&self, object: Address) {
        // SAFETY: a reference that is ours, or null.
        unsafe { (self.let_go)(object as Object) };
    }

    /// Takes a reference.
    pub(crate) fn keep(&self, object: Address) {
        // SAFETY: a live object.
        unsafe { (self.keep)(object as Object) };
    }

    /// Calls `visit` with each object that the collector knows, as long as it answers that it wants more. A free-threaded build stops
    /// all other threads meanwhile.
    pub(crate) fn show_all_objects<F: FnMut(Address) -> bool>(&self, mut visit: F) {
        extern "C" fn show<F: FnMut(Address) -> bool>(
            object: Object,
            argument: *mut c_void,
        ) -> c_int {
            // SAFETY: the argument is the address of the closure below, which nobody else uses meanwhile.
            let visit = unsafe { &mut *argument.cast::<F>() };
            c_int::from(visit(object as Address))
        }
        if let Some(show_all) = self.show_all {
            // SAFETY: the visitor gets the address of the closure, which lives until the call returns.
            unsafe { show_all(show::<F>, (&raw mut visit).cast()) };
        }
    }

    /// In a child that was made while a free-threaded build showed its objects. It shows them under the runtime's lock of interpreters, and
    /// gives that to a thread that waits for it when it is done: in a child there is none, and the next to take the lock would wait for ever.
    ///
    /// Where the lock is: before the list of interpreters, whose place `_Py_DebugOffsets` tells (Include/internal/pycore_runtime.h,
    /// pycore_debug_offsets.h); what it says: `_Py_LOCKED`, `_Py_HAS_PARKED` (Include/internal/pycore_lock.h).
    pub(crate) fn forget_who_waits_for_its_lock(&self) {
        const COOKIE: u64 = u64::from_ne_bytes(*b"xdebugpy");
        const PLACE_OF_LIST: u64 = 40;
        const LOCKED: u8 = 1;
        const LOCKED_AND_WAITED_FOR: u8 = 3;

        let Some(first) = self.first_state else {
            return;
        };
        if self.memory.word(self.runtime) != COOKIE {
            return;
        }
        let list = self.runtime + self.memory.word(self.runtime + PLACE_OF_LIST);
        let lock = (list - 8) as *mut u8;
        // SAFETY: `PyInterpreterState *PyInterpreterState_Head(void)`; the byte lies in the runtime's state, right before the list, which
        // is where it was said to be; no other thread is in this process.
        unsafe {
            let is_the_list = self.memory.word(list) == first() as Address;
            if is_the_list && lock.read_volatile() == LOCKED_AND_WAITED_FOR {
                lock.write_volatile(LOCKED);
            }
        }
    }

    fn clear_error(&self) {
        // SAFETY: the calling thread is attached to the interpreter.
        unsafe { (self.clear_error)() };
    }
}

/// Adds an object to the list behind the argument. To go on is 0.
extern "C" fn note(object: Object, argument: *mut c_void) -> c_int {
    // SAFETY: the argument is the address of a list that nobody else uses meanwhile.
    unsafe { (*argument.cast::<Vec<Address>>()).push(object as Address) };
    0
}
