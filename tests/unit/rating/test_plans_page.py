"""docs/plans.md tells the truth: each of its examples comes out as it says."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.rating.subscribed import charges, due, subscription

PAGE = Path(__file__).parents[3] / "docs" / "plans.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def instant(value: Any) -> datetime:
    """A day of an example as its first instant in UTC."""
    assert isinstance(value, date)
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


def written(value: Any) -> Any:
    """As JSON says it: days as times."""
    if isinstance(value, dict):
        return {str(name): written(one) for name, one in value.items()}
    if isinstance(value, list):
        return [written(one) for one in value]
    return f"{value.isoformat()}T00:00:00Z" if isinstance(value, date) else value


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 13


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_comes_out_as_the_page_says(text: str) -> None:
    said = yaml.safe_load(text)
    plans = {
        slug: {"name": slug, "currency": "USD", **written(body)}
        for slug, body in (said.get("plans") or {"plan": said["plan"]}).items()
    }
    facts = []
    for change in said.get("changes", []):
        kind = change.pop("type")
        when = instant(change.pop("at"))
        facts.append((kind, when, change | ({"version": 1} if kind == "plan" else {})))
    opening = {"plan": next(iter(plans)), "version": 1, "quantities": said.get("quantities", {})}
    history = subscription(
        instant(said["start"]), *facts, body=opening, currency=said.get("currency", "USD")
    )
    used = {instant(day): amount for day, amount in said.get("used", {}).items()}
    levels = {instant(day): level for day, level in said.get("levels", {}).items()}
    made = charges(history, plans, instant(said["until"]), used, levels)
    assert due(made) == said["charges"]
