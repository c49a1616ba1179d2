"""Waits for whoever wants to debug it, and works meanwhile.

    listening.py PORT
"""

import sys

import debugpy

import worker

if __name__ == "__main__":
    debugpy.listen(("127.0.0.1", int(sys.argv[1])))
    print("it listens", flush=True)
    worker.work(0.01)
