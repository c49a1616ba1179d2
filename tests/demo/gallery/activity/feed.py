"""The "recently added" column of the front page. It need not survive a restart, so it is kept in memory."""

import threading
from collections import deque, namedtuple

from django.conf import settings

Entry = namedtuple("Entry", "when verb title url")

_lock = threading.Lock()
_entries = deque(maxlen=settings.RECENT_ACTIVITY)


def record(when, verb, title, url):
    with _lock:
        _entries.appendleft(Entry(when, verb, title, url))


def latest(count=10):
    with _lock:
        return list(_entries)[:count]
