"""One function for each way of holding an object: it makes one, holds it, and gives its address and its access paths.

A name ends in the kind of object, so that a program can hold both.
"""
import asyncio
import collections
import contextvars
import functools
import itertools
import queue
import sys
import threading
import types
import weakref

import other

HERE = sys.modules[__name__]


class Payload:
    """What is held."""


class Holder:
    """Has attributes."""


class Slotted:
    __slots__ = ("held", "__weakref__")


WAYS = []
_stop = threading.Event()


def way(function):
    WAYS.append(function)
    return function


def hold_all(kind, make, keep):
    rows = []
    for function in WAYS:
        name = function.__name__
        address, paths = function(make(), name + "_" + kind)
        rows.append([name + ", " + kind, address, paths])
    return rows


def release():
    _stop.set()


def put(name, value):
    """Binds a global of this module."""
    setattr(HERE, name, value)


@way
def module_global(held, name):
    put(name, held)
    return id(held), ["holders." + name]


@way
def global_of_another_module(held, name):
    setattr(other, name, held)
    return id(held), ["other." + name]


@way
def class_attribute(held, name):
    setattr(Holder, name, held)
    return id(held), ["holders.Holder." + name]


@way
def instance_attribute(held, name):
    instance = Holder()
    instance.held = held
    put(name, instance)
    return id(held), ["holders.%s.held" % name]


@way
def instance_attribute_with_dictionary(held, name):
    instance = Holder()
    instance.held = held
    vars(instance)
    put(name, instance)
    return id(held), ["holders.%s.held" % name]


@way
def list_in_an_attribute(held, name):
    instance = Holder()
    instance.items = [None, held]
    put(name, instance)
    return id(held), ["holders.%s.items[1]" % name]


@way
def slot(held, name):
    instance = Slotted()
    instance.held = held
    put(name, instance)
    return id(held), ["holders.%s.held" % name]


@way
def closure(held, name):
    def handler():
        return held

    handler.__qualname__ = name + ".<locals>.handler"
    put(name, handler)
    return id(held), ["holders.%s.handler.<closure>.held" % name]


@way
def positional_default(held, name):
    def log(line, seen=[held]):
        pass

    log.__qualname__ = name
    put(name, log)
    return id(held), ["holders.%s.<default>.seen[0]" % name]


@way
def keyword_default(held, name):
    def log(line, *, seen=held):
        pass

    log.__qualname__ = name
    put(name, log)
    return id(held), ["holders.%s.<default>.seen" % name]


@way
def lru_cache(held, name):
    @functools.lru_cache(maxsize=4)
    def cached(key):
        return box.pop()

    box = [held]
    cached.__wrapped__.__qualname__ = name
    cached("key")
    put(name, cached)
    return id(held), ["holders.%s.<cache>['key']" % name]


@way
def unbounded_cache(held, name):
    @functools.lru_cache(maxsize=None)
    def cached(key):
        return box.pop()

    box = [held]
    cached.__wrapped__.__qualname__ = name
    cached(7)
    put(name, cached)
    return id(held), ["holders.%s.<cache>[7]" % name]


@way
def cached_property(held, name):
    box = [held]

    class Report:
        @functools.cached_property
        def body(self):
            return box.pop()

    report = Report()
    report.body
    put(name, report)
    return id(held), ["holders.%s.body" % name]


class Bus:
    def __init__(self):
        self.handlers = []


class Listener:
    def __init__(self, held):
        self.held = held

    def on_event(self):
        pass


@way
def event_handler_through_self(held, name):
    bus = Bus()
    bus.handlers.append(Listener(held).on_event)
    put(name, bus)
    return id(held), ["holders.%s.handlers[0].<self>.held" % name]


@way
def bound_method(held, name):
    listener = Listener(held)
    put(name, listener.on_event)
    return id(held), ["holders.%s.<self>.held" % name]


@way
def method_of_a_built_in_object(held, name):
    put(name, [held].append)
    return id(held), ["holders.%s.<self>[0]" % name]


@way
def partial(held, name):
    put(name, functools.partial(print, 1, held, end=""))
    return id(held), ["holders.%s.<args>[1]" % name]


@way
def partial_keyword(held, name):
    put(name, functools.partial(print, file=held))
    return id(held), ["holders.%s.keywords['file']" % name]


@way
def thread_local(held, name):
    local = threading.local()
    local.held = held
    put(name, local)
    return id(held), ["<thread-local holders.%s>.held" % name]


@way
def thread_local_of_another_thread(held, name):
    local = threading.local()
    ready = threading.Event()
    box = [held]

    def work():
        getattr(HERE, name).held = box.pop()
        ready.set()
        _stop.wait()

    put(name, local)
    threading.Thread(target=work, daemon=True).start()
    ready.wait()
    return id(held), ["<thread-local holders.%s>.held" % name]


@way
def generator_local(held, name):
    def produce(box):
        job = box.pop()
        yield
        print(job)

    produce.__qualname__ = name
    produce.__code__ = produce.__code__.replace(co_name=name, **_qualified(name))
    generator = produce([held])
    next(generator)
    put(name + "_generator", generator)
    return id(held), ["holders.%s.<local>.job" % name]


def _qualified(name):
    return {"co_qualname": name} if sys.version_info >= (3, 11) else {}


@types.coroutine
def _suspend():
    yield


@way
def coroutine_local(held, name):
    async def handle(box):
        request = box.pop()
        await _suspend()
        print(request)

    handle.__code__ = handle.__code__.replace(co_name=name, **_qualified(name))
    coroutine = handle([held])
    coroutine.send(None)
    put(name + "_coroutine", coroutine)
    return id(held), ["holders.%s.<local>.request" % name]


@way
def asynchronous_generator_local(held, name):
    async def stream(box):
        chunk = box.pop()
        yield 1
        print(chunk)

    stream.__code__ = stream.__code__.replace(co_name=name, **_qualified(name))
    generator = stream([held])
    try:
        generator.__anext__().send(None)
    except StopIteration:
        pass
    put(name + "_generator", generator)
    return id(held), ["holders.%s.<local>.chunk" % name]


class Node:
    def __del__(self):
        pass


@way
def cycle_with_finalizer(held, name):
    one, two = Node(), Node()
    one.partner, two.partner = two, one
    two.held = held
    put(name, one)
    return id(held), ["holders.%s.partner.held" % name]


@way
def stored_traceback(held, name):
    def fail(box):
        big = box.pop()
        raise ValueError(name)

    fail.__code__ = fail.__code__.replace(co_name=name, **_qualified(name))
    address, box = id(held), [held]
    # The traceback keeps this frame too.
    del held
    try:
        fail(box)
    except ValueError as error:
        put(name + "_error", error)
    return address, ["holders.%s_error.<traceback>.%s.big" % (name, name)]


@way
def frame_of_another_thread(held, name):
    ready = threading.Event()

    def work(box):
        job = box.pop()
        ready.set()
        _stop.wait()
        print(job)

    work.__code__ = work.__code__.replace(co_name=name, **_qualified(name))
    threading.Thread(target=work, args=([held],), daemon=True).start()
    ready.wait()
    return id(held), ["holders.%s.<local>.job" % name]


@way
def list_in_a_frame_of_another_thread(held, name):
    ready = threading.Event()

    def work(box):
        batch = [box.pop()]
        ready.set()
        _stop.wait()
        print(batch)

    work.__code__ = work.__code__.replace(co_name=name, **_qualified(name))
    threading.Thread(target=work, args=([held],), daemon=True).start()
    ready.wait()
    return id(held), ["holders.%s.<local>.batch[0]" % name]


@way
def dictionary_key(held, name):
    put(name, {held: 1})
    return id(held), ["holders.%s.<key>" % name]


@way
def set_member(held, name):
    put(name, {held})
    return id(held), ["holders.%s.<set>" % name]


@way
def frozenset_member(held, name):
    put(name, frozenset([held]))
    return id(held), ["holders.%s.<set>" % name]


@way
def tuple_item(held, name):
    put(name, (0, held))
    return id(held), ["holders.%s[1]" % name]


@way
def nested_containers(held, name):
    put(name, {"a": [(held,)]})
    return id(held), ["holders.%s['a'][0][0]" % name]


@way
def key_of_another_type(held, name):
    put(name, {(1, 2): held})
    return id(held), ["holders.%s[<tuple>]" % name]


@way
def deque(held, name):
    put(name, collections.deque([0, held]))
    return id(held), ["holders.%s[1]" % name]


Row = collections.namedtuple("Row", "number body")


@way
def named_tuple(held, name):
    put(name, Row(1, held))
    return id(held), ["holders.%s[1]" % name]


@way
def ordered_dictionary(held, name):
    put(name, collections.OrderedDict(o=held))
    return id(held), ["holders.%s['o']" % name]


@way
def default_dictionary(held, name):
    table = collections.defaultdict(list)
    table["upload"] = held
    put(name, table)
    return id(held), ["holders.%s['upload']" % name]


@way
def user_dictionary(held, name):
    put(name, collections.UserDict(k=held))
    return id(held), ["holders.%s.data['k']" % name]


@way
def simple_queue(held, name):
    line = queue.Queue()
    line.put(held)
    put(name, line)
    return id(held), ["holders.%s.queue[0]" % name]


@way
def weak_key_dictionary_value(held, name):
    key = Holder()
    put(name + "_key", key)
    table = weakref.WeakKeyDictionary()
    table[key] = held
    put(name, table)
    return id(held), ["holders.%s.data[<%s>]" % (name, _type_name(weakref.ref))]


def _type_name(kind):
    return kind.__qualname__ if kind.__module__ == "builtins" else kind.__module__ + "." + kind.__qualname__


@way
def context_variable(held, name):
    variable = contextvars.ContextVar(name)
    variable.set(held)
    put(name, variable)
    return id(held), ["holders.%s.<context>" % name]


@way
def context_of_its_own(held, name):
    variable = contextvars.ContextVar(name)
    context = contextvars.Context()
    context.run(variable.set, held)
    put(name + "_context", context)
    put(name, variable)
    return id(held), ["holders.%s.<context>" % name]


@way
def list_iterator(held, name):
    put(name, iter([0, held]))
    return id(held), ["holders.%s.<next>[1]" % name]


@way
def map_object(held, name):
    put(name, map(str, [held]))
    return id(held), ["holders.%s.<next>.<next>[0]" % name]


@way
def chained_iterators(held, name):
    put(name, itertools.chain([held]))
    return id(held), ["holders.%s.<next>.<next>[0][0]" % name]


@way
def mapping_proxy(held, name):
    put(name, types.MappingProxyType({"k": held}))
    return id(held), ["holders.%s.<view>['k']" % name]


@way
def dictionary_view(held, name):
    put(name, {"k": held}.values())
    return id(held), ["holders.%s.<view>['k']" % name]


@way
def simple_namespace(held, name):
    put(name, types.SimpleNamespace(held=held))
    return id(held), ["holders.%s.held" % name]


@way
def function_attribute(held, name):
    def handler():
        pass

    handler.__qualname__ = name
    handler.stash = held
    put(name, handler)
    return id(held), ["holders.%s.stash" % name]


@way
def annotation(held, name):
    def handler(x):
        pass

    handler.__annotations__ = {"x": held}
    put(name, handler)
    return id(held), ["holders.%s.__annotations__['x']" % name]


@way
def view_of_memory(held, name):
    if type(held) is not bytes:
        held = bytearray(8)
    put(name, memoryview(held))
    return id(held), ["holders.%s.<view>" % name]


@way
def task_of_a_loop(held, name):
    async def serve(box):
        request = box.pop()
        await asyncio.sleep(3600)
        print(request)

    async def start():
        task = loop.create_task(serve([held]))
        await asyncio.sleep(0)
        put(name + "_task", task)

    serve.__code__ = serve.__code__.replace(co_name=name, **_qualified(name))
    loop = asyncio.new_event_loop()
    put(name + "_loop", loop)
    loop.run_until_complete(start())
    return id(held), ["holders.%s.<local>.request" % name]


@way
def callback_of_a_weak_reference(held, name):
    target = Holder()
    put(name + "_target", target)
    put(name, weakref.ref(target, Listener(held).on_event))
    return id(held), ["holders.%s.__callback__.<self>.held" % name]
