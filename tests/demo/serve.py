"""Runs the demo application's own manage.py with heldby's agent beside it.

    serve.py AGENT REQUESTS MANAGE_PY ARGUMENT...

The application knows nothing of this. A file `NAME.request` that appears in the folder REQUESTS, with the path of a
dump as its text, is answered by that dump and then by a file `NAME.done`: empty, or with what went wrong. The server
ends when its standard input does, so that it never outlives whoever started it.
"""

import importlib.util
import os
import runpy
import sys
import threading
import time
import traceback


def load_agent(path):
    spec = importlib.util.spec_from_file_location("heldby_agent", path)
    agent = importlib.util.module_from_spec(spec)
    sys.modules["heldby_agent"] = agent
    spec.loader.exec_module(agent)
    return agent


def answer_requests(dump, folder):
    while True:
        for name in sorted(os.listdir(folder)):
            if name.endswith(".request"):
                answer(dump, os.path.join(folder, name))
        time.sleep(0.05)


def answer(dump, request):
    with open(request, encoding="utf-8") as file:
        target = file.read()
    os.remove(request)
    problem = ""
    try:
        dump(target)
    except Exception:
        problem = traceback.format_exc()
    stem = request[: -len(".request")]
    with open(stem + ".part", "w", encoding="utf-8") as file:
        file.write(problem)
    os.replace(stem + ".part", stem + ".done")


def end_with_input():
    while os.read(0, 1024):
        pass
    os._exit(0)


def main():
    agent_path, requests, program = sys.argv[1:4]
    agent = load_agent(agent_path)
    threading.Thread(target=answer_requests, args=(agent.dump, requests), daemon=True).start()
    threading.Thread(target=end_with_input, daemon=True).start()
    sys.argv = sys.argv[3:]
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
