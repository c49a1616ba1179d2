//! Store sites of each kind of binding.

use heldby_source::Binding;

use crate::fixture::{attribute, bound, check, class_attribute, function, global, items, raised};

#[test]
fn module_dict() {
    check(
        &items(global("gallery.cache.CACHE")),
        "
#- gallery/cache.py
CACHE = {}
#^^^^^^^^^ definition

def remember(request):
    CACHE[request.id] = request
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^ store

def forget(request):
    CACHE.pop(request.id, None)
    del CACHE[request.id]
    CACHE.clear()

def look(request):
    return CACHE.get(request.id), CACHE[request.id], len(CACHE)
",
    );
}

#[test]
fn what_takes_out_is_no_store() {
    check(
        &items(global("m.PEERS")),
        "
#- m.py
import heapq
PEERS = set()
#^^^^^^^^^^^^ definition
def join(x):
    global PEERS
    PEERS |= {x}
#   ^^^^^^^^^^^^ store
def leave(x):
    global PEERS
    PEERS -= {x}
    PEERS &= {x}
    heapq.heappop(PEERS)
#- heapq.py
def heappop(heap):
    last = heap.pop()
    heap[0] = last
    return last
",
    );
}

#[test]
fn private_attributes_are_those_of_their_class() {
    check(
        &items(attribute(&["m:Pool", "m:Base"], "_Pool__items")),
        "
#- m.py
class Base:
    def __init__(self):
        self.__items = []
    def base(self, x):
        self.__items.append(x)
class Pool(Base):
    def __init__(self):
        super().__init__()
        self.__items = []
#       ^^^^^^^^^^^^^^^^^ definition
    def put(self, x):
        self.__items.append(x)
#       ^^^^^^^^^^^^^^^^^^^^^^ store
class Better(Pool):
    def better(self, x):
        self.__items.append(x)
",
    );
    check(
        &items(class_attribute(&["m:_Pool"], "_Pool__all")),
        "
#- m.py
class _Pool:
    __all = {}
#   ^^^^^^^^^^ definition
    @classmethod
    def put(cls, x):
        cls.__all[x] = x
#       ^^^^^^^^^^^^^^^^ store
    def drop(self, x):
        del _Pool.__all[x]
",
    );
}

#[test]
fn a_method_that_gives_a_longer_one() {
    check(
        &items(attribute(&["m:Scopes"], "names")),
        "
#- m.py
from collections import ChainMap
class Scopes:
    def __init__(self):
        self.names = ChainMap({})
#       ^^^^^^^^^^^^^^^^^^^^^^^^^ definition
    def push(self, values):
        self.names = self.names.new_child(values)
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store
    def pop(self):
        self.names = self.names.parents
    def clean(self, old):
        self.names = self.names.difference(old)
",
    );
}

#[test]
fn what_an_instance_is_made_with_does_not_grow_there() {
    check(
        &items(attribute(&["m:Consumer"], "handlers")),
        "
#- m.py
class Consumer:
    def __init__(self, handler):
        self.handlers = {'mail': partial(handler, seen=set())}
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ definition
    def deliver(self, message):
        self.handlers['mail'](message)
",
    );
}

#[test]
fn all_ways_to_insert() {
    check(
        &items(global("m.ALL")),
        "
#- m.py
import heapq, bisect
ALL = []
#^^^^^^^ definition

def go(x):
    ALL.append(x)
#   ^^^^^^^^^^^^^ store
    ALL.insert(0, x)
#   ^^^^^^^^^^^^^^^^ store
    ALL.extend([x])
#   ^^^^^^^^^^^^^^^ store
    heapq.heappush(ALL, x)
#   ^^^^^^^^^^^^^^^^^^^^^^ store
    bisect.insort(ALL, x)
#   ^^^^^^^^^^^^^^^^^^^^^ store
    global ALL
    ALL += [x]
#   ^^^^^^^^^^ store
    ALL = ALL + [x]
#   ^^^^^^^^^^^^^^^ store
    ALL = [*ALL, x]
#   ^^^^^^^^^^^^^^^ store
    y = ALL.setdefault(x, x)
#       ^^^^^^^^^^^^^^^^^^^^ store
    ALL = []
    if True: ALL.add(
#            ^^^^^^^^ … store
        x)
",
    );
}

#[test]
fn scoping_is_respected() {
    check(
        &items(global("m.ITEMS")),
        "
#- m.py
ITEMS = []
#^^^^^^^^^ definition

def parameter(ITEMS):
    ITEMS.append(1)

def local():
    ITEMS = []
    ITEMS.append(1)
    def inner():
        ITEMS.append(2)

class Holder:
    ITEMS = []
    def method(self):
        ITEMS.append(1)
#       ^^^^^^^^^^^^^^^ store
        self.ITEMS.append(1)

def declared():
    global ITEMS
    ITEMS.append(1)
#   ^^^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn list_in_dict_of_a_module() {
    check(
        &items(global("registry._registry")).depth(2),
        "
#- registry.py
_registry = {}
#^^^^^^^^^^^^^ definition

def register(name, cls):
    if name in _registry:
        _registry[name].append(cls)
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^ store 2
    _registry.setdefault(name, []).append(cls)
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store 1
    _registry[name] = [cls]
#   ^^^^^^^^^^^^^^^^^^^^^^^ store 3
    _registry[name] = []
#   ^^^^^^^^^^^^^^^^^^^^ store 4
",
    );
}

#[test]
fn attribute_of_an_instance() {
    check(
        &items(attribute(&["w:Watch", "w:Base"], "moved")),
        "
#- w.py
class Base:
    def note(self, event):
        self.moved[event.cookie] = event
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store 2

class Watch(Base):
    def __init__(self):
        self.moved = {}
#       ^^^^^^^^^^^^^^^ definition

    def clear(this):
        this.moved = {}

    def on_event(this, event):
        def later():
            this.moved[event.cookie] = event
#           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store 1
        later()

class Stranger:
    def on_event(self, event):
        self.moved[event.cookie] = event

def outside(watch, event):
    watch.moved[event.cookie] = event
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store 3
",
    );
}

#[test]
fn class_attribute_made_by_a_metaclass() {
    check(
        &items(class_attribute(
            &["fs:Zip", "fs:Base", "fs:Cached"],
            "_cache",
        )),
        "
#- fs.py
class Cached(type):
    def __init__(cls, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if weakly:
            cls._cache = WeakValueDictionary()
        cls._cache = {}
#       ^^^^^^^^^^^^^^^ definition

    def __call__(cls, *args, **kwargs):
        obj = super().__call__(*args, **kwargs)
        cls._cache[args] = obj
#       ^^^^^^^^^^^^^^^^^^^^^^ store
        return obj

class Base(metaclass=Cached):
    pass

class Zip(Base):
    pass
",
    );
}

#[test]
fn class_attribute_by_all_its_names() {
    check(
        &items(class_attribute(&["m:Plugin"], "known")),
        "
#- m.py
class Plugin:
    known = []
#   ^^^^^^^^^^ definition
    known.append(None)
#   ^^^^^^^^^^^^^^^^^^ store

    @classmethod
    def add(cls, plugin):
        cls.known.append(plugin)
#       ^^^^^^^^^^^^^^^^^^^^^^^^ store

    def __init__(self):
        type(self).known.append(self)
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store
        self.__class__.known.append(self)
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store
        self.known.append(self)
#       ^^^^^^^^^^^^^^^^^^^^^^^ store
        Plugin.known.append(self)
#       ^^^^^^^^^^^^^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn default_argument() {
    check(
        &items(Binding::Default {
            function: function("pipeline.py", "apply_all"),
            parameter: "trail".into(),
        })
        .held(&["Step", "Image"]),
        "
#- pipeline.py
def apply_all(image, operations=(), trail=[]):
#                                   ^^^^^^^^ definition
    for operation in operations:
        trail.append(
#       ^^^^^^^^^^^^^ … store
            Step(operation, image))
    return trail

def other(trail):
    trail.append(1)
",
    );
}

#[test]
fn closure() {
    check(
        &items(Binding::Closure {
            function: function("values.py", "Multi.<locals>.Value.__init__"),
            name: "values".into(),
        }),
        "
#- values.py
def Multi():
    values = []
#   ^^^^^^^^^^^ definition

    class Value:
        values = ()

        def __init__(self):
            values.append(self)
#           ^^^^^^^^^^^^^^^^^^^ store
    return Value
",
    );
}

#[test]
fn local_of_a_running_function() {
    check(
        &items(Binding::Local {
            function: function("worker.py", "work"),
            name: "done".into(),
        }),
        "
#- worker.py
def work(queue):
    done = []
#   ^^^^^^^^^ definition
    while True:
        done.append(queue.get())
#       ^^^^^^^^^^^^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn cache_of_a_function() {
    check(
        &items(Binding::Cache {
            function: function("web/app.py", "_build"),
        }),
        "
#- web/app.py
from functools import lru_cache

@deco
@lru_cache(None)
#^^^^^^^^^^^^^^^ definition
def _build(handler, apps):
    return handler

def handle(request):
    handler = _build(request.handler, request.apps)
#             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ call
    return handler
#- web/other.py
from .app import _build as make
def go(x):
    return make(x, ())
#          ^^^^^^^^^^^ call
",
    );
}

#[test]
fn cache_of_a_method() {
    check(
        &items(Binding::Cache {
            function: function("m.py", "Thing.size"),
        }),
        "
#- m.py
import functools

class Thing:
    @functools.cache
#   ^^^^^^^^^^^^^^^^ definition
    def size(self):
        return 1

    def twice(self):
        return self.size() * 2
#              ^^^^^^^^^^^ call 1

class Other:
    def size(self):
        return 2
    def twice(self):
        return self.size()

def outside(thing):
    return thing.size()
#          ^^^^^^^^^^^^ call 2
",
    );
}

#[test]
fn cache_made_by_a_call() {
    check(
        &items(Binding::Cache {
            function: function("m.py", "slow"),
        }),
        "
#- m.py
from functools import lru_cache
def slow(x):
    return x
fast = lru_cache(maxsize=None)(slow)
#^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ definition
def go(x):
    return fast(x)
#          ^^^^^^^ call
",
    );
}

#[test]
fn attribute_of_a_function() {
    check(
        &items(Binding::FunctionAttribute {
            function: function("m.py", "seen"),
            name: "all".into(),
            wrapper: None,
            free_variable: None,
        }),
        "
#- m.py
def seen(x):
    seen.all.append(x)
#   ^^^^^^^^^^^^^^^^^^ store

seen.all = []
#^^^^^^^^^^^^ definition
",
    );
}

#[test]
fn bound_global() {
    check(
        &bound(global("m.last")),
        "
#- m.py
last = None
def go(x):
    global last
    last = make(x)
#   ^^^^^^^^^^^^^^ definition
#   ^^^^^^^^^^^^^^ store
def drop():
    global last
    last = None
def odd(x):
    globals()['last'] = x
#   ^^^^^^^^^^^^^^^^^^^^^ store
#- n.py
import m
def go(x):
    m.last = x
#   ^^^^^^^^^^ store
",
    );
}

#[test]
fn bound_attribute() {
    check(
        &bound(attribute(&["m:App"], "current")),
        "
#- m.py
class App:
    current = None
    def __init__(self):
        self.current = None
#       ^^^^^^^^^^^^^^^^^^^ definition
    def serve(self, request):
        self.current = request
#       ^^^^^^^^^^^^^^^^^^^^^^ store
        setattr(self, 'current', request)
#       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store
        with request.open() as self.current:
#            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ store
            pass
",
    );
}

#[test]
fn raised_exception() {
    check(
        &raised(global("auth.credentials_error")),
        "
#- auth.py
credentials_error = ValueError('no')
#^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ definition

def current_user(request):
    if not request.user:
        raise credentials_error
#       ^^^^^^^^^^^^^^^^^^^^^^^ raise 1
#- views.py
import auth
def view(request):
    raise auth.credentials_error from None
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ raise 2
",
    );
}

#[test]
fn kept_exception() {
    check(
        &raised(attribute(&["m:Task"], "error")),
        "
#- m.py
class Task:
    def __init__(self):
        self.error = None
#       ^^^^^^^^^^^^^^^^^ definition
    def run(self):
        try:
            work()
        except ValueError as error:
            self.error = error
#           ^^^^^^^^^^^^^^^^^^ store 2
    def result(self):
        raise self.error
#       ^^^^^^^^^^^^^^^^ raise 1
",
    );
}

#[test]
fn context_variable() {
    check(
        &items(global("m.CURRENT")),
        "
#- m.py
from contextvars import ContextVar
CURRENT = ContextVar('current')
#^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ definition
def go(x):
    CURRENT.set(x)
#   ^^^^^^^^^^^^^^ call
",
    );
}

#[test]
fn thread_local_and_unknown_classes() {
    check(
        &items(attribute(&["_thread:_local"], "pending")),
        "
#- m.py
import threading
local = threading.local()
def go(x):
    local.pending = []
#   ^^^^^^^^^^^^^^^^^^ definition
    local.pending.append(x)
#   ^^^^^^^^^^^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn lambda_and_comprehension() {
    check(
        &items(global("m.SEEN")),
        "
#- m.py
SEEN = []
#^^^^^^^^ definition
note = lambda x: SEEN.append(x)
#                ^^^^^^^^^^^^^^ store
def go(xs):
    [SEEN.append(x) for x in xs]
#    ^^^^^^^^^^^^^^ store
    return [SEEN for SEEN in xs]
",
    );
}

#[test]
fn match_and_async() {
    check(
        &items(attribute(&["m:Bus"], "queue")),
        "
#- m.py
class Bus:
    def __init__(self):
        self.queue = make_queue()
#       ^^^^^^^^^^^^^^^^^^^^^^^^^ definition
    async def on(self, event):
        match event:
            case {'data': data}:
                await self.queue.put(data)
#                     ^^^^^^^^^^^^^^^^^^^^ store
            case [first, *rest]:
                async with self.lock:
                    self.queue.put_nowait(rest)
#                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^ store
",
    );
}
