"""What tracing costs: CPU seconds of three pieces of work, and the memory after them. Prints JSON.

    bench_trace.py AGENT LIBRARY MODE    MODE: off, containers, all, or tracemalloc
"""

import importlib.util
import json
import resource
import sys
import time


class Order:
    def __init__(self, number):
        self.name = "order %d" % number
        self.lines = [number, number + 1]
        self.totals = {number: self.lines}
        self.tags = {number, "new"}


def build():
    """What fills a heap."""
    return [Order(number) for number in range(300_000)]


def serve():
    """What a service does that parses, groups and forgets: containers come and go."""
    text = json.dumps([{"id": number, "tags": ["a", "b", str(number)], "price": number / 7} for number in range(500)])
    groups = {}
    for request in range(500):
        for row in json.loads(text):
            group = groups.setdefault((row["id"] * 7919 + request) % 5003, [])
            group.append((row["id"], sorted(row["tags"])))
            if len(group) > 40:
                del group[:20]
    return groups


def count():
    """What makes no container."""
    number = 0
    for step in range(4_000_000):
        number = (number * 31 + step) & 0xFFFF
    return number


def main(agent_path, library, mode):
    if mode == "tracemalloc":
        import tracemalloc

        tracemalloc.start()
    elif mode != "off":
        specification = importlib.util.spec_from_file_location("heldby_agent", agent_path)
        agent = sys.modules["heldby_agent"] = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(agent)
        agent.native_library = library
        agent.trace(all=mode == "all")
    found = {}
    for work in (build, serve, count):
        begun = time.process_time()
        kept = work()
        found[work.__name__] = time.process_time() - begun
        del kept
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(found))


main(*sys.argv[1:])
