"""The `tollgate` command against the six services: what the README's commands do for real."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stack.environment import SERVICES
from tests.support.eventually import eventually
from tests.support.product import Product, product
from tollgate import AsyncClient

CATALOG = """
meters:
  - {{slug: calls, event_type: call, aggregation: count, unit: call}}
  - {{slug: seconds, event_type: call, aggregation: sum, value: seconds, unit: second}}
plans:
  - slug: pay
    name: Pay
    currency: USD
    interval: month
    prices:
      - {{slug: calls, meter: calls, model: unit, unit_amount: "1.50"}}
tenants:
  - {{key: acme, name: Acme, currency: USD, timezone: UTC, billing_day: 1}}
subscriptions:
  - {{tenant: acme, plan: pay, start: {start}}}
rules:
  - {{slug: quota, meter: calls, applies_to: {{plan: pay}}, window: billing_period, limit: "3",
     action: {{kind: deny, status: 402}}}}
"""

Run = Callable[..., Awaitable[tuple[int, str]]]


def addresses(tollgate: Product) -> dict[str, str]:
    processes = ("collector", "ingest-api", "aggregator", "rating", "invoicer", "throttler")
    return {name: tollgate.url(at) for name, at in zip(SERVICES, processes, strict=True)}


def command(tollgate: Product) -> Run:
    """Runs the console script: (exit code, standard output)."""
    at = {f"TOLLGATE_{name.upper()}_URL": url for name, url in addresses(tollgate).items()}

    async def run(*arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "tollgate"),
            *arguments,
            env=os.environ | at,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, (out + err).decode()

    return run


@pytest.mark.timeout(600)
async def test_from_a_catalog_to_an_invoice_with_the_command_alone(
    kafka: str, postgres: str, topics: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    start = now - timedelta(hours=1)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(CATALOG.format(start=start.isoformat()))
    events = tmp_path / "events.jsonl"
    call = {"source": "phone", "type": "call", "subject": "acme", "time": now.isoformat()}
    lines = [call | {"id": str(n), "data": {"seconds": n}} for n in range(1, 5)]
    events.write_text("".join(json.dumps(line) + "\n" for line in lines))

    async with product(
        kafka=kafka, postgres=postgres, topic_prefix=topics, folder=tmp_path / "product"
    ) as tollgate:
        run = command(tollgate)

        async def parsed(*arguments: str) -> Any:
            code, out = await run(*arguments, "--json")
            assert code == 0, out
            return json.loads(out)

        applied = (await parsed("apply", "-f", str(catalog)))["items"]
        assert len(applied) == 6
        again = (await parsed("apply", "-f", str(catalog)))["items"]
        assert [one["result"] for one in again if one["kind"] == "subscription"] == [
            applied[4]["result"].replace("created", "exists")
        ]
        _, exported = await run("plan", "export")
        (tmp_path / "exported.yaml").write_text(exported)
        assert (await parsed("plan", "diff", "-f", str(tmp_path / "exported.yaml")))[
            "changes"
        ] == []
        code, out = await run("plan", "apply", "-f", str(tmp_path / "exported.yaml"))
        assert code == 0, out
        assert (await run("plan", "export"))[1] == exported

        (tmp_path / "dearer.yaml").write_text(exported.replace("'1.5'", "'2.5'"))
        dearer = ("-f", str(tmp_path / "dearer.yaml"))
        reviewed = (await parsed("plan", "diff", *dearer))["revision"]
        await run("rules", "delete", "quota")
        code, out = await run("plan", "apply", *dearer, "--revision", reviewed)
        assert (code, "catalog_changed" in out) == (1, True), out
        code, out = await run("plan", "apply", "-f", str(tmp_path / "exported.yaml"))
        assert code == 0, out
        assert (await run("plan", "export"))[1] == exported
        for _ in range(2):
            sent = await parsed("events", "send", "-f", str(events))
            assert sent == {"accepted": 4, "rejected": []}

        async def metered() -> bool:
            usage = await parsed("usage", "seconds", "--tenant", "acme", "--from", "1d")
            return [one["value"] for one in usage["items"]] == ["10"]

        await eventually(metered, timeout=40, every=0.5)
        accounting = await parsed("events", "accounting")
        assert (accounting["counted"], accounting["duplicates"]) == (4, 4)

        async def denied() -> bool:
            found = await parsed("decisions", "show", "acme")
            return bool(found["state"] == "deny" and found["usage"] == "4")

        await eventually(denied, timeout=20, every=0.5)
        log = (await parsed("decisions", "log", "acme"))["items"]
        assert log[0]["state"] == "deny"
        assert (await run("rules", "list"))[1].count("quota") == 1

        traced = await parsed("trace", "phone", "2")
        charges = {one["meter"]: one["charges"] for one in traced["counted"]}
        assert charges["calls"][0]["charge"]["amount"] == "6"
        assert charges["seconds"] == []

        charge = charges["calls"][0]["charge"]["id"]
        told = await parsed("explain", charge, "--events", now.isoformat())
        assert [step["text"] for step in told["explanation"]["steps"]][:1] == ["4 × 1.5 = 6"]
        assert [event["id"] for event in told["events"]] == ["1", "2", "3", "4"]
        code, out = await run("explain", charge)
        assert code == 0
        assert "4 × 1.5 = 6" in out

        await bill(tollgate, "acme")
        [invoice] = (await parsed("invoices", "list", "--tenant", "acme"))["items"]
        assert (invoice["state"], invoice["total"]) == ("finalised", "6.00")
        code, out = await run("trace", "phone", "2")
        assert code == 0
        assert f"invoice {invoice['number']} (finalised)" in out
        assert "1.50" in json.dumps(await parsed("invoices", "show", invoice["id"]))
        target = tmp_path / "invoice.pdf"
        await parsed("invoices", "pdf", invoice["id"], "-o", str(target))
        assert target.read_bytes().startswith(b"%PDF")

        draft, chart = tmp_path / "draft.yaml", tmp_path / "chart.svg"
        draft.write_text(exported.replace("'1.5'", "'3'"))
        span = ("--from", start.isoformat(), "--to", "now")
        found = await parsed("simulate", "-f", str(draft), *span, "--svg", str(chart))
        assert [(one["now"], one["then"]) for one in found["tenants"]] == [("6", "12")]
        assert chart.read_text().startswith("<svg")
        await parsed("plan", "apply", "-f", str(draft))
        because = ("--reason", "the price was mistyped", "--by", "ann", "--plan", "pay")
        preview = await parsed("rerates", "preview", *span, *because)
        id, [line] = preview["rerate"]["id"], preview["lines"]
        assert (line["before"]["amount"], line["after"]["amount"]) == ("6", "12")
        for _ in range(2):
            assert (await parsed("rerates", "approve", id, "--by", "bob"))["state"] == "applied"

        async def rated_again() -> bool:
            told = await parsed("explain", charge)
            return bool(told["explanation"]["exact"] == "12")

        await eventually(rated_again, timeout=20, every=0.5)

        code, out = await run("status")
        assert (code, out.count("NOT READY")) == (0, 0), out
        assert (await run("trace", "phone", "nobody"))[0] == 1


async def bill(tollgate: Product, tenant: str) -> None:
    """End the tenant's period now, and invoice it."""
    from tollgate.call import Call, send

    async with AsyncClient(**addresses(tollgate)) as client:
        [subscription] = (await client.subscriptions(tenant=tenant)).items
        path = f"/v1/subscriptions/{subscription.id}/bill-now"
        cut: Call[dict[str, Any]] = send("rating", "POST", path, dict[str, Any], {}, once=True)
        at = datetime.fromisoformat((await client.perform(cut))["at"])
        run = await client.start_run(at)

        async def done() -> bool:
            return (await client.run(run.id)).state == "done"

        await eventually(done, timeout=60, every=0.3)
