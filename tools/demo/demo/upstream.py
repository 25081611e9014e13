"""The small application behind the gate: answers of a size that the path asks for."""

from collections.abc import MutableMapping
from typing import Any

SIZES = {"/tiles": 4_096, "/query": 700, "/robots": 96, "/ships": 1_500}
MAX_BYTES = max(SIZES.values())
_BODY = b"tollgate-" * (MAX_BYTES // 9 + 1)


async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """ASGI: 200 with as many bytes as SIZES says, 404 for other paths."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    size = SIZES.get(scope["path"])
    body = b"not found" if size is None else _BODY[:size]
    await send(
        {
            "type": "http.response.start",
            "status": 404 if size is None else 200,
            "headers": [
                (b"content-type", b"text/plain"),
                (b"content-length", str(len(body)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
