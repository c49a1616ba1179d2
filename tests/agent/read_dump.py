"""Reads a heldby dump (server/dump/FORMAT.md) into plain dictionaries. For tests: it is strict, slow and simple."""
import binascii
import json
import struct
import unittest
import zlib
from array import array

KINDS = ["other", "attribute", "slot", "list item", "tuple item", "set member", "deque item", "value", "key", "namespace", "type",
         "free variable", "contents", "default", "keyword default", "local", "cache", "machinery", "stack",
         "iterates", "view", "thread local", "context"]
NAMED = {"attribute", "slot", "free variable", "default", "keyword default", "local", "machinery"}
DESCRIBED = 256
NO_STRING = 0xFFFFFFFF


def unpack_zstd(data):
    try:
        from compression import zstd
    except ImportError:
        raise unittest.SkipTest("this Python cannot read zstd, which the native agent packs dumps with: 3.14 can") from None
    return zstd.decompress(data)


class Edge:
    """One reference. `name` is a text, a place in a row, or for dictionary values the address of the key."""

    __slots__ = ("kind", "name", "target", "described")

    def __init__(self, kind, name, target, described=False):
        self.kind, self.name, self.target, self.described = kind, name, target, described

    def __repr__(self):
        return "<%s%s %r -> %#x>" % ("described " if self.described else "", self.kind, self.name, self.target)


class Object:
    __slots__ = ("address", "type", "count", "size", "edges")

    def __init__(self, address, type, count, size):
        self.address, self.type, self.count, self.size, self.edges = address, type, count, size, []


class Body:
    def __init__(self, data):
        self.data, self.at = data, 0

    def numbers(self, code, count):
        end = self.at + count * struct.calcsize("<" + code)
        column = array(code, self.data[self.at:end])
        assert len(column) == count, "a column was cut off"
        self.at = end
        return column

    def u32(self, count):
        return self.numbers("I", count)

    def u64(self, count):
        return self.numbers("Q", count)

    def rest(self):
        data, self.at = self.data[self.at:], len(self.data)
        return data


class Dump:
    def __init__(self, path):
        self.head, self.strings, self.shapes = {}, [], []
        self.objects, self.keys, self.types, self.codes, self.functions = {}, {}, {}, {}, {}
        self.links, self.growths = [], {}
        self.modules, self.frames, self.roots, self.files, self.lines = [], {}, [], [], {}
        self.repeated, self.sections, self.row = [], [], []
        with open(path, "rb") as file:
            data = file.read()
        assert data[:16] == b"\x89HELDBY\n" + struct.pack("<HHI", 1, data[10], 0) and data[10] in (1, 2), "not a dump"
        at, ended = 16, False
        while at < len(data):
            assert not ended, "something after END"
            head = data[at:at + 28]
            tag, codec, stored, plain, checksum = struct.unpack("<4sB3xQQI", head)
            assert struct.unpack_from("<I", data, at + 28)[0] == binascii.crc32(head), "a section's header is damaged"
            body = data[at + 32:at + 32 + stored]
            assert len(body) == stored and binascii.crc32(body) == checksum, "a section is damaged"
            body = {0: bytes, 1: zlib.decompress, 2: unpack_zstd}[codec](body)
            assert len(body) == plain <= 256 << 20
            at += 32 + stored
            tag = tag.decode()
            assert self.sections or tag == "HEAD", "HEAD comes first"
            body = Body(body)
            getattr(self, "read_" + tag.strip())(body)
            assert body.at == len(body.data), "%s has %d bytes too many" % (tag, len(body.data) - body.at)
            ended = tag == "END "
            self.sections.append(tag)
        assert ended, "the dump was cut off"

    def text(self, row):
        return None if row == NO_STRING else self.strings[row]

    def texts(self, body, count):
        return [self.text(row) for row in body.u32(count)]

    def counted(self, body):
        count, zero = body.u32(2)
        assert zero == 0
        return count

    def read_HEAD(self, body):
        self.head.update(json.loads(body.rest().decode()))

    def read_STRS(self, body):
        for length in body.u32(body.u32(1)[0]):
            self.strings.append(bytes(body.numbers("B", length)).decode("utf-8", "surrogatepass"))

    def read_SHAP(self, body):
        count, total = body.u32(2)
        lengths, kinds, names = body.u32(count), body.u32(total), body.u32(total)
        assert sum(lengths) == total
        at = 0
        for length in lengths:
            shape = []
            for kind, name in zip(kinds[at:at + length], names[at:at + length]):
                described, kind = bool(kind & DESCRIBED), KINDS[kind & ~DESCRIBED]
                assert (kind in NAMED) == (name != NO_STRING), (kind, name)
                shape.append((kind, self.text(name), described))
            self.shapes.append(shape)
            at += length

    def read_OBJS(self, body):
        (type,) = body.u64(1)
        count, width = body.u32(2)
        addresses, counts = body.u64(count), body.u32(count)
        sizes = body.numbers("I" if width == 4 else "Q", count)
        self.row = []
        for address, references, size in zip(addresses, counts, sizes):
            if address in self.objects:
                self.repeated.append(address)
            o = self.objects[address] = Object(address, type, references, size)
            self.row.append(o)

    def read_ITEM(self, body):
        kind, count = body.u32(2)
        assert count == len(self.row)
        kind = KINDS[kind]
        lengths = body.u32(count)
        targets = iter(body.u64(sum(lengths)))
        for o, length in zip(self.row, lengths):
            for place in range(length):
                o.edges.append(Edge(kind, None if kind == "set member" else place, next(targets)))

    def read_DICT(self, body):
        count = self.counted(body)
        assert count == len(self.row)
        lengths = body.u32(count)
        keys, values = iter(body.u64(sum(lengths))), iter(body.u64(sum(lengths)))
        for o, length in zip(self.row, lengths):
            for _ in range(length):
                key = next(keys)
                o.edges.append(Edge("key", None, key))
                o.edges.append(Edge("value", key, next(values)))

    def read_FLDS(self, body):
        count = self.counted(body)
        assert count == len(self.row)
        shapes = [self.shapes[row] for row in body.u32(count)]
        targets = iter(body.u64(sum(map(len, shapes))))
        for o, shape in zip(self.row, shapes):
            for kind, name, described in shape:
                o.edges.append(Edge(kind, name, next(targets), described))

    def read_LINK(self, body):
        count = self.counted(body)
        sources, targets, kinds, names = body.u64(count), body.u64(count), body.u32(count), body.u32(count)
        for source, target, kind, name in zip(sources, targets, kinds, names):
            self.links.append((source, Edge(KINDS[kind & ~DESCRIBED], self.text(name), target, bool(kind & DESCRIBED))))

    def read_TRAC(self, body):
        count, places = body.u32(2)
        containers, rows = body.u64(count), body.u32(count)
        codes = body.u64(places)
        columns = [body.u32(places) for _ in range(4)]
        for container, row in zip(containers, rows):
            self.growths[container] = (codes[row], *(column[row] for column in columns))

    def read_KEYS(self, body):
        count = self.counted(body)
        self.keys.update(zip(body.u64(count), self.texts(body, count)))

    def read_KEYI(self, body):
        count = self.counted(body)
        self.keys.update(zip(body.u64(count), body.numbers("q", count)))

    def read_TYPE(self, body):
        count = self.counted(body)
        addresses, modules, names = body.u64(count), self.texts(body, count), self.texts(body, count)
        flags, lines = body.u32(count), body.u32(count)
        for address, *row in zip(addresses, modules, names, flags, lines):
            assert address not in self.types, "a type's row came twice"
            self.types[address] = row

    def read_CODE(self, body):
        count = self.counted(body)
        self.codes.update(zip(body.u64(count), zip(self.texts(body, count), self.texts(body, count), body.u32(count))))

    def read_FUNC(self, body):
        count = self.counted(body)
        self.functions.update(zip(body.u64(count), zip(body.u64(count), self.texts(body, count), self.texts(body, count))))

    def read_MODU(self, body):
        count = self.counted(body)
        self.modules += zip(body.u64(count), body.u64(count), self.texts(body, count), self.texts(body, count))

    def read_FRAM(self, body):
        count = self.counted(body)
        self.frames.update(zip(body.u64(count), zip(body.u64(count), body.u64(count), body.u32(count))))

    def read_ROOT(self, body):
        count = self.counted(body)
        self.roots += zip(body.u64(count), body.u32(count))

    def read_FILE(self, body):
        self.files += json.loads(body.rest().decode())

    def read_LINE(self, body):
        path, count = body.u32(2)
        self.lines[self.text(path)] = list(body.u32(count))

    def read_END(self, body):
        for source, edge in self.links:
            self.objects[source].edges.append(edge)
        sections, objects = body.u64(2)
        assert sections == len(self.sections), (sections, len(self.sections))
        assert objects == len(self.objects) + len(self.repeated)

    def edges_of(self, address):
        """(kind, name, target) of every reference of an object, dictionary values by the text of their key."""
        return [(e.kind, self.keys.get(e.name) if e.kind == "value" else e.name, e.target) for e in self.objects[address].edges]

    def dangling(self):
        """References to what the dump has no object for."""
        return [(o.address, e) for o in self.objects.values() for e in o.edges if e.target and e.target not in self.objects]
