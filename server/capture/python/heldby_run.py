"""What `heldby run` adds to the agent: dumps at an interval and at exit, in each process of the program.

This text is executed in the agent's own namespace, so that the agent knows its functions for its own and leaves them out of
the dumps. The thread is a bare one, waiting on a bare lock: nothing of it is an object of the program's heap.
"""
import atexit
import _thread

# What is going on in this process: set by `start_interval_dumps`, and anew after a fork.
_interval = {}


def start_interval_dumps(folder, every, keep, record):
    """Dumps into a folder of this process's own below `folder`: each `every` seconds and at exit; the newest `keep` stay.

    The path of that folder is added to the file `record` when it is made.
    """
    _interval.update(folder=folder, every=every, keep=keep, record=record)
    _begin_interval_dumps()
    atexit.register(_dump_at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_begin_again_after_fork)


def _begin_interval_dumps():
    global _moment
    _moment = "interval"
    stop = _thread.allocate_lock()
    stop.acquire()
    _interval.update(stop=stop, own_folder=None, paths=[], number=0, complained=False, pid=os.getpid(), ended=False)
    _thread.start_new_thread(_dump_at_intervals, (stop,))


def _before_fork():
    """No fork while a dump is taken: the child would have the collector disabled, and all that the dump had in hand."""
    try:
        _interval["forking"] = _owner != threading.get_ident()
        if _interval["forking"]:
            _lock.acquire()
        if sys.version_info >= (3, 12) and len(threading._active) == 1:
            # The only other thread is the one for the dumps, which holds no lock now: nothing that the program should hear of.
            import warnings
            warnings.filterwarnings("ignore", r".* is multi-threaded, use of fork", DeprecationWarning)
    except Exception as error:
        _complain(error)


def _after_fork_in_parent():
    if _interval["forking"]:
        _lock.release()


def _begin_again_after_fork():
    """The child has no copy of the thread."""
    global _lock, _owner
    _lock, _owner = threading.Lock(), None
    try:
        _begin_interval_dumps()
        # Children of multiprocessing end without atexit before Python 3.13, but tell their own module.
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.register_after_fork(_dump_at_exit, _dump_when_multiprocessing_ends)
    except Exception as error:
        _complain(error)


def _dump_when_multiprocessing_ends(dump_at_exit):
    sys.modules["multiprocessing.util"].Finalize(None, dump_at_exit, exitpriority=-1000)


def _dump_at_intervals(stop):
    while not stop.acquire(timeout=_interval["every"]):
        if _interval["stop"] is not stop:
            return
        _dump_next()


def _dump_at_exit():
    global _moment
    if _interval["pid"] != os.getpid() or _interval["ended"]:
        return
    _moment = "exit"
    _interval["ended"] = True
    try:
        _interval["stop"].release()
        _dump_next()
    except KeyboardInterrupt:
        # Who interrupts a program that is ending does not want to wait for a dump.
        pass


def _dump_next():
    try:
        folder = _interval["own_folder"]
        if folder is None:
            folder = _interval["own_folder"] = _make_own_folder()
        _interval["number"] += 1
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = os.path.join(folder, "%06d-%s.heldby" % (_interval["number"], moment))
        dump(path)
        paths = _interval["paths"]
        paths.append(path)
        while len(paths) > _interval["keep"]:
            os.unlink(paths.pop(0))
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
    try:
        with open(_interval["record"], "ab") as file:
            file.write(os.fsencode(folder) + b"\n")
    except OSError:
        # `heldby run` is gone, or this process changed its user: the dumps are taken all the same.
        pass
    return folder


def _process_name():
    """The program's name, the process, and its start: what tells this process from all others."""
    arguments = getattr(sys, "argv", None) or [""]
    program = arguments[0] if type(arguments[0]) is str else ""
    program = os.path.splitext(os.path.basename(program))[0].strip("-") or "python"
    if program == "__main__":
        program = os.path.basename(os.path.dirname(arguments[0])) or "python"
    start = _process_start()
    return "%s-%d-%s" % (program, os.getpid(), time.strftime("%Y%m%dT%H%M%SZ", time.gmtime((start or 0) // 10**9)))


def _complain(error):
    """Says once what is wrong; the program goes on as if nothing were."""
    if not _interval.get("complained"):
        _interval["complained"] = True
        try:
            sys.stderr.write("heldby: no dump could be taken: %s\n" % error)
        except Exception:
            pass
