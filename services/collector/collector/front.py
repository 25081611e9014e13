"""POST /v1/events as plain ASGI in front of the application: FastAPI's way to a route costs several
times what taking one event does. The route stays declared there for its schema."""

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from collector.node import Node
from collector.routes.events import PATH, SCOPE, take
from common import auth, telemetry
from common.errors import INTERNAL, ApiError, problem
from common.guard import check_address

log = structlog.get_logger(__name__)


class Front:
    """Takes usage itself and hands everything else to `app`."""

    def __init__(self, app: ASGIApp, node: Node) -> None:
        self._app = app
        self._node = node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        request = Request(scope, receive)
        try:
            check_address(scope)
            tokens = self._node.settings.auth_tokens
            auth.check(request.headers.get("authorization"), tokens, SCOPE)
            parent = request.headers.get("traceparent")
            with telemetry.span("collector.accept", parent=parent):
                response = await take(self._node, request)
        except ClientDisconnect:
            return None
        except ApiError as error:
            response = problem(error.code, error.detail, headers=error.headers, **error.extra)
        except Exception:
            log.exception("accept_failed")
            response = problem(INTERNAL, "the fault has been logged")
        return await response(scope, receive, send)
