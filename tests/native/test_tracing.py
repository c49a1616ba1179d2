"""Where containers grow, as it is noted while the program runs: the right line, or none.

HELDBY_NATIVE_LIBRARY names the library. Each test is a small program; a comment behind a line names the containers that must be
told to have grown there last. Names in a comment `blind:` are too small to be seen, or shared: nothing may be told of those.
"""
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest

from test_native import AGENT, FREE_THREADED, LIBRARY, TESTS, numbered

DRIVER = """
import importlib.util, json, os, sys
agent, tests, folder, library, everything = sys.argv[1:]
sys.path[:0] = [os.path.join(tests, "agent"), folder]
sys.dont_write_bytecode = True
specification = importlib.util.spec_from_file_location("heldby_agent", os.path.join(agent, "heldby_agent.py"))
heldby_agent = sys.modules["heldby_agent"] = importlib.util.module_from_spec(specification)
specification.loader.exec_module(heldby_agent)
heldby_agent.native_library = library
import program
getattr(program, "prepare", int)()
heldby_agent.trace(all=everything == "all")
program.main()
path = os.path.join(folder, "a.heldby")
heldby_agent.dump(path, compress=False)
import read_dump
found = read_dump.Dump(path)
assert found.head["agent"].startswith("heldby_native"), found.head
codes = {address: code[0] for address, code in found.codes.items()}
told = {}
for name, value in vars(program).items():
    if id(value) in found.growths and not name.startswith("__"):
        code, *place = found.growths[id(value)]
        assert os.path.basename(codes[code]) == "program.py", codes[code]
        told[name] = place
json.dump({"told": told, "notes": found.head["notes"]}, sys.stdout)
"""

# With `all`, and since 3.13 without: the entries of dictionaries.
DICTIONARIES = sys.version_info >= (3, 13)
# Up to 3.10 a deque's blocks may have been another's.
DEQUES = "grown" if sys.version_info >= (3, 11) else "blind"


@unittest.skipUnless(LIBRARY, "HELDBY_NATIVE_LIBRARY names no library")
class Tracing(unittest.TestCase):
    def run_traced(self, program, everything=False):
        import json

        program = textwrap.dedent(program).lstrip("\n")
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "program.py"), "w") as file:
                file.write(program)
            command = [sys.executable, "-X", "faulthandler", "-c", DRIVER, AGENT, TESTS, folder, LIBRARY, "all" if everything else ""]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)
        said = done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, 0, said + numbered(program))
        return program, json.loads(done.stdout.decode())

    def check(self, program, everything=False):
        """What is told is what the comments say."""
        program, found = self.run_traced(program, everything)
        expected, blind = {}, set()
        for number, line in enumerate(program.split("\n"), 1):
            comment = re.search(r"# (grown|blind): (.*)", line)
            if comment and comment.group(1) == "grown":
                expected.update((name, number) for name in comment.group(2).split())
            elif comment:
                blind.update(comment.group(2).split())
        told = {name: place[0] for name, place in found["told"].items() if name in blind | expected.keys()}
        self.assertEqual(told, expected, numbered(program))
        return program.split("\n"), found["told"]


@unittest.skipIf(FREE_THREADED, "tracing is for interpreters with a lock")
class Lines(Tracing):
    def test_each_way_in_which_a_list_grows(self):
        self.check("""
            appended, extended, inserted, added, sliced = [], [], [], [], []
            multiplied = displayed = comprehended = None

            def main():
                global displayed, comprehended, added, multiplied
                for number in range(100):
                    appended.append(number)      # grown: appended
                    inserted.insert(0, number)   # grown: inserted
                extended.extend(range(100))      # grown: extended
                added += list(range(100))        # grown: added
                sliced[3:3] = range(100)         # grown: sliced
                multiplied = [1]
                multiplied *= 100                # grown: multiplied
                displayed = [appended, extended] # grown: displayed
                comprehended = [n for n in range(50)]  # grown: comprehended
        """)

    def test_sets_deques_and_dictionaries(self):
        self.check("""
            import collections

            members, queue, turned = set(), collections.deque(), collections.deque()
            table, filled, counted = {}, {}, collections.Counter()

            def main():
                for number in range(9000):
                    members.add(number)                   # grown: members
                    queue.append(number)                  # %s: queue
                    turned.appendleft(number)             # %s: turned
                    table[number] = None                  # grown: table
                    filled.setdefault(number, number)     # grown: filled
                    counted[number] += 1                  # grown: counted
        """ % (DEQUES, DEQUES), everything=True)

    def test_dictionaries_are_seen_without_all_where_their_entries_are_storage(self):
        self.check("""
            table = {}

            def main():
                for number in range(9000):
                    table[number] = None   # %s: table
        """ % ("grown" if DICTIONARIES else "blind"))

    def test_what_shrinks_was_not_grown_there(self):
        self.check("""
            stack, drained, members = [], [], set()

            def main():
                stack.extend(range(10000))      # grown: stack
                drained.extend(range(10000))    # grown: drained
                while len(stack) > 10:
                    stack.pop()
                del drained[5:]
                drained.remove(3)
                drained.sort()
                members.update(range(1000))     # grown: members
                while len(members) > 900:
                    members.pop()
        """)

    def test_a_list_in_the_place_of_another(self):
        """What is freed is given to the next, and with it nothing of what was known of it."""
        self.check("""
            kept = []

            def churn():
                for number in range(1000):
                    passing = list(range(number % 40))
                    passing.append(number)

            def main():
                churn()
                for number in range(30):
                    kept.append([])                # grown: kept
                    kept[-1].append(number)
                churn()
        """)

    def test_the_line_of_whoever_calls_c_code(self):
        self.check("""
            import heapq, bisect, collections
            timers, ordered, counted = [], [], collections.deque()

            def main():
                for number in range(100):
                    heapq.heappush(timers, number)     # grown: timers
                    bisect.insort(ordered, -number)    # grown: ordered
        """)

    def test_generators_coroutines_and_threads(self):
        self.check("""
            import asyncio, threading
            by_generator, by_coroutine, by_thread = [], [], []

            def generate():
                for number in range(100):
                    by_generator.append(number)    # grown: by_generator
                    yield number

            async def work():
                for number in range(100):
                    by_coroutine.append(number)    # grown: by_coroutine
                    await asyncio.sleep(0)

            def run():
                for number in range(100):
                    by_thread.append(number)       # grown: by_thread

            def main():
                list(generate())
                asyncio.new_event_loop().run_until_complete(work())
                thread = threading.Thread(target=run)
                thread.start()
                thread.join()
        """)

    @unittest.skipIf(sys.version_info < (3, 11), "columns are known since 3.11")
    def test_columns_tell_which_of_several_on_a_line(self):
        lines, told = self.check("""
            first, second = [], []

            def main():
                for number in range(100):
                    one = number; first.append(one); second.append((one, "é")); last = one   # grown: first second
        """)
        spelled = {}
        for name, (line, column, end_line, end_column) in told.items():
            self.assertEqual(line, end_line)
            spelled[name] = lines[line - 1].encode()[column - 1:end_column - 1].decode()
        self.assertEqual(spelled, {"first": "first.append(one)", "second": 'second.append((one, "é"))'})


@unittest.skipIf(FREE_THREADED, "tracing is for interpreters with a lock")
class BlindSpots(Tracing):
    def test_small_containers(self):
        """A small dictionary's entries lie in what an earlier one had; a small set's in the set itself; a deque's in its first block."""
        self.check("""
            import collections
            table, shared, members, queue, empty = {}, None, set(), collections.deque(), []

            class Options:
                def __init__(self):
                    self.one, self.two = 1, 2

            def main():
                global shared
                for number in range(1000):
                    passing = {"a": number}
                    passing["b"] = number
                table.update(a=1, b=2)     # blind: table
                shared = vars(Options())   # blind: shared
                members.add(1)             # blind: members
                queue.append(1)            # blind: queue empty
        """, everything=True)

    def test_a_deque_that_takes_blocks_again(self):
        """Filled in one line, emptied, and filled in another: which line took a kept block again nobody saw."""
        program, found = self.run_traced("""
            import collections
            turned = collections.deque()

            def main():
                for number in range(640):
                    turned.append(number)
                for number in range(640):
                    turned.pop()
                for number in range(4000):
                    turned.appendleft(number)
        """)
        self.assertIn(found["told"].get("turned", [0])[0], (10, 0), numbered(program))

    def test_code_that_is_gone(self):
        """Other code may lie where the code lay that made a list larger."""
        self.check("""
            import gc

            kept, later = [], []

            def make(name):
                space = {"kept": kept}
                exec("\\n" * len(name) + "def %s():\\n    kept.extend(range(100))" % name, space)
                return space[name]

            def main():
                make("gone")()          # blind: kept
                # It is in a circle with its globals.
                gc.collect()
                for number in range(200):
                    later.append(make("name_%d" % number))
        """)

    def test_code_in_the_place_of_an_earlier_version(self):
        """The same function, with its lines elsewhere in it, as a module has it that was changed and loaded again."""
        self.check("""
            kept, later = [], []

            def make(lines_before):
                space, text = {}, "def grow():\\n%s    kept.extend(range(100))\\n" % ("\\n" * lines_before)
                exec(compile(text, __file__, "exec"), {"kept": kept}, space)
                return space["grow"]

            def main():
                grow = make(20)
                where = id(grow.__code__)
                grow()                      # blind: kept
                del grow
                while len(later) < 1000 and where not in [id(function.__code__) for function in later[-1:]]:
                    later.append(make(3))
        """)

    def test_what_was_there_before(self):
        """Nothing is known of what grew before it was noted, and nothing when it is no more."""
        program, found = self.run_traced("""
            import sys
            agent = sys.modules["heldby_agent"]
            before, between = [], []

            def main():
                agent.untrace()
                before.extend(range(100))
                agent.trace()
                between.extend(range(100))
                agent.untrace()
                between.extend(range(100))
                agent.trace()
        """)
        self.assertFalse({"before", "between"} & set(found["told"]), numbered(program))

    def test_what_was_there_before_and_becomes_smaller(self):
        """How large it was nobody knows: what is left is no growth. From there on it is known."""
        self.check("""
            drained, filled, members = [], [], set()

            def prepare():
                drained.extend(range(1000))
                filled.extend(range(1000))
                members.update(range(1000))

            def main():
                while len(drained) > 10:
                    drained.pop()                # blind: drained
                del filled[10:]
                for number in range(100):
                    filled.append(number)        # grown: filled
                members.difference_update(range(900))    # blind: members
        """)

    def test_a_list_that_asks_for_more_as_it_loses_items(self):
        """One that was made for just seven items has room for eight when two are left (since 3.9)."""
        program, found = self.run_traced("""
            stack = None

            def main():
                global stack
                one = 1
                stack = [one, one, one, one, one, one, one]
                while len(stack) > 2:
                    stack.pop()
        """)
        self.assertIn(found["told"].get("stack", [0])[0], (0, 6), numbered(program))

    def test_what_takes_members_away_with_another_table(self):
        """A set that loses many gets a table of its new size, at times a larger one, or that of a set made for this."""
        self.check("""
            import operator
            subtracted, less, kept, met, by_operator, by_map, grown = (set() for _ in range(7))

            def take(subtracted, kept):
                subtracted -= set(range(33))
                less.difference_update(range(70))
                kept &= set(range(40))
                met.intersection_update(range(40))

            def take_otherwise():
                operator.isub(by_operator, set(range(33)))
                list(map(by_map.difference_update, [range(70)]))

            def main():
                for number in range(75):
                    for members in (subtracted, less, kept, met, by_operator, by_map):
                        members.add(number)     # blind: subtracted less kept met by_operator by_map
                    grown.add(number)
                grown.update(range(9000))       # grown: grown
                take(subtracted, kept)
                take_otherwise()
        """)

    def test_a_dictionary_of_attributes_gets_keys_of_its_own(self):
        self.check("""
            popped, deleted, last, more = None, None, None, None

            class Options:
                def __init__(self):
                    for number in range(9):
                        setattr(self, "option_%d" % number, number)

            def take(popped, last):
                popped.pop("option_3")
                last.popitem()

            def main():
                global popped, deleted, last, more
                many = [Options() for _ in range(10)]
                popped, deleted, last, more = (vars(options) for options in many[:4])
                take(popped, last)              # blind: popped last deleted
                del deleted["option_3"]
                del many[1].option_4
                for number in range(100):
                    more[number] = number       # grown: more
        """, everything=True)

    def test_a_deque_that_is_turned(self):
        """To turn it takes a block before it gives one back: in the end all may be from there. So does what loses an item from its middle."""
        self.check("""
            import collections
            turned, cancelled, shortened = (collections.deque() for _ in range(3))

            def turn():
                turned.rotate(1)

            def cancel(number):
                cancelled.remove(number)

            def shorten():
                del shortened[len(shortened) // 2]

            def main():
                for number in range(9000):
                    turned.append(number)       # blind: turned cancelled shortened
                    turn()
                    cancelled.append(number)
                    shortened.append(number)
                    if number % 2:
                        cancel(number - number // 8)
                        shorten()
        """)

    @unittest.skipIf(sys.version_info >= (3, 11), "since 3.11 a deque keeps its own")
    def test_deques_that_have_their_blocks_from_each_other(self):
        self.check("""
            import collections
            log = collections.deque()

            def pass_through():
                passing = collections.deque()
                for number in range(64 * 17):
                    passing.append(number)

            def main():
                for _ in range(100):
                    pass_through()
                    for number in range(64):
                        log.append(number)      # blind: log
        """)

    def test_another_tool_takes_the_allocators_over(self):
        """`tracemalloc` puts back the allocators that it had found: from then on nothing is noted, and the dump says so."""
        program, found = self.run_traced("""
            import tracemalloc
            kept = []

            def prepare():
                tracemalloc.start()

            def main():
                kept.extend(range(100))
                tracemalloc.stop()
                kept.extend(range(1000))
        """)
        self.assertEqual(found["told"], {}, numbered(program))
        self.assertIn("another tool", " ".join(found["notes"]))

    def test_a_tool_that_comes_later(self):
        """`tracemalloc` puts back what it had found: this."""
        self.check("""
            import tracemalloc
            kept = []

            def main():
                tracemalloc.start()
                kept.append(bytes(1000))
                assert tracemalloc.get_traced_memory()[0] > 1000
                tracemalloc.stop()
                kept.extend(range(100))      # grown: kept
        """)


@unittest.skipIf(FREE_THREADED, "tracing is for interpreters with a lock")
class Chance(Tracing):
    def test_containers_that_grow_and_shrink_by_chance(self):
        """Each line that is told has made that very container larger, and none that removes from it is."""
        program, found = self.run_traced("""
            import collections, random, sys

            chance = random.Random(1)
            lists = [[] for _ in range(300)]
            sets = [set() for _ in range(300)]
            tables = [{} for _ in range(300)]
            queues = [collections.deque() for _ in range(100)]
            since = collections.defaultdict(set)
            wrong = "unchecked"

            def here():
                return sys._getframe(1).f_lineno

            def note(container, size, line):
                if sys.getsizeof(container) > size:
                    since[id(container)].clear()
                since[id(container)].add(line)

            def prepare():
                for one in lists[:100]:
                    one.extend(range(chance.randrange(100)))
                for one in sets[:100]:
                    one.update(range(chance.randrange(100)))

            # Names of what takes away stand in code of its own: where they stand nothing is told of what else is there.

            def take_from_list(one):
                if chance.random() < 0.1:
                    del one[:len(one) // 2]
                elif chance.random() < 0.1:
                    del one[2:]
                elif one:
                    one.pop()

            def take_from_set(one):
                some, way = set(list(one)[::chance.randrange(1, 4)]), chance.randrange(40)
                if way == 0:
                    one -= some
                elif way == 1:
                    one &= some
                elif way == 2:
                    one.difference_update(some)
                elif way == 3:
                    one.intersection_update(some)
                elif one:
                    one.pop()

            def take_from_table(one):
                if one and chance.random() < 0.2:
                    one.popitem()
                elif one and chance.random() < 0.2:
                    del one[next(iter(one))]

            def take_from_queue(queue):
                if chance.random() < 0.02:
                    queue.rotate(chance.randrange(-70, 70))
                elif queue and chance.random() < 0.02:
                    queue.remove(queue[len(queue) // 2])
                elif queue:
                    queue.popleft()

            def step():
                kind = chance.randrange(12)
                number, amount = chance.randrange(10**9), chance.randrange(1, 40)
                one = chance.choice((lists, sets, tables)[kind % 3])
                queue, size = chance.choice(queues), sys.getsizeof(one)
                if kind == 0:
                    one.append(number); line = here()
                elif kind == 3:
                    one.extend(range(amount)); line = here()
                elif kind == 6:
                    one.insert(len(one) // 2, number); line = here()
                elif kind == 1:
                    one.add(number); line = here()
                elif kind == 4:
                    one.update(range(number, number + amount)); line = here()
                elif kind == 2:
                    one[number] = number; line = here()
                elif kind == 5:
                    one.update(dict.fromkeys(range(number, number + amount))); line = here()
                elif kind == 8:
                    one.setdefault(number, []); line = here()
                else:
                    (take_from_list, take_from_set, take_from_table)[kind % 3](one)
                    line = None
                if line is not None:
                    note(one, size, line)
                if chance.random() < 0.5:
                    queue.append(number); since[id(queue)].add(here())
                else:
                    take_from_queue(queue)

            def main():
                global wrong
                import heldby_agent
                for _ in range(40000):
                    step()
                found, told = [], 0
                for kind, containers in enumerate((lists, sets, queues, tables)):
                    for one in containers:
                        line = heldby_agent._native["traced"](id(one), kind)
                        told += line != 0
                        if line and line not in since[id(one)]:
                            found.append((kind, len(one), line, sorted(since[id(one)])))
                assert told > 300, told
                assert not found, (len(found), found[:5])
                wrong = []
                wrong.append(1)
        """, everything=True)
        self.assertIn("wrong", found["told"], numbered(program))


@unittest.skipUnless(LIBRARY and FREE_THREADED, "about interpreters without a lock")
class FreeThreaded(unittest.TestCase):
    def test_it_says_that_it_cannot(self):
        program = "import heldby_agent as a; a.native_library = %r\ntry: a.trace()\nexcept RuntimeError as error: print(error)" % LIBRARY
        done = subprocess.run([sys.executable, "-c", program], cwd=AGENT, stdout=subprocess.PIPE, timeout=60)
        self.assertIn(b"has no lock", done.stdout)


if __name__ == "__main__":
    unittest.main()
