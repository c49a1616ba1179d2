"""An asyncio service: a server and clients on a socket, a pool of workers, timeouts, and tasks that are cancelled."""
import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor

loop = asyncio.new_event_loop()
user = contextvars.ContextVar("user")
pool = ThreadPoolExecutor(2)
jobs = asyncio.Queue()


async def answer(reader, writer):
    while line := await reader.readline():
        token = user.set(line)
        writer.write(await loop.run_in_executor(pool, line.upper))
        await writer.drain()
        user.reset(token)
    writer.close()


async def work():
    while True:
        job, done = await jobs.get()
        if not done.cancelled():
            done.set_result(job * 2)
        jobs.task_done()


async def begin():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    workers = [loop.create_task(work()) for _ in range(3)]
    return server, workers


server, workers = loop.run_until_complete(begin())
port = server.sockets[0].getsockname()[1]


async def visit():
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    assert await reader.readline() == b"HELLO\n"
    writer.close()
    await writer.wait_closed()
    done = loop.create_future()
    await jobs.put((21, done))
    assert await asyncio.wait_for(done, 5) == 42
    sleeping = loop.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    sleeping.cancel()
    await asyncio.gather(sleeping, return_exceptions=True)


async def visits(n):
    for _ in range(n):
        await visit()


def step(n):
    loop.run_until_complete(visits(n))
