"""Neovim and Emacs on the demo's program, with the recipes of the README as they stand there.

    HELDBY=…/heldby DUMPS='…/1.heldby …/2.heldby …/3.heldby' RECORDINGS=folder python -m unittest test_editors

`heldby` on their PATH is a script that puts `proxy.py` between the editor and the server: what is said is recorded.
"""
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
GALLERY = os.path.realpath(os.path.join(ROOT, "tests", "demo", "gallery"))
# The demo's truth: where it leaks, and what holds.
with open(os.path.join(ROOT, "tests", "demo", "truth.json")) as truth_file:
    TRUTH = json.load(truth_file)
STORE, HOLDER = TRUTH["stores"][0], TRUTH["holder"]


def recipe(language):
    """The README's block for an editor."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as readme:
        blocks = re.findall(r"^```%s\n(.*?)^```$" % language, readme.read(), re.S | re.M)
    assert len(blocks) == 1, "the README has one recipe in %s" % language
    return blocks[0]


class Editor(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.home = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def path_with_proxy(self, name):
        """A PATH on which `heldby` is recorded."""
        folder = os.path.join(self.home, "bin")
        os.mkdir(folder)
        log = os.path.join(os.environ["RECORDINGS"], name + ".jsonl")
        if os.path.exists(log):
            os.remove(log)
        words = [sys.executable, os.path.join(HERE, "proxy.py"), log, "--", os.environ["HELDBY"]]
        script = os.path.join(folder, "heldby")
        with open(script, "w") as file:
            file.write("#!/bin/sh\nexec %s \"$@\"\n" % " ".join("'%s'" % word for word in words))
        os.chmod(script, os.stat(script).st_mode | stat.S_IXUSR)
        return folder + os.pathsep + os.environ["PATH"]

    def run_editor(self, name, command, language, suffix):
        if shutil.which(command[0]) is None:
            self.skipTest("%s is not installed" % command[0])
        init = os.path.join(self.home, "init" + suffix)
        with open(init, "w", encoding="utf-8") as file:
            file.write(recipe(language))
        environment = dict(
            os.environ,
            PATH=self.path_with_proxy(name),
            HOME=self.home,
            XDG_CONFIG_HOME=self.home,
            XDG_CACHE_HOME=self.home,
            XDG_DATA_HOME=self.home,
            XDG_STATE_HOME=self.home,
            VIEWS=os.path.join(GALLERY, STORE["file"]),
        )
        words = [word.replace("INIT", init) for word in command]
        run = subprocess.run(
            words, cwd=GALLERY, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
        )
        said = run.stdout.decode()
        self.assertEqual(run.returncode, 0, said + run.stderr.decode())
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        return {line["step"]: line["data"] for line in lines}

    def check(self, seen):
        warning = seen["warning"]
        self.assertEqual(warning["line"], STORE["line"])
        self.assertIn("alive through %s: +24 a dump" % HOLDER["path"], warning["message"])
        for part in ("grew: ", HOLDER["path"], "One of the objects held:", "reference count 1"):
            self.assertIn(part, seen["hover"])
        self.assertEqual(seen["moved"]["line"], STORE["line"] + 1)
        # The editor inserted a line above.
        self.assertEqual(seen["holder"], {"line": HOLDER["line"] + 1, "text": HOLDER["code"]})
        self.assertIs(seen["end"], True)

    def test_neovim(self):
        command = ["nvim", "-n", "--clean", "--headless", "-u", "INIT", "-c", "luafile " + os.path.join(HERE, "neovim.lua")]
        self.check(self.run_editor("neovim", command, "lua", ".lua"))

    def test_emacs(self):
        command = ["emacs", "--batch", "-l", "INIT", "-l", os.path.join(HERE, "emacs.el")]
        self.check(self.run_editor("emacs", command, "elisp", ".el"))


if __name__ == "__main__":
    unittest.main()
