"""The invoicer's step: the latest version of every charge is kept, and nothing else happens."""

from typing import Any

from common.bus.types import Message
from common.contracts import wire
from common.contracts.charges import Charge
from common.contracts.topics import CHARGES
from common.stream.processor import Partition
from common.telemetry import TRACEPARENT
from invoicer import metrics
from invoicer.store import charges


class ChargeStage:
    """A stage over billing.charges. It emits nothing: invoices come from runs."""

    topic = CHARGES
    root = False
    tick_seconds: float | None = None

    async def recover(self, part: Partition) -> None:
        """Nothing is emitted, so nothing can be missing."""
        part.emitted(part.next_offset)

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> int:
        """Take over charges; returns how many were new or newer."""
        found = [
            (wire.read(Charge, message), _traceparent(message))
            for message in messages
            if message.value is not None
        ]
        return await charges.upsert(tx, found)

    async def emit(self, part: Partition, effect: int) -> None:
        """Count what was committed."""
        part.emitted(part.next_offset)
        metrics.CHARGES.inc(effect)


def _traceparent(message: Message) -> str | None:
    value = message.header(TRACEPARENT)
    return value.decode("ascii", "replace") if value is not None else None
