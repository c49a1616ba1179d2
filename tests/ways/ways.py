"""Holds objects in every way that there is, dumps, and says at which access paths each must be found.

    ways.py DUMP    prints JSON: rows of (way, address, paths)

Each object is held in one way only: once as an instance, which the collector tracks, and once as `bytes`, which it does not.
"""
import json
import os
import sys

import heldby_agent
import holders


def main():
    rows = []
    keep = []
    for kind, make in (("tracked", holders.Payload), ("bytes", lambda: os.urandom(40))):
        rows += holders.hold_all(kind, make, keep)
    heldby_agent.dump(sys.argv[1])
    print(json.dumps(rows), flush=True)
    # Those who wait with something in hand print it when they are let go.
    sys.stdout = open(os.devnull, "w")
    holders.release()


main()
