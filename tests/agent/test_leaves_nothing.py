"""A hundred dumps leave a process as it was: its memory, its reference counts, its dictionaries, its frames, its files."""
import os
import subprocess
import sys
import tempfile
import unittest

AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "server", "capture", "python")

PROGRAM = """
import collections, contextvars, functools, gc, json, os, sys, threading, types, weakref
sys.path.insert(0, %r)
import heldby_agent
folder = sys.argv[1]

class Plain:
    def __init__(self, number):
        self.number, self.items = number, [number]

class Slotted:
    __slots__ = ("held",)

def function(argument, default=[1], *, keyword=[2]):
    return lambda: argument

def generate():
    job = [3]
    yield job

async def wait():
    request = [4]
    await suspend()

@types.coroutine
def suspend():
    yield

@functools.lru_cache(maxsize=3)
def cached(key):
    return [key]

LOCAL = threading.local()
LOCAL.held = [5]
VARIABLE = contextvars.ContextVar("VARIABLE")
VARIABLE.set([6])
SLOTTED = Slotted()
SLOTTED.held = [7]
GENERATOR = generate()
next(GENERATOR)
COROUTINE = wait()
COROUTINE.send(None)
cached("a")
try:
    raise ValueError("kept")
except ValueError as error:
    ERROR = error
PLAIN = [Plain(number) for number in range(50)]
VIEW = memoryview(b"seen")

SAMPLES = [
    PLAIN[0], PLAIN[0].items, Plain, SLOTTED, SLOTTED.held, function, function.__code__, function(1), GENERATOR, COROUTINE, cached,
    cached("a"), LOCAL, LOCAL.held, VARIABLE, VARIABLE.get(), ERROR, ERROR.__traceback__, VIEW, {}, [], set(), threading, sys.modules,
    collections.deque([1]), functools.partial(print, 1), PLAIN[1].__init__, weakref.ref(PLAIN[2]), iter([1]), map(str, [1]), Plain.__init__,
    object(), bytearray(b"1"), 1.5, "text of the program's", b"bytes of the program's", (1, [2]), frozenset([Plain]), slice(1, 2),
]

READY, OVER = threading.Event(), threading.Event()

def other_thread():
    job = [8]
    READY.set()
    OVER.wait()

threading.Thread(target=other_thread, daemon=True).start()
READY.wait()

def frame_dictionaries():
    \"\"\"Frames with a dictionary of their locals, which reading them makes before Python 3.13.\"\"\"
    frames = sys._current_frames().values()
    # A function's frame references its dictionary of locals, once there is one.
    return sum(type(r) is dict and "job" in r for frame in frames for r in gc.get_referents(frame))

def own_dictionaries():
    return sum(type(r) is dict for plain in PLAIN[10:] for r in gc.get_referents(plain))

def measure():
    gc.collect()
    counts = [sys.getrefcount(SAMPLES[place]) for place in range(len(SAMPLES))]
    return {
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "files": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
        "threads": threading.active_count(),
        "counts": counts,
        "dictionaries of instances": own_dictionaries(),
        "dictionaries of frames": frame_dictionaries(),
        "modules": len(sys.modules),
        "trace": sys.gettrace() is None and sys.getprofile() is None,
    }

path = os.path.join(folder, "a.heldby")
first = measure()
for _ in range(5):
    heldby_agent.dump(path, compress=False)
before = measure()
before = measure()
for _ in range(100):
    heldby_agent.dump(path, compress=False)
after = measure()
print(json.dumps([first, before, after]))
""" % AGENT


AWAITING = """
import asyncio, gc, os, sys
sys.path.insert(0, %r)
import heldby_agent

loop = asyncio.new_event_loop()
TASKS = []

async def answer():
    return object()

async def handle():
    TASKS.append(loop.create_task(answer()))
    await TASKS[-1]

for _ in range(3):
    for _ in range(4):
        loop.run_until_complete(handle())
    gc.collect()
    heldby_agent.dump(os.path.join(sys.argv[1], "a.heldby"))
    heldby_agent.why(TASKS)
gc.collect()
""" % AGENT


class LeavesNothing(unittest.TestCase):
    maxDiff = None

    def test_a_hundred_dumps(self):
        import json
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-c", PROGRAM, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)
            self.assertEqual(os.listdir(folder), ["a.heldby"] if done.returncode == 0 else os.listdir(folder))
        self.assertEqual(done.returncode, 0, done.stderr.decode()[-2000:])
        first, before, after = json.loads(done.stdout.decode())
        # What measuring itself makes aside; some versions keep up to one block of memory a dump, of 512 bytes at most.
        self.assertLess(abs(after.pop("objects") - before.pop("objects")), 20)
        self.assertLess(after.pop("blocks") - before.pop("blocks"), 150)
        self.assertEqual(after, before)
        # The first dump leaves none either, but for modules that it imports and the few objects that these are.
        for name in ("objects", "blocks", "modules"):
            first.pop(name)
            before.pop(name, None)
        self.assertEqual(first, before)

    def test_what_was_freed_stays_freed(self):
        """Some versions' `_asyncio` gives the collector its list of freed iterators: handed out, they are freed again, and a collection
        never ends. A program that awaits has some."""
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-c", AWAITING, folder], stderr=subprocess.PIPE, stdout=subprocess.PIPE, timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr.decode()[-2000:])
        self.assertIn("__main__.TASKS", done.stdout.decode())


if __name__ == "__main__":
    unittest.main()
