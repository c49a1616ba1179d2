# What is asked of a program that is being debugged, before its dump and after it: short questions that need no agent. An answer is
# an error's text: in base64 between two marks, so that no debugger's way of quoting changes it.
import binascii
import json
import os
import sys
import time


def look_around(witness, secret, folder):
    """Who answers, and where its dump is to lie: in `folder` if it sees the same files as the asker, who wrote `secret` into `witness`."""
    try:
        with open(witness, "rb") as file:
            is_local = file.read() == secret.encode()
    except OSError:
        is_local = False
    if not is_local:
        import tempfile
        folder = tempfile.gettempdir()
    now = time.time()
    moment = "%s%03dZ" % (time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)), now % 1 * 1000)
    return {
        "pid": os.getpid(),
        "is_local": is_local,
        "folder": folder,
        "path": os.path.join(folder, "%s-%d.heldby" % (moment, os.getpid())),
        "name": "%s-%d.heldby" % (moment, os.getpid()),
        "version": "%d.%d.%d" % sys.version_info[:3],
        "can_be_dumped": sys.version_info >= (3, 8) and sys.implementation.name == "cpython",
        "implementation": sys.implementation.name,
        "system": sys.platform,
        "machine": os.uname().machine if hasattr(os, "uname") else "",
    }


def outcome(path):
    """Whether the dump is whole (then its size in bytes), why it failed, and whether it is being taken."""
    import threading
    failed = None
    is_going_on = any(thread.name == "heldby" for thread in list(threading._active.values()))
    if os.path.exists(path + ".failed"):
        with open(path + ".failed", encoding="utf-8", errors="replace") as file:
            failed = file.read()
        os.unlink(path + ".failed")
    elif sys.__dict__.get("_heldby_failed", ("", ""))[0] == path:
        failed = sys.__dict__.pop("_heldby_failed")[1]
    size = os.path.getsize(path) if os.path.exists(path) else None
    return {"size": size, "failed": failed, "is_going_on": is_going_on}


def piece(path, offset, length):
    """Bytes of the dump behind their CRC-32."""
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read(length)
    return binascii.crc32(data).to_bytes(4, "little") + data


def remove(path):
    """Removes the dump where it was taken."""
    os.unlink(path)
    return {}


def answer(function, *arguments):
    result = function(*arguments)
    data = result if type(result) is bytes else json.dumps(result).encode()
    raise RuntimeError("heldby<%s>heldby" % binascii.b2a_base64(data, newline=False).decode())
