"""Wallets and taxes over HTTP: money in, the interim invoice, the invoice, what it says of both."""

from decimal import Decimal
from typing import Any

import msgspec

from common.contracts.tenants import TenantTax
from tests.integration.invoicer.centre import Centre
from tests.integration.invoicer.publishing import ended
from tests.support.eventually import eventually
from tests.unit.invoicer.charging import ACME

EUR = "/v1/wallets/acme/EUR/entries"


async def pay(centre: Centre, amount: str, key: str = "k", path: str = EUR, **more: Any) -> Any:
    body = {"amount": amount, "reference": f"bank {key}"} | more
    return await centre.client.post(path, json=body, headers={"Idempotency-Key": key})


async def test_the_wallet_pays_the_taxed_invoice_as_the_interim_said(centre: Centre) -> None:
    tax = TenantTax(name="Sales tax", percent=Decimal("8.25"))
    await centre.define(msgspec.structs.replace(ACME, taxes=[tax], vat_id="DE1", revision=2))
    await centre.publish(ended("a", "70"))
    first = await pay(centre, "5", reference="bank 4711", by="mira")
    assert (first.status_code, first.json()["balance"]) == (201, "5.00")

    async def taxed() -> Any:
        interim = await centre.interim()
        return interim if interim["total"] == "75.78" else None

    interim = await eventually(taxed, timeout=20)
    await centre.tell_watermark()
    (id,) = (await centre.bill())["invoices"]
    invoice = (await centre.client.get(f"/v1/invoices/{id}")).json()
    assert invoice["taxes"] == [
        {"name": "Sales tax", "percent": "8.25", "note": "", "basis": "70.00", "amount": "5.78"}
    ]
    assert (invoice["paid_from_wallet"], invoice["payable"]) == ("5.00", "70.78")
    for same in ("lines", "subtotal", "taxes", "total", "paid_from_wallet", "payable", "buyer"):
        assert invoice[same] == interim[same]
    (change,) = await eventually(centre.changes)
    assert (change.total, change.payable) == (Decimal("75.78"), Decimal("70.78"))

    held = (await centre.client.get("/v1/wallets/acme")).json()
    assert held == {"tenant": "acme", "items": [{"currency": "EUR", "balance": "0.00"}]}
    page = (await centre.client.get(EUR, params={"limit": 1})).json()
    (spent,) = page["items"]
    assert (spent["kind"], spent["amount"], spent["invoice"]) == ("invoice", "-5.00", id)
    assert spent["reference"] == invoice["number"]
    rest = (await centre.client.get(EUR, params={"cursor": page["next"]})).json()
    assert (rest["items"], rest["next"]) == ([first.json()], None)


async def test_taxes_of_known_cases(centre: Centre) -> None:
    """A fee of 50 for 24 of 31 days; four lines whose taxes would be 0.01 more one by one."""
    tax = TenantTax(name="VAT", percent=Decimal(20))
    fee = str(Decimal(1200) / 31)
    for key, amounts, total in (
        ("fee", [fee], "46.45"),
        ("sum", ["68.33", "68.33", "57.50", "85.00"], "334.99"),
    ):
        await centre.define(msgspec.structs.replace(ACME, key=key, taxes=[tax]))
        charges = [ended(f"{key}{i}", one, tenant=key) for i, one in enumerate(amounts)]
        await centre.publish(*charges)
        assert (await centre.until_charged(len(amounts), key))["total"] == total


async def test_money_moves_once_a_key(centre: Centre) -> None:
    first, again = await pay(centre, "5"), await pay(centre, "5")
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert (await pay(centre, "6")).json()["code"] == "idempotency_key_reused"
    elsewhere = await pay(centre, "5", path="/v1/wallets/acme/USD/entries")
    assert elsewhere.json()["code"] == "idempotency_key_reused"
    assert (await pay(centre, "-2", "other")).json()["balance"] == "3.00"
    told_again = await pay(centre, "5", "a-new-key", reference="bank k")
    assert (told_again.status_code, told_again.json()["code"]) == (409, "reference_used")
    yen = await pay(centre, "500", "yen", path="/v1/wallets/acme/JPY/entries")
    assert yen.json()["balance"] == "500"


async def test_what_cannot_be_moved_is_refused_and_moves_nothing(centre: Centre) -> None:
    for amount, path, status, code in [
        ("0", EUR, 422, "bad_amount"),
        ("0.005", EUR, 422, "bad_amount"),
        ("-1", EUR, 409, "overdrawn"),
        ("many", EUR, 422, "invalid_request"),
        ("Infinity", EUR, 422, "invalid_request"),
        ("1" + "0" * 40, EUR, 422, "invalid_request"),
        ("1", "/v1/wallets/acme/XAU/entries", 422, "bad_amount"),
        ("1", "/v1/wallets/acme/EURO/entries", 422, "invalid_request"),
        ("1", "/v1/wallets/nobody/EUR/entries", 404, "unknown_tenant"),
    ]:
        answer = await pay(centre, amount, amount + path[-12:], path)
        assert (amount, answer.status_code, answer.json()["code"]) == (amount, status, code)
    keyless = await centre.client.post(EUR, json={"amount": "1", "reference": "x"})
    assert (keyless.status_code, keyless.json()["code"]) == (422, "invalid_request")
    assert "Idempotency-Key" in keyless.text
    assert (await pay(centre, "1", reference="\x00")).status_code == 400
    assert (await pay(centre, "1", reference="")).status_code == 422
    assert (await centre.client.get("/v1/wallets/acme")).json()["items"] == []
    assert (await centre.client.get(EUR)).json()["items"] == []
    assert (await centre.client.get("/v1/wallets/nobody")).status_code == 404
