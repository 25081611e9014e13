"""What a part asks in one billing period, before it is a charge."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from common.contracts.charges import ChargeLine
from common.money import round_line

Billed = Literal["advance", "arrears"]
"""When a fee may be invoiced: as its period begins, or when it has ended."""

DueKind = Literal["fee", "usage", "quantity", "one_off", "commitment", "credit_purchase", "credit"]


@dataclass(frozen=True)
class Due:
    """`amount` is exact and the sum of `lines`; `due_at`: from when it may be invoiced. `part`
    and `start` identify it within its subscription."""

    part: str
    kind: DueKind
    description: str
    start: datetime
    end: datetime
    due_at: datetime
    quantity: Decimal
    amount: Decimal
    lines: tuple[ChargeLine, ...]
    meter: str | None = None
    unit: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)

    def rounded(self, currency: str) -> Decimal:
        """What an invoice would say of it by now."""
        return round_line(self.amount, currency)

    def with_line(self, line: ChargeLine, evidence: Mapping[str, Any] | None = None) -> "Due":
        """The same with one more step, which changes the amount; `evidence`: added to what is
        there."""
        return Due(
            self.part,
            self.kind,
            self.description,
            self.start,
            self.end,
            self.due_at,
            self.quantity,
            self.amount + line.amount,
            (*self.lines, line),
            self.meter,
            self.unit,
            {**self.evidence, **(evidence or {})},
        )
