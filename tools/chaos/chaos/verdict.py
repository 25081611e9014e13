"""Everything that is checked when the system has come to rest; each finding is a sentence."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from chaos import settle
from chaos.ask import Ask
from chaos.billing import Billing
from chaos.checks import books, charges, decisions, invoices, usage
from chaos.counted import Counted, explain, first_of, key_of, read_counted
from chaos.faultlog import FaultLog
from chaos.site import Site
from chaos.truth import SlotSums, Truth, cell_sums
from chaos.watch import Notes

SHOWN = 5
"""Findings of one check that are printed; the report has them all."""


@dataclass
class Verdict:
    """What is wrong, by check; and what was counted."""

    findings: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    lost: int = 0
    """Acknowledged events that are not in the log, or not in the usage, whichever are more."""
    doubled: int = 0
    """Events that are in the log, or in the usage, more than once."""

    @property
    def is_clean(self) -> bool:
        return not any(self.findings.values())


@dataclass(frozen=True)
class Evidence:
    """What a run has to show."""

    site: Site
    ask: Ask
    http: httpx.AsyncClient
    truth: Truth
    notes: Notes
    billing: Billing
    faults: FaultLog
    subscribed: datetime
    late: list[str]
    """What did not come to rest in all its time."""


async def judge(evidence: Evidence) -> Verdict:
    """Checks everything. The system must be at rest."""
    verdict = Verdict()
    findings = verdict.findings
    truth = evidence.truth
    findings["faults"] = list(evidence.faults.problems)
    findings["not in time"] = [*evidence.late, *evidence.billing.problems]
    findings["answers"] = list(truth.surprises)
    counted = await read_counted(evidence.site.around.kafka)
    findings["stamps"] = settle.settle_stamps(truth, counted)
    findings["lost"] = [
        f"{made.source} {made.id} (path {made.path}, acknowledged {made.acked_at})"
        for made in truth.events
        if made.acked_at is not None and key_of(made) not in counted
    ]
    findings["doubled"] = [
        f"{source} {id}: {len(times)} times" for (source, id), times in counted.items() if times[1:]
    ]
    wrong = await _usage_differences(evidence)
    findings["usage"] = _told(wrong, evidence, counted)
    too_few, too_many = usage.miscounted(wrong)
    verdict.lost = max(len(findings["lost"]), too_few)
    verdict.doubled = max(len(findings["doubled"]), too_many)
    await _books(evidence, verdict)
    found = await settle.parked(evidence.site, evidence.ask, evidence.http)
    findings["parked"] = settle.unlisted(truth, found)
    findings["gaps"] = [
        f"node {node['node']}: gaps {node['gaps']}"
        async for node in evidence.ask.items("ingest", "/v1/nodes")
        if node["gaps"]
    ]
    await _edges(evidence, findings)
    await _money(evidence, verdict)
    verdict.figures |= {
        "events": len(truth.events),
        "bad": sum(bad.acked for bad in truth.bad),
        "conflicts": len(truth.conflicts),
        "stamped": len(truth.stamped),
        "glimpses of decisions": sum(map(len, evidence.notes.edges.values())),
        "looks at the accounting": len(evidence.notes.books),
    }
    return verdict


async def _usage_differences(evidence: Evidence) -> list[usage.Difference]:
    begin, end = settle.whole_hours(evidence.truth)
    found = await settle.usage(evidence.ask, begin, end)
    return usage.differences(cell_sums(evidence.truth.events), found)


def _told(wrong: list[usage.Difference], evidence: Evidence, counted: Counted) -> list[str]:
    """The differences; the first is explained down to events, with the faults around them."""
    truth = evidence.truth
    lines = [str(difference) for difference in wrong]
    if wrong:
        cell = wrong[0].cell
        lines[1:1] = explain(cell, truth.events, counted)
        at = first_of(cell, truth.events, counted)
        if at is not None:
            lines[2:2] = ["faults around it:", *evidence.faults.around(at)]
    return lines


async def _books(evidence: Evidence, verdict: Verdict) -> None:
    account = await evidence.ask.get("ingest", "/v1/accounting")
    now = datetime.now(UTC).timestamp()
    wrong = books.identity_broken([*evidence.notes.books, (now, account)])
    if account["counted"] != len(evidence.truth.events):
        wrong.append(f"{len(evidence.truth.events)} events were sent, counted are {account}")
    if account["pending"]:
        wrong.append(f"still pending: {account}")
    verdict.findings["accounting"] = wrong
    verdict.figures["accounting"] = account


async def _edges(evidence: Evidence, findings: dict[str, list[str]]) -> None:
    answer = await evidence.ask.get("throttler", "/v1/decisions")
    current = {f"{d['tenant']}/{d['action']}": d["revision"] for d in answer["items"]}
    findings["decisions"] = [
        line
        for edge, glimpses in sorted(evidence.notes.edges.items())
        for line in (
            *decisions.going_backwards(edge, glimpses),
            *(decisions.not_current(edge, glimpses[-1], current) if glimpses else ()),
        )
    ]


async def _money(evidence: Evidence, verdict: Verdict) -> None:
    book = evidence.billing.book
    rating = charges.Rating(SlotSums(evidence.truth.events).quantity, evidence.subscribed)
    known = [charge async for charge in evidence.ask.items("rating", "/v1/charges")]
    now = {i["id"]: i async for i in evidence.ask.items("invoicer", "/v1/invoices")}
    through = max(book.cuts, default=evidence.subscribed)
    invoiced = [c for c in known if datetime.fromisoformat(c["to"]) <= through]
    verdict.findings["charges"] = charges.wrong_charges(known, rating) + charges.missing_charges(
        known, [evidence.subscribed, *sorted(set(book.cuts))]
    )
    wrong = invoices.wrong_amounts(invoiced, now.values(), rating)
    wrong += invoices.changed(book.documents, now)
    wrong += invoices.broken_series(now.values())
    for id, digest in book.pdfs.items():
        if await evidence.billing.pdf(id) != digest:
            wrong.append(f"the PDF of invoice {now[id]['number']} has changed")
    verdict.findings["invoices"] = wrong
    lines = [line for invoice in now.values() for line in invoice["lines"]]
    verdict.figures |= {
        "charges": len(known),
        "invoices": len(now),
        "adjustment lines": sum(line["kind"] == "adjustment" for line in lines),
    }
