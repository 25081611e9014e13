"""A run's `through` is an RFC 3339 time with an offset, never a number or a bare day."""

import pytest
from pydantic import ValidationError

from invoicer.schemas import RunBody


@pytest.mark.parametrize(
    "through", [946684900, 1.5, True, None, "946684900", "-1.5", "2026-11-01", "2026-11-01T00:00"]
)
def test_what_is_no_time_with_an_offset_is_refused(through: object) -> None:
    with pytest.raises(ValidationError):
        RunBody.model_validate({"through": through})


def test_an_offset_is_turned_into_utc() -> None:
    body = RunBody.model_validate({"through": "2026-11-01T01:00:00+01:00"})

    assert body.model_dump(mode="json") == {"through": "2026-11-01T00:00:00Z"}
