"""Uploads under way, for the progress bar of the upload page.

The page makes up an id before it sends the form, and asks for that id's progress while the form is being sent.
"""

import threading

from progress.tracker import Tracker

_lock = threading.Lock()
_active = {}


def start(upload_id, image):
    """Begin to report on an upload. Whoever stores the photo ends it by `finish`."""
    tracker = Tracker(image)
    with _lock:
        _active[upload_id] = tracker
    return tracker


def find(upload_id):
    with _lock:
        return _active.get(upload_id)


def finish(upload_id):
    """Forget an upload. Not every photo comes through the upload page, so an unknown id is fine."""
    with _lock:
        _active.pop(upload_id, None)
