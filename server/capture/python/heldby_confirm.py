# What `heldby confirm` adds to the agent: how often lines of the program run.
#
# This text stands behind the agent's own, in its namespace. Since 3.12 the interpreter itself calls back for the lines of the code
# that is asked about, and for nothing else (`sys.monitoring`, PEP 669). Before that each thread gets a trace function (`sys.settrace`),
# which is called whenever a function is: the program is slower as long as that lasts. Either way nothing of it stays.

COUNT_WITH = "sys.monitoring" if sys.version_info >= (3, 12) else "sys.settrace"

# Those of a debugger, of coverage, of a profiler and of an optimizer are theirs.
_MONITORING_TOOLS = (4, 3)


def count_lines(wanted, seconds):
    """How often lines run within some seconds. `wanted`: file, first line, last line and the function's name of each.

    Tells `runs`, a number for each, None where there is no such code; and `failed`, why nothing could be counted.
    """
    codes = _codes_of({file for file, _, _, _ in wanted})
    counters, rows = {}, []
    for file, first, last, name in wanted:
        row = itertools.count()
        places = _places_of(codes.get(file, ()), first, last, name)
        for code, line in places:
            counters.setdefault((id(code), line), []).append(row)
        rows.append(row if places else None)
    watched = {id(code): code for found in codes.values() for code in found if any(key[0] == id(code) for key in counters)}
    count = _count_by_monitoring if COUNT_WITH == "sys.monitoring" else _count_by_trace_functions
    failed = count(watched, counters, seconds) if watched else None
    return {"runs": [None if row is None else next(row) for row in rows], "failed": failed, "seconds": seconds, "by": COUNT_WITH}


def _codes_of(files):
    """All code of these files that can run: of functions, of what runs or waits, and what stands in code."""
    generators = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
    waiting, seen, found = [], set(), {}
    for one in gc.get_objects():
        kind = type(one)
        if kind is types.FunctionType:
            waiting.append(one.__code__)
        elif kind in generators:
            waiting.append(one.gi_code if kind is generators[0] else one.cr_code if kind is generators[1] else one.ag_code)
    for frame in _tops().values():
        while frame is not None:
            waiting.append(frame.f_code)
            frame = frame.f_back
    while waiting:
        code = waiting.pop()
        if id(code) not in seen:
            seen.add(id(code))
            waiting += [part for part in code.co_consts if type(part) is types.CodeType]
            if code.co_filename in files:
                found.setdefault(code.co_filename, []).append(code)
    return found


def _places_of(codes, first, last, name):
    """The code that has one of the lines, and the first that it has. Of the function's name, if there is such."""
    places = []
    for code in codes:
        lines = [line for line in _lines_of(code) if first <= line <= last]
        if lines:
            places.append((code, min(lines)))
    return [place for place in places if place[0].co_name == name] or places


def _lines_of(code):
    if hasattr(code, "co_lines"):
        return {line for _, _, line in code.co_lines() if line}
    # Pairs of steps in bytes and in lines, the latter with a sign (Objects/lnotab_notes.txt).
    line, lines = code.co_firstlineno, {code.co_firstlineno}
    for step in code.co_lnotab[1::2]:
        line += step - 256 if step >= 128 else step
        lines.add(line)
    return lines


def _count_by_monitoring(codes, counters, seconds):
    monitoring = sys.monitoring
    tool = next((tool for tool in _MONITORING_TOOLS if monitoring.get_tool(tool) is None), None)
    if tool is None:
        return "other tools use all that sys.monitoring has for them"
    disable = monitoring.DISABLE

    def on_line(code, line):
        rows = counters.get((id(code), line))
        if rows is None:
            return disable
        for row in rows:
            next(row)

    monitoring.use_tool_id(tool, "heldby")
    try:
        monitoring.register_callback(tool, monitoring.events.LINE, on_line)
        for code in codes.values():
            monitoring.set_local_events(tool, code, monitoring.events.LINE)
        time.sleep(seconds)
    finally:
        for code in codes.values():
            monitoring.set_local_events(tool, code, 0)
        monitoring.register_callback(tool, monitoring.events.LINE, None)
        monitoring.free_tool_id(tool)
    return None


def _count_by_trace_functions(codes, counters, seconds):
    if _load_native() is not None:
        return "before Python 3.12 it takes the native agent: %s" % (_load_native() or "there is none")

    def on_call(frame, event, argument):
        return on_line if id(frame.f_code) in codes else None

    def on_line(frame, event, argument):
        if event == "line":
            for row in counters.get((id(frame.f_code), frame.f_lineno), ()):
                next(row)
        return on_line

    # Where the program has not imported it, it begins no threads by it.
    threading = sys.modules.get("threading", types.SimpleNamespace(_trace_hook=None))
    before = threading._trace_hook
    # A debugger puts its own function in the place of the interpreter's.
    is_own = type(sys.settrace) is types.BuiltinFunctionType is type(sys.gettrace)
    if before is not None or not is_own or not _trace_threads(None, on_call):
        return "a debugger or another tool traces the program itself, and there is room for one in Python before 3.12"
    threading._trace_hook = on_call
    try:
        for frame in _frames_of(codes):
            frame.f_trace = on_line
        time.sleep(seconds)
    finally:
        threading._trace_hook = before
        _trace_threads(on_call, None)
        for frame in _frames_of(codes):
            if frame.f_trace is on_line:
                frame.f_trace = None
    return None


def _trace_threads(expected, function):
    """Gives the other threads a trace function, or takes it from them. False, and nothing is done, where one has another than expected."""
    return _native["trace_threads"](id(sys.settrace), id(sys.gettrace), id(expected), id(function)) == 0


def _frames_of(codes):
    """Frames of these codes that run or wait."""
    waiting = [one.gi_frame for one in gc.get_objects() if type(one) is types.GeneratorType]
    waiting += [one.cr_frame for one in gc.get_objects() if type(one) is types.CoroutineType]
    for frame in _tops().values():
        while frame is not None:
            waiting.append(frame)
            frame = frame.f_back
    return [frame for frame in waiting if frame is not None and id(frame.f_code) in codes]


def _count_or_say_why_not(path, wanted, seconds):
    """Writes what was counted, as JSON; or `path + ".failed"`."""
    try:
        found = json.dumps(count_lines(wanted, seconds))
        with open(path + ".part", "w", encoding="utf-8") as file:
            file.write(found)
        os.replace(path + ".part", path)
    except BaseException as error:
        _say_why_not(path, "%s: %s" % (type(error).__name__, error))
