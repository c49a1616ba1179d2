"""How `heldby run` gets the agent into a program: Python imports this module at its start.

It stands in a folder that is first on PYTHONPATH. It starts the agent, takes the folder off the program's path, and makes way
for the `sitecustomize` that the program would have had. The environment stays as it is, so that children join.
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
    from importlib.util import module_from_spec, spec_from_file_location

    specification = spec_from_file_location("heldby_agent", os.path.join(folder, "heldby_agent.py"))
    agent = module_from_spec(specification)
    sys.modules["heldby_agent"] = agent
    specification.loader.exec_module(agent)
    path = os.path.join(folder, "heldby_run.py")
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), agent.__file__, "exec"), agent.__dict__)
    environment = os.environ
    agent.start_interval_dumps(
        environment["HELDBY_RUN_DIR"],
        float(environment["HELDBY_RUN_EVERY"]),
        int(environment["HELDBY_RUN_DUMPS"]),
        os.path.join(folder, "processes"),
    )


_join()
# Functions would keep this module alive, and so in the dumps.
del _join, _start_agent
# Where the program has no such module, the import fails, and so does that of this one: as it would without heldby.
sys.modules.pop("sitecustomize", None)
import sitecustomize  # noqa: E402, F401: the program's own
