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
    let (before, after) = example(kind)?;
    let title = words::holder_kind(kind);
    Some(format!(
        "# {kind}: {title}\n\n{meaning}\n\n## Why it happens\n\n{cause}\n\n```python\n{before}```\n\n\
         ## How it is usually mended\n\n{mend}\n\n```python\n{after}```\n"
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
            "Make the default `None` and create the container in the function. In an editor a quick fix does it.",
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
             that repeat. In an editor a quick fix gives a bound, or keeps the result of a method on its instance.",
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

/// The same few lines that leak, and that do not.
fn example(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "module-global" => (
            "THUMBNAILS = {}\n\ndef thumbnail(image):\n    return THUMBNAILS.setdefault(image, shrink(image))\n",
            "THUMBNAILS = weakref.WeakKeyDictionary()\n\ndef thumbnail(image):\n    return THUMBNAILS.setdefault(image, shrink(image))\n",
        ),
        "class-attribute" => (
            "class Basket:\n    items = []\n\n    def put(self, item):\n        self.items.append(item)\n",
            "class Basket:\n    def __init__(self):\n        self.items = []\n\n    def put(self, item):\n        self.items.append(item)\n",
        ),
        "instance-attribute" => (
            "class Pool:\n    def open(self):\n        self.connections.append(connect())\n        return self.connections[-1]\n",
            "class Pool:\n    def open(self):\n        connection = connect()\n        self.connections.append(connection)\n        \
             connection.on_close(self.connections.remove)\n        return connection\n",
        ),
        "slot" => (
            "class Session:\n    __slots__ = (\"requests\",)\n\n    def handle(self, request):\n        self.requests.append(request)\n",
            "class Session:\n    __slots__ = (\"requests\",)  # a collections.deque(maxlen=10)\n\n    def handle(self, request):\n        \
             self.requests.append(request)\n",
        ),
        "default-argument" => (
            "def log(line, seen=[]):\n    seen.append(line)\n",
            "def log(line, seen=None):\n    if seen is None:\n        seen = []\n    seen.append(line)\n",
        ),
        "closure" => (
            "def show(image):\n    button.on_click(lambda: print(image.name))\n",
            "def show(image):\n    name = image.name\n    button.on_click(lambda: print(name))\n",
        ),
        "local" => (
            "def work(jobs):\n    done = []\n    while True:\n        done.append(jobs.get().run())\n",
            "def work(jobs):\n    done = 0\n    while True:\n        jobs.get().run()\n        done += 1\n",
        ),
        "function-cache" => (
            "class Shape:\n    @functools.lru_cache(maxsize=None)\n    def area(self):\n        return self.side ** 2\n",
            "class Shape:\n    @functools.cached_property\n    def area(self):\n        return self.side ** 2\n",
        ),
        "function-attribute" => (
            "def handle(request):\n    handle.seen.append(request)\n\nhandle.seen = []\n",
            "def handle(request):\n    handle.count += 1\n\nhandle.count = 0\n",
        ),
        "thread-local" => (
            "def handle(request):\n    local.request = request\n    respond()\n",
            "def handle(request):\n    local.request = request\n    try:\n        respond()\n    finally:\n        del local.request\n",
        ),
        "context-variable" => (
            "async def handle(request):\n    current.set(request)\n    await respond()\n",
            "async def handle(request):\n    token = current.set(request)\n    try:\n        await respond()\n    finally:\n        current.reset(token)\n",
        ),
        "generator-frame" => (
            "rows = read_rows(path)\nfirst = next(rows)\nOPEN.append(rows)\n",
            "with contextlib.closing(read_rows(path)) as rows:\n    first = next(rows)\n",
        ),
        "coroutine-frame" => (
            "async def answer(request):\n    await request.ready.wait()\n",
            "async def answer(request):\n    async with asyncio.timeout(30):\n        await request.ready.wait()\n",
        ),
        "exception-traceback" => (
            "except OSError as error:\n    failures.append(error)\n",
            "except OSError as error:\n    failures.append(str(error))\n",
        ),
        "reference-cycle" => (
            "gc.disable()\n\nclass Node:\n    def add(self, child):\n        child.parent = self\n        self.children.append(child)\n",
            "class Node:\n    def add(self, child):\n        child.parent = weakref.ref(self)\n        self.children.append(child)\n",
        ),
        "weakref-callback" => (
            "weakref.finalize(image, image.close)\n",
            "weakref.finalize(image, os.close, image.descriptor)\n",
        ),
        "native" => (
            "def work(job):\n    atexit.register(job.close)\n    job.run()\n",
            "def work(job):\n    try:\n        job.run()\n    finally:\n        job.close()\n",
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
            assert_eq!(page.matches("```python\n").count(), 2, "{kind}");
        }
        assert_eq!(explanation("colour"), None);
    }
}
