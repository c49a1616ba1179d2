"""Keeps four orders a round."""

import time


class Order:
    pass


KEPT = []


def work():
    newest = None
    for _ in range(4):
        newest = Order()
        KEPT.append(newest)
    return newest


while True:
    last = work()
    time.sleep(0.05)
