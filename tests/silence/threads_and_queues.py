"""Threads, pools, queues, subprocesses, sqlite, logging, caches and weak containers of the standard library, used as they are
meant to be."""
import collections
import functools
import logging
import queue
import re
import sqlite3
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())
logger.propagate = False
inbox = queue.Queue()
recent = collections.deque(maxlen=50)
alive = weakref.WeakValueDictionary()
database = sqlite3.connect(":memory:")
database.execute("create table lines (text)")


class Job:
    def __init__(self, number):
        self.number = number
        weakref.finalize(self, logger.debug, "done")


@functools.lru_cache(maxsize=32)
def square(number):
    return number * number


def work():
    while (job := inbox.get()) is not None:
        recent.append(job)
        inbox.task_done()


threading.Thread(target=work, daemon=True).start()
count = 0


def step(n):
    global count
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(square, range(n))) >= 0
    for _ in range(n):
        count += 1
        job = alive[count] = Job(count)
        inbox.put(job)
        square(count)
        database.execute("insert into lines values (?)", ("line %d" % count,))
        logger.info("job %d", count)
        re.compile("job %d" % count)
        try:
            raise ValueError(job)
        except ValueError as error:
            logger.error("failed: %s", error)
        thread = threading.Thread(target=square, args=(count,))
        thread.start()
        thread.join()
    inbox.join()
    database.execute("delete from lines")
    subprocess.run([sys.executable, "-c", ""], check=True)
