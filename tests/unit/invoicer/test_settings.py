"""Settings that would spoil invoices are refused at the start."""

import pytest
from pydantic import ValidationError

from invoicer.settings import Settings


def test_the_seller_comes_from_settings() -> None:
    settings = Settings(
        legal_entity="eu",
        seller_name="Tollgate Ltd",
        seller_address=["Dublin"],
        seller_vat_id="IE1",
    )
    seller = settings.seller
    assert (seller.key, seller.name, seller.address, seller.vat_id) == (
        "eu",
        "Tollgate Ltd",
        ["Dublin"],
        "IE1",
    )


@pytest.mark.parametrize("series", ["", "tg", "a b", "A" * 21])
def test_a_series_that_cannot_be_printed_is_refused(series: str) -> None:
    with pytest.raises(ValidationError, match="a series is"):
        Settings(series=series)


@pytest.mark.parametrize("name", ["patience_seconds", "grace_seconds", "run_seconds"])
def test_time_does_not_run_backwards(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({name: -1})
