"""heldby_agent: writes a dump of this process's heap to a file.

One file, standard library only, CPython 3.8 and later. Put it anywhere and call it:

    import heldby_agent
    heldby_agent.dump("/tmp/app.heldby")

What flows in: the objects the garbage collector tracks, the table of modules and the frames of all threads. What flows out:
a file in the format of `FORMAT.md` with every object that these reach, its type, size, reference count, and the names of
its references. Values are not captured.

The capture runs no code of the program's: it asks an object only for what the interpreter answers by itself. It never calls
`repr`, `str`, `len`, `iter`, `hash`, `==`, `isinstance` or `getattr` on an object that could answer with a method of its own.
Objects are told apart by address, and grouped by `type(o)`, so that the work on them runs in C.
"""
# Not `threading`, which takes the thread that imports it first for the program's main one: nobody knows which thread this is.
import _thread
import atexit
import binascii
import builtins
import collections
import contextvars
import functools
import gc
import itertools
import json
import operator
import os
import signal as signals
import struct
import sys
import time
import types
import weakref
from array import array
from itertools import chain, compress, islice, repeat
from itertools import count as count_from
from operator import is_, is_not, not_

try:
    import ctypes
except ImportError:  # An interpreter built without it: names that only memory knows are asked for another way.
    ctypes = None
try:
    import resource
except ImportError:  # Not on Windows.
    resource = None
try:
    import zlib
except ImportError:
    zlib = None
# Not `hashlib`, which is large, and imports what need not be there: in the middle of a dump, the program's own finders would be asked for it.
try:
    from _sha2 import sha256
except ImportError:
    try:
        from _sha256 import sha256
    except ImportError:
        try:
            # Where the interpreter was built without its own, as Fedora's is.
            from _hashlib import openssl_sha256 as sha256
        except ImportError:
            sha256 = None

__all__ = ["dump", "install", "trace", "untrace", "why", "why_text"]

AGENT = "heldby_agent 0.1.0"

# A free-threaded build: while the agent works, the other threads do too. There all that is read of objects which other threads may
# change is read in single steps, for which the interpreter stops the others.
THREADS_RUN_FREELY = "free-threading build" in sys.version
if THREADS_RUN_FREELY:
    # What code has as constants stays there when the code has run: by this it is known as the agent's.
    _code_of_module = sys._getframe().f_code

# Kinds of reference, as FORMAT.md numbers them.
OTHER, ATTRIBUTE, SLOT, LIST_ITEM, TUPLE_ITEM, SET_MEMBER, DEQUE_ITEM = range(7)
NAMESPACE, TYPE, FREE_VARIABLE, CELL_CONTENTS, DEFAULT, KEYWORD_DEFAULT, LOCAL, CACHE, MACHINERY, STACK = range(9, 19)
ITERATES, VIEW, THREAD_LOCAL, CONTEXT = range(19, 23)
DESCRIBED = 256
NO_STRING = 0xFFFFFFFF

IMMORTAL = 0xFFFFFFFF
# An immortal object's count is a pattern of high bits since 3.12 and 999999999 before; no real count comes near.
LEAST_IMMORTAL_COUNT = 900_000_000

OBJECTS_A_CHUNK = 100_000
# A section may have 256 MiB. Groups of containers are split at the first of these; one container alone may have as many as the second.
ITEMS_A_SECTION = 10_000_000
MOST_ITEMS_A_SECTION = 33_000_000
KEY_LENGTH = 40
# Nobody names a variable longer.
NAME_LENGTH = 200
MAX_CODEC_BYTES = 256 << 20

# Objects of these types reference nothing.
LEAVES = frozenset(map(id, (
    str, bytes, int, float, bool, complex, bytearray, range, type(None), type(Ellipsis), type(NotImplemented),
)))

_BUILT_IN_CONTAINERS = frozenset(map(id, (list, tuple, dict, set, frozenset)))

_mro_of = type.__dict__["__mro__"].__get__
_namespace_of = type.__dict__["__dict__"].__get__
_module_of = type.__dict__["__module__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_flags_of = type.__dict__["__flags__"].__get__
_bases_of = type.__dict__["__bases__"].__get__
_dictoffset_of = type.__dict__["__dictoffset__"].__get__
_module_dict_of = types.ModuleType.__dict__["__dict__"].__get__
# In these versions `_asyncio` gives the collector its list of freed objects, too: whoever is handed them frees them again, and every
# collection after that goes round in a circle (https://github.com/python/cpython/issues/122695).
MODULES_LIST_DEAD_OBJECTS = (3, 12) <= sys.version_info[:3] < (3, 12, 6)
# Python 3.12 freezes some hundred objects itself as it starts; a program that freezes what it has freezes thousands.
MOST_FROZEN_AT_THE_START = 1000
_LruCache = type(functools.lru_cache(maxsize=None)(len))
_ThreadLocal = _thread._local

# Attributes of built-in types that C code answers for, by the type's address.
_GETTERS = {
    id(BaseException): ("args", "__traceback__", "__context__", "__cause__"),
    id(types.TracebackType): ("tb_next",),
    id(types.BuiltinFunctionType): ("__self__",),
    id(types.GeneratorType): ("__name__", "__qualname__", "gi_yieldfrom"),
    id(types.CoroutineType): ("__name__", "__qualname__", "cr_await"),
    id(types.AsyncGeneratorType): ("__name__", "__qualname__", "ag_await"),
}
# The same for types that the agent does not load, by module and name.
_GETTERS_BY_NAME = {
    ("_asyncio", "Future"): ("_loop", "_result", "_exception", "_source_traceback", "_cancel_message"),
    ("_asyncio", "Task"): ("_loop", "_result", "_exception", "_source_traceback", "_cancel_message", "_coro", "_fut_waiter"),
}
# What the collector keeps before each object.
COLLECTOR_HEADER = 0 if THREADS_RUN_FREELY else 16
TYPE_IS_IMMUTABLE = 1 << 8
TYPE_IS_HEAP = 1 << 9
TYPE_IS_TYPE = 1 << 31

# As they are now: a program may put greenlets in their place (gevent), and nothing may give way to those in the middle of a fork.
_allocate_lock, _start_new_thread = _thread.allocate_lock, _thread.start_new_thread
_THREADS_ARE_REAL = type(_start_new_thread) is types.BuiltinFunctionType
# More than a thread takes to get as far as to wait.
LONGEST_START = 1
_lock = _allocate_lock()
_owner = None
_checksums = {}
# What the dump is taken for: a call of the program, an interval, or the exit of the process.
_moment = "call"


def dump(path, wait=True, keys=True, compress=None):
    """Writes a dump of this process to `path` and returns the path.

    The file is written beside its final name, synced and renamed: when it stands there, it is whole. Its mode is 0600. `keys=False`
    leaves out the texts of dictionary keys (names of attributes and globals stay). `compress`: whether the file is packed; the native agent
    does so unless it is False (with zstd, which costs it nothing), this code when it is True (with zlib).

    Where the native agent is at hand and fits (see `native_library`), a copy of the process writes the dump and the program stands still
    only until the copy is made: with `wait=False` this returns then, and the file comes later. Else this code takes the dump, and
    returns when the file is whole. The dump's header says which it was, and why.

    Raises OSError when the file cannot be written, RuntimeError when this thread is taking a dump already.
    """
    path = os.path.abspath(os.fspath(path))
    if _owner == _thread.get_ident():
        raise RuntimeError("heldby: this thread is taking a dump already (a signal handler must not take another)")
    dumping = _dump_with(_begin_dump, path, keys, compress)
    if dumping is not None:
        # Not under the lock: the program may fork meanwhile.
        if wait:
            _finish_native_dump(dumping, path, keys, compress)
        else:
            _start_new_thread(_finish_native_dump_alone, (dumping, path, keys, compress))
    return path


def _dump_with(take, *arguments):
    """Calls a function that takes a dump: nobody else does meanwhile, and the collector is off."""
    global _owner
    with _lock:
        was_enabled = gc.isenabled()
        # What a signal's handler raises may come between any two steps.
        try:
            _native["collects"] = was_enabled
            _owner = _thread.get_ident()
            gc.disable()
            # The agent's, like all that it reaches.
            _native["arguments"] = arguments
            return take(was_enabled, was_enabled and gc.get_threshold()[0] > 0, arguments)
        finally:
            _owner = _native["arguments"] = None
            if was_enabled:
                gc.enable()


def _begin_dump(was_enabled, collects, arguments):
    """The library's handle of a dump that goes on; None when there is a dump."""
    path, keys, compress = arguments
    dumping, why_not = None, _load_native()
    if why_not is None:
        dumping, why_not = _begin_native_dump(path, keys, compress, collects)
    if dumping is None:
        _native["arguments"] = arguments = (*arguments, why_not)
        _dump_in_python(was_enabled, collects, arguments)
    return dumping


def _dump_in_python(was_enabled, collects, arguments):
    """`why_not`, the last argument: why the native agent does not take the dump; an empty text if there is none. The collector is off, and the lock held."""
    path, keys, compress, why_not = arguments
    # Before anything else is made: what is made later cannot be in it.
    tracked = gc.get_objects()
    unfinished = _unfinished(path)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=1 << 20) as file:
            capture = _Capture(_Sections(file, compress), keys, collects)
            capture.why_not_native = why_not
            capture.run(tracked)
            del tracked
            if was_enabled:
                # The heap is written; what follows reads files.
                gc.enable()
            capture.finish()
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        try:
            os.unlink(unfinished)
        except OSError:
            pass
        raise


def _unfinished(path):
    return "%s.%d.part" % (path, os.getpid())


class _Sections:
    """Writes sections, and the tables of strings and shapes that they refer to."""

    def __init__(self, file, compress):
        self.file = file
        self.compress = compress and zlib is not None
        self.count = 0
        self.objects = 0
        # A text that is not in the table gets the next row.
        self.strings = collections.defaultdict(count_from().__next__)
        self.written_strings = 0
        self.shapes = {}
        self.new_shapes = []
        file.write(b"\x89HELDBY\n" + struct.pack("<HHI", 1, 1, 0))

    def string(self, text):
        """The row of a text. Kept as bytes: keeping the text itself would change the reference count of the program's key."""
        return self.strings[str.encode(text, "utf-8", "surrogatepass")]

    def rows_of_strings(self, texts):
        """The same for many."""
        return column32(map(self.strings.__getitem__, map(str.encode, texts, repeat("utf-8"), repeat("surrogatepass"))))

    def shape(self, references):
        """The row of a tuple of (kind, name) pairs."""
        row = self.shapes.get(references)
        if row is None:
            row = self.shapes[references] = len(self.shapes)
            self.new_shapes.append(references)
        return row

    def flush_tables(self):
        new_strings = len(self.strings) - self.written_strings
        if new_strings:
            texts = list(islice(reversed(self.strings), new_strings))[::-1]
            self.written_strings = len(self.strings)
            self._write(b"STRS", [struct.pack("<I", len(texts)), column32(map(len, texts)), b"".join(texts)])
        if self.new_shapes:
            shapes, self.new_shapes = self.new_shapes, []
            flat = list(chain.from_iterable(shapes))
            head = struct.pack("<II", len(shapes), len(flat))
            kinds = column32(kind for kind, _ in flat)
            self._write(b"SHAP", [head, column32(map(len, shapes)), kinds, column32(name for _, name in flat)])

    def write(self, tag, parts):
        self.flush_tables()
        self._write(tag, parts)

    def _write(self, tag, parts):
        parts = [part if type(part) is bytes else part.tobytes() for part in parts]
        plain = sum(map(len, parts))
        if plain > MAX_CODEC_BYTES:
            raise RuntimeError("heldby: section %s has %d bytes, more than the format allows" % (tag.decode(), plain))
        codec = 0
        if self.compress:
            codec, parts = 1, [zlib.compress(b"".join(parts), 1)]
        checksum = 0
        for part in parts:
            checksum = binascii.crc32(part, checksum)
        head = struct.pack("<4sB3xQQI", tag, codec, sum(map(len, parts)), plain, checksum)
        self.file.write(head + struct.pack("<I", binascii.crc32(head)))
        for part in parts:
            self.file.write(part)
        self.count += 1

    def json(self, tag, value):
        self.write(tag, [json.dumps(value).encode("ascii")])


def column32(numbers):
    column = array("I", numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def column64(numbers):
    column = array("Q", numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _ids(objects):
    return array("Q", map(id, objects))


class _Capture:
    """One walk over the heap, level by level, each level grouped by type."""

    def __init__(self, sections, keys, collects):
        self.out = sections
        self.keys = keys
        self.collects = collects
        self.taken_at = time.time_ns()
        self.own = _own_ids()
        self.own.update(map(id, (self, self.__dict__, sections, sections.__dict__, sections.file)))
        self.seen = set()
        self.named_keys = set()
        self.classes = {}
        self.declarations = {}
        self.module_namespaces = set()
        self.files = set()
        self.links = [array("Q"), array("Q"), array("I"), array("I")]
        # Addresses of the key and the result of each entry of a bounded cache, by the address of the entry.
        self.cache_entries = {}
        self.side_effects = collections.Counter()
        self.notes = []
        self.threads = None
        self.why_not_native = ""
        containers = [*self.__dict__.values(), *sections.__dict__.values()]
        self.own.update(id(value) for value in containers if type(value) in (set, dict, list, collections.Counter))
        self.seen.update(self.own)

    # The walk.

    def run(self, level):
        """Writes the heap. `level` is the list of all tracked objects; it is emptied."""
        out = self.out
        about = _about_this_process(self.taken_at, self.keys, self.collects)
        if self.why_not_native:
            about["fallback"] = self.why_not_native
        out.json(b"HEAD", about)
        del about
        if gc.get_freeze_count() > MOST_FROZEN_AT_THE_START:
            self.notes.append("%d objects are frozen (gc.freeze): only those that others reference are in the dump" % gc.get_freeze_count())
        frames, self.threads = self._frames()
        roots = [sys.modules, *frames, builtins.__dict__]
        kinds = [1] + [2] * len(frames) + [3]
        out.write(b"ROOT", _counted(len(roots), column64(map(id, roots)), column32(kinds)))
        if THREADS_RUN_FREELY:
            # Those that ran the bodies of the agent's classes stay until the collector comes.
            functions = compress(level, map(is_, map(type, level), repeat(types.FunctionType)))
            self.own.update([id(f) for f in functions if f.__globals__ is globals()])
        self.seen.update(self.own, map(id, level))
        self._follow(list(map(id, roots)), roots, level)
        del frames, roots
        # In place: a second list would add to every reference count.
        level[:] = compress(level, map(not_, map(self.own.__contains__, map(id, level))))
        while level:
            level = self._level(level)
            self._write_links()
        self.threads = None

    def _level(self, level):
        """Writes the objects of a list, and returns what they reference that is not written yet."""
        # Before anything else is held of them. One object in a list of its own tells what the list and the call add.
        added = next(map(sys.getrefcount, [object()]))
        counts = array("Q", map(sys.getrefcount, level) if not THREADS_RUN_FREELY else map(max, map(sys.getrefcount, level), repeat(added)))
        following = []
        for start in range(0, len(level), OBJECTS_A_CHUNK):
            groups = collections.defaultdict(list)
            types_of = map(id, map(type, level[start:start + OBJECTS_A_CHUNK]))
            # groups[type].append(place) for each, without a loop that is interpreted.
            collections.deque(map(list.append, map(groups.__getitem__, types_of), count_from(start)), maxlen=0)
            for places in groups.values():
                group_counts = array("Q", map(counts.__getitem__, places))
                group = list(map(level.__getitem__, places))
                group_counts = _true_counts(group_counts, added)
                self._group(group, _without_deferred(group, group_counts) if THREADS_RUN_FREELY else group_counts, following)
        del level[:]
        return following

    def _follow(self, addresses, objects, following):
        """Notes what is referenced for the first time."""
        unseen = list(compress(objects, map(not_, map(self.seen.__contains__, addresses))))
        if unseen:
            found = dict(zip(map(id, unseen), unseen))
            self.seen.update(found)
            following.extend(found.values())

    def link(self, source, label, target, following):
        """Notes a reference that is written apart from the object that has it. Both objects get rows, now or later."""
        self._follow((id(source), id(target)), (source, target), following)
        if id(source) not in self.own and id(target) not in self.own:
            for column, value in zip(self.links, (id(source), id(target), *label)):
                column.append(value)

    def _write_links(self):
        if self.links[0]:
            self.out.write(b"LINK", _counted(len(self.links[0]), *map(_little, self.links)))
            for column in self.links:
                del column[:]

    def finish(self):
        self._source_files()
        self.out.json(b"HEAD", {"side_effects": dict(self.side_effects), "notes": self.notes})
        self.out.write(b"END ", [struct.pack("<QQ", self.out.count, self.out.objects)])

    def _group(self, group, counts, following):
        """Writes the objects of one type and what they reference."""
        out = self.out
        t = type(group[0])
        if len(group) > 1 and id(t) in _BUILT_IN_CONTAINERS and sum(map(len, group)) > ITEMS_A_SECTION:
            half = len(group) // 2
            self._group(group[:half], counts[:half], following)
            return self._group(group[half:], counts[half:], following)
        known = self.classes.get(id(t))
        if known is None:
            known = self._meet(t)
        sizes = known.sizes(group)
        try:
            width, sizes = 4, column32(sizes)
        except OverflowError:
            width, sizes = 8, column64(known.sizes(group))
        out.write(b"OBJS", [struct.pack("<QIB3x", id(t), len(group), width), _little(_ids(group)), counts, sizes])
        out.objects += len(group)
        if id(t) in LEAVES:
            return
        if known.write is not None:
            known.write(self, known, group, following)
        else:
            self._fields(known, group, following)

    def declared(self, t):
        """What `_declared` says of a class, kept for those that inherit from it."""
        known = self.declarations.get(id(t))
        if known is None:
            known = self.declarations[id(t)] = _Declared(t, self.out.string)
        return known

    def _meet(self, t):
        """Notes a type and writes its row."""
        known = self.classes[id(t)] = _Class(t, self)
        string = self.out.string
        row = [NO_STRING if known.module is None else string(known.module)], [string(_qualname_of(t))]
        flags = [_flags_of(t) & 0xFFFFFFFF], [known.line]
        self.out.write(b"TYPE", _counted(1, column64([id(t)]), *map(column32, row), *map(column32, flags)))
        return known

    # References of containers.

    def _sequences(self, kind, group, following):
        """Items of lists and tuples."""
        if THREADS_RUN_FREELY:
            return self._sequences_at_once(kind, group, following)
        lengths, items = column32(map(len, group)), _items_of(group)
        if sum(lengths) == len(items):
            self._items(kind, lengths, _ids(items), items, following)
        else:
            # One of them has a hole, which the collector passes over, or another thread came between the two steps.
            self._item_rows(kind, [_item_row(o, type(o)) for o in group], following)

    def _sequences_at_once(self, kind, group, following):
        """The same where other threads may change a list at any moment."""
        numbers, items = _references_at_once(group[::-1])
        numbers.reverse()
        items.reverse()
        lengths = list(map(len, group))
        if numbers == lengths:
            return self._items(kind, column32(lengths), _ids(items), items, following)
        items = iter(items)
        rows = [list(islice(items, number)) for number in numbers]
        self._item_rows(kind, [
            (_ids(row), row) if len(row) == length else _item_row(o, type(o)) for row, length, o in zip(rows, lengths, group)
        ], following)

    def _members(self, kind, group, following):
        """Members of sets, items of deques."""
        if THREADS_RUN_FREELY:
            # They could change while they are gone over; of a deque the collector tells the type first.
            rows = [row[kind == DEQUE_ITEM:] for row in _references_of_each(group)]
            return self._item_rows(kind, [(_ids(row), row) for row in rows], following)
        lengths, items = column32(map(len, group)), list(chain.from_iterable(group))
        if sum(lengths) == len(items):
            self._items(kind, lengths, _ids(items), items, following)
        else:
            self._item_rows(kind, [(_ids(row), row) for row in map(list, group)], following)

    def _item_rows(self, kind, rows, following):
        """The same, from the addresses and the objects of each."""
        targets = array("Q", chain.from_iterable(addresses for addresses, _ in rows))
        items = list(chain.from_iterable(objects for _, objects in rows))
        self._items(kind, column32(len(addresses) for addresses, _ in rows), targets, items, following)

    def _items(self, kind, lengths, targets, items, following):
        if len(targets) > MOST_ITEMS_A_SECTION:
            self.notes.append("%d items of a large container were left out" % len(targets))
            lengths, targets, items = array("I", bytes(4 * len(lengths))), array("Q"), []
        self._follow(map(id, items), items, following)
        self.out.write(b"ITEM", [struct.pack("<II", kind, len(lengths)), lengths, _little(self._foreign(targets))])

    def _dicts(self, group, following):
        if not THREADS_RUN_FREELY:
            lengths = column32(map(dict.__len__, group))
            keys = list(chain.from_iterable(map(dict.keys, group)))
            values = list(chain.from_iterable(map(dict.values, group)))
        if THREADS_RUN_FREELY or not sum(lengths) == len(keys) == len(values):
            # Another thread changed one between the calls: one by one, then, which is slower and cannot be disturbed.
            rows = list(map(list, map(dict.items, group)))
            lengths = column32(map(len, rows))
            keys, values = [key for row in rows for key, _ in row], [value for row in rows for _, value in row]
        if len(keys) > MOST_ITEMS_A_SECTION // 2:
            self.notes.append("%d entries of a large dictionary were left out" % len(keys))
            self.out.write(b"DICT", [struct.pack("<II", len(group), 0), column32([0] * len(group))])
            return
        key_ids, value_ids = _ids(keys), _ids(values)
        self._follow(key_ids, keys, following)
        self._follow(value_ids, values, following)
        if self.keys:
            self._name_keys(key_ids, keys)
        columns = _little(self._foreign(key_ids)), _little(self._foreign(value_ids))
        self.out.write(b"DICT", [struct.pack("<II", len(group), 0), lengths, *columns])

    def _name_keys(self, key_ids, keys):
        unnamed = list(compress(keys, map(not_, map(self.named_keys.__contains__, key_ids))))
        if not unnamed:
            return
        named = dict(zip(map(id, unnamed), unnamed))
        del unnamed
        self.named_keys.update(named)
        texts = list(compress(named.values(), map(is_, map(type, named.values()), repeat(str))))
        integers = compress(named.values(), map(is_, map(type, named.values()), repeat(int)))
        integers = [key for key in integers if -(1 << 63) <= key < 1 << 63]
        if texts:
            addresses = _little(_ids(texts))
            if max(map(len, texts)) > KEY_LENGTH:
                texts = [text if len(text) <= KEY_LENGTH else text[:KEY_LENGTH] + "\u2026" for text in texts]
            self.out.write(b"KEYS", _counted(len(addresses), addresses, self.out.rows_of_strings(texts)))
        if integers:
            self.out.write(b"KEYI", _counted(len(integers), _little(_ids(integers)), _little(array("q", integers))))

    def name_namespace(self, namespace):
        """Names in a namespace are names of the program: they are written even where keys are not, and whole."""
        names = list(dict.keys(namespace))
        if not self.keys:
            self._name_keys(list(map(id, names)), names)
        long_names = [name for name in names if type(name) is str and KEY_LENGTH < len(name) <= NAME_LENGTH]
        if long_names:
            addresses = _ids(long_names)
            self.named_keys.update(addresses)
            self.out.write(b"KEYS", _counted(len(addresses), _little(addresses), self.out.rows_of_strings(long_names)))

    def _foreign(self, targets):
        """The same addresses, with 0 for what belongs to the agent."""
        if self.own.isdisjoint(targets):
            return targets
        own = self.own
        return array("Q", [0 if target in own else target for target in targets])

    # References of everything else, by the names that the interpreter knows.

    def _fields(self, known, group, following):
        """Objects of a class: names for what `gc.get_referents` gives, which is each reference that the object owns."""
        references = known.references_of(group)
        flat = list(chain.from_iterable(references))
        targets = _ids(flat)
        self._follow(targets, flat, following)
        shape = known.shape_of_all(self, references, flat)
        if shape is not None:
            shapes = array("I", [shape]) * len(group)
        else:
            shapes = self._shapes(known, group, references)
        self.out.write(b"FLDS", [struct.pack("<II", len(group), 0), _little(shapes), _little(self._foreign(targets))])

    def _shapes(self, known, group, references):
        """A shape for each object; those with the same members at the same places are found together."""
        columns = known.columns(group)
        shapes = array("I", bytes(4 * len(group)))
        alike = collections.defaultdict(list)
        present = zip(*[map(bool, column) for _, column in columns]) if columns else [()] * len(group)
        for row, key in enumerate(zip(map(len, references), present)):
            alike[key].append(row)
        for rows in alike.values():
            shape = self._common_shape(known, rows, columns, references) if len(rows) > 1 and not known.is_read else None
            for row in rows:
                shapes[row] = self._own_shape(known, row, group[row], columns, references[row]) if shape is None else shape
        return shapes

    def _common_shape(self, known, rows, columns, references):
        """The shape that all the rows have, or None when they differ."""
        at_place = list(zip(*map(references.__getitem__, rows)))
        id_at_place = [_ids(column) for column in at_place]
        labels = [None] * len(at_place)
        for label, column in columns:
            wanted = array("Q", map(column.__getitem__, rows))
            if not wanted[0]:
                continue
            for place, addresses in enumerate(id_at_place):
                if labels[place] is None and addresses == wanted:
                    labels[place] = label
                    break
            else:
                if any(any(map(int.__eq__, addresses, wanted)) for addresses in id_at_place):
                    return None
        unnamed = 0
        for place, label in enumerate(labels):
            if label is None:
                kinds = {known.label(reference, unnamed) for reference in at_place[place]}
                if len(kinds) != 1:
                    return None
                labels[place] = kinds.pop()
                unnamed += labels[place][0] != TYPE
        namespaces = [place for place, label in enumerate(labels) if label[0] == NAMESPACE]
        if len(namespaces) > 1:
            return None
        for place in namespaces:
            for namespace in at_place[place]:
                self.name_namespace(namespace)
        return self.out.shape(tuple(labels))

    def _own_shape(self, known, row, o, columns, references):
        return self.out.shape(tuple(label for label, _ in self._labels(known, row, o, columns, references)))

    def _labels(self, known, row, o, columns, references, items=()):
        """(label, target) of each reference but those that are items of the container that the object is."""
        names = {}
        for label, column in columns:
            if column[row]:
                names.setdefault(column[row], []).append(label)
        for label, address in known.values_of(o, references):
            names.setdefault(address, []).append(label)
        labels = []
        has_namespace, unnamed = False, 0
        for reference in references:
            named = names.get(id(reference))
            if named:
                label = named.pop(0)
            elif id(reference) in items:
                continue
            else:
                label = known.label(reference, unnamed)
                unnamed += label[0] != TYPE
            if label[0] == NAMESPACE:
                if has_namespace:
                    label = (OTHER, NO_STRING)
                else:
                    has_namespace = True
                    self.name_namespace(reference)
            labels.append((label, reference))
        if has_namespace and known.names:
            # The dictionary lies over the values: it carries them, and a second count of them would be wrong.
            labels = [((label[0] | DESCRIBED, label[1]) if label[0] == ATTRIBUTE else label, target) for label, target in labels]
        return labels

    def labelled(self, group, label_rows, following):
        """Objects whose references were labelled one by one: a list of (label, target) a row."""
        shapes = column32([self.out.shape(tuple(label for label, _ in row)) for row in label_rows])
        flat = [target for row in label_rows for _, target in row]
        targets = _ids(flat)
        self._follow(targets, flat, following)
        self.out.write(b"FLDS", [struct.pack("<II", len(group), 0), shapes, _little(self._foreign(targets))])

    # Rows about named things.

    def _frames(self):
        """All frames of all threads but the agent's own, and the thread that runs each."""
        frames, threads = [], {}
        tops, stacks = _stacks()
        for thread, stack in zip(tops, stacks):
            for frame, names in zip(stack, _of_frames(_globals_of_frame, stack)):
                if names is not globals():
                    frames.append(frame)
                    threads[id(frame)] = thread
                else:
                    self.own.add(id(frame))
        # The frames of this function and of that one are among them, and would keep themselves.
        tops.clear()
        stacks.clear()
        stack = frame = None
        if THREADS_RUN_FREELY and not _MEMORY_IS_KNOWN:
            self.notes.append("frames of other threads are left out: on this interpreter they run on meanwhile")
        return frames, threads

    def note_file(self, path):
        """A copy of the path: the program's own text stays as it is referenced."""
        if type(path) is str and path.endswith(".py"):
            self.files.add(str.encode(path, "utf-8", "surrogatepass"))

    def _source_files(self):
        rows = []
        for path in sorted(path.decode("utf-8", "surrogatepass") for path in self.files):
            row = _file_row(path)
            if row is not None:
                rows.append(row)
        self.out.json(b"FILE", rows)
        library = _library_folders()
        for row in rows:
            path = row["path"]
            if any(path.startswith(folder + os.sep) for folder in library):
                continue
            try:
                with open(path, "rb") as file:
                    lines = file.read().replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            except OSError:
                continue
            if not lines[-1]:
                lines.pop()
            head = struct.pack("<II", self.out.string(path), len(lines))
            self.out.write(b"LINE", [head, column32(map(binascii.crc32, lines))])


def _counted(count, *columns):
    return [struct.pack("<II", count, 0), *columns]


def _little(column):
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column


def _true_counts(counts, added):
    """Reference counts without the agent's."""
    if max(counts) < LEAST_IMMORTAL_COUNT:
        return column32(map((-added).__add__, counts))
    return column32([count - added if count < LEAST_IMMORTAL_COUNT else IMMORTAL for count in counts])


def _without_deferred(group, counts):
    """Counts without the one that the interpreter itself adds where it defers the counting (PEP 703): on 3.13 to functions, modules, their
    namespaces, classes and code, until the first thread is started, from which on they are immortal."""
    if not _MEMORY_IS_KNOWN:
        return counts
    words = map(_WORDS.__getitem__, [id(o) + _COLLECTOR_BITS_OFFSET >> 3 for o in group])
    deferred = list(map(COUNT_IS_DEFERRED.__and__, words))
    if not any(deferred):
        return counts
    return array("I", [count - (1 if bit and 0 < count < IMMORTAL else 0) for count, bit in zip(counts, deferred)])


class _Class:
    """What is known of a class: how its objects are measured, and what their references are called.

    It keeps the type's address and not the type. What the class has is read from the namespaces of its bases, key by key, because
    a key there may be a text of the program's making, with its own idea of equality.
    """

    def __init__(self, t, capture):
        self.type_id = id(t)
        self.string = capture.out.string
        # A type that the interpreter has not made ready has no order yet.
        mro = _mro_of(t) or (t,)
        declared = [capture.declared(k) for k in mro]
        self.sizes = _sizes_of([each.measure for each in declared])
        own = _entries(t)
        self.module = _entry(own, "__module__") if _flags_of(t) & TYPE_IS_HEAP else _module_of(t)
        self.module = self.module if type(self.module) is str else None
        line = _entry(own, "__firstlineno__")
        self.line = line if type(line) is int and 0 < line < 1 << 31 else 0
        self.write, is_exact = _writer_for(t, mro)
        self.members = []
        self.names = []
        self.has_namespace = False
        self.is_plain = False
        self.layout = None
        self.code_of = None
        self.rest = ()
        self.is_read = False
        self.base_of = None
        if not is_exact:
            self.members = [member for each in declared for member in each.members]
            self.base_of = next(filter(None, map(_base_of_arrays, mro)), None)
            if self.base_of is not None:
                self.members.append(((VIEW, NO_STRING), self.base_of))
            rest = next((_REST[id(k)] for k in mro if id(k) in _REST), ())
            self.rest = [(kind, self.string(name) if name else NO_STRING) for kind, name in rest]
            self._find_names(t, mro)

    def _find_names(self, t, mro):
        self.has_namespace = _dictoffset_of(t) != 0
        if _keys_are_readable and _flags_of(t) & TYPE_HAS_MANAGED_DICT:
            self.names = [(ATTRIBUTE, self.string(name)) if type(name) is str else (OTHER, NO_STRING) for name in _read_cached_keys(t)]
            self.layout = _ValuesLayout(t)
            # Such an object references its values in their order, then its dictionary if it has one, then its type.
            self.is_plain = not self.members and all(k is object or _flags_of(k) & TYPE_IS_HEAP for k in mro)
        if _frames_are_readable and FRAMES_ARE_APART:
            self.code_of = _GENERATORS.get(id(t))
        self.is_read = bool(self.names or self.code_of is not None)

    def references_of(self, group):
        """What each object references."""
        references = _references_of_each(group)
        if self.layout is not None and self.layout.inline and _dictionaries_are_hidden:
            references = _with_hidden_dictionaries(group, references)
        if self.base_of is not None:
            references = [_with_base(self.base_of, o, found) for o, found in zip(group, references)]
        return references

    def columns(self, group):
        """For each slot the address of what each object has in it, 0 for nothing."""
        return [(label, _addresses(get, group)) for label, get in self.members]

    def values_of(self, o, references):
        """(label, address) of what an object has that is found in memory: the candidates for names of its references."""
        values = []
        if self.names:
            values = [(label, address) for label, address in zip(self.names, self.layout.read(o, len(self.names))) if address]
        if self.names and VALUES_ARE_INLINE and _WORDS[id(o) + _DICTIONARY_OFFSET >> 3]:
            # Before the values: one of them may be the dictionary itself.
            values.insert(0, ((NAMESPACE, NO_STRING), _WORDS[id(o) + _DICTIONARY_OFFSET >> 3]))
        if self.code_of is not None and id(types.FunctionType) in map(id, map(type, references)):
            # It has its function until it ends; then its frame is forgotten.
            values += [
                ((kind, self.string(name) if name else NO_STRING), address)
                for kind, name, address in _generator_parts(o, self.code_of(o))
            ]
        return values

    def shape_of_all(self, capture, references, flat):
        """The shape of objects that have all the attributes of their class and no dictionary; None if one has not."""
        length = len(self.names) + 1
        if not self.is_plain or length == 1 or len(flat) != length * len(references) or set(map(len, references)) != {length}:
            return None
        if id(dict) in set(map(id, map(type, flat[length - 2::length]))) and (length == 2 or VALUES_ARE_INLINE):
            return None
        if set(map(id, flat[length - 1::length])) != {self.type_id}:
            return None
        return capture.out.shape((*self.names, (TYPE, NO_STRING)))

    def label(self, reference, place):
        """The name of a reference that nothing else names; `place` counts those of them that are not to the type."""
        if id(reference) == self.type_id:
            return (TYPE, NO_STRING)
        if self.has_namespace and type(reference) is dict:
            return (NAMESPACE, NO_STRING)
        return self.rest[place] if place < len(self.rest) else (OTHER, NO_STRING)


class _Declared:
    """What one class declares.

    `measure`: how its objects are measured (None: as those of its base). A `__sizeof__` of the program's is not kept, which would
    add to its reference count: `NotImplemented` stands for it. `members`: (label, getter) of its slots.
    """

    def __init__(self, t, string):
        self.measure, self.members = None, []
        getters = _GETTERS.get(id(t)) or _GETTERS_BY_NAME.get(_name_of_c_type(t), ())
        for name, value in _entries(t):
            # A key of another type could have its own idea of equality.
            if type(name) is not str:
                continue
            if type(value) is types.MemberDescriptorType:
                label = (NAMESPACE, NO_STRING) if name == "__dict__" else (SLOT, string(value.__name__))
                self.members.append((label, functools.partial(type(value).__get__, value)))
            elif name in getters and value.__objclass__ is t:
                self.members.append(((SLOT, string(name)), functools.partial(_get_unless_none, value)))
            elif name == "__sizeof__":
                self.measure = value if type(value) is types.MethodDescriptorType else NotImplemented


def _name_of_c_type(t):
    """Module and name of a type that C code made; None for a class of a program's, which could call itself anything."""
    if _flags_of(t) & TYPE_IS_HEAP and not (_flags_of(t) & TYPE_IS_IMMUTABLE and sys.version_info >= (3, 10)):
        return None
    return _module_of(t), _qualname_of(t)


def _base_of_arrays(t):
    """What gives the array that a view of NumPy's shows, if this is the type of its arrays: the collector is not told of it."""
    if _name_of_c_type(t) != ("numpy", "ndarray"):
        return None
    base = _entry(_entries(t), "base")
    return functools.partial(_get_unless_none, base) if type(base) is types.GetSetDescriptorType else None


def _with_base(base_of, o, references):
    try:
        return [*references, base_of(o)]
    except AttributeError:  # It is no view.
        return references


def _get_unless_none(descriptor, o):
    """What a getter gives. None stands for nothing at all too: no reference is named by it. Nor is one of a half-built object, whose
    getter refuses, as that of a future without `__init__` does."""
    try:
        value = descriptor.__get__(o)
    except Exception:
        value = None
    if value is None:
        raise AttributeError
    return value


def _entries(t):
    namespace = _namespace_of(t)
    return () if namespace is None else list(namespace.items())


def _entry(names, wanted):
    """The value under a name in a list of entries."""
    for name, value in names:
        if type(name) is str and name == wanted:
            return value
    return None


def _addresses(get, group):
    try:
        return array("Q", map(id, map(get, group)))
    except AttributeError:
        return array("Q", [_address(get, o) for o in group])


def _address(get, o):
    try:
        return id(get(o))
    except AttributeError:
        return 0


def _sizes_of(measures):
    """How objects of a class are measured, from the `__sizeof__` of its bases: as the interpreter does, also where a class would
    measure itself."""
    for measure in measures:
        if measure is None:
            continue
        if type(measure) is types.MethodDescriptorType:
            break
        own = next(found for found in measures if type(found) is types.MethodDescriptorType)
        return lambda group: [own(o) + (COLLECTOR_HEADER if gc.is_tracked(o) else 0) for o in group]
    return lambda group: map(sys.getsizeof, group)


# How the references of special types are written. Each takes the capture, the class, the group, and what follows.

def _write_lists(capture, known, group, following):
    capture._sequences(LIST_ITEM, group, following)


def _write_tuples(capture, known, group, following):
    capture._sequences(TUPLE_ITEM, group, following)


def _write_sets(capture, known, group, following):
    capture._members(SET_MEMBER, group, following)


def _write_deques(capture, known, group, following):
    capture._members(DEQUE_ITEM, group, following)


def _write_dicts(capture, known, group, following):
    capture._dicts(group, following)


def _subclass_of(base, kind):
    """Objects of a container's subclass: items as the container has them, then what the subclass added."""

    def write(capture, known, group, following):
        if base is dict:
            capture._dicts(group, following)
            item_rows = [[*dict.values(o), *dict.keys(o)] for o in group]
        elif base in (list, tuple):
            rows = [_item_row(o, base) for o in group]
            capture._item_rows(kind, rows, following)
            item_rows = [objects for _, objects in rows]
        else:
            item_rows = [_last_references(o, base) for o in group] if THREADS_RUN_FREELY else list(map(list, map(base.__iter__, group)))
            capture._item_rows(kind, [(_ids(row), row) for row in item_rows], following)
        columns, references = known.columns(group), _references_of_each(group)
        rows = []
        for row, (o, items) in enumerate(zip(group, item_rows)):
            rows.append(capture._labels(known, row, o, columns, references[row], set(map(id, items))))
        capture.labelled(group, rows, following)

    return write


# Between the references of one object and those of the next.
_BETWEEN = [object()]


def _references_at_once(group):
    """How many references each object has, and all of them: as they are at one moment, for the interpreter stops the other threads of a
    free-threaded build while it answers."""
    references = gc.get_referents(*chain.from_iterable(zip(group, repeat(_BETWEEN))))
    ends = list(compress(count_from(), map(is_, references, repeat(_BETWEEN[0]))))
    lengths = [end - start - 1 for start, end in zip(chain((-1,), ends), ends)]
    return lengths, list(compress(references, map(is_not, references, repeat(_BETWEEN[0]))))


def _lists_dead_objects(o):
    """Whether it is a module that must not be asked what it references."""
    if not MODULES_LIST_DEAD_OBJECTS or type(o) is not types.ModuleType:
        return False
    name = dict.get(_module_dict_of(o), "__name__")
    return type(name) is str and name == "_asyncio"


def _references_of_each(group):
    """What each object references."""
    if not THREADS_RUN_FREELY:
        return list(map(gc.get_referents, group))
    lengths, references = _references_at_once(group)
    references = iter(references)
    return [list(islice(references, length)) for length in lengths]


def _items_of(sequences):
    """The items of lists and tuples, one after the other, in their order. C code may have left one half built: iterating over it, or
    asking for an item, would end the process. The collector passes over what is not there, from the last item to the first."""
    items = gc.get_referents(*reversed(sequences))
    items.reverse()
    return items


def _item_row(o, base):
    """Addresses of the items of a list or tuple, 0 where there is none, and the items."""
    if THREADS_RUN_FREELY and base is list:
        return _list_row(o)
    references = gc.get_referents(o)
    if not _MEMORY_IS_KNOWN:
        items = references[::-1] if type(o) is base else references[len(references) - base.__len__(o):][::-1]
        return _ids(items), items
    count, place = base.__len__(o), id(o) + _LIST_ITEMS_OFFSET >> 3
    if base is list:
        words = _WORDS[(first := _WORDS[place] >> 3):first + count]
    else:
        words = _words(id(o) + _TUPLE_ITEMS_OFFSET, count)
    owned = dict(zip(map(id, references), references))
    addresses = [word if word in owned else 0 for word in words]
    return addresses, [owned[address] for address in addresses if address]


# So often is asked for what another thread changes meanwhile.
TRIES = 10


def _last_references(o, base):
    """The items of a container whose class may have added references: those come before the items."""
    for _ in range(TRIES):
        count, references = base.__len__(o), gc.get_referents(o)
        if base.__len__(o) == count:
            break
    return references[max(len(references) - count, 0):]


def _list_row(o):
    """The same as `_item_row` for a list that other threads may change at any moment: its memory is not looked at, for it may be another
    by then. Of a list that has fewer items than its length, and keeps them, the last places count as empty."""
    found = []
    for _ in range(TRIES):
        items = gc.get_referents(o) if type(o) is list else _last_references(o, list)
        found.append((list.__len__(o), len(items)))
        if found[-1][0] == found[-1][1]:
            break
    items.reverse()
    empty = found[0][0] - found[0][1] if len(found) == TRIES and len(set(found)) == 1 else 0
    return array("Q", chain(map(id, items), repeat(0, max(empty, 0)))), items


def _write_cells(capture, known, group, following):
    rows = [[((CELL_CONTENTS, NO_STRING), reference) for reference in references] for references in _references_of_each(group)]
    capture.labelled(group, rows, following)


def _write_modules(capture, known, group, following):
    out = capture.out
    rows, described = [], []
    asked = [(_module_dict_of(o),) if _lists_dead_objects(o) else o for o in group]
    for o, references in zip(group, _references_of_each(asked)):
        namespace = _module_dict_of(o)
        labels = []
        for reference in references:
            if reference is namespace:
                labels.append(((NAMESPACE, NO_STRING), reference))
                capture.name_namespace(reference)
            elif id(reference) == known.type_id:
                labels.append(((TYPE, NO_STRING), reference))
            else:
                labels.append(((OTHER, NO_STRING), reference))
        rows.append(labels)
        if type(namespace) is dict:
            described.append((id(o), namespace))
    capture.labelled(group, rows, following)
    _write_namespaces(capture, described)


def _write_namespaces(capture, described):
    out = capture.out
    addresses, dictionaries, names, files = [], [], [], []
    for address, namespace in described:
        entries = list(dict.items(namespace))
        name, file = _entry(entries, "__name__"), _entry(entries, "__file__")
        capture.module_namespaces.add(id(namespace))
        addresses.append(address)
        dictionaries.append(id(namespace))
        names.append(out.string(name) if type(name) is str else NO_STRING)
        if type(file) is str:
            files.append(out.string(file))
            capture.note_file(file)
        else:
            files.append(NO_STRING)
    if addresses:
        out.write(b"MODU", _counted(len(addresses), column64(addresses), column64(dictionaries), column32(names), column32(files)))


def _write_functions(capture, known, group, following):
    out = capture.out
    string = out.string
    machinery = {name: (MACHINERY, string(name)) for name in ("__code__", "__globals__", "__builtins__", "__annotations__", "other")}
    closure_label, defaults_label, keywords_label, annotations_label = (
        (SLOT, string(name)) for name in ("__closure__", "__defaults__", "__kwdefaults__", "__annotations__")
    )
    rows, codes, modules, qualnames, strangers = [], [], [], [], {}
    for f, references in zip(group, _references_of_each(group)):
        code, names, defaults, keywords, closure = f.__code__, f.__globals__, f.__defaults__, f.__kwdefaults__, f.__closure__
        arguments = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
        labels = []
        has_namespace = False
        for reference in references:
            if reference is code:
                label = machinery["__code__"]
            elif reference is names:
                label = machinery["__globals__"]
            elif closure is not None and reference is closure:
                label = closure_label
            elif defaults is not None and reference is defaults:
                label = defaults_label
            elif keywords is not None and reference is keywords:
                label = keywords_label
            elif type(reference) is dict:
                if reference is builtins.__dict__:
                    label = machinery["__builtins__"]
                elif _is_annotations(f, reference, code):
                    label = annotations_label
                elif has_namespace:
                    label = machinery["other"]
                else:
                    label = (NAMESPACE, NO_STRING)
                    has_namespace = True
                    capture.name_namespace(reference)
            elif id(reference) == known.type_id:
                label = (TYPE, NO_STRING)
            else:
                label = machinery["other"]
            labels.append((label, reference))
        if closure is not None:
            labels += [((FREE_VARIABLE | DESCRIBED, string(name)), cell) for name, cell in zip(code.co_freevars, closure)]
        if type(defaults) is tuple:
            names_of_defaults = arguments[:code.co_argcount][-len(defaults):] if defaults else ()
            labels += [((DEFAULT | DESCRIBED, string(name)), value) for name, value in zip(names_of_defaults, defaults)]
        if type(keywords) is dict:
            labels += [((KEYWORD_DEFAULT | DESCRIBED, string(name)), value) for name, value in list(keywords.items()) if type(name) is str]
        rows.append(labels)
        codes.append(id(code))
        module = f.__module__
        modules.append(string(module) if type(module) is str else NO_STRING)
        qualnames.append(string(f.__qualname__))
        if id(names) not in capture.module_namespaces:
            strangers[id(names)] = names
    capture.labelled(group, rows, following)
    out.write(b"FUNC", _counted(len(group), _little(_ids(group)), column64(codes), column32(modules), column32(qualnames)))
    loaded = {id(_module_dict_of(m)) for m in list(sys.modules.values()) if type(m) is types.ModuleType}
    _write_namespaces(capture, [(0, names) for address, names in strangers.items() if address not in loaded and type(names) is dict])


def _is_annotations(f, names, code):
    """Whether a dictionary of a function is that of its annotations: asking the function could make one."""
    if _functions_are_readable:
        return _WORDS[id(f) + ANNOTATIONS_OFFSET >> 3] == id(names)
    if not names:
        return False
    parameters = set(code.co_varnames[:code.co_argcount + code.co_kwonlyargcount + 2]) | {"return"}
    return all(type(name) is str and name in parameters for name in list(dict.keys(names)))


# What a code object holds; the collector does not know.
_CODE_PARTS = [(name, member.__get__) for name, member in types.CodeType.__dict__.items() if type(member) is types.MemberDescriptorType]
if THREADS_RUN_FREELY:
    # Code keeps these once they were asked for, as they are for functions. There a later dump would find them, with nobody who has them.
    _CODE_PARTS += [(name, types.CodeType.__dict__[name].__get__) for name in ("co_varnames", "co_cellvars", "co_freevars")]


def _parts_of_code(code):
    parts = {name: get(code) for name, get in _CODE_PARTS}
    return {name: part for name, part in parts.items() if part is not None and type(part) is not int}


def _write_codes(capture, known, group, following):
    out = capture.out
    string = out.string
    files, qualnames, lines = [], [], []
    for code in group:
        files.append(string(code.co_filename))
        qualnames.append(string(code.co_qualname if sys.version_info >= (3, 11) else code.co_name))
        lines.append(max(code.co_firstlineno or 0, 0))
        capture.note_file(code.co_filename)
    rows = [[((MACHINERY, string(name)), part) for name, part in _parts_of_code(code).items()] for code in group]
    capture.labelled(group, rows, following)
    out.write(b"CODE", _counted(len(group), _little(_ids(group)), column32(files), column32(qualnames), column32(lines)))


def _write_types(capture, known, group, following):
    string = capture.out.string
    labels = {name: (MACHINERY, string(name)) for name in ("__mro__", "__bases__", "__base__", "type")}
    rows = []
    for t, references in zip(group, _references_of_each(group)):
        if id(t) not in capture.classes:
            capture._meet(t)
        mro = _mro_of(t)
        # A type that the interpreter has not made ready has neither, and asking for its bases would be its end.
        bases = _bases_of(t) if mro is not None else None
        row, has_namespace = [], False
        if not _flags_of(t) & TYPE_IS_HEAP:
            # The collector does not follow the types that C code declares.
            references = [part for part in (*gc.get_referents(_namespace_of(t)), mro, bases) if part is not None]
        for reference in references:
            if reference is mro:
                label = labels["__mro__"]
            elif reference is bases:
                label = labels["__bases__"]
            elif type(reference) is dict and not has_namespace:
                label = (NAMESPACE, NO_STRING)
                has_namespace = True
                capture.name_namespace(reference)
            elif id(reference) == known.type_id:
                label = (TYPE, NO_STRING)
            else:
                label = labels["type"]
            row.append((label, reference))
        rows.append(row)
    capture.labelled(group, rows, following)


def _write_caches(capture, known, group, following):
    wrapped = (MACHINERY, capture.out.string("__wrapped__"))
    rows = []
    for o, references in zip(group, _references_of_each(group)):
        entries = _entries_of_cache(references)
        if entries is not None and any(map(_is_cache_entry, list(dict.values(entries)))):
            references = _without_entries(capture, references, entries, following)
        row, is_behind = [], False
        for reference in references:
            if reference is entries and not is_behind:
                label = (CACHE, NO_STRING)
                is_behind = True
            elif type(reference) is dict:
                label = (NAMESPACE, NO_STRING)
                capture.name_namespace(reference)
            elif type(reference) is types.FunctionType:
                label = wrapped
            elif id(reference) == known.type_id:
                label = (TYPE, NO_STRING)
            else:
                label = (OTHER, NO_STRING)
            row.append((label, reference))
        rows.append(row)
    capture.labelled(group, rows, following)


def _is_cache_entry(o):
    return _name_of_c_type(type(o)) == ("functools", "_lru_list_elem")


def _entries_of_cache(references):
    """The dictionary of a cache's entries: of a bounded cache one that has such entries, for results come before it; else the first."""
    dictionaries = [reference for reference in references if type(reference) is dict]
    bounded = (entries for entries in dictionaries if any(map(_is_cache_entry, list(dict.values(entries))[:1])))
    return next(chain(bounded, dictionaries), None)


def _without_entries(capture, references, entries, following):
    """The references of a bounded cache without those that its entries own: key, result and, since 3.9, type of each entry.

    What an entry has is noted for when the entries are written: the collector does not tell of it.
    """
    entry_of = {id(key): entry for key, entry in list(dict.items(entries))}
    left, place = [], 0
    while place < len(references):
        entry = entry_of.pop(id(references[place]), None) if references[place] is not entries else None
        if entry is None or place + 1 == len(references):
            left.append(references[place])
            place += 1
            continue
        result = references[place + 1]
        capture.cache_entries[id(entry)] = id(references[place]), id(result)
        capture._follow((id(result),), (result,), following)
        has_type = place + 2 < len(references) and references[place + 2] is type(entry)
        place += 3 if has_type else 2
    return left


def _write_cache_entries(capture, known, group, following):
    """Entries of bounded caches: raw addresses, for the objects have rows already or get them by their cache."""
    out = capture.out
    key, result, kind = (SLOT, out.string("key")), (CELL_CONTENTS, NO_STRING), (TYPE, NO_STRING)
    has_type = _flags_of(type(group[0])) & TYPE_IS_HEAP
    whole, empty = out.shape((key, result, kind) if has_type else (key, result)), out.shape(())
    shapes, targets = array("I"), array("Q")
    for entry in group:
        parts = capture.cache_entries.get(id(entry))
        shapes.append(empty if parts is None else whole)
        if parts is not None:
            targets.extend(parts)
            if has_type:
                targets.append(known.type_id)
    capture.out.write(b"FLDS", [struct.pack("<II", len(group), 0), _little(shapes), _little(capture._foreign(targets))])


def _write_thread_locals(capture, known, group, following):
    """Thread-local objects: each keeps a namespace for each thread, in a table by an object of that thread."""
    string = capture.out.string
    columns = known.columns(group)
    rows = []
    for row, (o, references) in enumerate(zip(group, _references_of_each(group))):
        tables = [reference for reference in references if type(reference) is dict and _is_table_of_threads(reference)]
        labels = []
        for label, reference in capture._labels(known, row, o, columns, references):
            if any(reference is table for table in tables):
                label = (MACHINERY, string("threads"))
            labels.append((label, reference))
        for namespace in chain.from_iterable(map(list, map(dict.values, tables))):
            if type(namespace) is dict:
                labels.append(((THREAD_LOCAL | DESCRIBED, NO_STRING), namespace))
                capture.name_namespace(namespace)
        rows.append(labels)
    capture.labelled(group, rows, following)


def _is_table_of_threads(table):
    # Up to 3.12 weak references are its keys, since 3.13 the objects themselves.
    return all(type(key) is weakref.ref or _name_of_c_type(type(key)) == ("_thread", "_localdummy") for key in list(dict.keys(table)))


def _write_several_iterators(capture, known, group, following):
    """`map` and `zip`: the tuple in which they keep what they go over says nothing."""
    rows = []
    for row, (o, references) in enumerate(zip(group, _references_of_each(group))):
        labels = capture._labels(known, row, o, [], references)
        iterators = [target for label, target in labels if label == known.rest[0] and type(target) is tuple][:1]
        labels += [((ITERATES | DESCRIBED, NO_STRING), iterator) for one in iterators for iterator in one]
        rows.append(labels)
    capture.labelled(group, rows, following)


def _write_contexts(capture, known, group, following):
    """Contexts: beside what they are made of, the value of each variable, which is told as the variable's."""
    references = _references_of_each(group)
    capture.labelled(group, [[(known.label(r, 9), r) for r in row] for row in references], following)
    for o in group:
        for variable, value in list(_items_of_context(o)):
            capture.link(variable, (CONTEXT | DESCRIBED, capture.out.string(_name_of_context_variable(variable))), value, following)


_items_of_context = contextvars.Context.items
_name_of_context_variable = contextvars.ContextVar.name.__get__

_GOES_OVER = ((ITERATES, ""),)
_GOES_OVER_WITH_FUNCTION = ((ITERATES, ""), (SLOT, "function"))
_GOES_OVER_WITH_RESULT = ((ITERATES, ""), (SLOT, "result"))
_GOES_OVER_TWO = ((ITERATES, ""), (ITERATES, ""))
_GOES_OVER_SEVERAL = ((MACHINERY, "iterators"), (SLOT, "result"))
_SHOWS = ((VIEW, ""),)
# What references are called that only their order tells apart, by the type's address. The order is that of the type's `tp_traverse`;
# a function that is left out comes after what is gone over.
_REST = {}


def _fill_rest():
    a_dict, a_tuple = {1: 2}, ()
    tables = {
        _GOES_OVER: [
            iter([]), iter(a_tuple), iter(a_dict), iter(a_dict.values()), iter(set()), iter(""), iter("\xe9"), iter(b""), iter(bytearray()),
            reversed([]), reversed(a_tuple), reversed(a_dict), reversed(a_dict.values()), iter(collections.deque()),
            reversed(collections.deque()), iter(collections.OrderedDict()), itertools.islice(a_tuple, 0), itertools.repeat(0),
            itertools.groupby(a_tuple), itertools.tee(a_tuple)[0],
        ],
        _GOES_OVER_WITH_FUNCTION: [
            filter(None, a_tuple), itertools.starmap(max, a_tuple), itertools.filterfalse(None, a_tuple),
            itertools.takewhile(max, a_tuple), itertools.dropwhile(max, a_tuple),
        ],
        _GOES_OVER_WITH_RESULT: [
            enumerate(a_tuple), iter(a_dict.items()), reversed(a_dict.items()), itertools.product(a_tuple), itertools.combinations(a_tuple, 0),
            itertools.permutations(a_tuple, 0), itertools.combinations_with_replacement(a_tuple, 0),
        ],
        _GOES_OVER_TWO: [itertools.chain(), itertools.cycle(a_tuple), itertools.compress(a_tuple, a_tuple)],
        ((SLOT, "callable"), (SLOT, "sentinel")): [iter(int, 1)],
        ((SLOT, "default"),): [contextvars.ContextVar("example")],
        _GOES_OVER_SEVERAL: [zip(), itertools.zip_longest()],
        ((MACHINERY, "iterators"), (SLOT, "function")): [map(max, a_tuple)],
        _SHOWS: [
            types.MappingProxyType(a_dict), a_dict.keys(), a_dict.values(), a_dict.items(), memoryview(b""),
            collections.OrderedDict().keys(), collections.OrderedDict().values(), collections.OrderedDict().items(),
        ],
        ((CELL_CONTENTS, ""),): gc.get_referents(memoryview(b""))[:1],
    }
    for rest, examples in tables.items():
        _REST.update((id(type(example)), rest) for example in examples)


_fill_rest()


def _write_frames(capture, known, group, following):
    out = capture.out
    string = out.string
    machinery = [(MACHINERY, string(name)) for name in ("f_back", "f_code", "f_globals", "f_builtins")]
    threads = capture.threads or {}
    rows, codes, lines = [], [], []
    references = _references_of_each(group)
    for frame, owned, (back, code, names, builtin_names, line) in zip(group, references, _of_frames(_parts_of_frame, group)):
        row = _frame_parts(frame, capture, id(frame) in threads, code, owned)
        for label, value in zip(machinery, (back, code, names, builtin_names)):
            if value is not None and id(value) not in capture.own:
                row.append((label, value))
        codes.append(id(code))
        lines.append(line or 0)
        known_ids = {id(value) for _, value in row}
        # A frame that does not run tells of its function and of what lies on its stack too.
        row += [((STACK, NO_STRING), value) for value in owned if id(value) not in known_ids]
        rows.append(row)
    capture.labelled(group, rows, following)
    numbers = column64(threads.get(id(frame), 0) for frame in group)
    out.write(b"FRAM", _counted(len(group), _little(_ids(group)), column64(codes), numbers, column32(lines)))


def _frame_parts(frame, capture, is_running, code, owned):
    """(label, target) of a frame's local variables, or of the dictionary that it has in place of them, and of its stack."""
    string = capture.out.string
    is_optimized = code.co_flags & CODE_IS_OPTIMIZED
    if not _frames_are_readable:
        local_variables = frame.f_locals
        if not is_optimized:
            return [((NAMESPACE, NO_STRING), local_variables)]
        if type(local_variables) is dict:
            capture.side_effects["frame_locals_read"] += 1
        return [((LOCAL, string(name)), value) for name, value in local_variables.items()]
    # What runs is written with the first objects, which all live until they are written.
    reading = _FrameReading(frame, code, owned, capture.seen if is_running else ())
    owned_elsewhere = reading.owned_by_a_generator()
    # The frame object of a generator that waits owns nothing.
    owns = is_running or bool(reading.owned)
    row = []
    namespace = None if is_optimized else reading.namespace()
    if namespace is not None:
        row.append(((NAMESPACE, NO_STRING), namespace))
    for name, value, is_owned in reading.local_variables():
        described = 0 if owns and is_owned and id(value) not in owned_elsewhere else DESCRIBED
        row.append(((LOCAL | described, string(name)), value))
    if is_running:
        for value, is_owned in reading.stack():
            row.append(((STACK | (0 if is_owned and id(value) not in owned_elsewhere else DESCRIBED), NO_STRING), value))
        function = reading.function()
        if function is not None:
            row.append(((MACHINERY, string("function")), function))
    return row


_EXACT = {}


def _fill_writers():
    exact = {
        list: _write_lists, tuple: _write_tuples, set: _write_sets, frozenset: _write_sets, collections.deque: _write_deques,
        dict: _write_dicts, types.FunctionType: _write_functions, types.CodeType: _write_codes, types.FrameType: _write_frames,
        types.ModuleType: _write_modules, types.CellType: _write_cells, _LruCache: _write_caches,
        map: _write_several_iterators, zip: _write_several_iterators, itertools.zip_longest: _write_several_iterators,
        contextvars.Context: _write_contexts, _ThreadLocal: _write_thread_locals,
    }
    _EXACT.update(exact)


_fill_writers()
_SUBCLASSES = [
    (dict, _subclass_of(dict, None)),
    (list, _subclass_of(list, LIST_ITEM)),
    (tuple, _subclass_of(tuple, TUPLE_ITEM)),
    (set, _subclass_of(set, SET_MEMBER)),
    (frozenset, _subclass_of(frozenset, SET_MEMBER)),
    (collections.deque, _subclass_of(collections.deque, DEQUE_ITEM)),
    (types.ModuleType, _write_modules),
    (_LruCache, _write_caches),
    (_ThreadLocal, _write_thread_locals),
]


# They name what their objects have as those of any class do, and add to it.
_NEED_NAMES = (_write_several_iterators, _write_thread_locals)


def _writer_for(t, mro):
    """What writes the references of a type, and whether its objects have none but those."""
    if _flags_of(t) & TYPE_IS_TYPE:
        return _write_types, False
    # By identity: a metaclass could have its own idea of equality.
    for exact, write in _EXACT.items():
        if exact is t:
            return write, write not in _NEED_NAMES
    if _name_of_c_type(t) == ("functools", "_lru_list_elem"):
        return _write_cache_entries, True
    for base, write in _SUBCLASSES:
        if any(base is k for k in mro):
            return write, False
    return None, False


# What only memory knows: names of attributes kept without a dictionary, and locals of frames.

_MEMORY_IS_KNOWN = (
    ctypes is not None and sys.implementation.name == "cpython" and struct.calcsize("P") == 8 and not hasattr(sys, "gettotalrefcount")
    and (not THREADS_RUN_FREELY or sys.version_info[:2] == (3, 13))
)
if _MEMORY_IS_KNOWN:
    # All memory, as words and as references. One step of the interpreter reads a word, or takes a reference to the object that
    # a word points to: no other thread can come between the reading and the taking.
    _WORDS = (ctypes.c_uint64 * (1 << 44)).from_address(0)
    _OBJECTS = (ctypes.py_object * (1 << 44)).from_address(0)


if _MEMORY_IS_KNOWN and THREADS_RUN_FREELY:
    try:
        # It is called with an object, which is of no interest.
        _Visitor = ctypes.PYFUNCTYPE(ctypes.c_int)
        _visit_objects = ctypes.PYFUNCTYPE(None, _Visitor, ctypes.c_void_p)(("PyUnstable_GC_VisitObjects", ctypes.pythonapi))
    except AttributeError:
        _MEMORY_IS_KNOWN = False


def _at_rest(*steps):
    """Takes all steps of some iterators, one iterator after the other, while every other thread stands still. For free-threaded builds.

    The interpreter stops the other threads while it shows its objects to a function of ours: this one takes the steps when it is shown
    the first object, and answers 0, which ends the showing. Each step is to add to a list, by C code alone: so no signal is handled
    meanwhile, whose handler could wait for a thread that stands still. No step may ask the collector: it stops the threads itself.
    """
    _visit_objects(_Visitor(functools.partial(operator.countOf, chain.from_iterable(steps), steps)), None)


def _can_stop_threads():
    probe, found = object(), []
    _at_rest(map(found.append, [probe, 1]), map(found.append, map(id, [probe])))
    return found == [probe, 1, id(probe)]


if _MEMORY_IS_KNOWN and THREADS_RUN_FREELY:
    _MEMORY_IS_KNOWN = _can_stop_threads()

_MEMORY_TYPES = (type(_WORDS), type(_OBJECTS)) if _MEMORY_IS_KNOWN else ()
if _MEMORY_IS_KNOWN and THREADS_RUN_FREELY:
    _MEMORY_TYPES += (_Visitor, type(_visit_objects))


def _words(address, count):
    return _WORDS[address >> 3:(address >> 3) + count]


# Where objects have their parts. All begin with a header (Include/object.h) whose last word is the type; the header of a free-threaded
# build has the thread that owns the object, the collector's bits and two counts too, and nothing of the collector's stands before it.
_HEADER = 32 if THREADS_RUN_FREELY else 16
_TYPE_OFFSET = _HEADER - 8
# The header's word with the collector's bits, and the bit of an object whose counting is deferred (Include/internal/pycore_gc.h).
_COLLECTOR_BITS_OFFSET, COUNT_IS_DEFERRED = 8, 64 << 24
# Include/cpython/listobject.h and tupleobject.h.
_LIST_ITEMS_OFFSET, _TUPLE_ITEMS_OFFSET = _HEADER + 8, tuple.__basicsize__
# Include/cpython/object.h: struct _heaptypeobject.
_KEYS_OFFSET = {(3, 11): 856, (3, 12): 864, (3, 13): 864, (3, 14): 864, (3, 15): 872}.get(sys.version_info[:2])
_KEYS_OFFSET = _KEYS_OFFSET and _HEADER + _KEYS_OFFSET
# Since 3.12, before the object (Include/internal/pycore_object.h: MANAGED_DICT_OFFSET).
_DICTIONARY_OFFSET = -8 if THREADS_RUN_FREELY else -24
# Include/cpython/funcobject.h.
ANNOTATIONS_OFFSET = _HEADER + (96 if sys.version_info >= (3, 10) else 80)
# Since 3.13 the values lie behind the object, and stay its own when a dictionary is laid over them.
VALUES_ARE_INLINE = sys.version_info >= (3, 13)
TYPE_HAS_MANAGED_DICT = 1 << 4
TYPE_HAS_INLINE_VALUES = 1 << 2
_basicsize_of = type.__dict__["__basicsize__"].__get__


def _read_cached_keys(t):
    """Names in `ht_cached_keys` (Include/cpython/object.h; the table: Include/internal/pycore_dict.h)."""
    table = _WORDS[id(t) + _KEYS_OFFSET >> 3]
    if not table:
        return []
    _, index_bytes_log2, kind = _WORDS[table + 8 >> 3].to_bytes(8, sys.byteorder)[:3]
    count = _WORDS[table + 24 >> 3]
    if kind == 0 or count > 1 << 16 or index_bytes_log2 > 24:
        return []
    entries = table + 32 + (1 << index_bytes_log2) >> 3
    return [_OBJECTS[entry] if _WORDS[entry] else None for entry in range(entries, entries + 2 * count, 2)]


class _ValuesLayout:
    """Where the objects of a class keep the values of their attributes when they have no dictionary of them."""

    def __init__(self, t):
        self.inline = _basicsize_of(t) if VALUES_ARE_INLINE and _flags_of(t) & TYPE_HAS_INLINE_VALUES else 0

    def read(self, o, count):
        """Addresses by their place in the class's names; 0 is none."""
        if VALUES_ARE_INLINE:
            if not self.inline:
                return ()
            capacity, _, _, is_valid = _WORDS[id(o) + self.inline >> 3].to_bytes(8, sys.byteorder)[:4]
            return _words(id(o) + self.inline + 8, min(count, capacity)) if is_valid else ()
        if sys.version_info >= (3, 12):
            word = _WORDS[id(o) + _DICTIONARY_OFFSET >> 3]
            return _words(word + 1, count) if word & 1 else ()
        values = _WORDS[id(o) - 32 >> 3]
        return _words(values, count) if values else ()


class _Probe:
    def __init__(self):
        self.first_probe = 1.5
        self.second_probe = ()


def _can_read_keys():
    """Whether memory has what it should, asked of an object whose attributes are known."""
    if not _MEMORY_IS_KNOWN or _KEYS_OFFSET is None or not _flags_of(_Probe) & TYPE_HAS_MANAGED_DICT:
        return False
    probe = _Probe()
    values = list(_ValuesLayout(_Probe).read(probe, 2))
    return _read_cached_keys(_Probe) == ["first_probe", "second_probe"] and values == [id(probe.first_probe), id(probe.second_probe)]


_keys_are_readable = _can_read_keys()


def _hides_dictionaries():
    """Whether an object whose dictionary lies over its values references the values only, as 3.13 has it."""
    if not _keys_are_readable or not VALUES_ARE_INLINE:
        return False
    probe = _Probe()
    names = probe.__dict__
    return _WORDS[id(probe) + _DICTIONARY_OFFSET >> 3] == id(names) and not any(reference is names for reference in gc.get_referents(probe))


_dictionaries_are_hidden = _hides_dictionaries()


def _with_hidden_dictionaries(group, references):
    """The references of each object, and its dictionary where the collector does not tell of it."""
    if THREADS_RUN_FREELY:
        places = [id(o) + _DICTIONARY_OFFSET >> 3 for o in group]
        rows = list(compress(count_from(), map(_WORDS.__getitem__, places)))
        places, words, found = [places[row] for row in rows], [], []
        if rows:
            _at_rest(map(words.append, map(_WORDS.__getitem__, places)), map(found.append, map(_OBJECTS.__getitem__, compress(places, words))))
        for row, names in zip(compress(rows, words), found):
            if id(names) not in map(id, references[row]):
                references[row].append(names)
        return references
    for row, address in enumerate(map(id, group)):
        place = address + _DICTIONARY_OFFSET >> 3
        word = _WORDS[place]
        if word and word not in map(id, references[row]):
            try:
                references[row].append(_OBJECTS[place])
            except ValueError:  # Gone between the two steps.
                pass
    return references


# Where a frame keeps its parts. Since 3.11 the interpreter's own frame lies apart from the frame object, which has its address.
# Include/internal/pycore_frame.h (up to 3.10 Include/cpython/frameobject.h).
FRAMES_ARE_APART = sys.version_info >= (3, 11)
FRAME_ADDRESS_OFFSET = _HEADER + 8
_LOCALS_OFFSET = {
    (3, 8): 360, (3, 9): 360, (3, 10): 352, (3, 11): 72, (3, 12): 72, (3, 13): 72, (3, 14): 80, (3, 15): 80,
}.get(sys.version_info[:2], 0)
_NAMESPACE_OFFSET = {(3, 11): 24}.get(sys.version_info[:2], 40 if FRAMES_ARE_APART else 56)
_FUNCTION_OFFSET = {(3, 11): 0}.get(sys.version_info[:2], 16)
# Up to 3.13 how many places from the locals on are in use, -1 while that changes; then the address of their end, 0 while it changes.
STACK_END_OFFSET = 64
STACK_END_IS_AN_ADDRESS = sys.version_info >= (3, 14)
# The lowest bit of such a reference says that it is borrowed, both that it is a number.
REFERENCES_ARE_TAGGED = sys.version_info >= (3, 14)
BORROWED, TAGS = 1, 3
# A generator has its frame in itself since 3.11 (Include/cpython/genobject.h; since 3.14 Include/internal/pycore_interpframe_structs.h).
_FRAME_IN_GENERATOR = _HEADER + {(3, 11): 64}.get(sys.version_info[:2], 56)
CODE_IS_OPTIMIZED = 1
CODE_IS_OF_A_GENERATOR = 0x20 | 0x80 | 0x200


_parts_of_frame = operator.attrgetter("f_back", "f_code", "f_globals", "f_builtins", "f_lineno")
_code_of_frame = operator.attrgetter("f_code")
_globals_of_frame = operator.attrgetter("f_globals")


def _of_frames(get, frames):
    """What a getter gives for each frame."""
    if not THREADS_RUN_FREELY or not _MEMORY_IS_KNOWN:
        return list(map(get, frames))
    found = []
    _at_rest(map(found.append, map(get, frames)))
    return found


def _other_interpreters_run():
    """Whether there may be interpreters with a lock of their own (PEP 684) that run while this one has its. Those that a host of C code
    makes without such a lock are none."""
    for name in ("_interpreters", "_xxsubinterpreters"):
        module = sys.modules.get(name)
        if sys.version_info >= (3, 12) and type(module) is types.ModuleType:
            others = [other for other in module.list_all() if other != module.get_current()]
            # Since 3.13 it says also where each comes from.
            if any(module.is_running(other[0] if type(other) is tuple else other) for other in others):
                return True
    return False


def _tops():
    """The frame at the top of each thread. Of this thread alone where other interpreters run: what CPython tells makes frames of theirs,
    too, and that ends the process (3.12, 3.13)."""
    return {_thread.get_ident(): sys._getframe()} if _other_interpreters_run() else sys._current_frames()


def _stacks():
    """The threads, and the frames of each from the innermost on. If a free-threaded build cannot stop the others: of this thread alone."""
    tops, stacks = _tops(), []
    if THREADS_RUN_FREELY and _MEMORY_IS_KNOWN:
        # Each thread's frame, that one's `f_back`, and so on up to None.
        steps = [itertools.accumulate(repeat("f_back"), getattr, initial=frame).__next__ for frame in tops.values()]
        _at_rest(map(stacks.append, map(list, map(iter, steps, repeat(None)))))
        return tops, stacks
    if THREADS_RUN_FREELY:
        tops = {_thread.get_ident(): sys._getframe()}
    for frame in tops.values():
        stacks.append([])
        while frame is not None:
            stacks[-1].append(frame)
            frame = frame.f_back
    return tops, stacks


def _local_names(code):
    cells = [name for name in code.co_cellvars if not FRAMES_ARE_APART or name not in code.co_varnames]
    return [*code.co_varnames, *cells, *code.co_freevars]


def _frame_memory(frame, count):
    """The address of a frame's memory, and its words, `count` of them behind the fixed part."""
    count += _LOCALS_OFFSET >> 3
    if not FRAMES_ARE_APART:
        return id(frame), _words(id(frame), count)
    place = id(frame) + FRAME_ADDRESS_OFFSET >> 3
    # One expression that calls nothing of Python's: no other thread runs while it is worked out, so the frame stays where it is.
    words = _WORDS[(start := _WORDS[place] >> 3):start + count]
    return start << 3, words


def _frame_memory_at_rest(frame, variables, count):
    """The same, and the objects that the frame has for its variables, of which there are so many, its function, and its namespace."""
    first = _LOCALS_OFFSET >> 3
    are_objects = [place in (_FUNCTION_OFFSET >> 3, _NAMESPACE_OFFSET >> 3) for place in range(first)]
    are_objects += [place < variables for place in range(count)]
    starts, words, objects = [], [], []
    places = map(operator.add, chain.from_iterable(map(repeat, starts)), range(first + count))
    _at_rest(
        map(starts.append, map(operator.rshift, map(_WORDS.__getitem__, [id(frame) + FRAME_ADDRESS_OFFSET >> 3]), [3])),
        map(words.extend, map(_WORDS.__getitem__, map(slice, starts, map((first + count).__add__, starts)))),
        map(objects.append, map(_OBJECTS.__getitem__, compress(places, map(operator.mul, words, are_objects)))),
    )
    return starts[0] << 3, words, {id(o): o for o in objects}


def _frame_item(frame, place):
    """What a frame references at one of its words, taken in one expression too. ValueError: nothing."""
    if not FRAMES_ARE_APART:
        return _OBJECTS[(id(frame) >> 3) + place]
    start = id(frame) + FRAME_ADDRESS_OFFSET >> 3
    return _OBJECTS[(_WORDS[start] >> 3) + place]


def _without_tags(word):
    """The address that a word of a frame has; 0: none."""
    if REFERENCES_ARE_TAGGED:
        return 0 if word & TAGS == TAGS else word & ~TAGS
    return word


def _object_at(address):
    """The object at the address of one that is known to live."""
    return ctypes.cast(address, ctypes.py_object).value


class _FrameReading:
    """One look at a frame's memory. `owned`: what the collector says that it references. `alive`: addresses of objects that live as long
    as this is used."""

    def __init__(self, frame, code, owned, alive):
        self.code = code
        self.frame = frame
        self.alive = alive
        self.names = _local_names(code)
        self.first = _LOCALS_OFFSET >> 3
        count = len(self.names) + (code.co_stacksize if FRAMES_ARE_APART else 0)
        if THREADS_RUN_FREELY:
            self.address, self.words, self.taken = _frame_memory_at_rest(frame, len(self.names), count)
        else:
            self.address, self.words = _frame_memory(frame, count)
        self.owned = {id(reference): reference for reference in owned}
        self.values = None

    def local_variables(self):
        """(name, value, whether the frame owns the reference) of each that could be read."""
        found = []
        for place, name in enumerate(self.names, self.first):
            value = self._value_at(place)
            if value is not None:
                found.append((name, *value))
        return found

    def _value_at(self, place):
        """(what the frame references there, whether it owns the reference); None: nothing, or it could not be had safely."""
        word = self.words[place]
        address = _without_tags(word)
        is_owned = not REFERENCES_ARE_TAGGED or not word & BORROWED
        if not address:
            return None
        if address in self.owned:
            return self.owned[address], is_owned
        if THREADS_RUN_FREELY:
            return (self.taken[address], is_owned) if address in self.taken else None
        if address in self.alive:
            return _object_at(address), is_owned
        if not FRAMES_ARE_APART:
            return None
        if REFERENCES_ARE_TAGGED:
            if self.values is None:
                values = self.frame.f_locals.values() if self.code.co_flags & CODE_IS_OPTIMIZED else ()
                self.values = {id(value): value for value in values}
            return (self.values[address], is_owned) if address in self.values else None
        try:
            return _frame_item(self.frame, place), True
        except ValueError:  # It is empty by now.
            return None

    def stack(self):
        """(value, whether the frame owns the reference) of what lies on the evaluation stack, as far as it is known to live, when
        the frame says where its stack ends."""
        if not FRAMES_ARE_APART:
            return []
        start, end = self.first + len(self.names), self.words[STACK_END_OFFSET >> 3]
        if STACK_END_IS_AN_ADDRESS:
            end = (end - self.address >> 3) if end else 0
        else:
            end = self.first + (end & 0xFFFFFFFF) if not end & 1 << 31 else 0
        words = self.words[start:end] if start < end <= len(self.words) else ()
        return [
            (_object_at(_without_tags(word)), not REFERENCES_ARE_TAGGED or not word & BORROWED)
            for word in words if _without_tags(word) in self.alive
        ]

    def function(self):
        """The function that runs, if the frame has it and it is known to live; else None."""
        address = _without_tags(self.words[_FUNCTION_OFFSET >> 3]) if FRAMES_ARE_APART else 0
        if THREADS_RUN_FREELY:
            return self.taken.get(address)
        return _object_at(address) if address in self.alive else None

    def namespace(self):
        """The dictionary of a frame that has one in place of variables; None when it is not to be had."""
        place = _NAMESPACE_OFFSET >> 3
        if self.words[place] in self.owned:
            return self.owned[self.words[place]]
        if THREADS_RUN_FREELY:
            return self.taken.get(self.words[place])
        try:
            return _frame_item(self.frame, place)
        except ValueError:
            return None

    def owned_by_a_generator(self):
        """Addresses of what the frame shows and its generator owns."""
        generator = self.address - _FRAME_IN_GENERATOR
        if FRAMES_ARE_APART and self.code.co_flags & CODE_IS_OF_A_GENERATOR and generator in self.alive:
            if _WORDS[generator + _TYPE_OFFSET >> 3] in _GENERATORS:
                return set(map(id, gc.get_referents(_object_at(generator))))
        return ()


def _can_read_frames():
    """Whether frames have their parts where they should, asked of frames whose parts are known."""
    if not _MEMORY_IS_KNOWN or not _LOCALS_OFFSET:
        return False
    other, items, namespace = object(), iter([1, 2]), {}
    alive = {id(other), id(items)}

    # What is found is handed on, and not the reading: a frame that has a reading of itself would be left for the collector.
    def read():
        frame = sys._getframe(1)
        reading = _FrameReading(frame, frame.f_code, gc.get_referents(frame), alive)
        return {name: value for name, value, _ in reading.local_variables()}, reading.stack(), reading.function()

    def read_namespace():
        frame = sys._getframe(1)
        return id(_FrameReading(frame, frame.f_code, gc.get_referents(frame), alive).namespace())

    def probe(argument, other):
        inside = lambda: argument
        alive.add(id(inside.__closure__[0]))
        for _ in items:
            return read(), inside

    def generate():
        kept = other
        for _ in items:
            yield kept

    alive.add(id(probe))
    (found, stack, function), inside = probe("argument", other)
    cell = found.get("argument")
    if (cell.cell_contents if type(cell) is types.CellType else cell) != "argument":
        return False
    if found.get("other") is not other or found.get("inside") is not inside:
        return False
    exec("found = read()", {"read": read_namespace}, namespace)
    if namespace["found"] != id(namespace):
        return False
    if not FRAMES_ARE_APART:
        return True
    generator = generate()
    next(generator)
    parts = _generator_parts(generator, generate.__code__)
    wanted = [(LOCAL, "kept", id(other)), (LOCAL, "items", id(generate.__closure__[0])), (STACK, "", id(items))]
    return function is probe and stack == [(items, True)] and all(part in parts for part in wanted)


# Getters of the code that a generator runs, by its type.
_GENERATORS = {
    id(types.GeneratorType): types.GeneratorType.__dict__["gi_code"].__get__,
    id(types.CoroutineType): types.CoroutineType.__dict__["cr_code"].__get__,
    id(types.AsyncGeneratorType): types.AsyncGeneratorType.__dict__["ag_code"].__get__,
}


def _generator_parts(generator, code):
    """(kind, name, address) of what may be in the frame of a generator that has not ended; the stack's old contents too."""
    names = _local_names(code)
    words = _words(id(generator) + _FRAME_IN_GENERATOR + _LOCALS_OFFSET, len(names) + code.co_stacksize)
    parts = [(LOCAL, name, _without_tags(word)) for name, word in zip(names, words)]
    parts += [(STACK, "", _without_tags(word)) for word in words[len(names):]]
    return [part for part in parts if part[2]]


_frames_are_readable = _can_read_frames()


def _can_read_functions():
    """Whether the annotations of a function are where they should be, and nowhere else."""
    if not _MEMORY_IS_KNOWN:
        return False

    def probe(argument):
        pass

    if _WORDS[id(probe) + ANNOTATIONS_OFFSET >> 3]:
        return False
    probe.attribute = None
    annotations = probe.__annotations__ = {"argument": None}
    return _WORDS[id(probe) + ANNOTATIONS_OFFSET >> 3] == id(annotations)


_functions_are_readable = _can_read_functions()


# What belongs to the agent.

def _own_ids():
    """Addresses of the agent's module, functions, classes and constants: they are no part of the program's heap."""
    names = globals()
    own = {id(names)}
    for module in list(sys.modules.values()):
        if type(module) is types.ModuleType and _module_dict_of(module) is names:
            own.add(id(module))
    # Every module and function refers to these, and they are everybody's.
    builtin_names = builtins.__dict__
    waiting = [value for value in list(names.values()) if value is not builtin_names]
    while waiting:
        value = waiting.pop()
        if id(value) in own:
            continue
        kind = type(value)
        if THREADS_RUN_FREELY and kind is tuple and sys.getrefcount(value) >= LEAST_IMMORTAL_COUNT:
            # A constant: there it is everybody's who has an equal one.
            continue
        if kind is types.FunctionType and value.__globals__ is names:
            parts = [value.__code__, value.__defaults__, value.__kwdefaults__, value.__closure__]
        elif kind is types.CodeType and value.co_filename == _own_ids.__code__.co_filename:
            parts = [part for part in _parts_of_code(value).values() if type(part) is tuple]
            parts += [constant for constant in value.co_consts if type(constant) is types.CodeType]
        elif _flags_of(kind) & TYPE_IS_TYPE and _entry(_entries(value), "__module__") == __name__:
            # Those of ctypes keep theirs in a dictionary of their own kind.
            namespace = [r for r in gc.get_referents(value) if dict in _mro_of(type(r))]
            parts = [_mro_of(value), _bases_of(value), *namespace, *weakref.getweakrefs(value)]
            own.update(map(id, namespace))
            parts += chain.from_iterable(map(dict.values, namespace))
        elif kind in (types.GetSetDescriptorType, types.MemberDescriptorType) and id(value.__objclass__) in own:
            parts = []
        elif kind in (types.MethodWrapperType, types.CellType):
            parts = gc.get_referents(value) if kind is not types.MethodWrapperType else []
        elif kind in (tuple, list, set, frozenset) and value:
            parts = list(value)
        elif kind is dict and value is not builtin_names and value is not sys.modules:
            parts = list(value.values())
        elif kind in (weakref.ref, functools.partial, _thread.LockType):
            parts = []
        elif kind in _MEMORY_TYPES:
            parts = [kind]
        elif kind in _NATIVE_TYPES.values():
            parts = []
        else:
            continue
        own.add(id(value))
        waiting += parts
    return own


# About the process and its files.

def _texts(values):
    return [value for value in values if type(value) is str]


def _without_repeats(values):
    return list(dict.fromkeys(value for value in values if type(value) is str and value))


def _standard_library():
    return _without_repeats([os.path.dirname(os.__file__), os.path.join(os.path.dirname(os.__file__), "lib-dynload")])


def _library_folders():
    """Folders of installed packages: what the interpreter itself put on its path, by their names."""
    folders = [path for path in sys.path if type(path) is str and os.path.basename(path) in ("site-packages", "dist-packages")]
    version = "python%d.%d" % sys.version_info[:2]
    for prefix in (sys.prefix, sys.base_prefix):
        folders.append(os.path.join(prefix, "lib", version, "site-packages"))
    folders.append(os.path.join("/usr/lib/python3", "dist-packages"))
    return _without_repeats(folders + _standard_library())


def _process_start():
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        with open("/proc/stat", "rb") as file:
            booted = next(int(line.split()[1]) for line in file if line.startswith(b"btime"))
        return booted * 10**9 + ticks * 10**9 // os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _about_this_process(taken_at, keys, collects):
    library = [folder for folder in _library_folders() if folder not in _standard_library()]
    return {
        "runtime": sys.implementation.name,
        "version": "%d.%d.%d" % sys.version_info[:3],
        "pid": os.getpid(),
        "process_start": _process_start(),
        "taken_at": taken_at,
        "moment": _moment,
        "executable": sys.executable if type(sys.executable) is str else "",
        "argv": _texts(getattr(sys, "argv", ())),
        "working_folder": os.getcwd(),
        "prefixes": _without_repeats([sys.prefix, sys.base_prefix, sys.exec_prefix]),
        "standard_library": _standard_library(),
        "library_folders": library,
        "pointer_bytes": struct.calcsize("P"),
        "agent": AGENT,
        "keys": bool(keys),
        "garbage_collector": {"enabled": collects, "frozen": gc.get_freeze_count()},
    }


def _file_row(path):
    """What is recorded of a source file: a hash of its content, kept for the next dump while the file stays as it is."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    known = _checksums.get(path)
    if known is None or known[:2] != (status.st_mtime_ns, status.st_size):
        try:
            with open(path, "rb") as file:
                known = (status.st_mtime_ns, status.st_size, sha256 and sha256(file.read()).hexdigest())
        except (OSError, ValueError):
            known = (status.st_mtime_ns, status.st_size, None)
        _checksums[path] = known
    return {"path": path, "size": status.st_size, "mtime": int(status.st_mtime), "sha256": known[2], "changed": False}


# The native agent: a library that does the same faster, in a copy of the process.

# Where the library is; empty: it is not wanted. None: the environment says it, or it is in this file, or there is none.
native_library = None
# The library itself, packed, as text: `heldby agent --native` puts it behind this file's text.
embedded_native_library = None
NATIVE_LIBRARY_VARIABLE = "HELDBY_NATIVE_LIBRARY"
NATIVE_AGENT = "heldby_native 0.1.0"
NATIVE_INTERFACE = 3
# Why there is none where one was to be.
_why_no_native_library = ""
# What is loaded: "path" of the library asked for, then its functions, and "why_not": why it is not used.
_native = {}
# A wait is interrupted so often, in milliseconds, that a signal is handled in time.
NATIVE_WAIT = 50
NATIVE_TEXT = 8192
EMBEDDED = "the library in this file"

if ctypes is not None and sys.implementation.name == "cpython":
    _WITHOUT_LOCK, _WITH_LOCK = 1, 1 | 4  # FUNCFLAG_CDECL, FUNCFLAG_PYTHONAPI

    class _NativeInterface(ctypes._CFuncPtr):
        _flags_ = _WITHOUT_LOCK
        _restype_ = ctypes.c_uint32

    class _NativeBegin(ctypes._CFuncPtr):
        _flags_ = _WITH_LOCK
        _restype_ = ctypes.c_size_t
        # Without types of arguments: for each of those ctypes would make an object, which would be in the dump.

    class _NativeWait(ctypes._CFuncPtr):
        _flags_ = _WITHOUT_LOCK
        _restype_ = ctypes.c_int
        _argtypes_ = (ctypes.c_size_t, ctypes.c_int)

    class _NativeEnd(ctypes._CFuncPtr):
        _flags_ = _WITHOUT_LOCK
        _restype_ = None
        _argtypes_ = (ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)

    class _NativeTrace(ctypes._CFuncPtr):
        _flags_ = _WITH_LOCK
        _restype_ = ctypes.c_int
        _argtypes_ = (ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)

    class _NativeTraced(ctypes._CFuncPtr):
        _flags_ = _WITH_LOCK
        _restype_ = ctypes.c_int
        _argtypes_ = (ctypes.c_uint64, ctypes.c_int)

    class _NativeTraceEnd(ctypes._CFuncPtr):
        _flags_ = _WITH_LOCK
        _restype_ = None
        _argtypes_ = ()

    class _NativeTraceThreads(ctypes._CFuncPtr):
        _flags_ = _WITH_LOCK
        _restype_ = ctypes.c_int
        _argtypes_ = (ctypes.c_uint64,) * 4

    _NATIVE_TYPES = {
        "interface": _NativeInterface, "begin": _NativeBegin, "wait": _NativeWait, "end": _NativeEnd,
        "trace": _NativeTrace, "traced": _NativeTraced, "trace_end": _NativeTraceEnd, "trace_threads": _NativeTraceThreads,
    }
else:
    _NATIVE_TYPES = {}


def use_native_library(path):
    """For heldby's own ways in: takes dumps with this library, and says in the dumps if there is none. The environment has the last word."""
    global native_library, _why_no_native_library
    native_library = os.environ.get(NATIVE_LIBRARY_VARIABLE, path or (None if embedded_native_library else ""))
    _why_no_native_library = "its library is not beside heldby" if native_library == "" and not path else ""


def _load_native():
    """Loads the library, once. None if it can be used; else why not, an empty text if there is none."""
    path = native_library
    if path is None:
        path = os.environ.get(NATIVE_LIBRARY_VARIABLE, EMBEDDED if embedded_native_library else "")
    if _native.get("path") != path:
        _native.update(path=path, why_not=_why_not_native(path) if path else _why_no_native_library)
    return _native["why_not"]


def _why_not_native(path):
    if not _NATIVE_TYPES:
        return "this interpreter has no ctypes"
    if hasattr(sys, "gettotalrefcount"):
        return "this is a debug build of the interpreter"
    if not sys.platform.startswith("linux") or struct.calcsize("P") != 8:
        return "the native agent is for 64-bit Linux"
    if not _has_glibc():
        return "the native agent is for glibc, and this interpreter has another C library"
    descriptor = None
    try:
        import _ctypes

        place = os.fspath(path)
        handle = _loaded_before() if path == EMBEDDED else None
        if handle is None:
            if path == EMBEDDED:
                descriptor, place = _unpack_native_library()
            if not _is_whole_library(place):
                return "%s cannot be loaded: it is damaged" % path
            # One that came in this file shows its names, so that it is found when another such file comes.
            handle = _ctypes.dlopen(place, 2 | (os.RTLD_GLOBAL if path == EMBEDDED else 0))
        if _NativeInterface(_ctypes.dlsym(handle, "heldby_native_interface"))() != NATIVE_INTERFACE:
            return "%s is of another version" % path
        functions = {name: t(_ctypes.dlsym(handle, "heldby_native_" + name)) for name, t in _NATIVE_TYPES.items()}
    except (OSError, ImportError) as error:
        return "%s cannot be loaded: %s" % (path, error)
    finally:
        if descriptor is not None:
            os.close(descriptor)
    _native.update(functions)
    return None


def _has_glibc():
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):
        return False


def _loaded_before():
    """The handle of the process's own names, if a library that came in such a file is among them: what it has noted is in no other."""
    import _ctypes

    handle = _ctypes.dlopen(None, 2)
    try:
        interface = _ctypes.dlsym(handle, "heldby_native_interface")
    except OSError:
        return None
    return handle if _NativeInterface(interface)() == NATIVE_INTERFACE else None


def _unpack_native_library():
    """A file in memory with the library that stands in this file, and its path: no file system has to take it, or to let it be run."""
    if zlib is None or not hasattr(os, "memfd_create"):
        raise OSError("it takes zlib and memfd_create to unpack it")
    library = zlib.decompress(binascii.a2b_base64(embedded_native_library))
    descriptor = os.memfd_create("heldby_native")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(library)
    return descriptor, "/proc/self/fd/%d" % descriptor


def _is_whole_library(path):
    """Whether a file of ELF is as long as its header says: a part of one would end the process that loads it."""
    with open(path, "rb") as file:
        head = file.read(64)
    if len(head) < 64 or head[:6] != b"\x7fELF\2\1":
        return False
    (table,), (entry, count) = struct.unpack_from("<Q", head, 40), struct.unpack_from("<HH", head, 58)
    return table + entry * count <= os.path.getsize(path)


def _begin_native_dump(path, keys, compress, collects):
    """The library's handle of a dump that it has begun, or None and why it has not."""
    # A text: what it was made of must not be there when the library looks at the heap.
    order = json.dumps(_native_order(path, keys, "none" if compress is False else "zstd", collects))
    begun = _send_native_order(order)
    return (begun, "") if type(begun) is int else (None, begun)


def _send_native_order(order):
    probes = _Probes()
    shared = json.dumps(probes.shared)
    order = ('%s, "probes": %s, "referenced_by_probes": %s}' % (order[:-1], json.dumps(probes.expected), shared)).encode("ascii")
    probes.expected = probes.shared = None
    own = _own_ids()
    own.update(probes.ids())
    own.add(id(order))
    count, own = len(own), array("Q", own).tobytes()
    reason = bytes(NATIVE_TEXT)
    handle = _native["begin"](order, len(order), own, count, reason, NATIVE_TEXT)
    return handle or reason.partition(b"\0")[0].decode("utf-8", "replace")


def _finish_native_dump(handle, path, keys, compress):
    """Waits for a dump. If there is none in the end, this agent takes it."""
    text = bytes(NATIVE_TEXT)
    try:
        _wait_for_native_dump(handle)
    finally:
        # A dump that is going on yet, because a signal's handler raised, is ended by that.
        _native["end"](handle, text, NATIVE_TEXT)
    report = json.loads(text.partition(b"\0")[0].decode("utf-8", "replace") or "{}")
    _native["report"] = report
    if "objects" in report:
        return
    if report.get("errno"):
        # What it cannot write, this agent cannot either.
        raise OSError(report["errno"], os.strerror(report["errno"]), _unfinished(path))
    why_not = report.get("failure", "the process that took it ended without a word")
    if report.get("is_lasting", True):
        _native["why_not"] = why_not
    _dump_with(_dump_in_python, path, keys, compress, why_not)


def _wait_for_native_dump(handle):
    while not _native["wait"](handle, NATIVE_WAIT):
        pass


def _finish_native_dump_alone(*dumping):
    try:
        _finish_native_dump(*dumping)
    except Exception as error:
        os.write(2, b"heldby: no dump could be taken: %s\n" % os.fsencode("%s" % error))


def _native_order(path, keys, codec, collects):
    """What the library has to know; its `Order` says what each is. The addresses are those of what lives as long as the agent."""
    about = _about_this_process(time.time_ns(), keys, collects)
    about["agent"] = NATIVE_AGENT
    return {
        "path": path,
        "unfinished": _unfinished(path),
        "keys": bool(keys),
        "codec": codec,
        "head": about,
        "thresholds": gc.get_threshold(),
        "types": {name: id(t) for name, t in _NATIVE_NAMES.items()},
        "leaves": sorted(LEAVES),
        "rest": [[address, rest] for address, rest in _REST.items()],
        "getters": [[address, names] for address, names in _GETTERS.items()],
        "getters_by_name": [[module, name, names] for (module, name), names in _GETTERS_BY_NAME.items()],
        "modules": id(sys.modules),
        "builtins": id(builtins.__dict__),
        "agent_globals": id(globals()),
        "current_frames": id(_current_frames),
        "other_interpreters_run": _other_interpreters_run(),
        "context_items": id(_items_of_context),
        "none": id(None),
        "least_digits": (int.__sizeof__(0) - int.__basicsize__) // int.__itemsize__,
        "modules_that_list_dead_objects": ["_asyncio"] if MODULES_LIST_DEAD_OBJECTS else [],
        # Some versions count a header of the collector's for types that have none.
        "bytes_before_static_types": sys.getsizeof(int) - type.__sizeof__(int),
        "library_folders": _library_folders(),
    }


def trace(all=False):
    """Has the native agent note, from now on, which line makes each container larger.

    Dumps that are taken later have these lines, and `heldby` reports them as *observed*. It costs the program a little time for each
    list, set and deque that grows. Up to Python 3.13 what dictionaries keep their entries in is noted only with `all=True`, together
    with all other objects, which costs several times as much. What is too small is not seen: dictionaries of up to five entries, sets
    of up to four, deques of less than a hundred items. Up to Python 3.10 no deque is: they share their memory.

    Raises RuntimeError where the native agent is not at hand, or the interpreter is not one that it can trace.
    """
    why_not = _load_native()
    if why_not is None:
        reason = bytes(NATIVE_TEXT)
        if _native["trace"](id(sys._getframe().f_code), bool(all), reason, NATIVE_TEXT):
            why_not = reason.partition(b"\0")[0].decode("utf-8", "replace")
        elif not _tracing_is_right(all):
            untrace()
            why_not = "it does not find the lines of this interpreter"
    if why_not is not None:
        raise RuntimeError("heldby: store sites cannot be observed: %s" % (why_not or "there is no native agent"))


def untrace():
    """Has nothing noted any more. What was noted is forgotten."""
    if _load_native() is None:
        _native["trace_end"]()


def _tracing_is_right(all):
    """Whether the lines that are noted are those that run."""
    grown, lines = _grow_containers()
    found = [_native["traced"](id(container), kind) for kind, container in enumerate(grown)]
    if found[-1] == 0 and not all and sys.version_info < (3, 14):
        lines[-1] = 0
    if sys.version_info < (3, 11):
        lines[2] = 0  # Its blocks may have been another deque's.
    return found == lines


def _grow_containers():
    """Containers, and the lines that made them larger last."""
    grown, first = ([], set(), collections.deque(), {}), sys._getframe().f_lineno
    grown[0].append(None)
    grown[1].update(range(8))
    grown[2].extend(range(4000))
    grown[3].update(dict.fromkeys(range(64)))
    return grown, [first + 1, first + 2, first + 3, first + 4]


_current_frames = sys._current_frames
_NATIVE_NAMES = {
    "object": object, "object.__sizeof__": object.__dict__["__sizeof__"], "list": list, "tuple": tuple, "dict": dict, "set": set,
    "frozenset": frozenset, "deque": collections.deque, "str": str, "int": int, "function": types.FunctionType,
    "code": types.CodeType, "frame": types.FrameType, "module": types.ModuleType, "cell": types.CellType, "lru_cache": _LruCache,
    "Context": contextvars.Context, "local": _ThreadLocal, "weakref": weakref.ref, "member_descriptor": types.MemberDescriptorType,
    "getset_descriptor": types.GetSetDescriptorType, "method_descriptor": types.MethodDescriptorType,
    "generator": types.GeneratorType, "coroutine": types.CoroutineType, "async_generator": types.AsyncGeneratorType,
    "map": map, "zip": zip, "zip_longest": itertools.zip_longest,
}


class _NativeProbe:
    def __init__(self, first, second):
        self.first = first
        self.second = second


class _Probes:
    """Objects whose parts are known, for the library to find them: it says where it does not, and no dump is taken by a wrong layout."""

    def __init__(self):
        self.objects = []
        self.expected = []
        # Addresses of plain objects that others have, too, and how many references to them were added.
        self.shared = []
        mark, other, key = object(), object(), "heldby: \xe9 \u20ac \U0001f40d"
        self.objects += [mark, other, key]
        for what, probe in (
            ("a list", [mark, other]), ("a tuple", (mark, [])), ("a set", {mark}), ("a large set", set(range(100))),
            ("a deque", collections.deque([mark, other])), ("0", 0), ("a large integer", 1 << 70), ("a text", "heldby"),
            ("another text", key), ("a class", _NativeProbe),
        ):
            items = list(probe) if type(probe) in (list, tuple, set, collections.deque) else []
            self.expect(what, probe, items=_ids(items), is_tracked=type(probe) is list)
        self.expect("a dictionary", {key: mark}, keys=[id(key)], items=[id(mark)], texts=[key])
        self.expect("a large dictionary", dict.fromkeys(range(100)), keys=_ids(range(100)), items=[id(None)] * 100)
        counted = object()
        self.objects.append([counted, counted, counted])
        self.expect("a reference count", counted)
        del counted
        self.expected[-1]["count"] = 3 + 1  # The list of objects has it too.
        self.expect_attributes(_NativeProbe(mark, other), mark, other)
        self.expect_function(mark, other)
        self.expect_generator(mark)
        self.expect_cache()
        # Numbers and texts are everybody's.
        self.objects = [o for o in self.objects if type(o) not in (int, str) and o is not _NativeProbe]

    def expect(self, what, probe, **parts):
        self.objects.append(probe)
        parts = {name: list(part) if type(part) is array else part for name, part in parts.items()}
        self.expected.append({"what": what, "object": id(probe), "bytes": sys.getsizeof(probe), **parts})

    def expect_attributes(self, probe, first, second):
        if sys.version_info >= (3, 11):
            references = [(ATTRIBUTE, "first", id(first)), (ATTRIBUTE, "second", id(second))]
        else:
            references = [(NAMESPACE, None, id(probe.__dict__))]
            self.objects.append(probe.__dict__)
        self.expect("an instance", probe, references=references, is_tracked=True)

    def expect_function(self, mark, other):
        def probe(positional=mark, *, keyword=other):
            return mark

        code, (cell,) = probe.__code__, probe.__closure__
        self.expect("a function", probe, texts=["_Probes.expect_function.<locals>.probe", __name__], references=[
            (DEFAULT | DESCRIBED, "positional", id(mark)), (KEYWORD_DEFAULT | DESCRIBED, "keyword", id(other)),
            (FREE_VARIABLE | DESCRIBED, "mark", id(cell)), (MACHINERY, "__code__", id(code)), (SLOT, "__closure__", id(probe.__closure__)),
        ])
        self.expect("a cell", cell, references=[(CELL_CONTENTS, None, id(mark))])
        self.expect("code", code, references=[(MACHINERY, "co_consts", id(code.co_consts))], texts=[code.co_filename, "probe" if sys.version_info < (3, 11) else code.co_qualname])
        self.objects += [probe.__closure__, probe.__defaults__, probe.__kwdefaults__]

    def expect_generator(self, mark):
        def generate(kept):
            yield kept

        probe = generate(mark)
        next(probe)
        frame = probe.gi_frame
        if FRAMES_ARE_APART:
            self.expect("a generator", probe, references=[(LOCAL, "kept", id(mark))])
            self.expect("a frame", frame, references=[(LOCAL | DESCRIBED, "kept", id(mark)), (MACHINERY, "f_code", id(frame.f_code))])
        else:
            self.expect("a frame", frame, references=[(LOCAL, "kept", id(mark)), (MACHINERY, "f_code", id(frame.f_code))])
            self.objects.append(probe)
        self.objects.append(generate)

    def expect_cache(self):
        key = "heldby: a key"
        probe = _LruCache(not_, 2, False, tuple)
        probe(key)
        parts = gc.get_referents(probe)
        self.shared = [(id(part), 1) for part in parts if type(part) is object]
        entries = _entries_of_cache(parts)
        self.expect("a cache", probe, references=[(CACHE, None, id(entries))])
        (entry,) = entries.values()
        self.expect("an entry of a cache", entry, references=[(SLOT, "key", id(key)), (CELL_CONTENTS, None, id(False))])
        self.objects += [entries]

    def ids(self):
        """Addresses of all that was made for this."""
        return {id(self), id(self.__dict__), id(self.objects), *map(id, self.objects)}


# Who holds one object: `why`.

# Kinds of reference that not every capture writes, as FORMAT.md numbers them.
DICT_VALUE, DICT_KEY = 7, 8
ITERATES, VIEW, THREAD_LOCAL, CONTEXT = range(19, 23)

# So many referrers of one level are looked at: of the rest it is said how many there are.
REFERRERS_A_LEVEL = 1000
# From so many objects on, one pass over the heap is faster than asking the collector.
OBJECTS_A_QUESTION = 64
REFERENCES_SHOWN = 4
PATHS_SHOWN = 20
ALIKE_SHOWN = 5
STEPS_TRIED = 20_000
UNREACHED = 1 << 32
TYPE_HAS_COLLECTOR_HEADER = 1 << 14
# `gc.freeze` takes some thousands at least; some interpreters start with a few hundred of their own.
LEAST_FROZEN = 1000

_STEPS = {
    OTHER: ".?", SET_MEMBER: ".<set>", DICT_KEY: ".<key>", NAMESPACE: ".__dict__", CELL_CONTENTS: ".cell_contents", CACHE: ".<cache>",
    STACK: ".<stack>", ITERATES: ".<next>", VIEW: ".<view>", CONTEXT: ".<context>", THREAD_LOCAL: ".<thread-local>",
}
_STEPS_BEFORE_NAMES = {
    FREE_VARIABLE: ".<closure>.", DEFAULT: ".<default>.", KEYWORD_DEFAULT: ".<default>.", LOCAL: ".<local>.", ATTRIBUTE: ".", SLOT: ".",
    MACHINERY: ".",
}
# With these a path begins: the function's name and the step say all.
_BEGINNINGS = frozenset((FREE_VARIABLE, DEFAULT, KEYWORD_DEFAULT, LOCAL, CACHE))
_RUNNING = {
    id(types.GeneratorType): types.GeneratorType.__dict__["gi_running"].__get__,
    id(types.CoroutineType): types.CoroutineType.__dict__["cr_running"].__get__,
    id(types.AsyncGeneratorType): types.AsyncGeneratorType.__dict__["ag_running"].__get__,
}
_GENERATOR_FRAMES = ("gi_frame", "cr_frame", "ag_frame")


def why(obj, depth=20, limit=100, file=None):
    """Prints who holds an object of this process.

    First its reference count; then the access paths that hold it, best first: few steps before many, what outlives a call before
    the locals of running frames; then the tree of its referrers, each thing once, `depth` references deep. In all `limit` lines:
    what is cut is said. `file` is that of `print`. What holds nothing by itself is left out: types, code, globals of functions.

    No code of the program's is called, and nothing stays behind. In a heap of 1.4 million objects it takes about 0.1 s for each
    level of the tree, and 0.6 s more for an object that the collector does not track (a text, bytes, a number); memory: 20 bytes an
    object of the heap at most.

    Raises RuntimeError when this thread is taking a dump.
    """
    # From here on it is one reference that is ours, however the interpreter hands over arguments.
    held = [obj]
    del obj
    text = _explain(held, depth, limit)
    try:
        print(text, file=file)
    except UnicodeEncodeError:
        print(text.encode("ascii", "backslashreplace").decode("ascii"), file=file)


def why_text(obj, depth=20, limit=100):
    """What `why` prints."""
    held = [obj]
    del obj
    return _explain(held, depth, limit)


def _explain(held, depth, limit):
    global _owner
    if _owner == _thread.get_ident():
        raise RuntimeError("heldby: this thread is taking a dump already (a signal handler must not ask why)")
    with _lock:
        _owner = _thread.get_ident()
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            count = _true_counts(array("Q", [_count_of(held)]), _count_when_only_held(object()))[0]
            # Before anything else is made: what is made later holds nothing.
            tracked = gc.get_objects()
            search = _HolderSearch(tracked, held)
            search.run(depth, limit)
            return "\n".join(_HolderReport(search, count).lines(limit))
        finally:
            _owner = None
            if was_enabled:
                gc.enable()


def _count_of(held):
    return sys.getrefcount(held[0])


def _count_when_only_held(obj):
    """What is counted of an object that nobody has but who called `why` with it."""
    held = [obj]
    del obj
    return _count_of(held)


class _Label:
    """What a reference is called."""

    __slots__ = ("kind", "is_described", "name", "step")

    def __init__(self, kind, name, step):
        self.kind = kind & ~DESCRIBED
        self.is_described = kind != self.kind
        self.name = name
        self.step = step

    def says_nothing(self):
        """Whether it says nothing about who holds."""
        if self.kind == MACHINERY:
            return self.name not in ("__globals__", "f_globals", "f_back")
        # A class's own members refer to it, and so do its methods.
        return self.kind == TYPE or (self.kind, self.name) in ((SLOT, "__objclass__"), (FREE_VARIABLE, "__class__"))


class _Found:
    """References from one object to another: how many count for the reference count, how many hold, and what some of these are called."""

    __slots__ = ("labels", "number", "counted")

    def __init__(self):
        self.labels = []
        self.number = 0
        self.counted = 0

    def add(self, label):
        self.counted += not label.is_described
        if label.says_nothing():
            return
        self.number += 1
        if len(self.labels) < REFERENCES_SHOWN:
            self.labels.append(label)


class _Columns:
    """Reads a section's columns one after the other."""

    def __init__(self, parts):
        self.data = b"".join(part if type(part) is bytes else part.tobytes() for part in parts)
        self.at = 0

    def bytes(self, length):
        self.at += length
        return self.data[self.at - length:self.at]

    def column(self, code, count):
        column = array(code)
        column.frombytes(self.bytes(count * column.itemsize))
        return _little(column)

    def u32(self, count):
        return self.column("I", count)

    def u64(self, count):
        return self.column("Q", count)


class _References(_Sections):
    """Stands where a capture has its file. What is written of one object is read here: its references to the wanted objects."""

    def __init__(self):
        super().__init__(types.SimpleNamespace(write=len), False)
        self.texts = []
        self.rows_of_shapes = []
        self.key_texts, self.types, self.functions, self.codes, self.frames, self.namespaces = {}, {}, {}, {}, {}, {}
        self.begin(frozenset(), None)

    def begin(self, wanted, targets):
        """The next object. All that it references is added to the set `targets`, if there is one."""
        self.wanted = wanted
        self.targets = targets
        self.found = collections.defaultdict(_Found)
        self.entries = []
        self.links = []

    def _write(self, tag, parts):
        read = _READERS.get(tag)
        if read is not None:
            read(self, _Columns(parts))

    def text(self, row):
        return None if row == NO_STRING else self.texts[row]

    def hits(self, targets):
        """The places of the wanted objects."""
        if self.targets is not None:
            self.targets.update(targets)
        return compress(count_from(), map(self.wanted.__contains__, targets))

    def label(self, kind, name):
        plain = kind & ~DESCRIBED
        if plain in (LIST_ITEM, TUPLE_ITEM, DEQUE_ITEM):
            return _Label(kind, name, "[%d]" % name)
        if plain in _STEPS_BEFORE_NAMES:
            name = self.text(name)
            if plain == SLOT and name == "__dict__":
                return _Label(NAMESPACE | kind & DESCRIBED, None, ".__dict__")
            return _Label(kind, name, _STEPS_BEFORE_NAMES[plain] + (name or "?"))
        return _Label(kind, None, _STEPS.get(plain, ".?"))

    def read_strings(self, columns):
        for length in columns.u32(columns.u32(1)[0]):
            self.texts.append(columns.bytes(length).decode("utf-8", "surrogatepass"))

    def read_shapes(self, columns):
        count, total = columns.u32(2)
        lengths, kinds, names = columns.u32(count), columns.u32(total), columns.u32(total)
        labels = zip(kinds, names)
        self.rows_of_shapes += [list(islice(labels, length)) for length in lengths]

    def read_items(self, columns):
        kind, count = columns.u32(2)
        targets = columns.u64(sum(columns.u32(count)))
        for place in self.hits(targets):
            self.found[targets[place]].add(self.label(kind, place))

    def read_entries(self, columns):
        count, _ = columns.u32(2)
        total = sum(columns.u32(count))
        for kind in (DICT_KEY, DICT_VALUE):
            targets = columns.u64(total)
            self.entries += [(place, kind, targets[place]) for place in self.hits(targets)]

    def read_fields(self, columns):
        count, _ = columns.u32(2)
        labels = list(chain.from_iterable(map(self.rows_of_shapes.__getitem__, columns.u32(count))))
        targets = columns.u64(len(labels))
        for place in self.hits(targets):
            self.found[targets[place]].add(self.label(*labels[place]))

    def read_links(self, columns):
        count, _ = columns.u32(2)
        sources, targets, kinds, names = columns.u64(count), columns.u64(count), columns.u32(count), columns.u32(count)
        self.links += [(sources[place], targets[place], self.label(kinds[place], names[place])) for place in self.hits(targets)]

    def read_text_keys(self, columns):
        count, _ = columns.u32(2)
        self.key_texts.update(zip(columns.u64(count), map(self.text, columns.u32(count))))

    def read_integer_keys(self, columns):
        count, _ = columns.u32(2)
        self.key_texts.update(zip(columns.u64(count), columns.column("q", count)))

    def read_types(self, columns):
        count, _ = columns.u32(2)
        self.types.update(zip(columns.u64(count), zip(map(self.text, columns.u32(count)), map(self.text, columns.u32(count)))))

    def read_functions(self, columns):
        count, _ = columns.u32(2)
        addresses, _ = columns.u64(count), columns.u64(count)
        self.functions.update(zip(addresses, zip(map(self.text, columns.u32(count)), map(self.text, columns.u32(count)))))

    def read_codes(self, columns):
        count, _ = columns.u32(2)
        self.codes.update(zip(columns.u64(count), zip(map(self.text, columns.u32(count)), map(self.text, columns.u32(count)))))

    def read_modules(self, columns):
        count, _ = columns.u32(2)
        columns.u64(count)
        self.namespaces.update(zip(columns.u64(count), map(self.text, columns.u32(count))))

    def read_frames(self, columns):
        count, _ = columns.u32(2)
        addresses, _ = columns.u64(count), columns.u64(count)
        self.frames.update(zip(addresses, zip(columns.u64(count), columns.u32(count))))


_READERS = {
    b"STRS": _References.read_strings, b"SHAP": _References.read_shapes, b"ITEM": _References.read_items,
    b"DICT": _References.read_entries, b"FLDS": _References.read_fields, b"LINK": _References.read_links,
    b"KEYS": _References.read_text_keys, b"KEYI": _References.read_integer_keys, b"TYPE": _References.read_types,
    b"FUNC": _References.read_functions, b"CODE": _References.read_codes, b"MODU": _References.read_modules,
    b"FRAM": _References.read_frames,
}


class _HolderSearch(_Capture):
    """Finds what holds an object, level by level upwards to what has a name, and has the capture write no more than that.

    All tables are by address: objects that refer to each other would wait for the collector.
    """

    def __init__(self, tracked, held):
        super().__init__(_References(), False, True)
        if MODULES_LIST_DEAD_OBJECTS:
            tracked[:] = [o for o in tracked if not _lists_dead_objects(o)]
        self.tracked = tracked
        self.target = id(held[0])
        self.held = id(held)
        self.own.update((id(held), id(tracked)))
        # The objects that were found, and the references between them: referrers[target][source].
        self.objects = {self.target: held[0]}
        self.depths = {self.target: 0}
        self.referrers = collections.defaultdict(dict)
        self.left_out = collections.defaultdict(set)
        self.sources_of_links = {}
        self.roots = set()
        self.unexplored = set()
        # References that were counted and not followed, by what they refer to; and the target's, by type.
        self.cut = collections.Counter()
        self.types_of_referrers = collections.Counter()
        # What counts for the target's reference count: by referrer; of those not looked at; the agent's own.
        self.counted = {}
        self.counted_unseen = 0
        self.counted_own = 0
        self.is_everywhere = False
        self.hidden, self.codes = None, []
        self.modules = {}
        self.modules_by_name = {}
        for name, module in list(dict.items(sys.modules)):
            if any(k is types.ModuleType for k in _mro_of(type(module)) or ()):
                self.modules[id(_module_dict_of(module))] = module
                if type(name) is str:
                    self.modules_by_name[name] = module
        frames, self.threads = self._frames()
        self.running = {id(frame): frame for frame in frames}
        self.targets_of_frames = {}
        for frame in frames:
            targets = set()
            self._read(frame, frozenset(), targets)
            self.targets_of_frames[id(frame)] = targets

    # What the capture does for a whole heap, and what is not asked of it here.

    def _follow(self, addresses, objects, following):
        pass

    def name_namespace(self, namespace):
        pass

    def _read(self, o, wanted, targets=None):
        """The references of an object to the wanted ones."""
        out = self.out
        out.begin(wanted, targets)
        self._group([o], column32([0]), [])
        self._write_links()
        for place, kind, target in out.entries:
            try:
                key, value = next(islice(dict.items(o), place, None), (None, None))
            except RuntimeError:
                continue
            # Unless another thread changed it.
            if kind == DICT_KEY and id(key) == target:
                out.found[target].add(out.label(DICT_KEY, NO_STRING))
            elif kind == DICT_VALUE and id(value) == target:
                out.found[target].add(self._label_of_entry(key))
        if type(o) is types.FrameType:
            code, = _of_frames(_code_of_frame, [o])
            in_cells = (*code.co_cellvars, *code.co_freevars)
            for target, found in out.found.items():
                # Some interpreters tell what is in a cell as if it were in the frame.
                if type(self.objects[target]) is not types.CellType:
                    found.counted -= sum(label.kind == LOCAL and label.name in in_cells for label in found.labels)
        return out.found

    def _label_of_entry(self, key):
        texts = self.out.key_texts
        # An address may have been another key's before.
        self.named_keys.clear()
        texts.pop(id(key), None)
        self._name_keys([id(key)], [key])
        if id(key) not in texts:
            return _Label(DICT_VALUE, None, "[<%s>]" % self.type_name(type(key)))
        name = texts[id(key)]
        return _Label(DICT_VALUE, name if type(name) is str else None, "[%r]" % name)

    def type_name(self, t):
        if id(t) not in self.classes:
            self._meet(t)
        module, qualname = self.out.types[id(t)]
        return _qualified(module, qualname)

    # The search.

    def run(self, depth, limit):
        level = dict(self.objects)
        while level:
            if self.is_common_value():
                break
            if len(self.objects) > (10 * limit if self.roots else 20_000):
                self.unexplored.update(level)
                break
            found = self._climb(level)
            level = {address: o for address, o in found.items() if self.depths[address] < depth}
            self.unexplored.update(address for address in found if address not in level)
        del self.tracked
        self.hidden = None

    def is_common_value(self):
        """Whether it is a value that many have, as None or a number, and nobody holds."""
        return bool(self.types_of_referrers) and id(type(self.objects[self.target])) in LEAVES

    def _climb(self, level):
        """Finds the referrers of the objects of a level, and returns those that have no name of their own."""
        wanted = frozenset(self.objects)
        following, links = {}, []
        waiting = self._chosen(level, self._referrers(level))
        while waiting:
            o = waiting.pop()
            # While another thread, or a generator that asks why, makes a tuple, it has nothing at some places.
            if (type(o) is tuple or type(o) is list) and len(o) != len(gc.get_referents(o)):
                continue
            found = self._read(o, wanted)
            links += self.out.links
            self._note(o, found, self.target in level, following)
            if any(k is _LruCache for k in _mro_of(type(o)) or ()):
                waiting += self._cache_entries_with(wanted, o)
        if links:
            self._note_links(links, following)
        return following

    def _cache_entries_with(self, wanted, cache):
        """Entries of a bounded cache that have one of the wanted objects: the collector tells of their references as the cache's."""
        entries = [list(dict.values(reference)) for reference in gc.get_referents(cache) if type(reference) is dict]
        return [
            entry for entry in chain.from_iterable(entries)
            if id(entry) not in self.objects and not wanted.isdisjoint(self.cache_entries.get(id(entry), ()))
        ]

    def _note(self, o, found, is_counted, following):
        running = self._running_frames(o)
        for target, references in found.items():
            if any(target in self.targets_of_frames[frame] for frame in running):
                # The same reference, told of a second time.
                continue
            if target == self.target and is_counted:
                self.counted[id(o)] = references.counted
            if type(o) is types.FunctionType and o.__code__.co_name == "<module>":
                # A running module's own, which goes with its frame.
                references.labels.clear()
            if target in self.modules or target in self.running:
                # All functions of a module refer to its names, and none of them holds it; nor do frames those that called them.
                references.labels = [label for label in references.labels if label.kind != MACHINERY]
                references.number = len(references.labels)
            if not references.labels:
                self.left_out[target].add(id(o))
                continue
            self.referrers[target][id(o)] = references
            steps = 0 if all(label.kind in (NAMESPACE, CELL_CONTENTS) for label in references.labels) else 1
            self._meet_holder(o, self.depths[target] + steps, following)

    def _running_frames(self, o):
        """The frames of which one is that of a generator or coroutine, if it runs now and its frame is a part of it."""
        if sys.version_info < (3, 11) or id(type(o)) not in _RUNNING or not _RUNNING[id(type(o))](o):
            return []
        code = _GENERATORS[id(type(o))](o)
        return [address for address, frame in self.running.items() if _of_frames(_code_of_frame, [frame])[0] is code]

    def _note_links(self, links, following):
        """References that the capture told of while it wrote another object."""
        for source, target, label in links:
            o = self.sources_of_links.get(source)
            if o is not None and source not in self.own:
                references = self.referrers[target].setdefault(source, _Found())
                if all(known.step != label.step for known in references.labels):
                    references.add(label)
                self._meet_holder(o, self.depths[target] + 1, following)

    def link(self, source, label, target, following):
        if id(target) in self.out.wanted:
            self.sources_of_links[id(source)] = source
        super().link(source, label, target, following)

    def _meet_holder(self, o, depth, following):
        if id(o) in self.objects:
            return
        self.objects[id(o)] = o
        self.depths[id(o)] = depth
        if self._has_name(o):
            self.roots.add(id(o))
        else:
            following[id(o)] = o

    def _has_name(self, o):
        """Whether it is a loaded module or its namespace, a running frame, or a class or function found under its own name."""
        if id(o) in self.modules:
            if id(o) not in self.out.namespaces:
                self._read(self.modules[id(o)], frozenset())
            return True
        if id(o) in self.running:
            return True
        if _flags_of(type(o)) & TYPE_IS_TYPE:
            self.type_name(o)
            module, qualname = self.out.types[id(o)]
        elif type(o) is types.FunctionType:
            module, qualname = self.out.functions[id(o)]
        else:
            return any(o is module for module in self.modules.values())
        found = self.modules_by_name.get(module)
        if found is None or qualname is None:
            return False
        entries = list(dict.items(_module_dict_of(found)))
        for name in qualname.split("."):
            found = _entry(entries, name)
            entries = list(_entries(found)) if _flags_of(type(found)) & TYPE_IS_TYPE else ()
        return found is o

    def _referrers(self, level):
        """All objects that reference one of the level's; the agent's own are left out."""
        wanted = frozenset(level)
        is_frozen = gc.get_freeze_count() >= LEAST_FROZEN
        # When the first thread starts, 3.13 makes modules, classes and functions immortal, and the collector forgets them.
        is_forgetful = THREADS_RUN_FREELY and not gc.is_tracked(os.makedirs)
        if is_frozen or len(level) > OBJECTS_A_QUESTION:
            found = _those_that_reference(wanted, self.tracked)
        else:
            found = set(map(id, gc.get_referrers(*level.values())))
            # What was made since has nothing to do with the program.
            found = list(compress(self.tracked, map(found.__contains__, map(id, self.tracked))))
        if is_frozen or is_forgetful or any(map(_may_be_in_hidden_containers, level.values())):
            if self.hidden is None:
                # Who asks about something that is everywhere does not wait for the last of its referrers.
                self.is_everywhere = len(found) > 10 * REFERRERS_A_LEVEL
                if not self.is_everywhere:
                    self._find_hidden_containers()
            found += _those_that_reference(wanted, self.hidden or ())
            for _, get in _CODE_PARTS:
                found += compress(self.codes, map(wanted.__contains__, map(id, map(get, self.codes))))
        if self.target in level:
            own = [o for o in compress(found, map(self.own.__contains__, map(id, found))) if id(o) != self.held]
            self.counted_own = _count_references(own, level)[self.target]
        known = self.own.union(self.running)
        found = {id(o): o for o in found if id(o) not in known}
        found.update((address, frame) for address, frame in self.running.items() if not wanted.isdisjoint(self.targets_of_frames[address]))
        return found

    def _find_hidden_containers(self):
        """Containers that the collector does not list: dictionaries and tuples of texts and numbers, code, what was frozen."""
        listed = set(map(id, self.tracked)) if gc.get_freeze_count() >= LEAST_FROZEN else None
        hidden = {}
        roots = [sys.modules, builtins.__dict__, *self.modules.values(), *map(_module_dict_of, self.modules.values())]
        for frame in self.running.values():
            code, = _of_frames(_code_of_frame, [frame])
            roots += [value for _, value in _frame_parts(frame, self, True, code, gc.get_referents(frame))]
        waiting = self._unlisted(roots, listed, hidden)
        for start in range(0, len(self.tracked), OBJECTS_A_CHUNK):
            referents = gc.get_referents(*self.tracked[start:start + OBJECTS_A_CHUNK])
            waiting += self._unlisted(referents, listed, hidden)
        while waiting:
            codes = [o for o in waiting if type(o) is types.CodeType]
            parts = [part for _, get in _CODE_PARTS for part in map(get, codes)]
            waiting = self._unlisted([*gc.get_referents(*waiting), *parts], listed, hidden)
        self.hidden = [o for o in hidden.values() if type(o) is not types.CodeType]
        self.codes = [o for o in hidden.values() if type(o) is types.CodeType]

    def _unlisted(self, objects, listed, hidden):
        """Those that may reference others and that the collector does not list; they are added to the hidden ones."""
        objects = list(compress(objects, map(not_, map(LEAVES.__contains__, map(id, map(type, objects))))))
        is_listed = map(gc.is_tracked, objects) if listed is None else map(listed.__contains__, map(id, objects))
        objects = list(compress(objects, map(not_, is_listed)))
        found = {id(o): o for o in objects if id(o) not in hidden and id(o) not in self.own and not _lists_dead_objects(o)}
        hidden.update(found)
        return list(found.values())

    def _chosen(self, level, candidates):
        """Of too many referrers those that have names, then those of rare types: of the others there are many more."""
        if len(candidates) <= REFERRERS_A_LEVEL:
            return list(candidates.values())
        frequency = collections.Counter(map(id, map(type, candidates.values())))
        named = self.modules.keys() | self.running.keys()
        objects = sorted(candidates.values(), key=lambda o: (id(type(o)) in level, id(o) not in named, frequency[id(type(o))]))
        rest = objects[REFERRERS_A_LEVEL:]
        if self.target in level:
            self.counted_unseen = _count_references(rest, level)[self.target]
        # Objects do not hold their class.
        for o in rest:
            if id(type(o)) in level:
                self.left_out[id(type(o))].add(id(o))
        rest = [o for o in rest if id(type(o)) not in level]
        self.cut.update(_count_references(rest, level))
        if self.cut[self.target] and self.target in level:
            for t in {id(type(o)): type(o) for o in candidates.values() if id(type(o)) not in level}.values():
                self.types_of_referrers[self.type_name(t)] += frequency[id(t)]
        return objects[:REFERRERS_A_LEVEL]


def _may_be_in_hidden_containers(o):
    """Whether it is of those that the collector need not know of, so that neither need it know of what contains them."""
    t = type(o)
    if gc.is_tracked(o):
        return False
    return t is tuple or not _flags_of(t) & TYPE_HAS_COLLECTOR_HEADER or bool(_flags_of(t) & TYPE_IS_TYPE)


def _those_that_reference(wanted, objects):
    references = map(gc.get_referents, objects)
    if THREADS_RUN_FREELY:
        chunks = [objects[start:start + OBJECTS_A_CHUNK] for start in range(0, len(objects), OBJECTS_A_CHUNK)]
        references = chain.from_iterable(map(_references_of_each, chunks))
    return list(compress(objects, map(not_, map(wanted.isdisjoint, map(map, repeat(id), references)))))


def _count_references(objects, wanted):
    """How many references the objects have to each of the wanted."""
    numbers = collections.Counter()
    for start in range(0, len(objects), OBJECTS_A_CHUNK):
        targets = _ids(gc.get_referents(*objects[start:start + OBJECTS_A_CHUNK]))
        numbers.update(compress(targets, map(wanted.__contains__, targets)))
    return numbers


class _Step:
    """How a holder has the object: as the tree shows it, and as an access path goes on, or begins, with it."""

    __slots__ = ("shown", "path", "begins", "is_thread_local")

    def __init__(self, shown, path=None, begins=False, is_thread_local=False):
        self.shown = shown
        self.path = shown if path is None else path
        self.begins = begins
        self.is_thread_local = is_thread_local


class _HolderReport:
    """Words for what a search found. Namespaces and cells stand for what they belong to."""

    def __init__(self, search, count):
        self.search = search
        self.names = search.out
        self.count = count
        self.steps_of = {}
        self.names_of_code = None
        self.void = self._find_void()

    def lines(self, limit):
        search = self.search
        lines = [self._headline(), self._count_line()]
        lines += self._types_of_referrers()
        if not search.is_common_value():
            paths = self._paths(max(min(PATHS_SHOWN, limit // 3), 1))
            if paths:
                lines += ["held by", *("  " + path for path in paths)]
            elif self.holders(search.target):
                is_whole = not search.unexplored and not +search.cut
                lines.append("held by no name" + ("" if is_whole else " that was found"))
            lines += self._tree(max(limit - len(lines), 3))
        lines += ["note: " + note for note in search.notes]
        lines += ["note: %d %s" % (number, name.replace("_", " ")) for name, number in search.side_effects.items()]
        if len(lines) > limit:
            lines[max(limit - 1, 1):] = ["... %d more lines" % (len(lines) - max(limit - 1, 1))]
        return lines

    def _headline(self):
        o = self.search.objects[self.search.target]
        self.search.type_name(type(o))
        size = next(iter(self.search.classes[id(type(o))].sizes([o])))
        return "%s, %d bytes" % (self._described(self.search.target), size)

    def _count_line(self):
        search = self.search
        seen = sum(search.counted.values()) + search.counted_unseen
        at_least = "at least " if search.is_everywhere else ""
        if self.count == IMMORTAL:
            return "refcount: immortal, %s%s seen" % (at_least, _number(seen, "reference"))
        count = self.count - search.counted_own
        outside = "some of which frames only borrow" if seen > count else "%d outside the heap" % (count - seen)
        if search.is_everywhere:
            return "refcount %d: at least %s seen" % (count, _number(seen, "reference"))
        return "refcount %d: %s seen, %s" % (count, _number(seen, "reference"), outside)

    def _types_of_referrers(self):
        numbers = self.search.types_of_referrers
        if not numbers:
            return []
        rows = sorted(numbers.items(), key=lambda row: -row[1])
        lines = ["%s%d objects reference it; of these types:" % ("at least " if self.search.is_everywhere else "", sum(numbers.values()))]
        lines += ["  %d %s" % (number, name) for name, number in rows[:10]]
        return lines + ["  ..."] * (len(rows) > 10)

    # The graph of holders.

    def _find_void(self):
        """Tuples and dictionaries that only types, code and the like have: a class's order of resolution, constants."""
        search = self.search
        void = set()
        for address in search.left_out:
            t = type(search.objects[address])
            is_known = address not in search.unexplored and not search.cut[address]
            if (t is tuple or t is dict) and is_known and address not in search.roots and address != search.target:
                void.add(address)
        while True:
            held = {o for o in void if any(source not in void for source in search.referrers.get(o, ()))}
            if not held:
                return void
            void -= held

    def _sources(self, target):
        """(address, references) of what references the target, without what another reference tells better."""
        found = self.search.referrers.get(target, {})
        return [(source, references) for source, references in found.items() if source not in self.void and not self._is_restated(source, target)]

    def _is_restated(self, source, target):
        """Whether all that have the source tell of the target by themselves: a function does so of its tuple of default values, and
        a variable of the values that contexts have for it."""
        found = self.search.referrers
        above = [holder for holder in found.get(source, ()) if holder not in self.void]
        own = found.get(target, {})
        kind = type(self.search.objects[source])
        if _qualname_of(kind).startswith("hamt") and any(label.kind == CONTEXT for each in own.values() for label in each.labels):
            return True
        return bool(above) and source not in self.search.roots and all(
            holder in own and any(label.is_described for label in own[holder].labels) for holder in above
        )

    def holders(self, target):
        """The steps from each holder to the target, by the holder's address."""
        steps = self.steps_of.get(target)
        if steps is None:
            steps = self.steps_of[target] = {}
            self._collect(target, steps, ())
        return steps

    def _collect(self, target, steps, passed):
        for source, references in self._sources(target):
            for label in references.labels:
                if label.kind == CELL_CONTENTS and source not in passed:
                    above = {}
                    self._collect(source, above, (*passed, source))
                    for holder, found in above.items():
                        steps.setdefault(holder, []).extend(found)
                    if above:
                        continue
                if label.kind == DICT_VALUE and self._collect_owners(source, label, steps):
                    continue
                steps.setdefault(source, []).append(self._step(source, label))
            if references.number > len(references.labels):
                steps.setdefault(source, []).append(_Step("... %d more" % (references.number - len(references.labels)), ""))

    def _collect_owners(self, namespace, label, steps):
        """Adds those whose namespace the dictionary is. Returns whether nobody else has it."""
        if label.name is None:
            return False
        name = "." + label.name
        if namespace in self.names.namespaces:
            steps.setdefault(namespace, []).append(_Step(name, begins=True))
            return True
        others = False
        found = False
        for owner, references in self._sources(namespace):
            for above in references.labels:
                if above.kind == NAMESPACE:
                    step = self._local(owner, label.name) if type(self.search.objects[owner]) is types.FrameType else _Step(name)
                elif above.kind == THREAD_LOCAL:
                    step = _Step(name, is_thread_local=True)
                else:
                    others = True
                    continue
                steps.setdefault(owner, []).append(step)
                found = True
        return found and not others

    def _step(self, source, label):
        o = self.search.objects[source]
        if label.kind == LOCAL:
            return self._local(source, label.name) if type(o) is types.FrameType else _Step(label.step, begins=True)
        if label.kind == SLOT:
            if label.name == "__self__":
                return _Step(".<self>")
            if label.name == "args" and any(k is functools.partial for k in _mro_of(type(o))):
                return _Step(".<args>")
            # The step of the frame's local tells of all of them.
            if label.name == "__traceback__" or type(o) is types.TracebackType:
                return _Step(label.step, "")
        if label.kind == MACHINERY and label.name == "f_back":
            return _Step(label.step, "")
        return _Step(label.step, "" if label.kind == CELL_CONTENTS else None, label.kind in _BEGINNINGS)

    def _local(self, frame, name):
        above = self.search.referrers.get(frame, {}).values()
        in_generator = any(label.kind == SLOT and label.name in _GENERATOR_FRAMES for references in above for label in references.labels)
        shown = ".<local>." + name
        if frame in self.search.running or in_generator:
            return _Step(shown, begins=True)
        _, qualname = self._function(frame)
        return _Step(shown, ".<traceback>.%s.%s" % (qualname, name))

    # Names.

    def _function(self, address):
        """Module and short qualified name of the function that a frame or generator runs, or that a cache is put around."""
        search = self.search
        o = search.objects[address]
        if type(o) is types.FunctionType:
            return self._name_of_function(o)
        if self.names_of_code is None:
            self._name_codes()
        return self.names_of_code.get(address, (None, None))

    def _name_codes(self):
        """Names for the code of frames, generators and caches: those of a function that runs it, which has the whole name."""
        search = self.search
        codes, wrapped = {}, {}
        for address, o in search.objects.items():
            if type(o) is types.FrameType:
                codes[address], = _of_frames(_code_of_frame, [o])
            elif id(type(o)) in _GENERATORS:
                codes[address] = _GENERATORS[id(type(o))](o)
            elif any(k is _LruCache for k in _mro_of(type(o)) or ()):
                wrapped[address] = next((r for r in gc.get_referents(o) if type(r) is types.FunctionType), None)
        self.names_of_code = {address: self._name_of_function(f) for address, f in wrapped.items() if f is not None}
        by_code = {}
        if codes:
            distinct = {id(code): code for code in codes.values() if code is not None}
            for f in gc.get_referrers(*distinct.values()):
                if type(f) is types.FunctionType:
                    by_code.setdefault(id(f.__code__), f)
        for address, code in codes.items():
            if id(code) in by_code:
                self.names_of_code[address] = self._name_of_function(by_code[id(code)])
            elif code is not None:
                self.names_of_code[address] = self._name_of_code(search.objects[address], code)

    def _name_of_function(self, f):
        if id(f) not in self.names.functions:
            self.search._read(f, frozenset())
        module, qualname = self.names.functions[id(f)]
        return module or _name_in(f.__globals__), _short(qualname)

    def _name_of_code(self, o, code):
        search = self.search
        search._read(code, frozenset())
        file, qualname = self.names.codes[id(code)]
        if type(o) is types.FrameType:
            return _name_in(_of_frames(_globals_of_frame, [o])[0]), _short(qualname)
        for candidate in search.modules.values():
            names = _module_dict_of(candidate)
            module_file = _entry(list(dict.items(names)), "__file__")
            if type(module_file) is str and module_file == file:
                return _name_in(names), _short(qualname)
        return None, _short(qualname)

    def name(self, address):
        """The name with which paths begin, if the object has one."""
        o = self.search.objects[address]
        if address in self.names.namespaces:
            return self.names.namespaces[address] or "?"
        if type(o) is types.ModuleType:
            return _name_in(_module_dict_of(o)) or "?"
        if _flags_of(type(o)) & TYPE_IS_TYPE:
            return _short(self.search.type_name(o))
        module, qualname = self._function(address)
        return "%s.%s" % (module or "?", qualname) if qualname else None

    def _described(self, address):
        o = self.search.objects[address]
        name = self.name(address)
        if name is None:
            return "%s %#x" % (self.search.type_name(type(o)), address)
        if type(o) is types.FrameType:
            row = self.names.frames.get(address, (0, 0))
            words = "frame %s, line %d" % (name, row[1])
            return words + (", of another thread" if row[0] not in (0, _thread.get_ident()) else "")
        if address in self.names.namespaces or type(o) is types.ModuleType:
            return "module " + name
        if type(o) is types.FunctionType:
            return "function " + name
        if _flags_of(type(o)) & TYPE_IS_TYPE:
            return "class " + name
        return "%s %s %#x" % (self.search.type_name(type(o)), name, address)

    # Access paths.

    def _ends_here(self, holder, step):
        return (step.begins or holder in self.search.roots) and self.name(holder) is not None

    def _distances(self):
        """For each object how far its name is: the least cost of a path."""
        target = self.search.target
        above, below = {}, collections.defaultdict(list)
        waiting = [target]
        while waiting:
            o = waiting.pop()
            if o in above:
                continue
            above[o] = [(holder, step) for holder, steps in self.holders(o).items() for step in steps if not step.shown.startswith("...")]
            for holder, step in above[o]:
                if not self._ends_here(holder, step):
                    below[holder].append(o)
                    waiting.append(holder)
        distances = {}
        waiting = collections.deque(above)
        while waiting:
            o = waiting.popleft()
            ends = [0 if self._ends_here(holder, step) else distances.get(holder, UNREACHED) for holder, step in above[o]]
            ways = [end + self._cost(holder, step) for end, (holder, step) in zip(ends, above[o])]
            best = min(ways, default=UNREACHED)
            if best < distances.get(o, UNREACHED):
                distances[o] = best
                waiting.extend(below[o])
        return above, distances

    def _cost(self, holder, step):
        is_running = self._ends_here(holder, step) and holder in self.search.running
        return bool(step.path) + 2 * is_running

    def _paths(self, most):
        """The access paths, best first, by a search that knows how far each object is from a name."""
        target = self.search.target
        above, distances = self._distances()
        if target not in distances:
            return []
        paths = {}
        # Each way: what it has cost, the object it has reached, what is written of it, and what it has passed.
        ways = collections.defaultdict(collections.deque)
        ways[distances[target]].append((0, target, "", "", ()))
        tried = 0
        while ways and len(paths) <= most and tried < STEPS_TRIED:
            estimate = min(ways)
            cost, o, before, after, passed = ways[estimate].popleft()
            if not ways[estimate]:
                del ways[estimate]
            if o is None:
                paths.setdefault(before + after, cost)
                continue
            tried += len(above[o])
            for holder, step in above[o]:
                so_far = cost + self._cost(holder, step)
                written = step.path + after
                if self._ends_here(holder, step):
                    ways[so_far].append((so_far, None, before + self.name(holder), written, ()))
                elif holder in distances and holder != o and holder not in passed:
                    start = "<thread-local " + before if step.is_thread_local else before
                    written = ">" + written if step.is_thread_local else written
                    ways[so_far + distances[holder]].append((so_far, holder, start, written, (*passed, o)))
        shown = sorted(paths, key=lambda path: (paths[path], path))
        return shown if len(shown) <= most else shown[:most] + ["... more"]

    # The tree.

    def _tree(self, most):
        """The tree of holders in at most so many lines: those near the object before those far from it."""
        search = self.search
        top = _Branch(search.target, "", ())
        expanded = {}
        waiting = collections.deque([top])
        left = most - 2
        _, distances = self._distances()
        while waiting:
            branch = waiting.popleft()
            address = branch.address
            if branch is not top and address in search.roots:
                continue
            if address in branch.passed:
                branch.remark = "the object itself: a cycle" if address == search.target else "a cycle"
                continue
            if address in expanded:
                branch.is_repeated = bool(self.holders(address))
                continue
            expanded[address] = branch
            holders = self.holders(address)
            # The nearest to a name first.
            order = sorted(holders, key=lambda holder: 0 if holder in search.roots else 1 + distances.get(holder, UNREACHED))
            if len(order) > left:
                order = self._of_each_kind(order)[:left]
            branch.holders = [_Branch(holder, self._written(holders[holder]), (*branch.passed, address)) for holder in order]
            left -= len(branch.holders)
            waiting.extend(branch.holders)
            number = len(holders) + search.cut[address]
            if address in search.unexplored:
                branch.remark = "not followed further"
            elif len(branch.holders) < number:
                branch.remark = "%d of %d referrers shown" % (len(branch.holders), number)
            elif not number and branch is not top:
                branch.remark = "held by types or code" if search.left_out.get(address) else "held from outside the heap"
        lines = []
        if top.holders:
            lines.append("referrers" + (" (%s)" % top.remark if top.remark else ""))
            printed = set()
            for holder in top.holders:
                self._write_branch(holder, 1, lines, printed)
        else:
            lines.append("referrers: none seen")
        if search.left_out.get(search.target):
            lines.append("left out: %s from types, code and globals" % _number(len(search.left_out[search.target]), "reference"))
        return lines

    def _of_each_kind(self, holders):
        """Some of each type, where there is no place for all; those with a name stay."""
        numbers = collections.Counter()
        chosen = []
        for holder in holders:
            kind = id(type(self.search.objects[holder]))
            numbers[kind] += holder not in self.search.roots
            if numbers[kind] <= ALIKE_SHOWN:
                chosen.append(holder)
        return chosen

    def _written(self, steps):
        return ", ".join(dict.fromkeys(step.shown for step in steps))

    def _write_branch(self, branch, depth, lines, printed):
        remark = branch.remark
        if branch.is_repeated:
            remark = "shown above" if branch.address in printed else "shown below"
        words = "  " * depth + branch.step + " <- " + self._described(branch.address)
        lines.append(words + (" (%s)" % remark if remark else ""))
        if not branch.is_repeated and not remark.endswith("a cycle"):
            printed.add(branch.address)
        for holder in branch.holders:
            self._write_branch(holder, depth + 1, lines, printed)


class _Branch:
    """A place in the tree."""

    __slots__ = ("address", "step", "passed", "holders", "remark", "is_repeated")

    def __init__(self, address, step, passed):
        self.address = address
        self.step = step
        # The addresses from here to the object.
        self.passed = passed
        self.holders = []
        self.remark = ""
        self.is_repeated = False


def _name_in(names):
    """What a module's names say that it is called."""
    name = None if names is None else _entry(list(dict.items(names)), "__name__")
    return name if type(name) is str else None


def _number(number, noun):
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


def _qualified(module, qualname):
    return qualname if module in (None, "builtins") else "%s.%s" % (module, qualname)


def _short(qualname):
    return "?" if qualname is None else qualname.replace(".<locals>", "")


# Dumps when something happens: `install`.

# What is installed: a plain table, whose parts are left out of the dumps as all of the agent's are.
_installation = {}
# The memory of a process is looked at so often, in seconds.
MEMORY_INTERVAL = 1.0
# A dump may be larger than the one before by this factor, and so many bytes of a disk are left to others.
ROOM_FOR_GROWTH = 1.5
LEAST_FREE = 64 << 20
# After the first dump for its memory the next comes when it has grown by this part.
MEMORY_GROWTH = 0.1


def install(dir, signal=None, every=None, at_memory=None, keep=10, at_exit=False):
    """Dumps into the folder `dir` when something happens; returns a function that ends it.

    `signal`: the number of a signal; what handled it before is called too. `every`: seconds between two dumps. `at_memory`: bytes of
    resident memory at which to dump, and again each time it has grown by a tenth. `at_exit`: whether to dump when the interpreter ends.
    The newest `keep` dumps of this process stay; their names sort by time. Where the disk would be filled, older ones go before their
    time, and if that is not enough no dump is taken. The dumps are taken by a thread of the agent's, one at a time; a signal that comes
    meanwhile is not lost. A forked child goes on by itself, into the same folder.

    Raises ValueError when there is nothing to wait for, RuntimeError when dumps are installed already, when a signal is asked for and
    this is not the main thread, or when this system does not tell how much memory a process has; OSError when the folder cannot be made.
    """
    if signal is None and every is None and at_memory is None and not at_exit:
        raise ValueError("heldby: say when to dump: install(dir, signal=…), every=… seconds, at_memory=… bytes or at_exit=True")
    if every is not None and not every > 0:
        raise ValueError("heldby: every=… is a number of seconds greater than 0")
    if keep < 1:
        raise ValueError("heldby: keep=… is a number of dumps, 1 or more")
    if _installation:
        raise RuntimeError("heldby: dumps are installed already; call what the first install() returned, then install again")
    if at_memory is not None and _resident_bytes() is None:
        raise RuntimeError("heldby: this system does not tell how much memory a process has: use every=… or signal=…")
    folder = os.path.abspath(os.fspath(dir))
    os.makedirs(folder, mode=0o700, exist_ok=True)
    _installation.update(folder=folder, every=every, at_memory=at_memory, keep=keep, signal=None, previous=None)
    _begin_installation()
    if at_exit:
        atexit.register(_dump_installed_at_exit)
    if signal is not None:
        _installation["signal"] = signal
        try:
            _installation["previous"] = signals.signal(signal, _dump_on_signal)
        except BaseException as error:
            _uninstall()
            if type(error) is ValueError and "main thread" in str(error):
                raise RuntimeError("heldby: a signal can only be waited for by the main thread: call install() there") from error
            raise
    if not _forks["are_watched"] and hasattr(os, "register_at_fork"):
        _forks["are_watched"] = True
        os.register_at_fork(
            before=_wait_for_dump_before_fork, after_in_parent=_go_on_after_fork, after_in_child=_install_again_after_fork
        )
    return _uninstall


_forks = {"are_watched": False, "is_locked": False}


def _uninstall():
    """Ends what `install` began; a dump that is being taken is finished."""
    number = _installation.get("signal")
    if number is not None:
        if signals.getsignal(number) is _dump_on_signal:
            previous = _installation["previous"]
            signals.signal(number, signals.SIG_DFL if previous is None else previous)
    wake = _installation.get("wake")
    _installation.clear()
    atexit.unregister(_dump_installed_at_exit)
    if wake is not None:
        _release(wake)


def _begin_installation():
    wake = _allocate_lock()
    wake.acquire()
    # For the thread and the handler alone: the installation may be ended between any two steps of theirs.
    asked = [False]
    _installation.update(wake=wake, asked=asked, number=0, paths=[], pid=os.getpid(), complained=False)
    _start_waiting_thread(_dump_when_due, wake, asked, _installation["every"], _installation["at_memory"])


def _start_waiting_thread(function, *arguments):
    """Starts a thread that lets go of its first argument, a lock, and then waits; and returns when it does.

    C code may fork without a word to Python. If another thread had the interpreter's lock then, the child waits for it for ever. A thread
    that waits does not have it, and one that is on its way there would have it any moment.
    """
    begun = _allocate_lock()
    begun.acquire()
    _start_new_thread(function, (begun, *arguments))
    if _THREADS_ARE_REAL:
        begun.acquire(timeout=LONGEST_START)


def _release(lock):
    try:
        lock.release()
    except RuntimeError:  # It is released: who waits for it has not come to see.
        pass


def _dump_on_signal(number, frame):
    asked, wake = _installation.get("asked"), _installation.get("wake")
    if asked is not None and wake is not None:
        asked[0] = True
        _release(wake)
    previous = _installation.get("previous")
    if callable(previous):
        previous(number, frame)


def _dump_when_due(begun, wake, asked, every, at_memory):
    """The thread: waits on its own lock, which a signal releases."""
    begun.release()
    due = None if every is None else time.monotonic() + every
    while True:
        waits = [due - time.monotonic()] if due is not None else []
        if at_memory is not None:
            waits.append(MEMORY_INTERVAL)
        wake.acquire(timeout=max(min(waits), 0) if waits else -1)
        if _installation.get("wake") is not wake:
            return
        is_due, asked[0] = asked[0], False
        if due is not None and time.monotonic() >= due:
            is_due, due = True, time.monotonic() + every
        if at_memory is not None:
            memory = _resident_bytes() or 0
            if memory >= at_memory:
                is_due, at_memory = True, int(memory * (1 + MEMORY_GROWTH))
        if is_due:
            _dump_installed()


def _dump_installed():
    try:
        folder, keep, paths = _installation["folder"], _installation["keep"], _installation["paths"]
        if not _has_room(folder, paths):
            raise OSError("the disk of %s is nearly full" % folder)
        _installation["number"] += 1
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = os.path.join(folder, "%s-%d-%06d.heldby" % (moment, os.getpid(), _installation["number"]))
        dump(path)
        paths.append(path)
        while len(paths) > keep:
            _remove_dump(paths.pop(0))
    except KeyError:  # It was ended meanwhile.
        pass
    except Exception as error:
        if _installation.get("complained") is False:
            _installation["complained"] = True
            try:
                sys.stderr.write("heldby: no dump could be taken: %s\n" % error)
            except Exception:
                pass


def _dump_installed_at_exit():
    global _moment
    # A fork that is not the program's own process any more has its own.
    if _installation and _installation["pid"] == os.getpid():
        _moment = "exit"
        _dump_installed()


def _has_room(folder, paths):
    """Whether the disk has room for a dump as large as the largest so far, and a part of it stays free; older dumps make room."""
    if not hasattr(os, "statvfs"):
        return True
    while True:
        disk = os.statvfs(folder)
        largest = max([os.path.getsize(path) for path in paths if os.path.exists(path)], default=0)
        if disk.f_bavail * disk.f_frsize >= largest * ROOM_FOR_GROWTH + LEAST_FREE:
            return True
        if len(paths) < 2:
            return False
        _remove_dump(paths.pop(0))


def _remove_dump(path):
    try:
        os.unlink(path)
    except FileNotFoundError:  # Its user has moved it elsewhere.
        pass


def _resident_bytes():
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    if resource is None:
        return None
    # The highest that it was: macOS counts bytes, others kibibytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _wait_for_dump_before_fork():
    """No fork in the middle of a dump: the child would have all that the dump had in hand, and nobody to finish it."""
    # `heldby run` does so for all dumps.
    _forks["is_locked"] = bool(_installation) and "_interval" not in globals() and _owner != _thread.get_ident()
    if _forks["is_locked"]:
        _lock.acquire()
        if sys.version_info >= (3, 12) and len(getattr(sys.modules.get("threading"), "_active", ())) < 2:
            # The only other thread is the one for the dumps, which holds no lock now: nothing that the program should hear of.
            import warnings
            warnings.filterwarnings("ignore", r".* is multi-threaded, use of fork", DeprecationWarning)


def _go_on_after_fork():
    if _forks["is_locked"]:
        _lock.release()


def _install_again_after_fork():
    """The child has no copy of the thread."""
    global _lock, _owner
    if _forks["is_locked"]:
        _lock, _owner = _allocate_lock(), None
    if _installation:
        try:
            _begin_installation()
        except Exception as error:
            sys.stderr.write("heldby: no dumps of process %d: %s\n" % (os.getpid(), error))
