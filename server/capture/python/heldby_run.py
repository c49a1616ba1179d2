"""What `heldby run` adds to the agent: dumps at an interval and at exit, in each process of the program.

This text is executed in the agent's own namespace, so that the agent knows its functions for its own and leaves them out of
the dumps. The thread is a bare one, waiting on a bare lock: nothing of it is an object of the program's heap.
"""
import atexit
import _thread

# What is going on in this process: set by `start_interval_dumps`, and anew after a fork.
_interval = {}


def start_interval_dumps(folder, every, keep):
    """Dumps into a folder of this process's own below `folder`: each `every` seconds and at exit; the newest `keep` stay."""
    _interval.update(folder=folder, every=every, keep=keep)
    _begin_interval_dumps()
    atexit.register(_dump_at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_begin_again_after_fork)


def _begin_interval_dumps():
    global _moment
    _moment = "interval"
    stop = _thread.allocate_lock()
    stop.acquire()
    _interval.update(stop=stop, paths=[], number=0, complained=False, pid=os.getpid())
    _thread.start_new_thread(_dump_at_intervals, (stop,))


def _begin_again_after_fork():
    """The child has no copy of the thread, and perhaps a lock that the thread held."""
    global _lock, _owner
    _lock, _owner = threading.Lock(), None
    try:
        _begin_interval_dumps()
    except RuntimeError as error:
        _complain(error)


def _dump_at_intervals(stop):
    while not stop.acquire(timeout=_interval["every"]):
        if _interval["stop"] is not stop:
            return
        _dump_next()


def _dump_at_exit():
    global _moment
    _moment = "exit"
    if _interval["pid"] == os.getpid():
        _interval["stop"].release()
        _dump_next()


def _dump_next():
    try:
        folder = os.path.join(_interval["folder"], _process_name())
        os.makedirs(folder, mode=0o700, exist_ok=True)
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
