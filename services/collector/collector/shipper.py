"""Brings the spool to the centre: one batch at a time, for as long as it takes.

In order, except that after an outage new usage does not wait behind the old (`lanes`).

A batch whose outcome is unknown (the answer was lost) is sent again with the same sequences, and
ingest counts each of them once. Rows leave the spool only after ingest has answered for them.

What ingest refuses as malformed is split until one event is left; that one is kept here with the
reason, and its sequence becomes a known gap at the centre. Before anything is parked an empty batch
must have been taken: a centre that refuses everything has a fault of its own, which may heal.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import msgspec
import structlog
import zstandard
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from collector import metrics
from collector.batches import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    Answer,
    Batch,
    Verdict,
    verdict,
)
from collector.intake import rfc3339
from collector.lanes import Lanes, take
from collector.seals import Seals
from collector.spool.values import Parked
from collector.spool.writer import Ack, Change, Receipt, Spool, SpoolBrokenError, SpoolFullError
from common import telemetry

log = structlog.get_logger(__name__)

STOP_SECONDS = 3.0
_answer_decoder = msgspec.json.Decoder(Answer)
_NO_STREAM = httpx.ByteStream(b"")


class UnsentError(Exception):
    """The batch was not taken, as far as we know; it goes again. `retry_after` is in seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class RefusedError(Exception):
    """The centre says that this very body cannot be taken."""


class RolledBackError(Exception):
    """The centre has sequences of this epoch that this spool never gave: it is an old copy.

    Going on would give numbers twice, and the centre would drop new usage as already seen.
    """


class StoppedError(Exception):
    """The collector stops; the batch stays in the spool."""


@dataclass(slots=True)
class Link:
    """What is known of the way to ingest. Times are Unix milliseconds."""

    reachable: bool = False
    last_success_ms: int | None = None
    last_error: str | None = None
    rolled_back: bool = False
    sealed_through: str = ""


class Shipper:
    """Sends what the spool holds and, when it holds nothing, a heartbeat.

    `linger_seconds`     how long events may wait for company in a batch
    `heartbeat_seconds`  the longest silence while nothing happens
    `on_revision`        told the revision of the decisions that the centre's answers name
    """

    def __init__(
        self,
        spool: Spool,
        seals: Seals,
        client: httpx.AsyncClient,
        *,
        linger_seconds: float = 0.1,
        heartbeat_seconds: float = 0.8,
        backoff_seconds_max: float = 15.0,
        on_revision: Callable[[int], None] = lambda revision: None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.link = Link(sealed_through=spool.state.identity.sealed_through)
        self._spool = spool
        self._seals = seals
        self._client = client
        self._linger_seconds = linger_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._backoff_seconds_max = backoff_seconds_max
        self._on_revision = on_revision
        self._now_ms = now_ms
        self._lanes = Lanes()
        self._fresh_sent_at = 0.0
        self._stopping = asyncio.Event()
        self._compressor = zstandard.ZstdCompressor(level=1)

    async def run(self) -> None:
        """Ships until `stop`; a batch on its way then has `STOP_SECONDS` left. It stays in the
        spool whatever becomes of it."""
        shipping = asyncio.create_task(self._ship_until_stopped())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({shipping, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({shipping}, timeout=STOP_SECONDS)
            if shipping.done():
                shipping.result()
        finally:
            shipping.cancel()
            stopping.cancel()

    async def _ship_until_stopped(self) -> None:
        sent_at = 0.0
        while not self._stopping.is_set():
            self._seal()
            identity = self._spool.state.identity
            waiting = self._spool.state.unsent > 0
            if waiting or time.monotonic() - sent_at >= self._heartbeat_seconds:
                try:
                    count = await self.ship_next()
                except StoppedError:
                    break
                except RolledBackError as error:
                    self.link.rolled_back = True
                    log.critical("spool_rolled_back", centre_next_seq=error.args[0])
                    break
                except (SpoolFullError, SpoolBrokenError):
                    log.error("ack_not_recorded", seq=identity.acked_seq)
                    await self._pause(1.0)
                    continue
                sent_at = time.monotonic()
                if count >= BATCH_EVENTS_MAX // 2 or self._spool.state.backlog:
                    continue
            await self._pause(self._linger_seconds)
        await self._stopping.wait()

    def stop(self) -> None:
        self._stopping.set()

    async def ship_next(self) -> int:
        """Sends the next batch until it is taken, and forgets its events; how many they were."""
        identity = self._spool.state.identity
        acked_seq, ahead = identity.acked_seq, identity.ahead
        fresh_due = time.monotonic() - self._fresh_sent_at >= self._linger_seconds
        after = self._lanes.choose(acked_seq, ahead, identity.next_seq, fresh_due=fresh_due)
        first_seq, events = await asyncio.to_thread(
            self._spool.read_events, after, BATCH_EVENTS_MAX, BATCH_BYTES_MAX
        )
        if events:
            acked_seq, _ = take(acked_seq, ahead, (first_seq, first_seq + len(events) - 1))
        else:
            first_seq = identity.next_seq
        await self._deliver(
            Batch(identity.node, identity.epoch, first_seq, self._sealed(acked_seq), events)
        )
        if self._lanes.fresh_was_last:
            self._fresh_sent_at = time.monotonic()
        return len(events)

    def _sealed(self, acked_seq: int) -> str:
        """What a batch may claim after which the centre has everything up to `acked_seq`: with
        a backlog, no more than before it."""
        sealed_ms = self._seals.through(acked_seq)
        if sealed_ms is None:
            return self.link.sealed_through
        metrics.sealed_lag_seconds.set((self._now_ms() - sealed_ms) / 1000)
        return max(self.link.sealed_through, rfc3339(sealed_ms))

    async def _deliver(self, batch: Batch) -> None:
        try:
            await self._send(batch)
        except RefusedError as refusal:
            await self._deliver_bad(batch, str(refusal))
            return
        await self._taken(batch)

    async def _taken(self, batch: Batch) -> None:
        """The centre has the batch: forget its events. A heartbeat costs no fsync."""
        if batch.events:
            await self._keep(Change(ack=_ack(batch)))
        self.link.sealed_through = max(self.link.sealed_through, batch.sealed_through)
        metrics.batches_sent.inc()
        metrics.events_shipped.inc(len(batch.events))

    async def _deliver_bad(self, batch: Batch, reason: str) -> None:
        """The centre refused the body of this batch: find the event that it cannot take."""
        if len(batch.events) > 1:
            log.warning("batch_refused", first_seq=batch.first_seq, reason=reason)
            for half in batch.halves(self.link.sealed_through):
                await self._deliver(half)
            return
        probe = Batch(batch.node, batch.epoch, batch.first_seq, self.link.sealed_through, ())
        await self._send(probe)
        try:
            await self._send(batch)  # the fault may have been the centre's, and healed meanwhile
        except RefusedError as refusal:
            await self._park(batch, str(refusal))
        else:
            await self._taken(batch)

    async def _park(self, batch: Batch, reason: str) -> None:
        """Keeps the one event of `batch` aside; its sequence becomes a known gap."""
        log.error("event_parked", seq=batch.first_seq, reason=reason)
        place = f"{batch.epoch}-{batch.first_seq}"
        await self._keep(
            Change(
                parked=[Parked("ship", place, reason, batch.events[0])],
                ack=_ack(batch),
            )
        )
        metrics.events_parked.inc()

    async def _send(self, batch: Batch) -> Answer:
        """Sends until there is an answer; RefusedError when it is about this very body."""
        body = self._compressor.compress(batch.body())
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(UnsentError),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                return await self._attempt(batch, body)
        raise StoppedError

    async def _attempt(self, batch: Batch, body: bytes) -> Answer:
        with telemetry.span("collector.ship"):
            headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
            parent = telemetry.traceparent()
            if parent is not None:
                headers["traceparent"] = parent
            try:
                response = await self._client.post("/v1/batches", content=body, headers=headers)
            except httpx.HTTPError as error:
                raise self._unsent(type(error).__name__, str(error)) from None
        # The stream, read by now, refers back to the response, which holds the body that was
        # sent. The collector of cycles comes by seldom (common.service): after a day's backlog
        # hundreds of megabytes would wait for it.
        response.stream = _NO_STREAM
        match verdict(response.status_code):
            case Verdict.LATER:
                raise self._unsent(
                    str(response.status_code),
                    f"ingest answered {response.status_code}: {response.text[:200]}",
                    _retry_after(response),
                )
            case Verdict.BAD if batch.events:
                raise RefusedError(f"{response.status_code} {response.text[:500]}")
            case Verdict.BAD:
                raise self._unsent(
                    str(response.status_code),
                    f"ingest refuses even an empty batch: {response.text[:200]}",
                )
        try:
            answer = _answer_decoder.decode(response.content)
        except msgspec.MsgspecError as error:
            raise self._unsent("unreadable_answer", str(error)) from None
        # A batch can hold events whose commit the spool's state does not show yet.
        ours = max(self._spool.state.identity.next_seq, batch.last_seq + 1)
        if answer.next_seq > ours:
            raise RolledBackError(answer.next_seq)
        if batch.events and answer.next_seq <= batch.last_seq:
            raise self._unsent("short_answer", f"ingest has only up to {answer.next_seq - 1}")
        self._succeeded(answer)
        return answer

    def _succeeded(self, answer: Answer) -> None:
        if not self.link.reachable:
            log.info("centre_reachable")
        self.link.reachable = True
        self.link.last_success_ms = self._now_ms()
        self.link.last_error = None
        if answer.decisions_revision is not None:
            self._on_revision(answer.decisions_revision)

    def _unsent(self, kind: str, reason: str, retry_after: float = 0.0) -> UnsentError:
        if self.link.reachable or self.link.last_error is None:
            log.warning("centre_unreachable", kind=kind, reason=reason)
        self.link.reachable = False
        self.link.last_error = reason
        metrics.batch_failures.labels(reason=kind).inc()
        return UnsentError(reason, retry_after)

    def _wait(self, state: RetryCallState) -> float:
        """Exponential with full jitter; longer when ingest asked for it."""
        backoff = wait_random_exponential(multiplier=0.2, max=self._backoff_seconds_max)(state)
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, UnsentError) else 0.0
        return max(backoff, min(asked, self._backoff_seconds_max))

    async def _sleep(self, seconds: float) -> None:
        """Waits for the next attempt; meanwhile seals go on being taken."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stopping.is_set():
                raise StoppedError
            self._seal()
            await self._pause(min(left, 1.0))
        if self._stopping.is_set():
            raise StoppedError

    def _seal(self) -> None:
        now_ms = self._now_ms()
        self._seals.take(now_ms, self._spool.state.identity.next_seq - 1)

    async def _keep(self, change: Change) -> Receipt:
        return await asyncio.wrap_future(self._spool.submit(change))

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def _ack(batch: Batch) -> Ack:
    return Ack(batch.first_seq, batch.last_seq, batch.sealed_through)


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdigit() else 0.0
