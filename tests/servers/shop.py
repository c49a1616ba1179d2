"""A shop whose server keeps every order: as WSGI and as ASGI."""
import os

ORDERS = []


def order():
    ORDERS.append(bytearray(1000))
    return b"%d" % os.getpid()


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [order()]


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": order()})
