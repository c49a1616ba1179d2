# What `heldby capture` and `heldby confirm` add to the agent: what another process asks for.
#
# This text stands behind the agent's own and that of debug sessions, in their namespace. It runs in a thread of gdb's making, or in
# the main thread, between two steps of the program: it begins a thread, and is gone.


def begin_attached(path, library, task, *arguments):
    """Begins a dump, or a count of lines: in the end there is a file `path`, or `path + ".failed"` that says why not."""
    use_native_library(library)
    now = time.time()
    with open(os.path.join(os.path.dirname(path), "begun"), "w") as file:
        file.write("%s%03dZ" % (time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)), now % 1 * 1000))
    _thread.start_new_thread(_do_attached, (_thread.get_ident(), {"dump": _dump_or_say_why_not, "count": _count_or_say_why_not}[task], path, arguments))


def _do_attached(asker, do, path, arguments):
    # When nothing of this stands on the asker's stack any more.
    for _ in range(1000):
        if not _is_at_work(asker):
            break
        time.sleep(0.001)
    do(path, *arguments)


def _is_at_work(thread):
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_globals is globals():
            return True
        frame = frame.f_back
    return False
