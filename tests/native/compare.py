"""Takes a dump of the same heap with both agents, and says where they differ, reference by reference.

    compare.py LIBRARY FOLDER    prints a line for each difference, and then how much was compared

What is compared: each object with its type, size and reference count; each reference with its kind, its name and what it leads to;
the rows about types, functions, code, modules and frames; the texts of keys. What one agent alone can see is named below.
"""
import builtins
import collections
import os
import sys

import heldby_agent
import holders
import read_dump


def main(library, folder):
    keep, rows = [], []
    for kind, make in (("tracked", holders.Payload), ("bytes", lambda: os.urandom(40))):
        rows += holders.hold_all(kind, make, keep)
    by_python, by_native = os.path.join(folder, "python.heldby"), os.path.join(folder, "native.heldby")
    # The first of each makes what stays: modules that are imported, tables that fill.
    for _ in range(2):
        heldby_agent.native_library = ""
        os.environ.pop("HELDBY_NATIVE_LIBRARY", None)
        heldby_agent.dump(by_python)
        heldby_agent.native_library = library
        heldby_agent.dump(by_native, compress=False)
    a, b = read_dump.Dump(by_python), read_dump.Dump(by_native)
    if not b.head["agent"].startswith("heldby_native"):
        sys.exit("the native agent did not take the dump: %s" % b.head.get("fallback"))
    differences = collections.Counter()
    examples = {}
    for what, example in compare(a, b, {address for _, address, _ in rows}):
        differences[what] += 1
        examples.setdefault(what, []).append(example)
    for what, number in differences.most_common():
        print("%s: %d, as %s" % (what, number, "; ".join(map(str, examples[what][:4]))))
    print("%d objects, %d references compared" % (len(a.objects), sum(len(o.edges) for o in a.objects.values())))
    held = [(way, address) for way, address, _ in rows if address not in b.objects or address not in a.objects]
    for way, address in held:
        print("%s: the object is not in both dumps" % way)
    # Those who wait with something in hand print it when they are let go.
    sys.stdout.flush()
    sys.stdout = open(os.devnull, "w")
    holders.release()
    return 1 if differences or held else 0


# Whole programs share these, and each agent uses some while it works.
SHARED = {
    "int", "str", "bytes", "bool", "NoneType", "NotImplementedType", "ellipsis", "float", "tuple", "type", "object", "code",
    "builtin_function_or_method", "wrapper_descriptor", "method_descriptor", "PyCSimpleType",
}


def compare(a, b, held):
    # A member of a C structure that has nothing is told as None by the interpreter, and so by the Python agent.
    none = id(None)
    for o in (*a.objects.values(), *b.objects.values()):
        o.edges = [e for e in o.edges if e.target != none]
    names = {address: "%s.%s" % tuple(row[:2]) for dump in (a, b) for address, row in dump.types.items()}
    # The frame that calls the agents is at another place by then.
    calling = {address for address, row in a.frames.items() if row[0] == id(main.__code__)}
    # What is held by nothing that both know is the working agent's own.
    in_both = a.objects.keys() & b.objects.keys()
    held_in_both = {e.target for dump in (a, b) for address in in_both for e in dump.objects[address].edges}

    def described(o):
        return "%#x %s" % (o.address, names.get(o.type))

    for address, o in a.objects.items():
        if address in calling:
            continue
        other = b.objects.get(address)
        if other is None:
            if address in held_in_both:
                yield "only the Python agent has a %s" % names.get(o.type), described(o)
            continue
        if o.type != other.type:
            yield "types differ", described(o)
            continue
        if o.size != other.size:
            yield "sizes of a %s differ" % names.get(o.type), "%s: %d, %d" % (described(o), o.size, other.size)
        is_shared = address not in held and names.get(o.type, "").partition(".")[2] in SHARED or address == id(builtins.__dict__)
        if o.count != other.count and not is_shared:
            yield "counts of a %s differ" % names.get(o.type), "%s %r: %d, %d" % (described(o), a.keys.get(address), o.count, other.count)
        if len(o.edges) == len(other.edges) and all(map(same, o.edges, other.edges)):
            continue
        mine, theirs = edges(a, o), edges(b, other)
        for edge in mine - theirs:
            yield "only the Python agent has a %s of a %s" % (edge[0], names.get(o.type)), (described(o), edge, kind_of(a, edge[2], names))
        for edge in theirs - mine:
            # Of what lies on a stack the Python agent tells only what it is sure is alive.
            if not edge[0].startswith("stack"):
                yield "only the native agent has a %s of a %s" % (edge[0], names.get(o.type)), (described(o), edge, kind_of(b, edge[2], names))
    for address, o in b.objects.items():
        if address not in a.objects and address in held_in_both and names.get(o.type) != "builtins.range_iterator":
            yield "only the native agent has a %s" % names.get(o.type), described(o)
    for table in ("types", "functions", "codes", "frames", "keys"):
        mine, theirs = getattr(a, table), getattr(b, table)
        for address in mine:
            if mine[address] != theirs.get(address) and address in b.objects and address not in calling:
                yield "rows of %s differ" % table, (hex(address), mine[address], theirs.get(address))
        for address in theirs:
            if address not in mine and address in a.objects:
                yield "only the native agent has rows of %s" % table, (hex(address), theirs[address])
    for row in set(a.modules) ^ set(b.modules):
        yield "rows of modules differ", (row, row in a.modules)
    for row in set(a.roots) ^ set(b.roots):
        yield "roots differ", (row, row in a.roots)
    for row in {tuple(sorted(f.items())) for f in a.files} ^ {tuple(sorted(f.items())) for f in b.files}:
        yield "files differ", row
    if a.lines != b.lines:
        yield "checksums of lines differ", sorted(a.lines.keys() ^ b.lines.keys())


def same(a, b):
    return a.target == b.target and a.kind == b.kind and a.name == b.name and a.described == b.described


def edges(dump, o):
    return collections.Counter((e.kind + (" (described)" if e.described else ""), e.name, e.target) for e in o.edges)


def kind_of(dump, address, names):
    o = dump.objects.get(address)
    return o and names.get(o.type)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
