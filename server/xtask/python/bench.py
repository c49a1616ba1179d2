"""Figures of heldby, measured. Prints JSON. Runs on Unix.

    bench.py heap AGENT DUMP    makes a heap of 1.4 million objects, and dumps it with the agent
    bench.py run COMMAND...     runs a command, its output thrown away
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
    spec = importlib.util.spec_from_file_location("heldby_agent", agent_path)
    agent = importlib.util.module_from_spec(spec)
    sys.modules["heldby_agent"] = agent
    spec.loader.exec_module(agent)
    orders = make_heap()
    peak = peak_bytes(resource.RUSAGE_SELF)
    cpu, wall = cpu_seconds(), time.perf_counter()
    agent.dump(dump)
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    assert len(orders) == INSTANCES
    more = peak_bytes(resource.RUSAGE_SELF) - peak
    return {"cpu_seconds": cpu, "wall_seconds": wall, "peak_bytes": more, "dump_bytes": os.path.getsize(dump)}


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
    print(json.dumps(heap(*sys.argv[2:]) if sys.argv[1] == "heap" else run(sys.argv[2:])))
