"""The collector before the real ingest, on real servers: what was sent is counted, once."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.processes import ServiceProcess
from tests.unit.collector.support import line

pytestmark = pytest.mark.servers

LINES = 700


async def test_usage_of_a_node_is_counted_once(
    service_process: Callable[..., ServiceProcess],
    database: Callable[..., Database],
    kafka: str,
    topics: str,
    tmp_path: Path,
) -> None:
    dsn = database("ingest").service_url
    ingest = await service_process(
        "tollgate-ingest",
        "all",
        environment={
            "TOLLGATE_KAFKA": kafka,
            "TOLLGATE_TOPIC_PREFIX": topics,
            "TOLLGATE_DATABASE_URL": dsn,
        },
    ).start()
    log = tmp_path / "access.log"
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    log.write_bytes(
        b"".join(line(number, msec=f"{now_ms // 1000}.{number:03d}") for number in range(LINES))
    )
    collector = service_process(
        "tollgate-collector",
        "run",
        environment={
            "TOLLGATE_NODE": "edge-7",
            "TOLLGATE_SPOOL_DIR": str(tmp_path / "spool"),
            "TOLLGATE_NGINX_LOG": str(log),
            "TOLLGATE_INGEST_URL": ingest.url,
        },
    )
    await collector.start()
    async with (
        httpx.AsyncClient(base_url=collector.url, timeout=30) as edge,
        httpx.AsyncClient(base_url=ingest.url, timeout=30) as centre,
    ):
        events = [_event(number) for number in range(50)]
        for _ in range(2):  # the app retries everything, and gets other stamps
            answer = await edge.post(
                "/v1/events", content=json.dumps(events).encode(), headers=_JSON
            )
            assert answer.json() == {"accepted": 50, "rejected": []}
        await collector.kill()
        await collector.start()

        async def counted() -> dict[str, Any]:
            account: dict[str, Any] = (await centre.get("/v1/accounting")).json()
            assert account["pending"] == 0, account
            # A batch whose answer was lost in the kill came twice: that makes more duplicates.
            assert account["duplicates"] >= 50, account
            assert (account["counted"], account["parked"]) == (LINES + 50, 0), account
            return account

        await eventually(counted, timeout=60)
        epoch = (await edge.get("/v1/status")).json()["spool"]["epoch"]
        made_here = {"source": "edge-7/nginx", "id": f"{epoch}-1"}
        assert (await centre.get("/v1/events", params=made_here)).json()["state"] == "counted"

        async def sealed() -> bool:
            nodes = (await centre.get("/v1/nodes")).json()["items"]
            return any(
                node["node"] == "edge-7"
                and (node["sealed_through"] or "") > datetime.now(UTC).strftime("%Y-%m-%dT%H")
                for node in nodes
            )

        await eventually(sealed, timeout=30)


_JSON = {"content-type": "application/json"}


def _event(number: int) -> dict[str, Any]:
    return {"id": str(number), "source": "app", "type": "job", "subject": "acme", "data": {}}
