# What `heldby run` adds to the agent: dumps at an interval and at exit, in each process of the program.
#
# This text stands behind the agent's own, in its namespace: the agent knows these functions for its own and leaves them out of
# the dumps. The thread is a bare one, waiting on a bare lock: nothing of it is an object of the program's heap.
import atexit
import re
import _thread

# What is going on in this process: set by `start_interval_dumps`, and anew after a fork.
_interval = {}
# What the agent was loaded with, and the program does not know: modules by their names, and all objects.
_modules = {}
_apart = collections.deque()
_apart_ids = set()

_FORK_FILTER = ("ignore", re.compile(".* is multi-threaded, use of fork"), DeprecationWarning, None, 0)
_own_ids_of_agent = _own_ids
_about_this_process_of_agent = _about_this_process


def start_interval_dumps(folder, every, keep, bootstrap, native_library, traced, modules, objects, is_helper):
    """Dumps into a folder of this process's own below `folder`: each `every` seconds and at exit; the newest `keep` stay.

    Its id is added to the file `joined` in the folder `bootstrap`, with what tells it from other programs; and when the process gets its
    folder, id and path to `dumped` there. `modules` and `objects` are what the agent was loaded with. A helper is not dumped, but its forks are.
    `traced`: "containers" or "all", of which it is noted where they grow; an empty text: of nothing.
    """
    _modules.update(modules)
    use_native_library(native_library)
    __builtins__["__import__"] = _import_apart
    _apart.extend(objects)
    _apart_ids.update(map(id, _apart))
    _apart_ids.add(id(_apart))
    _interval.update(folder=folder, every=min(every, _thread.TIMEOUT_MAX), keep=keep, bootstrap=bootstrap)
    _interval.update(forking=False, program_start=time.time_ns())
    if traced:
        try:
            trace(all=traced == "all")
        except RuntimeError as error:
            os.write(2, b"%s\n" % os.fsencode("%s" % error))
    if not is_helper and not _is_uwsgi():
        _begin_interval_dumps()
        atexit.register(_dump_at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_begin_again_after_fork)


def _import_apart(name, *_):
    """`import` in the agent, while the program runs: never what the program has under that name."""
    try:
        return _modules[name]
    except KeyError:
        raise ImportError("heldby: %s was not loaded with the agent" % name)


def _own_ids():
    return _own_ids_of_agent() | _apart_ids


def _about_this_process(*arguments):
    about = _about_this_process_of_agent(*arguments)
    about["program_start"] = _interval["program_start"]
    return about


def _begin_interval_dumps():
    global _moment
    _moment = "interval"
    stop = _allocate_lock()
    stop.acquire()
    # The thread and the end of the program each take dumps.
    choosing = _allocate_lock()
    _interval.update(stop=stop, choosing=choosing, own_folder=None, paths=[], number=0, complained=False, pid=os.getpid(), ended=False)
    _start_waiting_thread(_dump_at_intervals, stop)
    _record("joined", b"%d %d %d\0" % (os.getpid(), *_places()))


def _before_fork():
    """No fork while a dump is taken: the child would have the collector disabled, and all that the dump had in hand."""
    try:
        _interval["forking"] = _owner != _thread.get_ident()
        if _interval["forking"]:
            _lock.acquire()
        if sys.version_info >= (3, 12):
            _let_fork()
    except Exception as error:
        _complain(error)


def _let_fork():
    """No warning of threads for a program that has none: the one for the dumps holds no lock now.

    The program's own modules are looked at as they are, and nothing of them is called.
    """
    threads = _names_of("threading").get("_active")
    has_threads = type(threads) is dict and len(threads) > 1
    filters = _names_of("warnings").get("filters", sys.modules["_warnings"].filters)
    if type(filters) is list:
        # Of an earlier fork, when the program had none, it may still be there.
        others = [own for own in filters if own is not _FORK_FILTER]
        filters[:] = others if has_threads else [_FORK_FILTER, *others]


def _names_of(name):
    module = sys.modules.get(name)
    return _module_dict_of(module) if type(module) is types.ModuleType else {}


def _after_fork_in_parent():
    if _interval["forking"]:
        _lock.release()


def _begin_again_after_fork():
    """The child has no copy of the thread."""
    global _lock, _owner
    if _owner not in (None, _thread.get_ident()) and _native["collects"]:
        # Nobody waited for the dump that the thread was taking: uWSGI tells of a fork only when it has happened.
        gc.enable()
    _lock, _owner = _allocate_lock(), None
    try:
        is_first = "stop" not in _interval
        _begin_interval_dumps()
        if is_first:
            atexit.register(_dump_at_exit)
        # Children of multiprocessing end without atexit before Python 3.13, but tell their own module.
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.register_after_fork(_dump_at_exit, _dump_when_multiprocessing_ends)
    except Exception as error:
        _complain(error)


def _dump_when_multiprocessing_ends(dump_at_exit):
    sys.modules["multiprocessing.util"].Finalize(None, dump_at_exit, exitpriority=-1000)


def _dump_at_intervals(begun, stop):
    begun.release()
    while not stop.acquire(timeout=_interval["every"]):
        if _interval["stop"] is not stop:
            return
        _dump_next()


def _is_uwsgi():
    """uWSGI forks its workers without a word to Python before: one that is forked while another thread has the interpreter's lock waits
    for that lock for ever. So its first process, which is the master, gets no thread. The workers do, which tell of themselves."""
    try:
        return os.path.basename(os.readlink("/proc/self/exe")).startswith("uwsgi")
    except OSError:
        return False


def _dump_at_exit():
    global _moment
    if _interval["pid"] != os.getpid() or _interval["ended"]:
        return
    _moment = "exit"
    _interval["ended"] = True
    try:
        _interval["stop"].release()
        _dump_next()
    except BaseException:
        # The program's own handler of a signal: who ends a program that is ending does not want to wait for a dump.
        pass


def _dump_next():
    try:
        paths = _interval["paths"]
        with _interval["choosing"]:
            folder = _interval["own_folder"]
            if folder is None:
                folder = _interval["own_folder"] = _make_own_folder()
            if not _has_room(folder, paths):
                raise OSError("the disk of %s is nearly full" % folder)
            _interval["number"] += 1
            moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            path = os.path.join(folder, "%06d-%s.heldby" % (_interval["number"], moment))
        dump(path)
        paths.append(path)
        while len(paths) > _interval["keep"]:
            _remove_dump(paths.pop(0))
    except Exception as error:
        _complain(error)


def _make_own_folder():
    """A new folder: a process that turned into another program (`exec`) is another one's."""
    name = os.path.join(_interval["folder"], _process_name())
    os.makedirs(_interval["folder"], exist_ok=True)
    folder, number = name, 1
    while True:
        try:
            os.mkdir(folder, 0o700)
            break
        except FileExistsError:
            number += 1
            folder = "%s-%d" % (name, number)
    _record("dumped", b"%d %s\0" % (os.getpid(), os.fsencode(folder)))
    return folder


def _places():
    """Where this process's code and stack begin, zeros where the system does not say: forks have the same places, other programs other ones."""
    try:
        with open("/proc/self/stat", "rb") as file:
            # The name, which may have anything in it, ends with the last bracket; the third field stands behind it.
            fields = file.read().rpartition(b")")[2].split()
        return int(fields[26 - 3]), int(fields[28 - 3])
    except (OSError, ValueError, IndexError):
        return 0, 0


def _record(name, what):
    """Tells `heldby run`, unless it is gone, or this process has changed its user: the dumps are taken all the same."""
    try:
        with open(os.path.join(_interval["bootstrap"], name), "ab") as file:
            file.write(what)
    except OSError:
        pass


def _process_name():
    """The program's name, the process, and its start: what tells this process from all others."""
    arguments = getattr(sys, "argv", None)
    program = arguments[0] if type(arguments) is list and arguments and type(arguments[0]) is str else ""
    folder, program = os.path.split(program)
    program = os.path.splitext(program)[0]
    if program == "__main__":
        program = os.path.basename(folder)
    if not program.strip("-") or program in ("-c", "-m"):
        program = "python"
    start = _process_start()
    return "%s-%d-%s" % (program, os.getpid(), time.strftime("%Y%m%dT%H%M%SZ", time.gmtime((start or 0) // 10**9)))


def _complain(error):
    """Says once what is wrong; the program goes on as if nothing were."""
    if not _interval.get("complained"):
        _interval["complained"] = True
        try:
            # Not by `sys.stderr`, which may be an object of the program's.
            os.write(2, b"heldby: no dump could be taken: %s\n" % os.fsencode("%s" % error))
        except Exception:
            pass
