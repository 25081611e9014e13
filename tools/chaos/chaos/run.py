"""A run from start to end: bring everything up, load it, break it, let it rest, check it."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from chaos import cast, catalog, recovery, report, settle
from chaos.ask import Ask, Unanswered
from chaos.billing import Billing
from chaos.breath import Breath
from chaos.faultlog import FaultLog
from chaos.faults import KINDS
from chaos.faults.clock import provide
from chaos.load.clients import Client
from chaos.load.logs import AccessLog
from chaos.load.maker import Maker, Repeats
from chaos.load.probes import Prober, Sightings, look, probe_log
from chaos.schedule import Planned, plan
from chaos.site import Site
from chaos.strike import strike
from chaos.truth import Truth
from chaos.verdict import Evidence, judge
from chaos.waiting import until
from chaos.watch import Notes, watch_books, watch_edge
from stack.ports import Ports

FAULTS_A_MINUTE = 20
CLIENTS = {"http": 6, "collector-1": 2, "collector-2": 2}
"""How many clients send by each path."""
REST_SECONDS = 240.0
VISIBLE_SECONDS = 180.0
BILLING_SECONDS = (15.0, 60.0)


@dataclass(frozen=True)
class Options:
    """`seconds`: how long the faults go on; bringing up and settling come on top."""

    seed: int
    seconds: float
    faults: int
    kinds: tuple[str, ...]
    folder: Path
    ports: Ports

    @property
    def again(self) -> str:
        minutes = f"{self.seconds / 60:g}"
        some = f" KINDS={','.join(self.kinds)}" if len(self.kinds) < len(KINDS) else ""
        return f"make chaos SEED={self.seed} MINUTES={minutes} FAULTS={self.faults}{some}"


def say(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


async def run(options: Options) -> int:
    """0 when nothing was wrong, 1 otherwise."""
    # Restarts are awaited in threads; a fault must not wait for one to be free.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=64))
    say(f"seed {options.seed}: {options.faults} faults in {options.seconds:.0f} s; {options.again}")
    here = options.folder / f"seed-{options.seed}"
    logs = options.folder / "logs"
    node_log = {name: logs / name / "access.log" for name in cast.COLLECTORS}
    site = Site(options.folder / "stack", options.ports, node_log)
    await asyncio.to_thread(site.clean)
    faults = FaultLog(here / "faults.jsonl")
    clean = False
    try:
        clean = await _attack(options, site, faults, here)
        return 0 if clean else 1
    finally:
        if not clean:
            site.keep_logs(here / "logs")
        faults.close()
        say("ending everything that was started")
        await asyncio.shield(site.stop())
        await asyncio.to_thread(shutil.rmtree, logs, ignore_errors=True)


async def _attack(options: Options, site: Site, faults: FaultLog, here: Path) -> bool:
    began = time.monotonic()
    impossible = {
        "clock": await asyncio.to_thread(provide),
        "disk": await asyncio.to_thread(site.mount_disks),
    }
    left_out = {kind: reason for kind, reason in impossible.items() if reason is not None}
    for kind, reason in left_out.items():
        say(f"without faults of the {kind}: {reason}")
    kinds = [kind for kind in KINDS if kind.name in options.kinds and kind.name not in left_out]
    schedule = plan(options.seed, options.seconds, options.faults, kinds)
    for reason in await site.start():
        say(reason)
    say(f"{len(cast.TWINS)} processes are up after {time.monotonic() - began:.0f} s")
    truth, notes, sightings = Truth(), Notes(), Sightings()
    late: list[str] = []
    subscribed = catalog.start_of_subscriptions(datetime.now(UTC))
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
    async with httpx.AsyncClient(limits=limits) as http:
        ask = Ask(site, http)
        billing = Billing(ask)
        await billing.set_up(subscribed)
        async with _watching(site, http, notes, sightings):
            async with _load(options, site, http, truth, sightings, late):
                await _probes_visible(sightings, since=0.0)
                attacked_at = time.time()
                faults.note("faults begin", seed=options.seed, faults=options.faults)
                await _strike_and_bill(options, site, billing, schedule, faults, sightings)
                faults.note("faults end")
                say("the faults are over; waiting for everything to be ready")
                async with _noted(late):
                    await site.all_ready()
                async with _noted(late):
                    await _probes_visible(sightings, since=time.time())
                say("waiting for the clients' last answers")
            say("waiting for everything to be processed")
            async with _noted(late):
                await settle.wait_for_rest(site, ask, http, REST_SECONDS)
            say("the last bill")
            await billing.try_to_bill()
            await _edges_current(site, ask, notes)
        evidence = Evidence(site, ask, http, truth, notes, billing, faults, subscribed, late)
        verdict = await judge(evidence)
    rows = recovery.table(faults.struck.values(), sightings)
    undisturbed = recovery.baseline(sightings, attacked_at)
    verdict.figures["undisturbed, sent to visible (median, s)"] = round(undisturbed or 0, 2)
    about = {
        "seed": options.seed,
        "seconds": options.seconds,
        "again": options.again,
        "left out": left_out,
    }
    recoveries = recovery.each(faults.struck.values(), sightings)
    report.write(here / "report.json", verdict, faults, rows, recoveries, about)
    for line in report.summary(verdict, faults, rows, options.again):
        print(line, flush=True)
    say(f"{'clean' if verdict.is_clean else 'WRONG'}; report and log of faults: {here}")
    return verdict.is_clean


async def _strike_and_bill(
    options: Options,
    site: Site,
    billing: Billing,
    schedule: Sequence[Planned],
    faults: FaultLog,
    sightings: Sightings,
) -> None:
    """The faults; meanwhile periods are cut and invoices finalised."""
    breath = Breath(sightings, options.seconds)
    over = asyncio.Event()
    every = min(max(options.seconds / 3, BILLING_SECONDS[0]), BILLING_SECONDS[1])
    bills = asyncio.create_task(billing.keep_billing(every, over))
    try:
        await strike(site, schedule, faults, breathe=breath.take, say=say)
        over.set()
        await bills
    finally:
        await _cancel([bills])


@asynccontextmanager
async def _watching(
    site: Site, http: httpx.AsyncClient, notes: Notes, sightings: Sightings
) -> AsyncIterator[None]:
    begin = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    aggregators = [site.url(name) for name in cast.of_service("aggregator")]
    tasks = [
        asyncio.create_task(watch_books(site, http, notes)),
        asyncio.create_task(look(http, aggregators, begin, sightings)),
        *(asyncio.create_task(watch_edge(site, http, name, notes)) for name in cast.COLLECTORS),
    ]
    try:
        yield
    finally:
        await _cancel(tasks)


@asynccontextmanager
async def _load(
    options: Options,
    site: Site,
    http: httpx.AsyncClient,
    truth: Truth,
    sightings: Sightings,
    late: list[str],
) -> AsyncIterator[None]:
    """The load; at the end of the block no more is sent, and all that was sent is answered."""
    stop = asyncio.Event()
    repeats = Repeats()
    runs: list[Awaitable[None]] = []
    async with AsyncExitStack() as stack:
        for path, count in CLIENTS.items():
            names = cast.of_service("ingest") if path == "http" else [path]
            urls = [site.url(name) for name in names]
            place = "ingest" if path == "http" else path
            for number in range(count):
                name = f"{path}-client-{number}"
                maker = Maker(options.seed, name, path, place, truth, repeats)
                runs.append(Client(options.seed, name, urls, maker, truth).run(http, stop))
            runs.append(Prober(options.seed, path, urls, truth, sightings).run(http, stop))
        for name in cast.COLLECTORS:
            log = AccessLog(options.seed, name, site.node_log[name], truth)
            stack.callback(log.close)
            runs.append(log.run(stop))
            runs.append(probe_log(log, f"{name}/log", sightings, stop))
        tasks = [asyncio.ensure_future(each) for each in runs]
        try:
            yield
            stop.set()
            async with _noted(late), asyncio.timeout(REST_SECONDS):
                await asyncio.gather(*tasks)
        finally:
            await _cancel(tasks)


async def _probes_visible(sightings: Sightings, *, since: float) -> None:
    """Returns when every path has shown an event sent after `since` (Unix seconds)."""

    async def visible() -> bool:
        return bool(sightings.sent) and all(
            sent
            and sightings.seen
            and (at := recovery.recovered_at(since, path, sightings)) is not None
            and at > since
            for path, sent in sightings.sent.items()
        )

    await until(visible, "a probe of every path to be visible", seconds=VISIBLE_SECONDS)


async def _edges_current(site: Site, ask: Ask, notes: Notes) -> None:
    """Gives the edges time to hear the last decisions; whether they did is checked afterwards."""

    async def current() -> bool:
        answer = await ask.get("throttler", "/v1/decisions")
        return all(
            glimpses and glimpses[-1].revision >= answer["revision"]
            for glimpses in notes.edges.values()
        )

    with contextlib.suppress(TimeoutError):
        await until(current, "the edges to hear the last decisions", seconds=20)


@asynccontextmanager
async def _noted(late: list[str]) -> AsyncIterator[None]:
    """A wait that takes too long is a finding; what can be checked is checked all the same."""
    try:
        yield
    except (TimeoutError, Unanswered) as error:
        late.append(repr(error))


async def _cancel(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
