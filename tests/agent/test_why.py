"""Asks `heldby_agent.why` in small programs who holds an object, and reads the answer as a user would.

    cd tests/agent && python -m unittest test_why

with any CPython from 3.8 on.
"""
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.environ.get("HELDBY_AGENT_FOLDER") or os.path.join(HERE, "..", "..", "server", "capture", "python")

PRELUDE = """
import collections, functools, gc, os, queue, sys, threading, types, weakref
sys.path.insert(0, %r)
import heldby_agent
from heldby_agent import why
END = "\\n=====\\n"
class Photo:
    __slots__ = ("__weakref__",)
"""

class Answer:
    """What one call of `why` printed."""

    def __init__(self, text):
        self.text = re.sub(r"0x[0-9a-f]+", "0x", text)
        self.lines = self.text.split("\n")
        self.headline, self.count = self.lines[:2]
        self.paths = self.below("held by")
        self.tree = self.below("referrers")

    def below(self, heading):
        """The indented lines below a heading, without the indent."""
        found = []
        for line in self.lines:
            if line.startswith("  ") and found:
                found.append(line[2:])
            elif found:
                break
            elif line.startswith(heading):
                found.append(line)
        return found[1:]


class Case(unittest.TestCase):
    maxDiff = None

    def run_program(self, program, environment=()):
        """What the program printed, cut at the lines of `=====`."""
        with tempfile.TemporaryDirectory() as folder:
            script = os.path.join(folder, "program.py")
            with open(script, "w") as file:
                file.write(PRELUDE % FOLDER + textwrap.dedent(program))
            variables = dict(os.environ, PYTHONIOENCODING="utf-8", **dict(environment))
            run = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, env=variables)
        said = run.stdout.decode()
        self.assertEqual(run.returncode, 0, said)
        return [part.strip("\n") for part in said.split("\n=====\n")]

    def answers(self, program):
        """The answers of a program that prints END after each call of `why`."""
        parts = self.run_program(program)
        self.assertEqual(parts.pop(), "")
        return [Answer(part) for part in parts]

    def answer(self, program):
        (answer,) = self.answers(textwrap.dedent(program) + "\nprint(END)\n")
        return answer


class Origin(Case):
    """The question that the project began with: what are these references?"""

    PROGRAM = textwrap.dedent("""
        l, d = [], {}
        def foo():
            a = [1, 2]
            l = [a]
            d = {"a": a}
            why(a)
            print(END)
            globals()["l"] = l
            globals()["d"] = d
            why(a)
            print(END)
            return sys.getrefcount
        foo()
        why(l[0])
        print(END)
    """)

    def test_inside_the_function(self):
        first, second, _ = self.answers(self.PROGRAM)
        self.assertEqual(first.paths, ["__main__.foo.<local>.a", "__main__.foo.<local>.d['a']", "__main__.foo.<local>.l[0]"])
        self.assertEqual(first.count, "refcount 3: 3 references seen, 0 outside the heap")
        self.assertEqual(second.paths, ["__main__.d['a']", "__main__.l[0]", *first.paths])

    def test_after_it_returned(self):
        _, _, last = self.answers(self.PROGRAM)
        self.assertEqual(last.paths, ["__main__.d['a']", "__main__.l[0]"])
        self.assertEqual(last.count, "refcount 2: 2 references seen, 0 outside the heap")
        self.assertEqual(sorted(last.tree), sorted(["[0] <- list 0x", "  .l <- module __main__", "['a'] <- dict 0x", "  .d <- module __main__"]))

    def test_the_tree_inside_shows_each_thing_once(self):
        _, second, _ = self.answers(self.PROGRAM)
        frame = "<- frame __main__.foo, line N"
        tree = [re.sub(r"line \d+", "line N", line) for line in second.tree]
        self.assertEqual(tree[0], ".<local>.a " + frame)
        self.assertEqual(sorted(tree[1:]), sorted([
            "[0] <- list 0x", "  .l <- module __main__", "  .<local>.l " + frame,
            "['a'] <- dict 0x", "  .d <- module __main__", "  .<local>.d " + frame,
        ]))


class Holders(Case):
    """Each way of holding has its name. The object is one that the collector tracks, then one that it does not."""

    def check(self, program, *paths):
        """`program` holds `o` in some way; the paths are all there are."""
        for kind in ("[o]", "b'image' + str(id(globals())).encode()"):
            with self.subTest(kind):
                answer = self.answer(
                    "def hold(o):\n" + textwrap.indent(textwrap.dedent(program), "    ")
                    + "\n    return [o]\no = None\nheld = hold(%s)\nwhy(held.pop())" % kind
                )
                self.assertEqual(sorted(answer.paths), sorted(paths), answer.text)
                self.assertRegex(answer.count, r"^refcount (\d+): \1 references? seen, 0 outside the heap$", answer.text)
                self.assertNotIn("held from outside", answer.text)

    def test_global(self):
        self.check("global G; G = o", "__main__.G")

    def test_global_of_another_module(self):
        self.check("queue.KEPT = o", "queue.KEPT")

    def test_class_attribute(self):
        self.check("Photo.first = o; Photo.all = [o]", "__main__.Photo.first", "__main__.Photo.all[0]")

    def test_instance_attribute(self):
        self.check("""
            global S
            class Session: pass
            S = Session()
            S.avatar = o; S.avatars = [o]
        """, "__main__.S.avatar", "__main__.S.avatars[0]")

    @unittest.skipIf(sys.version_info >= (3, 13), "the collector does not see a dictionary laid over inline values")
    def test_dictionary_of_an_instance(self):
        self.check("""
            global S
            class Session: pass
            S = Session()
            S.avatar = o
            assert vars(S)
        """, "__main__.S.avatar")

    def test_namespace(self):
        self.check("global N; N = types.SimpleNamespace(image=o)", "__main__.N.image")

    def test_slot(self):
        self.check("""
            global S
            class Slotted: __slots__ = ("image",)
            S = Slotted()
            S.image = o
        """, "__main__.S.image")

    def test_closure(self):
        self.check("""
            global H
            def handler(): return o
            H = handler
        """, "__main__.hold.handler.<closure>.o")

    def test_default_values(self):
        self.check("""
            global F
            def log(seen=[o], other=o, *, only=o): pass
            F = log
        """, "__main__.hold.log.<default>.seen[0]", "__main__.hold.log.<default>.other", "__main__.hold.log.<default>.only")

    def test_attribute_of_a_function(self):
        self.check("""
            global F
            def view(): pass
            view.kept = o
            F = view
        """, "__main__.F.kept")

    def test_cache(self):
        self.check("""
            global C
            box = [o]
            @functools.lru_cache(maxsize=None)
            def thumbnail(name): return box.pop()
            thumbnail("a.png")
            C = thumbnail
        """, "__main__.hold.thumbnail.<cache>['a.png']")

    def test_bound_method(self):
        self.check("""
            global M
            class View:
                __slots__ = ("image",)
                def get(self): pass
            view = View()
            view.image = o
            M = [view.get]
        """, "__main__.M[0].<self>.image")

    def test_partial(self):
        self.check("global P; P = functools.partial(print, o, end=o)", "__main__.P.<args>[0]", "__main__.P.keywords['end']")

    def test_generator(self):
        self.check("""
            global GENERATOR, pages
            def pages(image):
                yield 1
            GENERATOR = pages(o)
            next(GENERATOR)
        """, "__main__.pages.<local>.image")

    def test_coroutine(self):
        self.check("""
            global CO, work
            @types.coroutine
            def pause(): yield
            async def work(image):
                await pause()
            CO = work(o)
            CO.send(None)
        """, "__main__.work.<local>.image")

    def test_traceback(self):
        self.check("""
            global E, fails
            def fails(big):
                raise ValueError("no")
            def catch(box):
                try: fails(box.pop())
                except ValueError as error: return error
            E = catch([o])
        """, "__main__.E.<traceback>.fails.big", "__main__.E.<traceback>.hold.o")

    def test_thread(self):
        answer = self.answer("""
            ready, go = threading.Event(), threading.Event()
            def worker():
                job = made.pop()
                ready.set(); go.wait()
            made = [[1]]
            peek = []
            thread = threading.Thread(target=worker); thread.start(); ready.wait()
            frame = sys._current_frames()[thread.ident]
            while frame.f_code.co_name != "worker": frame = frame.f_back
            peek.append(frame.f_locals["job"])
            if sys.version_info < (3, 13): frame.f_locals.clear()
            del frame
            why(peek.pop())
            go.set(); thread.join()
        """)
        self.assertEqual(answer.paths, ["__main__.worker.<local>.job"])
        self.assertRegex(answer.tree[0], r"^\.<local>\.job <- frame __main__\.worker, line \d+, of another thread$")

    def test_containers(self):
        self.check("""
            global C, Pair
            Pair = collections.namedtuple("Pair", "left right")
            C = {"nested": {"l": [0, (o,)]}, 17: collections.deque([1, o]), (1, 2): Pair(1, o), "o": collections.OrderedDict(a=o),
                 True: collections.defaultdict(list, a=[o])}
        """, "__main__.C['nested']['l'][1][0]", "__main__.C[17][1]", "__main__.C[<tuple>][1]", "__main__.C['o']['a']", "__main__.C[<bool>]['a'][0]")

    def test_thread_local(self):
        self.check("""
            global LOCAL
            LOCAL = threading.local()
            LOCAL.image = o
        """, "<thread-local __main__.LOCAL>.image")

    def test_context_variable(self):
        answer = self.answer("""
            import contextvars
            VARIABLE = contextvars.ContextVar("VARIABLE")
            VARIABLE.set([5])
            why(VARIABLE.get())
        """)
        self.assertEqual(answer.paths, ["__main__.VARIABLE.<context>"])
        # The thread has its context.
        self.assertIn("Context 0x (held from outside the heap)", answer.tree[-1])

    def test_keys_and_members(self):
        answer = self.answer("""
            o = Photo()
            C = [{o: 1}, {o}, frozenset([o])]
            held = [o]; del o
            why(held.pop())
        """)
        self.assertEqual(answer.paths, ["__main__.C[0].<key>", "__main__.C[1].<set>", "__main__.C[2].<set>"])

    def test_long_and_odd_keys(self):
        answer = self.answer("""
            held = [[1]]
            C = {"x" * 50: held[0], "it's": held[0], -3: held[0], 2 ** 70: held[0], "line\\n": held[0]}
            why(held.pop())
        """)
        shown = answer.paths + re.findall(r"\[[^ ]*\]", answer.tree[0])
        for path in ("['%s\u2026']" % ("x" * 40), "[\"it's\"]", "[-3]", "[<int>]"):
            self.assertIn("__main__.C" + path, shown)

    def test_globals_of_executed_code(self):
        answer = self.answer("""
            names = {"__name__": "plugin"}
            exec("kept = [1]\\ndef f(): return kept", names)
            f = names["f"]
            del names
            why(f())
        """)
        self.assertEqual(answer.paths, ["plugin.kept"])
        self.assertIn("  .__globals__ <- function plugin.f", answer.tree)


class Untracked(Case):
    """Containers that the collector does not know, as all that they hold is text and numbers."""

    def test_dictionary_and_tuple_of_bytes(self):
        answer = self.answer("""
            def load(n): return b"image" * n
            FILES = {"a.png": load(7)}
            T = (b"other" * n, load(8)) if (n := 2) else None
            held = [load(9)]
            FILES["b.png"], U = held[0], (held[0], 1)
            gc.collect()
            why(held.pop())
        """)
        self.assertEqual(answer.paths, ["__main__.FILES['b.png']", "__main__.U[0]"])
        self.assertEqual(answer.count, "refcount 2: 2 references seen, 0 outside the heap")

    def test_dictionary_of_bytes_that_only_a_frame_has(self):
        answer = self.answer("""
            def view(n):
                files = {"a.png": b"image" * n}
                both = ({"b.png": files["a.png"]}, 1)
                why(files["a.png"])
            view(7)
        """)
        self.assertEqual(answer.paths, ["__main__.view.<local>.files['a.png']", "__main__.view.<local>.both[0]['b.png']"])
        self.assertEqual(answer.count, "refcount 2: 2 references seen, 0 outside the heap")

    def test_text(self):
        answer = self.answer("""
            NAMES = [str(10 ** 30)]
            why(NAMES[0])
        """)
        self.assertEqual(answer.headline.split(" ")[0], "str")
        self.assertEqual(answer.paths, ["__main__.NAMES[0]"])

    def test_constant_is_held_by_code(self):
        answer = self.answer("""
            def f(): return "a text that nobody else has"
            why(f())
        """)
        self.assertEqual(answer.paths, [])
        self.assertNotIn("tuple", answer.text)

    def test_empty_dictionary(self):
        self.assertEqual(self.answer("D = {'a': {}}\nwhy(D['a'])").paths, ["__main__.D['a']"])

    def test_frozen_heap(self):
        first, second = self.answers("""
            L = [[1], {"a": b"image" * len(sys.argv)}]
            gc.freeze()
            why(L[0]); print(END)
            why(L[1]["a"]); print(END)
        """)
        self.assertEqual(first.paths, ["__main__.L[0]"])
        self.assertEqual(second.paths, ["__main__.L[1]['a']"])


class Counts(Case):
    def test_own_argument_is_not_counted(self):
        answers = self.answers("""
            def local():
                a = [1]
                why(a); print(END)
                why(obj=a); print(END)
                heldby_agent.why(a, 20, limit=50); print(END)
                print(heldby_agent.why_text(a)); print(END)
            local()
        """)
        for answer in answers:
            self.assertEqual(answer.count, "refcount 1: 1 reference seen, 0 outside the heap")
            self.assertEqual(answer.paths, ["__main__.local.<local>.a"])

    def test_what_is_made_in_the_call_is_held_by_nobody(self):
        answer = self.answer("why([])")
        self.assertEqual(answer.count, "refcount 0: 0 references seen, 0 outside the heap")
        self.assertEqual(answer.lines[2:], ["referrers: none seen"])

    def test_held_by_c_code(self):
        answer = self.answer("""
            import ctypes
            held = [[1]]
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(held[0]))
            why(held.pop())
        """)
        self.assertEqual(answer.count, "refcount 1: 0 references seen, 1 outside the heap")
        answer = self.answer("""
            import ctypes
            held = [[[1]]]
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(held[0]))
            why(held.pop()[0])
        """)
        self.assertEqual(answer.tree, ["[0] <- list 0x (held from outside the heap)"])
        self.assertIn("held by no name", answer.lines)

    def test_many_in_one_list(self):
        answer = self.answer("""
            o = Photo()
            L = [0, *[o] * 1000]
            del o
            why(L[1])
        """)
        self.assertEqual(answer.count, "refcount 1000: 1000 references seen, 0 outside the heap")
        self.assertEqual(answer.tree, ["[1], [2], [3], [4], ... 996 more <- list 0x", "  .L <- module __main__"])

    @unittest.skipIf(sys.version_info < (3, 12), "nothing is immortal yet")
    def test_immortal(self):
        self.assertRegex(self.answer("why(None)").count, "^refcount: immortal, ")


class Many(Case):
    def test_none_and_numbers_are_everywhere(self):
        none, number = self.answers("""
            keep = [[None, 7] for _ in range(30000)]
            why(None); print(END)
            why(7); print(END)
        """)
        for answer in (none, number):
            self.assertRegex(answer.lines[2], r"^(at least )?3\d{4} objects reference it; of these types:$")
            self.assertRegex(answer.lines[3], r"^  3\d{4} list$")
            self.assertEqual(answer.paths + answer.tree, [])

    def test_an_object_that_many_share_keeps_its_name(self):
        answer = self.answer("""
            class Item: __slots__ = ("settings",)
            SETTINGS = Photo()
            keep = [Item() for _ in range(5000)]
            for item in keep: item.settings = SETTINGS
            del item
            why(SETTINGS)
        """)
        self.assertEqual(answer.paths[0], "__main__.SETTINGS")
        self.assertIn("  5000 __main__.Item", answer.lines)
        self.assertEqual(answer.count, "refcount 5001: 5001 references seen, 0 outside the heap")
        self.assertRegex(answer.text, r"referrers \(\d+ of 5001 referrers shown\)")
        self.assertLessEqual(len(answer.lines), 100)

    def test_instances_do_not_hold_their_class(self):
        answer = self.answer("""
            class Item: pass
            keep = [Item() for _ in range(5000)]
            why(Item)
        """)
        self.assertEqual(answer.paths, ["__main__.Item"])
        self.assertEqual(answer.tree, [".Item <- module __main__"])
        self.assertRegex(answer.text, r"left out: \d+ references from types, code and globals")

    def test_lines_are_limited(self):
        whole, cut, short = self.answers("""
            o = Photo()
            KEEP = [[[o], n] for n in range(40)]
            held = [o]; del o
            why(held[0], limit=1000); print(END)
            why(held[0]); print(END)
            why(held[0], limit=12); print(END)
        """)
        self.assertEqual(len(whole.lines), 4 + len(whole.paths) + len(whole.tree))
        self.assertEqual(sum(" <- list" in line for line in whole.lines), 1 + 40 + 40 + 1 + 39)
        self.assertLessEqual(len(cut.lines), 100)
        self.assertLessEqual(len(short.lines), 12)
        self.assertRegex(short.text, r"\d+ of 41 referrers shown")
        self.assertEqual(short.paths[-1], "... more")

    def test_depth_is_limited(self):
        near, far = self.answers("""
            L = [[[[Photo()]]]]
            o = L[0][0][0]
            held = [o[0]]; del o
            why(held[0], depth=2); print(END)
            held.append(held)
            why(held.pop(0)); print(END)
        """)
        self.assertIn("  [0] <- list 0x (not followed further)", near.tree)
        self.assertIn("__main__.L[0][0][0][0]", far.paths)


class Shapes(Case):
    def test_cycle(self):
        answer = self.answer("""
            a = [1]; b = [a]; a.append(b)
            ROOT = [b]
            held = [a]; del a, b
            why(held.pop())
        """)
        self.assertEqual(answer.paths, ["__main__.ROOT[0][0]"])
        self.assertEqual(sorted(answer.tree), sorted([
            "[0] <- list 0x", "  [0] <- list 0x", "    .ROOT <- module __main__", "  [1] <- list 0x (the object itself: a cycle)",
        ]))

    def test_cycle_without_a_name(self):
        answer = self.answer("""
            gc.disable()
            a = [1]; a.append({"me": a})
            held = [a]; del a
            why(held.pop())
        """)
        self.assertEqual(answer.lines[2], "held by no name")
        self.assertEqual(answer.tree, ["['me'] <- dict 0x", "  [1] <- list 0x (the object itself: a cycle)"])

    def test_repeat(self):
        answer = self.answer("""
            o = [1]
            HUB = {"x": [o], "y": {"z": o}}
            held = [o]; del o
            why(held.pop())
        """)
        self.assertEqual(answer.paths, ["__main__.HUB['x'][0]", "__main__.HUB['y']['z']"])
        self.assertEqual(sum(".HUB <- module __main__" in line for line in answer.tree), 1)
        self.assertEqual(sum(line.endswith("<- dict 0x (shown above)") for line in answer.tree), 1)

    def test_tuples_that_a_name_restates_are_not_shown(self):
        answer = self.answer("""
            def outer(box):
                image = box.pop()
                def handler(seen=image): return image
                return handler
            H = outer([[1]])
            why(H())
        """)
        self.assertEqual(answer.paths, ["__main__.outer.handler.<closure>.image", "__main__.outer.handler.<default>.seen"])
        self.assertEqual(sorted(answer.tree[0].split(" <- ")[0].split(", ")), [".<closure>.image", ".<default>.seen"])
        self.assertEqual(answer.tree[1:], ["  .H <- module __main__"])

    def test_a_tuple_that_is_also_held_is_shown(self):
        answer = self.answer("""
            def f(seen=[]): pass
            KEPT = f.__defaults__
            why(f.__defaults__[0])
        """)
        self.assertEqual(answer.paths[:2], ["__main__.f.<default>.seen", "__main__.KEPT[0]"])
        self.assertIn("[0] <- tuple 0x", answer.tree)

    def test_tuple_that_is_being_made(self):
        answer = self.answer("""
            def parts():
                photo = Photo()
                yield photo
                why(photo)
                yield 1
            tuple(parts())
        """)
        self.assertEqual(answer.paths, ["__main__.parts.<local>.photo"])
        self.assertEqual(answer.count, "refcount 2: 1 reference seen, 1 outside the heap")

    def test_module_class_function(self):
        module, function = self.answers("""
            def f(): pass
            HANDLERS = [f]
            why(queue); print(END)
            why(f); print(END)
        """)
        self.assertEqual(module.headline.split(",")[0], "module queue")
        self.assertIn("__main__.queue", module.paths)
        self.assertIn("sys.modules['queue']", module.paths)
        self.assertEqual(function.headline.split(",")[0], "function __main__.f")
        self.assertEqual(function.paths, ["__main__.f", "__main__.HANDLERS[0]"])


class Manners(Case):
    def test_same_question_same_answer(self):
        parts = self.run_program("""
            CACHE = {"k": [Photo()]}
            def ask(): return heldby_agent.why_text(CACHE["k"][0])
            first = ask()
            print(first, first == ask() == ask(), sep=END, end=END)
        """)
        self.assertEqual(parts[1], "True")
        self.assertNotIn("heldby_agent", parts[0])

    def test_nothing_stays_behind(self):
        self.run_program("""
            class Session: pass
            s = Session(); s.photo = Photo(); s.me = s
            CACHE = {"s": s}
            def measure():
                gc.collect()
                return len(gc.get_objects()), sys.getrefcount(s), sys.getrefcount(CACHE), len(os.listdir("/dev/fd"))
            def ask():
                for o in (s, s.photo, CACHE, Session, None, "text"): heldby_agent.why_text(o)
            ask(); measure(); before = measure()
            for _ in range(5): ask()
            after = measure()
            assert abs(after[0] - before[0]) <= 2 and after[1:] == before[1:], (before, after)
            # Nor does anything wait for the collector.
            gc.disable()
            photo = Photo(); gone = weakref.ref(photo); KEEP = [[photo]]
            heldby_agent.why_text(photo)
            del photo, KEEP
            assert gone() is None
        """)

    def test_collector_is_left_as_it_was(self):
        self.run_program("""
            heldby_agent.why_text([]); assert gc.isenabled()
            gc.disable(); heldby_agent.why_text([]); assert not gc.isenabled()
        """)

    def test_no_code_of_the_program_runs(self):
        answers = self.answers("""
            calls = []
            def angry(name):
                def answer(*a, **k):
                    calls.append(name)
                    raise RuntimeError(name)
                return answer
            NAMES = ["__getattr__", "__getattribute__", "__repr__", "__str__", "__sizeof__", "__eq__", "__ne__", "__len__", "__iter__", "__bool__",
                     "__getitem__", "__contains__", "__dir__", "__call__", "__lt__", "__index__", "__get__", "__hash__", "keys", "items", "get"]
            class Meta(type): pass
            for n in ("__getattribute__", "__eq__", "__ne__", "__repr__", "__instancecheck__", "__subclasscheck__", "__bool__", "__len__", "__hash__"):
                setattr(Meta, n, angry("meta " + n))
            def body(**more): return dict({n: angry(n) for n in NAMES}, __class__=property(angry("__class__")), **more)
            class Key(str):
                def __hash__(self): return str.__hash__(self)
                def __eq__(self, other):
                    calls.append("key"); return str.__eq__(self, other)
            target = [1]
            keep = []
            for base in (object, list, dict, tuple, collections.deque, Exception, collections.OrderedDict, types.SimpleNamespace, types.ModuleType):
                T = Meta("H" + base.__name__, (base,), body(__slots__=()) if base is object else body())
                h = base.__new__(T, [target]) if base is tuple else base.__new__(T)
                if base is list: list.append(h, target)
                if base is dict: dict.__setitem__(h, "k", target)
                if base is collections.deque: collections.deque.append(h, target)
                if type.__dict__["__dictoffset__"].__get__(T): object.__setattr__(h, "held", target)
                keep.append(h)
            S = Meta("S", (), {"__slots__": ("image",)})
            slotted = S(); slotted.image = target; keep.append(slotted)
            names = {Key("k"): target, Key("__name__"): 1}
            exec("def f(): pass", names)
            keep += [names, {Key("__name__"): target}]
            del h, T
            calls.clear()
            why(target); print(END)
            why(keep[0]); print(END)
            why(slotted); print(END)
            why(S); print(END)
            called = calls[:]
            assert not called, called
        """)
        self.assertIn("__main__.target", answers[0].paths)
        self.assertIn("__main__.keep[1][0]", answers[0].paths)

    def test_file(self):
        parts = self.run_program("""
            import io
            L = [{"\\u00e9" * 50: []}]
            o = L[0]["\\u00e9" * 50]
            text = io.StringIO()
            assert why(o, file=text) is None
            assert text.getvalue() == heldby_agent.why_text(o) + "\\n"
            narrow = io.TextIOWrapper(io.BytesIO(), "ascii")
            why(o, file=narrow)
            narrow.flush()
            print(narrow.buffer.getvalue().decode("ascii"))
        """)
        self.assertIn("\\xe9\\xe9", parts[0])
        self.assertIn("\\u2026", parts[0])

    def test_busy_threads(self):
        answer = self.answer("""
            going = True
            def churn():
                mine = []
                while going:
                    mine.append([{"k": [len(mine)]}, (1, [2])])
                    if len(mine) > 500: del mine[::2]
            threads = [threading.Thread(target=churn) for _ in range(2)]
            for t in threads: t.start()
            KEPT = [Photo()]
            for _ in range(10): heldby_agent.why_text(KEPT[0])
            why(KEPT[0])
            going = False
            for t in threads: t.join()
        """)
        self.assertEqual(answer.paths, ["__main__.KEPT[0]"])


if __name__ == "__main__":
    unittest.main()
