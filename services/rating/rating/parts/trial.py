"""A trial: the first days on a plan cost nothing, counted from the subscription's start by the
tenant's calendar. One-offs are due all the same.

    {"days": 14, "covers": "all"}

`covers`: "all", or "fees" (fees and quantities; usage is charged from the first day). The end of a
trial divides its billing period, and usage on either side is rated by itself.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from common.money import plain
from rating.parts.due import Due
from rating.parts.period import note
from rating.prices.fields import Fields

COVERS = ("all", "fees")
MAX_DAYS = 3650
KIND = "trial"
"""Of the line by which it waives a charge."""


@dataclass(frozen=True)
class Trial:
    days: int
    covers: Literal["all", "fees"] = "all"

    def canonical(self) -> dict[str, Any]:
        said = {} if self.covers == "all" else {"covers": self.covers}
        return {"days": self.days, **said}

    def end(self, start: datetime, zone: str) -> datetime:
        """When the trial of a subscription that began at `start` ends: so many local days later,
        at the same time of the clock."""
        local = start.astimezone(ZoneInfo(zone))
        return (local + timedelta(days=self.days)).astimezone(UTC)


def read_trial(fields: Fields) -> Trial:
    """The trial in `fields`, which are finished here."""
    days = fields.whole("days", default=0, most=MAX_DAYS)
    if days == 0:
        fields.refuse("days", f"must be a whole number from 1 to {MAX_DAYS}")
    covers = fields.choice("covers", COVERS, default="all")
    fields.finish()
    return Trial(days, "fees" if covers == "fees" else "all")


def waived(trial: Trial, due: Due) -> Due:
    """What is due in a trial."""
    covered = ("fee", "quantity") if trial.covers == "fees" else ("fee", "quantity", "usage")
    if due.kind not in covered or not due.amount:
        return due
    return due.with_line(note(KIND, f"Trial: {plain(due.amount)} waived", -due.amount))
