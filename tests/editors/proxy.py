"""Stands between an editor and its server, passes on every byte, and records what is said.

    proxy.py LOG -- COMMAND…

Each line of the log is JSON: `{"from": "client" | "server", "message": …}`, or `"fault"` instead of the message where the framing is not
that of the protocol. A message is recorded before it is passed on: an answer never stands before its request.
"""
import json
import os
import subprocess
import sys
import threading


def pump(source, target, sender, record):
    """Passes on messages until the source ends."""
    try:
        while True:
            head, length = b"", None
            while True:
                line = source.readline()
                if not line:
                    if head:
                        record(sender, fault="it ends in the middle of a header")
                    return
                head += line
                if not line.endswith(b"\r\n"):
                    record(sender, fault="a header line does not end with CR LF: %r" % line)
                if not line.strip():
                    break
                name, _, value = line.partition(b":")
                if name.strip().lower() == b"content-length":
                    length = int(value)
                elif name.strip().lower() != b"content-type":
                    record(sender, fault="an unknown header: %r" % line)
            if length is None:
                record(sender, fault="no length: %r" % head)
                return
            body = source.read(length)
            if len(body) < length:
                record(sender, fault="it ends in the middle of a message")
                return
            try:
                record(sender, message=json.loads(body.decode("utf-8")))
            except ValueError as error:
                record(sender, fault="no JSON: %s" % error)
            target.write(head + body)
            target.flush()
    except (OSError, ValueError):
        # The other side is gone.
        pass
    finally:
        try:
            target.close()
        except OSError:
            pass


def main():
    log, _, *command = sys.argv[1:]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lock = threading.Lock()
    with open(log, "a", encoding="utf-8") as file:

        def record(sender, **what):
            with lock:
                file.write(json.dumps(dict({"from": sender}, **what)) + "\n")
                file.flush()

        threading.Thread(target=pump, args=(sys.stdin.buffer, server.stdin, "client", record), daemon=True).start()
        pump(server.stdout, sys.stdout.buffer, "server", record)
        code = server.wait()
    # The client may hold its end open: its thread is not waited for.
    os._exit(code if code >= 0 else 1)


if __name__ == "__main__":
    main()
