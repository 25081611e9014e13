"""Tollgate for Python: clients, ASGI middleware (`tollgate.asgi`) and the `tollgate` command."""

from tollgate.addresses import Addresses
from tollgate.client import AsyncClient, Client
from tollgate.errors import ProblemError, TollgateError, Unreachable
from tollgate.event import Event, event
from tollgate.retry import Patience

__all__ = [
    "Addresses",
    "AsyncClient",
    "Client",
    "Event",
    "Patience",
    "ProblemError",
    "TollgateError",
    "Unreachable",
    "event",
]
