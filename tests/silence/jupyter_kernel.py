"""A Jupyter kernel that runs cells, in its own process as Jupyter starts it."""
import contextlib
import io

from ipykernel.inprocess.manager import InProcessKernelManager

manager = InProcessKernelManager()
manager.start_kernel()
client = manager.client()
client.start_channels()

CELL = """
import collections
def mean(numbers):
    return sum(numbers) / len(numbers)
table = [collections.Counter(range(n)) for n in range(20)]
mean([len(row) for row in table])
"""


def step(n):
    with contextlib.redirect_stdout(io.StringIO()):
        for _ in range(n):
            client.execute(CELL)
            client.get_shell_msg(timeout=30)
            while client.iopub_channel.msg_ready():
                client.get_iopub_msg(timeout=1)
