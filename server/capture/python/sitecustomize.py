"""How `heldby run` gets the agent into a program: Python imports this module at its start.

It stands in a folder that is first on PYTHONPATH. It loads the agent, leaves the program's path and modules as they were, and
makes way for the `sitecustomize` that the program would have had. The environment stays as it is, so that children join.
"""
import os
import sys


def _join():
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != folder]
    sys.path_importer_cache.pop(folder, None)
    # Any Python may come by here, among them ones that the agent cannot serve, and that have nothing to hear of it.
    if sys.version_info >= (3, 8) and sys.implementation.name == "cpython":
        try:
            _start_agent(folder)
        except Exception as error:
            sys.stderr.write("heldby: this process is not dumped: %s\n" % error)


def _start_agent(folder):
    command = _command()
    # Helpers of multiprocessing run none of the program's code. The one that forks the program's processes hands the agent down.
    if command.startswith("from multiprocessing.resource_tracker import main"):
        return
    with open(os.path.join(folder, "settings"), "rb") as file:
        every, keep, traced, dumps = file.read().split(b"\n", 3)
    with open(os.path.join(folder, "native"), "rb") as file:
        native_library = os.fsdecode(file.read())
    agent, modules, objects = _load_apart(os.path.join(folder, "heldby_agent.py"))
    if agent is not None:
        agent["start_interval_dumps"](
            folder=os.fsdecode(dumps),
            every=float(every),
            keep=int(keep),
            bootstrap=folder,
            native_library=native_library,
            traced=traced.decode("ascii"),
            modules=modules,
            objects=objects,
            is_helper="from multiprocessing.forkserver import main; main(" in command,
        )


def _command():
    """What this process was given to execute with `-c`."""
    arguments = getattr(sys, "orig_argv", None)
    if arguments is None:
        try:
            with open("/proc/self/cmdline", "rb") as file:
                arguments = os.fsdecode(file.read()).split("\0")
        except OSError:
            arguments = []
    return arguments[arguments.index("-c") + 1] if "-c" in arguments[:-1] else ""


def _load_apart(path):
    """Executes the agent with a standard library of its own, and returns its namespace, its modules, and all objects that it brought.

    The program may have modules of its own that are called like the standard library's, and changes those of the library as
    it likes: neither may get the other's. Only what is built into the interpreter is shared, which nobody can have another of,
    and whose types must be the same for both.
    """
    import gc

    importlib, external = sys.modules["_frozen_importlib"], sys.modules["_frozen_importlib_external"]
    finders = (importlib.BuiltinImporter, importlib.FrozenImporter, external.PathFinder)
    path_before, finders_before, modules_before = sys.path[:], sys.meta_path[:], sys.modules.copy()
    library = os.path.dirname(os.__file__)
    objects_before = gc.get_objects()
    agent = {"__name__": "heldby_agent", "__file__": path, "__builtins__": dict(sys.modules["builtins"].__dict__)}
    try:
        sys.path[:] = [entry for entry in sys.path if _is_library(entry, library)]
        sys.meta_path[:] = [finder for finder in sys.meta_path if any(finder is own for own in finders)]
        for name, module in modules_before.items():
            if not _is_of_library(name, module, library):
                del sys.modules[name]
        if not _is_main_interpreter():
            # It must have no thread that it does not know when it ends.
            return None, {}, []
        # A second `threading` would take over from the program's what the interpreter tells of the main thread. Nothing here
        # wants more of it than this.
        import _thread
        threading = sys.modules["threading"] = type(sys)("threading")
        threading.Lock, threading.RLock, threading.get_ident = _thread.allocate_lock, _thread.RLock, _thread.get_ident
        threading.local = _thread._local
        exec(external.SourceFileLoader("heldby_agent", path).get_code("heldby_agent"), agent)
        modules = sys.modules.copy()
    finally:
        for name in list(sys.modules):
            if name not in modules_before and name not in sys.builtin_module_names:
                del sys.modules[name]
        sys.modules.update(modules_before)
        sys.path[:], sys.meta_path[:] = path_before, finders_before
    known = set(map(id, objects_before))
    known.update(map(id, (objects_before, known, path_before, finders_before, modules_before)))
    objects = {id(o): o for o in gc.get_objects() if id(o) not in known and type(o) is not type(sys._getframe())}
    # What the program reaches is not the agent's, even if the agent was the first to ask for it; but some of the modules are in
    # a list of the interpreter's.
    apart = {id(module) for name, module in modules.items() if sys.modules.get(name) is not module}
    reached = [o for o in objects_before if type(o) is not type(sys._getframe())]
    while reached:
        reached = [objects.pop(id(o)) for o in gc.get_referents(*reached) if id(o) in objects and id(o) not in apart]
    return agent, modules, list(objects.values())


def _is_library(path, library):
    return path == library or os.path.basename(path) in ("lib-dynload", "DLLs", "python%d%d.zip" % sys.version_info[:2])


def _is_of_library(name, module, library):
    """Whether a module is one of the interpreter's or of the standard library."""
    if name in sys.builtin_module_names or name in ("__main__", "_frozen_importlib", "_frozen_importlib_external"):
        return True
    specification = module.__dict__.get("__spec__") if type(module) is type(sys) else None
    if type(specification) is not type(__spec__):
        return False
    origin = specification.origin
    return origin in ("built-in", "frozen") or type(origin) is str and (
        _is_library(os.path.dirname(origin), library)
        or origin.startswith(library + os.sep) and not {"site-packages", "dist-packages"}.intersection(origin.split(os.sep))
    )


def _is_main_interpreter():
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            interpreters = __import__(name)
        except ImportError:
            continue
        return interpreters.get_current() == interpreters.get_main()
    return True


_join()
# Functions would keep this module alive, and so in the dumps.
del _join, _start_agent, _command, _load_apart, _is_library, _is_of_library, _is_main_interpreter
# Where the program has no such module, the import fails, and so does that of this one: as it would without heldby.
sys.modules.pop("sitecustomize", None)
import sitecustomize  # noqa: E402, F401: the program's own
