"""Figures of heldby, measured. Prints JSON. Runs on Unix.

    bench.py heap AGENT DUMP    makes a heap of 1.4 million objects, and dumps it with the agent
    bench.py run COMMAND...     runs a command, its output thrown away
    bench.py holder TOOL WHAT AGENT HELDBY LIBRARY DUMP
                                asks a tool who holds one list, or one bytes object, of the same heap; LIBRARY is the native agent's
"""

import importlib.util
import json
import os
import resource
import subprocess
import sys
import time

INSTANCES = 200_000


class Order:
    def __init__(self, number):
        self.name = "order %d" % number
        self.lines = [number]
        self.totals = {number: self.lines}
        self.document = b"%d" % number


def make_heap():
    """Seven objects each: the instance, its number, its four values, and its key in the dictionary of all.

    Before Python 3.11 there is an eighth, the instance's own dictionary.
    """
    return {"key %d" % number: Order(number) for number in range(INSTANCES)}


def heap(agent_path, dump):
    agent = load_agent(agent_path)
    orders = make_heap()
    peak = peak_bytes(resource.RUSAGE_SELF)
    cpu, wall = cpu_seconds(), time.perf_counter()
    agent.dump(dump)
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    assert len(orders) == INSTANCES
    more = peak_bytes(resource.RUSAGE_SELF) - peak
    return {"cpu_seconds": cpu, "wall_seconds": wall, "peak_bytes": more, "dump_bytes": os.path.getsize(dump)}


ORDERS = {}


def holder(tool, what, agent_path, heldby, library, dump):
    """Asks who holds one object; its true path is `__main__.ORDERS['key 100000']` and the name of an attribute."""
    ORDERS.update(make_heap())
    # No variable of ours may hold it: that would be a true path too.
    targets = {"list": lambda: ORDERS["key 100000"].lines, "bytes": lambda: ORDERS["key 100000"].document}
    target = targets[what]
    name = "lines" if what == "list" else "document"
    ask = TOOLS[tool](agent_path, heldby, library, dump)
    peak = peak_bytes(resource.RUSAGE_SELF)
    cpu, wall = cpu_seconds(), time.perf_counter()
    answer, stopped, memory = ask(target)
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    named = sum(word in answer for word in ("ORDERS", "key 100000", name))
    return {
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "stopped_seconds": stopped or wall,
        "peak_bytes": memory or peak_bytes(resource.RUSAGE_SELF) - peak,
        "lines": len(answer.splitlines()),
        "named": named,
    }


# Each gets the agent's file, heldby, the native agent's library and a place for a dump, and returns what asks: that returns the answer, the
# seconds for which the program stood still, and the memory that it took, where these are not the whole time and what this process took.


def ask_heldby(agent_path, heldby, library, dump):
    """With the native agent, as `heldby run`, the debugger and `heldby agent --native` take dumps."""
    agent = load_agent(agent_path)
    agent.native_library = library

    def ask(target):
        agent.dump(dump)
        report = agent._native.get("report", {})
        if "objects" not in report:
            sys.exit("the native agent did not take the dump: %s" % agent._native.get("why_not"))
        answer = subprocess.run([heldby, "referrers", dump, "--id", str(id(target()))], stdout=subprocess.PIPE, check=True)
        return answer.stdout.decode(), report["stood_still_nanoseconds"] / 1e9, report["private_bytes"]

    return ask


def ask_heldby_in_python(agent_path, heldby, library, dump):
    """Where the library cannot be loaded."""
    agent = load_agent(agent_path)
    agent.native_library = ""

    def ask(target):
        begin = time.perf_counter()
        agent.dump(dump)
        stopped = time.perf_counter() - begin
        answer = subprocess.run([heldby, "referrers", dump, "--id", str(id(target()))], stdout=subprocess.PIPE, check=True)
        return answer.stdout.decode(), stopped, None

    return ask


def ask_why(agent_path, heldby, library, dump):
    agent = load_agent(agent_path)
    return lambda target: (agent.why_text(target()), None, None)


def ask_guppy(agent_path, heldby, library, dump):
    from guppy import hpy

    heap = hpy()
    return lambda target: (str(heap.iso(target()).sp), None, None)


def ask_objgraph(agent_path, heldby, library, dump):
    import io

    import objgraph

    def ask(target):
        chain = objgraph.find_backref_chain(target(), objgraph.is_proper_module)
        text = io.StringIO()
        objgraph.show_chain(chain, output=text)
        return text.getvalue(), None, None

    return ask


def ask_referrers(agent_path, heldby, library, dump):
    import referrers

    return lambda target: (str(referrers.get_referrer_graph(target(), module_prefixes=["__main__"])), None, None)


def ask_pympler(agent_path, heldby, library, dump):
    import io

    from pympler import refbrowser

    def ask(target):
        text = io.StringIO()
        browser = refbrowser.StreamBrowser(target(), maxdepth=4, stream=text)
        browser.print_tree()
        return text.getvalue(), None, None

    return ask


TOOLS = {
    "heldby": ask_heldby,
    "heldby, agent in Python": ask_heldby_in_python,
    "heldby_agent.why": ask_why,
    "guppy3": ask_guppy,
    "objgraph": ask_objgraph,
    "referrers": ask_referrers,
    "Pympler": ask_pympler,
}


def load_agent(path):
    spec = importlib.util.spec_from_file_location("heldby_agent", path)
    agent = importlib.util.module_from_spec(spec)
    sys.modules["heldby_agent"] = agent
    spec.loader.exec_module(agent)
    return agent


def run(command):
    wall = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - wall
    if status:
        sys.exit("the command failed")
    peak = usage.ru_maxrss * RSS_UNIT
    return {"cpu_seconds": usage.ru_utime + usage.ru_stime, "wall_seconds": wall, "peak_bytes": peak}


# Linux counts in kibibytes, macOS in bytes.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def peak_bytes(who):
    return resource.getrusage(who).ru_maxrss * RSS_UNIT


def cpu_seconds():
    """Of this process and of the children that have ended."""
    times = os.times()
    return sum(times[:4])


if __name__ == "__main__":
    mode, arguments = sys.argv[1], sys.argv[2:]
    print(json.dumps(run(arguments) if mode == "run" else {"heap": heap, "holder": holder}[mode](*arguments)))
