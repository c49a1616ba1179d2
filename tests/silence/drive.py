"""Runs an application's `step` until it is warm, then dumps the heap between further steps.

    drive.py APPLICATION AGENT FOLDER
"""
import gc
import importlib.util
import os
import sys

WARM_UP, STEP, DUMPS = 60, 30, 4


def module_at(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


application, agent, folder = sys.argv[1:]
sys.dont_write_bytecode = True
step = module_at("application", application).step
heldby_agent = module_at("heldby_agent", agent)
step(WARM_UP)
for number in range(DUMPS):
    step(STEP)
    gc.collect()
    heldby_agent.dump(os.path.join(folder, "%d.heldby" % number))
# Threads that wait for work do not keep the program from ending.
os._exit(0)
