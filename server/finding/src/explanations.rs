//! What each kind of holder means, why it happens, and how it is usually mended: one short page a kind, in Markdown.

use crate::words;

/// The holder kinds of the JSON report that have a page.
pub const KINDS: [&str; 17] = [
    "module-global",
    "class-attribute",
    "instance-attribute",
    "slot",
    "default-argument",
    "closure",
    "local",
    "function-cache",
    "function-attribute",
    "thread-local",
    "context-variable",
    "generator-frame",
    "coroutine-frame",
    "exception-traceback",
    "reference-cycle",
    "weakref-callback",
    "native",
];

/// The page of a kind; `None` for a kind that is not known.
pub fn explanation(kind: &str) -> Option<String> {
    let (meaning, cause, mend) = parts(kind)?;
    let title = words::holder_kind(kind);
    Some(format!(
        "# {kind}: {title}\n\n{meaning}\n\n## Why it happens\n\n{cause}\n\n## How it is usually mended\n\n{mend}\n"
    ))
}

fn parts(kind: &str) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match kind {
        "module-global" => (
            "A name of a module is bound to a container, or to an object that has one. A module lives as long as the \
             program, and so does all that is put there.",
            "Something is registered, cached or collected for each request, job or upload, and nothing takes it out.",
            "Take out what is done with, bound the container (`collections.deque(maxlen=…)`, `functools.lru_cache(maxsize=…)`), \
             key it weakly (`weakref.WeakKeyDictionary`), or keep the data where it ends with the work: on the request, in a local.",
        ),
        "class-attribute" => (
            "An attribute of a class is shared by all its instances, and lives as long as the class.",
            "`items = []` in a class body is one list for all instances; or the class keeps a registry of its instances.",
            "Create what belongs to an instance in `__init__`; let a registry hold its members weakly (`weakref.WeakSet`).",
        ),
        "instance-attribute" | "slot" => (
            "An attribute of an object that lives long: a service, a connection pool, an application.",
            "The object collects something for each piece of work and is never told that the work is done.",
            "Remove it when the work ends, bound the container, or hold it weakly.",
        ),
        "default-argument" => (
            "A default value is made once, when the `def` runs, and all calls share it.",
            "`def log(line, seen=[])`: what one call appends, the next one finds.",
            "Make the default `None` and create the container in the function.\n\n```python\ndef log(line, seen=None):\n    \
             seen = [] if seen is None else seen\n```",
        ),
        "closure" => (
            "A function that was made in another one keeps the variables that it uses of it.",
            "The inner function is registered as a handler or a callback, and with it all that it captured.",
            "Unregister the function, or hand it what it needs as an argument instead of capturing it.",
        ),
        "local" => (
            "A variable of a function that is still running: a main loop, a worker thread.",
            "A list of the loop grows with each turn; or the variable keeps the last piece of work while the loop waits.",
            "Empty or bound the container, or `del` the variable before waiting.",
        ),
        "function-cache" => (
            "A caching decorator keeps each result, and each argument as its key.",
            "The cache has no bound, or its keys never repeat: `self`, a request, a time.",
            "Give it a `maxsize`; keep it off methods (use `functools.cached_property`, or cache on the instance); cache on keys \
             that repeat.",
        ),
        "function-attribute" => (
            "An attribute set on a function lives as long as the function, mostly as long as the program.",
            "It is used as a registry or as a counter that keeps what it counts.",
            "Bound it, empty it, or hold it weakly.",
        ),
        "thread-local" => (
            "An attribute of a `threading.local()` lives as long as its thread. Threads of a pool live as long as the program.",
            "Each job leaves its data on the thread that ran it.",
            "Clear it in a `finally` when the job ends.",
        ),
        "context-variable" => (
            "A context keeps what was set in it; tasks and callbacks copy the context that they begin in.",
            "`set()` without `reset()`, in a context that lives as long as the server.",
            "Keep the token of `set()` and `reset()` it in a `finally`; run the work in a context of its own (`contextvars.copy_context().run`).",
        ),
        "generator-frame" => (
            "A generator that is suspended keeps its local variables.",
            "It was begun and never ended, and somebody keeps it.",
            "Exhaust it, `close()` it, or drop who keeps it.",
        ),
        "coroutine-frame" => (
            "A coroutine that is suspended keeps its local variables.",
            "It awaits something that never comes; or its task is kept.",
            "Await it with a timeout, cancel its task, and let the task go.",
        ),
        "exception-traceback" => (
            "An exception keeps its traceback, that one its frames, and each frame its local variables.",
            "The exception was stored: `self.last_error = error`, a list of failures, the result of a task that nobody looks at.",
            "Store its text (`traceback.format_exception`), or drop the traceback: `error.with_traceback(None)`.",
        ),
        "reference-cycle" => (
            "Objects that refer to each other are freed by the collector only, not when the last name goes.",
            "The collector is disabled (`gc.disable()`), or they were frozen (`gc.freeze()`).",
            "Make one reference of the cycle weak, break it when the work is done, or let the collector run.",
        ),
        "weakref-callback" => (
            "The callback of a weak reference is held until what it watches goes.",
            "The callback refers to what it watches, which therefore never goes.",
            "Hand the callback a key, or use `weakref.finalize` with plain arguments.",
        ),
        "native" => (
            "References that no Python object has: C code holds them.",
            "A handle of a library was not closed, or an extension forgets to give a reference back.",
            "Close, release or unregister what was handed to the library; look for a missing `Py_DECREF` in the extension.",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_page_and_words() {
        for kind in KINDS {
            let page = explanation(kind).unwrap_or_default();
            assert!(page.starts_with(&format!("# {kind}: ")), "{kind}");
            assert!(page.contains("## How it is usually mended"), "{kind}");
        }
        assert_eq!(explanation("colour"), None);
    }
}
