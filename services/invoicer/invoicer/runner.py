"""Drives open runs from wherever they stand: waiting -> invoicing -> done.

All state is in the run's row and in the charges: a runner that dies leaves nothing behind that
another one would need. Each tick takes or keeps the leases of open runs and moves each as far as
it goes; a run that waits does not hold up another.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from common.contracts.tenants import Tenant
from common.stream.processor import LOST
from invoicer import metrics
from invoicer.completeness import (
    Node,
    NodesUnknown,
    Settled,
    Wait,
    judge_nodes,
    judge_watermark,
    needed_watermark,
)
from invoicer.finalise import finalise_tenant
from invoicer.invoice import DraftError
from invoicer.settings import Settings
from invoicer.store import charges, runs
from invoicer.store.runs import LeftOut, LostLease, Run

log = logging.getLogger(__name__)

AskNodes = Callable[[], Awaitable[Sequence[Node] | NodesUnknown]]
AskWatermark = Callable[[], Awaitable[datetime | None]]


class Runner:
    """`tenants`: the catalog, by key, kept current by somebody else; `is_catalog_read`: whether
    it has been read to its end, before which a tenant that it lacks means nothing. `clock`:
    aware UTC."""

    def __init__(
        self,
        *,
        pool: asyncpg.Pool,
        settings: Settings,
        tenants: Mapping[str, Tenant],
        ask_nodes: AskNodes,
        ask_watermark: AskWatermark,
        is_catalog_read: Callable[[], bool] = lambda: True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool, self._settings, self._tenants = pool, settings, tenants
        self._ask_nodes, self._ask_watermark, self._clock = ask_nodes, ask_watermark, clock
        self._is_catalog_read = is_catalog_read
        self._grace = timedelta(seconds=settings.grace_seconds)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Drive runs until `stop`; survives a database or a peer that goes away."""
        while not self._stopping.is_set():
            try:
                await self.tick()
            except LOST as error:
                log.warning("runs: %r; trying again", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.run_seconds):
                    await self._stopping.wait()
        with contextlib.suppress(*LOST):
            await runs.release(self._pool, self._settings.worker_id)

    def stop(self) -> None:
        """Ask `run` to end after the tenant under way."""
        self._stopping.set()

    async def tick(self) -> None:
        """Move each open run that is ours, or free, as far as it goes now."""
        if not self._is_catalog_read():
            return
        lease_seconds = self._settings.lease_seconds
        ours = await runs.claim(self._pool, self._settings.worker_id, lease_seconds)
        metrics.OPEN_RUNS.set(len(ours))
        for run in ours:
            try:
                await self._advance(run)
            except LostLease as error:
                log.warning("somebody else drives it now: %s", error)
            except LOST:
                raise
            except Exception as error:
                # One run that cannot go on must not keep the others from theirs.
                log.exception("run through %s: trying again", run.through.isoformat())
                metrics.RUN_FAULTS.inc()
                with contextlib.suppress(LostLease):
                    await self._show(run, [_fault(error)])

    async def _advance(self, run: Run) -> None:
        if run.state == "waiting":
            waits = await self._waits(run)
            if waits:
                await self._show(run, waits)
                return
            await runs.begin(self._pool, run, self._clock())
            log.info("run through %s: complete, invoicing", run.through.isoformat())
        # Read again: what patience gave up on is printed on the invoices.
        current = await runs.find(self._pool, run.id)
        if current is None or current.epoch != run.epoch:
            raise LostLease(f"run {run.id}, epoch {run.epoch}")
        await self._invoice(current)

    async def _waits(self, run: Run) -> list[Wait]:
        """What keeps the run from invoicing; settles the nodes on the way."""
        now = self._clock()
        waits: list[Wait] = []
        settled_at = run.nodes_settled_at
        if settled_at is None:
            nodes = await self._ask_nodes()
            verdict = judge_nodes(
                nodes, through=run.through, now=now, patience_end=run.patience_end
            )
            if isinstance(verdict, Settled):
                await runs.settle_nodes(self._pool, run, now, verdict.missing)
                settled_at = now
            else:
                waits += verdict
        needed = needed_watermark(
            through=run.through,
            created_at=run.created_at,
            nodes_settled_at=settled_at or run.created_at,
            grace=self._grace,
        )
        return waits + judge_watermark(await self._ask_watermark(), needed=needed)

    async def _show(self, run: Run, waits: list[Wait]) -> None:
        if waits != run.waits:
            await runs.wait(self._pool, run, waits)

    async def _invoice(self, run: Run) -> None:
        """Finalise one tenant after the other; what is done already is not due any more."""
        unknown: list[tuple[str, str]] = []
        left_out: list[LeftOut] = []
        for tenant, currency in await charges.due_tenants(self._pool, run.id, run.through):
            if self._stopping.is_set():
                return
            if tenant not in self._tenants:
                unknown.append((tenant, currency))
                continue
            reason = await self._finalise(run, self._tenants[tenant], currency)
            if reason is not None:
                left_out.append(LeftOut(tenant=tenant, currency=currency, reason=reason))
        now = self._clock()
        if unknown and now < run.patience_end:
            await self._show(run, [_wait_for_tenant(tenant) for tenant, _ in unknown])
            return
        left_out += [
            LeftOut(tenant=tenant, currency=currency, reason="the catalog does not know the tenant")
            for tenant, currency in unknown
        ]
        await runs.end(self._pool, run, now, left_out)
        metrics.LEFT_OUT.inc(len(left_out))
        metrics.RUN_SECONDS.observe(max(0.0, (now - run.created_at).total_seconds()))
        log.info("run through %s: done, %d left out", run.through.isoformat(), len(left_out))

    async def _finalise(self, run: Run, tenant: Tenant, currency: str) -> str | None:
        """Invoice one tenant. What is wrong with one (the reason is returned) does not hold up
        the others; what is wrong with the database does."""
        try:
            async with self._pool.acquire() as connection:
                made = await finalise_tenant(
                    connection,
                    run,
                    tenant=tenant,
                    currency=currency,
                    seller=self._settings.seller,
                    series=self._settings.series,
                    now=self._clock(),
                    lease_seconds=self._settings.lease_seconds,
                )
        except DraftError as error:
            return str(error)
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
            log.exception("tenant %s cannot be invoiced", tenant.key)
            return f"the database refused it: {error}"
        if made is not None:
            metrics.INVOICES.labels(currency).inc()
            lines: list[Any] = made.invoice.lines
            metrics.ADJUSTMENTS.inc(sum(line.kind == "adjustment" for line in lines))
            log.info("invoice %s for %s", made.invoice.number, tenant.key)
        return None


def _fault(error: Exception) -> Wait:
    return Wait(
        kind="fault", name=type(error).__name__, detail="a fault of the service; see its log"
    )


def _wait_for_tenant(tenant: str) -> Wait:
    return Wait(kind="tenant", name=tenant, detail="the catalog does not know the tenant yet")
