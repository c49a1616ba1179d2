# What a debug session adds to the agent: a dump that the debugger's `evaluate` begins.
#
# This text stands behind the agent's own, in its namespace: the agent knows these functions for its own and leaves them out of the
# dumps. No `evaluate` may take long, because debugpy tells in its console about one that takes three seconds, with the whole
# expression in it. So a thread takes the dump, one of the debugger's kind, which the debugger neither shows nor stops.

import errno

# So many bytes an object must be free on the disk before a dump is begun.
BYTES_AN_OBJECT = 100
BYTES_AT_LEAST = 1 << 20

# What a file cannot be written for when there is no room for it: a full disk, a quota, a limit of the process.
NO_ROOM = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)}

MAKE_ROOM = "make room there, then take the snapshot again"

_threads_of_dumps = []


def begin(path, compressed, moment, library):
    """Begins a dump, taken for `moment`: in the end there is a file `path`, or `path + ".failed"` that says why not. Tells why it was not begun, if so."""
    global _moment
    _moment = moment
    use_native_library(library)
    if moment == "question" and _is_unheld():
        return {"failed": None, "is_unheld": True}
    folder = os.path.dirname(path)
    if hasattr(os, "statvfs"):
        disk = os.statvfs(folder)
        # The native agent does not count first, which would make the program wait.
        needed = BYTES_AT_LEAST if _load_native() is None else len(gc.get_objects()) * BYTES_AN_OBJECT
        free = disk.f_bavail * disk.f_frsize
        if free < needed:
            return {"failed": "the disk of %s has %.1f MiB left, the dump may need %.1f MiB: %s" % (folder, free / 2**20, needed / 2**20, MAKE_ROOM)}
    if _threads_wait_for_each_other():
        _dump_or_say_why_not(path, compressed)
        return {"failed": None}
    _begin_thread(_dump_or_say_why_not, (path, compressed))
    return {"failed": None}


def begin_counting(path, library, wanted, seconds):
    """Begins to count how often lines run: in the end there is a file `path` with the numbers, or `path + ".failed"`."""
    use_native_library(library)
    if _threads_wait_for_each_other():
        # Nobody gives way to a thread of ours: one could not count for long without being waited for.
        _count_or_say_why_not(path, wanted, min(seconds, 2))
    else:
        _begin_thread(_count_or_say_why_not, (path, wanted, seconds))
    return {"failed": None}


def begin_tracing(library, all):
    """Has it noted from now on where containers grow."""
    use_native_library(library)
    try:
        trace(all)
    except RuntimeError as error:
        return {"failed": "%s" % error}
    return {"failed": None}


def _begin_thread(do, arguments):
    # The debugger's, which has threads of its own.
    import threading

    thread = threading.Thread(target=do, args=arguments, name="heldby", daemon=True)
    # By these the debugger knows a thread that it is to leave alone.
    thread.is_pydev_daemon_thread = thread.pydev_do_not_trace = True
    _threads_of_dumps.append(thread)
    thread.start()


def _is_unheld():
    """Whether nobody has the object that is asked about, but for the place where the question left it."""
    probe, asked = object(), sys.__dict__.pop("_heldby_asked", None)
    return sys.getrefcount(asked) <= sys.getrefcount(probe)


def _threads_wait_for_each_other():
    """With gevent or eventlet a thread runs when another gives way, which the debugger's does not do."""
    patched = (("gevent.monkey", "saved"), ("eventlet.patcher", "already_patched"))
    return any(vars(sys.modules[module]).get(name) for module, name in patched if module in sys.modules)


def _dump_or_say_why_not(path, compressed):
    try:
        dump(path, compress=compressed)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            _say_why_not(path, "there is no room for it in %s (%s): %s" % (os.path.dirname(path), error.strerror, MAKE_ROOM))
        else:
            _say_why_not(path, "%s: %s" % (type(error).__name__, error))


def _say_why_not(path, reason):
    """Beside the place of the dump, so that it is seen at once; where there is no room for that, to whoever asks for the outcome."""
    unfinished = path + ".part"
    try:
        with open(unfinished, "w", encoding="utf-8") as file:
            file.write(reason)
        os.replace(unfinished, path + ".failed")
    except OSError:
        sys._heldby_failed = (path, reason)
        if os.path.exists(unfinished):
            os.unlink(unfinished)


_own_ids_without_thread = _own_ids


def _own_ids():
    """The thread and its parts too."""
    own = _own_ids_without_thread()
    waiting = list(_threads_of_dumps)
    while waiting:
        value = waiting.pop()
        own.add(id(value))
        for part in gc.get_referents(value):
            kind = type(part)
            if id(part) not in own and (kind in (dict, collections.deque) or _module_of(kind) in ("threading", "_thread")):
                waiting.append(part)
    return own
