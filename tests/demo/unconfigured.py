"""Dumps a process whose `django.conf.settings` is not configured: whoever asks it for anything sets it up, and fails.

    unconfigured.py AGENT DUMP

Ends with 1 when the capture asked.
"""
import importlib.util
import sys

from django.conf import LazySettings, settings
from django.utils.functional import empty

agent_path, dump = sys.argv[1:]
spec = importlib.util.spec_from_file_location("heldby_agent", agent_path)
agent = importlib.util.module_from_spec(spec)
sys.modules["heldby_agent"] = agent
spec.loader.exec_module(agent)

asked = []
set_up = LazySettings._setup


def count(self, name=None):
    asked.append(name)
    return set_up(self, name)


LazySettings._setup = count
settings_kept_by_the_program = {"settings": settings, "more": [settings]}
agent.dump(dump)
if asked or settings._wrapped is not empty:
    sys.exit("the capture asked the unconfigured settings for %r" % asked)
