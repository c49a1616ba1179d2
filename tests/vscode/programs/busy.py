"""Counts, as fast as it can, and keeps every ten thousandth number in a list that nobody empties.

    busy.py FILE

Writes to FILE, about once a second, how far it has come and how long its longest pause between two rounds was.
"""

import sys
import time


class Sample:
    def __init__(self, number):
        self.number = number


samples = []


def count(file):
    number = 0
    longest = 0.0
    told = last = time.monotonic()
    while True:
        number += 1
        if number % 10000 == 0:
            samples.append(Sample(number))
        if number % 100 == 0:
            now = time.monotonic()
            longest = max(longest, now - last)
            last = now
            if now - told > 1:
                told = now
                with open(file, "w", encoding="utf-8") as report:
                    report.write("%d %.3f\n" % (number, longest))


if __name__ == "__main__":
    count(sys.argv[1])
