"""Bills while the faults go on, and keeps what each finalised invoice looked like at first."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from chaos import catalog
from chaos.ask import Ask, Unanswered
from chaos.waiting import until

RUN_SECONDS = 300.0
PDFS_KEPT = 12


@dataclass
class Book:
    """Invoices as they were when they were seen first, by id; PDFs by their SHA-256."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    pdfs: dict[str, str] = field(default_factory=dict)
    cuts: list[datetime] = field(default_factory=list)


class Billing:
    """Splits the running period of every subscription and invoices what ended."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.book = Book()
        self.problems: list[str] = []

    async def set_up(self, start: datetime) -> None:
        """Meters, tenants, plans, subscriptions, rules."""
        put, ask = self._ask.put, self._ask
        for slug, meter in catalog.METERS.items():
            await put(
                "aggregator", f"/v1/meters/{slug}", {"event_type": catalog.EVENT_TYPE, **meter}
            )
        for key in catalog.TENANTS:
            await put("rating", f"/v1/tenants/{key}", catalog.tenant_body(key, start))

        async def plan_taken(slug: str) -> bool:
            # The plan's meters reach rating by their topic, and by the aggregator's API.
            body = {"interval": "month", **catalog.PLANS[slug]}
            answer = await ask.answer("PUT", "rating", f"/v1/plans/{slug}", json=body)
            return answer.is_success

        for slug in catalog.PLANS:
            await until(partial(plan_taken, slug), f"plan {slug}", seconds=30)
        for tenant, plan in catalog.SUBSCRIPTIONS.items():
            body = {"tenant": tenant, "plan": plan, "start": start.isoformat()}
            await ask.post("rating", "/v1/subscriptions", body, f"chaos-{tenant}")
        for slug, rule in catalog.RULES.items():
            await put("throttler", f"/v1/rules/{slug}", rule)

    async def bill(self) -> dict[str, Any]:
        """Cuts all periods now and invoices what has ended; the run when it is done."""
        now = datetime.now(UTC)
        at = now.isoformat()
        cuts = set()
        async for subscription in self._ask.items("rating", "/v1/subscriptions"):
            path = f"/v1/subscriptions/{subscription['id']}/bill-now"
            answer = await self._ask.post("rating", path, {"at": at}, f"{subscription['id']}-{at}")
            cuts.add(str(answer["at"]))
        through = max(cuts)
        self.book.cuts.append(datetime.fromisoformat(through))
        run = await self._ask.post("invoicer", "/v1/runs", {"through": through}, f"run-{through}")

        async def done() -> dict[str, Any] | None:
            found: dict[str, Any] = await self._ask.get("invoicer", f"/v1/runs/{run['id']}")
            return found if found["state"] == "done" else None

        finished: dict[str, Any] = await until(done, f"run through {through}", seconds=RUN_SECONDS)
        await self.look()
        return finished

    async def look(self) -> None:
        """Keeps the invoices that were not seen before, and the PDFs of the first of them."""
        async for invoice in self._ask.items("invoicer", "/v1/invoices"):
            if invoice["id"] not in self.book.documents:
                self.book.documents[invoice["id"]] = invoice
                if len(self.book.pdfs) < PDFS_KEPT:
                    self.book.pdfs[invoice["id"]] = await self.pdf(invoice["id"])

    async def pdf(self, invoice: str) -> str:
        """The SHA-256 of the invoice's PDF as it is rendered now."""
        answer = await self._ask.answer("GET", "invoicer", f"/v1/invoices/{invoice}.pdf")
        return hashlib.sha256(answer.content).hexdigest()

    async def keep_billing(self, every_seconds: float, stop: asyncio.Event) -> None:
        """Bills again and again until `stop`; a run under way is waited for."""
        while True:
            try:
                async with asyncio.timeout(every_seconds):
                    await stop.wait()
                return
            except TimeoutError:
                await self.try_to_bill()

    async def try_to_bill(self) -> None:
        """Bills; a run that does not end in all its time is a problem, and told with the others."""
        try:
            await self.bill()
        except (TimeoutError, Unanswered) as error:
            self.problems.append(str(error))
