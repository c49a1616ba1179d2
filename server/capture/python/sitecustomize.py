"""How `heldby run` gets the agent into a program: Python imports this module at its start.

It stands in a folder that is first on PYTHONPATH. It starts the agent, takes the folder off the program's path, and makes way
for the `sitecustomize` that the program would have had. The environment stays as it is, so that children join.
"""
import os
import sys


def _join():
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != folder]
    try:
        _start_agent(folder)
    except Exception as error:
        sys.stderr.write("heldby: this process is not dumped: %s\n" % error)
    # The import system wants to find a module of this name when this one is done: another's, or this one.
    this = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401: the program's own
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if this is not None:
            sys.modules.setdefault("sitecustomize", this)


def _start_agent(folder):
    from importlib.util import module_from_spec, spec_from_file_location

    specification = spec_from_file_location("heldby_agent", os.path.join(folder, "heldby_agent.py"))
    agent = module_from_spec(specification)
    sys.modules["heldby_agent"] = agent
    written = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        specification.loader.exec_module(agent)
    finally:
        sys.dont_write_bytecode = written
    path = os.path.join(folder, "heldby_run.py")
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), agent.__file__, "exec"), agent.__dict__)
    environment = os.environ
    agent.start_interval_dumps(
        environment["HELDBY_RUN_DIR"], float(environment["HELDBY_RUN_EVERY"]), int(environment["HELDBY_RUN_DUMPS"])
    )


_join()
