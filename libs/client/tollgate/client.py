"""The clients: the same operations, blocking and asynchronous.

    with Client() as tollgate:
        tollgate.send_events([event("http.request", "acme", {"bytes": 1234})])

Every operation is declared once, in `tollgate.calls`.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx
from tenacity import AsyncRetrying, Retrying

from tollgate import calls
from tollgate.addresses import Addresses, addresses
from tollgate.call import Call
from tollgate.models import Page
from tollgate.retry import Patience, out_of_patience, pause, transient, unreachable

P = ParamSpec("P")
T = TypeVar("T")
TIMEOUT_SECONDS = 10.0
"""For one try: connecting, and each wait for bytes."""


class _Base:
    """What both clients need: addresses, token, patience."""

    def __init__(
        self,
        *,
        token: str | None = None,
        patience: Patience | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        environment: Mapping[str, str] | None = None,
        **services: str | None,
    ) -> None:
        """`services`: addresses by service (`ingest="http://..."`); else the environment's
        TOLLGATE_<SERVICE>_URL, else loopback. `token`: the bearer token, else TOLLGATE_TOKEN."""
        environment = os.environ if environment is None else environment
        self.addresses: Addresses = addresses(services, environment)
        self.patience = patience or Patience()
        token = token or environment.get("TOLLGATE_TOKEN")
        self._options: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
            "timeout": timeout_seconds,
        }

    def _retrying(self) -> dict[str, Any]:
        return {
            "retry": transient,
            "wait": pause(self.patience),
            "stop": out_of_patience(self.patience),
            "reraise": True,
        }

    def _request(self, call: Call[Any]) -> dict[str, Any]:
        return {
            "method": call.method,
            "url": self.addresses.of(call.service) + call.path,
            "params": dict(call.params),
            "content": call.content,
            "headers": dict(call.headers),
        }


def _blocking(make: Callable[P, Call[T]]) -> Callable[Concatenate["Client", P], T]:
    @wraps(make)
    def operation(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.perform(make(*args, **kwargs))

    return operation


def _awaited(make: Callable[P, Call[T]]) -> Callable[Concatenate["AsyncClient", P], Awaitable[T]]:
    @wraps(make)
    async def operation(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.perform(make(*args, **kwargs))

    return operation


class Client(_Base):
    """Blocking. Safe to use from several threads."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.http = httpx.Client(**self._options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections."""
        self.http.close()

    def perform(self, call: Call[T]) -> T:
        """Send `call`, again if need be, and return its answer; raises `TollgateError`."""
        return Retrying(**self._retrying())(self._once, call)  # type: ignore[no-any-return]

    def each(self, call: Call[Any]) -> Iterator[Any]:
        """Every item of a list, part by part: `client.each(calls.invoicer.invoices())`."""
        while True:
            page: Page[Any] = self.perform(call)
            yield from page.items
            if page.next is None:
                return
            call = call.after(page.next)

    def _once(self, call: Call[T]) -> T:
        try:
            answer = self.http.request(**self._request(call))
        except httpx.TransportError as error:
            raise unreachable(error, f"{call.method} {call.service}{call.path}") from error
        return call.read(answer)

    send_events = _blocking(calls.ingest.send_events)
    event_state = _blocking(calls.ingest.event_state)
    accounting = _blocking(calls.ingest.accounting)
    dead_events = _blocking(calls.ingest.dead_events)
    replay_dead_event = _blocking(calls.ingest.replay_dead_event)
    discard_dead_event = _blocking(calls.ingest.discard_dead_event)
    nodes = _blocking(calls.ingest.nodes)
    put_meter = _blocking(calls.aggregator.put_meter)
    meter = _blocking(calls.aggregator.meter)
    meters = _blocking(calls.aggregator.meters)
    usage = _blocking(calls.aggregator.usage)
    put_tenant = _blocking(calls.rating.put_tenant)
    tenant = _blocking(calls.rating.tenant)
    put_plan = _blocking(calls.rating.put_plan)
    plan = _blocking(calls.rating.plan)
    subscribe = _blocking(calls.rating.subscribe)
    subscriptions = _blocking(calls.rating.subscriptions)
    charges = _blocking(calls.rating.charges)
    invoices = _blocking(calls.invoicer.invoices)
    invoice = _blocking(calls.invoicer.invoice)
    invoice_pdf = _blocking(calls.invoicer.invoice_pdf)
    interim_invoice = _blocking(calls.invoicer.interim_invoice)
    start_run = _blocking(calls.invoicer.start_run)
    run = _blocking(calls.invoicer.run)
    put_rule = _blocking(calls.throttler.put_rule)
    rule = _blocking(calls.throttler.rule)
    rules = _blocking(calls.throttler.rules)
    delete_rule = _blocking(calls.throttler.delete_rule)
    decisions = _blocking(calls.throttler.decisions)
    decision = _blocking(calls.throttler.decision)
    decision_log = _blocking(calls.throttler.decision_log)


class AsyncClient(_Base):
    """Asynchronous; belongs to one event loop."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.http = httpx.AsyncClient(**self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Release the connections."""
        await self.http.aclose()

    async def perform(self, call: Call[T]) -> T:
        """Send `call`, again if need be, and return its answer; raises `TollgateError`."""
        return await AsyncRetrying(**self._retrying())(self._once, call)

    async def each(self, call: Call[Any]) -> AsyncIterator[Any]:
        """Every item of a list, part by part."""
        while True:
            page: Page[Any] = await self.perform(call)
            for item in page.items:
                yield item
            if page.next is None:
                return
            call = call.after(page.next)

    async def _once(self, call: Call[T]) -> T:
        try:
            answer = await self.http.request(**self._request(call))
        except httpx.TransportError as error:
            raise unreachable(error, f"{call.method} {call.service}{call.path}") from error
        return call.read(answer)

    send_events = _awaited(calls.ingest.send_events)
    event_state = _awaited(calls.ingest.event_state)
    accounting = _awaited(calls.ingest.accounting)
    dead_events = _awaited(calls.ingest.dead_events)
    replay_dead_event = _awaited(calls.ingest.replay_dead_event)
    discard_dead_event = _awaited(calls.ingest.discard_dead_event)
    nodes = _awaited(calls.ingest.nodes)
    put_meter = _awaited(calls.aggregator.put_meter)
    meter = _awaited(calls.aggregator.meter)
    meters = _awaited(calls.aggregator.meters)
    usage = _awaited(calls.aggregator.usage)
    put_tenant = _awaited(calls.rating.put_tenant)
    tenant = _awaited(calls.rating.tenant)
    put_plan = _awaited(calls.rating.put_plan)
    plan = _awaited(calls.rating.plan)
    subscribe = _awaited(calls.rating.subscribe)
    subscriptions = _awaited(calls.rating.subscriptions)
    charges = _awaited(calls.rating.charges)
    invoices = _awaited(calls.invoicer.invoices)
    invoice = _awaited(calls.invoicer.invoice)
    invoice_pdf = _awaited(calls.invoicer.invoice_pdf)
    interim_invoice = _awaited(calls.invoicer.interim_invoice)
    start_run = _awaited(calls.invoicer.start_run)
    run = _awaited(calls.invoicer.run)
    put_rule = _awaited(calls.throttler.put_rule)
    rule = _awaited(calls.throttler.rule)
    rules = _awaited(calls.throttler.rules)
    delete_rule = _awaited(calls.throttler.delete_rule)
    decisions = _awaited(calls.throttler.decisions)
    decision = _awaited(calls.throttler.decision)
    decision_log = _awaited(calls.throttler.decision_log)
