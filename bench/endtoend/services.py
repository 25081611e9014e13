"""All six services at once: how fast, how prompt at half of it, how soon an invoice is there."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx

from bench.billing import faults_of_charges, subscribe, until_charged
from bench.books import Books, traffic
from bench.contract import About, Measurement, Repetition
from bench.endtoend.probes import PLAN, Probes, until
from bench.endtoend.throughput import CONNECTIONS, push
from bench.load.client import client
from bench.metering import HTTP_SECONDS, define_meters, until_counted
from bench.site import Ground, Meter, Site
from bench.statistics import spread
from stack.processes import PROCESSES

PER_REQUEST = 500
EDGES = 2
"""Tenants at a time whose way to the edge is timed."""
SLOT = timedelta(seconds=10)


class Services:
    """The load's tenants are subscribed and charged as it runs. Half load is half of the full
    speed that the same processes have just shown."""

    abouts = (
        About(
            name="endtoend.all",
            family="endtoend",
            unit="event",
            what="POST to GET /v1/usage with all six services at work, each tenant charged",
            ceilings=("kafka.produce", "kafka.consume"),
        ),
        About(
            name="endtoend.half",
            family="endtoend",
            unit="event",
            what="the same, paced at half of that; single events followed to what they cause",
        ),
        About(
            name="endtoend.invoice",
            family="endtoend",
            unit="invoice",
            what="bill-now to the PDF: cut, rate, run, finalise, render; one after the other",
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        async with (
            site.ground("all") as ground,
            httpx.AsyncClient(timeout=HTTP_SECONDS) as http,
        ):
            await ground.start(*(process.name for process in PROCESSES))
            await define_meters(ground)
            run = _Run(site, ground, Probes(ground, http), http)
            await run.prepare()
            yield run.measure


class _Run:
    def __init__(self, site: Site, ground: Ground, probes: Probes, http: httpx.AsyncClient) -> None:
        self._site, self._ground, self._probes, self._http = site, ground, probes, http
        self._books = Books(site.scale.tenants)
        self._rates: list[float] = []
        self._probed = 0
        self._bills = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)

    async def prepare(self) -> None:
        """The catalog, and one small load, so that every process has seen one."""
        begin = datetime.now(UTC) - timedelta(hours=2)
        await subscribe(self._ground, self._site.tenants(), begin)
        await subscribe(self._ground, ["probe-visible", "probe-charge"], begin)
        self._bill = (await subscribe(self._ground, ["probe-bill"], begin))["probe-bill"]
        edges = self._site.scale.repetitions * self._site.scale.decisions
        self._edges = [f"probe-edge-{number:04d}" for number in range(edges)]
        await subscribe(self._ground, self._edges, begin, plan=PLAN)
        await self._probes.define_rule()
        await self._push(self._site.scale.events // 10)

    async def measure(self, number: int) -> Mapping[str, Measurement]:
        full = await self._push(self._site.scale.events)
        self._rates.append(full.units / full.seconds)
        half = await self._half(number)
        return {
            "endtoend.all": full,
            "endtoend.half": half,
            "endtoend.invoice": await self._invoices(),
        }

    async def _push(self, events: int) -> Measurement:
        load = traffic(self._site, events, per_request=PER_REQUEST)
        return await push(self._site, self._ground, self._books, load, charging=True)

    async def _half(self, number: int) -> Measurement:
        seconds = self._site.scale.latency_seconds
        rate = spread(self._rates).middle / 2
        load = traffic(
            self._site, int(rate * seconds), per_request=PER_REQUEST, during_seconds=seconds
        )
        per_second = rate / PER_REQUEST
        url = self._ground.url("ingest-api")
        async with client(
            url, load, connections=CONNECTIONS * 4, requests_per_second=per_second
        ) as ready:
            self._books.add(ready.truth, ready.sent)
            meter = Meter(self._site)
            sending = asyncio.create_task(ready.run())
            probing = asyncio.create_task(self._probe(number, sending))
            result = await sending
            took, cpu = meter.seconds(), meter.cpu_seconds(result.cpu_seconds)
            found = await probing
            await until_counted(self._ground, self._books.sent)
            faults = await self._books.faults(self._ground, load)
            await until_charged(self._ground, self._books.truth)
            return Measurement(
                units=ready.sent,
                seconds=took,
                cpu_seconds=cpu,
                latencies_ms={"2xx": result.latencies_ms, **found},
                faults=[*faults, *await faults_of_charges(self._ground, self._books.truth)],
            )

    async def _probe(
        self, number: int, sending: "asyncio.Task[object]"
    ) -> Mapping[str, Sequence[float]]:
        """Follows single events, one after the other of each kind, as long as the load runs."""
        count = self._site.scale.decisions
        edges = self._edges[number * count : (number + 1) * count]
        found: dict[str, list[float]] = {"visible": [], "charge": [], "decision": []}

        async def repeat(kind: str, ask: Callable[[str], Awaitable[float]], tenant: str) -> None:
            while True:
                found[kind].append(await ask(tenant))
                if sending.done():
                    return

        async def use_up() -> None:
            while edges:
                found["decision"].append(await self._probes.denied(edges.pop()))
                if sending.done():
                    return

        before = self._probes.sent
        async with asyncio.TaskGroup() as group:
            group.create_task(repeat("visible", self._probes.visible, "probe-visible"))
            group.create_task(repeat("charge", self._probes.charged, "probe-charge"))
            for _ in range(EDGES):
                group.create_task(use_up())
        self._count(before)
        return found

    async def _invoices(self) -> Measurement:
        """Each closes another ten seconds of an hour that is past, with events in it."""
        count = self._site.scale.invoices
        latencies, faults = [], []
        meter = Meter(self._site)
        for _ in range(count):
            self._bills += SLOT
            before = self._probes.sent
            await self._probes.post("probe-bill", 5, at=self._bills - SLOT / 2)
            self._count(before)
            await until_counted(self._ground, self._books.sent)
            await until_charged(self._ground, self._books.truth)
            began = time.perf_counter()
            pdf = await self._invoice()
            latencies.append((time.perf_counter() - began) * 1000)
            if not pdf.startswith(b"%PDF"):
                faults.append("an invoice is no PDF")
        return Measurement(
            units=count,
            seconds=sum(latencies) / 1000,
            cpu_seconds=meter.cpu_seconds(),
            latencies_ms={"bill-now to PDF": latencies},
            faults=faults,
        )

    async def _invoice(self) -> bytes:
        """Bills what was used up to a moment, and fetches the invoice."""
        rating, invoicer = self._ground.url("rating"), self._ground.url("invoicer")
        body = {"at": (self._bills - timedelta(seconds=1)).isoformat()}
        answer = await self._http.post(
            f"{rating}/v1/subscriptions/{self._bill}/bill-now", json=body
        )
        cut = answer.raise_for_status().json()["at"]
        answer = await self._http.post(f"{invoicer}/v1/runs", json={"through": cut})
        run = f"{invoicer}/v1/runs/{answer.raise_for_status().json()['id']}"
        invoices: list[str] = []

        async def is_done() -> bool:
            nonlocal invoices
            state = (await self._http.get(run)).raise_for_status().json()
            if state["state"] == "failed":
                raise RuntimeError(f"the run failed: {state}")
            invoices = state["invoices"]
            return bool(state["state"] == "done")

        await until(is_done, f"the run through {cut}")
        (invoice,) = invoices
        found = await self._http.get(f"{invoicer}/v1/invoices/{invoice}.pdf")
        return found.raise_for_status().content

    def _count(self, before: int) -> None:
        """Probes' events are in the accounting too."""
        self._books.sent += self._probes.sent - before
        self._books.distinct += self._probes.sent - before
