"""The demo from start to end."""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from demo import catalog as catalogs
from demo import gate as gates
from demo import report
from demo.apis import Apis, rfc3339, until
from demo.kills import Killer
from demo.load import HEADER, TENANTS, HeyLoad, HttpxLoad
from demo.progress import console, heading, say, step
from demo.reconcile import Bill, amounts, quantities
from demo.truth import Count, crossing, read_log
from stack.lifecycle import Stack
from stack.supervisor import Supervisor

QUOTA_RULE = "prepaid-quota"
KILLS = ((3.0, "collector"), (6.5, "ingest-deduper"), (11.0, "aggregator"))
LOAD_SECONDS = 20


@dataclass(frozen=True)
class Demo:
    """A run: the stack, its APIs, and where the files go."""

    stack: Stack
    apis: Apis
    folder: Path
    catalog: dict[str, Any]

    @property
    def supervisor(self) -> Supervisor:
        return self.stack.supervisor


def put_gate(demo: Demo, *, with_nginx: bool, log: Path) -> gates.Gate:
    """Start what stands in front of the application."""
    build = gates.nginx if with_nginx else gates.middleware
    gate = build(demo.folder / "gate", demo.stack.ports, log)
    with step(f"a small application behind {gate.name} at {gate.url}"):
        for program in gate.programs:
            demo.supervisor.ensure(program)
        for program in gate.programs:
            demo.supervisor.wait_ready(program)
    return gate


def load_and_kill(demo: Demo, gate: gates.Gate, seconds: int) -> dict[str, Counter[str]]:
    """Traffic, with three kills in it; returns the answers that the tenants saw."""
    kind = HeyLoad if HeyLoad.available() and gate.name == "nginx" else HttpxLoad
    say(
        f"{len(TENANTS)} tenants send "
        f"{sum(t.connections * t.rate for t in TENANTS)} requests a second for {seconds} s"
    )
    killer = Killer(demo.supervisor, KILLS)
    killer.start()
    answers = kind(gate.url, seconds).join()
    killer.join()
    return answers


def check_throttling(
    demo: Demo, gate: gates.Gate, counts: dict[str, Count], answers: dict[str, Counter[str]]
) -> list[str]:
    """Tell how the quota was enforced; returns what is wrong with it."""
    heading("The quota")
    rule = catalogs.by_slug(demo.catalog, "rules", QUOTA_RULE)
    limited = {
        s["tenant"]
        for s in demo.catalog["subscriptions"]
        if s["plan"] == rule["applies_to"]["plan"]
    }
    wrong = []
    for tenant in TENANTS:
        seen = ", ".join(f"{n} x {status}" for status, n in sorted(answers[tenant.key].items()))
        console.print(f"  {tenant.key}: {seen}")
        refused = answers[tenant.key]["429"] > 0
        if refused != (tenant.key in limited):
            wrong.append(f"{tenant.key} was {'' if refused else 'not '}throttled")
    for tenant in TENANTS:
        count = counts.get(tenant.key, Count())
        crossed = crossing(count, Decimal(rule["limit"]))
        if tenant.key in limited and crossed and count.first_refusal:
            after = (count.first_refusal - crossed).total_seconds()
            say(f"{tenant.key} crossed {rule['limit']} requests; first 429 {after:.2f} s later")
            wrong += show_refusal(gate, tenant.path, tenant.api_key)
    return wrong


def show_refusal(gate: gates.Gate, path: str, api_key: str) -> list[str]:
    """Ask once more as the throttled tenant and print the answer."""
    answer = httpx.get(gate.url + path, headers={HEADER: api_key}, timeout=10)
    console.print(f"  {answer.status_code} {answer.headers.get('content-type')}")
    console.print(f"  Retry-After: {answer.headers.get('retry-after')}")
    console.print(f"  {answer.text}")
    wrong = []
    if answer.status_code != 429 or "retry-after" not in answer.headers:
        wrong.append("the throttled tenant got no 429 with Retry-After")
    elif QUOTA_RULE not in answer.text:
        wrong.append("the refusal does not name the rule")
    return wrong


def bill(demo: Demo, ended: datetime) -> tuple[datetime, list[dict[str, Any]]]:
    """Close the period at the end of the load, and invoice it."""
    cuts = set()
    with step("bill now: close the period at the end of the load"):
        for subscription in demo.apis.items("rating", "/v1/subscriptions"):
            answer = demo.apis.post(
                "rating",
                f"/v1/subscriptions/{subscription['id']}/bill-now",
                {"at": rfc3339(ended)},
                f"demo-bill-{subscription['id']}-{ended.timestamp():.0f}",
            )
            cuts.add(answer["at"])
    (cut,) = cuts
    end = datetime.fromisoformat(cut)
    with step(f"wait until everything received before {cut} is rated, then finalise"):
        run = demo.apis.post("invoicer", "/v1/runs", {"through": cut}, f"demo-run-{cut}")

        def finished() -> bool:
            state: str = demo.apis.get("invoicer", f"/v1/runs/{run['id']}")["state"]
            if state == "failed":
                raise RuntimeError(f"run {run['id']} failed")
            return state == "done"

        until(finished, f"run {run['id']}", seconds=90)
    found = [
        demo.apis.get("invoicer", f"/v1/invoices/{item['id']}")
        for item in demo.apis.items("invoicer", "/v1/invoices", state="finalised")
        if item["period_to"] == cut
    ]
    return end, sorted(found, key=lambda invoice: str(invoice["number"]))


def reconcile(
    demo: Demo, counts: dict[str, Count], end: datetime, invoices: list[dict[str, Any]]
) -> list[str]:
    """Compare everything; returns what differs."""
    units = {meter["slug"]: meter["unit"] for meter in demo.catalog["meters"]}
    start = datetime.fromisoformat(demo.catalog["subscriptions"][0]["start"])
    metered = demo.apis.usage(list(units), start, end)
    report.usage(metered, units)
    limited = catalogs.by_slug(demo.catalog, "rules", QUOTA_RULE)["applies_to"]["plan"]
    for subscription in demo.catalog["subscriptions"]:
        if subscription["plan"] == limited:
            path = f"/v1/decisions/{subscription['tenant']}/log"
            entries = list(demo.apis.items("throttler", path))
            report.decisions(subscription["tenant"], entries)
    report.invoices(invoices)
    by_tenant = {invoice["tenant"]: invoice for invoice in invoices}
    bills = [
        Bill(
            tenant=tenant,
            plan=catalogs.plan_of(demo.catalog, tenant["key"]),
            start=start,
            end=end,
            invoice=by_tenant.get(tenant["key"]),
        )
        for tenant in demo.catalog["tenants"]
    ]
    different = report.reconciliation(quantities(counts, metered, bills), amounts(counts, bills))
    wrong = [f"{different} rows of the reconciliation differ"] if different else []
    accounting = demo.apis.get("ingest", "/v1/accounting")
    parts = sum(accounting[name] for name in ("counted", "duplicates", "parked", "pending"))
    heading("Accounting of events")
    console.print("  " + ", ".join(f"{name} {accounting[name]}" for name in accounting))
    if accounting["received"] != parts:
        wrong.append(f"received {accounting['received']} is not the sum of its parts, {parts}")
    return wrong


def save_pdfs(demo: Demo, invoices: list[dict[str, Any]]) -> None:
    """Render the invoices into the state folder."""
    with step("render the invoices as PDF"):
        files = [
            demo.apis.save(
                "invoicer",
                f"/v1/invoices/{invoice['id']}.pdf",
                demo.folder / "invoices" / f"{invoice['number']}-{invoice['tenant']}.pdf",
            )
            for invoice in invoices
        ]
    heading("PDFs")
    for file in files:
        console.print(f"  {file}")


def run(demo: Demo, *, with_nginx: bool, log: Path, seconds: int) -> list[str]:
    """Everything after the services are up; returns what went wrong."""
    gate = put_gate(demo, with_nginx=with_nginx, log=log)
    answers = load_and_kill(demo, gate, seconds)
    counts = settle(log)
    ended = datetime.now(UTC)
    wrong = check_throttling(demo, gate, counts, answers)
    end, invoices = bill(demo, ended)
    counts = read_log(log)
    save_pdfs(demo, invoices)
    return wrong + reconcile(demo, counts, end, invoices)


def settle(log: Path) -> dict[str, Count]:
    """The count once the log has stopped growing: requests under way end after the load."""
    size = -1
    while size != (size := log.stat().st_size):
        time.sleep(0.5)
    return read_log(log)


def show_addresses(demo: Demo) -> None:
    """Say what can be tried while everything is left running."""
    heading("Everything is still running. Try:")
    for name, address in demo.apis.address.items():
        console.print(f"  {name:<11} {address}/docs")
    gate = f"http://127.0.0.1:{demo.stack.ports.edge}"
    console.print(f"  {'gate':<11} curl -i -H '{HEADER}: demo-key-of-aurora' {gate}/tiles")
    console.print("  make status, make logs, make down")
