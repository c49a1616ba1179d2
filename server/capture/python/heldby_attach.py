# What `heldby capture` and `heldby confirm` add to the agent: what another process asks for.
#
# This text stands behind the agent's own and that of debug sessions, in their namespace. It runs in a thread of the library's, or in
# the main thread, between two steps of the program: it begins a thread, and is gone.


def begin_attached(path, library, task, *arguments):
    """Begins a dump, or a count of lines: in the end there is a file `path`, or `path + ".failed"` that says why not."""
    place = _loadable(library)
    use_native_library(EMBEDDED if _is_loaded_for_all(place) else place)
    now = time.time()
    with open(os.path.join(os.path.dirname(path), "begun"), "w") as file:
        file.write("%s%03dZ" % (time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)), now % 1 * 1000))
    _thread.start_new_thread(_do_attached, (_thread.get_ident(), {"dump": _dump_or_say_why_not, "count": _count_or_say_why_not}[task], path, place, arguments))


def _do_attached(asker, do, path, library, arguments):
    # When nothing of this stands on the asker's stack any more.
    for _ in range(1000):
        if not _is_at_work(asker):
            break
        time.sleep(0.001)
    try:
        do(path, *arguments)
    finally:
        _close_in_memory(library)


def _is_loaded_for_all(library):
    """Whether the next capture finds this library, or one that an earlier one has loaded. Each would bring one more, and none can be unloaded."""
    if not library or not _NATIVE_TYPES or hasattr(sys, "gettotalrefcount"):
        return False
    try:
        import _ctypes

        if _loaded_before() is None:
            _ctypes.dlopen(library, 2 | os.RTLD_GLOBAL)
        return _loaded_before() is not None
    except (OSError, ImportError):
        return False


_IN_MEMORY = "/proc/self/fd/"


def _loadable(library):
    """Where the library can be loaded from: its own place, or memory, if no code may be loaded from there."""
    try:
        if not library or library.startswith(_IN_MEMORY) or not os.statvfs(library).f_flag & os.ST_NOEXEC:
            return library
        descriptor = os.memfd_create("heldby-library")
    except (OSError, AttributeError):
        return library
    try:
        with open(library, "rb") as file, open(descriptor, "wb", closefd=False) as copy:
            copy.write(file.read())
    except OSError:
        os.close(descriptor)
        return library
    return _IN_MEMORY + str(descriptor)


def _close_in_memory(library):
    if not library or not library.startswith(_IN_MEMORY):
        return
    try:
        # The program may have closed it, and opened something else.
        if os.readlink(library).startswith("/memfd:heldby-"):
            os.close(int(library[len(_IN_MEMORY) :]))
    except OSError:
        pass


def _is_at_work(thread):
    frame = _tops().get(thread)
    while frame is not None:
        if frame.f_globals is globals():
            return True
        frame = frame.f_back
    return False
