"""heldby_agent.install: dumps on a signal, at an interval, at an amount of memory."""
import os
import subprocess
import sys
import tempfile
import unittest

AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "server", "capture", "python")

BEGINNING = """
import gc, os, sys, threading, time
sys.path.insert(0, %r)
import heldby_agent
folder = sys.argv[1]

def names():
    return sorted(name for name in os.listdir(folder) if not name.endswith(".part"))

def wait_for(count):
    for _ in range(600):
        if len(names()) >= count:
            return
        time.sleep(0.05)
    raise SystemExit("there are only %%s" %% names())
""" % AGENT


class Install(unittest.TestCase):
    def run_program(self, text):
        """Runs a program that dumps into a folder; what it prints, and the dumps' names."""
        with tempfile.TemporaryDirectory() as folder:
            dumps = os.path.join(folder, "dumps")
            done = subprocess.run(
                [sys.executable, "-c", BEGINNING + text, dumps], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120
            )
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            self.assertEqual(done.stderr.decode(), "")
            names = sorted(os.listdir(dumps)) if os.path.isdir(dumps) else []
            return done.stdout.decode(), names

    def test_a_signal(self):
        said, names = self.run_program("""
import signal
signal.signal(signal.SIGUSR2, lambda *_: print("the program's own"))
end = heldby_agent.install(folder, signal=signal.SIGUSR2)
for count in (1, 2):
    os.kill(os.getpid(), signal.SIGUSR2)
    wait_for(count)
end()
print(signal.getsignal(signal.SIGUSR2).__name__)
os.kill(os.getpid(), signal.SIGUSR2)
time.sleep(0.3)
""")
        self.assertEqual(said, "the program's own\n" * 2 + "<lambda>\n" + "the program's own\n")
        self.assertEqual(len(names), 2)

    def test_a_signal_that_comes_during_a_dump_is_not_lost(self):
        _, names = self.run_program("""
import signal
heap = [[number] for number in range(200000)]
heldby_agent.install(folder, signal=signal.SIGUSR2)
os.kill(os.getpid(), signal.SIGUSR2)
while not os.listdir(folder):
    time.sleep(0.001)
assert any(name.endswith(".part") for name in os.listdir(folder)), os.listdir(folder)
os.kill(os.getpid(), signal.SIGUSR2)
wait_for(2)
""")
        self.assertEqual(len(names), 2)

    def test_an_interval_and_the_newest(self):
        said, names = self.run_program("""
end = heldby_agent.install(folder, every=0.1, keep=2)
seen = set()
while len(seen) < 5:
    seen.update(names())
    time.sleep(0.01)
end()
# The one that was being taken, or was about to be, is finished, and an older one goes.
while len(sys._current_frames()) > 1:
    time.sleep(0.01)
print(sorted(seen)[-2:] <= names())
""")
        self.assertEqual(said, "True\n")
        self.assertEqual(len(names), 2)

    def test_an_amount_of_memory(self):
        _, names = self.run_program("""
heldby_agent.MEMORY_INTERVAL = 0.05
now = heldby_agent._resident_bytes()
heldby_agent.install(folder, at_memory=now + (30 << 20))
time.sleep(0.5)
assert names() == [], names()
held = bytearray(os.urandom(1 << 20) * 60)
wait_for(1)
""")
        self.assertGreaterEqual(len(names), 1)

    def test_the_end_of_the_program(self):
        _, names = self.run_program("""
heldby_agent.install(folder, at_exit=True)
time.sleep(0.3)
assert names() == [], names()
""")
        self.assertEqual(len(names), 1)
        _, names = self.run_program("heldby_agent.install(folder, at_exit=True)()\n")
        self.assertEqual(names, [])

    def test_a_disk_is_never_filled(self):
        """Older dumps go first; where that is not enough there is a word, once, and no dump."""
        said, names = self.run_program("""
import io
end = heldby_agent.install(folder, every=0.1, keep=5)
wait_for(3)
free, asked = os.statvfs(folder), []
def nearly_full(place):
    asked.append(place)
    return os.statvfs_result((*free[:2], 1000, 0, 0, *free[5:]))
sys.stderr, os.statvfs = io.StringIO(), nearly_full
while len(asked) < 12:
    time.sleep(0.01)
end()
while len(sys._current_frames()) > 1:
    time.sleep(0.01)
print(len(names()), sys.stderr.getvalue().count("is nearly full"))
sys.stderr = sys.__stderr__
""")
        self.assertEqual(said, "1 1\n")

    def test_a_forked_child_dumps_too(self):
        said, names = self.run_program("""
heldby_agent.install(folder, every=0.1, keep=3)
wait_for(1)
child = os.fork()
if child == 0:
    for _ in range(600):
        if any("-%d-" % os.getpid() in name for name in names()):
            os._exit(0)
        time.sleep(0.05)
    os._exit(1)
print(os.waitpid(child, 0)[1])
""")
        self.assertEqual(said, "0\n")

    def test_it_is_not_in_its_own_dump(self):
        from read_dump import Dump
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-c", BEGINNING + """
heldby_agent.install(folder, every=0.2)
wait_for(2)
print(id(heldby_agent._installation), id(heldby_agent._installation["paths"]), id(heldby_agent._installation["wake"]))
os._exit(0 if not sys.stdout.flush() else 1)
""", folder], stdout=subprocess.PIPE, check=True)
            dump = Dump(os.path.join(folder, sorted(name for name in os.listdir(folder) if name.endswith(".heldby"))[-1]))
        self.assertEqual([address for address in map(int, done.stdout.split()) if address in dump.objects], [])
        # Of the frames only the program's are there.
        self.assertEqual([code for code in dump.codes.values() if "heldby_agent" in (code[0] or "")], [])

    def test_what_cannot_be_installed_says_what_to_do(self):
        said, _ = self.run_program("""
import signal
def complain(**arguments):
    try:
        heldby_agent.install(folder, **arguments)
    except Exception as error:
        print(type(error).__name__, error)
complain()
complain(every=0)
complain(every=5, keep=0)
thread = threading.Thread(target=complain, kwargs={"signal": signal.SIGUSR2})
thread.start()
thread.join()
heldby_agent.install(folder, every=60)
complain(every=60)
""")
        self.assertEqual(said.splitlines(), [
            "ValueError heldby: say when to dump: install(dir, signal=…), every=… seconds, at_memory=… bytes or at_exit=True",
            "ValueError heldby: every=… is a number of seconds greater than 0",
            "ValueError heldby: keep=… is a number of dumps, 1 or more",
            "RuntimeError heldby: a signal can only be waited for by the main thread: call install() there",
            "RuntimeError heldby: dumps are installed already; call what the first install() returned, then install again",
        ])


if __name__ == "__main__":
    unittest.main()
