"""How much a program notices of a dump that the native agent takes. Prints JSON. Runs on Linux.

    bench_native.py AGENT LIBRARY DUMP INSTANCES    dumps a heap of seven objects an instance, or eight before Python 3.11, while a thread
                                                    counts and a web server answers
    bench_native.py AGENT "" DUMP INSTANCES         the same heap without a library: a fork, and a walk in Python in the child
"""

import http.client
import http.server
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

ROUNDS = 5


class Order:
    def __init__(self, number):
        self.name = "order %d" % number
        self.lines = [number]
        self.totals = {number: self.lines}
        self.document = b"%d" % number


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet an answer: the second of two would wait for the visitor's system to acknowledge the first.
    wbufsize = -1
    orders = {}

    def do_GET(self):
        found = json.dumps([self.orders["key %d" % number].name for number in range(500)]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, *_):
        pass


# A program of its own, so that what it measures is what a visitor feels: when each answer came, and after how long.
VISITOR = """
import http.client, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
until = time.time() + float(sys.argv[2])
while time.time() < until:
    begun = time.perf_counter()
    connection.request("GET", "/")
    connection.getresponse().read()
    print(time.time(), time.perf_counter() - begun)
"""


def main(agent_path, library, dump, instances):
    specification = importlib.util.spec_from_file_location("heldby_agent", agent_path)
    agent = sys.modules["heldby_agent"] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(agent)
    agent.native_library = library
    Answers.orders = {"key %d" % number: Order(number) for number in range(int(instances))}
    if not library:
        print(json.dumps(fork_and_walk(agent, dump)))
        return
    rounds = [take(agent, dump) for _ in range(ROUNDS)]
    best = min(rounds, key=lambda found: found["stood_still_nanoseconds"])
    found = {**best, **serve(agent, dump)}
    found["stood_still_at_most_nanoseconds"] = max(found["stood_still_nanoseconds"] for found in rounds)
    found["gap_seconds"] = max(found["gap_seconds"] for found in rounds)
    found["dump_bytes"] = os.path.getsize(dump)
    print(json.dumps(found))


def take(agent, dump):
    """One dump, and the longest time in which a thread that does nothing but count did not."""
    longest, stop = [0.0], []

    def count():
        last = time.perf_counter()
        while not stop:
            now = time.perf_counter()
            longest[0] = max(longest[0], now - last)
            last = now

    thread = threading.Thread(target=count)
    thread.start()
    time.sleep(0.2)
    longest[0] = 0.0
    begun = time.perf_counter()
    agent.dump(dump)
    whole = time.perf_counter() - begun
    stop.append(1)
    thread.join()
    if "report" not in agent._native or "objects" not in agent._native["report"]:
        sys.exit("the native agent did not take the dump: %s" % agent._native.get("why_not"))
    return {"gap_seconds": longest[0], "whole_seconds": whole, **agent._native["report"]}


def fork_and_walk(agent, dump):
    """As objex takes its dumps: the child of an `os.fork` does it, in Python."""
    reading, writing = os.pipe()
    begun = time.perf_counter()
    child = os.fork()
    if child == 0:
        agent.dump(dump)
        with open("/proc/self/smaps_rollup") as rollup:
            private = sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Private_Dirty:"))
        os.write(writing, b"%d" % private)
        os._exit(0)
    stood_still = time.perf_counter() - begun
    _, status, usage = os.wait4(child, 0)
    whole = time.perf_counter() - begun
    if status:
        sys.exit("the child has failed")
    return {
        "stood_still_nanoseconds": stood_still * 1e9,
        "whole_seconds": whole,
        "cpu_nanoseconds": (usage.ru_utime + usage.ru_stime) * 1e9,
        "private_bytes": int(os.read(reading, 20)),
        "dump_bytes": os.path.getsize(dump),
    }


def serve(agent, dump):
    """What a visitor of a web server in this process waits: before a dump, while it is taken, and after."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.executable, "-c", VISITOR, str(server.server_port), "9"]
    # Not through a pipe, which nobody reads meanwhile.
    said = tempfile.TemporaryFile()
    visitor = subprocess.Popen(command, stdout=said)
    time.sleep(3)
    begun = time.time()
    agent.dump(dump)
    ended = time.time()
    visitor.wait()
    server.shutdown()
    said.seek(0)
    answers = [tuple(map(float, line.split())) for line in said.read().decode().splitlines()]
    spans = {"before": (answers[0][0], begun), "during": (begun, ended), "after": (ended, answers[-1][0])}
    found = {}
    for name, (first, last) in spans.items():
        waits = sorted(wait for at, wait in answers if first <= at <= last)
        if waits:
            found["p99_%s_seconds" % name] = waits[len(waits) * 99 // 100]
            found["answers_a_second_%s" % name] = len(waits) / (last - first)
    return found


main(*sys.argv[1:])
