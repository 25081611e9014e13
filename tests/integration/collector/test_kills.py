"""The daemon killed in a loop while apps post and a log grows: nothing lost, nothing twice."""

import asyncio
import json
import random
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.integration.collector.centre import running_centre
from tests.integration.collector.daemon import collector_process
from tests.integration.collector.nginx import free_port
from tests.support.eventually import eventually
from tests.unit.collector.support import line

KILLS = 5


class App:
    """An app that posts an event until it is acknowledged, with the same id each time."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1/events"
        self.acknowledged: list[str] = []
        self.stopping = False

    def has(self, count: int) -> bool:
        return len(self.acknowledged) >= count

    async def run(self, name: int) -> None:
        number = 0
        async with httpx.AsyncClient(timeout=20) as client:
            while not self.stopping:
                number += 1
                await self._post(client, f"{name}-{number}")

    async def _post(self, client: httpx.AsyncClient, identity: str) -> None:
        event = {"id": identity, "source": "app", "type": "t", "subject": "acme"}
        while not self.stopping:
            try:
                answer = await client.post(self.url, json=event)
            except httpx.TransportError:
                await asyncio.sleep(0.02)
                continue
            if answer.status_code == 200:
                self.acknowledged.append(identity)
                return


def list_logs(directory: Path) -> list[Path]:
    return sorted(directory.glob("access.log*"))


@pytest.mark.slow
async def test_kills_in_a_loop(tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "access.log"
    log.touch()
    app = App(port)
    chance = random.Random(7)
    lines = 0
    async with running_centre() as centre, AsyncExitStack() as stack:
        tasks = [asyncio.create_task(app.run(name)) for name in range(4)]
        for kill in range(KILLS):
            if kill % 2:
                centre.answers = ["take-and-lose", "503", "take-and-lose"] * 20
            daemon = collector_process(tmp_path, port, centre.url, log)
            process = await stack.enter_async_context(daemon)
            before = len(app.acknowledged)
            with log.open("ab") as file:
                for _ in range(500):
                    lines += 1
                    file.write(line(lines))
            if kill == 2:
                log.rename(log.with_name("access.log.1"))
                log.touch()
            enough = before + chance.randrange(20, 200)
            await eventually(partial(app.has, enough))
            process.kill()
            await process.wait()
        app.stopping = True
        await asyncio.gather(*tasks)
        centre.answers = []
        size = sum(path.stat().st_size for path in list_logs(tmp_path))
        async with (
            collector_process(tmp_path, port, centre.url, log),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
        ):

            async def all_sent() -> bool:
                status = (await client.get("/v1/status")).json()
                read = sum(one["offset"] for one in status["tail"]["positions"])
                return bool(read == size and status["spool"]["unsent"] == 0)

            await eventually(all_sent, timeout=60)

    epochs = {epoch for epoch, _ in centre.taken}
    sequences = sorted(seq for _, seq in centre.taken)
    assert len(epochs) == 1
    assert sequences == list(range(1, len(sequences) + 1)), "the sequence has a hole"
    assert centre.conflicts == []
    from_app = {event["id"] for event in centre.events if event["source"] == "app"}
    assert set(app.acknowledged) <= from_app
    from_log = [
        int(event["data"]["request_id"], 16)
        for event in centre.events
        if event["source"] == "edge-1/nginx"
    ]
    assert sorted(from_log) == list(range(1, lines + 1))
    assert json.dumps(centre.batches[-1]["sealed_through"]) > '"2026'
