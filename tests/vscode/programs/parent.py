"""A program and one that it starts: both remember what they have seen, each in its own way."""

import os
import subprocess
import sys
import time


class Tick:
    pass


ticks = []


def main():
    subprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), "worker.py")])
    while True:
        ticks.append(Tick())
        time.sleep(0.01)


if __name__ == "__main__":
    main()
