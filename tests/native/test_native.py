"""The native agent in programs that make it hard: each dump is whole, whoever takes it, and the program is as it was.

HELDBY_NATIVE_LIBRARY names the library. Each test is a program in a process of its own.
"""
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
AGENT = os.path.join(os.path.dirname(TESTS), "server", "capture", "python")
LIBRARY = os.environ.get("HELDBY_NATIVE_LIBRARY", "")
# Dumps in a loop: many where there is time.
DUMPS = int(os.environ.get("HELDBY_TEST_NATIVE_DUMPS", "50"))

FREE_THREADED = "free-threading build" in sys.version

PREAMBLE = """
import base64, ctypes, errno, gc, json, os, random, resource, shutil, signal, sys, threading, time, zlib
agent, tests, folder, library, dumps = sys.argv[1:]
dumps = int(dumps)
sys.path[:0] = [os.path.join(tests, "agent"), os.path.join(tests, "native"), os.path.join(tests, "ways")]
# Without the folder's `sitecustomize`.
import importlib.util
specification = importlib.util.spec_from_file_location("heldby_agent", os.path.join(agent, "heldby_agent.py"))
heldby_agent = sys.modules["heldby_agent"] = importlib.util.module_from_spec(specification)
specification.loader.exec_module(heldby_agent)
heldby_agent.native_library = library
import read_dump

HELD = [[number] for number in range(2000)]
path = os.path.join(folder, "a.heldby")

def dump(**how):
    return heldby_agent.dump(path, **{"compress": False, **how})

def check(by="heldby_native", because=""):
    "The dump is whole, and was taken by this agent, for this reason."
    found = read_dump.Dump(path)
    assert found.head["agent"].startswith(by), (found.head["agent"], found.head.get("fallback"))
    assert because in found.head.get("fallback", ""), found.head["fallback"]
    assert len(found.objects[id(HELD)].edges) == 2000
    assert os.listdir(folder) == ["a.heldby"], os.listdir(folder)
    os.unlink(path)
    return found

def children():
    with open("/proc/self/task/%d/children" % os.getpid()) as file:
        return file.read().split()

def skip(why):
    print(why); sys.exit(77)

# Flags of mount(2) and umount2(2).
READ_ONLY, RUNS_NOTHING, DETACH = 1 << 0, 1 << 3, 1 << 1
libc = ctypes.CDLL(None, use_errno=True)

def own_file_systems(as_another_root=False):
    "What is mounted from now on, this process alone sees; it may be root of a user namespace that others know as somebody else."
    user, group = os.getuid(), os.getgid()
    if libc.unshare(0x00020000 | (0x10000000 if as_another_root else 0)) or libc.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None):
        skip("no namespace of one's own here: %s" % os.strerror(ctypes.get_errno()))
    if as_another_root:
        for name, text in ("setgroups", "deny"), ("uid_map", "0 %d 1" % user), ("gid_map", "0 %d 1" % group):
            with open("/proc/self/" + name, "w") as file: file.write(text)

def mount(place, options=0, room="256m"):
    if libc.mount(b"none", place.encode(), b"tmpfs", options, b"size=" + room.encode()):
        skip("nothing can be mounted here: %s" % os.strerror(ctypes.get_errno()))

def embed():
    "The library is in the agent's file, as `heldby agent --native` puts it there."
    with open(library, "rb") as file: heldby_agent.embedded_native_library = base64.b64encode(zlib.compress(file.read(), 1)).decode()
    # What the environment names would come first.
    del os.environ["HELDBY_NATIVE_LIBRARY"]
    heldby_agent.native_library = None
"""


def numbered(program):
    return "".join("%4d %s\n" % line for line in enumerate(program.split("\n"), 1))


@unittest.skipUnless(LIBRARY, "HELDBY_NATIVE_LIBRARY names no library")
class Native(unittest.TestCase):
    def run_program(self, code, timeout=900):
        with tempfile.TemporaryDirectory() as folder:
            program = PREAMBLE + textwrap.dedent(code)
            command = [sys.executable, "-X", "faulthandler", "-c", program, AGENT, TESTS, folder, LIBRARY, str(DUMPS)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        said = done.stdout.decode(errors="replace")
        if done.returncode == 77:
            self.skipTest(said.strip())
        self.assertEqual(done.returncode, 0, said + numbered(program))
        return said

    def test_the_two_agents_agree(self):
        """Each way of holding, reference by reference."""
        program = "import compare\nos.makedirs(folder + '/dumps')\nsys.exit(compare.main(library, folder + '/dumps'))"
        self.assertIn("references compared", self.run_program(program))

    def test_a_dump_and_what_is_said_of_it(self):
        self.run_program("""
            dump(); found = check()
            assert "fallback" not in found.head
            assert not children()
        """)

    def test_nobody_waits(self):
        self.run_program("""
            dump(wait=False)
            while not os.path.exists(path): time.sleep(0.01)
            check()
        """)

    def test_what_is_frozen_is_seen(self):
        """`gc.get_objects` shows nothing of it."""
        self.run_program("""
            gc.collect(); gc.freeze(); dump(); found = check()
            assert found.head["garbage_collector"]["frozen"] > 1000
            assert not found.head.get("notes"), found.head["notes"]
            gc.unfreeze()
        """ if not FREE_THREADED else "print('no freezing in free-threaded builds'); sys.exit(77)")

    def test_no_library(self):
        self.run_program("""
            heldby_agent.native_library = os.path.join(folder, "no.so"); dump(); check("heldby_agent", "cannot be loaded")
            broken = folder + "-broken.so"
            for content in (b"", b"no library", open(library, "rb").read()[:5000]):
                with open(broken, "wb") as file: file.write(content)
                heldby_agent.native_library = broken
                dump(); check("heldby_agent", "cannot be loaded")
                heldby_agent._native.clear()
            os.unlink(broken)
            heldby_agent.native_library = ""; dump(); check("heldby_agent")
        """)

    def test_an_older_c_library(self):
        """Than the one that the library was built with: one that this system would need to be from the future for."""
        self.run_program("""
            import re
            newer = folder + "-newer.so"
            with open(library, "rb") as file: content = file.read()
            with open(newer, "wb") as file: file.write(re.sub(rb"GLIBC_2([.]\\d+)", rb"GLIBC_9\\1", content))
            heldby_agent.native_library = newer
            try: dump(); check("heldby_agent", "GLIBC_9")
            finally: os.unlink(newer)
        """)

    def test_the_agent_is_loaded_anew(self):
        """What the agent was that is gone now does not stand in the way, nor in the dump."""
        self.run_program("""
            for _ in range(3):
                dump(); check()
                del sys.modules["heldby_agent"], heldby_agent
                gc.collect()
                heldby_agent = sys.modules["heldby_agent"] = importlib.util.module_from_spec(specification)
                specification.loader.exec_module(heldby_agent)
                heldby_agent.native_library = library
            dump(); found = check()
            assert not [module for module in sys.modules if module.startswith("heldby_agent") and id(sys.modules[module]) in found.objects]
        """)

    def test_an_interpreter_of_another_make(self):
        """What it finds out about the probes is not what they are: it says so, and does not try again."""
        self.run_program("""
            class Wrong(heldby_agent._Probes):
                def expect(self, what, probe, **parts):
                    super().expect(what, probe, **parts)
                    self.expected[-1]["bytes"] += 1
            heldby_agent._Probes = Wrong
            for _ in range(2):
                dump(); check("heldby_agent", "keeps objects otherwise")
        """)

    def test_a_child_that_is_killed(self):
        self.run_program("""
            import itertools
            random.seed(7)
            taken = {"heldby_native": 0, "heldby_agent": 0}
            def kill(after, dumped):
                # It may be a while until there is one; what ends before it is killed is whole.
                while not children() and not dumped: time.sleep(0.0005)
                time.sleep(after)
                for child in children():
                    try: os.kill(int(child), random.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT]))
                    except ProcessLookupError: pass
            for number in itertools.count():
                if number >= 12 and taken["heldby_agent"]: break
                dumped = []
                thread = threading.Thread(target=kill, args=(random.random() * 0.06 * (number % 2), dumped))
                thread.start(); dump(); dumped.append(True); thread.join()
                by = read_dump.Dump(path).head["agent"].split()[0]
                taken[by] += 1
                check(by, "" if by == "heldby_native" else "signal")
                heldby_agent._native.clear()
                assert not children()
        """)

    def test_no_room(self):
        self.run_program("""
            dump(); size = os.path.getsize(path); check()
            for part in (0, 100, size // 2, size * 9 // 10):
                resource.setrlimit(resource.RLIMIT_FSIZE, (part, resource.RLIM_INFINITY))
                try: dump()
                except OSError: pass
                else: raise AssertionError("a dump without room")
                finally: resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
                assert not os.listdir(folder) and not children()
            dump(); check()
            folder_that_is_not = os.path.join(folder, "no", "a.heldby")
            try: heldby_agent.dump(folder_that_is_not)
            except OSError: pass
            else: raise AssertionError
        """)

    def test_no_process_may_be_made(self):
        self.run_program("""
            if os.getuid() == 0:
                os.chmod(folder, 0o777); os.setresuid(65534, 65534, 65534)
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
            dump(); check("heldby_agent", "no process could be made")
        """)

    def test_no_memory(self):
        """The dump is whole, or there is none and the program is told."""
        self.run_program("""
            with open("/proc/self/statm") as file: used = int(file.read().split()[0]) * resource.getpagesize()
            for left in (0, 1 << 16, 1 << 20, 4 << 20, 16 << 20, 64 << 20):
                resource.setrlimit(resource.RLIMIT_AS, (used + left, resource.RLIM_INFINITY))
                try: dump()
                except (MemoryError, OSError): pass
                resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
                if os.path.exists(path): check("heldby")
                assert not os.listdir(folder) and not children()
                heldby_agent._native.clear()
            dump(); check()
        """)

    def test_no_proc(self):
        self.run_program("""
            own_file_systems(); mount("/proc")
            dump(); check()
        """)

    def test_a_file_system_that_runs_nothing(self):
        self.run_program("""
            place = folder + "-runs-nothing"
            os.mkdir(place)
            try:
                own_file_systems(); mount(place, options=RUNS_NOTHING)
                heldby_agent.native_library = shutil.copy(library, place)
                dump(); check("heldby_agent", "cannot be loaded")
                # The same library, in the file of the agent.
                embed(); dump(); check()
            finally:
                libc.umount2(place.encode(), DETACH); os.rmdir(place)
        """)

    def test_in_a_container(self):
        """Root of a user namespace of its own, on a root that is read only, with next to no room in `/tmp`."""
        self.run_program("""
            # Before nothing can be read any more: `TMPDIR` may be in `/tmp`.
            embed()
            own_file_systems(as_another_root=True)
            mount("/tmp", room="64k"); os.makedirs(folder); mount(folder)
            if libc.mount(None, b"/", None, READ_ONLY | 1 << 5 | 1 << 12, None): skip("the root cannot be made read only here")
            try: open("/heldby", "w")
            except OSError as error: assert error.errno == errno.EROFS, error
            dump(); check()
        """)

    def test_the_program_sees_no_child(self):
        self.run_program("""
            ends = []
            signal.signal(signal.SIGCHLD, lambda *_: ends.append(1))
            for _ in range(5):
                dump(wait=False)
                try: os.waitpid(-1, os.WNOHANG)
                except ChildProcessError: pass
                else: raise AssertionError("it found a child")
                while not os.path.exists(path): time.sleep(0.01)
                time.sleep(0.05); check()
            assert not ends
        """)

    def test_signals_come_meanwhile(self):
        self.run_program("""
            came = []
            signal.signal(signal.SIGALRM, lambda *_: came.append(1))
            signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
            for _ in range(8): dump(); check()
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert len(came) > 20
        """)

    def test_a_handler_that_raises(self):
        """A wait that is broken off leaves neither child nor file."""
        self.run_program("""
            import _thread
            class Enough(Exception): pass
            def enough(number, frame):
                if frame.f_code is heldby_agent._wait_for_native_dump.__code__: raise Enough
            signal.signal(signal.SIGALRM, enough)
            broken_off = 0
            for number in range(20):
                signal.setitimer(signal.ITIMER_REAL, 0.003 * number + 0.001, 0.005)
                try: dump()
                except Enough: broken_off += 1
                signal.setitimer(signal.ITIMER_REAL, 0)
                assert not children()
                assert gc.isenabled() and heldby_agent._owner is None
                if os.path.exists(path): check()
                assert not os.listdir(folder)
            assert broken_off
            dump(); check()
        """)

    def test_a_program_that_forks(self):
        self.run_program("""
            stop, errors = [], []
            def fork():
                while not stop:
                    child = os.fork()
                    if not child: os._exit(0)
                    if os.waitpid(child, 0)[1]: errors.append(1)
            threads = [threading.Thread(target=fork) for _ in range(2)]
            for thread in threads: thread.start()
            for _ in range(8): dump(); check()
            stop.append(1)
            for thread in threads: thread.join()
            assert not errors
            if not os.fork():
                dump(); check(); os._exit(0)
            assert os.wait()[1] == 0
        """)

    def test_the_collector_works_meanwhile_or_not_at_all(self):
        self.run_program("""
            stop = []
            def collect():
                while not stop: gc.collect()
            thread = threading.Thread(target=collect); thread.start()
            for _ in range(8): dump(); check()
            stop.append(1); thread.join()
            gc.disable(); dump(); assert check().head["garbage_collector"]["enabled"] is False
            gc.enable(); gc.set_threshold(0); dump(); check()
            gc.set_threshold(17, 3, 2); dump(); check()
        """)

    def test_other_interpreters(self):
        self.run_program("""
            try: import _interpreters as interpreters
            except ImportError:
                try: import _xxsubinterpreters as interpreters
                except ImportError: print("no interpreters beside this one"); sys.exit(77)
            others = [interpreters.create() for _ in range(2)]
            for other in others: interpreters.run_string(other, "held = [[n] for n in range(1000)]")
            for _ in range(3): dump(); check()
            for other in others: interpreters.destroy(other)
            dump(); check()
        """)

    def test_other_interpreters_with_a_lock_of_their_own(self):
        """They run while the dump is taken: none of their frames may be touched."""
        self.run_program("""
            try: import _interpreters as interpreters
            except ImportError:
                if sys.version_info < (3, 12): skip("interpreters share a lock here")
                import _xxsubinterpreters as interpreters
            run = getattr(interpreters, "run_string", None) or interpreters.exec
            def wait(): local = [HELD]; stop.wait(); return local
            stop = threading.Event()
            waiting = threading.Thread(target=wait, daemon=True); waiting.start()
            # One after the other: CPython cannot make several at once.
            others = [interpreters.create() for _ in range(2)]
            ended = folder + ".ended"
            code = "import os\\nwhile not os.path.exists(%r): {str(n): [n] * 100 for n in range(20)}" % ended
            threads = [threading.Thread(target=run, args=(other, code)) for other in others]
            for thread in threads: thread.start()
            while not all(map(interpreters.is_running, others)): pass
            taken = []
            for native_library in [library] * 3 + [""]:
                heldby_agent.native_library = native_library
                dump()
                taken.append(os.rename(path, folder + ".%d" % len(taken)) or folder + ".%d" % len(taken))
            assert all(map(interpreters.is_running, others)), "they ran all the while"
            open(ended, "w").close()
            for thread in threads: thread.join()
            os.unlink(ended)
            for other in others: interpreters.destroy(other)
            for number, one in enumerate(taken):
                os.rename(one, path)
                found = check("heldby_native" if number < 3 else "heldby_agent")
                of_threads = {frame[1] for frame in found.frames.values()}
                assert number == 3 or {threading.get_ident(), waiting.ident} <= of_threads, (of_threads, waiting.ident)
            stop.set(); waiting.join()
        """)

    def test_dumps_in_a_loop_leave_nothing(self):
        """Under threads that allocate, collect, start threads: memory, files and children stay."""
        self.run_program("""
            stop = []
            # Else the threads let the dumps wait longer than these take.
            sys.setswitchinterval(0.0002)
            def work(seed):
                own = random.Random(seed); kept = {}
                while not stop:
                    kept[own.randrange(500)] = [bytearray(own.randrange(2000)) for _ in range(own.randrange(20))]
                    if own.random() < 0.01: gc.collect(0)
                    if own.random() < 0.1: time.sleep(0.001)
                    if own.random() < 0.01: thread = threading.Thread(target=sorted, args=([3, 2, 1],)); thread.start(); thread.join()
            def measure():
                # What the allocator keeps for itself comes and goes.
                ctypes.CDLL(None).malloc_trim(0) if hasattr(ctypes.CDLL(None), "malloc_trim") else None
                with open("/proc/self/statm") as file: memory = int(file.read().split()[1]) * resource.getpagesize()
                with open("/proc/self/maps") as file: maps = sum(1 for _ in file)
                return memory, len(os.listdir("/proc/self/fd")), maps
            threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
            for thread in threads: thread.start()
            for _ in range(10): dump(); check()
            before = measure()
            for number in range(dumps):
                dump()
                if number % 50 == 0: assert read_dump.Dump(path).sections[-1] == "END "
                # The end marker: 32 bytes before a body of 16.
                with open(path, "rb") as file: file.seek(-48, 2); assert file.read(4) == b"END ", number
                assert "objects" in heldby_agent._native["report"], heldby_agent._native["report"]
                os.unlink(path)
            after = measure()
            stop.append(1)
            for thread in threads: thread.join()
            dump(); check()
            assert not children()
            assert after[1] == before[1], (before, after)
            assert after[0] < before[0] + (24 << 20), (before, after)
            assert after[2] < before[2] + 40, (before, after)
            print("%d dumps: %.1f MiB before, %.1f after" % (dumps, before[0] / 2**20, after[0] / 2**20))
        """, timeout=7200)


if __name__ == "__main__":
    unittest.main()
