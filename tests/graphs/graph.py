"""Builds a random graph of objects, dumps it, and says which references it made.

    graph.py SEED DUMP    prints JSON: {"objects": [[address, size, count]], "references": [[from, how, to]]}

`how` is the last step of an access path. The counts are those of `sys.getrefcount`, without what asking adds.
"""
import collections
import functools
import json
import random
import sys
import types

import heldby_agent


class Instance:
    """Has attributes, any number of them."""


class Slotted:
    __slots__ = ("left", "right", "__dict__")


class ListOfOurs(list):
    pass


class DictOfOurs(dict):
    pass


class Graph:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.objects = []
        self.references = []

    def some(self, most=4):
        """Objects of the graph, perhaps the same one twice."""
        count = self.random.randrange(most + 1) if self.objects else 0
        return [self.random.choice(self.objects) for _ in range(count)]

    def note(self, source, how, target):
        self.references.append([id(source), how, id(target)])

    def grow(self):
        make = self.random.choice(self.MAKERS)
        self.objects.append(make(self))

    def make_tuple(self):
        items = tuple(self.some() or [self.objects])
        if items == (self.objects,):
            items = ([],)
        for index, item in enumerate(items):
            self.note(items, "[%d]" % index, item)
        return items

    def make_list(self):
        return self.random.choice((list, ListOfOurs))()

    def make_dict(self):
        return self.random.choice((dict, DictOfOurs, collections.OrderedDict))()

    def make_deque(self):
        return collections.deque()

    def make_instance(self):
        return self.random.choice((Instance, Slotted, types.SimpleNamespace))()

    def make_set(self):
        members = {o for o in self.some() if type(o) in (Instance, Slotted)}
        made = self.random.choice((set, frozenset))(members)
        for member in members:
            self.note(made, ".<set>", member)
        # An empty one is everybody's.
        return made if type(made) is set or members else set()

    def make_partial(self):
        arguments = self.some()
        made = functools.partial(print, *arguments)
        for index, argument in enumerate(arguments):
            self.note(made, ".<args>[%d]" % index, argument)
        return made

    def make_function(self):
        default = (self.some(1) or [b"default %d" % len(self.objects)])[0]
        free = (self.some(1) or [b"free %d" % len(self.objects)])[0]

        def function(parameter=default):
            return free

        self.note(function, ".<default>.parameter", default)
        self.note(function, ".<closure>.free", free)
        return function

    def make_generator(self):
        def generate(job):
            yield
            print(job)

        job = (self.some(1) or [b"job %d" % len(self.objects)])[0]
        generator = generate(job)
        next(generator)
        self.note(generator, ".<local>.job", job)
        return generator

    def make_bytes(self):
        return b"bytes of number %d" % len(self.objects)

    MAKERS = [
        make_tuple, make_list, make_dict, make_deque, make_instance, make_set, make_partial, make_function,
        make_generator, make_bytes,
    ]

    def connect(self):
        """Fills what can be filled after it was made: so come cycles."""
        for o in self.objects:
            kind = type(o)
            for target in self.some(5):
                if kind in (list, ListOfOurs, collections.deque):
                    self.note(o, "[%d]" % len(o), target)
                    o.append(target)
                elif kind in (dict, DictOfOurs, collections.OrderedDict):
                    key = "key %d" % len(o) if self.random.random() < 0.7 else len(o)
                    self.note(o, "[%r]" % (key,), target)
                    o[key] = target
                elif kind in (Instance, Slotted, types.SimpleNamespace):
                    self.set_attribute(o, target)

    def set_attribute(self, o, target):
        names = ["first", "second", "third"] if type(o) is not Slotted else ["left", "right", "more"]
        free = [name for name in names if not hasattr(o, name)]
        if free:
            name = self.random.choice(free)
            self.note(o, "." + name, target)
            setattr(o, name, target)
            if self.random.random() < 0.2:
                vars(o)


def main():
    graph = Graph(int(sys.argv[1]))
    for _ in range(400):
        graph.grow()
    graph.connect()
    objects = graph.objects
    # What asking adds, seen on an object that only a list holds.
    alone = [object()]
    added = sys.getrefcount(alone[0]) - 1
    measured = [[id(objects[n]), sys.getsizeof(objects[n]), sys.getrefcount(objects[n]) - added] for n in range(len(objects))]
    heldby_agent.dump(sys.argv[2])
    print(json.dumps({"objects": measured, "references": graph.references}))


main()
