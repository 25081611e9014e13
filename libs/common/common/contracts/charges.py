"""billing.charges: what a subscription owes for one price and one period, absolute."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from common.bus.types import Record
from common.contracts import wire
from common.contracts.topics import partition_for


class ChargeLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of how the amount came about. Amounts are exact, not rounded."""

    kind: str
    description: str
    quantity: Decimal | None = None
    unit_amount: Decimal | None = None
    amount: Decimal
    tier: int | None = None


class Charge(wire.Contract, frozen=True, kw_only=True):
    """`amount` is exact (not rounded) in `currency`. The charge with the higher `version` wins.

    `due_at`: from when it may be invoiced, the begin of the period for what is paid in advance;
    None: when the period ends. `closed`: rating has seen everything received before it is due.
    `withdrawn`: the period no longer exists (its amount is 0). `kind`: fee, usage, quantity,
    one_off, commitment, credit_purchase or credit. `evidence`: meter, hours, rollup versions,
    plan version, and whatever else the amount was made from.
    """

    id: str
    tenant: str
    subscription: str
    plan: str
    plan_name: str = ""
    plan_version: int
    price: str
    kind: str = ""
    description: str = ""
    meter: str | None = None
    unit: str = ""
    period_from: datetime
    period_to: datetime
    due_at: datetime | None = None
    quantity: Decimal
    amount: Decimal
    currency: str
    version: int
    lines: list[ChargeLine] = []
    evidence: dict[str, Any] = {}
    closed: bool = False
    withdrawn: bool = False

    @property
    def due(self) -> datetime:
        """From when it may be invoiced."""
        return self.period_to if self.due_at is None else self.due_at


def charge_record(
    charge: Charge, partitions: int, headers: tuple[tuple[str, bytes], ...] = ()
) -> tuple[int, Record]:
    """The partition (by tenant) and the record (under the charge's id) of a charge."""
    return partition_for(charge.tenant, partitions), wire.record(charge.id, charge, headers)
