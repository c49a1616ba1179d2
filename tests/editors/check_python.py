"""Checks recordings of `proxy.py`: whether each message of the server is what the protocol says, to the letter.

    check_python.py LOG…

The shapes are those of lsprotocol, which its authors generate from the protocol's own model. What no type says is checked beside it: that
an answer has a request, that a notification has its time, that a version is one that the client had, that the client announced what it
is asked for. Methods of heldby's own have no types, but they obey the rules of JSON-RPC.
"""
import collections.abc
import enum
import json
import re
import sys
import typing

import attrs
from lsprotocol import types

OWN_METHODS = ("heldby/", "workspace/textDocumentContent")
# Enumerations that may have values of others, as the protocol says.
OPEN = {"CodeActionKind", "WatchKind", "SemanticTokenTypes", "SemanticTokenModifiers", "FoldingRangeKind", "PositionEncodingKind", "LanguageKind", "ErrorCodes", "LSPErrorCodes"}
MOST_UNSIGNED, LEAST, MOST = 2**31 - 1, -(2**31), 2**31 - 1
# What the server may send before it answered to `initialize`.
EARLY = {"window/showMessage", "window/logMessage", "telemetry/event", "window/showMessageRequest", "$/progress"}
# What the client must have announced before it is asked, by method.
ANNOUNCED = {
    "window/showDocument": ("window", "showDocument", "support"),
    "window/workDoneProgress/create": ("window", "workDoneProgress"),
    "workspace/configuration": ("workspace", "configuration"),
    "workspace/applyEdit": ("workspace", "applyEdit"),
    "workspace/inlayHint/refresh": ("workspace", "inlayHint", "refreshSupport"),
    "workspace/codeLens/refresh": ("workspace", "codeLens", "refreshSupport"),
}
REGISTERED = {
    "workspace/didChangeWatchedFiles": ("workspace", "didChangeWatchedFiles", "dynamicRegistration"),
    "workspace/didChangeConfiguration": ("workspace", "didChangeConfiguration", "dynamicRegistration"),
}

for kind in list(vars(types).values()):
    if isinstance(kind, type) and attrs.has(kind):
        attrs.resolve_types(kind, vars(types))


def wire_name(name):
    """`code_description` is `codeDescription` on the wire, `from_` is `from`."""
    return re.sub(r"_([a-z0-9])", lambda match: match.group(1).upper(), name.rstrip("_"))


def faults(value, kind, path):
    """What is wrong with a value of a type, in words; nothing when nothing is."""
    if kind in (typing.Any, object):
        return []
    if kind is None or kind is type(None):
        return [] if value is None else ["%s: null is expected" % path]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        return union_faults(value, arguments, path)
    if origin in (list, collections.abc.Sequence):
        if not isinstance(value, list):
            return ["%s: a list is expected, not %r" % (path, value)]
        return [fault for place, item in enumerate(value) for fault in faults(item, arguments[0], "%s[%d]" % (path, place))]
    if origin is tuple:
        if not isinstance(value, list) or len(value) != len(arguments):
            return ["%s: a list of %d is expected" % (path, len(arguments))]
        return [fault for place, item in enumerate(value) for fault in faults(item, arguments[place], "%s[%d]" % (path, place))]
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(value, dict):
            return ["%s: an object is expected, not %r" % (path, value)]
        return [fault for name, item in value.items() for fault in faults(item, arguments[1], "%s.%s" % (path, name))]
    if origin is typing.Literal:
        return [] if value in arguments else ["%s: %r is not one of %r" % (path, value, arguments)]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        known = [member.value for member in kind]
        if value in known and not isinstance(value, bool):
            return []
        if kind.__name__ in OPEN and type(value) is type(known[0]):
            return []
        return ["%s: %r is no %s" % (path, value, kind.__name__)]
    if isinstance(kind, type) and attrs.has(kind):
        return object_faults(value, kind, path)
    return plain_faults(value, kind, path)


def union_faults(value, kinds, path):
    """Those of the kind that fits best."""
    least = None
    for kind in kinds:
        found = faults(value, kind, path)
        if not found:
            return []
        if least is None or len(found) < len(least) or "is expected" in least[0]:
            least = found
    return least or ["%s: fits none of its kinds" % path]


def object_faults(value, kind, path):
    if not isinstance(value, dict):
        return ["%s: a %s is expected, not %r" % (path, kind.__name__, value)]
    found, known = [], set()
    for field in attrs.fields(kind):
        name = wire_name(field.name)
        known.add(name)
        if name not in value:
            if field.default is attrs.NOTHING:
                found.append("%s.%s: is missing" % (path, name))
            continue
        item = value[name]
        if item is None and not may_be_null(kind, name, field):
            found.append("%s.%s: null, where it can only be left out" % (path, name))
            continue
        of_field = faults(item, field.type, "%s.%s" % (path, name))
        if not of_field and field.validator is not None and type(item) is int:
            try:
                field.validator(None, field, item)
            except ValueError as error:
                of_field = ["%s.%s: %s" % (path, name, str(error)[:80])]
        found += of_field
    found += ["%s.%s: a %s has no such member" % (path, name, kind.__name__) for name in value if name not in known]
    if kind is types.Range and not found:
        start, end = value["start"], value["end"]
        if (end["line"], end["character"]) < (start["line"], start["character"]):
            found.append("%s: it ends before it begins" % path)
    return found


# Members that are optional in lsprotocol because null is a value of theirs.
NULLABLE = {("ResponseMessage", "id"), ("ResponseErrorMessage", "id")}


def may_be_null(kind, name, field):
    if name == "result" or (kind.__name__, name) in NULLABLE:
        return True
    # lsprotocol gives every optional member the type `X | None`: null is a value where there is no default.
    return field.default is attrs.NOTHING and type(None) in typing.get_args(field.type)


def plain_faults(value, kind, path):
    if kind is bool:
        return [] if isinstance(value, bool) else ["%s: true or false is expected, not %r" % (path, value)]
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            return ["%s: an integer is expected, not %r" % (path, value)]
        return [] if LEAST <= value <= MOST else ["%s: %d is out of range" % (path, value)]
    if kind is float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return [] if is_number else ["%s: a number is expected, not %r" % (path, value)]
    if kind is str:
        return [] if isinstance(value, str) else ["%s: a text is expected, not %r" % (path, value)]
    return []


class Recording:
    """The messages of one recording, held against each other."""

    def __init__(self):
        self.faults = []
        self.checked = 0
        self.open = {"client": {}, "server": {}}
        self.used = {"client": set(), "server": set()}
        self.announced = {}
        self.is_initialized = self.is_shut_down = self.has_exited = False
        self.versions = {}
        self.tokens = {}

    def fault(self, place, what):
        self.faults.append("line %d: %s" % (place, what))

    def take(self, place, line):
        """One line of the log."""
        if "fault" in line:
            self.fault(place, "the %s: %s" % (line["from"], line["fault"]))
            return
        sender, message = line["from"], line["message"]
        other = "server" if sender == "client" else "client"
        is_servers = sender == "server"
        say = (lambda what: self.fault(place, what)) if is_servers else (lambda what: None)
        if not isinstance(message, dict):
            return say("a message is an object")
        self.checked += is_servers
        if message.get("jsonrpc") != "2.0":
            say("`jsonrpc` is not \"2.0\"")
        if "method" in message:
            self.take_call(sender, message, say)
        else:
            self.take_answer(other, message, say, is_servers)

    def take_call(self, sender, message, say):
        method = message["method"]
        if not isinstance(method, str):
            return say("a method is a text")
        if "id" in message:
            key = json.dumps(message["id"])
            if not isinstance(message["id"], (int, str)) or isinstance(message["id"], bool):
                say("an id is an integer or a text, not %s" % key)
            if key in self.used[sender]:
                say("the id %s was used before" % key)
            self.used[sender].add(key)
            self.open[sender][key] = message
        if sender == "client":
            return self.take_from_client(method, message)
        if self.is_shut_down and "id" in message:
            say("%s is asked after the shutdown" % method)
        if not self.is_initialized and method not in EARLY:
            say("%s comes before the answer to `initialize`" % method)
        if method.startswith(OWN_METHODS):
            return None
        if method not in types.METHOD_TO_TYPES:
            return say("%s is no method of the protocol" % method)
        is_request = issubclass(types.METHOD_TO_TYPES[method][0], request_kinds())
        if is_request != ("id" in message):
            say("%s is a %s" % (method, "request" if is_request else "notification"))
        for fault in faults(message, types.METHOD_TO_TYPES[method][0], method):
            say(fault)
        self.hold_against_client(method, message.get("params"), say)
        return None

    def take_from_client(self, method, message):
        params = message.get("params") or {}
        if method == "initialize":
            self.announced = params.get("capabilities", {})
        elif method == "exit":
            self.has_exited = True
        elif method in ("textDocument/didOpen", "textDocument/didChange"):
            document = params["textDocument"]
            self.versions.setdefault(document["uri"], set()).add(document["version"])
        elif method == "$/cancelRequest":
            # It may be answered with an error or with its result.
            pass
        token = params.get("workDoneToken") if isinstance(params, dict) else None
        if token is not None:
            self.tokens[json.dumps(token)] = "created"

    def hold_against_client(self, method, params, say):
        def has(path):
            found = self.announced
            for name in path:
                found = found.get(name) if isinstance(found, dict) else None
            return bool(found)

        params = params if isinstance(params, dict) else {}
        if method in ANNOUNCED and not has(ANNOUNCED[method]):
            say("%s: the client did not say that it can" % method)
        if method == "client/registerCapability":
            for registration in params.get("registrations", []):
                path = REGISTERED.get(registration.get("method"))
                if path is None or not has(path):
                    say("the client did not say that %s can be registered" % registration.get("method"))
        elif method == "textDocument/publishDiagnostics":
            version, uri = params.get("version"), params.get("uri")
            if version is not None and version not in self.versions.get(uri, ()):
                say("%s never had the version %r" % (uri, version))
            for diagnostic in params.get("diagnostics", []):
                self.hold_diagnostic(diagnostic, has, say)
        elif method == "window/workDoneProgress/create":
            key = json.dumps(params.get("token"))
            if key in self.tokens:
                say("the token %s was created before" % key)
            self.tokens[key] = "created"
        elif method == "$/progress":
            self.take_progress(params, say)

    def hold_diagnostic(self, diagnostic, has, say):
        announced = ("textDocument", "publishDiagnostics")
        for member, ability in (("relatedInformation", "relatedInformation"), ("codeDescription", "codeDescriptionSupport"), ("data", "dataSupport")):
            if isinstance(diagnostic, dict) and member in diagnostic and not has((*announced, ability)):
                say("a diagnostic has `%s`, which the client does not know" % member)

    def take_progress(self, params, say):
        key = json.dumps(params.get("token"))
        value = params.get("value")
        kind = value.get("kind") if isinstance(value, dict) else None
        kinds = {"begin": types.WorkDoneProgressBegin, "report": types.WorkDoneProgressReport, "end": types.WorkDoneProgressEnd}
        if kind not in kinds:
            return say("progress is begun, reported or ended, not %r" % kind)
        for fault in faults(value, kinds[kind], "$/progress"):
            say(fault)
        state = self.tokens.get(key)
        wanted = {"begin": ("created",), "report": ("begun",), "end": ("begun",)}[kind]
        if state not in wanted:
            say("the progress of token %s is %s: it cannot be %s" % (key, state or "unknown", kind))
        self.tokens[key] = {"begin": "begun", "report": "begun", "end": "ended"}[kind]
        return None

    def take_answer(self, asker, message, say, is_servers):
        key = json.dumps(message.get("id"))
        request = self.open[asker].pop(key, None)
        if request is None:
            return say("an answer to the id %s, which nobody asked with" % key)
        if request["method"] == "initialize" and is_servers:
            self.is_initialized = True
        if request["method"] == "shutdown" and is_servers:
            self.is_shut_down = True
        if ("result" in message) == ("error" in message):
            say("an answer has either a result or an error")
        for name in message:
            if name not in ("jsonrpc", "id", "result", "error"):
                say("an answer has no member `%s`" % name)
        method = request["method"]
        if not is_servers:
            return None
        if "error" in message:
            for fault in faults(message["error"], types.ResponseError, "the error of %s" % method):
                say(fault)
        elif method in types.METHOD_TO_TYPES:
            kind = types.METHOD_TO_TYPES[method][1]
            fields = {field.name: field.type for field in attrs.fields(kind)} if kind else {}
            for fault in faults(message.get("result"), fields.get("result", typing.Any), "the result of %s" % method):
                say(fault)
        return None

    def end(self):
        """What must be true once all is said."""
        if not self.has_exited:
            for key, request in self.open["client"].items():
                self.faults.append("the request %s (%s) was never answered" % (key, request["method"]))


def request_kinds():
    return tuple(kinds[0] for kinds in types.METHOD_TO_TYPES.values() if kinds[1] is not None)


def check(lines):
    """The faults of a recording, and how many messages of the server were checked."""
    recording = Recording()
    for place, line in enumerate(lines, 1):
        recording.take(place, line)
    recording.end()
    return recording.faults, recording.checked


def read(log):
    with open(log, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main():
    found = 0
    for log in sys.argv[1:]:
        wrong, checked = check(read(log))
        found += len(wrong)
        print("%s: %d messages of the server, %d faults" % (log, checked, len(wrong)))
        for fault in wrong[:20]:
            print("  " + fault)
        if not checked:
            found += 1
            print("  the server said nothing")
    sys.exit(1 if found or len(sys.argv) < 2 else 0)


if __name__ == "__main__":
    main()
