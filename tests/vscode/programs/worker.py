"""A worker that remembers every job it has done."""

import time


class Job:
    def __init__(self, number):
        self.number = number


done = []


def work(seconds_between):
    number = 0
    while True:
        number += 1
        done.append(Job(number))
        time.sleep(seconds_between)


if __name__ == "__main__":
    work(0.01)
