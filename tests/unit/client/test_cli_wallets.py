"""`tollgate wallets` and the taxes of `tollgate invoices show`."""

import json
from typing import Any

from tests.unit.client.fake import Service
from tests.unit.client.platform import Platform, Run

ENTRY = {
    "tenant": "acme",
    "currency": "EUR",
    "number": 1,
    "kind": "top_up",
    "amount": "50.00",
    "balance": "50.00",
    "invoice": None,
    "reference": "bank 1",
    "reason": "",
    "by": "mira",
    "at": "2026-11-01T00:00:00Z",
}


def test_money_goes_in_and_out_with_a_key(run: Run, service: Service, platform: Platform) -> None:
    platform.fixed["POST /v1/wallets/acme/EUR/entries"] = (201, ENTRY)
    _, out, _ = run("wallets", "top-up", "acme", "EUR", "50.00", "--reference", "bank 1")
    assert "top_up of 50.00: the wallet holds 50.00 EUR" in out
    run("wallets", "pay-out", "acme", "EUR", "7", "--reference", "bank 2", "--by", "mira")
    sent = [one for one in service.asked if one.method == "POST"]
    assert [json.loads(one.body) for one in sent] == [
        {"amount": "50.00", "reference": "bank 1", "reason": "", "by": ""},
        {"amount": "-7", "reference": "bank 2", "reason": "", "by": "mira"},
    ]
    keys = {one.headers["idempotency-key"] for one in sent}
    assert len(keys) == 2


def test_an_amount_must_be_one(run: Run, service: Service) -> None:
    for amount in ("0", "many", "nan"):
        _, _, err = run("wallets", "top-up", "acme", "EUR", amount, "--reference", "x", code=2)
        assert "above 0" in err
    assert [one for one in service.asked if one.method == "POST"] == []


def test_a_wallet_is_shown_with_its_entries(run: Run, platform: Platform) -> None:
    held = {"tenant": "acme", "items": [{"currency": "EUR", "balance": "50.00"}]}
    platform.fixed["GET /v1/wallets/acme"] = (200, held)
    platform.fixed["GET /v1/wallets/acme/EUR/entries"] = (200, {"items": [ENTRY], "next": None})
    _, out, _ = run("wallets", "show", "acme")
    assert "50.00" in out
    assert "bank 1" in out
    found: dict[str, Any] = json.loads(run("wallets", "show", "acme", "--json")[1])
    assert found["wallets"] == held["items"]
    assert found["entries"][0]["by"] == "mira"


def test_an_invoice_shows_its_taxes_and_what_is_to_pay(run: Run, platform: Platform) -> None:
    tax = {"name": "VAT", "percent": "20", "note": "", "basis": "70.00", "amount": "14.00"}
    invoice = {"subtotal": "70.00", "taxes": [tax], "total": "84.00", "payable": "79.00"}
    platform.fixed["GET /v1/invoices/i1"] = (200, invoice | {"lines": []})
    _, out, _ = run("invoices", "show", "i1")
    for text in ("70.00", "14.00 (20 % of 70.00)", "84.00", "79.00"):
        assert text in out
