"""The API over real servers: runs, invoices, the interim invoice, PDFs, and bad input."""

import asyncio
import json
import subprocess
from hashlib import sha256
from pathlib import Path

import msgspec

from tests.integration.invoicer.centre import Centre
from tests.integration.invoicer.publishing import ENDED, THROUGH, ended
from tests.support.eventually import eventually
from tests.support.limits import need_program
from tests.unit.invoicer.charging import ACME, DECEMBER, charge, fee


async def test_charges_become_an_invoice_and_the_interim_was_the_same(centre: Centre) -> None:
    await centre.publish(ended("a", "246.9134"), fee("f", period_from=ENDED, period_to=ENDED))
    interim = await centre.until_charged(2)
    assert (interim["state"], interim["number"], interim["total"]) == ("draft", None, "295.91")
    await centre.tell_watermark()
    run = await centre.bill()
    assert (run["invoice_count"], run["left_out"], run["waits_for"]) == (1, [], [])

    invoice = (await centre.client.get(f"/v1/invoices/{run['invoices'][0]}")).json()
    assert (invoice["state"], invoice["number"], invoice["run"]) == (
        "finalised",
        "TG-000001",
        run["id"],
    )
    for same in ("lines", "total", "subtotal", "buyer", "seller", "period_from", "period_to"):
        assert invoice[same] == interim[same]
    assert (await centre.interim())["lines"] == []

    around = ("state", "state_at", "run", "hash")
    content = {name: value for name, value in invoice.items() if name not in around}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert sha256(text.encode()).hexdigest() == invoice["hash"]

    listed = (await centre.client.get("/v1/invoices", params={"tenant": "acme"})).json()
    assert listed == {"items": [invoice], "next": None}
    by_charge = (await centre.client.get("/v1/invoices", params={"charge": "a"})).json()
    assert by_charge["items"] == [invoice]
    for other in ({"tenant": "beta"}, {"state": "paid"}, {"charge": "b"}):
        assert (await centre.client.get("/v1/invoices", params=other)).json()["items"] == []

    (change,) = await eventually(centre.changes)
    assert (change.invoice, change.state, change.number) == (
        invoice["id"],
        "finalised",
        "TG-000001",
    )
    assert str(change.total) == invoice["total"]


async def test_the_run_says_what_it_waits_for_until_the_node_seals(centre: Centre) -> None:
    centre.nodes.append({"node": "edge-1", "epoch": "e", "sealed_through": "2026-10-31T23:59:59Z"})
    await centre.publish(ended("a"))
    await centre.until_charged(1)
    run = (await centre.client.post("/v1/runs", json={"through": THROUGH})).json()

    async def kinds() -> set[str]:
        answer = await centre.client.get(f"/v1/runs/{run['id']}")
        return {wait["kind"] for wait in answer.json()["waits_for"]}

    async def waits_for_both() -> bool:
        return await kinds() == {"node", "watermark"}

    async def waits_for_the_watermark() -> bool:
        return await kinds() == {"watermark"}

    await eventually(waits_for_both)
    centre.nodes[0]["sealed_through"] = THROUGH
    await eventually(waits_for_the_watermark)
    await centre.tell_watermark()
    assert (await centre.bill())["invoice_count"] == 1


async def test_an_invoice_as_pdf_is_the_same_bytes_each_time(
    centre: Centre, tmp_path: Path
) -> None:
    await centre.publish(ended("a"))
    await centre.until_charged(1)
    await centre.tell_watermark()
    (id,) = (await centre.bill())["invoices"]
    by_path = await centre.client.get(f"/v1/invoices/{id}.pdf")
    by_accept = await centre.client.get(f"/v1/invoices/{id}", headers={"Accept": "application/pdf"})
    assert by_path.headers["content-type"] == "application/pdf"
    assert 'filename="TG-000001.pdf"' in by_path.headers["content-disposition"]
    assert by_path.content == by_accept.content
    file = tmp_path / "invoice.pdf"
    file.write_bytes(by_path.content)
    program = need_program("pdftotext")
    read = await asyncio.create_subprocess_exec(program, file, "-", stdout=subprocess.PIPE)
    text = (await read.communicate())[0].decode()
    invoice = (await centre.client.get(f"/v1/invoices/{id}")).json()
    assert invoice["hash"] in text
    assert "TG-000001" in text

    interim = {"tenant": "acme"}
    by_path = await centre.client.get("/v1/invoices/interim.pdf", params=interim)
    by_accept = await centre.client.get(
        "/v1/invoices/interim", params=interim, headers={"Accept": "application/pdf"}
    )
    assert by_path.content.startswith(b"%PDF")
    assert by_accept.content.startswith(b"%PDF")


async def test_the_same_through_twice_is_one_run(centre: Centre) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = await centre.client.post("/v1/runs", json={"through": THROUGH}, headers=headers)
    again = await centre.client.post("/v1/runs", json={"through": THROUGH}, headers=headers)
    same_instant = {"through": "2026-11-01T01:00:00+01:00"}
    keyless = await centre.client.post("/v1/runs", json=same_instant)
    assert (first.status_code, again.status_code, keyless.status_code) == (201, 201, 200)
    assert again.headers["idempotency-replayed"] == "true"
    assert first.json()["id"] == again.json()["id"] == keyless.json()["id"]
    other = {"through": "2026-10-01T00:00:00Z"}
    reused = await centre.client.post("/v1/runs", json=other, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")


async def test_lists_page_without_loss(centre: Centre) -> None:
    keys = [f"tenant-{i}" for i in range(5)]
    for key in keys:
        await centre.define(msgspec.structs.replace(ACME, key=key))
        await centre.publish(ended(f"charge-{key}", tenant=key))
    for key in keys:
        await centre.until_charged(1, key)
    await centre.tell_watermark()
    run = await centre.bill()
    found: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        body = (await centre.client.get("/v1/invoices", params=params)).json()
        found += [item["id"] for item in body["items"]]
        cursor = body["next"]
        if cursor is None:
            break
    assert found == run["invoices"][::-1]
    await centre.bill("2026-10-01T00:00:00Z")
    body = (await centre.client.get("/v1/runs", params={"limit": "1"})).json()
    older = (await centre.client.get("/v1/runs", params={"cursor": body["next"]})).json()
    assert [item["id"] for item in older["items"]] == [run["id"]]
    wrong = await centre.client.get("/v1/invoices", params={"cursor": body["next"]})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_cursor")


BAD_QUESTIONS = [
    ("/v1/invoices/interim", 422, "invalid_request"),
    ("/v1/invoices/interim?tenant=nobody", 404, "unknown_tenant"),
    ("/v1/invoices/interim?tenant=acme&currency=euro", 422, "invalid_request"),
    ("/v1/invoices/interim?tenant=acme&currency=XAU", 409, "cannot_draft"),
    ("/v1/invoices/interim?tenant=acme&through=soon", 422, "invalid_request"),
    ("/v1/invoices/interim?tenant=%00", 400, "invalid_text"),
    ("/v1/invoices/not-a-uuid", 422, "invalid_request"),
    ("/v1/invoices/not-a-uuid.pdf", 422, "invalid_request"),
    ("/v1/invoices/0193b0c8-0000-7000-8000-000000000000", 404, "unknown_invoice"),
    ("/v1/invoices/0193b0c8-0000-7000-8000-000000000000.pdf", 404, "unknown_invoice"),
    ("/v1/invoices?state=draft", 422, "invalid_request"),
    ("/v1/invoices?limit=0", 422, "invalid_request"),
    ("/v1/invoices?cursor=bWFkZSB1cA", 400, "invalid_cursor"),
    ("/v1/invoices?cursor=WyJpbnZvaWNlcyIsMV0", 400, "invalid_cursor"),
    ("/v1/invoices?cursor=%ED%A0%80", 400, "invalid_cursor"),
    ("/v1/runs?cursor=%21", 400, "invalid_cursor"),
    ("/v1/runs/0193b0c8-0000-7000-8000-000000000000", 404, "unknown_run"),
    ("/v1/runs/1", 422, "invalid_request"),
]
BAD_RUNS = [
    (b"", 422, "invalid_request"),
    (b"{}", 422, "invalid_request"),
    (b"[]", 422, "invalid_request"),
    (b"{", 400, "invalid_json"),
    (b'{"through": NaN}', 400, "invalid_number"),
    (b'{"through": "2026-11-01"}', 422, "invalid_request"),
    (b'{"through": "2026-11-01T00:00:00"}', 422, "invalid_request"),
    (b'{"through": "2026-13-01T00:00:00Z"}', 422, "invalid_request"),
    (b'{"through": "0001-01-01T00:00:00+14:00"}', 422, "invalid_request"),
    (b'{"through": "0001-01-01T00:00:00Z"}', 422, "invalid_request"),
    (b'{"through": "1999-12-31T23:59:59Z"}', 422, "invalid_request"),
    (b'{"through": "9999-12-31T23:59:59-14:00"}', 422, "invalid_request"),
    (b'{"through": "9999-12-31T23:59:59Z"}', 422, "through_in_future"),
    (b'{"through": "2090-01-01T00:00:00Z"}', 422, "through_in_future"),
    (b'{"through": 1' + b"0" * 300 + b"}", 422, "invalid_request"),
    (b'{"through": "2026-11-01T00:00:00Z", "thru": 1}', 422, "invalid_request"),
    (b'{"through": "a", "through": "b"}', 400, "duplicate_key"),
    (b'{"through": "\\ud800"}', 400, "invalid_text"),
    (b'{"through": "' + b"x" * 2_000_000 + b'"}', 413, "body_too_large"),
]


async def test_bad_questions_get_coded_answers(centre: Centre) -> None:
    for path, status, code in BAD_QUESTIONS:
        answer = await centre.client.get(path)
        assert (path, answer.status_code, answer.json().get("code")) == (path, status, code)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_wrong_runs_are_refused_and_start_nothing(centre: Centre) -> None:
    headers = {"Content-Type": "application/json"}
    for body, status, code in BAD_RUNS:
        answer = await centre.client.post("/v1/runs", content=body, headers=headers)
        assert (body[:60], answer.status_code, answer.json()["code"]) == (body[:60], status, code)
    assert (await centre.client.get("/v1/runs")).json()["items"] == []


async def test_open_charges_are_interim_only(centre: Centre) -> None:
    await centre.publish(ended("closed"), charge("open", closed=False, period_to=DECEMBER))
    interim = await centre.until_charged(2)
    assert interim["total"] == "24.68"
    assert (await centre.interim(through=THROUGH))["total"] == "12.34"
    assert (await centre.interim(currency="USD"))["lines"] == []
    await centre.tell_watermark()
    (id,) = (await centre.bill())["invoices"]
    assert (await centre.client.get(f"/v1/invoices/{id}")).json()["total"] == "12.34"
