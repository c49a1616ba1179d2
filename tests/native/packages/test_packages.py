"""What packages keep where the collector does not look, and the agents do."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from test_native import Native


class Packages(unittest.TestCase):
    run_program = Native.run_program

    def test_arrays_of_objects(self):
        """NumPy tells the collector nothing of them."""
        self.run_program("""
            import numpy
            class Image: pass
            class Table(numpy.ndarray): pass
            table = numpy.empty((3, 4), dtype=object)
            for row in range(3):
                for column in range(4): table[row, column] = Image()
            turned = numpy.asfortranarray(table)
            part, own, one = table[:, ::2], table.view(Table), numpy.array(Image(), dtype=object)
            own.note = ["of a subclass"]
            numbers = numpy.zeros(1000)
            dump(); found = check()
            edges = lambda o: found.objects[id(o)].edges
            items = lambda o: [(e.name, e.target) for e in edges(o) if e.kind == "list item"]
            assert items(table) == [(place, id(image)) for place, image in enumerate(table.flat)]
            assert items(turned) == [(place, id(image)) for place, image in enumerate(turned.flat)]
            assert items(one) == [(0, id(one[()]))]
            # What a view shows is its base's, and counted once.
            assert not items(part) and [e.target for e in edges(part) if e.kind == "iterates" or e.kind == "view"] == [id(table)]
            assert not items(own) and [e.target for e in edges(own) if e.kind == "view"] == [id(table)]
            assert not items(numbers) and found.objects[id(numbers)].size == sys.getsizeof(numbers)
            assert found.objects[id(table[0, 0])].count == 2
        """)

    def test_bases_of_views_in_the_agent_in_python(self):
        """A small view keeps all of what it shows a part of."""
        self.run_program("""
            import numpy
            class Table(numpy.ndarray): pass
            view = numpy.zeros((64, 64))[::16, ::16]
            own = numpy.zeros(1000)
            table = own.view(Table)
            table.note = ["of a subclass"]
            heldby_agent.native_library = ""
            dump(); found = check("heldby_agent")
            edges = lambda o: [(e.kind, e.target) for e in found.objects[id(o)].edges if e.kind == "view"]
            assert edges(view) == [("view", id(view.base))]
            assert edges(table) == [("view", id(own))]
            assert not edges(own)
            assert found.objects[id(view.base)].size > 64 * 64 * 8
            assert found.objects[id(view.base)].count == 1
        """)

    def test_greenlets_that_wait(self):
        """Their frames are no thread's."""
        self.run_program("""
            import gevent
            class Payload: pass
            held = {}
            def inner(payload):
                inside = Payload(); held["inside"] = id(inside)
                gevent.sleep(1000)
            def outer():
                held["payload"] = id(payload := Payload())
                inner(payload)
            greenlet = gevent.spawn(outer)
            gevent.sleep(0.01)
            dump(); found = check()
            holders = {}
            for o in found.objects.values():
                for e in o.edges:
                    for name, address in held.items():
                        if e.target == address: holders.setdefault(name, set()).add((found.codes[found.frames[o.address][0]][1], e.kind, e.name))
            assert holders == {
                "inside": {("inner", "local", "inside")},
                "payload": {("inner", "local", "payload"), ("outer", "local", "payload")},
            }, holders
        """)


if __name__ == "__main__":
    unittest.main()
