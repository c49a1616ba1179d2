"""Has a million and a half objects, adds some each second, and notes how long it ever stood still.

    large.py FILE

FILE comes to have the longest pause between two rounds of its loop, in seconds.
"""

import sys
import time


class Line:
    __slots__ = ("name", "price", "tags")

    def __init__(self, number):
        self.name = "line %d" % number
        self.price = number + 0.5
        self.tags = [number]


LINES = []


def fill(count):
    for number in range(count):
        LINES.append(Line(len(LINES)))


if __name__ == "__main__":
    fill(300000)
    longest = 0.0
    told = last = time.monotonic()
    while True:
        now = time.monotonic()
        longest = max(longest, now - last)
        last = now
        if now - told > 1:
            told = now
            fill(100)
            with open(sys.argv[1], "w", encoding="utf-8") as report:
                report.write("%.3f\n" % longest)
            last = time.monotonic()
        time.sleep(0.001)
