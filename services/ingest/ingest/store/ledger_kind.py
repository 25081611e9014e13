"""Which ledger this database is kept with."""

from typing import Any, Literal

Kind = Literal["plain", "packed"]


async def settle(tx: Any, wanted: Kind) -> Kind:
    """Keep the database with the `wanted` ledger if that is safe; returns what it is kept with.

    From plain to packed is safe once no transaction can add a plain row any more: the lock waits
    for those under way, and the table's trigger refuses later ones. Back is not, because the plain
    ledger does not know what the packed one holds.
    """
    await tx.execute("INSERT INTO ingest.ledger_kind (kind) SELECT 'plain' ON CONFLICT DO NOTHING")
    kind: Kind = await tx.fetchval("SELECT kind FROM ingest.ledger_kind FOR UPDATE")
    if kind == "plain" and wanted == "packed":
        await tx.execute("LOCK TABLE ingest.ledger IN SHARE MODE")
        await tx.execute("UPDATE ingest.ledger_kind SET kind = 'packed'")
        return "packed"
    return kind
