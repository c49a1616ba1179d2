//! A reference count in words: what makes it up, and what references from outside the heap usually mean.

use heldby_heap::{Heap, ObjectId};
use heldby_retention::RefcountAccount;

/// What is told of an object's reference count.
pub(crate) fn lines(
    heap: &Heap,
    object: ObjectId,
    account: Option<RefcountAccount>,
    is_immortal: bool,
) -> Vec<String> {
    let Some(account) = account else {
        return vec![if is_immortal {
            "reference count: immortal, the interpreter does not count its references".to_owned()
        } else {
            "reference count: not known".to_owned()
        }];
    };
    let mut line = format!(
        "reference count {}: {} seen in the heap",
        account.total,
        counted(account.seen, "reference")
    );
    if account.outside() > 0 {
        line.push_str(&format!(", {} held outside of it", account.outside()));
    }
    if account.beyond() > 0 {
        line.push_str(&format!(", {} of them not counted", account.beyond()));
    }
    let mut lines = vec![line];
    lines.extend(meaning(heap, object, account).map(str::to_owned));
    lines
}

/// What a difference usually means; rules by the object's type.
pub(crate) fn meaning(
    heap: &Heap,
    object: ObjectId,
    account: RefcountAccount,
) -> Option<&'static str> {
    let type_name = heap.type_name(heap.type_index(object));
    let is_type = heap.names().type_objects.contains_key(&object);
    if account.outside() > 0 {
        return Some(match type_name.as_str() {
            "str" => "a text that C code keeps: an interned name, or a constant of the interpreter",
            "NoneType" | "bool" | "int" | "float" | "NotImplementedType" | "ellipsis" => {
                "a constant that C code everywhere counts, as it does small numbers"
            }
            "function" | "code" | "method" => {
                "code that runs: a frame counts its function and its code"
            }
            "member_descriptor"
            | "getset_descriptor"
            | "wrapper_descriptor"
            | "method_descriptor"
            | "builtin_function_or_method"
            | "moduledef"
            | "PyCapsule" => {
                "machinery of types and modules in C, which keep what they look up often"
            }
            "functools._lru_list_elem" => {
                "an entry of a cache: its neighbours in the list count it"
            }
            "frame" => "a frame that runs or that a debugger looks at",
            "generator" | "coroutine" | "async_generator" => {
                "suspended code that an event loop or the interpreter is about to resume"
            }
            "module" | "dict" => "the interpreter's own state: imported modules, their tables",
            _ if is_type => "the type's own machinery in C: static types, tables of subclasses",
            _ => {
                "C code: an extension, a running frame's stack, or a container that hides its items from \
                 the collector"
            }
        });
    }
    if account.beyond() > 0 {
        return Some(match type_name.as_str() {
            "str" => "interned: the table of interned texts holds it without counting",
            _ => {
                "borrowed: the interpreter holds it somewhere without counting, as a running frame may"
            }
        });
    }
    None
}

fn counted(count: u32, word: &str) -> String {
    if count == 1 {
        format!("{count} {word}")
    } else {
        format!("{count} {word}s")
    }
}
