# What a debug session adds to the agent: a dump that the debugger's `evaluate` begins.
#
# This text stands behind the agent's own, in its namespace: the agent knows these functions for its own and leaves them out of the
# dumps. No `evaluate` may take long, because debugpy tells in its console about one that takes three seconds, with the whole
# expression in it. So a thread takes the dump, one of the debugger's kind, which the debugger neither shows nor stops.

# So many bytes an object must be free on the disk before a dump is begun.
BYTES_AN_OBJECT = 100

_threads_of_dumps = []


def begin(path, compressed, moment):
    """Begins a dump, taken for `moment`: in the end there is a file `path`, or `path + ".failed"` that says why not. Tells why it was not begun, if so."""
    global _moment
    _moment = moment
    if moment == "question" and _is_unheld():
        return {"failed": None, "is_unheld": True}
    folder = os.path.dirname(path)
    if hasattr(os, "statvfs"):
        disk = os.statvfs(folder)
        free, needed = disk.f_bavail * disk.f_frsize, len(gc.get_objects()) * BYTES_AN_OBJECT
        if free < needed:
            return {"failed": "the disk of %s has %.1f MiB left, the dump may need %.1f MiB" % (folder, free / 2**20, needed / 2**20)}
    if _threads_wait_for_each_other():
        _dump_or_say_why_not(path, compressed)
        return {"failed": None}
    thread = threading.Thread(target=_dump_or_say_why_not, args=(path, compressed), name="heldby", daemon=True)
    # By these the debugger knows a thread that it is to leave alone.
    thread.is_pydev_daemon_thread = thread.pydev_do_not_trace = True
    _threads_of_dumps.append(thread)
    thread.start()
    return {"failed": None}


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
        unfinished = path + ".part"
        with open(unfinished, "w", encoding="utf-8") as file:
            file.write("%s: %s" % (type(error).__name__, error))
        os.replace(unfinished, path + ".failed")


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
