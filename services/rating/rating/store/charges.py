"""Charges: one row a price and period of a subscription. The rows are the outbox."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from common.contracts.charges import Charge
from common.contracts.topics import shard_of

_COLUMNS = """
    id, tenant, subscription, plan, plan_name, plan_version, price, kind, description, meter, unit,
    period_from, period_to, due_at, quantity, amount, currency, version, lines, evidence, closed,
    withdrawn
"""


async def known(tx: Any, ids: Sequence[str], subscriptions: Sequence[str]) -> dict[str, Charge]:
    """The charges with those ids, and all charges of those subscriptions, by id."""
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM rating.charges
        WHERE id = ANY($1) OR subscription = ANY($2)
        """,
        list(ids),
        list(subscriptions),
    )
    return {row["id"]: _charge(row) for row in rows}


async def next_version(tx: Any) -> int:
    """A version higher than all before. One subscription is only ever rated by one owner at a
    time, so the versions of a charge grow in the order of their commits."""
    version: int = await tx.fetchval("SELECT nextval('rating.charge_versions')")
    return version


async def write(tx: Any, charges: Sequence[Charge]) -> None:
    """Store new charges, and new versions of charges."""
    if not charges:
        return
    rows = [
        (
            *(charge.id, shard_of(charge.tenant), charge.tenant, charge.subscription, charge.plan),
            *(charge.plan_name, charge.plan_version, charge.price, charge.kind),
            *(charge.description, charge.meter, charge.unit, charge.period_from, charge.period_to),
            *(charge.due, charge.quantity, charge.amount, charge.currency, charge.version),
            *(_json(charge.lines), _json(charge.evidence)),
            *(charge.closed, charge.withdrawn),
        )
        for charge in charges
    ]
    await tx.execute(
        """
        INSERT INTO rating.charges
            (id, shard, tenant, subscription, plan, plan_name, plan_version, price, kind,
             description, meter, unit, period_from, period_to, due_at, quantity, amount, currency,
             version, lines, evidence, closed, withdrawn)
        SELECT id, shard, tenant, subscription, plan, plan_name, plan_version, price, kind,
               description, meter, unit, period_from, period_to, due_at, quantity, amount,
               currency, version, lines::jsonb, evidence::jsonb, closed, withdrawn
        FROM unnest(
            $1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[],
            $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[],
            $14::timestamptz[], $15::timestamptz[], $16::numeric[], $17::numeric[], $18::text[],
            $19::bigint[], $20::text[], $21::text[], $22::boolean[], $23::boolean[])
            AS new (id, shard, tenant, subscription, plan, plan_name, plan_version, price, kind,
                    description, meter, unit, period_from, period_to, due_at, quantity, amount,
                    currency, version, lines, evidence, closed, withdrawn)
        ON CONFLICT (id) DO UPDATE
        SET plan = excluded.plan,
            plan_name = excluded.plan_name,
            plan_version = excluded.plan_version,
            kind = excluded.kind,
            description = excluded.description,
            meter = excluded.meter,
            unit = excluded.unit,
            period_to = excluded.period_to,
            due_at = excluded.due_at,
            quantity = excluded.quantity,
            amount = excluded.amount,
            version = excluded.version,
            lines = excluded.lines,
            evidence = excluded.evidence,
            closed = excluded.closed,
            withdrawn = excluded.withdrawn,
            changed_at = now()
        """,
        *zip(*rows, strict=True),
    )


async def close(tx: Any, partition: int, partitions: int, watermark: datetime) -> list[Charge]:
    """Close the partition's charges that were due by `watermark`, under new versions."""
    rows = await tx.fetch(
        f"""
        UPDATE rating.charges
        SET closed = true, version = nextval('rating.charge_versions'), changed_at = now()
        WHERE NOT closed
          AND due_at <= $3
          AND shard % $2 = $1
        RETURNING {_COLUMNS}
        """,
        partition,
        partitions,
        watermark,
    )
    return [_charge(row) for row in rows]


async def unemitted(
    connection: Any, partition: int, partitions: int, after: int, limit: int
) -> list[Charge]:
    """Up to `limit` charges of the partition, and all further ones with the version of the last,
    with versions above `after`, by version."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM rating.charges
        WHERE version > $3
          AND shard % $2 = $1
        ORDER BY version
        FETCH FIRST $4 ROWS WITH TIES
        """,
        partition,
        partitions,
        after,
        limit,
    )
    return [_charge(row) for row in rows]


async def emitted_version(connection: Any, partition: int) -> int:
    """Charges of the partition up to this version have been emitted."""
    version: int | None = await connection.fetchval(
        "SELECT version FROM rating.emissions WHERE partition = $1", partition
    )
    return version or 0


async def note_emitted(tx: Any, partition: int, version: int) -> None:
    """Charges of the partition up to `version` have been acknowledged."""
    await tx.execute(
        """
        INSERT INTO rating.emissions AS known (partition, version)
        VALUES ($1, $2)
        ON CONFLICT (partition) DO UPDATE
        SET version = greatest(known.version, excluded.version)
        """,
        partition,
        version,
    )


async def get(connection: Any, charge: str) -> Charge | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM rating.charges WHERE id = $1", charge)
    return _charge(row) if row is not None else None


async def page(
    connection: Any,
    *,
    tenant: str | None,
    subscription: str | None,
    start: datetime | None,
    end: datetime | None,
    withdrawn: bool,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Charge]:
    """Up to `limit` charges of periods that share an instant with [`start`, `end`), by the
    period's begin and id, from behind `after`."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM rating.charges
        WHERE ($1::text IS NULL OR tenant = $1)
          AND ($2::text IS NULL OR subscription = $2)
          AND ($3::timestamptz IS NULL OR period_to > $3)
          AND ($4::timestamptz IS NULL OR period_from < $4)
          AND ($5 OR NOT withdrawn)
          AND ($6::timestamptz IS NULL OR (period_from, id) > ($6, $7::text))
        ORDER BY period_from, id
        LIMIT $8
        """,
        tenant,
        subscription,
        start,
        end,
        withdrawn,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    return [_charge(row) for row in rows]


def _charge(row: Any) -> Charge:
    return msgspec.convert(dict(row), Charge)


def _json(value: Any) -> str:
    """As text: a list among the parameters of unnest would be taken for an array."""
    return msgspec.json.encode(value).decode()
