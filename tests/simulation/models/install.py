"""Puts the models in the place of the SQL, for as long as a `with` block lasts."""

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import aggregator.publish
import aggregator.store.backfills
import aggregator.store.changes
import aggregator.store.meters
import aggregator.store.rollups
import aggregator.store.unreadable
import aggregator.worker
import ingest.packed.ledger
import ingest.routes.dead_events
import ingest.store.accounting
import ingest.store.dead_events
import ingest.store.ledger_blocks
import ingest.store.nodes
import ingest.store.plain_ledger
import ingest.worker
import rating.store
import rating.store.charges
import rating.store.plans
import rating.store.subscriptions
import rating.store.work
import rating.worker
from tests.simulation.models import (
    accounting,
    backfills,
    charges,
    dead_events,
    ledger_blocks,
    meters,
    nodes,
    rollups,
    subscriptions,
    unreadable,
    usage,
    work,
)

MODELS: tuple[tuple[ModuleType, ModuleType], ...] = (
    (ingest.store.accounting, accounting),
    (ingest.store.dead_events, dead_events),
    (ingest.store.ledger_blocks, ledger_blocks),
    (ingest.store.nodes, nodes),
    (ingest.store.plain_ledger, ledger_blocks),
    (aggregator.store.backfills, backfills),
    (aggregator.store.changes, rollups),
    (aggregator.store.meters, meters),
    (aggregator.store.rollups, rollups),
    (aggregator.store.unreadable, unreadable),
    (rating.store.charges, charges),
    (rating.store.plans, subscriptions),
    (rating.store.subscriptions, subscriptions),
    (rating.store.work, work),
)
"""(store, model)"""

BY_NAME = ((aggregator.publish, "changed_rollups", rollups),)
"""Functions that a module has imported by their names."""

CLOCKED = (
    ingest.worker,
    ingest.packed.ledger,
    ingest.routes.dead_events,
    aggregator.worker,
    rating.worker,
)
"""Modules that look at `time`."""


def functions(store: ModuleType, model: ModuleType) -> dict[str, tuple[Any, Any]]:
    """The functions that both have, by name: (of the store, of the model)."""
    found = {}
    for name, original in vars(store).items():
        modelled = vars(model).get(name)
        own = inspect.isfunction(original) and original.__module__ == store.__name__
        own = own and not name.startswith("_")
        if own and modelled is not None and modelled.__module__ == model.__name__:
            found[name] = (original, modelled)
    return found


@contextmanager
def installed(base_ms: int) -> Iterator[None]:
    """The stages run on models; their clocks are the event loop's, which begins at `base_ms`."""

    def monotonic() -> float:
        return asyncio.get_running_loop().time()

    def time_ns() -> int:
        return base_ms * 1_000_000 + int(monotonic() * 1_000_000_000)

    clock = SimpleNamespace(monotonic=monotonic, time_ns=time_ns)
    with ExitStack() as stack:
        for store, model in MODELS:
            for name, (_, modelled) in functions(store, model).items():
                stack.enter_context(patch.object(store, name, modelled))
        for module, name, model in BY_NAME:
            stack.enter_context(patch.object(module, name, getattr(model, name)))
        for module in CLOCKED:
            stack.enter_context(patch.object(module, "time", clock))
        stored = partial(usage.ModelUsage, rating.store.SCHEMA, days=True)
        stack.enter_context(patch.object(rating.worker, "StoredUsage", stored))
        yield
