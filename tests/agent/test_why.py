"""heldby_agent.why: who holds one object of the running process."""
import os
import subprocess
import sys
import textwrap
import unittest

AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "server", "capture", "python")


class Why(unittest.TestCase):
    maxDiff = None

    def paths(self, text):
        """Runs a program that prints what `why` says; the access paths of each answer."""
        answers = []
        for answer in self.said(text).split("ANSWER\n")[1:]:
            lines = answer.splitlines()
            start = lines.index("held by") + 1 if "held by" in lines else len(lines)
            end = next((place for place in range(start, len(lines)) if not lines[place].startswith("  ")), len(lines))
            answers.append([line.strip() for line in lines[start:end]])
        return answers

    def said(self, text):
        beginning = "import sys\nsys.path.insert(0, %r)\nfrom heldby_agent import why_text\n" % AGENT
        done = subprocess.run(
            [sys.executable, "-c", beginning + textwrap.dedent(text)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120
        )
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def test_the_origins_example(self):
        answers = self.paths("""
            def foo():
                a = [1, 2]
                l = [a]
                d = {"a": a}
                print("ANSWER\\n" + why_text(a))
                return l, d
            l, d = foo()
            print("ANSWER\\n" + why_text(l[0]))
        """)
        self.assertEqual(answers, [
            ["__main__.foo.<local>.a", "__main__.foo.<local>.d['a']", "__main__.foo.<local>.l[0]"],
            ["__main__.d['a']", "__main__.l[0]"],
        ])

    def test_what_the_collector_does_not_track(self):
        answers = self.paths("""
            import os
            PHOTOS = {"first": [os.urandom(30)], "second": {"data": os.urandom(30)}}
            print("ANSWER\\n" + why_text(PHOTOS["first"][0]))
            print("ANSWER\\n" + why_text(PHOTOS["second"]["data"]))
        """)
        self.assertEqual(answers, [["__main__.PHOTOS['first'][0]"], ["__main__.PHOTOS['second']['data']"]])

    def test_holders_of_many_kinds(self):
        answers = self.paths("""
            import contextvars, functools, threading
            class Slotted:
                __slots__ = ("held",)
            SLOTTED = Slotted()
            SLOTTED.held = [1]
            print("ANSWER\\n" + why_text(SLOTTED.held))
            @functools.lru_cache(maxsize=3)
            def thumb(name):
                return [name]
            thumb("a")
            print("ANSWER\\n" + why_text(thumb("a")))
            LOCAL = threading.local()
            LOCAL.image = [3]
            print("ANSWER\\n" + why_text(LOCAL.image))
            VARIABLE = contextvars.ContextVar("VARIABLE")
            VARIABLE.set([5])
            print("ANSWER\\n" + why_text(VARIABLE.get()))
            def produce():
                job = [7]
                yield job
            GENERATOR = produce()
            print("ANSWER\\n" + why_text(next(GENERATOR)))
            def outer():
                free = [8]
                def inner():
                    return free
                return inner
            INNER = outer()
            print("ANSWER\\n" + why_text(INNER()))
            def log(line, seen=[9]):
                return seen
            print("ANSWER\\n" + why_text(log(1)))
        """)
        self.assertEqual(answers, [
            ["__main__.SLOTTED.held"],
            ["__main__.thumb.<cache>['a']"],
            ["<thread-local __main__.LOCAL>.image"],
            ["__main__.VARIABLE.<context>"],
            ["__main__.produce.<local>.job"],
            ["__main__.outer.inner.<closure>.free"],
            ["__main__.log.<default>.seen"],
        ])

    def test_a_value_that_is_everywhere(self):
        said = self.said("print(why_text(None))")
        self.assertIn("objects reference it", said)
        self.assertLess(len(said.splitlines()), 30)

    def test_cycles_and_many_referrers_are_cut(self):
        said = self.said("""
            class Person:
                pass
            ROOT, CHILD = Person(), Person()
            ROOT.child, CHILD.parent = CHILD, ROOT
            SHARED = [1]
            MANY = [[SHARED] for _ in range(5000)]
            print(why_text(ROOT))
            print("NEXT")
            print(why_text(SHARED, limit=40))
        """)
        root, shared = said.split("NEXT\n")
        self.assertIn("__main__.ROOT\n", root)
        self.assertLess(len(root.splitlines()), 20)
        self.assertLessEqual(len(shared.splitlines()), 40)
        self.assertIn("refcount 5001: ", shared)
        self.assertIn(" of 5001 referrers shown)", shared)

    def test_it_leaves_nothing(self):
        said = self.said("""
            import gc
            class Held:
                pass
            HELD = Held()
            HELD.items = [HELD]
            def count():
                return sys.getrefcount(HELD), sys.getrefcount(Held), len(gc.get_objects())
            for _ in range(3):
                why_text(HELD)
            before = count()
            before = count()
            for _ in range(20):
                why_text(HELD)
            after = count()
            print(before[:2] == after[:2], after[2] - before[2] < 20)
        """)
        self.assertEqual(said, "True True\n")

    def test_it_runs_no_code_of_the_programs(self):
        said = self.said("""
            CALLS = []
            class Nosy:
                def __getattribute__(self, name):
                    CALLS.append(name)
                    return object.__getattribute__(self, name)
                def __eq__(self, other):
                    CALLS.append("==")
                    return True
                def __hash__(self):
                    CALLS.append("hash")
                    return 1
                def __repr__(self):
                    CALLS.append("repr")
                    return "nosy"
                def __len__(self):
                    CALLS.append("len")
                    return 1
                def __bool__(self):
                    CALLS.append("bool")
                    return True
            NOSY = Nosy()
            TABLE = {NOSY: [NOSY], "key": NOSY}
            CALLS.clear()
            text = why_text(NOSY)
            print(CALLS, "__main__.NOSY" in text)
        """)
        self.assertEqual(said, "[] True\n")


if __name__ == "__main__":
    unittest.main()
