"""Thumbnails, ready to be sent. The pages of an album ask for the same ones again and again."""

import io
import threading
from collections import OrderedDict

from django.conf import settings
from PIL import Image


class ThumbnailCache:
    """Keeps the thumbnails that were asked for last."""

    def __init__(self, capacity):
        self.capacity = capacity
        self._lock = threading.Lock()
        self._thumbnails = OrderedDict()

    def get(self, key):
        with self._lock:
            data = self._thumbnails.get(key)
            if data is not None:
                self._thumbnails.move_to_end(key)
            return data

    def put(self, key, data):
        with self._lock:
            self._thumbnails[key] = data
            self._thumbnails.move_to_end(key)
            while len(self._thumbnails) > self.capacity:
                self._thumbnails.popitem(last=False)


cache = ThumbnailCache(settings.THUMBNAILS_IN_MEMORY)


def thumbnail(photo):
    data = cache.get(photo.pk)
    if data is None:
        with photo.image.open("rb") as file, Image.open(file) as picture:
            data = encode(resize(picture.convert("RGB"), "thumb"), "thumb")
        cache.put(photo.pk, data)
    return data


def resize(picture, rendition):
    longer_side, _ = settings.RENDITIONS[rendition]
    smaller = picture.copy()
    smaller.thumbnail((longer_side, longer_side))
    return smaller


def encode(picture, rendition):
    _, quality = settings.RENDITIONS[rendition]
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()
