"""How far one upload has come."""

import time

# The steps of an upload, with the percentage that is shown when each begins.
STAGES = {
    "received": 10,
    "filtered": 35,
    "watermarked": 50,
    "resized": 75,
    "stored": 100,
}


class Tracker:
    def __init__(self, image):
        self.image = image
        self.stage = "received"
        self.started = time.monotonic()

    def advance(self, stage):
        if stage not in STAGES:
            raise ValueError("no such stage: %r" % stage)
        self.stage = stage

    def summary(self):
        return {
            "name": self.image.name,
            "bytes": len(self.image.data),
            "stage": self.stage,
            "percent": STAGES[self.stage],
            "seconds": round(time.monotonic() - self.started, 2),
        }
