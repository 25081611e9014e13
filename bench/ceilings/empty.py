"""The servers of the HTTP ceilings: `python -m bench.ceilings.empty fastapi|asgi PORT`."""

import sys

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send


def fastapi() -> ASGIApp:
    """An application whose route does nothing."""
    app = FastAPI()

    @app.post("/v1/events")
    async def take() -> dict[str, int]:
        return {"accepted": 1}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {}

    return app


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body and answers."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    body = b'{"accepted":1}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        fastapi() if sys.argv[1] == "fastapi" else asgi,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
    )
