"""Whether the checkers catch faults: makes one at a time in good recordings, each of another kind.

    mutate.py LOG…              for check_python.py; fails when one is not caught
    mutate.py --types OUT LOG…  writes the faults that types tell of as recordings, one a file, for check_typescript.mjs
"""
import copy
import json
import os
import sys

import check_python

LARGE = 2**40


def messages(lines, what):
    """The server's messages of a method, or its answers to one."""
    methods = {}
    for line in lines:
        message = line.get("message", {})
        if line["from"] == "client" and "method" in message and "id" in message:
            methods[json.dumps(message["id"])] = message["method"]
        if line["from"] != "server":
            continue
        method = message.get("method") or "answer:" + methods.get(json.dumps(message.get("id")), "?")
        if method == what:
            yield line, message


def with_diagnostics(lines):
    for _, message in messages(lines, "textDocument/publishDiagnostics"):
        if message["params"]["diagnostics"]:
            yield message["params"]["diagnostics"][0]


FAULTS = []


def fault(of_types):
    """Registers a fault. It returns False where a recording has no place for it."""

    def register(make):
        FAULTS.append((make.__name__.replace("_", " "), make, of_types))
        return make

    return register


def in_diagnostic(name, change, of_types=True):
    def make(lines):
        for diagnostic in with_diagnostics(lines):
            return change(diagnostic) is not False
        return False

    FAULTS.append((name, make, of_types))


def in_answer(method, name, change, of_types=True):
    def make(lines):
        for _, message in messages(lines, "answer:" + method):
            if message.get("result"):
                return change(message["result"]) is not False
        return False

    FAULTS.append((name, make, of_types))


in_diagnostic("a diagnostic without its range", lambda d: d.pop("range"))
in_diagnostic("a diagnostic without its message", lambda d: d.pop("message"))
in_diagnostic("a diagnostic with a member too much", lambda d: d.update(colour="red"))
in_diagnostic("a message that is a number", lambda d: d.update(message=7))
in_diagnostic("a severity that does not exist", lambda d: d.update(severity=9))
in_diagnostic("a severity as a text", lambda d: d.update(severity="warning"))
in_diagnostic("a source that is null", lambda d: d.update(source=None))
in_diagnostic("tags that are no list", lambda d: d.update(tags=1))
in_diagnostic("a code that is a list", lambda d: d.update(code=["a"]))
in_diagnostic("a negative line", lambda d: d["range"]["start"].update(line=-1), of_types=False)
in_diagnostic("a line too large", lambda d: d["range"]["end"].update(line=LARGE), of_types=False)
in_diagnostic("a line that is a text", lambda d: d["range"]["start"].update(line="3"))
in_diagnostic("half a column", lambda d: d["range"]["end"].update(character=1.5), of_types=False)
in_diagnostic("a column that is true", lambda d: d["range"]["end"].update(character=True))
in_diagnostic("a position without its line", lambda d: d["range"]["start"].pop("line"))
in_diagnostic(
    "a range that ends before it begins",
    lambda d: d.update(range={"start": {"line": 9, "character": 0}, "end": {"line": 8, "character": 0}}),
    of_types=False,
)
in_diagnostic("related information without its message", lambda d: d.update(relatedInformation=[{"location": {"uri": "file:///a", "range": d["range"]}}]))
in_diagnostic("a location without its URI", lambda d: d.update(relatedInformation=[{"location": {"range": d["range"]}, "message": "x"}]))
in_diagnostic("a description without its link", lambda d: d.update(codeDescription={}))


@fault(of_types=False)
def a_version_from_the_future(lines):
    for _, message in messages(lines, "textDocument/publishDiagnostics"):
        if "version" in message["params"]:
            message["params"]["version"] += 1000
            return True
    return False


@fault(of_types=True)
def diagnostics_without_their_document(lines):
    for _, message in messages(lines, "textDocument/publishDiagnostics"):
        del message["params"]["uri"]
        return True
    return False


@fault(of_types=True)
def diagnostics_that_are_an_object(lines):
    for _, message in messages(lines, "textDocument/publishDiagnostics"):
        message["params"]["diagnostics"] = {}
        return True
    return False


in_answer("initialize", "no capabilities", lambda r: r.pop("capabilities"))
in_answer("initialize", "a capability as a text", lambda r: r["capabilities"].update(hoverProvider="yes"))
in_answer("initialize", "a server without a name", lambda r: r["serverInfo"].pop("name"))
in_answer("initialize", "commands that are numbers", lambda r: r["capabilities"]["executeCommandProvider"].update(commands=[1]))
in_answer("textDocument/hover", "a hover without contents", lambda r: r.pop("contents"))
in_answer("textDocument/hover", "contents of an unknown kind", lambda r: r["contents"].update(kind="html"))
in_answer("textDocument/hover", "contents that are a number", lambda r: r.update(contents=3))
in_answer("textDocument/codeAction", "an action without its title", lambda r: r[0].pop("title"))
in_answer("textDocument/codeAction", "a command without its name", lambda r: r[0]["command"].pop("command"))
in_answer("textDocument/codeAction", "an action that is preferred a little", lambda r: r[0].update(isPreferred=1))


def first_answer(lines):
    for line, message in messages(lines, "answer:initialize"):
        return line, message
    return None, None


@fault(of_types=False)
def an_answer_that_comes_twice(lines):
    line, _ = first_answer(lines)
    lines.insert(lines.index(line) + 1, copy.deepcopy(line))
    return True


@fault(of_types=False)
def an_answer_that_is_lost(lines):
    line, _ = first_answer(lines)
    lines.remove(line)
    return True


@fault(of_types=False)
def an_answer_to_another_id(lines):
    first_answer(lines)[1]["id"] = "nobody's"
    return True


@fault(of_types=False)
def a_result_beside_an_error(lines):
    first_answer(lines)[1]["error"] = {"code": -32603, "message": "x"}
    return True


@fault(of_types=False)
def neither_result_nor_error(lines):
    del first_answer(lines)[1]["result"]
    return True


@fault(of_types=False)
def an_error_without_its_code(lines):
    message = first_answer(lines)[1]
    del message["result"]
    message["error"] = {"message": "x"}
    return True


@fault(of_types=False)
def another_version_of_the_protocol(lines):
    first_answer(lines)[1]["jsonrpc"] = "1.0"
    return True


@fault(of_types=False)
def a_member_beside_the_result(lines):
    first_answer(lines)[1]["colour"] = "red"
    return True


def said_after_initialize(lines, message):
    line, _ = first_answer(lines)
    lines.insert(lines.index(line) + 1, {"from": "server", "message": dict(message, jsonrpc="2.0")})
    return True


@fault(of_types=False)
def diagnostics_before_the_answer_to_initialize(lines):
    line, _ = first_answer(lines)
    params = {"uri": "file:///a.py", "diagnostics": []}
    lines.insert(lines.index(line), {"from": "server", "message": {"jsonrpc": "2.0", "method": "textDocument/publishDiagnostics", "params": params}})
    return True


@fault(of_types=False)
def an_unknown_method(lines):
    return said_after_initialize(lines, {"method": "textDocument/colour", "params": {}})


@fault(of_types=False)
def a_notification_with_an_id(lines):
    return said_after_initialize(lines, {"id": 77, "method": "window/logMessage", "params": {"type": 3, "message": "x"}})


@fault(of_types=False)
def a_request_without_an_id(lines):
    return said_after_initialize(lines, {"method": "workspace/configuration", "params": {"items": []}})


@fault(of_types=False)
def progress_of_an_unknown_token(lines):
    value = {"kind": "begin", "title": "x"}
    return said_after_initialize(lines, {"method": "$/progress", "params": {"token": "nobody's", "value": value}})


@fault(of_types=False)
def progress_that_ends_twice(lines):
    for line, message in messages(lines, "$/progress"):
        if message["params"]["value"]["kind"] == "end":
            lines.insert(lines.index(line) + 1, copy.deepcopy(line))
            return True
    return False


@fault(of_types=True)
def a_log_message_of_an_unknown_type(lines):
    return said_after_initialize(lines, {"method": "window/logMessage", "params": {"type": 12, "message": "x"}})


@fault(of_types=False)
def a_question_that_the_client_cannot_answer(lines):
    for line in lines:
        if line["message"].get("method") == "initialize":
            line["message"]["params"]["capabilities"]["window"] = {}
    return said_after_initialize(lines, {"id": 78, "method": "window/showDocument", "params": {"uri": "file:///a.py"}})


@fault(of_types=False)
def a_header_that_is_none(lines):
    lines.append({"from": "server", "fault": "a header line does not end with CR LF"})
    return True


def mutants(recordings):
    """(name, recording with the fault, whether types tell of it); of each kind of fault one."""
    for name, make, of_types in FAULTS:
        for lines in recordings:
            changed = copy.deepcopy(lines)
            if make(changed):
                yield name, changed, of_types
                break
        else:
            yield name, None, of_types


def main():
    arguments = sys.argv[1:]
    out = arguments[1] if arguments[:1] == ["--types"] else None
    recordings = [check_python.read(log) for log in (arguments[2:] if out else arguments)]
    made = caught = 0
    for name, lines, of_types in mutants(recordings):
        if lines is None:
            print("no recording has a place for: " + name)
            made += 1
        elif out:
            if of_types:
                path = os.path.join(out, name.replace(" ", "-") + ".jsonl")
                with open(path, "w", encoding="utf-8") as file:
                    file.writelines(json.dumps(line) + "\n" for line in lines)
                made, caught = made + 1, caught + 1
        else:
            made += 1
            found = bool(check_python.check(lines)[0])
            caught += found
            if not found:
                print("not caught: " + name)
    print("%d of %d kinds of faults %s" % (caught, made, "written" if out else "caught"))
    sys.exit(0 if made and caught == made else 1)


if __name__ == "__main__":
    main()
