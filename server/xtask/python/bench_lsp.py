"""Figures of `heldby lsp`, measured. Prints JSON. Runs on Linux.

    bench_lsp.py make FOLDER AGENT      a program with a file of 5,000 lines, three dumps of its 1.5 million objects, and a small one
    bench_lsp.py measure FOLDER HELDBY  loads them while a client types, hovers and asks for code actions
"""

import importlib.util
import json
import os
import queue
import random
import subprocess
import sys
import threading
import time

LINES = 5_000
# Seven objects each, as in bench.py.
ORDERS_AT_FIRST, ORDERS_A_DUMP = 206_000, 4_000
EDITS_A_SECOND, SECONDS = 20, 30
LOADS = 1_000
# Loads until the server's memory has settled; the rest is compared in two halves.
SETTLED = 100


def source():
    """The leak stands in the middle."""
    begin = ["ORDERS = {}", "", "", "class Order:", "    def __init__(self, number):"]
    begin += ["        self.name = 'order %d' % number", "        self.lines = [number]"]
    begin += ["        self.totals = {number: self.lines}", "        self.document = b'%d' % number", "", ""]
    store = ["def place(number):", "    ORDERS['key %d' % number] = Order(number)", "", ""]
    lines, number = begin, 0
    while len(lines) < LINES:
        if number == LINES // 12:
            lines += store
        lines += ["def function_%d(value):" % number, "    result = [value, %d]" % number, "    return sum(result)", "", "", "#"]
        number += 1
    return "\n".join(lines) + "\n"


def make(folder, agent_path):
    agent = load("heldby_agent", agent_path)
    path = os.path.join(folder, "orders.py")
    with open(path, "w") as file:
        file.write(source())
    agent.dump(os.path.join(folder, "small.heldby"))
    orders = load("orders", path)
    number = 0
    for dump in range(3):
        while number < ORDERS_AT_FIRST + dump * ORDERS_A_DUMP:
            orders.place(number)
            number += 1
        agent.dump(os.path.join(folder, "%d.heldby" % dump))
    return {}


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Client:
    """Speaks the protocol; notes when each answer and each publication came."""

    def __init__(self, heldby, folder):
        self.server = subprocess.Popen([heldby, "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answers, self.published = {}, queue.Queue()
        self.heard = threading.Condition()
        self.number = 0
        threading.Thread(target=self.read, daemon=True).start()
        abilities = {"publishDiagnostics": {"relatedInformation": True, "versionSupport": True}}
        abilities["hover"] = {"contentFormat": ["markdown"]}
        self.result("initialize", {"processId": None, "rootUri": "file://" + folder, "capabilities": {"textDocument": abilities}})
        self.notify("initialized", {})

    def read(self):
        output = self.server.stdout
        while True:
            length = None
            while True:
                line = output.readline()
                if not line:
                    return
                if line == b"\r\n":
                    break
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            message, now = json.loads(output.read(length)), time.perf_counter()
            if message.get("method") == "textDocument/publishDiagnostics":
                self.published.put((now, message["params"]))
            elif "id" in message and "method" in message:
                self.send({"id": message["id"], "result": None})
            elif "id" in message:
                with self.heard:
                    self.answers[message["id"]] = (now, message)
                    self.heard.notify_all()

    def send(self, message):
        body = json.dumps(dict(message, jsonrpc="2.0")).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.server.stdin.flush()

    def notify(self, method, params):
        self.send({"method": method, "params": params})

    def request(self, method, params):
        """The answer, and the seconds it took."""
        self.number += 1
        begin = time.perf_counter()
        self.send({"id": self.number, "method": method, "params": params})
        with self.heard:
            while self.number not in self.answers:
                if not self.heard.wait(120):
                    raise SystemExit("%s was not answered" % method)
            now, message = self.answers.pop(self.number)
        if "error" in message:
            raise SystemExit("%s: %s" % (method, message["error"]))
        return message["result"], now - begin

    def result(self, method, params):
        return self.request(method, params)[0]

    def command(self, command, *arguments):
        return self.result("workspace/executeCommand", {"command": command, "arguments": list(arguments)})

    def memory(self):
        with open("/proc/%d/status" % self.server.pid) as status:
            fields = dict(line.split(":", 1) for line in status)
        return {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")}

    def end(self):
        self.result("shutdown", None)
        self.notify("exit", None)
        return self.server.wait(30)


def measure(folder, heldby):
    path = os.path.join(folder, "orders.py")
    uri = "file://" + path
    dumps = ["file://" + os.path.join(folder, "%d.heldby" % dump) for dump in range(3)]
    client = Client(heldby, folder)
    text = source()
    document = {"uri": uri, "languageId": "python", "version": 1, "text": text}
    client.notify("textDocument/didOpen", {"textDocument": document})
    before = client.memory()["VmRSS"]
    begin = time.perf_counter()
    answer = client.command("heldby.load", *dumps)
    loaded = time.perf_counter() - begin
    first = client.published.get(timeout=60)[0] - begin
    objects = sum(dump["objects"] for dump in answer["loaded"])
    assert not answer["problems"], answer["problems"]
    memory = client.memory()
    typed = type_and_ask(client, uri, text)
    after_typing = client.memory()["VmRSS"]
    assert client.end() == 0

    client = Client(heldby, folder)
    small = "file://" + os.path.join(folder, "small.heldby")
    sizes = []
    for _ in range(LOADS):
        client.command("heldby.load", small)
        client.command("heldby.unload", small)
        sizes.append(client.memory()["VmRSS"])
    assert client.end() == 0
    return dict(
        typed,
        objects=objects,
        first_diagnostic_seconds=first,
        load_seconds=loaded,
        bytes_an_object=(memory["VmRSS"] - before) / objects,
        peak_bytes_an_object=(memory["VmHWM"] - before) / objects,
        grown_while_typing_bytes=after_typing - memory["VmRSS"],
        earlier_loads_bytes=max(sizes[SETTLED : (SETTLED + LOADS) // 2]),
        later_loads_bytes=max(sizes[(SETTLED + LOADS) // 2 :]),
    )


def type_and_ask(client, uri, text):
    """Types into the function above the leak and hovers on the leak, whose line is known."""
    leak = next(number for number, line in enumerate(text.split("\n")) if line.startswith("    ORDERS['key"))
    while not client.published.empty():
        client.published.get()
    sent, published = {}, {}
    hovers, actions = [], []
    stopped = threading.Event()

    def listen():
        while not stopped.is_set():
            try:
                now, params = client.published.get(timeout=0.2)
            except queue.Empty:
                continue
            if params["uri"] == uri and params.get("version") is not None:
                published[params["version"]] = now

    listener = threading.Thread(target=listen)
    listener.start()
    chance = random.Random(1)
    line = leak - 4
    begin = time.perf_counter()
    for number in range(EDITS_A_SECOND * SECONDS):
        version = number + 2
        # A letter at a time, and now and then a new line.
        new_line = number % 40 == 39
        position = {"line": line, "character": 0}
        change = {"range": {"start": position, "end": position}, "text": "\n" if new_line else "x"}
        sent[version] = time.perf_counter()
        client.notify(
            "textDocument/didChange", {"textDocument": {"uri": uri, "version": version}, "contentChanges": [change]}
        )
        if new_line:
            leak, line = leak + 1, line + 1
        at = {"line": leak, "character": chance.randrange(4, 30)}
        answer, seconds = client.request("textDocument/hover", {"textDocument": {"uri": uri}, "position": at})
        assert "alive through" in answer["contents"]["value"], answer
        hovers.append(seconds)
        params = {"textDocument": {"uri": uri}, "range": {"start": at, "end": at}, "context": {"diagnostics": []}}
        answer, seconds = client.request("textDocument/codeAction", params)
        assert answer, "no code actions on the leak"
        actions.append(seconds)
        due = begin + (number + 1) / EDITS_A_SECOND
        time.sleep(max(0, due - time.perf_counter()))
    time.sleep(1)
    stopped.set()
    listener.join()
    # An edit is answered by the first publication of its version or a later one.
    waits, newest = [], None
    for version in sorted(sent, reverse=True):
        newest = published.get(version, newest)
        if newest is None:
            raise SystemExit("the last edit was never answered")
        waits.append(newest - sent[version])
    figures = {}
    for name, values in (("hover", hovers), ("action", actions), ("republish", waits)):
        values.sort()
        figures[name + "_p50_seconds"] = values[len(values) // 2]
        figures[name + "_p99_seconds"] = values[int(len(values) * 0.99)]
    figures["edits"] = len(sent)
    figures["publications"] = len(published)
    return figures


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    print(json.dumps({"make": make, "measure": measure}[command](*arguments)))
