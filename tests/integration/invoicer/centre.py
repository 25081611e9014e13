"""The invoicer over real servers, as a client and as the topics see it."""

from typing import Any

import httpx

from common.bus.kafka import KafkaBus
from tests.integration.invoicer.publishing import THROUGH, Rating
from tests.support.eventually import eventually


class Centre(Rating):
    """The invoicer as a client and as the topics see it, with a fake ingest beside it."""

    def __init__(self, bus: KafkaBus, client: httpx.AsyncClient, nodes: list[Any]) -> None:
        super().__init__(bus)
        self.client, self.nodes = client, nodes

    async def interim(self, tenant: str = "acme", **params: str) -> dict[str, Any]:
        answer = await self.client.get("/v1/invoices/interim", params={"tenant": tenant} | params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def until_charged(self, lines: int, tenant: str = "acme") -> dict[str, Any]:
        """The interim invoice once it has that many lines."""

        async def found() -> dict[str, Any] | None:
            answer = await self.client.get("/v1/invoices/interim", params={"tenant": tenant})
            body = answer.json()
            return body if len(body.get("lines", [])) == lines else None

        return await eventually(found, timeout=20)

    async def bill(self, through: str = THROUGH) -> dict[str, Any]:
        """A run to its end."""
        answer = await self.client.post("/v1/runs", json={"through": through})
        assert answer.status_code in (200, 201), answer.text

        async def done() -> dict[str, Any] | None:
            run = (await self.client.get(f"/v1/runs/{answer.json()['id']}")).json()
            return run if run["state"] == "done" else None

        return await eventually(done, timeout=20)
